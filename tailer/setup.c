/* tailer/setup.c - see setup.h. */
#include "tailer/setup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "runtime/buf.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "tailer/catalog.h"
#include "tailer/lsn.h"

enum { OLDEST_SERVER = 140000, COLUMN_LISTS_SINCE = 150000 };

/* Both keys of a lock of ours: a constant, and the slot's name. */
static const char lock_sql[] =
    "SELECT pg_catalog.pg_try_advisory_lock(1885762665, pg_catalog.hashtext($1))";
static const char unlock_sql[] =
    "SELECT pg_catalog.pg_advisory_unlock(1885762665, pg_catalog.hashtext($1))";

static const char slot_sql[] =
    "SELECT coalesce(plugin, ''), database = pg_catalog.current_database(), coalesce(active_pid, "
    "0),"
    " coalesce(wal_status, ''), coalesce(confirmed_flush_lsn, '0/0'), active"
    " FROM pg_catalog.pg_replication_slots WHERE slot_name = $1";

static const char policies_sql[] =
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = $2)"
    " AND EXISTS (SELECT FROM pg_catalog.pg_attribute"
    " WHERE attrelid = 'pgtide.slot'::regclass AND attname = 'policies' AND NOT attisdropped),"
    " coalesce((SELECT (to_jsonb(s) ->> 'policies')::boolean FROM pgtide.slot s"
    " WHERE slot_name = $1), false)";

/* One transaction: whoever sees the message sees the row. */
static const char say_policies_sql[] =
    "WITH said AS (UPDATE pgtide.slot SET policies = $2::boolean"
    " WHERE slot_name = $1 AND policies <> $2::boolean RETURNING 1)"
    " SELECT pg_catalog.pg_logical_emit_message(true, 'pgtide.ddl',"
    " '{\"tag\":\"PGTIDE POLICIES\",\"objects\":[]}') FROM said";

static const char sample_sql[] =
    "SELECT pg_catalog.pg_current_wal_flush_lsn(), coalesce(wal_status, ''),"
    " coalesce(safe_wal_size::text, ''),"
    " pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_flush_lsn(), restart_lsn)::bigint"
    " FROM pg_catalog.pg_replication_slots WHERE slot_name = $1";

/* With a reason already written by snprintf(). */
static bool failed(struct setup_state *out)
{
    out->verdict = SETUP_FAILED;
    return false;
}

static bool query_failed(const struct setup_config *config, struct setup_state *out)
{
    (void)snprintf(out->reason, sizeof(out->reason), "%s", catalog_error(config->catalog));
    return failed(out);
}

static PGresult *query_name(const struct setup_config *config, const char *sql, const char *name)
{
    return catalog_query(config->catalog, sql, 1, &name);
}

/* One text or truth value about `name`; NULL result is "". The caller frees. */
static char *query_value(const struct setup_config *config, const char *sql, const char *name)
{
    PGresult *result = query_name(config, sql, name);

    if (result == NULL) {
        return NULL;
    }
    char *value = rt_strdup(PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

static bool check_server(const struct setup_config *config, struct setup_state *out)
{
    char *level = query_value(config, "SELECT pg_catalog.current_setting($1)", "wal_level");

    if (level == NULL) {
        return query_failed(config, out);
    }
    bool logical = strcmp(level, "logical") == 0;
    int version = catalog_server_version(config->catalog);
    if (version < OLDEST_SERVER) {
        (void)snprintf(out->reason, sizeof(out->reason),
                       "PostgreSQL %d is too old: pgtide needs version 14 or later",
                       version / 10000);
        (void)failed(out);
    } else if (!logical) {
        (void)snprintf(out->reason, sizeof(out->reason),
                       "wal_level is %s: set wal_level = logical and restart PostgreSQL", level);
        (void)failed(out);
    }
    free(level);
    return version >= OLDEST_SERVER && logical;
}

static bool lock(const struct setup_config *config, struct setup_state *out)
{
    char *locked = query_value(config, lock_sql, config->slot);

    if (locked == NULL) {
        return query_failed(config, out);
    }
    bool mine = locked[0] == 't';
    free(locked);
    if (!mine) {
        out->verdict = SETUP_BUSY;
        (void)snprintf(out->reason, sizeof(out->reason), "another tailer is setting up slot %s",
                       config->slot);
    }
    return mine;
}

static void quote(struct rt_buf *out, const char *name)
{
    rt_buf_putc(out, '"');
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '"') {
            rt_buf_putc(out, '"');
        }
        rt_buf_putc(out, *at);
    }
    rt_buf_putc(out, '"');
}

