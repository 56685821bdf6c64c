/* edge/dialect.h - what a client protocol gives to the server that carries it.
 *
 * A dialect turns client messages into the neutral operations of edge/hub.h and events into frames. It
 * knows no other dialect, no ZeroMQ and no libwebsockets. The server verifies the token (query `token`
 * or Authorization: Bearer; the header wins) before on_open. Of the rest of the query it knows `transactions=true`
 * (edge_conn_wants_transactions()).
 */
#ifndef PGTIDE_EDGE_DIALECT_H
#define PGTIDE_EDGE_DIALECT_H

#include <stddef.h>

#include "edge/conn.h"
#include "edge/token.h"

struct edge_dialect {
    const char *name; /* for logs and metric labels */
    const char *path; /* "/realtime" */
    /* A client connected. token_err TOKEN_OK: *identity is valid and is the dialect's to keep (it moves it out,
     * or calls identity_fini()). Otherwise the dialect refuses in its own way (frame, then
     * edge_conn_close_after()). Returns the session; NULL is a session too. */
    void *(*on_open)(void *dialect, struct edge_conn *conn, enum token_err token_err,
                     struct identity *identity);
    /* One whole text message, valid UTF-8, at most realtime.max_message_size bytes. */
    void (*on_text)(void *session, struct edge_conn *conn, struct rt_span text);
    /* The connection is gone, for whatever reason; forget it. */
    void (*on_close)(void *session, struct edge_conn *conn);
    /* Every realtime.heartbeat_interval, spread over the clients: the dialect's own keep-alive frame. */
    void (*on_heartbeat)(void *session, struct edge_conn *conn);
    /* Over realtime.max_connections: the dialect's frame for it, sent before the close with 1013. */
    struct edge_frame *(*frame_too_many)(void *dialect);
};

#endif
