/* edge/conn_parts.h - what the files of a connection share; nobody else includes it.
 *
 *   conn.c        life, sending, time
 *   conn_input.c  receiving
 */
#ifndef PGTIDE_EDGE_CONN_PARTS_H
#define PGTIDE_EDGE_CONN_PARTS_H

#include "edge/conn_internal.h"
#include "edge/conn_queue.h"

struct address;
struct rt_io;

enum conn_state { CONN_OPEN, CONN_LEAVING, CONN_CLOSING, CONN_LINGERING, CONN_DEAD };

struct edge_conn {
    struct edge_carrier *carrier;
    struct list_node all;   /* carrier->conns */
    struct list_node dirty; /* carrier->dirty */
    struct wheel_timer timer;
    struct conn_queue queue;
    struct ws_decoder decoder;
    struct rt_io *io;
    const struct conn_transport *transport;
    const struct edge_dialect *dialect;
    void *session;
    const struct http_request *request; /* during on_open */
    struct rt_gauge *gauge;             /* open connections of the dialect */
    struct address *address;            /* where it counts while it is open; NULL: nowhere */
    uint64_t id;
    rt_usec heard;
    rt_usec heartbeat; /* next */
    rt_usec planned;   /* when to close; 0: no plan */
    char *planned_reason;
    int fd;
    uint32_t own_max_message; /* 0: realtime.max_message_size */
    uint16_t planned_code;
    uint16_t close_code; /* of the first close frame; 0: none yet */
    uint8_t state;
    uint8_t window_bits; /* of permessage-deflate; 0: not agreed */
    bool opened;         /* on_close is due */
    bool blocked;        /* the socket takes no more; wait for RT_WRITE */
    bool eof;            /* the client has stopped sending */
    bool transactions;   /* asked for in the request */
};

/* Tells the loop what of the socket is of interest. */
void conn_want(struct edge_conn *conn);
/* The socket is of no use any more. */
void conn_die(struct edge_conn *conn);
/* Reads once and acts on it: there is something to read, or the client has stopped sending. */
void conn_read(struct edge_conn *conn);

#endif
