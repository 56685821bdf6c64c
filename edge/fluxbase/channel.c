/* edge/fluxbase/channel.c - see channel.h. */
#include "edge/fluxbase/channel.h"

#include <string.h>

#include "proto/records.h"

static bool is_clean(struct rt_span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* What follows `prefix`; false if text does not start so. */
static bool after(struct rt_span text, const char *prefix, struct rt_span *out_rest)
{
    size_t len = strlen(prefix);

    if (text.len < len || memcmp(text.data, prefix, len) != 0) {
        return false;
    }
    *out_rest = (struct rt_span){ text.data + len, text.len - len };
    return true;
}

static struct fluxbase_channel table_channel(struct rt_span names)
{
    struct fluxbase_channel none = { .kind = FLUXBASE_NO_CHANNEL };
    const uint8_t *dot = names.len > 0 ? memchr(names.data, '.', names.len) : NULL;

    if (dot == NULL) {
        return none;
    }
    size_t schema_len = (size_t)(dot - names.data);
    struct fluxbase_channel channel = {
        .kind = FLUXBASE_TABLE,
        .schema = { names.data, schema_len },
        .table = { dot + 1, names.len - schema_len - 1 },
    };
    return fluxbase_is_schema_name(channel.schema) && fluxbase_is_table_name(channel.table)
               ? channel
               : none;
}

bool fluxbase_is_table_name(struct rt_span name)
{
    return name.len > 0 && name.len <= WIRE_NAME_MAX && is_clean(name);
}

bool fluxbase_is_schema_name(struct rt_span name)
{
    return fluxbase_is_table_name(name) && memchr(name.data, '.', name.len) == NULL;
}

static const char broadcast[] = "broadcast:";

static bool is_free(struct rt_span text)
{
    struct rt_span rest;

    return text.len > 0 && text.len <= FLUXBASE_CHANNEL_MAX - (sizeof broadcast - 1) &&
           !after(text, "realtime:admin:", &rest);
}

struct fluxbase_channel fluxbase_channel_parse(struct rt_span text)
{
    struct fluxbase_channel channel = { .kind = FLUXBASE_NO_CHANNEL };
    struct rt_span rest = { 0 };

    if (text.len > FLUXBASE_CHANNEL_MAX || !is_clean(text)) {
        return channel;
    }
    if (after(text, "table:", &rest)) {
        return table_channel(rest);
    }
    if (after(text, "presence:", &rest)) {
        channel.kind = rest.len > 0 ? FLUXBASE_PRESENCE : FLUXBASE_NO_CHANNEL;
    } else if (after(text, broadcast, &rest)) {
        channel.kind = rest.len > 0 ? FLUXBASE_BROADCAST : FLUXBASE_NO_CHANNEL;
    } else if (is_free(text)) {
        channel.kind = FLUXBASE_FREE;
    }
    return channel;
}

struct rt_span fluxbase_room_name(struct rt_span text, char *out)
{
    size_t prefix = sizeof broadcast - 1;

    if (fluxbase_channel_parse(text).kind != FLUXBASE_FREE) {
        return text;
    }
    memcpy(out, broadcast, prefix);
    memcpy(out + prefix, text.data, text.len);
    return (struct rt_span){ (const uint8_t *)out, prefix + text.len };
}
