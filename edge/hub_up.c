/* edge/hub_up.c - upward subscriptions: one per (identity, channel, filter), announced to the shard of the channel.
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
                             const struct hub_subject *topic)
{
    rt_buf_clear(&hub->key);
    rt_buf_append(&hub->key, &identity->number, sizeof identity->number);
    rt_buf_append(&hub->key, &topic->channel.len, sizeof topic->channel.len);
    rt_buf_append(&hub->key, topic->channel.data, topic->channel.len);
    rt_buf_putc(&hub->key, (char)topic->filter_kind);
    rt_buf_append(&hub->key, topic->filter.data, topic->filter.len);
    return rt_buf_span(&hub->key);
}

struct hub_subject hub_up_subject(const struct hub_up *up)
{
    return (struct hub_subject){ .channel = { up->text, up->channel_len },
                                 .filter = { up->text + up->channel_len, up->filter_len },
                                 .filter_kind = up->filter_kind };
}

void hub_identify(struct hub_shard *shard, struct hub_identity *identity)
{
    uint8_t bit = (uint8_t)(1u << (shard->index % 8));
    uint8_t *byte = &identity->announced[shard->index / 8];

    if ((*byte & bit) == 0) {
        *byte |= bit;
        uplink_identify(shard->uplink, identity->number, &identity->identity);
    }
}

void hub_up_announce(struct hub_up *up)
{
    struct hub_shard *shard = up->shard;
    struct hub_subject topic = hub_up_subject(up);
    struct wire_subscribe record = { .channel = topic.channel,
                                     .filter = topic.filter,
                                     .filter_kind = topic.filter_kind };
    const struct hub_sub *first = LIST_ELEMENT(up->subs.next, struct hub_sub, in_up);

    if (!shard->in_session) {
        return;
    }
    hub_identify(shard, up->identity);
    up->number = ++shard->hub->last_number;
    (void)rt_map_put_u64(shard->by_number, up->number, up);
    record.sub = up->number;
    record.identity = up->identity->number;
    if (first->rows != NULL) { /* a snapshot is never shared */
        hub_rows_request(first->rows, &record);
    } else {
        record.has_since = hub_up_since(up, &record.since);
    }
    uplink_subscribe(shard->uplink, &record);
}

void hub_up_forget_number(struct hub_up *up)
{
    if (up->number != 0) {
        (void)rt_map_remove_u64(up->shard->by_number, up->number);
        up->number = 0;
    }
}

static void up_free(struct hub_up *up)
{
    struct hub *hub = up->shard->hub;

    if (!up->solo) {
        struct hub_subject topic = hub_up_subject(up);
        struct rt_span key = up_key(hub, up->identity, &topic);
        (void)rt_map_remove(hub->ups, key.data, key.len);
    }
    hub_up_forget_number(up);
    hub_group_assign(up, NULL);
    list_remove(&up->in_shard);
    hub_identity_unref(hub, up->identity);
    hub->up_count--;
    free(up);
}

struct wire_position hub_up_position(const struct hub_up *up)
{
    const struct hub_flow *flow = hub_group_flow(up->group);
    bool behind = flow->has_position && flow->position.epoch == up->from.epoch &&
                  wire_position_cmp(&flow->position, &up->from) < 0;

    return !flow->has_position || behind ? up->from : flow->position;
}

struct hub_up *hub_up_solo(struct hub *hub, struct hub_identity *identity,
                           const struct hub_subject *topic)
{
    struct wire_span channel = topic->channel;
    struct hub_up *up = rt_alloc(sizeof *up + channel.len + topic->filter.len);

    up->solo = true;
    up->shard = &hub->shards[rt_shard_of(channel.data, channel.len, hub->shard_count)];
    up->identity = identity;
    identity->refs++;
    list_init(&up->subs);
    list_append(&up->shard->ups, &up->in_shard);
    up->channel_len = (uint32_t)channel.len;
    memcpy(up->text, channel.data, channel.len);
    up->filter_kind = topic->filter_kind;
    up->filter_len = (uint32_t)topic->filter.len;
    if (topic->filter.len > 0) {
        memcpy(up->text + channel.len, topic->filter.data, topic->filter.len);
    }
    hub->up_count++;
    return up;
}

