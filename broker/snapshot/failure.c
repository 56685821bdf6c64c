/* broker/snapshot/failure.c - see failure.h. Error codes: PostgreSQL manual, appendix A. */
#include "broker/snapshot/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct rule {
    const char *state; /* its beginning */
    enum snapshot_failure kind;
    bool again;
};

static const struct rule rules[] = {
    { "42501", SNAPSHOT_FORBIDDEN, false }, { "42P01", SNAPSHOT_TABLE, false },
    { "42703", SNAPSHOT_TABLE, false },     { "3F000", SNAPSHOT_TABLE, false },
    { "57014", SNAPSHOT_TIMEOUT, true },    { "55P03", SNAPSHOT_TIMEOUT, true },
    { "40", SNAPSHOT_OTHER, true }, /* serialization, deadlock */
    { "57P0", SNAPSHOT_CONNECTION, true },  { "08", SNAPSHOT_CONNECTION, true },
};

__attribute__((format(printf, 2, 3))) static void say(struct failure *out, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(out->message, sizeof(out->message), format, args);
    va_end(args);
}

static const char *field(const PGresult *result, int code)
{
    const char *text = PQresultErrorField(result, code);

    return text == NULL ? "" : text;
}

static void about_role(struct failure *out, const char *state, const char *role)
{
    out->kind = SNAPSHOT_FORBIDDEN;
    out->again = false;
    if (strcmp(state, "42501") == 0) {
        say(out,
            "pgtide may not read as role \"%s\": let an administrator GRANT \"%s\" TO the database "
            "user of the broker",
            role, role);
    } else {
        say(out, "role \"%s\" does not exist in the database", role);
    }
}

void failure_of(struct failure *out, const PGresult *result, enum failure_phase phase,
                const char *role, const char *table)
{
    const char *state = field(result, PG_DIAG_SQLSTATE);
    const char *message = field(result, PG_DIAG_MESSAGE_PRIMARY);

    *out = (struct failure){ .kind = SNAPSHOT_OTHER };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (strncmp(state, rules[i].state, strlen(rules[i].state)) == 0) {
            out->kind = rules[i].kind;
            out->again = rules[i].again;
            break;
        }
    }
    out->code = WIRE_CODE_SUBSCRIPTION_FAILED;
    if (phase == FAILURE_ENTERING && (strcmp(state, "42501") == 0 || strcmp(state, "22023") == 0)) {
        about_role(out, state, role);
    } else if (out->kind == SNAPSHOT_TIMEOUT) {
        say(out, "reading table %s took longer than snapshot.timeout", table);
    } else {
        say(out, "table %s cannot be read: %s", table, message[0] == '\0' ? "no result" : message);
    }
    if (out->kind == SNAPSHOT_FORBIDDEN) {
        out->code = WIRE_CODE_FORBIDDEN;
    }
}
