/* tests/unit/proto/tuple_test.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/records.h"

static struct wire_value text_value(const char *text)
{
    return (struct wire_value){ WIRE_VALUE_TEXT, (uint32_t)strlen(text), text };
}

static struct wire_tuple tuple_of(struct wire_writer *out, const struct wire_value *values,
                                  uint32_t count)
{
    wire_write_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_write_value(out, &values[i]);
    }
    return (struct wire_tuple){ out->data, out->len };
}

static enum wire_err next_of(const uint8_t *bytes, size_t len, struct wire_value *out)
{
    struct wire_reader in;

    wire_reader_init(&in, bytes, len);
    return wire_tuple_next(&in, out);
}
#define NEXT(out, ...)                                                                             \
    next_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), (out))

static void test_a_row_comes_back_value_by_value(void **state)
{
    const struct wire_value values[] = {
        text_value("1"),
        text_value(""),
        { .kind = WIRE_VALUE_NULL },
        { .kind = WIRE_VALUE_MISSING },
        { .kind = WIRE_VALUE_UNCHANGED },
        { .kind = WIRE_VALUE_TOO_LARGE },
        text_value("the last one, longer than thirty-one bytes"),
    };
    const uint32_t count = sizeof(values) / sizeof(values[0]);
    struct wire_writer out = { 0 };
    struct wire_reader in;
    struct wire_value value;
    uint32_t found = 0;

    (void)state;
    assert_int_equal(wire_tuple_open(tuple_of(&out, values, count), &in, &found), WIRE_OK);
    assert_int_equal(found, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(wire_tuple_next(&in, &value), WIRE_OK);
        assert_int_equal(value.kind, values[i].kind);
        assert_int_equal(value.len, values[i].len);
        assert_non_null(value.text);
        assert_memory_equal(value.text, values[i].len > 0 ? values[i].text : "", value.len);
    }
    assert_int_equal(wire_reader_finish(&in), WIRE_OK);
    assert_int_equal(wire_tuple_next(&in, &value), WIRE_ERR_SHORT);
    wire_writer_fini(&out);
}

static void test_markers_are_not_null(void **state)
{
    struct wire_value value;

    (void)state;
    assert_int_equal(NEXT(&value, 0xc0), WIRE_OK);
    assert_int_equal(value.kind, WIRE_VALUE_NULL);
    assert_int_equal(NEXT(&value, 0x00), WIRE_OK);
    assert_int_equal(value.kind, WIRE_VALUE_MISSING);
    assert_int_equal(NEXT(&value, 0x01), WIRE_OK);
    assert_int_equal(value.kind, WIRE_VALUE_UNCHANGED);
    assert_int_equal(NEXT(&value, 0x02), WIRE_OK);
    assert_int_equal(value.kind, WIRE_VALUE_TOO_LARGE);
}

static void test_an_unknown_marker_is_out_of_range(void **state)
{
    struct wire_value value;

    (void)state;
    assert_int_equal(NEXT(&value, 0x03), WIRE_ERR_RANGE);
    assert_int_equal(NEXT(&value, 0xff), WIRE_ERR_RANGE);
    assert_int_equal(NEXT(&value, 0xcf, 1, 0, 0, 0, 0, 0, 0, 0), WIRE_ERR_RANGE);
}

static void test_other_types_are_no_values(void **state)
{
    struct wire_value value;

    (void)state;
    assert_int_equal(NEXT(&value, 0xc2), WIRE_ERR_TYPE);
    assert_int_equal(NEXT(&value, 0x90), WIRE_ERR_TYPE);
    assert_int_equal(NEXT(&value, 0x80), WIRE_ERR_TYPE);
    assert_int_equal(NEXT(&value, 0xca, 0, 0, 0, 0), WIRE_ERR_TYPE);
    assert_int_equal(NEXT(&value, 0xd4, 0, 0), WIRE_ERR_TYPE);
    assert_int_equal(NEXT(&value, 0xc1), WIRE_ERR_TYPE);
}

static void test_no_tuple_cannot_be_opened(void **state)
{
    struct wire_tuple none = { NULL, 0 };
    struct wire_reader in;
    uint32_t count = 9;

    (void)state;
    assert_int_equal(wire_tuple_open(none, &in, &count), WIRE_ERR_SHORT);
    assert_int_equal(count, 0);
}

static void test_a_tuple_has_no_more_values_than_a_table_columns(void **state)
{
    static uint8_t bytes[3 + WIRE_COLUMNS_MAX + 1] = { 0xdc, WIRE_COLUMNS_MAX >> 8,
                                                       WIRE_COLUMNS_MAX & 0xff };
    struct wire_tuple tuple = { bytes, sizeof(bytes) };
    struct wire_reader in;
    uint32_t count = 0;

    (void)state;
    assert_int_equal(wire_tuple_open(tuple, &in, &count), WIRE_OK);
    assert_int_equal(count, WIRE_COLUMNS_MAX);
    bytes[2]++;
    assert_int_equal(wire_tuple_open(tuple, &in, &count), WIRE_ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_comes_back_value_by_value),
        cmocka_unit_test(test_markers_are_not_null),
        cmocka_unit_test(test_an_unknown_marker_is_out_of_range),
        cmocka_unit_test(test_other_types_are_no_values),
        cmocka_unit_test(test_no_tuple_cannot_be_opened),
        cmocka_unit_test(test_a_tuple_has_no_more_values_than_a_table_columns),
    };

    return cmocka_run_group_tests_name("proto/tuple", tests, NULL, NULL);
}
