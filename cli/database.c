/* cli/database.c - see database.h. */
#include "cli/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

static void say_field(const PGresult *result, int field, const char *label)
{
    const char *text = PQresultErrorField(result, field);

    if (text != NULL) {
        fprintf(stderr, "  %s: %s\n", label, text);
    }
}

static void say_result(const PGresult *result, const char *fallback)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    if (primary == NULL) {
        cli_say("%s", fallback);
        return;
    }
    fprintf(stderr, "%s: %s\n", severity != NULL ? severity : "ERROR", primary);
    say_field(result, PG_DIAG_MESSAGE_DETAIL, "DETAIL");
    say_field(result, PG_DIAG_MESSAGE_HINT, "HINT");
}

/* duplicate_schema, duplicate_table and duplicate_object as notices: "already exists, skipping". */
static bool is_repetition(const char *sqlstate)
{
    return sqlstate != NULL && (strcmp(sqlstate, "42P06") == 0 || strcmp(sqlstate, "42P07") == 0 ||
                                strcmp(sqlstate, "42710") == 0);
}

static void on_notice(void *ctx, const PGresult *result)
{
    (void)ctx;
    if (!is_repetition(PQresultErrorField(result, PG_DIAG_SQLSTATE))) {
        say_result(result, PQresultErrorMessage(result));
    }
}

PGconn *cli_database_connect(const char *url)
{
    const char *names[] = { "dbname", "fallback_application_name", "connect_timeout", NULL };
    const char *values[] = { url, "pgtide", "10", NULL };
    PGconn *conn = PQconnectdbParams(names, values, 1);

    if (PQstatus(conn) != CONNECTION_OK) {
        cli_say("cannot connect to the database: %s", PQerrorMessage(conn));
        PQfinish(conn);
        return NULL;
    }
    PQsetNoticeReceiver(conn, on_notice, NULL);
    return conn;
}

bool cli_database_run(PGconn *conn, const char *sql, const char *what)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;

    if (!ok) {
        say_result(result, PQerrorMessage(conn));
        cli_say("%s failed", what);
    }
    PQclear(result);
    return ok;
}

PGresult *cli_database_query(PGconn *conn, const char *sql, int count, const char *const *values)
{
    PGresult *result = PQexecParams(conn, sql, count, NULL, values, NULL, NULL, 0);

    if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK) {
        say_result(result, PQerrorMessage(conn));
        PQclear(result);
        return NULL;
    }
    return result;
}
