/* tests/fuzz/fuzz_channels.c - records of edges, and messages from SQL, into the channels of a shard.
 *
 * Input: items, each behind two bytes of length; the first byte of an item says which edge sends it, or that it is a message from SQL, or that time
 * passes or an edge starts over. Whatever comes: what edges are told are records that decode, in which presences and messages are JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/channels/channels.h"
#include "runtime/buf.h"
#include "runtime/json.h"
#include "runtime/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct edge {
    struct channels_edge *guest;
    struct wire_writer out;
};

static rt_usec clock_now;

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static struct wire_writer *on_out(void *ctx, void *user, bool in_transaction)
{
    (void)ctx;
    (void)in_transaction;
    return &((struct edge *)user)->out;
}

static void on_written(void *ctx, void *user)
{
    (void)ctx;
    (void)user;
}

static bool on_room(void *ctx, void *user)
{
    (void)ctx;
    (void)user;
    return clock_now % 3 != 0;
}

static bool on_position(void *ctx, struct wire_position *out)
{
    *out = *(struct wire_position *)ctx;
    return out->lsn > 0;
}

static bool on_floor(void *ctx, struct wire_position *out)
{
    (void)ctx;
    *out = (struct wire_position){ 1, 1, 0 };
    return true;
}

static rt_usec now(void)
{
    return clock_now;
}

static struct rt_span bytes(struct wire_span text)
{
    return (struct rt_span){ (const uint8_t *)text.data, text.len };
}

static void check_presence(struct wire_presence *presence)
{
    struct wire_present entry;

    for (uint32_t i = 0; i < presence->entry_count; i++) {
        must(wire_next_present(&presence->entries, &entry) == WIRE_OK);
        must(entry.meta.data == NULL || rt_json_valid(bytes(entry.meta)));
    }
}

static void check_told(struct edge *edge)
{
    struct wire_reader in;
    enum wire_type type = WIRE_DONE;
    struct wire_broadcast broadcast;
    struct wire_presence presence;

    wire_reader_init(&in, edge->out.data, edge->out.len);
    while (edge->out.len > 0 && wire_next_record(&in, &type) == WIRE_OK) {
        struct wire_channel channel;
        struct wire_accept accept;
        struct wire_refuse refuse;
        struct wire_gone gone;
        struct wire_done done;
        enum wire_err err = type == WIRE_CHANNEL     ? wire_decode_channel(&in, &channel)
                            : type == WIRE_ACCEPT    ? wire_decode_accept(&in, &accept)
                            : type == WIRE_REFUSE    ? wire_decode_refuse(&in, &refuse)
                            : type == WIRE_GONE      ? wire_decode_gone(&in, &gone)
                            : type == WIRE_DONE      ? wire_decode_done(&in, &done)
                            : type == WIRE_BROADCAST ? wire_decode_broadcast(&in, &broadcast)
                                                     : wire_decode_presence(&in, &presence);
        must(err == WIRE_OK);
        if (type == WIRE_BROADCAST) {
            must(rt_json_valid(bytes(broadcast.payload)));
        } else if (type == WIRE_PRESENCE) {
            check_presence(&presence);
        }
    }
    must(wire_reader_finish(&in) == WIRE_OK);
    wire_writer_clear(&edge->out);
}

static void hear(struct edge *edge, const uint8_t *data, size_t len)
{
    struct wire_reader in;
    enum wire_type type = WIRE_DONE;
    struct wire_subscribe subscribe;
    struct wire_unsubscribe unsubscribe;
    struct wire_forget forget;
    struct wire_publish publish;
    struct wire_track track;
    struct wire_untrack untrack;
    struct channels_who who = { .rights = { "authenticated", true, { "{}", 2 } } };

    wire_reader_init(&in, data, len);
    while (wire_next_record(&in, &type) == WIRE_OK) {
        if (type == WIRE_SUBSCRIBE && wire_decode_subscribe(&in, &subscribe) == WIRE_OK) {
            who.identity = subscribe.identity;
            channels_subscribe(edge->guest, &subscribe, &who);
        } else if (type == WIRE_UNSUBSCRIBE &&
                   wire_decode_unsubscribe(&in, &unsubscribe) == WIRE_OK) {
            (void)channels_unsubscribe(edge->guest, unsubscribe.sub);
        } else if (type == WIRE_FORGET && wire_decode_forget(&in, &forget) == WIRE_OK) {
            channels_forget(edge->guest, forget.identity);
        } else if (type == WIRE_PUBLISH && wire_decode_publish(&in, &publish) == WIRE_OK) {
            who.identity = publish.identity;
            channels_publish(edge->guest, &publish, &who);
        } else if (type == WIRE_TRACK && wire_decode_track(&in, &track) == WIRE_OK) {
            who.identity = track.identity;
            channels_track(edge->guest, &track, &who);
        } else if (type == WIRE_UNTRACK && wire_decode_untrack(&in, &untrack) == WIRE_OK) {
            channels_untrack(edge->guest, &untrack);
        } else {
            return;
        }
    }
}

static void item(struct channels *channels, struct edge *edges, struct wire_position *at,
                 const uint8_t *data, size_t len)
{
    struct edge *edge = &edges[data[0] % 2];
    uint8_t *copy = malloc(len); /* exactly: what reads past the end is seen */

    must(copy != NULL);
    memcpy(copy, data + 1, len - 1);
    if (data[0] < 128) {
        hear(edge, copy, len - 1);
    } else if (data[0] < 192) {
        at->lsn += 10;
        channels_sql(channels, at, (struct wire_span){ (const char *)copy, len - 1 });
    } else if (data[0] < 250) {
        clock_now += (rt_usec)data[0] * 7;
        channels_tick(channels);
    } else {
        channels_edge_free(edge->guest, data[0] < 253);
        edge->guest = channels_edge_new(channels, edge);
    }
    free(copy);
    check_told(&edges[0]);
    check_told(&edges[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct channels_events events = { on_out, on_written, on_room, on_position,
                                                   on_floor };
    struct wire_position at = { .epoch = 1 };
    struct edge edges[2] = { { .guest = NULL } };
    struct rt_metrics *metrics = rt_metrics_new();
    char why[200];

    clock_now = 1;
    struct channels *channels = channels_new(&(struct channels_config){
        .shards = 1,
        .topic_bytes = 500,
        .replay_bytes = 800,
        .replay_time = 5000,
        .topics_max = 5,
        .room_max = 4,
        .meta_max = 50,
        .metas_max = 150,
        .grace = 2000,
        .rules = rules_parse("", why, sizeof(why)),
        .metrics = metrics,
        .now = now,
        .wall_now = now,
        .events = &events,
        .ctx = &at,
    });
    for (int i = 0; i < 2; i++) {
        edges[i].guest = channels_edge_new(channels, &edges[i]);
    }
    while (len >= 2) {
        size_t size = (size_t)data[0] * 256 + data[1];
        data += 2;
        len -= 2;
        size = size > len ? len : size;
        if (size > 0) {
            item(channels, edges, &at, data, size);
        }
        data += size;
        len -= size;
    }
    channels_free(channels);
    rt_metrics_free(metrics);
    wire_writer_fini(&edges[0].out);
    wire_writer_fini(&edges[1].out);
    return 0;
}
