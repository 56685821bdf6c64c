/* pg/pgconn.h - one connection to PostgreSQL that never blocks the loop and comes back by itself.
 *
 * One statement at a time. Its result comes with on_result; a connection that is lost, or a statement that
 * takes longer than the timeout, comes as on_down, and what was asked is not answered any more. Attempts to
 * connect start 100 ms apart and double up to retry_max, with jitter.
 *
 * A statement asked `by_row` gives each row to on_row as it arrives, and its end (no rows) to on_result. Its reader may
 * pause: then nothing is read from the server, which waits once the sockets are full, and the timeout rests.
 *
 * A text of several statements (simple query protocol) is one statement here: an error is its result, else the last of its
 * results that has rows. What an error interrupts stays an open, failed transaction: send ROLLBACK (pool.h does).
 *
 * Sessions are read-only, with an empty search_path, and print values as the tailer's do: ISO dates in UTC, hex bytea, shortest floats.
 *
 * Callbacks run from the loop, never from inside a call of this module. All but on_row may free the connection. A host name is looked up beside the loop
 * (runtime/resolve.h); only in a list of several hosts, or in a service file, libpq does it itself, and blocks.
 */
#ifndef PGTIDE_PG_PGCONN_H
#define PGTIDE_PG_PGCONN_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "runtime/clock.h"

struct pgconn;
struct rt_loop;

struct pgconn_events {
    void (*on_up)(void *ctx);
    void (*on_down)(void *ctx, const char *reason); /* also for each attempt that fails; one line */
    void (*on_result)(void *ctx, const PGresult *result); /* the module frees it */
    void (*on_row)(void *ctx, const PGresult *row); /* one row; NULL if none is asked by_row */
};

struct pgconn_config {
    struct rt_loop *loop;
    const char *conninfo;         /* string or URI; copied */
    const char *application_name; /* copied */
    rt_usec timeout;              /* for connecting, the look-up included, and for one statement */
    rt_usec statement_timeout;    /* for one statement, if it is another; else 0 */
    rt_usec retry_max;
    const struct pgconn_events *events;
    void *ctx;
};

struct pgconn *
pgconn_new(const struct pgconn_config *config); /* begins to connect in the next turn */
void pgconn_free(struct pgconn *conn);
/* Connected, and no statement under way. */
bool pgconn_ready(const struct pgconn *conn);
/* Text parameters, text results. False when not ready; a connection that turns out broken is told by on_down. */
bool pgconn_send(struct pgconn *conn, const char *sql, int param_count, const char *const *params);

struct pgconn_query {
    const char *sql;
    int param_count;
    const char *const *params; /* text; NULL for a null */
    const Oid *types;          /* of the parameters; NULL: as the server infers them */
    bool by_row;
    bool text; /* several statements; neither parameters nor by_row */
};
bool pgconn_query(struct pgconn *conn, const struct pgconn_query *query);
/* Of a statement asked by_row; off again with its end. */
void pgconn_pause(struct pgconn *conn, bool paused);
/* Connected, with a transaction open or under way. */
bool pgconn_in_transaction(const struct pgconn *conn);

#endif
