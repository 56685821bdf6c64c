/* edge/fluxbase/in.c - see in.h. */
#include "edge/fluxbase/in.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "edge/fluxbase/channel.h"
#include "edge/fluxbase/in_parts.h"
#include "edge/hub.h"
#include "runtime/json.h"

static const char formats[] = "a channel is table:{schema}.{table}, presence:{room} or "
                              "broadcast:{topic}, or has a config with a table";

bool fluxbase_refuse(struct fluxbase_refusal *refusal, enum wire_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    refusal->code = code;
    (void)vsnprintf(refusal->text, sizeof refusal->text, format, args);
    va_end(args);
    return false;
}

bool fluxbase_fails(struct fluxbase_refusal *refusal, const char *text)
{
    return fluxbase_refuse(refusal, WIRE_CODE_SUBSCRIPTION_FAILED, "%s", text);
}

bool fluxbase_optional_text(const json_t *object, const char *name, struct rt_span *out,
                            struct fluxbase_refusal *refusal)
{
    const json_t *value = json_object_get(object, name);

    *out = (struct rt_span){ 0 };
    if (value == NULL || json_is_null(value)) {
        return true;
    }
    if (!json_is_string(value)) {
        return fluxbase_refuse(refusal, WIRE_CODE_SUBSCRIPTION_FAILED, "%s must be a string", name);
    }
    *out = (struct rt_span){ (const uint8_t *)json_string_value(value), json_string_length(value) };
    return true;
}

