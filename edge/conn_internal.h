/* edge/conn_internal.h - what the server does with a connection that a dialect does not. */
#ifndef PGTIDE_EDGE_CONN_INTERNAL_H
#define PGTIDE_EDGE_CONN_INTERNAL_H

#include <stdbool.h>
#include <sys/socket.h>

#include "edge/carrier.h"
#include "edge/conn.h"
#include "edge/dialect.h"
#include "edge/ws_frame.h"

/* What frames look like between messages and bytes; one for WebSockets (conn_input.c), one for event streams (edge/sse/). */
struct conn_transport {
    struct edge_frame *(*text)(const void *payload, size_t len); /* of a message for one client */
    struct edge_frame *(*ending)(unsigned code, const char *reason);
    struct edge_frame *(*keep_alive)(const struct edge_carrier *carrier); /* the carrier's */
    void (*input)(struct edge_conn *conn, uint8_t *data, size_t len);
    bool mute; /* its client says nothing after its request, so silence is no sign of death */
};
extern const struct conn_transport conn_websocket;

/* Takes the socket over, after the handshake. Nothing is read before the loop's next turn. `dialect` outlives it. */
struct edge_conn *edge_conn_new(struct edge_carrier *carrier, int fd,
                                const struct conn_transport *transport,
                                const struct edge_dialect *dialect, struct rt_gauge *gauge);
/* permessage-deflate is agreed; the client's window has so many bits (edge/frame_pack.h). Before anything is received. */
void edge_conn_set_deflate(struct edge_conn *conn, unsigned window_bits);
/* What the request asked for, before the dialect is asked. */
void edge_conn_set_transactions(struct edge_conn *conn, bool wanted);
/* The request, for on_open. */
void edge_conn_set_request(struct edge_conn *conn, const struct http_request *request);
/* Hands it to the dialect. The identity is the dialect's, see dialect.h. A connection that is never opened
 * gets no callbacks. */
void edge_conn_open(struct edge_conn *conn, void *dialect_ctx, enum token_err err,
                    struct identity *identity);
/* Where the other side of a socket is; false: it is gone. */
bool edge_conn_peer(int fd, struct sockaddr_storage *out);
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
