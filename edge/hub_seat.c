/* edge/hub_seat.c - how many connections a user has: counted here for this edge, and by the shard of the user for all edges.
 *
 * A client is let in at once and its seat announced; if the shard knows that there are as many already, it says so
 * (UNSEATED), and the client goes. So connecting costs one record, with all others of the same turn in one message, and no round trip. While the shard
 * cannot be reached, only the seats of this edge count: a limit must not become an outage. What was let in then is
 * announced as kept when the shard is back, like everything that was there before; the shard does not judge it again.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/hub_parts.h"
#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/process.h"
#include "runtime/shard.h"

struct hub_user {
    struct hub_shard *shard;
    struct list_node seats;
    struct list_node in_shard;
    uint32_t count;
    uint32_t limit; /* as of the last one that came */
    size_t len;
    char name[];
};

struct hub_seat {
    struct hub_client *client;
    struct hub_user *user;
    uint64_t number; /* on the wire; 0: not announced */
    struct list_node in_user;
};

/* --- users ------------------------------------------------------------------------------------------------------- */

static struct hub_shard *shard_of(struct hub *hub, struct rt_span name)
{
    static const char prefix[] = "user:";

    rt_buf_clear(&hub->key);
    rt_buf_append(&hub->key, prefix, sizeof prefix - 1);
    rt_buf_append(&hub->key, name.data, name.len);
    struct rt_span key = rt_buf_span(&hub->key);
    return &hub->shards[rt_shard_of((const char *)key.data, key.len, hub->shard_count)];
}

static struct hub_user *user_get(struct hub *hub, struct rt_span name)
{
    struct hub_user *user = rt_map_get(hub->users, name.data, name.len);

    if (user == NULL) {
        user = rt_alloc(sizeof *user + name.len);
        user->shard = shard_of(hub, name);
        list_init(&user->seats);
        list_append(&user->shard->users, &user->in_shard);
        user->len = name.len;
        memcpy(user->name, name.data, name.len);
        (void)rt_map_put(hub->users, name.data, name.len, user);
    }
    return user;
}

static bool is_of(const struct hub_seat *seat, struct rt_span name)
{
    return seat != NULL && seat->user->len == name.len &&
           memcmp(seat->user->name, name.data, name.len) == 0;
}

/* --- seats ------------------------------------------------------------------------------------------------------- */

static void announce(struct hub_seat *seat, bool kept)
{
    struct hub_user *user = seat->user;
    struct hub_shard *shard = user->shard;

    seat->number = ++shard->hub->last_number;
    (void)rt_map_put_u64(shard->seats, seat->number, seat);
    uplink_seat(shard->uplink, &(struct wire_seat){ .seat = seat->number,
                                                    .user = { user->name, user->len },
                                                    .limit = user->limit,
                                                    .kept = kept });
    rt_defer_schedule(shard->hub->seats_flush);
}

/* A shard that is not a new one may still hold it. */
static void take_back(struct hub_seat *seat)
{
    struct hub_shard *shard = seat->user->shard;

    if (seat->number != 0) {
        uplink_unseat(shard->uplink, seat->number);
        rt_defer_schedule(shard->hub->seats_flush);
        (void)rt_map_remove_u64(shard->seats, seat->number);
        seat->number = 0;
    }
}

static void seat_free(struct hub_seat *seat)
{
    struct hub_user *user = seat->user;
    struct hub *hub = user->shard->hub;

    seat->client->seat = NULL;
    list_remove(&seat->in_user);
    free(seat);
    hub->seat_count--;
    if (--user->count == 0) {
        (void)rt_map_remove(hub->users, user->name, user->len);
        list_remove(&user->in_shard);
        free(user);
    }
}

static void seat_new(struct hub_client *client, struct hub_user *user)
{
    struct hub *hub = client->hub;
    struct hub_seat *seat = rt_alloc(sizeof *seat);

    seat->client = client;
    seat->user = user;
    list_append(&user->seats, &seat->in_user);
    user->count++;
    hub->seat_count++;
    client->seat = seat;
    if (user->shard->in_session) {
        announce(seat, false);
    } else {
        rt_counter_add(hub->metrics.seats_unasked, 1);
    }
}

bool hub_seat_take(struct hub_client *client, struct rt_span name, uint32_t limit)
{
    struct hub *hub = client->hub;

    if (is_of(client->seat, name)) {
        return true;
    }
    hub_seat_give_back(client);
    if (name.len == 0 || limit == 0) {
        return true;
    }
    const struct hub_user *known = rt_map_get(hub->users, name.data, name.len);
    if (known != NULL && known->count >= limit) {
        rt_counter_add(hub->metrics.seats_refused_here, 1);
        return false;
    }
    struct hub_user *user = user_get(hub, name);
    user->limit = limit;
    seat_new(client, user);
    return true;
}

void hub_seat_give_back(struct hub_client *client)
{
    if (client->seat != NULL) {
        take_back(client->seat);
        seat_free(client->seat);
    }
}

/* --- what the shard says, and what becomes of it ------------------------------------------------------------------- */

const char *hub_unseated(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_unseated unseated;
    enum wire_err err = wire_decode_unseated(in, &unseated);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    struct hub_seat *seat = rt_map_remove_u64(shard->seats, unseated.seat);
    if (seat != NULL) { /* else it was given back in the meantime */
        struct hub_client *client = seat->client;
        rt_counter_add(shard->hub->metrics.seats_refused, 1);
        seat_free(seat);
        hub_client_end(client);
        client->ops->on_unseated(client->session);
    }
    return NULL;
}

void hub_seats_interrupt(struct hub_shard *shard)
{
    LIST_EACH(user_at, user_after, &shard->users)
    {
        struct hub_user *user = LIST_ELEMENT(user_at, struct hub_user, in_shard);
        LIST_EACH(at, after, &user->seats)
        {
            take_back(LIST_ELEMENT(at, struct hub_seat, in_user));
        }
    }
}

void hub_seats_announce(struct hub_shard *shard)
{
    LIST_EACH(user_at, user_after, &shard->users)
    {
        struct hub_user *user = LIST_ELEMENT(user_at, struct hub_user, in_shard);
        LIST_EACH(at, after, &user->seats)
        {
            struct hub_seat *seat = LIST_ELEMENT(at, struct hub_seat, in_user);
            if (seat->number == 0) {
                announce(seat, true);
            }
        }
    }
}

void hub_seats_flush(void *ctx)
{
    struct hub *hub = ctx;

    for (uint32_t i = 0; i < hub->shard_count; i++) {
        hub_shard_flush(&hub->shards[i]);
    }
}
