/* broker/channels/presence.c - who is in a room, and what of it has changed since the last tick. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/channel.h"
#include "broker/channels/parts.h"
#include "runtime/buf.h"
#include "runtime/json.h"

enum { WHY_SIZE = 400 };

static struct present *next_changed(struct chain_node *node)
{
    return CHAIN_ELEMENT(node, struct present, in_changed);
}

static void mark(struct present *present)
{
    struct topic *topic = present->topic;

    if (present->in_changed.link == NULL) {
        chain_append(&topic->changed, &present->in_changed);
    }
    if (topic->in_changed.link == NULL) {
        chain_append(&topic->channels->changed, &topic->in_changed);
    }
}

static void count(struct channels *channels, int by)
{
    channels->present_count += (size_t)by;
    rt_gauge_set(channels->metrics.presents, (double)channels->present_count);
}

static void present_free(struct present *present)
{
    struct topic *topic = present->topic;
    struct channels *channels = topic->channels;

    (void)rt_map_remove_u64(topic->presents, present->ref);
    chain_remove(&present->in_speaker);
    chain_remove(&present->in_changed);
    chain_remove(&present->in_lingering);
    channels->metas_bytes -= present->key_len + present->meta_len;
    count(channels, -1);
    free(present->key);
    free(present);
}

void presents_drop_all(struct topic *topic)
{
    if (topic->presents == NULL) {
        return;
    }
    struct rt_map_iter iter = rt_map_begin(topic->presents);
    struct present *present = NULL;
    while ((present = rt_map_next(&iter)) != NULL) {
        rt_map_iter_remove(&iter);
        present_free(present);
    }
}

static bool is_gone(const struct present *present)
{
    return present->speaker == NULL && present->lingers_until == 0;
}

void present_abandon(struct present *present, bool linger)
{
    struct topic *topic = present->topic;
    struct channels *channels = topic->channels;

    chain_remove(&present->in_speaker);
    chain_remove(&present->in_lingering);
    present->speaker = NULL;
    present->lingers_until = 0;
    if (linger) {
        present->lingers_until = channels->config.now() + channels->config.grace;
        chain_append(&channels->lingering, &present->in_lingering);
    } else if (present->told) {
        mark(present);
    } else { /* nobody has heard of it */
        present_free(present);
        topic_drop_if_unused(topic);
    }
}

/* --- track and untrack ----------------------------------------------------------------------------------- */

static void set_meta(struct present *present, struct wire_span meta)
{
    struct channels *channels = present->topic->channels;

    channels->metas_bytes += meta.len;
    channels->metas_bytes -= present->meta_len;
    present->key = rt_realloc(present->key, present->key_len + meta.len + 1, 1);
    memcpy(present->key + present->key_len, meta.data, meta.len);
    present->meta_len = meta.len;
}

static struct present *present_new(struct topic *topic, const struct wire_track *track)
{
    struct present *present = rt_alloc(sizeof(*present));

    if (topic->presents == NULL) {
        topic->presents = rt_map_new();
    }
    present->ref = track->ref;
    present->topic = topic;
    present->key = rt_alloc(track->key.len + 1);
    present->key_len = track->key.len;
    memcpy(present->key, track->key.data, track->key.len);
    topic->channels->metas_bytes += track->key.len;
    set_meta(present, track->meta);
    (void)rt_map_put_u64(topic->presents, track->ref, present);
    count(topic->channels, 1);
    mark(present);
    return present;
}

/* What is wrong with the record itself; NULL: nothing. */
static const char *check_track(const struct channels *channels, const struct wire_track *track)
{
    if (track->key.len == 0 || !channel_clean_text(track->key)) {
        return "a presence key is 1 to 255 bytes of UTF-8 without control characters";
    }
    if (track->meta.len > channels->config.meta_max) {
        return "the presence state is too large (channels.max_meta)";
    }
    return rt_json_valid(bytes_of(track->meta)) ? NULL : "the presence state is not JSON";
}

static struct present *find(const struct topic *topic, uint64_t ref)
{
    return topic == NULL || topic->presents == NULL ? NULL : rt_map_get_u64(topic->presents, ref);
}

/* Why there is no room for another one; NULL: there is. */
static const char *check_room(const struct channels *channels, const struct topic *topic,
                              const struct wire_track *track)
{
    if (topic->presents != NULL && rt_map_count(topic->presents) >= channels->config.room_max) {
        return "the room is full (channels.max_presences)";
    }
    return channels->metas_bytes + track->key.len + track->meta.len > channels->config.metas_max
               ? "too much presence state (channels.presence_bytes); try again later"
               : NULL;
}

static void belong(struct present *present, struct speaker *speaker)
{
    chain_remove(&present->in_speaker);
    chain_remove(&present->in_lingering);
    present->lingers_until = 0;
    present->speaker = speaker;
    chain_append(&speaker->presents, &present->in_speaker);
}

static const char *update(struct present *present, const struct wire_track *track)
{
    if (present->key_len != track->key.len ||
        memcmp(present->key, track->key.data, track->key.len) != 0) {
        return "another key under the same reference";
    }
    if (present->meta_len != track->meta.len ||
        memcmp(present->key + present->key_len, track->meta.data, track->meta.len) != 0) {
        set_meta(present, track->meta);
        mark(present);
    }
    return NULL;
}

