/* broker/upstream.h - the tailer's stream, as records: order, duplicates, holes, relation numbers. No I/O.
 *
 * Frames of the link go in, whole and in order; what is new in them goes to the window, whether somebody watches it or
 * not, and to the route. Tables of other shards that policies read come too: nobody here can subscribe to them, so the window
 * does without. A record at or before the last one of the same epoch is dropped: a tailer that restarts sends
 * a part again.
 *
 * Processing stops inside a frame when something must be known first; the rest of the frame is kept here, and the owner gives
 * no further frame until it is done:
 *   relation   a change names a relation that is not known: `need` asks the tailer, whose answer comes
 *              with upstream_message(). After UPSTREAM_NEED_TIMEOUT the change is given up, as a gap.
 *   authority  a RELATION or a "pgtide.ddl" message says that rights may have changed: `fence` reads them again and
 *              says whether to wait; upstream_settled() goes on. A transaction that was told to change rights (a
 *              "pgtide.rights" message before it, or its "pgtide.ddl" in one frame with its BEGIN) is a fence at its
 *              BEGIN: all of its rows are judged by the rights that its commit leaves.
 *
 * Tables can be of interest (upstream_interest): those whose rows decide what policies show. `touches` tells of a transaction that
 * changes one, before the first of its changes is routed; of one that is not whole in its frame that it may, and at its end
 * what it did. Before the whole word the changes themselves are handed over (`touching`), so that whoever keeps something by these tables
 * has it up to date when the transaction's rows are judged.
 *
 * A record that cannot be read ends its frame. Edges are told of a gap, all rights are read again, and the stream goes on with the
 * next BEGIN: known to be incomplete, never silently wrong.
 *
 * Cost: linear in the bytes of a frame; a copy of the rest of it when processing stops. While a table is of interest, one more
 * pass over the frame's values, and a look-up for each change; of a transaction that touches one, two. One thread.
 */
#ifndef PGTIDE_BROKER_UPSTREAM_H
#define PGTIDE_BROKER_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/relations.h"
#include "broker/route/route.h"
#include "broker/stats.h"
#include "broker/window.h"
#include "runtime/clock.h"

#define UPSTREAM_DDL_PREFIX       "pgtide.ddl"
#define UPSTREAM_RIGHTS_PREFIX    "pgtide.rights"
#define UPSTREAM_FRESH_PREFIX     "pgtide.fresh"
#define UPSTREAM_BROADCAST_PREFIX "pgtide.broadcast"
#define UPSTREAM_NEED_REPEAT      (1 * RT_SEC)
#define UPSTREAM_NEED_TIMEOUT     (10 * RT_SEC)

/* Bits; none: running. */
enum { UPSTREAM_WAIT_RELATION = 1, UPSTREAM_WAIT_AUTHORITY = 2 };

struct upstream_events {
    void (*need)(void *ctx, uint32_t rel);
    /* Rights to this table (NULL: to every table) may have changed by the commit at `lsn` of transaction `xid`
     * (0: unknown). True: upstream_settled() follows, not before this returns. */
    bool (*fence)(void *ctx, const struct relation *relation, uint32_t xid, uint64_t lsn);
    /* Other history from here on: what is known of transactions does not hold. Comes before its fence. */
    void (*new_epoch)(void *ctx, uint64_t epoch);
    /* A transaction touches these tables of interest: all of them if `whole`. Comes before its BEGIN is routed, when
     * it touches one or is not known as a whole; then again, whole (with none, perhaps), when its END has been routed. May
     * begin again for the same transaction when that comes again. xid 0: history up to `lsn` was lost, and with it
     * any number of transactions. NULL while nothing is of interest. */
    void (*touches)(void *ctx, const uint32_t *oids, uint32_t count, bool whole, uint32_t xid,
                    uint64_t lsn);
    /* A transaction wrote a "pgtide.broadcast" message, at this place in it. NULL: nobody cares. */
    void (*broadcast)(void *ctx, const struct wire_position *at, struct wire_span content);
    /* A change of a table of interest, NULL: a truncate; in order, each once, before the whole `touches` of its transaction. No
     * relation: some were missed, so that anything may have changed. NULL: nobody wants to know. */
    void (*touching)(void *ctx, struct relation *relation, const struct wire_change *change,
                     uint32_t xid);
    /* What came could not be read. */
    void (*malformed)(void *ctx, const char *why);
};

struct upstream_config {
    struct route *route;
    struct window *window; /* of the same route */
    struct relations *relations;
    struct stats *stats;
    int64_t shard; /* of `shards`; 0 of them: every table is ours */
    int64_t shards;
    const struct upstream_events *events;
    void *ctx;
};

struct upstream;

struct upstream *upstream_new(const struct upstream_config *config);
void upstream_free(struct upstream *up);

/* A table becomes of interest (+1), or does no longer (-1); counted. Inside a transaction, for what comes after it. */
void upstream_interest(struct upstream *up, uint32_t oid, int change);

/* The link is another one: relation numbers start anew, and what was not acknowledged comes again. */
void upstream_restart(struct upstream *up);
/* Frames were lost: edges learn of it with the next record that names a position. */
void upstream_lost(struct upstream *up);
/* Only when upstream_waits() is 0. `now` is monotonic. True when the frame is done. */
bool upstream_frame(struct upstream *up, struct wire_span frame, rt_usec now);
/* A message of the tailer over the side channel. */
void upstream_message(struct upstream *up, struct wire_span message);
void upstream_settled(struct upstream *up);
/* Goes on with what was kept, if nothing is waited for. True when the frame is done. */
bool upstream_continue(struct upstream *up, rt_usec now);
/* Repeats and ends waiting; about ten times a second. */
void upstream_tick(struct upstream *up, rt_usec now);
int upstream_waits(const struct upstream *up);

#endif
