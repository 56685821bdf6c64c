/* edge/hub_topic.c - topics of a shard, and the passes by which its clients' identities are in them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/hub_room_parts.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "runtime/shard.h"

static const char restarted[] =
    "the server that holds this channel was restarted: what clients sent around then may be "
    "missing";
static const char too_long[] = "the interruption was longer than messages are kept";

/* --- topics ------------------------------------------------------------------------------------------------- */

static struct hub_topic *topic_get(struct hub *hub, struct wire_span name)
{
    struct hub_topic *topic = rt_map_get(hub->topics, name.data, name.len);

    if (topic != NULL) {
        return topic;
    }
    topic = rt_alloc(sizeof *topic + name.len);
    topic->shard = &hub->shards[rt_shard_of(name.data, name.len, hub->shard_count)];
    topic->presents = rt_map_new();
    topic->keys = rt_map_new();
    list_init(&topic->passes);
    list_init(&topic->key_list);
    topic->name_len = name.len;
    memcpy(topic->name, name.data, name.len);
    list_append(&topic->shard->topics, &topic->in_shard);
    (void)rt_map_put(hub->topics, name.data, name.len, topic);
    return topic;
}

static void forget_group(struct hub_topic *topic)
{
    if (topic->group != 0) {
        (void)rt_map_remove_u64(topic->shard->topic_groups, topic->group);
        topic->group = 0;
    }
}

static void topic_free(struct hub_topic *topic)
{
    struct hub *hub = topic->shard->hub;

    (void)rt_map_remove(hub->topics, topic->name, topic->name_len);
    forget_group(topic);
    list_remove(&topic->in_shard);
    hub_presence_fini(topic);
    rt_map_free(topic->presents);
    rt_map_free(topic->keys);
    free(topic->audiences);
    free(topic);
}

struct wire_place hub_topic_reached(const struct hub_topic *topic)
{
    const struct hub_flow *live = &topic->shard->live;
    struct wire_place place = topic->place;

    if (live->has_position && (place.position.epoch != live->position.epoch ||
                               wire_position_cmp(&place.position, &live->position) < 0)) {
        place = (struct wire_place){ .position = live->position };
    }
    return place;
}

/* --- passes ------------------------------------------------------------------------------------------------- */

static struct rt_span pass_key(struct hub *hub, const struct hub_identity *identity,
                               struct wire_span channel)
{
    rt_buf_clear(&hub->key);
    rt_buf_append(&hub->key, &identity->number, sizeof identity->number);
    rt_buf_append(&hub->key, channel.data, channel.len);
    return rt_buf_span(&hub->key);
}

struct hub_pass *hub_pass_solo(struct hub *hub, struct hub_identity *identity,
                               struct wire_span channel)
{
    struct hub_pass *pass = rt_alloc(sizeof *pass);

    pass->solo = true;
    pass->topic = topic_get(hub, channel);
    pass->identity = identity;
    identity->refs++;
    list_init(&pass->rooms);
    list_init(&pass->heirs);
    list_append(&pass->topic->passes, &pass->in_topic);
    return pass;
}

struct hub_pass *hub_pass_get(struct hub *hub, struct hub_identity *identity,
                              struct wire_span channel)
{
    struct rt_span key = pass_key(hub, identity, channel);
    struct hub_pass *pass = rt_map_get(hub->passes, key.data, key.len);

    if (pass == NULL) {
        pass = hub_pass_solo(hub, identity, channel);
        pass->solo = false;
        key = pass_key(hub, identity, channel);
        (void)rt_map_put(hub->passes, key.data, key.len, pass);
    }
    return pass;
}

static void end_replay(struct hub_pass *pass)
{
    if (pass->replay_group != 0) {
        (void)rt_map_remove_u64(pass->topic->shard->replays, pass->replay_group);
        pass->replay_group = 0;
    }
    pass->resuming = false;
}

static void forget_number(struct hub_pass *pass)
{
    if (pass->number != 0) {
        (void)rt_map_remove_u64(pass->topic->shard->passes, pass->number);
        pass->number = 0;
    }
    end_replay(pass);
}

void hub_pass_drop_if_unused(struct hub_pass *pass)
{
    struct hub_topic *topic = pass->topic;
    struct hub *hub = topic->shard->hub;

    if (!list_is_empty(&pass->rooms) || !list_is_empty(&pass->heirs)) {
        return;
    }
    if (pass->number != 0) {
        uplink_unsubscribe(topic->shard->uplink, pass->number);
    }
    forget_number(pass);
    if (!pass->solo) {
        struct rt_span key = pass_key(hub, pass->identity, topic_name(topic));
        (void)rt_map_remove(hub->passes, key.data, key.len);
    }
    list_remove(&pass->in_topic);
    hub_identity_unref(hub, pass->identity);
    free(pass);
    if (list_is_empty(&topic->passes)) {
        topic_free(topic);
    }
}

