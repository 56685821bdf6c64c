/* edge/engineio/engineio.h - Engine.IO 4 for the dialects above it: sessions over long polling, WebSockets and the way from one to
 * the other (reference/seed-protocols.md 1.1).
 *
 * The session is edge/engineio/session.h; this gives it sockets, time and a name. A session's id names its process, so that a
 * request that the kernel gives to another process of the same port is passed on (edge/handover.h). Engine.IO knows nothing of what its
 * messages mean; what stands on it is an `app`.
 *
 * Memory of a client: about 500 bytes here, and its connection while it has one. One thread.
 */
#ifndef PGTIDE_EDGE_ENGINEIO_ENGINEIO_H
#define PGTIDE_EDGE_ENGINEIO_ENGINEIO_H

#include "edge/dialect.h"
#include "edge/engineio/session.h"

struct engineio;
struct engineio_conn;
struct rt_process;

struct engineio_app {
    bool (*enabled)(void *app);
    /* The configuration now. Called for each new session, so that a reload takes effect. */
    void (*settings)(void *app, struct eio_settings *out);
    /* A client is there. `request` is the one that opened the session, valid during the call. Returns its user. */
    void *(*on_open)(void *app, struct engineio_conn *conn, const struct http_request *request);
    void (*on_message)(void *user, struct rt_span text); /* valid UTF-8 */
    void (*on_timer)(void *user);                        /* what engineio_set_timer() asked for */
    /* It is gone; exactly once, and never inside a call of the app's. */
    void (*on_close)(void *user);
};

struct engineio_config {
    const struct rt_process *process;
    const struct engineio_app *app; /* outlives it */
    void *app_ctx;
    const char *name; /* label of metrics */
};

/* Never NULL. */
struct engineio *engineio_new(const struct engineio_config *config);
void engineio_free(struct engineio *engine); /* after the server */
/* The `dialect` of its functions is the struct engineio. */
extern const struct edge_http_side engineio_http_side;
/* Fills what is Engine.IO's of a dialect. */
void engineio_fill_dialect(struct edge_dialect *dialect);

/* A text frame that holds a whole packet ("4…"); takes its own reference. */
void engineio_send(struct engineio_conn *conn, struct edge_frame *frame);
void engineio_send_text(struct engineio_conn *conn, const void *text, size_t len);
/* The client is told; on_close follows. It may come back (the code is one of edge/conn.h's). */
void engineio_close(struct engineio_conn *conn, unsigned code, const char *reason);
bool engineio_is_open(const struct engineio_conn *conn);
/* One timer per client, monotonic; 0: none. */
void engineio_set_timer(struct engineio_conn *conn, rt_usec due);
size_t engineio_waiting(const struct engineio_conn *conn);

#endif
