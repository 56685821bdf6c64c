/* edge/fluxbase/in_room.c - broadcast and presence messages of clients, and subscriptions to such channels. */
#include <string.h>

#include "edge/fluxbase/channel.h"
#include "edge/fluxbase/in_parts.h"
#include "edge/hub.h"
#include "runtime/json.h"

static const struct rt_span raw_null = { (const uint8_t *)"null", 4 };

bool fluxbase_is_room(const struct fluxbase_message *message)
{
    enum fluxbase_channel_kind kind = fluxbase_channel_parse(message->channel).kind;

    return kind == FLUXBASE_PRESENCE || kind == FLUXBASE_BROADCAST ||
           (kind == FLUXBASE_FREE && message->free_channels);
}

static bool check_channel(const struct fluxbase_message *message, const char *what,
                          struct fluxbase_refusal *refusal)
{
    if (message->channel.data == NULL) {
        return fluxbase_refuse(refusal, WIRE_CODE_SUBSCRIPTION_FAILED, "channel is required for %s",
                               what);
    }
    if (!fluxbase_is_room(message)) {
        return fluxbase_refuse(refusal, WIRE_CODE_INVALID_CHANNEL,
                               "invalid channel: %s goes to broadcast:{topic} or presence:{room}",
                               what);
    }
    return true;
}

/* The text of a member, as the client wrote it; `otherwise` if it is not there. False: its name is written with escapes. */
static bool raw_member(const json_t *object, struct rt_span raw, const char *name,
                       struct rt_span otherwise, struct rt_span *out)
{
    *out = otherwise;
    return json_object_get(object, name) == NULL || rt_json_member(raw, name, out);
}

bool fluxbase_read_broadcast(const json_t *root, struct rt_span raw,
                             struct fluxbase_message *message, struct fluxbase_refusal *refusal)
{
    const json_t *self = json_object_get(root, "self");

    if (!check_channel(message, "broadcast", refusal) ||
        !fluxbase_optional_text(root, "event", &message->event, refusal) ||
        !fluxbase_optional_text(root, "messageId", &message->message_id, refusal)) {
        return false;
    }
    if (message->event.data == NULL) {
        message->event = (struct rt_span){ (const uint8_t *)"broadcast", 9 };
    }
    if (message->event.len > WIRE_TEXT_MAX || message->message_id.len > WIRE_TEXT_MAX) {
        return fluxbase_fails(refusal, "event and messageId may be 1024 bytes long");
    }
    if (self != NULL && !json_is_null(self) && !json_is_boolean(self)) {
        return fluxbase_fails(refusal, "self must be true or false");
    }
    message->not_to_self = json_is_false(self);
    if (!raw_member(root, raw, "payload", raw_null, &message->payload)) {
        return fluxbase_fails(refusal, "payload must be written without escapes in its name");
    }
    return message->payload.len <= WIRE_PAYLOAD_MAX ||
           fluxbase_fails(refusal, "the payload is larger than 1 MiB");
}

/* `event` at the top (SDK) or in the payload (what the original server reads). */
static bool read_event(const json_t *root, const json_t *payload, struct fluxbase_message *message,
                       struct fluxbase_refusal *refusal)
{
    struct rt_span event;

    if (!fluxbase_optional_text(root, "event", &event, refusal) ||
        (event.data == NULL && !fluxbase_optional_text(payload, "event", &event, refusal))) {
        return false;
    }
    if (event.len == 5 && memcmp(event.data, "track", 5) == 0) {
        message->type = FLUXBASE_TRACK;
        return true;
    }
    if (event.len == 7 && memcmp(event.data, "untrack", 7) == 0) {
        message->type = FLUXBASE_UNTRACK;
        return true;
    }
    return fluxbase_fails(refusal, "unknown presence event");
}

bool fluxbase_read_presence(const json_t *root, struct rt_span raw,
                            struct fluxbase_message *message, struct fluxbase_refusal *refusal)
{
    const json_t *payload = json_object_get(root, "payload");
    struct rt_span raw_payload = { 0 };

    if (!check_channel(message, "presence", refusal)) {
        return false;
    }
    if (!json_is_object(payload) || !rt_json_member(raw, "payload", &raw_payload)) {
        return fluxbase_fails(refusal, "invalid presence payload");
    }
    if (!read_event(root, payload, message, refusal) ||
        !fluxbase_optional_text(payload, "key", &message->key, refusal)) {
        return false;
    }
    if (message->key.len == 0) {
        return fluxbase_refuse(refusal, WIRE_CODE_SUBSCRIPTION_FAILED,
                               "key is required for presence %s",
                               message->type == FLUXBASE_TRACK ? "track" : "untrack");
    }
    static const struct rt_span empty = { (const uint8_t *)"{}", 2 };
    if (message->key.len > WIRE_KEY_MAX ||
        !raw_member(payload, raw_payload, "state", empty, &message->meta) ||
        message->meta.len > WIRE_META_MAX) {
        return fluxbase_fails(refusal, "a presence key may be 255 bytes long and its state 16 KiB");
    }
    return true;
}

bool fluxbase_read_room(const json_t *root, struct fluxbase_message *message,
                        struct fluxbase_refusal *refusal)
{
    struct rt_span since;

    message->form = FLUXBASE_BY_ROOM;
    if (json_object_get(root, "snapshot") != NULL ||
        json_object_get(root, "snapshot_token") != NULL) {
        return fluxbase_fails(refusal, "a broadcast or presence channel has no snapshot");
    }
    if (!fluxbase_optional_text(root, "since", &since, refusal)) {
        return false;
    }
    message->has_since = since.data != NULL;
    return !message->has_since || hub_place_parse(since, &message->place) ||
           fluxbase_fails(refusal,
                          "since must be the id of a message or of an ack of this channel, or "
                          "of a heartbeat");
}
