/* tests/unit/proto/reader_test.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/reader.h"

/* Bytes of the stack, as a cursor: READ(0x92, 1, 2). */
#define READ(...)                                                                                  \
    reader_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static struct wire_reader reader_of(const uint8_t *data, size_t len)
{
    struct wire_reader in;

    wire_reader_init(&in, data, len);
    return in;
}

static void test_integers_are_read_in_every_width(void **state)
{
    struct wire_reader in = READ(0x00, 0x7f, 0xcc, 0x80, 0xcd, 0x01, 0x00, 0xce, 0x00, 0x01, 0x00,
                                 0x00, 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);

    (void)state;
    assert_int_equal(wire_read_u64(&in), 0);
    assert_int_equal(wire_read_u64(&in), 127);
    assert_int_equal(wire_read_u64(&in), 128);
    assert_int_equal(wire_read_u64(&in), 256);
    assert_int_equal(wire_read_u64(&in), 65536);
    assert_true(wire_read_u64(&in) == UINT64_MAX);
    assert_int_equal(wire_reader_finish(&in), WIRE_OK);
}

static void test_signed_integers_are_read_in_every_width(void **state)
{
    struct wire_reader in = READ(0xff, 0xe0, 0xd0, 0x80, 0xd1, 0x80, 0x00, 0xd2, 0x80, 0x00, 0x00,
                                 0x00, 0xd3, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xcf,
                                 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);

    (void)state;
    assert_true(wire_read_i64(&in) == -1);
    assert_true(wire_read_i64(&in) == -32);
    assert_true(wire_read_i64(&in) == INT8_MIN);
    assert_true(wire_read_i64(&in) == INT16_MIN);
    assert_true(wire_read_i64(&in) == INT32_MIN);
    assert_true(wire_read_i64(&in) == INT64_MIN);
    assert_true(wire_read_i64(&in) == INT64_MAX);
    assert_int_equal(wire_reader_finish(&in), WIRE_OK);
}

static void test_a_negative_number_is_no_unsigned_one(void **state)
{
    struct wire_reader small = READ(0xff);
    struct wire_reader large = READ(0xd3, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00);

    (void)state;
    assert_int_equal(wire_read_u64(&small), 0);
    assert_int_equal(small.err, WIRE_ERR_RANGE);
    assert_int_equal(wire_read_u64(&large), 0);
    assert_int_equal(large.err, WIRE_ERR_RANGE);
}

static void test_a_signed_format_with_a_positive_number_is_an_unsigned_one(void **state)
{
    struct wire_reader in = READ(0xd1, 0x7f, 0xff);

    (void)state;
    assert_int_equal(wire_read_u64(&in), 32767);
    assert_int_equal(in.err, WIRE_OK);
}

static void test_a_number_above_63_bits_is_no_signed_one(void **state)
{
    struct wire_reader in = READ(0xcf, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00);

    (void)state;
    assert_int_equal(wire_read_i64(&in), 0);
    assert_int_equal(in.err, WIRE_ERR_RANGE);
}

static void test_a_number_above_32_bits_is_out_of_range_for_u32(void **state)
{
    struct wire_reader most = READ(0xce, 0xff, 0xff, 0xff, 0xff);
    struct wire_reader more = READ(0xcf, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00);

    (void)state;
    assert_true(wire_read_u32(&most) == UINT32_MAX);
    assert_int_equal(most.err, WIRE_OK);
    assert_int_equal(wire_read_u32(&more), 0);
    assert_int_equal(more.err, WIRE_ERR_RANGE);
}

static void test_a_number_cut_off_is_short(void **state)
{
    static const uint8_t whole[] = { 0xcf, 1, 2, 3, 4, 5, 6, 7, 8 };

    (void)state;
    for (size_t len = 0; len < sizeof(whole); len++) {
        struct wire_reader in = reader_of(whole, len);
        assert_int_equal(wire_read_u64(&in), 0);
        assert_int_equal(in.err, WIRE_ERR_SHORT);
    }
}

static void test_bools_are_only_true_and_false(void **state)
{
    struct wire_reader in = READ(0xc3, 0xc2, 0x01);

    (void)state;
    assert_true(wire_read_bool(&in));
    assert_false(wire_read_bool(&in));
    assert_int_equal(in.err, WIRE_OK);
    assert_false(wire_read_bool(&in));
    assert_int_equal(in.err, WIRE_ERR_TYPE);
}

