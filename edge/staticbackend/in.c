/* edge/staticbackend/in.c - see in.h. */
#include "edge/staticbackend/in.h"

#include <string.h>

#include <jansson.h>

static bool take_text(const json_t *object, const char *name, struct rt_span *out)
{
    const json_t *value = json_object_get(object, name);

    *out = (struct rt_span){ (const uint8_t *)"", 0 };
    if (value == NULL || json_is_null(value)) {
        return true;
    }
    if (!json_is_string(value)) {
        return false;
    }
    *out = (struct rt_span){ (const uint8_t *)json_string_value(value), json_string_length(value) };
    return true;
}

static enum sb_type type_of(struct rt_span name)
{
    static const struct {
        const char *name;
        enum sb_type type;
    } known[] = {
        { "echo", SB_ECHO },
        { "auth", SB_AUTH },
        { "join", SB_JOIN },
        { "chan_in", SB_CHAN_IN },
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (name.len == strlen(known[i].name) && memcmp(name.data, known[i].name, name.len) == 0) {
            return known[i].type;
        }
    }
    return SB_OTHER;
}

static bool is_channel(struct rt_span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] < 0x20 || name.data[i] == 0x7f) {
            return false;
        }
    }
    return name.len <= SB_CHANNEL_MAX;
}

const char *sb_message_read(struct rt_span text, struct sb_message *out)
{
    *out = (struct sb_message){ .type = SB_OTHER };
    out->tree = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);

    const json_t *root = out->tree;
    if (!json_is_object(root)) {
        return "invalid request: not a JSON object";
    }
    if (!take_text(root, "sid", &out->sid) || !take_text(root, "token", &out->token) ||
        !take_text(root, "type", &out->type_name) || !take_text(root, "data", &out->data) ||
        !take_text(root, "channel", &out->channel)) {
        return "invalid request: sid, type, data, channel and token are texts";
    }
    out->type = type_of(out->type_name);
    if (!is_channel(out->channel) || (out->type == SB_JOIN && !is_channel(out->data))) {
        return "invalid channel: at most 200 bytes, without control characters";
    }
    return NULL;
}

void sb_message_fini(struct sb_message *message)
{
    json_decref(message->tree);
    message->tree = NULL;
}