struct hub_up *hub_up_get(struct hub *hub, struct hub_identity *identity,
                          const struct hub_subject *topic)
{
    struct rt_span key = up_key(hub, identity, topic);
    struct hub_up *up = rt_map_get(hub->ups, key.data, key.len);

    if (up == NULL) {
        up = hub_up_solo(hub, identity, topic);
        up->solo = false;
        (void)rt_map_put(hub->ups, key.data, key.len, up);
    }
    return up;
}

void hub_up_attach(struct hub_up *up, struct hub_sub *sub)
{
    sub->up = up;
    list_append(&up->subs, &sub->in_up);
    if (up->group != NULL) {
        struct wire_position position = hub_up_position(up);
        hub_sub_arm(sub, &position);
    } else if (up->number == 0) {
        hub_up_announce(up);
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

/* A solo has caught up: it becomes the shared one of its topic, or its subs join that. The audiences stay as they are. */
static void join_shared(struct hub_up *up)
{
    struct hub *hub = up->shard->hub;
    struct hub_subject topic = hub_up_subject(up);
    struct rt_span key = up_key(hub, up->identity, &topic);
    struct hub_up *shared = rt_map_get(hub->ups, key.data, key.len);
    struct list_node *node = NULL;

    if (shared == NULL) {
        up->solo = false;
        (void)rt_map_put(hub->ups, key.data, key.len, up);
    } else if (shared->group == up->group) {
        while ((node = list_pop(&up->subs)) != NULL) {
            struct hub_sub *sub = LIST_ELEMENT(node, struct hub_sub, in_up);
            sub->up = shared;
            list_append(&shared->subs, node);
        }
        hub_up_drop_if_unused(up);
    }
}

static void point_at(struct hub_up *up, struct hub_group *group, const struct wire_accept *accept)
{
    struct hub_flow *live = &up->shard->live;

    LIST_EACH(at, after, &up->subs)
    {
        hub_sub_settle(LIST_ELEMENT(at, struct hub_sub, in_up));
    }
    hub_group_assign(up, group);
    up->kind = accept->kind;
    up->from = accept->position;
    if (accept->kind == WIRE_ACCEPT_LIVE &&
        (!live->has_position || live->position.epoch != accept->position.epoch)) {
        live->has_position = true;
        live->position = accept->position;
    }
}

const char *hub_up_accept(struct hub_shard *shard, const struct wire_accept *accept)
{
    struct hub_up *up = rt_map_get_u64(shard->by_number, accept->sub);
    bool live = accept->kind == WIRE_ACCEPT_LIVE;

    if (up == NULL) {
        return NULL; /* unsubscribed meanwhile */
    }
    struct hub_group *group = hub_group_get(shard, accept->group);
    if (live ? group->replay != NULL : !hub_group_make_replay(group)) {
        return "a group that is live and a replay";
    }
    point_at(up, group, accept);
    LIST_EACH(at, after, &up->subs)
    {
        hub_sub_arm(LIST_ELEMENT(at, struct hub_sub, in_up), &accept->position);
    }
    if (live && up->solo) {
        join_shared(up);
    }
    return NULL;
}

void hub_up_rights(struct hub_shard *shard, const struct wire_rights *rights)
{
    const struct hub_up *up = rt_map_get_u64(shard->by_number, rights->sub);

    if (up == NULL) {
        return; /* unsubscribed meanwhile */
    }
    LIST_EACH(at, after, &up->subs)
    {
        struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_up);
        if (sub->acked && sub->heir_of == NULL && sub->client->ops->on_rights != NULL) {
            hub_sub_settle(sub);
            rt_counter_add(sub->client->hub->metrics.rights, 1);
            sub->client->ops->on_rights(sub->client->session, sub->user, &rights->position);
        }
    }
}

void hub_up_refuse(struct hub_shard *shard, const struct wire_refuse *refuse)
{
    struct hub_up *up = rt_map_get_u64(shard->by_number, refuse->sub);
    struct rt_span message = { (const uint8_t *)refuse->message.data, refuse->message.len };

    if (up == NULL) {
        return;
    }
    hub_up_forget_number(up);
    for (;;) {
        struct hub_sub *sub = LIST_ELEMENT(up->subs.next, struct hub_sub, in_up);
        bool only = up->subs.next->next == &up->subs;
        if (sub->heir != NULL) {
            hub_sub_inherit(sub);
        } else {
            hub_sub_refuse(sub, refuse->code, message);
        }
        if (only) {
            return; /* the last one takes the upward subscription with it */
        }
    }
}
