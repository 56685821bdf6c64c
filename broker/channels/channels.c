/* broker/channels/channels.c - life; edges, the identities they speak for, and their subscriptions. */
#include "broker/channels/channels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/channel.h"
#include "broker/channels/parts.h"
#include "runtime/buf.h"
#include "runtime/shard.h"

enum { WHY_SIZE = 400 };

/* --- metrics ------------------------------------------------------------------------------------------------ */

static void make_metrics(struct channels_metrics *out, struct rt_metrics *metrics)
{
    out->topics = rt_gauge_new(metrics, "pgtide_broker_channels", NULL,
                               "Broadcast and presence channels that somebody is in, or whose "
                               "messages are kept.");
    out->subs = rt_gauge_new(metrics, "pgtide_broker_channel_subscriptions", NULL,
                             "Subscriptions of edges to broadcast and presence channels.");
    out->presents = rt_gauge_new(metrics, "pgtide_broker_presences", NULL,
                                 "Who is in presence channels, counted once for each key.");
    out->kept_bytes = rt_gauge_new(metrics, "pgtide_broker_channel_replay_bytes", NULL,
                                   "Messages kept for those who come back.");
    out->messages =
        rt_counter_new(metrics, "pgtide_broker_channel_messages_total", "from=\"client\"",
                       "Messages of broadcast channels, by where they came from.");
    out->sql_messages =
        rt_counter_new(metrics, "pgtide_broker_channel_messages_total", "from=\"sql\"",
                       "Messages of broadcast channels, by where they came from.");
    out->bad_sql = rt_counter_new(metrics, "pgtide_broker_channel_bad_messages_total", NULL,
                                  "Logical messages with prefix pgtide.broadcast that are not "
                                  "what pgtide.broadcast() writes.");
    out->copies = rt_counter_new(metrics, "pgtide_broker_channel_copies_total", NULL,
                                 "Messages handed to edges, counted once for each edge.");
    out->refused = rt_counter_new(metrics, "pgtide_broker_channel_refused_total", NULL,
                                  "Messages, presences and subscriptions of channels that were "
                                  "refused.");
    out->gone = rt_counter_new(metrics, "pgtide_broker_channel_gone_total", NULL,
                               "Subscriptions of channels ended because what they asked to go "
                               "on from cannot be had.");
}

/* --- checks ------------------------------------------------------------------------------------------------- */

bool channels_is_channel(struct wire_span channel)
{
    return (channel.len > 10 && memcmp(channel.data, "broadcast:", 10) == 0) ||
           (channel.len > 9 && memcmp(channel.data, "presence:", 9) == 0);
}

/* NOLINTNEXTLINE(readability-function-size): what is judged, for whom, and where the refusal goes */
bool channels_check(struct channels *channels, enum rules_act act, struct wire_span name,
                    const struct channels_who *who, int *out_code, char *why, size_t why_size)
{
    const struct channels_config *config = &channels->config;

    if (!channels_is_channel(name) || !channel_clean_text(name)) {
        *out_code = WIRE_CODE_INVALID_CHANNEL;
        (void)snprintf(why, why_size,
                       "the channel must be broadcast:TOPIC or presence:ROOM, of clean UTF-8");
        return false;
    }
    if (rt_shard_of(name.data, name.len, config->shards) != config->shard) {
        *out_code = WIRE_CODE_SUBSCRIPTION_FAILED;
        (void)snprintf(why, why_size,
                       "this channel belongs to another shard; is \"shards\" the same in every "
                       "tier?");
        return false;
    }
    if (!rules_allow(config->rules, act, name, &who->rights, why, why_size)) {
        *out_code = who->rights.authenticated ? WIRE_CODE_FORBIDDEN : WIRE_CODE_UNAUTHORIZED;
        return false;
    }
    return true;
}

/* --- speakers and subscriptions ------------------------------------------------------------------------------ */

struct speaker *speaker_get(struct channels_edge *edge, uint64_t identity)
{
    struct speaker *speaker = rt_map_get_u64(edge->speakers, identity);

