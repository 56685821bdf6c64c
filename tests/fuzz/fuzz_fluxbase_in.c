/* tests/fuzz/fuzz_fluxbase_in.c - any text as a client's message on /realtime.
 *
 * What is accepted: a subscribe names a schema and a table that survive the way through the channel's name, and wants
 * some event; an unsubscribe names something; a token is not empty; a message to a channel has a payload that is JSON. What is refused: with one of the five
 * codes and a text, and the error frame made of it is JSON. Free names of channels are for texts of even length only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/fluxbase/channel.h"
#include "edge/fluxbase/in.h"
#include "edge/fluxbase/out.h"
#include "edge/hub.h"
#include "edge/json_out.h"
#include "runtime/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool same(struct rt_span a, struct rt_span b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static void check_room(const struct fluxbase_message *message)
{
    enum fluxbase_channel_kind kind = fluxbase_channel_parse(message->channel).kind;
    char name[FLUXBASE_CHANNEL_MAX];
    struct rt_span room = fluxbase_room_name(message->channel, name);

    must(kind == FLUXBASE_BROADCAST || kind == FLUXBASE_PRESENCE ||
         (kind == FLUXBASE_FREE && message->free_channels));
    kind = fluxbase_channel_parse(room).kind;
    must(room.len <= FLUXBASE_CHANNEL_MAX);
    must(kind == FLUXBASE_BROADCAST || kind == FLUXBASE_PRESENCE);
    if (message->type == FLUXBASE_SEND) {
        must(rt_json_valid(message->payload) && message->payload.len <= WIRE_PAYLOAD_MAX);
        must(message->event.data != NULL && message->event.len <= WIRE_TEXT_MAX);
    } else if (message->type != FLUXBASE_SUBSCRIBE) {
        must(message->key.len > 0 && message->key.len <= WIRE_KEY_MAX);
    }
    if (message->type == FLUXBASE_TRACK) {
        must(rt_json_valid(message->meta) && message->meta.len <= WIRE_META_MAX);
    }
}

static void check_subscribe(const struct fluxbase_message *message)
{
    if (message->form == FLUXBASE_BY_ROOM) {
        check_room(message);
        return;
    }
    char name[256];
    int len = snprintf(name, sizeof name, "table:%.*s.%.*s", (int)message->schema.len,
                       (const char *)message->schema.data, (int)message->table.len,
                       (const char *)message->table.data);
    struct fluxbase_channel channel =
        fluxbase_channel_parse((struct rt_span){ (const uint8_t *)name, (size_t)len });

    must(channel.kind == FLUXBASE_TABLE);
    must(same(channel.schema, message->schema) && same(channel.table, message->table));
    must(message->events != 0 && (message->events & ~HUB_EVERY_OP) == 0);
    must(!message->has_since || !message->snapshot);
    must(message->filter.len <= WIRE_FILTER_MAX);
    must(message->page_size <= WIRE_ROWS_MAX && message->snapshot_token.len <= WIRE_TOKEN_MAX);
    must(message->snapshot_token.data == NULL || message->snapshot);
    must(message->form == FLUXBASE_BY_CONFIG ||
         same(message->channel, (struct rt_span){ (const uint8_t *)name, (size_t)len }));
}

static void check_accepted(const struct fluxbase_message *message)
{
    switch (message->type) {
    case FLUXBASE_SUBSCRIBE:
        check_subscribe(message);
        break;
    case FLUXBASE_UNSUBSCRIBE:
        must(message->channel.data != NULL || message->subscription_id.data != NULL);
        break;
    case FLUXBASE_ACCESS_TOKEN:
        must(message->token.len > 0);
        break;
    case FLUXBASE_SEND:
    case FLUXBASE_TRACK:
    case FLUXBASE_UNTRACK:
        check_room(message);
        break;
    case FLUXBASE_PING:
    case FLUXBASE_HEARTBEAT:
        break;
    case FLUXBASE_UNKNOWN:
    default:
        abort();
    }
}

static void check_refused(const struct fluxbase_message *message,
                          const struct fluxbase_refusal *refusal)
{
    struct rt_buf frame = { 0 };
    struct rt_buf again = { 0 };
    struct rt_buf scratch = { 0 };
    size_t replaced = 0;

    must(refusal->text[0] != '\0');
    must(refusal->code == WIRE_CODE_INVALID_CHANNEL ||
         refusal->code == WIRE_CODE_SUBSCRIPTION_FAILED);
    fluxbase_out_error(&frame, refusal->code,
                       (struct rt_span){ (const uint8_t *)refusal->text, strlen(refusal->text) },
                       message->channel);
    must(json_out_compact(&again, (const char *)frame.data, frame.len, &scratch, &replaced));
    must(replaced == 0 && again.len == frame.len);
    rt_buf_fini(&frame);
    rt_buf_fini(&again);
    rt_buf_fini(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fluxbase_frame frame;
    struct fluxbase_message message = { .type = FLUXBASE_UNKNOWN };
    struct fluxbase_refusal refusal = { .text = "" };
    uint8_t *text = malloc(len > 0 ? len : 1);

    if (len > 0) {
        memcpy(text, data, len);
    }
    if (!fluxbase_parse((struct rt_span){ text, len }, len % 2 == 0, &frame, &refusal)) {
        must(frame.count == 0);
        check_refused(&message, &refusal);
    }
    must(frame.count <= FLUXBASE_BATCH_MAX);
    for (size_t i = 0; i < frame.count; i++) {
        if (fluxbase_read(&frame, i, &message, &refusal)) {
            check_accepted(&message);
        } else {
            check_refused(&message, &refusal);
        }
    }
    fluxbase_frame_fini(&frame);
    free(text);
    return 0;
}
