/* edge/hub_up.c - upward subscriptions: one per (identity, channel), announced to the shard of the channel.
 *
 * Numbers on the wire are used once: after an interruption an upward subscription is announced under a new one, so
 * that an answer to the old one cannot be taken for an answer to the new one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/hub_parts.h"
#include "runtime/config.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "runtime/shard.h"

static struct rt_span up_key(struct hub *hub, const struct hub_identity *identity,
                             struct wire_span channel)
{
    rt_buf_clear(&hub->key);
    rt_buf_append(&hub->key, &identity->number, sizeof identity->number);
    rt_buf_append(&hub->key, channel.data, channel.len);
    return rt_buf_span(&hub->key);
}

static void identify(struct hub_shard *shard, struct hub_identity *identity)
{
    uint8_t bit = (uint8_t)(1u << (shard->index % 8));
    uint8_t *byte = &identity->announced[shard->index / 8];

    if ((*byte & bit) == 0) {
        *byte |= bit;
        uplink_identify(shard->uplink, identity->number, &identity->identity);
    }
}

static void announce(struct hub_up *up)
{
    struct hub_shard *shard = up->shard;

    if (!shard->in_session) {
        return;
    }
    identify(shard, up->identity);
    up->number = ++shard->hub->last_number;
    (void)rt_map_put_u64(shard->by_number, up->number, up);
    uplink_subscribe(shard->uplink, up->number, up->identity->number,
                     (struct wire_span){ up->channel, up->channel_len });
}

/* After this, an answer of the shard finds nobody. */
static void forget_number(struct hub_up *up)
{
    if (up->number != 0) {
        (void)rt_map_remove_u64(up->shard->by_number, up->number);
        up->number = 0;
    }
}

static void up_free(struct hub_up *up)
{
    struct hub *hub = up->shard->hub;
    struct rt_span key =
        up_key(hub, up->identity, (struct wire_span){ up->channel, up->channel_len });

    (void)rt_map_remove(hub->ups, key.data, key.len);
    forget_number(up);
    hub_group_assign(up, NULL);
    list_remove(&up->in_shard);
    hub_identity_unref(hub, up->identity);
    free(up);
}

/* What a client subscription of this one may say it is complete up to. The shard's position is never of an older
 * epoch than `from`: hub_up_accept() sees to that. */
static struct wire_position delivered_to(const struct hub_up *up)
{
    const struct hub_shard *shard = up->shard;
    bool ahead = up->from.epoch == shard->position.epoch &&
                 wire_position_cmp(&up->from, &shard->position) > 0;

    return ahead ? up->from : shard->position;
}

static void interrupt_sub(struct hub_sub *sub)
{
    hub_audience_leave(sub);
    if (sub->acked && !sub->interrupted) {
        sub->interrupted = true;
        sub->after = delivered_to(sub->up);
    }
}

static void interrupt(struct hub_up *up)
{
    LIST_EACH(at, after, &up->subs)
    {
        interrupt_sub(LIST_ELEMENT(at, struct hub_sub, in_up));
    }
    hub_group_assign(up, NULL);
}

/* The client goes on under its new identity, from whenever that is accepted. */
static void hand_to_heir(struct hub_sub *sub)
{
    struct hub_sub *heir = sub->heir;
    struct hub_up *up = heir->up;

    interrupt_sub(sub);
    sub->heir = NULL;
    heir->heir_of = NULL;
    list_remove(&sub->in_up);
    sub->up = up;
    list_append(&up->subs, &sub->in_up);
    list_remove(&heir->in_up);
    list_remove(&heir->in_waiting);
    free(heir);
}

struct hub_up *hub_up_get(struct hub *hub, struct hub_identity *identity, struct wire_span channel)
{
    struct rt_span key = up_key(hub, identity, channel);
    struct hub_up *up = rt_map_get(hub->ups, key.data, key.len);

    if (up != NULL) {
        return up;
    }
    up = rt_alloc(sizeof *up + channel.len);
    (void)rt_map_put(hub->ups, key.data, key.len, up);
    up->shard = &hub->shards[rt_shard_of(channel.data, channel.len, hub->shard_count)];
    up->identity = identity;
    identity->refs++;
    list_init(&up->subs);
    list_append(&up->shard->ups, &up->in_shard);
    up->channel_len = channel.len;
    memcpy(up->channel, channel.data, channel.len);
    announce(up);
    return up;
}

void hub_up_attach(struct hub_up *up, struct hub_sub *sub)
{
    sub->up = up;
    list_append(&up->subs, &sub->in_up);
    if (up->group != NULL) {
        struct wire_position position = delivered_to(up);
        hub_sub_arm(sub, &position);
    }
}

