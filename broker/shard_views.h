/* broker/shard_views.h - what the route asks of the database about views: carried to broker/view/, and back.
 *
 * Owns the pool of connections, the makers of views and the fallback lane. Answers reach the route from the loop, never from inside
 * a call but shard_views_touched(). One thread; no cost of its own.
 */
#ifndef PGTIDE_BROKER_SHARD_VIEWS_H
#define PGTIDE_BROKER_SHARD_VIEWS_H

#include "broker/route/route.h"

struct rt_config;
struct rt_log;
struct rt_loop;
struct rt_metrics;
struct shard_views;

struct shard_views_config {
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_metrics *metrics;
    const struct rt_config *config;
    struct route **route;       /* set before the first answer */
    void (*on_work)(void *ctx); /* the route has something to do */
    void *ctx;
};

/* NULL: an entry of policies.claims_settings cannot be used; the log says which. */
struct shard_views *shard_views_new(const struct shard_views_config *config);
void shard_views_free(struct shard_views *all); /* after the route */
/* Other history: transactions waited for may never become visible in it. */
void shard_views_new_epoch(struct shard_views *all);

/* As views_change() and views_touched(). */
void shard_views_change(struct shard_views *all, struct relation *relation,
                        const struct wire_change *change, uint32_t xid);
void shard_views_touched(struct shard_views *all, const uint32_t *oids, uint32_t count,
                         uint32_t xid, uint64_t lsn);

/* For route_events. */
void *shard_views_watch(struct shard_views *all, struct viewer *viewer,
                        const struct view_want *want);
enum ask_state shard_views_ask(struct shard_views *all, struct view *view,
                               const struct ask_change *change, struct view_verdict *verdict);
void shard_views_forget(struct shard_views *all, const struct view *view, uint64_t lsn,
                        uint32_t index);

#endif
