/* broker/channels/publish.c - messages: from clients and from SQL, to each edge with members. */
#include <stdio.h>
#include <string.h>

#include "broker/channel.h"
#include "broker/channels/parts.h"
#include "runtime/json.h"
#include "runtime/shard.h"

enum { WHY_SIZE = 400 };

void write_done(struct channels_edge *edge, uint64_t reply, int code, const char *message,
                const struct wire_place *place)
{
    struct channels *channels = edge->channels;
    const struct channels_events *events = channels->config.events;
    struct wire_done done = { .reply = reply,
                              .code = (uint32_t)code,
                              .message = { message, strlen(message) } };

    if (code != 0) {
        rt_counter_add(channels->metrics.refused, 1);
    }
    if (reply == 0) {
        return;
    }
    if (place != NULL) {
        done.place = *place;
    }
    wire_encode_done(events->out(channels->config.ctx, edge->user, false), &done);
    events->written(channels->config.ctx, edge->user);
}

/* To each edge once; only the sender's learns who sent it. */
static void hand_out(struct topic *topic, const struct wire_broadcast *message,
                     const struct channels_edge *from, bool in_transaction)
{
    struct channels *channels = topic->channels;
    const struct channels_config *config = &channels->config;
    struct wire_broadcast anonymous = *message;

    if (topic->member_count == 0) {
        return;
    }
    anonymous.sender = 0;
    anonymous.to_sender = true;
    wire_writer_clear(&channels->scratch);
    wire_encode_broadcast(&channels->scratch, &anonymous);
    for (uint32_t i = 0; i < topic->member_count; i++) {
        struct channels_edge *edge = topic->members[i].edge;
        struct wire_writer *out = config->events->out(config->ctx, edge->user, in_transaction);
        if (edge == from) {
            wire_encode_broadcast(out, message);
        } else {
            wire_write_raw(out, channels->scratch.data, channels->scratch.len);
        }
        config->events->written(config->ctx, edge->user);
    }
    rt_counter_add(channels->metrics.copies, topic->member_count);
}

static void put(struct topic *topic, struct wire_broadcast *message,
                const struct channels_edge *from, bool in_transaction)
{
    struct channels *channels = topic->channels;

    message->group = topic->group;
    channels->last = message->place;
    ring_keep(topic, &message->place, message->event, message->payload);
    hand_out(topic, message, from, in_transaction);
    topic_drop_if_unused(topic);
}

/* The place of a client's message that comes now. */
static struct wire_place next_place(struct channels *channels)
{
    struct wire_place place = channels_place(channels);
    uint64_t stamp = (uint64_t)channels->config.wall_now();

    place.stamp = stamp > channels->last_stamp ? stamp : channels->last_stamp + 1;
    channels->last_stamp = place.stamp;
    return place;
}

void channels_publish(struct channels_edge *edge, const struct wire_publish *publish,
                      const struct channels_who *who)
{
    struct channels *channels = edge->channels;
    char why[WHY_SIZE] = "";
    int code = 0;

    if (!channels_check(channels, RULES_SEND, publish->channel, who, &code, why, sizeof(why))) {
        write_done(edge, publish->reply, code, why, NULL);
        return;
    }
    if (!channel_clean_text(publish->event) || !rt_json_valid(bytes_of(publish->payload))) {
        write_done(edge, publish->reply, WIRE_CODE_SUBSCRIPTION_FAILED,
                   "the event is not clean text, or the payload is not JSON", NULL);
        return;
    }
    struct topic *topic = topic_get(channels, publish->channel);
    if (topic == NULL) {
        write_done(edge, publish->reply, WIRE_CODE_SUBSCRIPTION_FAILED,
                   "too many channels (channels.max_channels); try again later", NULL);
        return;
    }
    struct wire_broadcast message = { .event = publish->event,
                                      .payload = publish->payload,
                                      .place = next_place(channels),
                                      .sender = publish->sender,
                                      .to_sender = publish->to_sender };
    put(topic, &message, edge, false);
    rt_counter_add(channels->metrics.messages, 1);
    write_done(edge, publish->reply, 0, "", &message.place);
}

/* Up to the next LF; false: there is none. */
static bool line(struct wire_span *rest, struct wire_span *out)
{
    const char *end = rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);

    if (end == NULL) {
        return false;
    }
    *out = (struct wire_span){ rest->data, (size_t)(end - rest->data) };
    rest->len -= out->len + 1;
    rest->data = end + 1;
    return true;
}

void channels_sql(struct channels *channels, const struct wire_position *at,
                  struct wire_span content)
{
    struct wire_span name;
    struct wire_broadcast message = { .place = { .position = *at }, .to_sender = true };

    /* Anybody who may write into the WAL can write this: it is judged as what a client says. */
    bool good = line(&content, &name) && line(&content, &message.event) &&
                channels_is_channel(name) && name.len <= WIRE_CHANNEL_MAX &&
                channel_clean_text(name) && message.event.len <= WIRE_TEXT_MAX &&
                channel_clean_text(message.event) && content.len <= WIRE_PAYLOAD_MAX &&
                rt_json_valid(bytes_of(content));
    if (!good) {
        rt_counter_add(channels->metrics.bad_sql, 1);
        return;
    }
    if (rt_shard_of(name.data, name.len, channels->config.shards) != channels->config.shard) {
        return;
    }
    struct topic *topic = topic_get(channels, name);
    if (topic == NULL) {
        rt_counter_add(channels->metrics.refused, 1);
        return;
    }
    message.payload = content;
    put(topic, &message, NULL, true);
    rt_counter_add(channels->metrics.sql_messages, 1);
}
