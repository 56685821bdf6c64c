/* tests/oracle/asks_kit.h - views of a real table, made as the broker makes them, and its rows as changes. For tests and benchmarks
 * of the fallback lane; blocks, and exits where anything fails.
 *
 * Identities are the rows of public.identities (id, role, claims, filter), all under the setting request.jwt.claims.
 */
#ifndef PGTIDE_TESTS_ORACLE_ASKS_KIT_H
#define PGTIDE_TESTS_ORACLE_ASKS_KIT_H

#include <libpq-fe.h>

#include "broker/view/asks.h"
#include "broker/view/view_parts.h"
#include "pg/pool.h"
#include "proto/writer.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

enum { KIT_ROLES = 8 };

struct asks_kit {
    PGconn *conn;
    const char *schema;
    const char *table;
    struct relation *relation;
    struct access *accesses[KIT_ROLES];
    const char *roles[KIT_ROLES];
    int role_count;
    PGresult *identities;
    PGresult *rows;
    struct view **views;
    int view_count;
    int row_count;
    struct view_change *changes;
    struct wire_writer tuple; /* of the change at hand */
};

void asks_kit_open(struct asks_kit *kit, const char *conninfo, const char *schema,
                   const char *table);
void asks_kit_close(struct asks_kit *kit);
PGresult *asks_kit_query(PGconn *conn, const char *sql);
/* Fills in kit->changes: an INSERT of row `row`. */
void asks_kit_change(struct asks_kit *kit, int row);

#endif