static bool equals(struct rt_span text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

static bool read_event(struct rt_span text, unsigned *out, struct fluxbase_refusal *refusal)
{
    if (text.data == NULL || equals(text, "*")) {
        *out = HUB_EVERY_OP;
    } else if (equals(text, "INSERT")) {
        *out = HUB_INSERT;
    } else if (equals(text, "UPDATE")) {
        *out = HUB_UPDATE;
    } else if (equals(text, "DELETE")) {
        *out = HUB_DELETE;
    } else {
        return fluxbase_fails(refusal, "event must be INSERT, UPDATE, DELETE or *");
    }
    return true;
}

/* --- what of a table, and where it begins ----------------------------------------------------------------------------- */

/* A member of the config, or of the message. Two of them are refused: readers may differ in which one counts. */
static bool either(const json_t *root, const json_t *config, const char *name, const json_t **out,
                   struct fluxbase_refusal *refusal)
{
    const json_t *outer = json_object_get(root, name);
    const json_t *inner = config != root ? json_object_get(config, name) : NULL;

    outer = json_is_null(outer) ? NULL : outer;
    inner = json_is_null(inner) ? NULL : inner;
    if (outer != NULL && inner != NULL) {
        return fluxbase_refuse(refusal, WIRE_CODE_SUBSCRIPTION_FAILED, "%s is given twice", name);
    }
    *out = inner != NULL ? inner : outer;
    return true;
}

static bool read_since(const json_t *value, struct fluxbase_message *message,
                       struct fluxbase_refusal *refusal)
{
    if (value == NULL) {
        return true;
    }
    message->has_since =
        json_is_string(value) &&
        wire_position_parse(json_string_value(value), json_string_length(value), &message->since);
    return message->has_since ||
           fluxbase_fails(refusal,
                          "since must be a position such as \"7f3a-00000000016b3748-3\": the id of "
                          "a change, of an ack or of a heartbeat");
}

static bool read_page_size(const json_t *value, struct fluxbase_message *message,
                           struct fluxbase_refusal *refusal)
{
    if (value == NULL) {
        return true;
    }
    json_int_t size = json_is_integer(value) ? json_integer_value(value) : 0;
    if (size < 1 || size > (json_int_t)WIRE_ROWS_MAX) {
        return fluxbase_refuse(refusal, WIRE_CODE_SUBSCRIPTION_FAILED,
                               "page_size must be an integer from 1 to %u", WIRE_ROWS_MAX);
    }
    message->page_size = (uint32_t)size;
    return true;
}

static bool read_snapshot(const json_t *wish, const json_t *token, struct fluxbase_message *message,
                          struct fluxbase_refusal *refusal)
{
    if (wish != NULL && !json_is_boolean(wish)) {
        return fluxbase_fails(refusal, "snapshot must be true or false");
    }
    message->snapshot = json_is_true(wish);
    if (token == NULL) {
        return true;
    }
    size_t len = json_is_string(token) ? json_string_length(token) : 0;
    if (len == 0 || len > WIRE_TOKEN_MAX) {
        return fluxbase_fails(refusal, "snapshot_token must be the token of a snapshot frame");
    }
    message->snapshot = true;
    message->snapshot_token = (struct rt_span){ (const uint8_t *)json_string_value(token), len };
    return true;
}

/* An ignored filter would show rows that the client asked not to see: what is no text is refused. */
static bool read_filter(const json_t *value, struct fluxbase_message *message,
                        struct fluxbase_refusal *refusal)
{
    if (value == NULL) {
        return true;
    }
    size_t len = json_string_length(value);
    if (!json_is_string(value) || len > WIRE_FILTER_MAX) {
        return fluxbase_refuse(
            refusal, WIRE_CODE_SUBSCRIPTION_FAILED,
            "invalid filter: a filter is a string of at most %u bytes (expected: "
            "column=operator.value)",
            WIRE_FILTER_MAX);
    }
    message->filter = (struct rt_span){ (const uint8_t *)json_string_value(value), len };
    return true;
}

static bool read_start(const json_t *root, const json_t *config, struct fluxbase_message *message,
                       struct fluxbase_refusal *refusal)
{
    const json_t *since = NULL;
    const json_t *wish = NULL;
    const json_t *token = NULL;
    const json_t *size = NULL;
    const json_t *filter = NULL;

    if (!either(root, config, "filter", &filter, refusal) ||
        !either(root, config, "since", &since, refusal) ||
        !either(root, config, "snapshot", &wish, refusal) ||
        !either(root, config, "snapshot_token", &token, refusal) ||
        !either(root, config, "page_size", &size, refusal) ||
        !read_filter(filter, message, refusal) || !read_since(since, message, refusal) ||
        !read_page_size(size, message, refusal) || !read_snapshot(wish, token, message, refusal)) {
        return false;
    }
    if (message->has_since && message->snapshot) {
        return fluxbase_fails(refusal,
                              "since and snapshot exclude each other: one goes on, the other "
                              "begins anew");
    }
    return true;
}

/* --- subscribe ---------------------------------------------------------------------------------------------- */

/* config, or the message itself in the older form. */
static bool read_config(const json_t *config, struct fluxbase_message *message,
                        struct fluxbase_refusal *refusal)
{
    struct rt_span event;

    message->form = FLUXBASE_BY_CONFIG;
    if (!fluxbase_optional_text(config, "schema", &message->schema, refusal) ||
        !fluxbase_optional_text(config, "table", &message->table, refusal) ||
        !fluxbase_optional_text(config, "event", &event, refusal) ||
        !read_event(event, &message->events, refusal)) {
        return false;
    }
    if (message->table.data == NULL || message->table.len == 0) {
        return fluxbase_fails(refusal, "table is required for subscribe");
    }
    if (message->schema.data == NULL) {
        message->schema = (struct rt_span){ (const uint8_t *)"public", 6 };
    }
    if (!fluxbase_is_schema_name(message->schema) || !fluxbase_is_table_name(message->table)) {
        return fluxbase_fails(
            refusal,
            "schema and table must be names of 1 to 63 bytes without control characters, and a "
            "schema without a dot");
    }
    if (message->channel.len > FLUXBASE_CHANNEL_MAX) {
        return fluxbase_fails(refusal, "the channel name is longer than 255 bytes");
    }
    return true;
}

static bool read_channel_form(struct fluxbase_message *message, struct fluxbase_refusal *refusal)
{
    struct fluxbase_channel channel = fluxbase_channel_parse(message->channel);

    switch (channel.kind) {
    case FLUXBASE_TABLE:
        message->form = FLUXBASE_BY_CHANNEL;
        message->schema = channel.schema;
        message->table = channel.table;
        message->events = HUB_EVERY_OP;
        return true;
    case FLUXBASE_PRESENCE:
    case FLUXBASE_BROADCAST: /* see read_subscribe() */
    case FLUXBASE_FREE:
    case FLUXBASE_NO_CHANNEL:
    default:
        return fluxbase_refuse(refusal, WIRE_CODE_INVALID_CHANNEL, "invalid channel: %s", formats);
    }
}

static bool read_subscribe(const json_t *root, struct fluxbase_message *message,
                           struct fluxbase_refusal *refusal)
{
    const json_t *config = json_object_get(root, "config");

    if (config != NULL && !json_is_null(config)) {
        if (!json_is_object(config)) {
            return fluxbase_fails(refusal, "config must be an object");
        }
        return read_config(config, message, refusal) && read_start(root, config, message, refusal);
    }
    if (json_object_get(root, "table") != NULL) {
        return read_config(root, message, refusal) && read_start(root, root, message, refusal);
    }
    if (message->channel.data == NULL) {
        return fluxbase_fails(refusal, "channel or table is required for subscribe");
    }
    if (fluxbase_is_room(message)) {
        return fluxbase_read_room(root, message, refusal);
    }
    return read_channel_form(message, refusal) && read_start(root, root, message, refusal);
}

static bool read_unsubscribe(const json_t *root, struct fluxbase_message *message,
                             struct fluxbase_refusal *refusal)
{
    if (!fluxbase_optional_text(root, "subscription_id", &message->subscription_id, refusal)) {
        return false;
    }
    if (message->channel.data == NULL && message->subscription_id.data == NULL) {
        return fluxbase_fails(refusal, "channel or subscription_id is required for unsubscribe");
    }
    return true;
}

static bool read_token(const json_t *root, struct fluxbase_message *message,
                       struct fluxbase_refusal *refusal)
{
    if (!fluxbase_optional_text(root, "token", &message->token, refusal)) {
        return false;
    }
    if (message->token.len == 0) {
        return fluxbase_fails(refusal, "token is required for access_token message");
    }
    return true;
}

static const struct {
    const char *name;
    enum fluxbase_type type;
} types[] = {
    { "subscribe", FLUXBASE_SUBSCRIBE },
    { "unsubscribe", FLUXBASE_UNSUBSCRIBE },
    { "ping", FLUXBASE_PING },
    { "heartbeat", FLUXBASE_HEARTBEAT },
    { "access_token", FLUXBASE_ACCESS_TOKEN },
    { "broadcast", FLUXBASE_SEND },
    { "presence", FLUXBASE_TRACK },
};

static bool read_type(const json_t *root, struct fluxbase_message *message,
                      struct fluxbase_refusal *refusal)
{
    struct rt_span name;

    if (!fluxbase_optional_text(root, "type", &name, refusal)) {
        return false;
    }
    if (name.data == NULL) {
        return fluxbase_fails(refusal, "the message has no type");
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (equals(name, types[i].name)) {
            message->type = types[i].type;
            return true;
        }
    }
    return fluxbase_refuse(refusal, WIRE_CODE_SUBSCRIPTION_FAILED, "unknown message type \"%.*s\"",
                           name.len < 64 ? (int)name.len : 64, (const char *)name.data);
}

static bool read_members(const json_t *root, struct rt_span raw, struct fluxbase_message *message,
                         struct fluxbase_refusal *refusal)
{
    if (!fluxbase_optional_text(root, "channel", &message->channel, refusal)) {
        return false;
    }
    switch (message->type) {
    case FLUXBASE_SUBSCRIBE:
        return read_subscribe(root, message, refusal);
    case FLUXBASE_UNSUBSCRIBE:
        return read_unsubscribe(root, message, refusal);
    case FLUXBASE_ACCESS_TOKEN:
        return read_token(root, message, refusal);
    case FLUXBASE_SEND:
        return fluxbase_read_broadcast(root, raw, message, refusal);
    case FLUXBASE_TRACK:
        return fluxbase_read_presence(root, raw, message, refusal);
    case FLUXBASE_UNTRACK:
    case FLUXBASE_PING:
    case FLUXBASE_HEARTBEAT:
    case FLUXBASE_UNKNOWN:
    default:
        return true;
    }
}

bool fluxbase_parse(struct rt_span text, bool free_channels, struct fluxbase_frame *frame,
                    struct fluxbase_refusal *refusal)
{
    json_error_t error;
    json_t *root = json_loadb((const char *)text.data, text.len,
                              JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);

    *frame = (struct fluxbase_frame){
        .text = text, .tree = root, .count = 1, .free_channels = free_channels
    };
    if (root == NULL) {
        frame->count = 0;
        return fluxbase_refuse(refusal, WIRE_CODE_SUBSCRIPTION_FAILED,
                               "the message is not valid JSON: %s (line %d, column %d)", error.text,
                               error.line, error.column);
    }
    if (json_is_array(root)) {
        frame->count = json_array_size(root);
        if (frame->count == 0 || frame->count > FLUXBASE_BATCH_MAX) {
            frame->count = 0;
            return fluxbase_refuse(refusal, WIRE_CODE_SUBSCRIPTION_FAILED,
                                   "an array of messages must have 1 to %u of them",
                                   FLUXBASE_BATCH_MAX);
        }
    }
    return true;
}

void fluxbase_frame_fini(struct fluxbase_frame *frame)
{
    json_decref(frame->tree);
    *frame = (struct fluxbase_frame){ 0 };
}

bool fluxbase_read(const struct fluxbase_frame *frame, size_t number,
                   struct fluxbase_message *message, struct fluxbase_refusal *refusal)
{
    const json_t *root = json_is_array((const json_t *)frame->tree)
                             ? json_array_get(frame->tree, number)
                             : (const json_t *)frame->tree;

    *message = (struct fluxbase_message){ .free_channels = frame->free_channels };
    if (!json_is_object(root)) {
        return fluxbase_fails(refusal, "the message must be a JSON object");
    }
    if (!read_type(root, message, refusal)) {
        struct fluxbase_refusal ignored;
        (void)fluxbase_optional_text(root, "channel", &message->channel, &ignored);
        return false;
    }
    struct rt_span raw = frame->text;
    if (json_is_array((const json_t *)frame->tree) && !rt_json_element(frame->text, number, &raw)) {
        return fluxbase_fails(refusal, "the message cannot be read");
    }
    return read_members(root, raw, message, refusal);
}
