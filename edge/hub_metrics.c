/* edge/hub_metrics.c - what the hub counts. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "edge/hub_parts.h"

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
    { METRIC(seats), "pgtide_edge_seats",
      "Connections that count against realtime.max_connections_per_user." },
    { METRIC(shards_ready), "pgtide_edge_shards_in_session",
      "Shards that this edge is in session with." },
};
static const struct metric_row counters[] = {
    { METRIC(deliveries), "pgtide_edge_deliveries_total",
      "Changes received from shards, counted once for each group." },
    { METRIC(repeated), "pgtide_edge_repeated_changes_total",
      "Changes that shards sent again and that were left out, counted for each subscription." },
    { METRIC(encoded), "pgtide_edge_frames_encoded_total",
      "Frames made from changes: one for each change and audience." },
    { METRIC(queued), "pgtide_edge_frames_queued_total",
      "Frames of changes given to clients' queues." },
    { METRIC(errors), "pgtide_edge_encode_errors_total",
      "Records of shards that could not be read or delivered; their subscriptions start over." },
    { METRIC(rows), "pgtide_edge_snapshot_rows_total", "Rows of snapshots given to clients." },
    { METRIC(resumed), "pgtide_edge_resumed_total",
      "Subscriptions of clients that went on from the position that they asked for." },
    { METRIC(gone), "pgtide_edge_resume_gone_total",
      "Subscriptions of clients that could not go on from where they asked to." },
    { METRIC(rights), "pgtide_edge_rights_changed_total",
      "Subscriptions of clients that were told that they see other rows now." },
    { METRIC(gaps), "pgtide_edge_gaps_total", "Gaps that clients were told of." },
    { METRIC(as_text), "pgtide_edge_values_as_text_total",
      "Values that did not read as their type says and were sent as JSON strings." },
    { METRIC(seats_unasked), "pgtide_edge_seats_unasked_total",
      "Connections let in while the shard that counts their user's was not reachable: only those "
      "of this "
      "edge were counted." },
    { METRIC(bad_utf8), "pgtide_edge_invalid_utf8_total",
      "Broken UTF-8 sequences replaced by U+FFFD." },
};
static const char *const code_names[HUB_CODES] = {
    NULL, "UNAUTHORIZED", "FORBIDDEN", "INVALID_CHANNEL", "SUBSCRIPTION_FAILED", "RATE_LIMITED",
};

static void render_metrics(void *ctx)
{
    struct hub *hub = ctx;
    size_t ready = 0;

    for (uint32_t i = 0; i < hub->shard_count; i++) {
        ready += hub->shards[i].in_session ? 1 : 0;
    }
    for (uint32_t i = 0; i < hub->shard_count; i++) {
        rt_gauge_set(hub->metrics.fresh_age[i], (double)hub_fresh_age(&hub->shards[i]) / 1e6);
    }
    rt_gauge_set(hub->metrics.subscriptions, (double)hub->sub_count);
    rt_gauge_set(hub->metrics.upward, (double)hub->up_count);
    rt_gauge_set(hub->metrics.groups, (double)hub->group_count);
    rt_gauge_set(hub->metrics.identities, (double)rt_map_count(hub->identities));
    rt_gauge_set(hub->metrics.seats, (double)hub->seat_count);
    rt_gauge_set(hub->metrics.shards_ready, (double)ready);
}

static void register_ages(struct hub *hub, struct rt_metrics *metrics)
{
    hub->metrics.fresh_age = rt_alloc(hub->shard_count * sizeof(struct rt_gauge *));
    for (uint32_t i = 0; i < hub->shard_count; i++) {
        char label[32];
        (void)snprintf(label, sizeof label, "shard=\"%" PRIu32 "\"", i);
        hub->metrics.fresh_age[i] =
            rt_gauge_new(metrics, "pgtide_edge_fresh_age_seconds", label,
                         "Time since the last freshness marker came from a shard.");
    }
}

void hub_metrics_init(struct hub *hub, struct rt_metrics *metrics)
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
    hub->metrics.seats_refused_here = rt_counter_new(
        metrics, "pgtide_edge_seats_refused_total", "by=\"edge\"",
        "Connections sent away because their user has too many: on this edge, or on all together.");
    hub->metrics.seats_refused = rt_counter_new(
        metrics, "pgtide_edge_seats_refused_total", "by=\"shard\"",
        "Connections sent away because their user has too many: on this edge, or on all together.");
    hub->metrics.delay = rt_histogram_new(
        metrics, "pgtide_edge_commit_delay_seconds", NULL,
        "From a transaction's commit to its first frame in a client's queue, by two clocks.");
    hub->metrics.fresh_delay = rt_histogram_new(
        metrics, "pgtide_edge_fresh_delay_seconds", NULL,
        "From the writing of a freshness marker by the tailer to its arrival, by two clocks.");
    register_ages(hub, metrics);
    rt_metrics_on_render(metrics, render_metrics, hub);
}

void hub_metrics_fini(struct hub *hub)
{
    free(hub->metrics.fresh_age);
}

void hub_count_refusal(struct hub *hub, enum wire_code code)
{
    unsigned index =
        code >= 1 && (unsigned)code < HUB_CODES ? (unsigned)code : WIRE_CODE_SUBSCRIPTION_FAILED;

    rt_counter_add(hub->metrics.refusals[index], 1);
}
