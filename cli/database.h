/* cli/database.h - one short connection to PostgreSQL, and its words for people.
 *
 * Notices and errors go to standard error with their DETAIL and HINT; "already exists, skipping" is
 * left out, since every command here may be repeated.
 */
#ifndef PGTIDE_CLI_DATABASE_H
#define PGTIDE_CLI_DATABASE_H

#include <stdbool.h>

#include <libpq-fe.h>

/* NULL after saying why not. PQfinish() releases it. `url` is a connection string of libpq. */
PGconn *cli_database_connect(const char *url);
/* Runs one or several statements without parameters; false after saying what failed in `what`. */
bool cli_database_run(PGconn *conn, const char *sql, const char *what);
/* Runs one statement with text parameters. NULL after saying what failed; PQclear() releases it. */
PGresult *cli_database_query(PGconn *conn, const char *sql, int count, const char *const *values);

#endif
