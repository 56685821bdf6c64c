/* tailer/links.h - the tailer's side of the links to the broker shards: one stream per shard.
 *
 * Streams are there from the start, so that what a shard missed waits for it: nothing is dropped
 * (RT_RING_HOLD), and the owner stops reading PostgreSQL while links_behind() says that one holds too much. What a
 * shard has acknowledged is kept for the window, for a process that takes its place.
 */
#ifndef PGTIDE_TAILER_LINKS_H
#define PGTIDE_TAILER_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tailer/publish.h"

struct rt_condition;
struct rt_config;
struct rt_keys;
struct rt_log;
struct rt_loop;
struct rt_metrics;

struct links;

struct links_events {
    void (*on_fresh)(void *ctx, uint32_t shard); /* its subscriber is a new one */
    void (*on_ack)(void *ctx, uint32_t shard);
    void (*on_message)(void *ctx, uint32_t shard, struct rt_span message);
};

struct links_config {
    const struct rt_config *config;
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_metrics *metrics;
    const struct rt_keys *keys;
    const struct links_events *events;
    void *ctx;
};

/* Binds. NULL after logging why not. */
struct links *links_new(const struct links_config *config);
void links_free(struct links *links);
struct publish_sink links_sink(struct links *links);
/* To the shard's subscriber over the side channel; false when there is none. */
bool links_message(struct links *links, uint32_t shard, struct rt_span message);
size_t links_pending(const struct links *links, uint32_t shard);
/* A shard with more than `bytes` pending, or -1. Cost: one look per shard. */
int64_t links_behind(const struct links *links, size_t bytes);
bool links_acked(const struct links *links, uint32_t shard); /* everything */
bool links_all_acked(const struct links *links);
/* Its frames are dropped; its subscriber begins anew, as with another tailer. Not from inside an event. */
void links_renew(struct links *links, uint32_t shard);
/* Sets "ok", or which shard is absent. */
void links_report(const struct links *links, struct rt_condition *condition);

#endif
