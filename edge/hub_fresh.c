/* edge/hub_fresh.c - how far the clients are, and how fresh that is.
 *
 * The tailer writes a marker into the database every few seconds; it comes back through the whole way that changes take, and
 * a shard hands it on. A shard whose markers stay away is stale: what it delivers may be old, and silence proves nothing. Its
 * clients hear so, and hear when it is over, once for each change of state.
 */
#include <inttypes.h>
#include <stdio.h>

#include "edge/hub_parts.h"
#include "runtime/config.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/process.h"

/* --- how far --------------------------------------------------------------------------------------------------- */

/* Whole transactions only: what is held back or still to come of the one under way does not count. */
static bool whole_up_to(const struct hub_flow *flow, struct wire_position *out)
{
    *out = flow->in_transaction ? flow->done : flow->position;
    return flow->in_transaction ? flow->has_done : flow->has_position;
}

bool hub_shard_progress(const struct hub_shard *shard, struct wire_position *out)
{
    return whole_up_to(&shard->live, out);
}

/* False: it is out of force, or rows of it are still to come, which no position stands for. */
static bool sub_progress(const struct hub_sub *sub, struct wire_position *out)
{
    const struct hub_up *up = sub->up;

    if (sub->audience == NULL || sub->rows != NULL || up->kind == WIRE_ACCEPT_SNAPSHOT) {
        return false;
    }
    /* By its flow, whose records are those that its changes come with: the live stream's progress says nothing of a replay. */
    if (!whole_up_to(hub_group_flow(up->group), out) || hub_position_not_after(out, &up->from)) {
        *out = up->from;
    }
    if (sub->has_after && hub_position_not_after(out, &sub->after)) {
        *out = sub->after;
    }
    return true;
}

bool hub_is_live(const struct hub_client *client)
{
    LIST_EACH(at, after, &client->subs)
    {
        const struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_client);
        if (sub->audience == NULL || sub->up->kind != WIRE_ACCEPT_LIVE) {
            return false;
        }
    }
    return true;
}

bool hub_progress(const struct hub_client *client, struct wire_position *out)
{
    bool any = false;

    LIST_EACH(at, after, &client->subs)
    {
        const struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_client);
        struct wire_position position;
        if (!sub_progress(sub, &position) || (any && position.epoch != out->epoch)) {
            return false;
        }
        if (!any || wire_position_cmp(&position, out) < 0) {
            *out = position;
        }
        any = true;
    }
    return hub_rooms_progress(client, &any, out) && any;
}

/* --- how fresh --------------------------------------------------------------------------------------------------- */

rt_usec hub_fresh_age(const struct hub_shard *shard)
{
    return shard->hub->now() - shard->fresh_at;
}

static void tell_stale(struct hub_shard *shard)
{
    rt_usec age = hub_fresh_age(shard);

    LIST_EACH(up_at, up_after, &shard->ups)
    {
        struct hub_up *up = LIST_ELEMENT(up_at, struct hub_up, in_shard);
        LIST_EACH(at, after, &up->subs)
        {
            struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_up);
            struct hub_client *client = sub->client;
            if (sub->acked && !list_contains_node(&client->in_stale)) {
                list_append(&shard->hub->stale, &client->in_stale);
                client->ops->on_stale(client->session, age);
            }
        }
    }
}

static bool is_stale(const struct hub_client *client)
{
    LIST_EACH(at, after, &client->subs)
    {
        if (LIST_ELEMENT(at, struct hub_sub, in_client)->up->shard->stale) {
            return true;
        }
    }
    return false;
}

static void tell_fresh(struct hub *hub)
{
    LIST_EACH(at, after, &hub->stale)
    {
        struct hub_client *client = LIST_ELEMENT(at, struct hub_client, in_stale);
        if (!is_stale(client)) {
            list_remove(&client->in_stale);
            client->ops->on_fresh(client->session);
        }
    }
}

static void update(struct hub_shard *shard, rt_usec threshold)
{
    rt_usec age = hub_fresh_age(shard);
    bool stale = threshold > 0 && age >= threshold;

    if (stale != shard->stale) {
        shard->stale = stale;
        rt_log_warn(shard->hub->process->log, stale ? "shard.stale" : "shard.fresh",
                    RT_U("shard", shard->index), RT_U("age_ms", age / RT_MSEC));
    }
    if (stale) {
        tell_stale(shard);
    }
}

static void update_condition(struct hub *hub, rt_usec threshold)
{
    const struct hub_shard *oldest = &hub->shards[0];

    for (uint32_t i = 1; i < hub->shard_count; i++) {
        if (hub_fresh_age(&hub->shards[i]) > hub_fresh_age(oldest)) {
            oldest = &hub->shards[i];
        }
    }
    if (threshold == 0) {
        rt_condition_set(hub->fresh, true,
                         "not watched (freshness.interval or freshness.threshold is 0)");
    } else if (oldest->stale) {
        rt_condition_set(hub->fresh, false,
                         "shard %" PRIu32 ": no freshness marker for %" PRId64
                         " s; does the tailer run, and does it reach the database?",
                         oldest->index, hub_fresh_age(oldest) / RT_SEC);
    } else {
        rt_condition_set(hub->fresh, true, "the oldest marker is %" PRId64 " s old",
                         hub_fresh_age(oldest) / RT_SEC);
    }
}

void hub_fresh_tick(struct hub *hub)
{
    const struct rt_config *config = hub->process->config;
    rt_usec threshold = config->freshness_interval > 0 ? config->freshness_threshold : 0;

    for (uint32_t i = 0; i < hub->shard_count; i++) {
        update(&hub->shards[i], threshold);
    }
    tell_fresh(hub);
    update_condition(hub, threshold);
}

void hub_shard_fresh(struct hub_shard *shard, const struct wire_fresh *fresh)
{
    struct hub *hub = shard->hub;
    rt_usec delay = hub->wall_now() - fresh->written_at;

    shard->has_fresh = true;
    shard->fresh_at = hub->now();
    rt_histogram_observe(hub->metrics.fresh_delay, delay > 0 ? (double)delay / 1e6 : 0.0);
    if (shard->stale) {
        hub_fresh_tick(hub);
    }
}
