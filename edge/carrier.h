/* edge/carrier.h - what all clients of one process share: loop, timers, the receive buffer, counters.
 *
 * Owned by the server; conn.c and http_client.c work with it. Clients that have something to send or
 * to end are put on `dirty`, which is worked off once, at the end of the loop's turn.
 */
#ifndef PGTIDE_EDGE_CARRIER_H
#define PGTIDE_EDGE_CARRIER_H

#include <stddef.h>
#include <stdint.h>

#include "edge/edge_metrics.h"
#include "edge/frame_pack.h"
#include "edge/list.h"
#include "edge/timer_wheel.h"

struct addresses;
struct edge_frame;
struct rt_config;
struct rt_defer;
struct rt_log;
struct rt_loop;
struct rt_timer;

enum { CARRIER_INPUT_BYTES = 65536 };

struct edge_carrier {
    struct rt_loop *loop;
    struct rt_log *log;
    const struct rt_config *config;
    struct edge_metrics metrics;
    struct timer_wheel *wheel;
    struct rt_timer *tick; /* runs while the wheel has a timer */
    bool ticking;
    uint8_t *input; /* CARRIER_INPUT_BYTES; its content is valid within one callback */
    uint64_t next_id;

    /* clients that stay: WebSockets and event streams */
    struct list_node conns; /* all of them */
    struct list_node dirty;
    struct rt_defer *flush;
    struct frame_packer packer; /* of all that have agreed to permessage-deflate */
    struct ws_inflater *inflater;
    struct edge_frame *ping;
    struct edge_frame *comment;  /* the same for event streams */
    struct addresses *addresses; /* of those that were let in */
    size_t conn_count;
    size_t queue_bytes;
    void (*on_conn_freed)(void *owner); /* after the last trace of a client is gone */
    void *owner;
};

struct rt_process;

void edge_carrier_init(struct edge_carrier *carrier, const struct rt_process *process);
/* After all clients are gone. */
void edge_carrier_fini(struct edge_carrier *carrier);
/* Monotonic time; due in the past fires within a tick (50 ms). */
void edge_carrier_set_timer(struct edge_carrier *carrier, struct wheel_timer *timer, rt_usec due);
/* When a client that is sent away now should come back, for admission_reason(). */
unsigned edge_carrier_retry_ms(const struct edge_carrier *carrier);
void edge_carrier_cancel_timer(struct edge_carrier *carrier, struct wheel_timer *timer);

#endif