void hub_up_drop_if_unused(struct hub_up *up)
{
    if (!list_is_empty(&up->subs)) {
        return;
    }
    if (up->number != 0) {
        uplink_unsubscribe(up->shard->uplink, up->number);
    }
    up_free(up);
}

void hub_up_accept(struct hub_shard *shard, const struct wire_accept *accept)
{
    struct hub_up *up = rt_map_get_u64(shard->by_number, accept->sub);

    if (up == NULL) {
        return; /* unsubscribed meanwhile */
    }
    hub_group_assign(up, hub_group_get(shard, accept->group));
    up->from = accept->position;
    if (!shard->has_position || shard->position.epoch != accept->position.epoch) {
        shard->has_position = true;
        shard->position = accept->position;
    }
    struct wire_position position = delivered_to(up);
    LIST_EACH(at, after, &up->subs)
    {
        hub_sub_arm(LIST_ELEMENT(at, struct hub_sub, in_up), &position);
    }
}

void hub_up_refuse(struct hub_shard *shard, const struct wire_refuse *refuse)
{
    struct hub_up *up = rt_map_get_u64(shard->by_number, refuse->sub);

    if (up == NULL) {
        return;
    }
    forget_number(up);
    interrupt(up);
    LIST_EACH(at, after, &up->subs)
    {
        struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_up);
        if (sub->heir != NULL) {
            hand_to_heir(sub);
        }
    }
    while (!list_is_empty(&up->subs)) {
        struct list_node *first = up->subs.next;
        bool last = first->next == &up->subs;
        /* The last one takes the upward subscription with it. */
        hub_sub_refuse(
            LIST_ELEMENT(first, struct hub_sub, in_up), refuse->code,
            (struct rt_span){ (const uint8_t *)refuse->message.data, refuse->message.len });
        if (last) {
            return;
        }
    }
    hub_up_drop_if_unused(up);
}

static void forget_announcements(struct hub_shard *shard)
{
    struct rt_map_iter iter = rt_map_begin(shard->hub->identities);
    struct hub_identity *identity = NULL;

    while ((identity = rt_map_next(&iter)) != NULL) {
        identity->announced[shard->index / 8] &= (uint8_t) ~(1u << (shard->index % 8));
    }
}

void hub_shard_resume(struct hub_shard *shard)
{
    LIST_EACH(at, after, &shard->ups)
    {
        struct hub_up *up = LIST_ELEMENT(at, struct hub_up, in_shard);
        if (up->number == 0) {
            announce(up);
        }
    }
    hub_shard_flush(shard);
}

void hub_shard_announce(struct hub_shard *shard)
{
    shard->restart = false;
    shard->in_transaction = false;
    LIST_EACH(at, after, &shard->ups)
    {
        struct hub_up *up = LIST_ELEMENT(at, struct hub_up, in_shard);
        interrupt(up);
        if (up->number != 0) { /* a shard that is not a new one may still hold it */
            uplink_unsubscribe(shard->uplink, up->number);
        }
        forget_number(up);
    }
    hub_groups_drop(shard);
    forget_announcements(shard);
    LIST_EACH(at, after, &shard->ups)
    {
        announce(LIST_ELEMENT(at, struct hub_up, in_shard));
    }
    hub_shard_flush(shard);
}

void hub_shard_gap(struct hub_shard *shard, const struct wire_gap *gap)
{
    char reason[WIRE_TEXT_MAX + 1];

    (void)snprintf(reason, sizeof reason, "%.*s", (int)gap->reason.len, gap->reason.data);
    struct hub_gap told = {
        .after = gap->from,
        .position = gap->to,
        .reason = reason,
    };
    rt_log_warn(shard->hub->process->log, "shard.gap", RT_U("shard", shard->index),
                RT_S("reason", reason));
    LIST_EACH(up_at, up_after, &shard->ups)
    {
        struct hub_up *up = LIST_ELEMENT(up_at, struct hub_up, in_shard);
        LIST_EACH(at, after, &up->subs)
        {
            struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_up);
            if (sub->audience != NULL) {
                sub->client->ops->on_gap(sub->client->session, sub->user, &told);
                rt_counter_add(shard->hub->metrics.gaps, 1);
            }
        }
    }
    shard->has_position = true;
    shard->position = gap->to;
}

void hub_shard_flush(struct hub_shard *shard)
{
    if (!uplink_flush(shard->uplink) && shard->in_session) {
        shard->restart = true;
        rt_log_warn(shard->hub->process->log, "shard.announce_failed", RT_U("shard", shard->index));
    }
}
