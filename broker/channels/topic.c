/* broker/channels/topic.c - topics by name, and the edges that have somebody in them. */
#include <stdlib.h>
#include <string.h>

#include "broker/channels/parts.h"
#include "runtime/buf.h"

void chain_append(struct chain *chain, struct chain_node *node)
{
    if (chain->end == NULL) {
        chain->end = &chain->first;
    }
    node->next = NULL;
    node->link = chain->end;
    node->chain = chain;
    *chain->end = node;
    chain->end = &node->next;
}

void chain_remove(struct chain_node *node)
{
    if (node->link == NULL) {
        return;
    }
    *node->link = node->next;
    if (node->next != NULL) {
        node->next->link = node->link;
    } else {
        node->chain->end = node->link;
    }
    node->link = NULL;
}

struct wire_span topic_name(const struct topic *topic)
{
    return (struct wire_span){ topic->name, topic->name_len };
}

struct topic *topic_find(const struct channels *channels, struct wire_span name)
{
    return rt_map_get(channels->topics, name.data, name.len);
}

static void count_topics(const struct channels *channels)
{
    rt_gauge_set(channels->metrics.topics, (double)rt_map_count(channels->topics));
}

struct topic *topic_get(struct channels *channels, struct wire_span name)
{
    struct topic *topic = topic_find(channels, name);

    if (topic != NULL || rt_map_count(channels->topics) >= channels->config.topics_max) {
        return topic;
    }
    topic = rt_alloc(sizeof(*topic) + name.len);
    topic->channels = channels;
    topic->group = channels->next_group++;
    topic->floor = channels->forgotten;
    topic->name_len = name.len;
    memcpy(topic->name, name.data, name.len);
    (void)rt_map_put(channels->topics, name.data, name.len, topic);
    count_topics(channels);
    return topic;
}

void topic_drop_if_unused(struct topic *topic)
{
    struct channels *channels = topic->channels;

    if (topic->subs > 0 || topic->kept.first != NULL ||
        (topic->presents != NULL && rt_map_count(topic->presents) > 0)) {
        return;
    }
    if (topic->floor.position.epoch != channels->forgotten.position.epoch ||
        place_cmp(&topic->floor, &channels->forgotten) > 0) {
        channels->forgotten = topic->floor;
    }
    (void)rt_map_remove(channels->topics, topic->name, topic->name_len);
    chain_remove(&topic->in_changed);
    if (topic->presents != NULL) {
        rt_map_free(topic->presents);
    }
    free(topic->members);
    free(topic);
    count_topics(channels);
}

static struct member *member_of(struct topic *topic, const struct channels_edge *edge)
{
    for (uint32_t i = 0; i < topic->member_count; i++) {
        if (topic->members[i].edge == edge) {
            return &topic->members[i];
        }
    }
    return NULL;
}

bool topic_join(struct topic *topic, struct channels_edge *edge)
{
    struct member *member = member_of(topic, edge);

    if (member != NULL) {
        member->count++;
        return false;
    }
    topic->members =
        rt_realloc(topic->members, (size_t)topic->member_count + 1, sizeof(struct member));
    topic->members[topic->member_count++] = (struct member){ .edge = edge, .count = 1 };
    return true;
}

void topic_leave(struct topic *topic, const struct channels_edge *edge)
{
    struct member *member = member_of(topic, edge);

    if (member != NULL && --member->count == 0) {
        *member = topic->members[--topic->member_count];
    }
}

int place_cmp(const struct wire_place *a, const struct wire_place *b)
{
    int by_position = wire_position_cmp(&a->position, &b->position);

    if (by_position != 0) {
        return by_position;
    }
    return a->stamp < b->stamp ? -1 : a->stamp > b->stamp ? 1 : 0;
}

struct wire_place channels_place(struct channels *channels)
{
    struct wire_place place = { .stamp = 0 };

    if (!channels->config.events->position(channels->config.ctx, &place.position) ||
        (place.position.epoch == channels->last.position.epoch &&
         wire_position_cmp(&place.position, &channels->last.position) < 0)) {
        place.position = channels->last.position;
    }
    if (place.position.epoch == channels->last.position.epoch &&
        wire_position_cmp(&place.position, &channels->last.position) == 0) {
        place.stamp = channels->last.stamp;
    }
    return place;
}

void topic_accept(const struct sub *sub, uint32_t group, enum wire_accept_kind kind,
                  const struct wire_place *place)
{
    const struct topic *topic = sub->topic;
    struct channels *channels = topic->channels;
    const struct channels_events *events = channels->config.events;
    void *user = sub->speaker->edge->user;
    struct wire_writer *out = events->out(channels->config.ctx, user, false);

    wire_encode_channel(out, &(struct wire_channel){ .group = group,
                                                     .channel = topic_name(topic),
                                                     .instance = channels->instance,
                                                     .place = *place });
    wire_encode_accept(
        out, &(struct wire_accept){
                 .sub = sub->id, .group = group, .kind = kind, .position = place->position });
    events->written(channels->config.ctx, user);
}