static bool create_publication(const struct setup_config *config, struct setup_state *out)
{
    struct rt_buf sql = { 0 };

    rt_buf_puts(&sql, "CREATE PUBLICATION ");
    quote(&sql, config->publication);
    rt_buf_puts(&sql, " WITH (publish_via_partition_root = true)");
    PGresult *result = catalog_query(config->catalog, rt_buf_cstr(&sql), 0, NULL);
    rt_buf_fini(&sql);
    if (result == NULL) {
        (void)snprintf(
            out->reason, sizeof(out->reason),
            "publication %s does not exist and cannot be created (%s): run `pgtide init`",
            config->publication, catalog_error(config->catalog));
        return failed(out);
    }
    PQclear(result);
    rt_log_info(config->log, "publication.created", RT_S("publication", config->publication));
    return true;
}

static void warn_of_filters(const struct setup_config *config)
{
    if (catalog_server_version(config->catalog) < COLUMN_LISTS_SINCE) {
        return;
    }
    char *found = query_value(
        config,
        "SELECT count(*) FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p"
        " ON p.oid = r.prpubid WHERE p.pubname = $1 AND (r.prqual IS NOT NULL OR r.prattrs IS NOT "
        "NULL)",
        config->publication);
    if (found != NULL && strcmp(found, "0") != 0) {
        rt_log_warn(config->log, "publication.filtered", RT_S("publication", config->publication),
                    RT_S("tables", found),
                    RT_S("advice", "row filters and column lists hide rows and columns from every "
                                   "client; remove them unless that is wanted"));
    }
    free(found);
}

/* *out_made: it was missing, so an existing slot can never read it. */
static bool check_publication(const struct setup_config *config, struct setup_state *out,
                              bool *out_made)
{
    char *via_root =
        query_value(config, "SELECT pubviaroot FROM pg_catalog.pg_publication WHERE pubname = $1",
                    config->publication);

    if (via_root == NULL) {
        return query_failed(config, out);
    }
    char first = via_root[0];
    free(via_root);
    *out_made = first == '\0';
    if (first == '\0') {
        return create_publication(config, out);
    }
    if (first == 'f') {
        rt_log_warn(config->log, "publication.partitions", RT_S("publication", config->publication),
                    RT_S("advice", "changes of partitions will carry the partition's name; ALTER "
                                   "PUBLICATION … SET (publish_via_partition_root = true)"));
    }
    warn_of_filters(config);
    return true;
}

static bool judge_slot(const struct setup_config *config, const PGresult *row, bool spoilt,
                       struct setup_state *out)
{
    const char *plugin = PQgetvalue(row, 0, 0);
    const char *pid = PQgetvalue(row, 0, 2);
    const char *status = PQgetvalue(row, 0, 3);

    if (strcmp(plugin, "pgoutput") != 0) {
        (void)snprintf(out->reason, sizeof(out->reason),
                       "slot %s is not one of pgtide (plugin \"%s\"): choose another database.slot",
                       config->slot, plugin);
        return failed(out);
    }
    if (PQgetvalue(row, 0, 1)[0] != 't') {
        (void)snprintf(out->reason, sizeof(out->reason),
                       "slot %s belongs to another database: choose another database.slot",
                       config->slot);
        return failed(out);
    }
    if (PQgetvalue(row, 0, 5)[0] == 't') {
        out->verdict = SETUP_BUSY;
        out->active_pid = (int)strtol(pid, NULL, 10);
        (void)snprintf(out->reason, sizeof(out->reason),
                       "standby: slot %s is active for PID %s, another tailer", config->slot, pid);
        return false;
    }
    out->verdict = spoilt || strcmp(status, "lost") == 0 ? SETUP_SPOILT : SETUP_USABLE;
    if (out->verdict == SETUP_SPOILT) {
        (void)snprintf(out->reason, sizeof(out->reason), "slot %s cannot be used any more (%s)",
                       config->slot,
                       spoilt ? "its publication is gone or WAL was removed" : "wal_status lost");
    }
    return lsn_parse(PQgetvalue(row, 0, 4), &out->confirmed_lsn);
}

static bool look_at_slot(const struct setup_config *config, bool spoilt, struct setup_state *out)
{
    PGresult *row = query_name(config, slot_sql, config->slot);

    if (row == NULL) {
        return query_failed(config, out);
    }
    bool go_on = true;
    out->verdict = SETUP_ABSENT;
    if (PQntuples(row) > 0) {
        go_on = judge_slot(config, row, spoilt, out);
    }
    PQclear(row);
    return go_on;
}

