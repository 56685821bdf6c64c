/* broker/shard_snapshot.h - the snapshots of a shard: between the route, which has the subscriptions and the window, and
 * snapshot/, which reads tables.
 *
 * The functions are the snapshot events of the route (route.h); none calls the route before it returns. After a job has
 * told the route something, `on_work` says that there may be something to send.
 */
#ifndef PGTIDE_BROKER_SHARD_SNAPSHOT_H
#define PGTIDE_BROKER_SHARD_SNAPSHOT_H

#include <stdint.h>

#include "broker/route/route.h"
#include "broker/window.h"

#define SHARD_SNAPSHOTS_MAX 10000u /* at a time; each costs about 2 KiB while it waits */

struct rt_config;
struct rt_log;
struct rt_loop;
struct rt_metrics;
struct shard_snapshots;

struct shard_snapshots_config {
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_metrics *metrics;
    const struct rt_config *config; /* outlives it */
    struct route *route;
    const struct window *window;
    void (*on_work)(void *ctx);
    /* What is known of this table is not what the database has: wants its definition again. */
    void (*describe)(void *ctx, uint32_t oid);
    void *ctx;
};

struct shard_snapshots *shard_snapshots_new(const struct shard_snapshots_config *config);
/* After the route, which cancels what is left of them. */
void shard_snapshots_free(struct shard_snapshots *snapshots);

/* NULL: too many, the table is not described yet, or the token is not usable (*want->gone). */
void *shard_snapshots_start(struct shard_snapshots *snapshots, struct route_snapshot *handle,
                            const struct route_snapshot_want *want);
void shard_snapshots_more(void *snapshot, uint32_t parts);
void shard_snapshots_caught_up(void *snapshot);
/* It is not wanted any more, or live: the handle is invalid. */
void shard_snapshots_drop(void *snapshot);

#endif
