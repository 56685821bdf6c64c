/* tests/fuzz/fuzz_wire_roundtrip.c - what decodes can be encoded, and decodes to the same record.
 *
 * The bytes may differ the first time (a foreign encoder may choose longer forms), not the second.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/proto/any_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static char *printed(const struct any_record *record, size_t *out_len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, out_len);

    must(out != NULL);
    any_record_print(out, record);
    must(fclose(out) == 0);
    return text;
}

/* Columns carry a shape, and rows their values, as raw bytes, so long forms in there stay. */
static void check(const struct any_record *record)
{
    struct any_record again;
    struct wire_reader in;
    struct wire_writer first = { 0 };
    struct wire_writer second = { 0 };
    size_t text_len = 0;
    size_t again_len = 0;

    any_record_encode(&first, record);
    wire_reader_init(&in, first.data, first.len);
    must(any_record_decode(&in, &again) == WIRE_OK);
    must(wire_reader_finish(&in) == WIRE_OK);

    char *text = printed(record, &text_len);
    char *again_text = printed(&again, &again_len);
    must(text_len == again_len && memcmp(text, again_text, text_len) == 0);

    any_record_encode(&second, &again);
    must(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    free(again_text);
    free(text);
    wire_writer_fini(&second);
    wire_writer_fini(&first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct any_record record;
    struct wire_reader in;
    uint8_t *copy = malloc(len > 0 ? len : 1);

    must(copy != NULL);
    if (len > 0) {
        memcpy(copy, data, len);
    }
    wire_reader_init(&in, copy, len);
    while (any_record_decode(&in, &record) == WIRE_OK) {
        check(&record);
    }
    free(copy);
    return 0;
}
