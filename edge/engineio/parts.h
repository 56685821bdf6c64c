/* edge/engineio/parts.h - what the files of Engine.IO's glue share; nobody else includes it.
 *
 *   client.c    a client: what its session asks for, its time, its beginning and its end
 *   engineio.c  requests and WebSockets, and the whole
 */
#ifndef PGTIDE_EDGE_ENGINEIO_PARTS_H
#define PGTIDE_EDGE_ENGINEIO_PARTS_H

#include "edge/carrier.h"
#include "edge/engineio/engineio.h"
#include "edge/list.h"

struct rt_map;

struct engineio {
    struct engineio_config config;
    struct edge_carrier *carrier; /* NULL: not attached */
    char process[HANDOVER_NAME_LEN + 1];
    struct rt_map *sessions;
    struct list_node all;
    struct list_node dirty; /* to be flushed, or to be looked at whether they are over */
    struct rt_defer *work;
    struct rt_gauge *open;
    struct rt_counter *opened;
    struct rt_counter *upgraded;
    struct rt_counter *refused;
    size_t count;
};

struct engineio_conn {
    struct engineio *engine;
    struct eio_session *session;
    struct eio_settings settings;
    void *user;
    struct list_node all;
    struct list_node dirty;
    struct wheel_timer timer;     /* the session's */
    struct wheel_timer app_timer; /* the app's */
    struct wheel_timer leave;     /* when the server drains */
    struct edge_conn *ws;         /* the transport or the probe, for engineio_waiting() */
    unsigned sockets;             /* WebSockets that point here */
    char sid[EIO_SID_LEN + 1];
    bool told; /* the app knows that it is gone */
    bool counted_upgrade;
};

/* Looked at again at the end of the turn: flushed, and freed when it is over. */
void engineio_mark(struct engineio_conn *conn);
/* `ws` NULL: over polling. */
struct engineio_conn *engineio_conn_new(struct engineio *engine, const struct http_request *request,
                                        struct edge_conn *ws);
void engineio_conn_free(struct engineio_conn *conn);
struct engineio_conn *engineio_find(struct engineio *engine, const struct eio_request *request);
void engineio_work(void *ctx); /* the end of a turn; ctx is the engine */

#endif