static void test_texts_are_str_or_bin_of_any_width(void **state)
{
    struct wire_reader in = READ(0xa1, 'a', 0xd9, 1, 'b', 0xda, 0, 1, 'c', 0xdb, 0, 0, 0, 1, 'd',
                                 0xc4, 1, 'e', 0xc5, 0, 1, 'f', 0xc6, 0, 0, 0, 1, 'g');

    (void)state;
    for (int c = 'a'; c <= 'g'; c++) {
        struct wire_span text = wire_read_str(&in, 1);
        assert_int_equal(text.len, 1);
        assert_int_equal(text.data[0], c);
    }
    assert_int_equal(wire_reader_finish(&in), WIRE_OK);
}

static void test_a_text_borrows_the_buffer(void **state)
{
    static const uint8_t bytes[] = { 0xa3, 'a', 'b', 'c' };
    struct wire_reader in = reader_of(bytes, sizeof(bytes));

    (void)state;
    assert_ptr_equal(wire_read_str(&in, 3).data, bytes + 1);
}

static void test_a_text_over_its_limit_is_out_of_range_even_when_it_is_not_there(void **state)
{
    struct wire_reader here = READ(0xa3, 'a', 'b', 'c');
    struct wire_reader gone = READ(0xdb, 0xff, 0xff, 0xff, 0xff);

    (void)state;
    assert_int_equal(wire_read_str(&here, 2).len, 0);
    assert_int_equal(here.err, WIRE_ERR_RANGE);
    assert_int_equal(wire_read_str(&gone, 1024).len, 0);
    assert_int_equal(gone.err, WIRE_ERR_RANGE);
}

static void test_a_text_cut_off_is_short(void **state)
{
    struct wire_reader in = READ(0xa3, 'a', 'b');

    (void)state;
    struct wire_span text = wire_read_str(&in, 10);
    assert_int_equal(in.err, WIRE_ERR_SHORT);
    assert_int_equal(text.len, 0);
    assert_non_null(text.data);
}

static void test_an_array_gives_its_count(void **state)
{
    struct wire_reader in = READ(0x92, 0xdc, 0, 1, 0xdd, 0, 0, 0, 1, 0x90);

    (void)state;
    assert_int_equal(wire_read_array(&in, 2), 2);
    assert_int_equal(wire_read_array(&in, 2), 1);
    assert_int_equal(wire_read_array(&in, 2), 1);
    assert_int_equal(wire_read_array(&in, 2), 0);
    assert_int_equal(wire_reader_finish(&in), WIRE_OK);
}

static void test_an_array_over_its_limit_is_out_of_range(void **state)
{
    struct wire_reader in = READ(0x93, 1, 2, 3);

    (void)state;
    assert_int_equal(wire_read_array(&in, 2), 0);
    assert_int_equal(in.err, WIRE_ERR_RANGE);
}

static void test_an_array_with_fewer_bytes_than_elements_is_refused_at_its_head(void **state)
{
    struct wire_reader exact = READ(0x93, 1, 2, 3);
    struct wire_reader fewer = READ(0x93, 1, 2);
    struct wire_reader huge = READ(0xdd, 0xff, 0xff, 0xff, 0xff);

    (void)state;
    assert_int_equal(wire_read_array(&exact, UINT32_MAX), 3);
    assert_int_equal(wire_read_array(&fewer, UINT32_MAX), 0);
    assert_int_equal(fewer.err, WIRE_ERR_SHORT);
    assert_int_equal(wire_read_array(&huge, UINT32_MAX), 0);
    assert_int_equal(huge.err, WIRE_ERR_SHORT);
}

static void test_a_map_is_no_array(void **state)
{
    struct wire_reader in = READ(0x81, 1, 2);

    (void)state;
    assert_int_equal(wire_read_array(&in, 9), 0);
    assert_int_equal(in.err, WIRE_ERR_TYPE);
}

