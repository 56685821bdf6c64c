/* edge/conn.h - one client that stays: bytes in, messages out, budgets and timers. Knows no dialect.
 *
 * It is a WebSocket, or an event stream (edge/sse/sse.h): an HTTP answer that is held, and in which messages follow each
 * other. Everything below holds for both, but that nothing is received on a stream, that its keep-alive is a comment, and that
 * its end says the reason in a comment and, where there is one, the time to come back in a `retry:`.
 *
 * libwebsockets does the handshake (edge/handshake.h); from then on this module reads and writes the
 * socket itself, because that version accepts unmasked frames, copies what a slow socket does not
 * take, and writes one frame per system call (docs/architecture.md says what was measured).
 *
 * Receiving: RFC 6455 complete: masking enforced, fragments joined up to realtime.max_message_size,
 * UTF-8 checked, control frames answered, text only (binary: 1003, unless the dialect takes it). Nothing is buffered while no message
 * is under way. Sending: a queue of shared frames; at the end of a loop turn everything that waits goes
 * out in one writev(2). More than realtime.client_budget bytes waiting closes the connection with 4008;
 * nobody ever waits for a client. A client that agreed to permessage-deflate is sent what edge/frame_pack.h makes of a frame; what counts
 * as waiting is what is really queued.
 *
 * Closing is always by code. After edge_conn_close() the dialect hears on_close exactly once, later and
 * never inside its own call; the conn pointer is valid until on_close returns.
 *
 * Cost: per frame and client one queue slot (8 bytes) and its share of a writev; idle: no buffers.
 */
#ifndef PGTIDE_EDGE_CONN_H
#define PGTIDE_EDGE_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/frame.h"
#include "runtime/buf.h"
#include "runtime/clock.h"

struct edge_conn;
struct http_request;

/* Close codes of our own (4000 to 4999 are for applications, RFC 6455 7.4.2). */
enum {
    EDGE_CLOSE_NORMAL = 1000,
    EDGE_CLOSE_GOING_AWAY = 1001,
    EDGE_CLOSE_PROTOCOL = 1002,
    EDGE_CLOSE_UNSUPPORTED = 1003,
    EDGE_CLOSE_BAD_DATA = 1007,
    EDGE_CLOSE_POLICY = 1008,
    EDGE_CLOSE_TOO_BIG = 1009,
    EDGE_CLOSE_RESTART = 1012,
    EDGE_CLOSE_TRY_LATER = 1013,
    EDGE_CLOSE_SLOW = 4008, /* the client took too long to read; it may come back */
};

/* Queues a frame; takes a reference of its own. Nothing after edge_conn_close(). May close the connection (over budget). */
void edge_conn_send(struct edge_conn *conn, struct edge_frame *frame);
/* For a frame that only this client gets. */
void edge_conn_send_text(struct edge_conn *conn, const void *payload, size_t len);
/* Sends what waits, then a close frame, then closes; at the latest after 2 s. `reason` is cut to 123 bytes. */
void edge_conn_close(struct edge_conn *conn, unsigned code, const char *reason);
/* The same after a pause (realtime.unauthorized_delay); input is ignored from now on. */
void edge_conn_close_after(struct edge_conn *conn, rt_usec delay, unsigned code,
                           const char *reason);
bool edge_conn_is_open(const struct edge_conn *conn);
uint64_t edge_conn_id(const struct edge_conn *conn); /* never reused; for logs */
size_t edge_conn_waiting_bytes(const struct edge_conn *conn);
/* Whether it is an event stream: its frames are made by edge/sse/sse.h. */
bool edge_conn_is_stream(const struct edge_conn *conn);
/* Whether the client asked for whole transactions (?transactions=true); known in on_open. */
bool edge_conn_wants_transactions(const struct edge_conn *conn);
void *edge_conn_session(const struct edge_conn *conn); /* what on_open returned */
/* The request that opened it; in on_open of a dialect with an HTTP side only, else NULL. */
const struct http_request *edge_conn_request(const struct edge_conn *conn);
/* A limit of the dialect's own in the place of realtime.max_message_size. */
void edge_conn_set_max_message(struct edge_conn *conn, uint32_t bytes);

#endif
