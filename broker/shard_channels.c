/* broker/shard_channels.c - broadcast and presence channels, and seats of users: guests in the sessions and streams of the route's edges. */
#include <stdlib.h>

#include "broker/shard_impl.h"
#include "runtime/buf.h"

enum { WHY_SIZE = 400 };

/* Of one edge. */
struct guest {
    struct channels_edge *channels;
    struct seats_edge *seats;
};

/* --- what channels ask for ---------------------------------------------------------------------------------- */

static struct wire_writer *on_out(void *ctx, void *edge_user, bool in_transaction)
{
    (void)ctx;
    return route_edge_out(edge_user, in_transaction);
}

static void on_written(void *ctx, void *edge_user)
{
    (void)ctx;
    route_edge_written(edge_user);
}

static bool on_room(void *ctx, void *edge_user)
{
    (void)ctx;
    return edges_room(route_edge_user(edge_user));
}

static bool on_position(void *ctx, struct wire_position *out)
{
    const struct shard *shard = ctx;

    return route_position(shard->route, out);
}

static bool on_floor(void *ctx, struct wire_position *out)
{
    const struct shard *shard = ctx;

    return window_floor(shard->window, out);
}

/* --- what seats ask for --------------------------------------------------------------------------------------- */

static struct wire_writer *on_seat_out(void *ctx, void *edge_user)
{
    (void)ctx;
    return route_edge_out(edge_user, false);
}

static bool on_heard(void *ctx, void *edge_user)
{
    (void)ctx;
    return edges_heard(route_edge_user(edge_user));
}

/* --- what the route passes on --------------------------------------------------------------------------------- */

static struct channels_edge *channels_of(const void *guest)
{
    return ((const struct guest *)guest)->channels;
}

static struct channels_who who_is(const struct route_speaker *speaker)
{
    return (struct channels_who){ .identity = speaker->identity,
                                  .rights = { .role = speaker->role,
                                              .authenticated = speaker->authenticated,
                                              .claims = speaker->claims } };
}

static void *on_join(void *ctx, struct route_edge *edge)
{
    struct shard *shard = ctx;
    struct guest *guest = rt_alloc(sizeof(*guest));

    guest->channels = channels_edge_new(shard->channels, edge);
    guest->seats = seats_edge_new(shard->seats, edge);
    return guest;
}

static void on_leave(void *ctx, void *user, bool linger)
{
    struct guest *guest = user;

    (void)ctx;
    channels_edge_free(guest->channels, linger);
    seats_edge_free(guest->seats);
    free(guest);
}

static void on_subscribe(void *ctx, void *guest, const struct wire_subscribe *subscribe,
                         const struct route_speaker *speaker)
{
    struct channels_who who = who_is(speaker);

    (void)ctx;
    channels_subscribe(channels_of(guest), subscribe, &who);
}

static bool on_unsubscribe(void *ctx, void *guest, uint64_t sub)
{
    (void)ctx;
    return channels_unsubscribe(channels_of(guest), sub);
}

static void on_forget(void *ctx, void *guest, uint64_t identity)
{
    (void)ctx;
    channels_forget(channels_of(guest), identity);
}

static void on_publish(void *ctx, void *guest, const struct wire_publish *publish,
                       const struct route_speaker *speaker)
{
    struct channels_who who = who_is(speaker);

    (void)ctx;
    channels_publish(channels_of(guest), publish, &who);
}

static void on_track(void *ctx, void *guest, const struct wire_track *track,
                     const struct route_speaker *speaker)
{
    struct channels_who who = who_is(speaker);

    (void)ctx;
    channels_track(channels_of(guest), track, &who);
}

static void on_untrack(void *ctx, void *guest, const struct wire_untrack *untrack)
{
    (void)ctx;
    channels_untrack(channels_of(guest), untrack);
}

static const char *on_seat(void *ctx, void *guest, const struct wire_seat *seat)
{
    (void)ctx;
    return seats_take(((const struct guest *)guest)->seats, seat);
}

static void on_unseat(void *ctx, void *guest, const struct wire_unseat *unseat)
{
    (void)ctx;
    seats_give_back(((const struct guest *)guest)->seats, unseat);
}

const struct route_guests shard_guests = { .join = on_join,
                                           .leave = on_leave,
                                           .owns = channels_is_channel,
                                           .subscribe = on_subscribe,
                                           .unsubscribe = on_unsubscribe,
                                           .forget = on_forget,
                                           .publish = on_publish,
                                           .track = on_track,
                                           .untrack = on_untrack,
                                           .seat = on_seat,
                                           .unseat = on_unseat };

void shard_broadcast(void *ctx, const struct wire_position *at, struct wire_span content)
{
    struct shard *shard = ctx;

    channels_sql(shard->channels, at, content);
}

static void on_tick(void *ctx)
{
    struct shard *shard = ctx;

    channels_tick(shard->channels);
    shard_flush(shard);
}

bool shard_make_channels(struct shard *shard)
{
    static const struct channels_events events = { .out = on_out,
                                                   .written = on_written,
                                                   .room = on_room,
                                                   .position = on_position,
                                                   .floor = on_floor };
    const struct rt_config *config = shard->process->config;
    char why[WHY_SIZE] = "";
    struct rules *rules = rules_parse(config->channels_rules, why, sizeof(why));

    if (rules == NULL) {
        rt_log_error(shard->process->log, "broker.bad_rules", RT_S("option", "channels.rules"),
                     RT_S("reason", why));
        return false;
    }
    shard->channels = channels_new(&(struct channels_config){
        .shard = (uint32_t)config->broker_shard,
        .shards = config->shards,
        .topic_bytes = (size_t)config->channels_channel_replay_bytes,
        .replay_bytes = (size_t)config->channels_replay_bytes,
        .replay_time = config->channels_replay_time,
        .topics_max = (uint32_t)config->channels_max_channels,
        .room_max = (uint32_t)config->channels_max_presences,
        .meta_max = (size_t)config->channels_max_meta,
        .metas_max = (size_t)config->channels_presence_bytes,
        .grace = config->channels_presence_grace,
        .rules = rules,
        .metrics = shard->process->metrics,
        .events = &events,
        .ctx = shard,
    });
    shard->channels_tick = rt_timer_new(shard->process->loop, on_tick, shard);
    rt_timer_set(shard->channels_tick, config->channels_presence_tick,
                 config->channels_presence_tick);
    return true;
}

void shard_make_seats(struct shard *shard)
{
    static const struct seats_events events = { .out = on_seat_out,
                                                .written = on_written,
                                                .heard = on_heard };

    shard->seats = seats_new(&(struct seats_config){
        .metrics = shard->process->metrics, .events = &events, .ctx = shard });
}