static const char *do_track(struct channels_edge *edge, const struct wire_track *track,
                            uint64_t identity)
{
    struct channels *channels = edge->channels;
    struct topic *topic = topic_get(channels, track->channel);
    struct present *present = find(topic, track->ref);
    const char *why = NULL;

    if (topic == NULL) {
        return "too many channels (channels.max_channels); try again later";
    }
    if (present != NULL) {
        why = update(present, track);
    } else {
        why = check_room(channels, topic, track);
        present = why == NULL ? present_new(topic, track) : NULL;
    }
    if (why != NULL) {
        topic_drop_if_unused(topic);
        return why;
    }
    struct speaker *old = present->speaker;
    belong(present, speaker_get(edge, identity));
    if (old != NULL) {
        speaker_drop_if_unused(old);
    }
    return NULL;
}

void channels_track(struct channels_edge *edge, const struct wire_track *track,
                    const struct channels_who *who)
{
    char why[WHY_SIZE] = "";
    int code = 0;

    if (!channels_check(edge->channels, RULES_SEND, track->channel, who, &code, why, sizeof(why))) {
        write_done(edge, track->reply, code, why, NULL);
        return;
    }
    const char *bad = check_track(edge->channels, track);
    if (bad == NULL) {
        bad = do_track(edge, track, who->identity);
    }
    write_done(edge, track->reply, bad == NULL ? 0 : WIRE_CODE_SUBSCRIPTION_FAILED,
               bad == NULL ? "" : bad, NULL);
}

void channels_untrack(struct channels_edge *edge, const struct wire_untrack *untrack)
{
    struct present *present = find(topic_find(edge->channels, untrack->channel), untrack->ref);

    if (present != NULL && present->speaker != NULL && present->speaker->edge == edge) {
        struct speaker *speaker = present->speaker;
        present_abandon(present, false);
        speaker_drop_if_unused(speaker);
    }
}

/* --- telling ------------------------------------------------------------------------------------------------ */

static struct wire_present entry_of(const struct present *present)
{
    struct wire_present entry = { .ref = present->ref, .key = { present->key, present->key_len } };

    if (!is_gone(present)) {
        entry.meta = (struct wire_span){ present->key + present->key_len, present->meta_len };
    }
    return entry;
}

static void write_raw(const struct channels *channels, struct channels_edge *edge)
{
    const struct channels_config *config = &channels->config;

    wire_write_raw(config->events->out(config->ctx, edge->user, false), channels->scratch.data,
                   channels->scratch.len);
    config->events->written(config->ctx, edge->user);
}

void presence_tell_all(struct topic *topic, struct channels_edge *edge)
{
    struct channels *channels = topic->channels;
    size_t most = topic->presents == NULL ? 0 : rt_map_count(topic->presents);
    struct wire_present *entries = rt_alloc((most + 1) * sizeof(*entries));
    struct wire_presence head = { .group = topic->group,
                                  .full = true,
                                  .settled = channels->settled };

    if (most > 0) {
        struct rt_map_iter iter = rt_map_begin(topic->presents);
        const struct present *present = NULL;
        while ((present = rt_map_next(&iter)) != NULL) {
            if (!is_gone(present)) {
                entries[head.entry_count++] = entry_of(present);
            }
        }
    }
    wire_writer_clear(&channels->scratch);
    wire_encode_presence(&channels->scratch, &head, entries);
    free(entries);
    write_raw(channels, edge);
}

void presence_settle(struct channels *channels)
{
    struct rt_map_iter iter = rt_map_begin(channels->topics);
    struct topic *topic = NULL;

    channels->settled = true;
    while ((topic = rt_map_next(&iter)) != NULL) {
        for (uint32_t i = 0; i < topic->member_count; i++) {
            presence_tell_all(topic, topic->members[i].edge);
        }
    }
}

/* Those that are gone are forgotten, the others are known now. */
static void settle_changes(struct topic *topic)
{
    struct present *present = NULL;

    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed was taken out of the list before */
    while ((present = next_changed(topic->changed.first)) != NULL) {
        chain_remove(&present->in_changed);
        present->told = true;
        if (is_gone(present)) {
            present_free(present);
        }
    }
}

static void tell_changes(struct topic *topic)
{
    struct channels *channels = topic->channels;
    struct wire_presence head = { .group = topic->group, .settled = channels->settled };
    size_t most = rt_map_count(topic->presents);
    struct wire_present *entries = rt_alloc((most + 1) * sizeof(*entries));

    for (const struct present *present = next_changed(topic->changed.first); present != NULL;
         present = next_changed(present->in_changed.next)) {
        entries[head.entry_count++] = entry_of(present);
    }
    wire_writer_clear(&channels->scratch);
    wire_encode_presence(&channels->scratch, &head, entries);
    free(entries);
    for (uint32_t i = 0; i < topic->member_count; i++) {
        write_raw(channels, topic->members[i].edge);
    }
}

static void expire_lingering(struct channels *channels, rt_usec now)
{
    struct present *present = NULL;

    while (
        (present = CHAIN_ELEMENT(channels->lingering.first, struct present, in_lingering)) !=
            NULL &&
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed was taken out of the list before */
        present->lingers_until <= now) {
        present_abandon(present, false);
    }
}

void presence_tick(struct channels *channels, rt_usec now)
{
    struct topic *topic = NULL;

    expire_lingering(channels, now);
    while ((topic = CHAIN_ELEMENT(channels->changed.first, struct topic, in_changed)) != NULL) {
        chain_remove(&topic->in_changed);
        if (topic->changed.first != NULL && topic->member_count > 0) {
            tell_changes(topic);
        }
        settle_changes(topic);
        topic_drop_if_unused(topic);
    }
    if (!channels->settled && now - channels->started >= channels->config.grace) {
        presence_settle(channels);
    }
}