static void test_raw_spans_a_value_of_every_type(void **state)
{
    static const struct {
        uint8_t len;
        uint8_t bytes[20];
    } values[] = {
        { 1, { 0x05 } },
        { 1, { 0xe5 } },
        { 1, { 0xc0 } },
        { 1, { 0xc2 } },
        { 1, { 0xc3 } },
        { 2, { 0xcc, 1 } },
        { 3, { 0xcd, 1, 2 } },
        { 5, { 0xd2, 1, 2, 3, 4 } },
        { 9, { 0xd3, 1 } },
        { 5, { 0xca, 1, 2, 3, 4 } },
        { 9, { 0xcb, 1, 2, 3, 4 } },
        { 3, { 0xa2, 'a', 'b' } },
        { 3, { 0xc4, 1, 'a' } },
        { 3, { 0xd4, 1, 2 } },
        { 4, { 0xd5, 1, 2, 3 } },
        { 6, { 0xd6, 1 } },
        { 10, { 0xd7, 1 } },
        { 18, { 0xd8, 1 } },
        { 5, { 0xc7, 2, 9, 1, 2 } },
        { 5, { 0xc8, 0, 1, 9, 1 } },
        { 6, { 0xc9, 0, 0, 0, 0, 9 } },
        { 1, { 0x90 } },
        { 1, { 0x80 } },
        { 4, { 0x92, 0x91, 0x01, 0x90 } },
        { 5, { 0x82, 1, 2, 3, 4 } },
        { 5, { 0xde, 0, 1, 3, 4 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        uint8_t with_next[21] = { 0 };
        memcpy(with_next, values[i].bytes, values[i].len);
        with_next[values[i].len] = 0x2a;
        struct wire_reader in = reader_of(with_next, values[i].len + 1U);
        struct wire_span raw = wire_read_raw(&in, 2);
        assert_int_equal(raw.len, values[i].len);
        assert_ptr_equal(raw.data, with_next);
        assert_int_equal(wire_read_u64(&in), 0x2a);
        assert_int_equal(wire_reader_finish(&in), WIRE_OK);
        for (uint8_t len = 0; len < values[i].len; len++) {
            struct wire_reader cut = reader_of(with_next, len);
            assert_int_equal(wire_read_raw(&cut, 2).len, 0);
            assert_int_equal(cut.err, WIRE_ERR_SHORT);
        }
    }
}

static void test_raw_stops_at_its_depth(void **state)
{
    static const uint8_t nested[] = { 0x91, 0x81, 0x01, 0x90 };

    (void)state;
    for (unsigned depth = 0; depth < 5; depth++) {
        struct wire_reader in = reader_of(nested, sizeof(nested));
        (void)wire_read_raw(&in, depth);
        assert_int_equal(in.err, depth < 3 ? WIRE_ERR_DEPTH : WIRE_OK);
    }
}

static void test_raw_never_nests_deeper_than_it_can_count(void **state)
{
    uint8_t nested[WIRE_RAW_DEPTH_MAX + 2];

    (void)state;
    memset(nested, 0x91, sizeof(nested) - 1);
    nested[sizeof(nested) - 1] = 0x90;
    struct wire_reader deeper = reader_of(nested, sizeof(nested));
    (void)wire_read_raw(&deeper, 1000);
    assert_int_equal(deeper.err, WIRE_ERR_DEPTH);
    struct wire_reader deepest = reader_of(nested + 2, sizeof(nested) - 2);
    assert_int_equal(wire_read_raw(&deepest, 1000).len, WIRE_RAW_DEPTH_MAX);
    assert_int_equal(deepest.err, WIRE_OK);
}

static void test_raw_refuses_counts_that_cannot_be_there(void **state)
{
    struct wire_reader array = READ(0xdd, 0xff, 0xff, 0xff, 0xff, 0, 0);
    struct wire_reader map = READ(0xdf, 0x80, 0, 0, 0, 0, 0); /* pairs: twice as many values */
    struct wire_reader body = READ(0xc9, 0xff, 0xff, 0xff, 0xff, 0, 0);
    struct wire_reader never = READ(0xc1);

    (void)state;
    assert_int_equal(wire_read_raw(&array, 9).len, 0);
    assert_int_equal(array.err, WIRE_ERR_SHORT);
    assert_int_equal(wire_read_raw(&map, 9).len, 0);
    assert_int_equal(map.err, WIRE_ERR_SHORT);
    assert_int_equal(wire_read_raw(&body, 9).len, 0);
    assert_int_equal(body.err, WIRE_ERR_SHORT);
    assert_int_equal(wire_read_raw(&never, 9).len, 0);
    assert_int_equal(never.err, WIRE_ERR_TYPE);
}

static void test_nil_is_consumed_only_when_it_is_there(void **state)
{
    struct wire_reader in = READ(0xc0, 0x01);

    (void)state;
    assert_true(wire_try_nil(&in));
    assert_false(wire_try_nil(&in));
    assert_int_equal(wire_read_u64(&in), 1);
    assert_false(wire_try_nil(&in));
    assert_int_equal(wire_reader_finish(&in), WIRE_OK);
}

static void test_the_first_failure_stays(void **state)
{
    struct wire_reader in = READ(0xc0, 0x01, 0xa1, 'a');

    (void)state;
    assert_int_equal(wire_read_u64(&in), 0);
    assert_int_equal(in.err, WIRE_ERR_TYPE);
    assert_int_equal(wire_read_u64(&in), 0);
    assert_int_equal(wire_read_str(&in, 9).len, 0);
    assert_int_equal(wire_read_raw(&in, 9).len, 0);
    assert_int_equal(wire_read_array(&in, 9), 0);
    assert_false(wire_read_bool(&in));
    wire_reader_fail(&in, WIRE_ERR_RANGE);
    assert_int_equal(wire_reader_finish(&in), WIRE_ERR_TYPE);
}

static void test_bytes_behind_the_value_are_trailing(void **state)
{
    struct wire_reader in = READ(0x01, 0x02);

    (void)state;
    (void)wire_read_u64(&in);
    assert_int_equal(wire_reader_finish(&in), WIRE_ERR_TRAILING);
    assert_int_equal(in.err, WIRE_OK);
}

static void test_no_buffer_is_an_empty_one(void **state)
{
    struct wire_reader in;

    (void)state;
    wire_reader_init(&in, NULL, 0);
    assert_int_equal(wire_reader_finish(&in), WIRE_OK);
    assert_false(wire_try_nil(&in));
    assert_int_equal(wire_read_u64(&in), 0);
    assert_int_equal(in.err, WIRE_ERR_SHORT);
}

static void test_every_error_has_a_text_of_its_own(void **state)
{
    (void)state;
    for (int a = WIRE_OK; a <= WIRE_ERR_TRAILING; a++) {
        assert_string_not_equal(wire_err_text((enum wire_err)a), "unknown error");
        for (int b = WIRE_OK; b < a; b++) {
            assert_string_not_equal(wire_err_text((enum wire_err)a),
                                    wire_err_text((enum wire_err)b));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_are_read_in_every_width),
        cmocka_unit_test(test_signed_integers_are_read_in_every_width),
        cmocka_unit_test(test_a_negative_number_is_no_unsigned_one),
        cmocka_unit_test(test_a_signed_format_with_a_positive_number_is_an_unsigned_one),
        cmocka_unit_test(test_a_number_above_63_bits_is_no_signed_one),
        cmocka_unit_test(test_a_number_above_32_bits_is_out_of_range_for_u32),
        cmocka_unit_test(test_a_number_cut_off_is_short),
        cmocka_unit_test(test_bools_are_only_true_and_false),
        cmocka_unit_test(test_texts_are_str_or_bin_of_any_width),
        cmocka_unit_test(test_a_text_borrows_the_buffer),
        cmocka_unit_test(test_a_text_over_its_limit_is_out_of_range_even_when_it_is_not_there),
        cmocka_unit_test(test_a_text_cut_off_is_short),
        cmocka_unit_test(test_an_array_gives_its_count),
        cmocka_unit_test(test_an_array_over_its_limit_is_out_of_range),
        cmocka_unit_test(test_an_array_with_fewer_bytes_than_elements_is_refused_at_its_head),
        cmocka_unit_test(test_a_map_is_no_array),
        cmocka_unit_test(test_raw_spans_a_value_of_every_type),
        cmocka_unit_test(test_raw_stops_at_its_depth),
        cmocka_unit_test(test_raw_never_nests_deeper_than_it_can_count),
        cmocka_unit_test(test_raw_refuses_counts_that_cannot_be_there),
        cmocka_unit_test(test_nil_is_consumed_only_when_it_is_there),
        cmocka_unit_test(test_the_first_failure_stays),
        cmocka_unit_test(test_bytes_behind_the_value_are_trailing),
        cmocka_unit_test(test_no_buffer_is_an_empty_one),
        cmocka_unit_test(test_every_error_has_a_text_of_its_own),
    };

    return cmocka_run_group_tests_name("proto/reader", tests, NULL, NULL);
}
