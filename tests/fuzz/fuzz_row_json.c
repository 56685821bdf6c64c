/* tests/fuzz/fuzz_row_json.c - any description of a table with any row of it.
 *
 * Input: two bytes of length, a GROUP record of that length, then a tuple. Of what is accepted: the object, and
 * the lists of left-out columns, are compact JSON in valid UTF-8.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/json_out.h"
#include "edge/row_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Compact JSON compacts to itself. */
static void must_be_json(const struct rt_buf *text)
{
    struct rt_buf again = { 0 };
    struct rt_buf scratch = { 0 };
    size_t replaced = 0;

    if (!json_out_compact(&again, (const char *)text->data, text->len, &scratch, &replaced) ||
        replaced > 0 || again.len != text->len || memcmp(again.data, text->data, text->len) != 0) {
        abort();
    }
    rt_buf_fini(&again);
    rt_buf_fini(&scratch);
}

static void encode(const struct row_def *def, const struct row_values *row)
{
    struct row_encoder encoder = { 0 };
    struct rt_buf out = { 0 };

    row_encoder_begin(&encoder, def);
    if (row_json(&encoder, def, row, row, 0, &out) == WIRE_OK) {
        must_be_json(&out);
    } else if (out.len > 0) {
        abort();
    }
    for (unsigned mark = ROW_MARK_UNCHANGED; mark <= ROW_MARK_TOO_LARGE; mark++) {
        rt_buf_clear(&out);
        row_json_marked(&encoder, def, (uint8_t)mark, &out);
        if (out.len > 0) {
            must_be_json(&out);
        }
    }
    row_encoder_fini(&encoder);
    rt_buf_fini(&out);
}

static struct row_def *read_def(const uint8_t *data, size_t len)
{
    struct wire_reader in;
    struct wire_group group;
    enum wire_type type = WIRE_BEGIN;
    enum wire_err err = WIRE_OK;

    wire_reader_init(&in, data, len);
    if (wire_next_record(&in, &type) != WIRE_OK || type != WIRE_GROUP ||
        wire_decode_group(&in, &group) != WIRE_OK) {
        return NULL;
    }
    struct row_def *def = row_def_new(&group, &err);
    if ((def == NULL) != (err != WIRE_OK)) {
        abort();
    }
    return def;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct row_values row = { 0 };
    size_t group_len = len >= 2 ? (size_t)(data[0] << 8 | data[1]) : 0;

    if (len < 2 || group_len > len - 2) {
        return 0;
    }
    size_t tuple_len = len - 2 - group_len;
    uint8_t *group = malloc(group_len > 0 ? group_len : 1);
    uint8_t *tuple = malloc(tuple_len > 0 ? tuple_len : 1);
    memcpy(group, data + 2, group_len);
    memcpy(tuple, data + 2 + group_len, tuple_len);
    struct row_def *def = read_def(group, group_len);
    if (def != NULL && row_values_read(&row, (struct wire_tuple){ tuple, tuple_len }) == WIRE_OK) {
        encode(def, &row);
    }
    row_def_unref(def);
    row_values_fini(&row);
    free(group);
    free(tuple);
    return 0;
}
