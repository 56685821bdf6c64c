/* edge/conn_internal.h - what the server does with a connection that a dialect does not. */
#ifndef PGTIDE_EDGE_CONN_INTERNAL_H
#define PGTIDE_EDGE_CONN_INTERNAL_H

#include "edge/carrier.h"
#include "edge/conn.h"
#include "edge/dialect.h"
#include "edge/ws_frame.h"

/* Takes the socket over, after the handshake. Nothing is read before the loop's next turn. `dialect` outlives it. */
struct edge_conn *edge_conn_new(struct edge_carrier *carrier, int fd,
                                const struct edge_dialect *dialect, struct rt_gauge *gauge);
/* What the request asked for, before the dialect is asked. */
void edge_conn_set_transactions(struct edge_conn *conn, bool wanted);
/* Hands it to the dialect. The identity is the dialect's, see dialect.h. A connection that is never opened
 * gets no callbacks. */
void edge_conn_open(struct edge_conn *conn, void *dialect_ctx, enum token_err err,
                    struct identity *identity);
/* Bytes that came with the request; changed in place. */
void edge_conn_input(struct edge_conn *conn, uint8_t *data, size_t len);
/* Closes at a later time, but goes on normally until then. */
void edge_conn_plan_close(struct edge_conn *conn, rt_usec delay, unsigned code, const char *reason);
/* The configuration has changed: what is copied or armed per connection is renewed. */
void edge_conn_reload(struct edge_conn *conn);
/* Ends a connection at once, without a close frame; on_close is called from here. */
void edge_conn_abort(struct edge_conn *conn);
/* The connection of a node of carrier->conns. */
struct edge_conn *edge_conn_of(struct list_node *node);
/* End of turn: `ctx` is the carrier. */
void edge_conn_flush_all(void *ctx);

#endif
