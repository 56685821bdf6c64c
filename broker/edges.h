/* broker/edges.h - the edges of this shard: their sessions, their streams, and how long the shard waits for them.
 *
 * An edge says hello with the stream name edge-<16 hex digits of its peer id>; its messages go to its
 * session in the route, and the route's frames for it come to edges_send(). An edge that is silent for the
 * lease, or sends what cannot be read, loses its session with all its subscriptions; when it comes back it starts anew.
 *
 * Waiting: while an edge's ring is more than half full and it acknowledges something now and then, the shard should not
 * go on (edges_must_wait). One that acknowledges nothing for the stall time is not waited for any more, its
 * ring drops the oldest frames, and it learns of that loss by their numbers.
 *
 * One thread. Sessions end between callbacks, never inside one.
 */
#ifndef PGTIDE_BROKER_EDGES_H
#define PGTIDE_BROKER_EDGES_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/route/route.h"
#include "broker/stats.h"
#include "runtime/clock.h"

#define EDGES_MAX 1024u

struct edges;
struct rt_keys;
struct rt_log;
struct rt_loop;
struct rt_metrics;

struct edges_config {
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_metrics *metrics;
    struct stats *stats;
    struct route *route; /* outlives the edges */
    const struct rt_keys *keys;
    const char *publish_bind;
    const char *control_bind;
    bool allow_insecure;
    size_t ring_bytes;
    rt_usec heartbeat;
    rt_usec lease;
    rt_usec stall;
    void (*on_work)(void *ctx); /* messages were handled: the route may have something to send */
    void (*on_room)(void *ctx); /* frames were acknowledged */
    void *ctx;
};

/* NULL after logging when the addresses cannot be bound. */
struct edges *edges_new(const struct edges_config *config);
void edges_free(struct edges *edges);
void edges_send(void *edge_user, struct wire_span frame);
bool edges_must_wait(struct edges *edges, rt_usec now);
/* Whether replays may fill this edge's ring further: up to a quarter, so that its live stream has the rest. */
bool edges_room(const void *edge_user);
/* Whether this edge has said anything for the last few heartbeats. */
bool edges_heard(const void *edge_user);
/* Whether every edge that is alive has acknowledged everything. */
bool edges_idle(const struct edges *edges);
size_t edges_count(const struct edges *edges);

#endif
