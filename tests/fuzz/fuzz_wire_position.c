/* tests/fuzz/fuzz_wire_position.c - text from a client as a position: one position has one text. */
#include <stdlib.h>
#include <string.h>

#include "proto/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct wire_position position;
    char text[WIRE_POSITION_TEXT_SIZE];
    char *copy = malloc(len > 0 ? len : 1);

    if (copy == NULL) {
        abort();
    }
    if (len > 0) {
        memcpy(copy, data, len);
    }
    if (wire_position_parse(copy, len, &position)) {
        wire_position_text(&position, text);
        if (strlen(text) != len || memcmp(text, copy, len) != 0) {
            abort();
        }
    }
    free(copy);
    return 0;
}
