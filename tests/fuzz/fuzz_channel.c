/* tests/fuzz/fuzz_channel.c - channel names: what is accepted is exactly "table:" schema "." table. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size == 0 ? 1 : size);
    struct channel channel = { .schema = { .len = 0 } };
    const char *why = NULL;

    if (size > 0) {
        memcpy(text, data, size);
    }
    struct wire_span span = { text, size };
    if (!channel_parse(span, &channel, &why)) {
        check(why != NULL && strlen(why) <= WIRE_TEXT_MAX);
    } else {
        check(channel.schema.data == text + 6);
        check(channel.table.data == channel.schema.data + channel.schema.len + 1);
        check(channel.table.data + channel.table.len == text + size);
        check(channel.schema.len >= 1 && channel.schema.len <= WIRE_NAME_MAX);
        check(channel.table.len >= 1 && channel.table.len <= WIRE_NAME_MAX);
        check(memchr(channel.schema.data, '.', channel.schema.len) == NULL);
        check(memchr(text, '\0', size) == NULL && channel_clean_text(span));
    }
    free(text);
    return 0;
}
