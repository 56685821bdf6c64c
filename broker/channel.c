/* broker/channel.c - the grammar of channel names. */
#include "broker/channel.h"

#include <string.h>

static const char table_prefix[] = "table:";

/* Bytes of the UTF-8 sequence at `at`, or 0: overlong forms, surrogates and values past U+10FFFF are
 * no characters, and neither are control characters here (they would forge lines elsewhere). */
static size_t sequence_len(const unsigned char *at, size_t left)
{
    static const unsigned char first_min[5] = { 0, 0, 0xc2, 0xe0, 0xf0 };
    unsigned char c = at[0];
    size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    if (len == 1) {
        return c < 0x20 || c == 0x7f ? 0 : 1;
    }
    if (c < first_min[len] || c > 0xf4 || len > left) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((c == 0xc2 && at[1] < 0xa0) || (c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) ||
        (c == 0xf0 && at[1] < 0x90) || (c == 0xf4 && at[1] > 0x8f)) {
        return 0;
    }
    return len;
}

bool channel_clean_text(struct wire_span text)
{
    const unsigned char *at = (const unsigned char *)text.data;
    size_t left = text.len;

    while (left > 0) {
        size_t len = sequence_len(at, left);
        if (len == 0) {
            return false;
        }
        at += len;
        left -= len;
    }
    return true;
}

bool channel_parse(struct wire_span text, struct channel *out, const char **out_why)
{
    size_t prefix = sizeof(table_prefix) - 1;

    if (text.len < prefix || memcmp(text.data, table_prefix, prefix) != 0) {
        *out_why = "channel must be table:SCHEMA.TABLE";
        return false;
    }
    if (text.len > WIRE_CHANNEL_MAX || !channel_clean_text(text)) {
        *out_why = "channel is too long, or not clean UTF-8";
        return false;
    }
    struct wire_span name = { text.data + prefix, text.len - prefix };
    const char *dot = name.len == 0 ? NULL : memchr(name.data, '.', name.len);
    if (dot == NULL) {
        *out_why =
            "channel lacks the schema: write table:SCHEMA.TABLE, for example table:public.users";
        return false;
    }
    struct channel channel = {
        .schema = { name.data, (size_t)(dot - name.data) },
        .table = { dot + 1, name.len - (size_t)(dot - name.data) - 1 },
    };
    if (channel.schema.len == 0 || channel.table.len == 0 || channel.schema.len > WIRE_NAME_MAX ||
        channel.table.len > WIRE_NAME_MAX) {
        *out_why = "schema and table must each be 1 to 63 bytes long";
        return false;
    }
    *out = channel;
    return true;
}
