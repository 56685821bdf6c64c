/* fuzz_type_shapes.c - any catalog of types, however wrong, gives one well-formed shape within its limits.
 *
 * Input: the type asked for, then types of 4 bytes: kind, flags, element or base or first attribute's type, and
 * number of attributes. Types refer to each other by number, so loops are easily made.
 */
#include <stdlib.h>
#include <string.h>

#include "tailer/shapes.h"
#include "tests/unit/tailer/fakes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { TYPES_MAX = 64, ATTRIBUTES_MAX = 7 };

/* Some built-in, most of our own. */
static uint32_t type_number(uint8_t byte)
{
    static const uint32_t builtin[] = { 23, 25, 1007, 22, 3802, 1020 };
    size_t count = sizeof(builtin) / sizeof(builtin[0]);

    return byte < count ? builtin[byte] : 20000u + byte % (uint32_t)TYPES_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct facts_attribute attributes[TYPES_MAX][ATTRIBUTES_MAX];
    struct facts_type types[TYPES_MAX];
    struct fake_catalog catalog = { .types = types };
    struct facts_source source = fake_source(&catalog);
    struct shapes_report report = { 0 };
    struct wire_writer out = { 0 };
    struct wire_reader in;

    for (size_t at = 1; len >= 4 && at <= len - 4 && catalog.type_count < TYPES_MAX; at += 4) {
        uint32_t number = catalog.type_count++;
        for (uint32_t i = 0; i < ATTRIBUTES_MAX; i++) {
            attributes[number][i].type = type_number((uint8_t)(data[at + 2] + i));
            memset(attributes[number][i].name, 'n', FACTS_NAME_SIZE); /* not terminated */
        }
        types[number] = (struct facts_type){
            .kind = (char)data[at],
            .is_array = (data[at + 1] & 1) != 0,
            .is_vector = (data[at + 1] & 2) != 0,
            .delimiter = (char)data[at + 1],
            .element = type_number(data[at + 2]),
            .base = type_number(data[at + 2]),
            .attributes = attributes[number],
            .attribute_count = data[at] == 'c' ? data[at + 3] % (ATTRIBUTES_MAX + 1) : 0,
        };
    }
    if (!shapes_write(&source, type_number(len > 0 ? data[0] : 0), &out, &report)) {
        abort();
    }
    wire_reader_init(&in, out.data, out.len);
    wire_read_raw(&in, WIRE_SHAPE_DEPTH);
    if (wire_reader_finish(&in) != WIRE_OK) {
        abort();
    }
    wire_writer_fini(&out);
    return 0;
}
