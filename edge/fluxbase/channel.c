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
    if (after(text, "presence:", &rest) && rest.len > 0) {
        channel.kind = FLUXBASE_PRESENCE;
    } else if (after(text, "broadcast:", &rest) && rest.len > 0) {
        channel.kind = FLUXBASE_BROADCAST;
    }
    return channel;
}
