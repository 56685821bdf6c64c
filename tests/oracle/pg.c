/* tests/oracle/pg.c - libpq, waiting. */
#include <stdio.h>
#include <time.h>

#include "tests/oracle/judge.h"

bool pg_run(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;

    if (!good) {
        fprintf(stderr, "%.300s\n%s", sql, PQerrorMessage(conn));
    }
    PQclear(result);
    return good;
}

PGresult *pg_ask(PGconn *conn, const char *sql, int count, const char *const *params)
{
    PGresult *result = PQexecParams(conn, sql, count, NULL, params, NULL, NULL, 0);

    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s", PQerrorMessage(conn));
        PQclear(result);
        return NULL;
    }
    return result;
}

PGresult *pg_last(PGconn *conn, const char *sql)
{
    PGresult *last = NULL;
    bool failed = PQsendQuery(conn, sql) == 0;

    for (PGresult *result = PQgetResult(conn); result != NULL; result = PQgetResult(conn)) {
        ExecStatusType status = PQresultStatus(result);
        failed = failed || status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE;
        if (status == PGRES_TUPLES_OK) {
            PQclear(last);
            last = result;
        } else {
            PQclear(result);
        }
    }
    if (failed) {
        PQclear(last);
        last = NULL;
        PQclear(PQexec(conn, "ROLLBACK"));
    }
    return last;
}

double seconds_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