    if (speaker == NULL) {
        speaker = rt_alloc(sizeof(*speaker));
        speaker->edge = edge;
        speaker->identity = identity;
        (void)rt_map_put_u64(edge->speakers, identity, speaker);
    }
    return speaker;
}

void speaker_drop_if_unused(struct speaker *speaker)
{
    if (speaker->subs.first == NULL && speaker->presents.first == NULL) {
        (void)rt_map_remove_u64(speaker->edge->speakers, speaker->identity);
        free(speaker);
    }
}

static void count_subs(const struct channels *channels, double by)
{
    rt_gauge_set(channels->metrics.subs, channels->metrics.subs->value + by);
}

/* Leaves the speaker as it is. */
static void unlink_sub(struct sub *sub)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed was taken out of the list before */
    struct topic *topic = sub->topic;
    struct channels_edge *edge = sub->speaker->edge;

    if (sub->live) {
        topic_leave(topic, edge);
    }
    chain_remove(&sub->in_waiting);
    chain_remove(&sub->in_speaker);
    (void)rt_map_remove_u64(edge->subs, sub->id);
    count_subs(topic->channels, -1);
    topic->subs--;
    free(sub);
    topic_drop_if_unused(topic);
}

void channels_sub_free(struct sub *sub)
{
    struct speaker *speaker = sub->speaker;

    unlink_sub(sub);
    speaker_drop_if_unused(speaker);
}

static void speaker_end(struct speaker *speaker, bool linger)
{
    struct sub *sub = NULL;
    struct present *present = NULL;

    while ((sub = CHAIN_ELEMENT(speaker->subs.first, struct sub, in_speaker)) != NULL) {
        unlink_sub(sub);
    }
    while ((present = CHAIN_ELEMENT(speaker->presents.first, struct present, in_speaker)) != NULL) {
        present_abandon(present, linger);
    }
    speaker_drop_if_unused(speaker);
}

static void refuse(struct channels_edge *edge, uint64_t sub, int code, const char *why)
{
    const struct channels_config *config = &edge->channels->config;
    struct wire_refuse record = { .sub = sub,
                                  .code = (enum wire_code)code,
                                  .message = { why, strlen(why) } };

    wire_encode_refuse(config->events->out(config->ctx, edge->user, false), &record);
    config->events->written(config->ctx, edge->user);
    rt_counter_add(edge->channels->metrics.refused, 1);
}

/* `since` and, in the token, its stamp. */
static bool read_since(const struct wire_subscribe *subscribe, struct wire_place *out)
{
    uint64_t stamp = 0;

    if (subscribe->token.len > 16) {
        return false;
    }
    for (size_t i = 0; i < subscribe->token.len; i++) {
        char c = subscribe->token.data[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) {
            return false;
        }
        stamp = stamp << 4 | (unsigned)digit;
    }
    *out = (struct wire_place){ .position = subscribe->since, .stamp = stamp };
    return true;
}

static struct sub *sub_new(struct channels_edge *edge, const struct wire_subscribe *subscribe,
                           struct topic *topic, uint64_t identity)
{
    struct sub *sub = rt_alloc(sizeof(*sub));

    sub->id = subscribe->sub;
    sub->speaker = speaker_get(edge, identity);
    sub->topic = topic;
    topic->subs++;
    chain_append(&sub->speaker->subs, &sub->in_speaker);
    (void)rt_map_put_u64(edge->subs, sub->id, sub);
    count_subs(edge->channels, 1);
    return sub;
}

/* Why not, besides rights; NULL: nothing. */
static const char *check_subscribe(const struct channels_edge *edge,
                                   const struct wire_subscribe *subscribe)
{
    if (rt_map_get_u64(edge->subs, subscribe->sub) != NULL) {
        return "the number of this subscription was used twice";
    }
    if (rt_map_count(edge->subs) >= CHANNELS_SUBS_MAX) {
        return "too many subscriptions; try again later";
    }
    if (subscribe->filter.len > 0 || subscribe->snapshot) {
        return "a channel has no filter and no snapshot";
    }
    return NULL;
}

