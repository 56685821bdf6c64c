/* pg/pool.h - a few connections that many users take in turn.
 *
 * A lease is a place in the queue, and then a connection for one user until it is given back. Connections are made
 * when somebody waits, up to `connections`, and closed when nobody needed them for a minute.
 *
 * A connection that is given back with a statement under way, or a transaction open, is not used by anybody else
 * until the statement has ended (its rows are dropped) and ROLLBACK is done; failing that it is closed.
 *
 * Callbacks run from the loop, never from inside a call of this module. All but on_row may free the lease.
 */
#ifndef PGTIDE_PG_POOL_H
#define PGTIDE_PG_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pg/pgconn.h"

struct pg_pool;
struct pg_lease;

struct pg_pool_config {
    struct rt_loop *loop;
    const char *conninfo;         /* copied, as pgconn does */
    const char *application_name; /* copied */
    unsigned connections;         /* at most */
    rt_usec timeout;              /* of an attempt to connect */
    rt_usec statement_timeout;
    rt_usec retry_max;
};

struct pg_lease_events {
    void (*on_ready)(void *ctx); /* the connection is there */
    void (*on_result)(void *ctx, const PGresult *result);
    void (*on_row)(void *ctx, const PGresult *row);
    void (*on_lost)(void *ctx, const char *reason); /* and is gone: the lease can only be freed */
};

struct pg_pool *pg_pool_new(const struct pg_pool_config *config);
void pg_pool_free(struct pg_pool *pool); /* after its leases */
/* Leases without a connection. */
size_t pg_pool_waiting(const struct pg_pool *pool);
/* Why there is no connection at all; NULL when there is one, or none was tried yet. */
const char *pg_pool_trouble(const struct pg_pool *pool);

/* At the end of the queue. */
struct pg_lease *pg_lease_new(struct pg_pool *pool, const struct pg_lease_events *events,
                              void *ctx);
void pg_lease_free(struct pg_lease *lease); /* gives the connection back; NULL is fine */
/* As pgconn_query(), texts of several statements included, and pgconn_pause(). */
bool pg_lease_query(struct pg_lease *lease, const struct pgconn_query *query);
void pg_lease_pause(struct pg_lease *lease, bool paused);
/* Of the server's session behind the connection, for who keeps something there (prepared statements): no other of this pool has the same,
 * not even the connection's next one. 0: there is none. */
uint64_t pg_lease_session(const struct pg_lease *lease);

#endif
