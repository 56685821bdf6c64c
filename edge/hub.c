/* edge/hub.c - the hub's life: links, readiness, metrics, the tick. */
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

struct metric_row {
    size_t at;
    const char *name;
    const char *help;
};
#define METRIC(field) offsetof(struct hub_metrics, field)

static const struct metric_row gauges[] = {
    { METRIC(subscriptions), "pgtide_edge_subscriptions", "Subscriptions of clients." },
    { METRIC(upward), "pgtide_edge_upward_subscriptions",
      "Subscriptions announced to shards: one for each identity and channel." },
    { METRIC(groups), "pgtide_edge_groups",
      "Groups of subscriptions that see the same of a table." },
    { METRIC(identities), "pgtide_edge_identities", "Different identities of clients." },
    { METRIC(shards_ready), "pgtide_edge_shards_in_session",
      "Shards that this edge is in session with." },
};
static const struct metric_row counters[] = {
    { METRIC(deliveries), "pgtide_edge_deliveries_total",
      "Changes received from shards, counted once for each group." },
    { METRIC(repeated), "pgtide_edge_repeated_changes_total",
      "Changes that a replaced shard sent again and that were left out." },
    { METRIC(encoded), "pgtide_edge_frames_encoded_total",
      "Frames made from changes: one for each change and audience." },
    { METRIC(queued), "pgtide_edge_frames_queued_total",
      "Frames of changes given to clients' queues." },
    { METRIC(errors), "pgtide_edge_encode_errors_total",
      "Records of shards that could not be read or delivered; their subscriptions start over with "
      "a gap." },
    { METRIC(gaps), "pgtide_edge_gaps_total", "Gaps that clients were told of." },
    { METRIC(as_text), "pgtide_edge_values_as_text_total",
      "Values that did not read as their type says and were sent as JSON strings." },
    { METRIC(bad_utf8), "pgtide_edge_invalid_utf8_total",
      "Broken UTF-8 sequences replaced by U+FFFD." },
};
static const char *const code_names[HUB_CODES] = {
    NULL, "UNAUTHORIZED", "FORBIDDEN", "INVALID_CHANNEL", "SUBSCRIPTION_FAILED", "RATE_LIMITED",
};

static void register_metrics(struct hub *hub, struct rt_metrics *metrics)
{
    char *base = (char *)&hub->metrics;

    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        struct rt_gauge *gauge = rt_gauge_new(metrics, gauges[i].name, NULL, gauges[i].help);
        *(struct rt_gauge **)(void *)(base + gauges[i].at) = gauge;
    }
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        struct rt_counter *counter =
            rt_counter_new(metrics, counters[i].name, NULL, counters[i].help);
        *(struct rt_counter **)(void *)(base + counters[i].at) = counter;
    }
    for (unsigned code = 1; code < HUB_CODES; code++) {
        char label[64];
        (void)snprintf(label, sizeof label, "code=\"%s\"", code_names[code]);
        hub->metrics.refusals[code] =
            rt_counter_new(metrics, "pgtide_edge_refusals_total", label,
                           "Subscriptions refused or ended by a shard or the hub.");
    }
    hub->metrics.delay = rt_histogram_new(
        metrics, "pgtide_edge_commit_delay_seconds", NULL,
        "From a transaction's commit to its first frame in a client's queue, by two clocks.");
}

static void render_metrics(void *ctx)
{
    struct hub *hub = ctx;
    size_t ready = 0;

    for (uint32_t i = 0; i < hub->shard_count; i++) {
        ready += hub->shards[i].in_session ? 1 : 0;
    }
    rt_gauge_set(hub->metrics.subscriptions, (double)hub->sub_count);
    rt_gauge_set(hub->metrics.upward, (double)rt_map_count(hub->ups));
    rt_gauge_set(hub->metrics.groups, (double)hub->group_count);
    rt_gauge_set(hub->metrics.identities, (double)rt_map_count(hub->identities));
    rt_gauge_set(hub->metrics.shards_ready, (double)ready);
}

/* --- the links ------------------------------------------------------------------------------------------- */

static void on_session(void *ctx, bool fresh)
{
    struct hub_shard *shard = ctx;

    shard->in_session = true;
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
    list_init(&shard->ups);
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

void hub_count_refusal(struct hub *hub, enum wire_code code)
{
    unsigned index =
        code >= 1 && (unsigned)code < HUB_CODES ? (unsigned)code : WIRE_CODE_SUBSCRIPTION_FAILED;

    rt_counter_add(hub->metrics.refusals[index], 1);
}

/* --- the tick -------------------------------------------------------------------------------------------- */

static void refuse_late(struct hub_sub *sub)
{
    char text[200];
    uint32_t shard = sub->up->shard->index;

    if (sub->up->number == 0) {
        (void)snprintf(text, sizeof text,
                       "the server is not ready: shard %" PRIu32
                       ", which holds this channel, cannot be reached; "
                       "try again later",
                       shard);
    } else {
        (void)snprintf(text, sizeof text,
                       "the server is not ready: shard %" PRIu32
                       " did not answer in time; try again later",
                       shard);
    }
    hub_sub_refuse(sub, WIRE_CODE_SUBSCRIPTION_FAILED,
                   (struct rt_span){ (const uint8_t *)text, strlen(text) });
}

/* Oldest first, so that it ends at the first one that is young. */
static void refuse_overdue(struct hub *hub, rt_usec now)
{
    LIST_EACH(at, after, &hub->waiting)
    {
        struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_waiting);
        rt_usec waited = now - sub->since;
        if (waited < HUB_SUBSCRIBE_TIMEOUT) {
            break;
        }
        bool reachable = sub->up->number != 0 && sub->up->shard->in_session;
        if (!reachable || waited >= HUB_ANSWER_TIMEOUT) {
            refuse_late(sub);
        }
    }
}

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
    refuse_overdue(hub, now);
    for (uint32_t i = 0; i < hub->shard_count; i++) {
        tick_shard(&hub->shards[i], sweep, now);
    }
    if (sweep) {
        hub->next_sweep = now + SWEEP;
    }
}

static void on_timer(void *ctx)
{
    hub_tick(ctx);
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
    hub->next_expiry = INT64_MAX;
    list_init(&hub->waiting);
    register_metrics(hub, config->process->metrics);
    rt_metrics_on_render(config->process->metrics, render_metrics, hub);
    hub->ready = rt_condition_new(config->process->health, "shards");
    hub->shard_count = (uint32_t)config->process->config->shards;
    hub->shards = rt_alloc(hub->shard_count * sizeof *hub->shards);
    for (uint32_t i = 0; i < hub->shard_count; i++) {
        shard_init(hub, i, config, peer_id);
    }
    hub_update_ready(hub, NULL, NULL);
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
}

void hub_free(struct hub *hub)
{
    if (hub == NULL) {
        return;
    }
    rt_timer_free(hub->timer);
    for (uint32_t i = 0; i < hub->shard_count; i++) {
        shard_fini(&hub->shards[i]);
    }
    free(hub->shards);
    rt_map_free(hub->identities);
    rt_map_free(hub->ups);
    rt_map_free(hub->audiences);
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
