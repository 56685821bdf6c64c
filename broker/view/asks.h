/* broker/view/asks.h - the fallback lane: PostgreSQL judges what programs cannot.
 *
 * asks_get() asks at its first call for a (view, change) and says PENDING; when answers have come, on_answers follows, and the
 * same call says ANSWERED, any number of times, until asks_forget(). Questions of one turn of the loop, or that come while all
 * connections are busy, go out together: row images times identities. One identity's error is its own.
 *
 * An answer counts only if its statement's snapshot sees the change's transaction; else it is asked again, until the deadline.
 * FAILED: no answer within the deadline, or one that is none: the change must not be delivered, and its subscriber must be told.
 *
 * One thread. Cost: a hash look-up per call; see asks.c for the statements.
 */
#ifndef PGTIDE_BROKER_VIEW_ASKS_H
#define PGTIDE_BROKER_VIEW_ASKS_H

#include "broker/view/view.h"
#include "runtime/clock.h"

struct asks;
struct pg_pool;
struct rt_log;
struct rt_loop;
struct rt_metrics;

struct asks_config {
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_metrics *metrics;
    struct pg_pool *pool; /* outlives the asks */
    rt_usec deadline;
    size_t max_pending; /* questions; beyond: FAILED at once */
    void (*on_answers)(void *ctx);
    void *ctx;
};

struct ask_change {
    uint64_t lsn;   /* of the commit */
    uint32_t index; /* within the transaction */
    uint32_t xid;
    struct relation *relation;      /* referenced as long as it is asked about */
    const struct view_change *rows; /* filled in for this change */
};

enum ask_state { ASK_PENDING, ASK_ANSWERED, ASK_FAILED };

struct asks *asks_new(const struct asks_config *config);
void asks_free(struct asks *asks);
/* *verdict comes in as view_judge() or the index had it: only what is MATCH_ASK is asked; with ANSWERED it is decided. */
enum ask_state asks_get(struct asks *asks, struct view *view, const struct ask_change *change,
                        struct view_verdict *verdict);
/* Answers and questions of this view at or before (lsn, index) are not needed any more; all of them: UINT64_MAX, 0. */
void asks_forget(struct asks *asks, const struct view *view, uint64_t lsn, uint32_t index);

#endif
