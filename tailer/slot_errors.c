/* tailer/slot_errors.c - see slot_errors.h. */
#include "tailer/slot_errors.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct rule {
    const char *sqlstate; /* NULL: any */
    const char *text;     /* NULL: any */
    struct slot_error error;
};

/* The first that fits decides. */
static const struct rule rules[] = {
    { "55006", NULL, { SLOT_ERROR_BUSY, "" } },
    { "55000",
      "invalidated",
      { SLOT_ERROR_SPOILT, "raise max_slot_wal_keep_size, or keep tailer and brokers running" } },
    { "55000",
      "can no longer get changes",
      { SLOT_ERROR_SPOILT, "raise max_slot_wal_keep_size, or keep tailer and brokers running" } },
    { NULL,
      "requires wal_level",
      { SLOT_ERROR_OTHER, "set wal_level = logical and restart PostgreSQL" } },
    { NULL,
      "wal_level >=",
      { SLOT_ERROR_OTHER, "set wal_level = logical and restart PostgreSQL" } },
    { "53400",
      NULL,
      { SLOT_ERROR_OTHER,
        "drop replication slots that are not used, or raise max_replication_slots" } },
    { NULL,
      "max_wal_senders",
      { SLOT_ERROR_OTHER, "raise max_wal_senders, or stop another replication client" } },
    { NULL, "too many clients", { SLOT_ERROR_OTHER, "raise max_connections" } },
    { NULL, "remaining connection slots", { SLOT_ERROR_OTHER, "raise max_connections" } },
    { NULL,
      "replication role",
      { SLOT_ERROR_OTHER, "ALTER ROLE of database.url WITH REPLICATION" } },
    { NULL,
      "start WAL sender",
      { SLOT_ERROR_OTHER, "ALTER ROLE of database.url WITH REPLICATION" } },
    { "42501", NULL, { SLOT_ERROR_OTHER, "ALTER ROLE of database.url WITH REPLICATION" } },
    { NULL,
      "no pg_hba.conf entry",
      { SLOT_ERROR_OTHER, "allow the role and this host in pg_hba.conf" } },
    { NULL,
      "authentication failed",
      { SLOT_ERROR_OTHER, "check user and password in database.url" } },
    { NULL,
      "Connection refused",
      { SLOT_ERROR_OTHER, "start PostgreSQL, or check host and port in database.url" } },
    { NULL,
      "No such file or directory",
      { SLOT_ERROR_OTHER, "start PostgreSQL, or check the socket folder in database.url" } },
    { NULL,
      "could not translate host name",
      { SLOT_ERROR_OTHER, "check the host in database.url" } },
    { NULL, "starting up", { SLOT_ERROR_OTHER, "PostgreSQL is starting; this passes" } },
    { NULL,
      "not yet accepting connections",
      { SLOT_ERROR_OTHER, "PostgreSQL is starting; this passes" } },
    { NULL, "shutting down", { SLOT_ERROR_OTHER, "PostgreSQL is stopping" } },
    { "54000",
      NULL,
      { SLOT_ERROR_OTHER, "a row is larger than PostgreSQL can decode: skip it with "
                          "pg_replication_slot_advance(), or drop the slot (both leave a gap)" } },
    { NULL,
      "invalid memory alloc request size",
      { SLOT_ERROR_OTHER, "a row is larger than PostgreSQL can decode: skip it with "
                          "pg_replication_slot_advance(), or drop the slot (both leave a gap)" } },
};

static int fits(const struct rule *rule, const char *sqlstate, const char *message)
{
    return (rule->sqlstate == NULL || strcmp(rule->sqlstate, sqlstate) == 0) &&
           (rule->text == NULL || strstr(message, rule->text) != NULL);
}

/* One name may be a part of the other: the longer one that is there is meant. */
static bool is_about(const char *message, const char *name, const char *other)
{
    bool there = name != NULL && strstr(message, name) != NULL;
    bool longer = other != NULL && strlen(other) > strlen(name == NULL ? "" : name);

    return there && !(longer && strstr(message, other) != NULL);
}

struct slot_error slot_error_classify(const char *sqlstate, const char *message,
                                      const char *publication, const char *policy_publication)
{
    const char *code = sqlstate == NULL ? "" : sqlstate;
    bool no_publication = strcmp(code, "42704") == 0 && strstr(message, "publication") != NULL;

    /* A slot sees the catalog as of its position: a publication made later does not exist for it. */
    if (no_publication && is_about(message, publication, policy_publication)) {
        return (struct slot_error){ SLOT_ERROR_SPOILT,
                                    "never drop a publication while its slot is in use" };
    }
    if (no_publication && is_about(message, policy_publication, publication)) {
        return (struct slot_error){ SLOT_ERROR_POLICIES,
                                    "goes on without it; this passes if it was made just now" };
    }
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (fits(&rules[i], code, message)) {
            return rules[i].error;
        }
    }
    return (struct slot_error){ SLOT_ERROR_OTHER, "" };
}