static bool write_incarnation(const struct setup_config *config, struct setup_state *out)
{
    char number[24];
    const char *params[] = { config->slot, number };

    out->incarnation = (int64_t)(rt_random64() >> 1);
    (void)snprintf(number, sizeof(number), "%" PRId64, out->incarnation);
    PGresult *result =
        catalog_query(config->catalog,
                      "INSERT INTO pgtide.slot (slot_name, incarnation, created_at) VALUES ($1, "
                      "$2, pg_catalog.now())"
                      " ON CONFLICT (slot_name) DO UPDATE"
                      " SET incarnation = EXCLUDED.incarnation, created_at = EXCLUDED.created_at",
                      2, params);
    if (result == NULL) {
        (void)snprintf(out->reason, sizeof(out->reason),
                       "cannot write pgtide.slot (%s): run `pgtide init`",
                       catalog_error(config->catalog));
        return failed(out);
    }
    PQclear(result);
    return true;
}

static bool find_incarnation(const struct setup_config *config, struct setup_state *out)
{
    char *have = query_value(config, "SELECT incarnation FROM pgtide.slot WHERE slot_name = $1",
                             config->slot);

    if (have == NULL) {
        (void)snprintf(out->reason, sizeof(out->reason),
                       "cannot read pgtide.slot (%s): run `pgtide init`",
                       catalog_error(config->catalog));
        return failed(out);
    }
    bool known = have[0] != '\0';
    int64_t number = strtoll(have, NULL, 10);
    free(have);
    if (known && out->verdict == SETUP_USABLE) {
        out->incarnation = number;
        return true;
    }
    out->renewed = known;
    out->old_incarnation = number;
    return write_incarnation(config, out);
}

static bool look_at_policies(const struct setup_config *config, struct setup_state *out)
{
    const char *params[] = { config->slot, config->policy_publication };
    PGresult *row = catalog_query(config->catalog, policies_sql, 2, params);

    if (row == NULL) {
        return query_failed(config, out);
    }
    out->has_policies = PQgetvalue(row, 0, 0)[0] == 't';
    out->says_policies = PQgetvalue(row, 0, 1)[0] == 't';
    PQclear(row);
    return true;
}

bool setup_has_policies(const struct setup_config *config)
{
    struct setup_state state;

    return look_at_policies(config, &state) && state.has_policies;
}

bool setup_say_policies(const struct setup_config *config, bool streamed)
{
    const char *params[] = { config->slot, streamed ? "true" : "false" };
    PGresult *result = catalog_query(config->catalog, say_policies_sql, 2, params);

    PQclear(result);
    return result != NULL;
}

void setup_look(const struct setup_config *config, bool spoilt, struct setup_state *out)
{
    bool made = false;

    *out = (struct setup_state){ .verdict = SETUP_FAILED };
    if (!check_server(config, out) || !lock(config, out)) {
        return;
    }
    bool fine = check_publication(config, out, &made) &&
                look_at_slot(config, spoilt || made, out) && find_incarnation(config, out) &&
                look_at_policies(config, out);
    if (!fine || out->verdict == SETUP_USABLE) {
        setup_unlock(config);
    }
}

void setup_unlock(const struct setup_config *config)
{
    /* Without the connection the lock is gone already. */
    if (catalog_connected(config->catalog)) {
        free(query_value(config, unlock_sql, config->slot));
    }
}

bool setup_slot_free(const struct setup_config *config)
{
    PGresult *row = query_name(config, slot_sql, config->slot);
    bool is_free = row != NULL && (PQntuples(row) == 0 || PQgetvalue(row, 0, 5)[0] != 't');

    PQclear(row);
    return is_free;
}

bool setup_sample(const struct setup_config *config, struct setup_sample *out)
{
    PGresult *row = query_name(config, sample_sql, config->slot);
    bool there = row != NULL && PQntuples(row) > 0;

    if (there) {
        const char *safe = PQgetvalue(row, 0, 2);
        (void)lsn_parse(PQgetvalue(row, 0, 0), &out->server_lsn);
        (void)snprintf(out->wal_status, sizeof(out->wal_status), "%s", PQgetvalue(row, 0, 1));
        out->safe_bytes = safe[0] == '\0' ? INT64_MAX : strtoll(safe, NULL, 10);
        out->retained = strtoull(PQgetvalue(row, 0, 3), NULL, 10);
    }
    PQclear(row);
    return there;
}
