/* broker/channels/resume.c - subscriptions that go on behind a place: when they can, what they get, and when they cannot. */
#include <string.h>

#include "broker/channels/parts.h"

void channels_sub_live(struct sub *sub)
{
    struct topic *topic = sub->topic;
    struct wire_place place = channels_place(topic->channels);

    chain_remove(&sub->in_waiting);
    sub->live = true;
    bool first = topic_join(topic, sub->speaker->edge);
    topic_accept(sub, topic->group, WIRE_ACCEPT_LIVE, &place);
    if (first) {
        presence_tell_all(topic, sub->speaker->edge);
    }
}

static void write_gone(struct sub *sub, enum wire_gone_reason reason, const char *message,
                       const struct wire_position *newest)
{
    struct channels *channels = sub->topic->channels;
    const struct channels_events *events = channels->config.events;
    void *user = sub->speaker->edge->user;
    struct wire_gone gone = { .sub = sub->id,
                              .reason = reason,
                              .message = { message, strlen(message) },
                              .oldest = sub->topic->floor.position,
                              .newest = *newest };

    wire_encode_gone(events->out(channels->config.ctx, user, false), &gone);
    events->written(channels->config.ctx, user);
    rt_counter_add(channels->metrics.gone, 1);
}

static void end(struct sub *sub, enum wire_gone_reason reason, const char *message,
                const struct wire_position *newest)
{
    write_gone(sub, reason, message, newest);
    channels_sub_free(sub);
}

/* What is kept behind its place, and then what comes. All at once, so nothing can come in between. */
static void replay(struct sub *sub)
{
    struct topic *topic = sub->topic;
    struct channels *channels = topic->channels;
    const struct channels_events *events = channels->config.events;
    void *user = sub->speaker->edge->user;
    uint32_t group = channels->next_group++;
    struct kept *kept = CHAIN_ELEMENT(topic->kept.first, struct kept, in_topic);

    topic_accept(sub, group, WIRE_ACCEPT_REPLAY, &sub->since);
    while (kept != NULL) {
        if (kept->place.position.epoch == sub->since.position.epoch &&
            place_cmp(&kept->place, &sub->since) > 0) {
            wire_encode_broadcast(
                events->out(channels->config.ctx, user, false),
                &(struct wire_broadcast){
                    .group = group,
                    .event = { kept->bytes, kept->event_len },
                    .payload = { kept->bytes + kept->event_len, kept->payload_len },
                    .place = kept->place,
                    .to_sender = true });
            events->written(channels->config.ctx, user);
            rt_counter_add(channels->metrics.copies, 1);
        }
        kept = CHAIN_ELEMENT(kept->in_topic.next, struct kept, in_topic);
    }
    channels_sub_live(sub);
}

/* Before anything that is still kept. */
static bool is_too_old(const struct sub *sub)
{
    const struct topic *topic = sub->topic;
    const struct channels_config *config = &topic->channels->config;
    struct wire_position floor;

    if (topic->floor.position.epoch == sub->since.position.epoch &&
        place_cmp(&sub->since, &topic->floor) < 0) {
        return true;
    }
    return config->events->floor(config->ctx, &floor) &&
           (floor.epoch != sub->since.position.epoch ||
            wire_position_cmp(&sub->since.position, &floor) < 0);
}

/* False: not yet. */
static bool try(struct sub *sub, rt_usec now)
{
    static const char too_old[] = "messages behind this place are not kept any more";
    const struct channels_config *config = &sub->topic->channels->config;
    rt_usec waited = now - sub->began;
    struct wire_position at = { .epoch = 0 };

    if (!config->events->position(config->ctx, &at)) {
        if (waited < CHANNELS_START_TIMEOUT) {
            return false;
        }
        end(sub, WIRE_GONE_AHEAD, "the database's change stream is not connected", &at);
    } else if (sub->since.position.epoch != at.epoch) {
        end(sub, WIRE_GONE_EPOCH, "the place is of another history of the database", &at);
    } else if (is_too_old(sub)) {
        end(sub, WIRE_GONE_TOO_OLD, too_old, &at);
    } else if (wire_position_cmp(&sub->since.position, &at) > 0) {
        if (waited < CHANNELS_AHEAD_TIMEOUT) {
            return false;
        }
        end(sub, WIRE_GONE_AHEAD, "the database has not been at this place", &at);
    } else if (!config->events->room(config->ctx, sub->speaker->edge->user)) {
        return false;
    } else {
        replay(sub);
    }
    return true;
}

void channels_sub_place(struct sub *sub)
{
    struct channels *channels = sub->topic->channels;

    sub->began = channels->config.now();
    if (!sub->has_since) {
        channels_sub_live(sub);
    } else if (!try(sub, sub->began)) {
        chain_append(&channels->waiting, &sub->in_waiting);
    }
}

void channels_resume(struct channels *channels, rt_usec now)
{
    struct sub *sub = CHAIN_ELEMENT(channels->waiting.first, struct sub, in_waiting);

    while (sub != NULL) {
        struct sub *next = CHAIN_ELEMENT(sub->in_waiting.next, struct sub, in_waiting);
        (void)try(sub, now);
        sub = next;
    }
}
