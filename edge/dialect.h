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
#include "edge/handover.h"
#include "edge/http_answer.h"
#include "edge/token.h"

struct edge_carrier;
struct http_exchange;
struct http_request;

/* Whose a request is that came on a dialect's path. */
enum edge_claim {
    EDGE_CLAIM_HERE,      /* this process's */
    EDGE_CLAIM_NEW,       /* of a client that was not there yet: limits apply to it */
    EDGE_CLAIM_ELSEWHERE, /* the process's that is named */
    EDGE_CLAIM_STREAM, /* answered by an event stream, which is a connection from then on (on_open) */
};

/* What a dialect brings that lives in HTTP itself, beside or before its WebSockets. `dialect` is that of its functions below. */
struct edge_http_side {
    /* Before the first request and after the last: what all clients share, and this process's name for edge_claim. After
     * detach nothing of the carrier may be used. */
    void (*attach)(void *dialect, struct edge_carrier *carrier, const char *process);
    void (*detach)(void *dialect);
    bool (*enabled)(void *dialect);
    enum edge_claim (*claim)(void *dialect, const struct http_request *request,
                             char process[HANDOVER_NAME_LEN]);
    /* A request that asks for no WebSocket. It is answered now, or held (edge/http_exchange.h). */
    void (*on_request)(void *dialect, struct http_exchange *exchange,
                       const struct http_request *request);
    /* Whether a WebSocket or a stream may be opened so; NULL, or the answer. on_open follows, with edge_conn_request(). */
    const struct http_answer *(*refuse_upgrade)(void *dialect, const struct http_request *request);
    /* Appends header lines of a stream's answer, each with its CRLF. NULL: none. */
    void (*stream_headers)(void *dialect, const struct http_request *request, struct rt_buf *out);
    /* No new clients; those without a WebSocket are sent away, spread over `spread`. */
    void (*drain)(void *dialect, rt_usec spread);
};

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
    /* One whole binary message, as large; NULL: the dialect has none, and they are refused with 1003. */
    void (*on_binary)(void *session, struct edge_conn *conn, struct rt_span data);
    /* The connection is gone, for whatever reason; forget it. */
    void (*on_close)(void *session, struct edge_conn *conn);
    /* Every realtime.heartbeat_interval, spread over the clients: the dialect's own keep-alive frame. */
    void (*on_heartbeat)(void *session, struct edge_conn *conn);
    /* Over realtime.max_connections: the dialect's frame for it, sent before the close with 1013. */
    struct edge_frame *(*frame_too_many)(void *dialect);
    /* NULL: a WebSocket and nothing else. With it the server leaves tokens alone: on_open is given TOKEN_OK and an empty
     * identity. */
    const struct edge_http_side *http;
};

#endif
