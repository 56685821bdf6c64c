/* edge/hub.c - the hub's life: links, readiness, the tick. */
#include "edge/hub.h"

#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/hub_parts.h"
#include "runtime/config.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/process.h"

#define TICK        RT_SEC
#define SWEEP       (60 * RT_SEC)
#define GROUP_GRACE (60 * RT_SEC)

/* --- the links ------------------------------------------------------------------------------------------- */

static void on_session(void *ctx, bool fresh)
{
    struct hub_shard *shard = ctx;

    shard->in_session = true;
    if (!shard->has_fresh) {
        shard->fresh_at = shard->hub->now();
    }
    hub_update_ready(shard->hub, NULL, NULL);
    if (fresh) {
        hub_shard_announce(shard);
    } else {
        hub_shard_resume(shard);
    }
}

static void on_frame(void *ctx, struct rt_span frame)
{
    hub_shard_frame(ctx, frame);
}

/* Subscriptions stay as they are: if the same shard comes back, nothing was lost. */
static void on_down(void *ctx, const char *reason)
{
    struct hub_shard *shard = ctx;

    shard->in_session = false;
    hub_update_ready(shard->hub, shard, reason);
}

static const struct uplink_events link_events = {
    .on_session = on_session,
    .on_frame = on_frame,
    .on_down = on_down,
};

static void shard_init(struct hub *hub, uint32_t index, const struct hub_config *config,
                       uint64_t peer_id)
{
    struct hub_shard *shard = &hub->shards[index];

    shard->hub = hub;
    shard->index = index;
    shard->fresh_at = hub->now();
    list_init(&shard->ups);
    list_init(&shard->merging);
    list_init(&shard->merging_rooms);
    list_init(&shard->topics);
    list_init(&shard->replies);
    list_init(&shard->users);
    shard->seats = rt_map_new();
    shard->passes = rt_map_new();
    shard->topic_groups = rt_map_new();
    shard->replays = rt_map_new();
    hub_flow_init(&shard->live);
    shard->by_number = rt_map_new();
    shard->groups = rt_map_new();
    shard->uplink = uplink_new(&(struct uplink_config){
        .process = config->process,
        .keys = config->keys,
        .peer_id = peer_id,
        .shard = index,
        .events = &link_events,
        .ctx = shard,
    });
}

void hub_update_ready(struct hub *hub, const struct hub_shard *blame, const char *reason)
{
    for (uint32_t i = 0; i < hub->shard_count && blame == NULL; i++) {
        if (!hub->shards[i].in_session) {
            blame = &hub->shards[i];
            reason = "not connected; is its broker running, and does it bind what "
                     "links.broker_publish and "
                     "links.broker_control name?";
        }
    }
    if (blame != NULL) {
        rt_condition_set(hub->ready, false, "shard %" PRIu32 ": %s", blame->index, reason);
    } else {
        rt_condition_set(hub->ready, true, "in session with %" PRIu32 " of %" PRIu32,
                         hub->shard_count, hub->shard_count);
    }
}

/* --- the tick -------------------------------------------------------------------------------------------- */

static void tick_shard(struct hub_shard *shard, bool sweep, rt_usec now)
{
    if (shard->restart && shard->in_session) {
        hub_shard_announce(shard);
    }
    if (sweep) {
        hub_groups_sweep(shard, now - GROUP_GRACE);
    }
    hub_shard_flush(shard);
}

void hub_tick(struct hub *hub)
{
    rt_usec now = hub->now();
    bool sweep = now >= hub->next_sweep;

    hub_expire(hub, hub->wall_now());
    hub_refuse_overdue(hub, now);
    hub_rooms_overdue(hub, now);
    for (uint32_t i = 0; i < hub->shard_count; i++) {
        tick_shard(&hub->shards[i], sweep, now);
    }
    hub_fresh_tick(hub);
    hub_rows_feed(hub);
    if (sweep) {
        hub->next_sweep = now + SWEEP;
    }
}

static void on_timer(void *ctx)
{
    hub_tick(ctx);
}

static void on_hungry(void *ctx)
{
    hub_rows_feed(ctx);
}

struct hub *hub_new(const struct hub_config *config)
{
    struct hub *hub = rt_alloc(sizeof *hub);
    uint64_t peer_id = rt_random64();

    hub->process = config->process;
    hub->now = config->now != NULL ? config->now : rt_now;
    hub->wall_now = config->wall_now != NULL ? config->wall_now : rt_wall_now;
    hub->identities = rt_map_new();
    hub->ups = rt_map_new();
    hub->audiences = rt_map_new();
    hub->topics = rt_map_new();
    hub->passes = rt_map_new();
    hub->room_audiences = rt_map_new();
    hub->replies = rt_map_new();
    hub->users = rt_map_new();
    hub->seats_flush = rt_defer_new(config->process->loop, hub_seats_flush, hub);
    list_init(&hub->room_waiting);
    hub->next_expiry = INT64_MAX;
    list_init(&hub->waiting);
    list_init(&hub->stale);
    list_init(&hub->hungry);
    hub->ready = rt_condition_new(config->process->health, "shards");
    hub->fresh = rt_condition_new(config->process->health, "fresh");
    hub->shard_count = (uint32_t)config->process->config->shards;
    hub_metrics_init(hub, config->process->metrics);
    hub->shards = rt_alloc(hub->shard_count * sizeof *hub->shards);
    for (uint32_t i = 0; i < hub->shard_count; i++) {
        shard_init(hub, i, config, peer_id);
    }
    hub_update_ready(hub, NULL, NULL);
    hub_fresh_tick(hub);
    hub->hungry_timer = rt_timer_new(config->process->loop, on_hungry, hub);
    hub->timer = rt_timer_new(config->process->loop, on_timer, hub);
    rt_timer_set(hub->timer, TICK, TICK);
    return hub;
}

static void shard_fini(struct hub_shard *shard)
{
    uplink_free(shard->uplink);
    hub_groups_drop(shard);
    rt_map_free(shard->groups);
    rt_map_free(shard->by_number);
    rt_map_free(shard->seats);
    rt_map_free(shard->passes);
    rt_map_free(shard->topic_groups);
    rt_map_free(shard->replays);
}

void hub_free(struct hub *hub)
{
    if (hub == NULL) {
        return;
    }
    rt_timer_free(hub->timer);
    rt_timer_free(hub->hungry_timer);
    rt_defer_free(hub->seats_flush);
    for (uint32_t i = 0; i < hub->shard_count; i++) {
        shard_fini(&hub->shards[i]);
    }
    hub_metrics_fini(hub);
    free(hub->shards);
    rt_map_free(hub->identities);
    rt_map_free(hub->ups);
    rt_map_free(hub->audiences);
    rt_map_free(hub->topics);
    rt_map_free(hub->passes);
    rt_map_free(hub->room_audiences);
    rt_map_free(hub->replies);
    rt_map_free(hub->users);
    rt_buf_fini(&hub->key);
    row_encoder_fini(&hub->encoder);
    row_values_fini(&hub->new_row);
    row_values_fini(&hub->old_row);
    rt_buf_fini(&hub->record);
    rt_buf_fini(&hub->old_record);
    rt_buf_fini(&hub->unchanged);
    rt_buf_fini(&hub->too_large);
    free(hub);
}
