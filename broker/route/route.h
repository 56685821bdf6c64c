/* broker/route/route.h - from a change of a table to the edges whose clients watch it. No I/O.
 *
 *   table      of a channel that somebody watches
 *   audience   (table, role): subscriptions that share the answer to "what may this role see of it?"
 *   group      (table, readable columns): subscriptions that see the same. The unit of routing.
 *   member     (group, edge): how many subscriptions of this edge are in the group
 *   lane       (table, edge): the groups of a table that one edge has members in, ready for a change
 *
 * In come the records of edges (route_edge_message), answers of the authority (route_access) and the stream, in its
 * order and without duplicates (route_begin … route_gap); out go records, collected for each edge until
 * route_flush(). Rights are asked for with `watch` and come with route_access(), now or later, and
 * again whenever they change; nothing is delivered to a role that has not been answered for.
 *
 * A subscription is armed between transactions: inside one it waits for the end. ACCEPT names the position from which
 * it is complete; it comes again when the group changes. GROUP precedes the ACCEPT, if the table's relation is
 * known by then, and always the first DELIVER for it.
 *
 * Every frame for an edge stands alone: BEGIN (continued, when an earlier frame had it), deliveries, END when the
 * transaction is over. An edge that nothing is delivered to gets neither, but PROGRESS.
 *
 * Cost: a change, O(groups of the table × edges with members); subscribe and unsubscribe, O(edges of the
 * group); nothing per subscription but when rights change. About 110 bytes a subscription. One thread.
 */
#ifndef PGTIDE_BROKER_ROUTE_ROUTE_H
#define PGTIDE_BROKER_ROUTE_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/access.h"
#include "broker/relations.h"
#include "broker/stats.h"
#include "broker/window.h"
#include "proto/records.h"
#include "runtime/clock.h"

#define ROUTE_SUBS_MAX       1000000u /* of one edge */
#define ROUTE_IDENTITIES_MAX 1000000u /* of one edge */
#define ROUTE_GROUPS_MAX     4096u    /* of one table */
#define ROUTE_FRAME_BYTES                                                                          \
    262144u /* a frame for an edge is cut behind the record that passes this */
#define ROUTE_PROGRESS_QUICK (20 * RT_MSEC)
#define ROUTE_PROGRESS_IDLE  RT_SEC
#define ROUTE_START_TIMEOUT  (10 * RT_SEC) /* wait for the tailer's first word */

struct audience;
struct route;
struct route_edge;

struct route_events {
    /* Wants what `role` may see of the table, from now on: route_access(audience, …), not before this
     * returns. What is returned is given to unwatch. Names are C strings. */
    void *(*watch)(void *ctx, struct audience *audience, const char *schema, const char *table,
                   const char *role);
    void (*unwatch)(void *ctx, void *watch);
    /* A frame for an edge; the bytes are valid during the call. */
    void (*send)(void *ctx, void *edge_user, struct wire_span frame);
};

struct route_config {
    uint32_t shard;
    int64_t shards;
    struct relations *relations;
    struct window *window; /* outlives the route; fed before the route is told */
    struct stats *stats;
    const struct route_events *events;
    void *ctx;
};

struct route *route_new(const struct route_config *config);
void route_free(struct route *route); /* and its edges */

/* A session of an edge: empty. `user` is given to `send`. */
struct route_edge *route_edge_new(struct route *route, void *user);
/* With its subscriptions and identities; nothing is sent for them. */
void route_edge_free(struct route_edge *edge);
/* A message of the edge. NULL, or why the session cannot go on (a literal); records before the bad one count. */
const char *route_edge_message(struct route_edge *edge, struct wire_span message);

/* The answer for an audience. The reference stays the caller's. May free the audience (after unwatch) when it is
 * refused: nobody is left in it. */
void route_access(struct audience *audience, struct access *access);

/* The stream. route_change and route_truncate only between begin and end. */
void route_begin(struct route *route, const struct wire_begin *begin);
void route_change(struct route *route, struct relation *relation, const struct wire_change *change);
void route_truncate(struct route *route, struct relation *const *relations, uint32_t count,
                    const struct wire_truncate *truncate);
void route_end(struct route *route, const struct wire_end *end);
void route_progress(struct route *route, const struct wire_progress *progress, rt_usec now);
/* A freshness marker came through: every edge is told. */
void route_fresh(struct route *route, const struct wire_fresh *fresh);
/* PROGRESS to each edge that is behind, ROUTE_PROGRESS_QUICK after its last one, and to one that is not, after
 * ROUTE_PROGRESS_IDLE. True when an edge is still behind: call again after ROUTE_PROGRESS_QUICK. */
bool route_tell(struct route *route, rt_usec now);
/* Ends the transaction at hand, if any, without an END. */
void route_gap(struct route *route, const struct wire_gap *gap);
/* Sends what has been collected. */
void route_flush(struct route *route);
/* About once a second: refuses who waits for the tailer's first word for too long. */
void route_tick(struct route *route, rt_usec now);

#endif