void channels_subscribe(struct channels_edge *edge, const struct wire_subscribe *subscribe,
                        const struct channels_who *who)
{
    struct channels *channels = edge->channels;
    char why[WHY_SIZE] = "";
    int code = WIRE_CODE_SUBSCRIPTION_FAILED;
    struct wire_place since = { .stamp = 0 };
    const char *bad = check_subscribe(edge, subscribe);

    if (bad != NULL) {
        refuse(edge, subscribe->sub, code, bad);
        return;
    }
    if (!channels_check(channels, RULES_JOIN, subscribe->channel, who, &code, why, sizeof(why))) {
        refuse(edge, subscribe->sub, code, why);
        return;
    }
    if (!read_since(subscribe, &since)) {
        refuse(edge, subscribe->sub, code, "the token is not a stamp");
        return;
    }
    struct topic *topic = topic_get(channels, subscribe->channel);
    if (topic == NULL) {
        refuse(edge, subscribe->sub, code,
               "too many channels (channels.max_channels); try again later");
        return;
    }
    struct sub *sub = sub_new(edge, subscribe, topic, who->identity);
    sub->has_since = subscribe->has_since;
    sub->since = since;
    channels_sub_place(sub);
}

bool channels_unsubscribe(struct channels_edge *edge, uint64_t number)
{
    struct sub *sub = rt_map_get_u64(edge->subs, number);

    if (sub == NULL) {
        return false;
    }
    channels_sub_free(sub);
    return true;
}

void channels_forget(struct channels_edge *edge, uint64_t identity)
{
    struct speaker *speaker = rt_map_get_u64(edge->speakers, identity);

    if (speaker != NULL) {
        speaker_end(speaker, false);
    }
}

/* --- life --------------------------------------------------------------------------------------------------- */

struct channels_edge *channels_edge_new(struct channels *channels, void *user)
{
    struct channels_edge *edge = rt_alloc(sizeof(*edge));

    edge->channels = channels;
    edge->user = user;
    edge->subs = rt_map_new();
    edge->speakers = rt_map_new();
    chain_append(&channels->edges, &edge->in_all);
    return edge;
}

void channels_edge_free(struct channels_edge *edge, bool linger)
{
    if (edge == NULL) {
        return;
    }
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed was taken out of the list before */
    struct rt_map_iter iter = rt_map_begin(edge->speakers);
    struct speaker *speaker = NULL;
    while ((speaker = rt_map_next(&iter)) != NULL) {
        rt_map_iter_remove(&iter);
        speaker_end(speaker, linger);
    }
    chain_remove(&edge->in_all);
    rt_map_free(edge->speakers);
    rt_map_free(edge->subs);
    free(edge);
}

struct channels *channels_new(const struct channels_config *config)
{
    struct channels *channels = rt_alloc(sizeof(*channels));

    channels->config = *config;
    if (config->now == NULL) {
        channels->config.now = rt_now;
    }
    if (config->wall_now == NULL) {
        channels->config.wall_now = rt_wall_now;
    }
    channels->topics = rt_map_new();
    channels->next_group = 1;
    channels->started = channels->config.now();
    channels->instance = (uint64_t)channels->config.wall_now();
    channels->last_stamp = channels->instance;
    make_metrics(&channels->metrics, config->metrics);
    return channels;
}

void channels_free(struct channels *channels)
{
    struct channels_edge *edge = NULL;
    struct topic *topic = NULL;

    if (channels == NULL) {
        return;
    }
    while ((edge = CHAIN_ELEMENT(channels->edges.first, struct channels_edge, in_all)) != NULL) {
        channels_edge_free(edge, false);
    }
    ring_drop_all(channels);
    /* What is left has presences that were not told to be gone yet. */
    struct rt_map_iter iter = rt_map_begin(channels->topics);
    while ((topic = rt_map_next(&iter)) != NULL) {
        rt_map_iter_remove(&iter);
        presents_drop_all(topic);
        topic_drop_if_unused(topic);
    }
    rt_map_free(channels->topics);
    wire_writer_fini(&channels->scratch);
    rules_free(channels->config.rules);
    free(channels);
}

void channels_tick(struct channels *channels)
{
    rt_usec now = channels->config.now();

    ring_expire(channels, now);
    channels_resume(channels, now);
    presence_tick(channels, now);
}