void hub_pass_announce(struct hub_pass *pass)
{
    struct hub_shard *shard = pass->topic->shard;
    struct wire_subscribe record = { .channel = topic_name(pass->topic) };
    char stamp[20] = "";

    if (!shard->in_session || pass->number != 0) {
        return;
    }
    hub_identify(shard, pass->identity);
    pass->number = ++shard->hub->last_number;
    (void)rt_map_put_u64(shard->passes, pass->number, pass);
    record.sub = pass->number;
    record.identity = pass->identity->number;
    if (pass->has_since) {
        record.has_since = true;
        record.since = pass->since.position;
        if (pass->since.stamp != 0) {
            (void)snprintf(stamp, sizeof stamp, "%" PRIx64, pass->since.stamp);
        }
        record.token = (struct wire_span){ stamp, strlen(stamp) };
    }
    uplink_subscribe(shard->uplink, &record);
}

/* --- answers ------------------------------------------------------------------------------------------------ */

/* The shard is another one than the topic was known from: what clients sent through that one may be missing. */
static const char *lost_by_restart(const struct hub_pass *pass, uint64_t instance)
{
    const struct hub_topic *topic = pass->topic;
    bool from_before = pass->since.stamp != 0 && pass->since.stamp < instance;

    return pass->has_since && ((topic->known && topic->instance != instance) || from_before)
               ? restarted
               : NULL;
}

static void on_replay(struct hub_pass *pass, uint32_t group)
{
    const char *gap = lost_by_restart(pass, pass->topic->shard->channel.instance);

    end_replay(pass);
    pass->replay_group = group;
    pass->resuming = true;
    (void)rt_map_put_u64(pass->topic->shard->replays, group, pass);
    LIST_EACH(at, after, &pass->rooms)
    {
        struct hub_room *room = LIST_ELEMENT(at, struct hub_room, in_pass);
        if (gap != NULL && (room->asked || room->interrupted)) {
            room->gap = gap;
        }
        hub_room_resume(room);
    }
}

static void take_heirs(struct hub_pass *pass)
{
    LIST_EACH(at, after, &pass->heirs)
    {
        struct hub_room *room = LIST_ELEMENT(at, struct hub_room, in_next);
        list_remove(&room->in_next);
        room->next = NULL;
        hub_room_move(room, pass);
        hub_tracks_announce(room);
    }
}

/* A solo that has caught up is the pass of its identity, unless there is one. */
static void become_shared(struct hub_pass *pass)
{
    struct hub *hub = pass->topic->shard->hub;
    struct rt_span key = pass_key(hub, pass->identity, topic_name(pass->topic));

    if (pass->solo && rt_map_get(hub->passes, key.data, key.len) == NULL) {
        pass->solo = false;
        (void)rt_map_put(hub->passes, key.data, key.len, pass);
    }
}

static void on_live(struct hub_pass *pass, uint32_t group)
{
    struct hub_topic *topic = pass->topic;
    const struct wire_channel *channel = &topic->shard->channel;

    if (topic->group != group) {
        forget_group(topic);
        topic->group = group;
        (void)rt_map_put_u64(topic->shard->topic_groups, group, topic);
    }
    topic->known = true;
    topic->instance = channel->instance;
    topic->place = channel->place;
    end_replay(pass);
    pass->accepted = true;
    pass->has_since = false;
    take_heirs(pass);
    become_shared(pass);
    LIST_EACH(at, after, &pass->rooms)
    {
        hub_room_arm(LIST_ELEMENT(at, struct hub_room, in_pass));
    }
}

bool hub_pass_accept(struct hub_shard *shard, const struct wire_accept *accept)
{
    struct hub_pass *pass = rt_map_get_u64(shard->passes, accept->sub);

    if (pass == NULL) {
        return false;
    }
    if (shard->channel.group == accept->group) {
        if (accept->kind == WIRE_ACCEPT_LIVE) {
            on_live(pass, accept->group);
        } else {
            on_replay(pass, accept->group);
        }
    }
    return true;
}

bool hub_pass_refuse(struct hub_shard *shard, const struct wire_refuse *refuse)
{
    struct hub_pass *pass = rt_map_get_u64(shard->passes, refuse->sub);
    struct rt_span message = { (const uint8_t *)refuse->message.data, refuse->message.len };

    if (pass == NULL) {
        return false;
    }
    forget_number(pass);
    for (;;) {
        bool heir = !list_is_empty(&pass->heirs);
        struct list_node *node = heir ? pass->heirs.next : pass->rooms.next;
        bool only = node->next == (heir ? &pass->heirs : &pass->rooms) &&
                    (!heir || list_is_empty(&pass->rooms));
        hub_room_refuse(heir ? LIST_ELEMENT(node, struct hub_room, in_next)
                             : LIST_ELEMENT(node, struct hub_room, in_pass),
                        refuse->code, message);
        if (only) {
            return true; /* and the pass went with it */
        }
    }
}

