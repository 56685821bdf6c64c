/* tailer/catalog.h - the second connection: plain SQL for what the replication connection cannot say.
 *
 * Answers the relation cache's questions (tailer/facts.h) and carries out set-up's statements
 * (tailer/setup.h). Connects when first asked and again when the connection is found dead, at most once in
 * CATALOG_RETRY; until then every question is FACTS_DOWN.
 *
 * Synchronous: a call blocks the loop for as long as the answer takes, at most `timeout` (statement_timeout
 * and connect_timeout). The questions are catalog look-ups by oid, well below a millisecond, and are asked at
 * definitions only, never per row.
 */
#ifndef PGTIDE_TAILER_CATALOG_H
#define PGTIDE_TAILER_CATALOG_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "runtime/clock.h"
#include "tailer/facts.h"

#define CATALOG_RETRY RT_SEC

struct rt_counter;
struct rt_log;

struct catalog;

struct catalog_config {
    const char *url;
    const char *policy_publication; /* its tables are facts_table.read_by_policies */
    rt_usec timeout;
    struct rt_log *log;
    struct rt_counter *queries;
};

struct catalog *catalog_new(const struct catalog_config *config);
void catalog_free(struct catalog *catalog);
/* Where the host of the url is, as of now (tailer/dsn.h); copied. Before the first question, if the host is a name:
 * without it, libpq looks the name up, and blocks. */
void catalog_locate(struct catalog *catalog, const char *hosts, const char *addresses);
/* Valid as long as the catalog. */
struct facts_source catalog_facts(struct catalog *catalog);

/* One statement with text parameters. NULL when it failed or there is no connection; catalog_error() then says why,
 * catalog_sqlstate() is its code or "". The caller clears the result. */
PGresult *catalog_query(struct catalog *catalog, const char *sql, int count,
                        const char *const *params);
const char *catalog_error(const struct catalog *catalog);
const char *catalog_sqlstate(const struct catalog *catalog);
/* Whether the last statement reached the server. */
bool catalog_connected(const struct catalog *catalog);
/* As PQserverVersion(); 0 without a connection. */
int catalog_server_version(const struct catalog *catalog);
/* Ends the connection; the next question makes a new one, at once. */
void catalog_close(struct catalog *catalog);

#endif
