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
 * A subscription with `since` is fed from the window first: it joins a replay, which is one for all of the same edge
 * and group that come at about the same time, under a number of its own, by the rights of now. Replays are read in turns
 * (route_work()), while their edge has room, and end between transactions where the live stream is; then their
 * subscriptions join their group. What cannot be had is GONE, with the reason and the range that can.
 * What an edge is told of a subscription holds: it has been sent everything up to there, and nothing of another place comes for it. So
 * ACCEPT says at once when one leaves the live stream or a replay that goes on, to a group that brings nothing if it has no place yet; and
 * REPLAYED, once for each (edge, group) at most every ROUTE_REPLAYED_PAUSE, what a replay has read and not shown, as whole transactions.
 * A subscription with `snapshot` gets rows from a job (the owner's) and the window's changes that those do not show.
 *
 * Every frame for an edge stands alone: BEGIN (continued, when an earlier frame had it), deliveries, END when the
 * transaction is over. An edge that nothing is delivered to gets neither, but PROGRESS.
 *
 * Cost: a change, O(groups of the table × edges with members); subscribe and unsubscribe, O(edges of the
 * group); nothing per subscription but when rights change. About 215 bytes a subscription, and 1,900 for a view of its own (all
 * of broker/ together). A change of a table with a million views: 0.7 us for a hit, see tests/bench/README.md. One thread.
 */
#ifndef PGTIDE_BROKER_ROUTE_ROUTE_H
#define PGTIDE_BROKER_ROUTE_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/access.h"
#include "broker/relations.h"
#include "broker/stats.h"
#include "broker/view/asks.h"
#include "broker/view/views.h"
#include "broker/window.h"
#include "broker/xid_snapshot.h"
#include "proto/records.h"
#include "runtime/clock.h"

#define ROUTE_SUBS_MAX       1000000u /* of one edge */
#define ROUTE_IDENTITIES_MAX 1000000u /* of one edge */
#define ROUTE_GROUPS_MAX     4096u    /* of one table */
#define ROUTE_HITS_MAX       4096u    /* judged groups in one record */
#define ROUTE_AHEAD_MAX      16u      /* changes */
#define ROUTE_AHEAD_VIEWS    2048u    /* of one table: about what a processor's caches hold */
#define ROUTE_CLAIMS_MAX                                                                           \
    ((size_t)64 << 20)            /* bytes of claims kept for the identities of one edge */
#define ROUTE_REPLAYS_MAX  8u     /* that have room, at a time; others wait */
#define ROUTE_REPLAY_BYTES 262144 /* read for replays between two calls of route_work() */
#define ROUTE_FRAME_BYTES                                                                          \
    262144u /* a frame for an edge is cut behind the record that passes this */
#define ROUTE_PROGRESS_QUICK (20 * RT_MSEC)
#define ROUTE_PROGRESS_IDLE  RT_SEC
#define ROUTE_REPLAYED_PAUSE RT_SEC
#define ROUTE_START_TIMEOUT  (10 * RT_SEC) /* wait for the tailer's first word */

#define ROUTE_AHEAD_TIMEOUT (30 * RT_SEC) /* for a stream that is not at `since` yet */
#define ROUTE_DESCRIBE_TIMEOUT                                                                     \
    (10 * RT_SEC) /* for the definition of a table whose rows are wanted */

struct audience;
struct route;
struct route_edge;
struct route_snapshot; /* a subscription that wants rows first */
struct viewer;         /* an identity and a filter */

struct route_snapshot_want {
    const char *schema, *table, *role;      /* C strings */
    const struct policy_identity *identity; /* as its view has it; NULL: it sees all rows */
    struct access *access;     /* what may be read; the job takes a reference if it keeps it */
    struct relation *relation; /* likewise; rows are tuples in its order, one value per column */
    const char *condition;     /* of its filter, over a row called t; NULL: none */
    uint32_t page_rows;
    struct wire_span token; /* "": from the start. This and the identity: valid during the call */
    const char *
        *gone; /* set when NULL is returned because the token is not usable: why, a literal */
};

struct route_events {
    /* Wants what `role` may see of the table, from now on: route_access(audience, …), not before this
     * returns. What is returned is given to unwatch. Names are C strings. */
    void *(*watch)(void *ctx, struct audience *audience, const char *schema, const char *table,
                   const char *role);
    void (*unwatch)(void *ctx, void *watch);
    /* A frame for an edge; the bytes are valid during the call. */
    void (*send)(void *ctx, void *edge_user, struct wire_span frame);
    /* Whether replays may send more to this edge without crowding out its live stream. When there is room again,
     * route_work() is called. */
    bool (*room)(void *ctx, void *edge_user);
    /* There is something for route_work() and route_flush(), outside of the calls that bring it. */
    void (*wake)(void *ctx);
    /* The definition of this table is wanted: route_relation() when it comes. */
    void (*describe)(void *ctx, uint32_t oid);
    /* Reads rows for a subscription; returns the job. Never calls back before it returns. NULL: refused for want of
     * resources. The handle is valid until snapshot_cancel or snapshot_live, or until the job ends it. */
    void *(*snapshot)(void *ctx, struct route_snapshot *handle,
                      const struct route_snapshot_want *want);
    void (*snapshot_more)(void *ctx, void *job, uint32_t parts); /* credit; starts at 4 */
    void (*snapshot_caught_up)(void *ctx, void *job);            /* only with `to` */
    void (*snapshot_live)(void *ctx, void *job);                 /* done; drop the job */
    void (*snapshot_cancel)(void *ctx, void *job); /* nobody wants it any more; drop it */
    /* Wants a view: route_view(viewer, …), not before this returns; again after view_access and view_refresh. */
    void *(*view_watch)(void *ctx, struct viewer *viewer, const struct view_want *want);
    void (*view_unwatch)(void *ctx, void *watch);
    void (*view_access)(void *ctx, void *watch, struct access *access);
    void (*view_refresh)(void *ctx, void *watch, uint32_t xid);
    /* Whether route_view() or route_doubt() come by themselves, before route_touched(), when a table changes that its policies
     * read. Asked after view_watch and view_access; NULL: never. */
    bool (*view_kept)(void *ctx, const void *watch);
    /* route_touched() is to tell of this table, by so many more (or, negative, fewer). */
    void (*interest)(void *ctx, uint32_t oid, int by);
    /* As asks_get() and asks_forget(); route_answers() when there are answers. */
    enum ask_state (*ask)(void *ctx, struct view *view, const struct ask_change *change,
                          struct view_verdict *verdict);
    void (*ask_forget)(void *ctx, const struct view *view, uint64_t lsn, uint32_t index);
};

/* On whose behalf a record of an edge is; valid during the call. */
struct route_speaker {
    uint64_t identity;
    const char *role;
    bool authenticated;      /* it came with a token */
    struct wire_span claims; /* "": none, or more than is kept */
};

/* Channels that are not of tables, and the seats of users, belong to somebody else, who shares the edges' sessions: `guest` is what join
 * returned for an edge. */
struct route_guests {
    void *(*join)(void *ctx, struct route_edge *edge);
    /* `linger`: the same edge starts over. */
    void (*leave)(void *ctx, void *guest, bool linger);
    /* Whether a channel is theirs. */
    bool (*owns)(struct wire_span channel);
    void (*subscribe)(void *ctx, void *guest, const struct wire_subscribe *subscribe,
                      const struct route_speaker *speaker);
    /* False: it is not theirs. */
    bool (*unsubscribe)(void *ctx, void *guest, uint64_t sub);
    void (*forget)(void *ctx, void *guest, uint64_t identity);
    void (*publish)(void *ctx, void *guest, const struct wire_publish *publish,
                    const struct route_speaker *speaker);
    void (*track)(void *ctx, void *guest, const struct wire_track *track,
                  const struct route_speaker *speaker);
    void (*untrack)(void *ctx, void *guest, const struct wire_untrack *untrack);
    /* NULL, or why the session cannot go on (a literal). */
    const char *(*seat)(void *ctx, void *guest, const struct wire_seat *seat);
    void (*unseat)(void *ctx, void *guest, const struct wire_unseat *unseat);
};

struct route_config {
    uint32_t shard;
    int64_t shards;
    struct relations *relations;
    struct window *window; /* outlives the route; fed before the route is told */
    struct stats *stats;
    struct match_limits limits; /* of each table */
    uint32_t ahead_views; /* of a table, from which it pays to look ahead; 0: ROUTE_AHEAD_VIEWS */
    const struct route_events *events;
    void *ctx;
    const struct route_guests *guests; /* NULL: none; called with `ctx` */
};

struct route *route_new(const struct route_config *config);
void route_free(struct route *route); /* and its edges */

/* A session of an edge: empty. `user` is given to `send`. */
struct route_edge *route_edge_new(struct route *route, void *user);
/* With its subscriptions and identities; nothing is sent for them. */
void route_edge_free(struct route_edge *edge);
/* The same, for an edge that starts over. */
void route_edge_free_lingering(struct route_edge *edge);
/* For guests: to write a record into, among those of the open transaction or not; then say so, since the frame may be cut there. */
struct wire_writer *route_edge_out(struct route_edge *edge, bool in_transaction);
void route_edge_written(struct route_edge *edge);
void *route_edge_user(const struct route_edge *edge);
/* Everything up to here has been routed; false: nothing has. */
bool route_position(const struct route *route, struct wire_position *out);
/* A message of the edge. NULL, or why the session cannot go on (a literal); records before the bad one count. */
const char *route_edge_message(struct route_edge *edge, struct wire_span message);

/* The answer for an audience. The reference stays the caller's. May free the audience (after unwatch) when it is
 * refused: nobody is left in it. */
void route_access(struct audience *audience, struct access *access);

/* The answer for a viewer; the reference stays the caller's. NULL: refused. May free the viewer (after view_unwatch). Of one that
 * nobody waited for, between transactions: its live subscriptions see by it from here on, and never leave the live stream. */
void route_view(struct viewer *viewer, struct view *view, int code, const char *message);
/* What a viewer that is kept sees may change with the transaction that route_touched() tells of next: a new view is wanted. */
void route_doubt(struct viewer *viewer, uint32_t xid, uint64_t lsn);
/* The database has judged something: replays may go on, in the next route_work(). */
void route_answers(struct route *route);
/* The transaction that begins next, or (`whole` and inside one) has come to its end, changes these tables. Not whole:
 * it may change others as well, and route_touched() comes again at its end. */
void route_touched(struct route *route, const uint32_t *oids, uint32_t count, bool whole,
                   uint32_t xid, uint64_t lsn);

/* The stream. route_change and route_truncate only between begin and end. */
void route_begin(struct route *route, const struct wire_begin *begin);
/* Whether it pays to be told of changes of this table ahead: its views do not fit the processor's caches. */
bool route_looks_ahead(struct route *route, struct relation *relation);
/* Changes that are about to come in this order, or that may: reads their rows and asks for the memory that judging them takes.
 * The rows must stay where they are until the next call; that with 0 forgets them. */
struct route_coming {
    struct relation *relation;
    const struct wire_change *change;
};
void route_ahead(struct route *route, const struct route_coming *coming, uint32_t count);
void route_change(struct route *route, struct relation *relation, const struct wire_change *change);
void route_truncate(struct route *route, struct relation *const *relations, uint32_t count,
                    const struct wire_truncate *truncate);
void route_end(struct route *route, const struct wire_end *end);
void route_progress(struct route *route, const struct wire_progress *progress, rt_usec now);
/* A freshness marker came through: every edge is told. */
void route_fresh(struct route *route, const struct wire_fresh *fresh);
/* PROGRESS to each edge that is behind, ROUTE_PROGRESS_QUICK after its last one, and to one that is not, after
 * ROUTE_PROGRESS_IDLE; REPLAYED for each replay that has come further than its edge can know, every ROUTE_REPLAYED_PAUSE, which costs
 * O(replays that run). True when an edge is still behind: call again after ROUTE_PROGRESS_QUICK. */
bool route_tell(struct route *route, rt_usec now);
/* Ends the transaction at hand, if any, without an END. */
void route_gap(struct route *route, const struct wire_gap *gap);
/* A definition came; after relations_put(). */
void route_relation(struct route *route, struct relation *relation);
/* Sends what has been collected. */
void route_flush(struct route *route);
/* Goes on with replays. True when there is more to do at once. */
bool route_work(struct route *route);
/* About once a second: ends what has waited for too long. */
void route_tick(struct route *route, rt_usec now);

/* --- for jobs of snapshots ---------------------------------------------------------------------------- */

/* Rows, at most WIRE_ROWS_MAX, sent as they are. `last`: the last ones of the table. */
void route_snapshot_rows(struct route_snapshot *handle, const struct wire_tuple *rows,
                         uint32_t count, struct wire_span token, bool last);
/* Delivers from the window what `from` does not see and, if `to` is given, `to` sees, until the stream has passed
 * until_lsn. Then snapshot_caught_up follows; without `to` the subscription is live and snapshot_live follows. Both are
 * copied. False: the window does not reach back far enough; the subscription was ended and snapshot_cancel called. */
bool route_snapshot_catch_up(struct route_snapshot *handle, const struct xid_snapshot *from,
                             const struct xid_snapshot *to, uint64_t until_lsn);
/* End the subscription, and the handle with it, without snapshot_cancel. */
void route_snapshot_refuse(struct route_snapshot *handle, int code, const char *message);
void route_snapshot_gone(struct route_snapshot *handle, const char *message);
/* Whether a commit was evicted from the window lately although `snapshot` does not see it (a synchronous standby
 * that stalled for longer than the window). */
bool route_evicted_unseen(const struct route *route, const struct xid_snapshot *snapshot);

#endif