bool hub_pass_gone(struct hub_shard *shard, const struct wire_gone *gone)
{
    struct hub_pass *pass = rt_map_get_u64(shard->passes, gone->sub);
    bool left = false;

    if (pass == NULL) {
        return false;
    }
    forget_number(pass);
    pass->has_since = false;
    LIST_EACH(at, after, &pass->rooms)
    {
        struct hub_room *room = LIST_ELEMENT(at, struct hub_room, in_pass);
        if (room->asked) {
            bool only = !left && at->next == &pass->rooms && list_is_empty(&pass->heirs);
            hub_room_gone(room, gone);
            if (only) {
                return true; /* and the pass went with it */
            }
        } else {
            left = true;
            room->gap = room->interrupted ? too_long : NULL;
        }
    }
    hub_pass_announce(pass);
    return true;
}

/* --- a shard's ---------------------------------------------------------------------------------------------- */

static void interrupt(struct hub_topic *topic)
{
    struct wire_place reached = hub_topic_reached(topic);

    LIST_EACH(at, after, &topic->passes)
    {
        struct hub_pass *pass = LIST_ELEMENT(at, struct hub_pass, in_topic);
        if (pass->accepted) {
            pass->accepted = false;
            pass->has_since = true;
            pass->since = reached;
        }
        if (pass->number != 0) { /* a shard that is not a new one may still hold it */
            uplink_unsubscribe(topic->shard->uplink, pass->number);
        }
        forget_number(pass);
        LIST_EACH(room_at, room_after, &pass->rooms)
        {
            hub_room_interrupt(LIST_ELEMENT(room_at, struct hub_room, in_pass));
        }
    }
    forget_group(topic);
    topic->present_known = false;
}

void hub_topics_interrupt(struct hub_shard *shard)
{
    hub_notes_release(&shard->live, UINT64_MAX);
    LIST_EACH(at, after, &shard->topics)
    {
        interrupt(LIST_ELEMENT(at, struct hub_topic, in_shard));
    }
    shard->channel = (struct wire_channel){ 0 };
}

static struct hub_room *next_heir(const struct hub_topic *topic)
{
    LIST_EACH(at, after, &topic->passes)
    {
        struct hub_pass *pass = LIST_ELEMENT(at, struct hub_pass, in_topic);
        if (!list_is_empty(&pass->heirs)) {
            return LIST_ELEMENT(pass->heirs.next, struct hub_room, in_next);
        }
    }
    return NULL;
}

/* Those that wait under a new identity go on there. */
static void hand_to_heirs(struct hub_topic *topic)
{
    struct hub_room *room = NULL;

    while ((room = next_heir(topic)) != NULL) {
        struct hub_pass *pass = room->next;
        if (room->pass->has_since) {
            pass->has_since = true;
            pass->since = room->pass->since;
        }
        list_remove(&room->in_next);
        room->next = NULL;
        hub_room_move(room, pass);
    }
}

static void announce_pass(struct hub_pass *pass)
{
    bool announced = pass->number != 0;

    hub_pass_announce(pass);
    LIST_EACH(at, after, &pass->rooms)
    {
        if (!announced) {
            hub_tracks_announce(LIST_ELEMENT(at, struct hub_room, in_pass));
        }
    }
}

void hub_topics_announce(struct hub_shard *shard)
{
    LIST_EACH(at, after, &shard->topics)
    {
        struct hub_topic *topic = LIST_ELEMENT(at, struct hub_topic, in_shard);
        if (topic->group == 0) {
            hand_to_heirs(topic);
        }
        LIST_EACH(pass_at, pass_after, &topic->passes)
        {
            announce_pass(LIST_ELEMENT(pass_at, struct hub_pass, in_topic));
        }
    }
}

void hub_topics_gap(struct hub_shard *shard, const char *reason)
{
    LIST_EACH(at, after, &shard->topics)
    {
        struct hub_topic *topic = LIST_ELEMENT(at, struct hub_topic, in_shard);
        for (uint32_t i = 0; i < topic->count; i++) {
            for (uint32_t j = 0; j < topic->audiences[i]->count; j++) {
                struct hub_room *room = topic->audiences[i]->members[j].room;
                rt_counter_add(shard->hub->metrics.gaps, 1);
                room->client->ops->on_room_gap(room->client->session, room->user, reason);
            }
        }
    }
}

const char *hub_room_record(struct hub_shard *shard, enum wire_type type, struct wire_reader *in)
{
    struct wire_channel channel;
    struct wire_broadcast broadcast;
    struct wire_presence presence;
    struct wire_done done;
    enum wire_err err = WIRE_OK;

    if (type == WIRE_CHANNEL && (err = wire_decode_channel(in, &channel)) == WIRE_OK) {
        shard->channel = channel;
        shard->channel.channel = (struct wire_span){ "", 0 };
    } else if (type == WIRE_BROADCAST && (err = wire_decode_broadcast(in, &broadcast)) == WIRE_OK) {
        return hub_message_record(shard, &broadcast);
    } else if (type == WIRE_PRESENCE && (err = wire_decode_presence(in, &presence)) == WIRE_OK) {
        struct hub_topic *topic = rt_map_get_u64(shard->topic_groups, presence.group);
        return topic == NULL ? NULL : hub_presence_record(topic, &presence);
    } else if (type == WIRE_DONE && (err = wire_decode_done(in, &done)) == WIRE_OK) {
        return hub_shard_done(shard, &done);
    }
    return err == WIRE_OK ? NULL : wire_err_text(err);
}
