/* tests/unit/proto/writer_test.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/writer.h"

static void expect_bytes(struct wire_writer *out, const uint8_t *bytes, size_t len)
{
    assert_int_equal(out->len, len);
    assert_memory_equal(out->data, bytes, len);
    wire_writer_clear(out);
}
#define EXPECT(out, ...)                                                                           \
    expect_bytes((out), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void test_values_take_their_shortest_form(void **state)
{
    struct wire_writer out = { 0 };

    (void)state;
    wire_write_u64(&out, 127);
    EXPECT(&out, 0x7f);
    wire_write_u64(&out, 128);
    EXPECT(&out, 0xcc, 0x80);
    wire_write_u64(&out, UINT64_MAX);
    EXPECT(&out, 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    wire_write_i64(&out, -1);
    EXPECT(&out, 0xff);
    wire_write_i64(&out, INT64_MIN);
    EXPECT(&out, 0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0);
    wire_write_bool(&out, true);
    EXPECT(&out, 0xc3);
    wire_write_bool(&out, false);
    EXPECT(&out, 0xc2);
    wire_write_nil(&out);
    EXPECT(&out, 0xc0);
    wire_write_str(&out, "ab", 2);
    EXPECT(&out, 0xa2, 'a', 'b');
    wire_write_str(&out, NULL, 0);
    EXPECT(&out, 0xa0);
    wire_write_array(&out, 16);
    EXPECT(&out, 0xdc, 0, 16);
    wire_writer_fini(&out);
}

static void test_a_pair_is_an_array_of_two_numbers(void **state)
{
    static const uint32_t numbers[] = { 0,      1,          127,        128,        255,       256,
                                        0x1234, UINT16_MAX, 0x00010000, 0x01020304, UINT32_MAX };
    enum { NUMBERS = sizeof(numbers) / sizeof(numbers[0]) };

    (void)state;
    for (size_t i = 0; i < NUMBERS; i++) {
        for (size_t j = 0; j < NUMBERS; j++) {
            struct wire_writer pair = { 0 };
            struct wire_writer array = { 0 };
            wire_write_pair(&pair, numbers[i], numbers[j]);
            wire_write_array(&array, 2);
            wire_write_u64(&array, numbers[i]);
            wire_write_u64(&array, numbers[j]);
            expect_bytes(&pair, array.data, array.len);
            wire_writer_fini(&pair);
            wire_writer_fini(&array);
        }
    }
}

static void test_pairs_grow_the_buffer(void **state)
{
    enum { PAIRS = 5000, BYTES = 1 + 5 + 1 };
    struct wire_writer out = { 0 };

    (void)state;
    for (uint32_t i = 0; i < PAIRS; i++) {
        wire_write_pair(&out, UINT32_MAX - i, 2);
    }
    assert_int_equal(out.len, PAIRS * BYTES);
    for (uint32_t i = 0; i < PAIRS; i++) {
        uint32_t number = UINT32_MAX - i;
        const uint8_t bytes[BYTES] = { 0x92,
                                       0xce,
                                       (uint8_t)(number >> 24),
                                       (uint8_t)(number >> 16),
                                       (uint8_t)(number >> 8),
                                       (uint8_t)number,
                                       2 };
        assert_memory_equal(out.data + (size_t)i * BYTES, bytes, BYTES);
    }
    wire_writer_fini(&out);
}

static void test_raw_bytes_are_taken_as_they_are(void **state)
{
    struct wire_writer out = { 0 };

    (void)state;
    wire_write_raw(&out, NULL, 0);
    wire_write_raw(&out, "\x92\x01", 2);
    wire_write_raw(&out, "\x02", 1);
    EXPECT(&out, 0x92, 1, 2);
    wire_writer_fini(&out);
}

static void test_the_buffer_grows_and_keeps_what_is_in_it(void **state)
{
    struct wire_writer out = { 0 };

    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        wire_write_u64(&out, i & 0x7f);
    }
    assert_int_equal(out.len, 100000);
    for (size_t i = 0; i < out.len; i++) {
        assert_int_equal(out.data[i], i & 0x7f);
    }
    wire_writer_fini(&out);
}

static void test_one_value_may_be_larger_than_the_buffer_doubled(void **state)
{
    static char text[100000];
    struct wire_writer out = { 0 };

    (void)state;
    memset(text, 'x', sizeof(text));
    wire_write_u64(&out, 1);
    wire_write_str(&out, text, sizeof(text));
    assert_int_equal(out.len, 1 + 5 + sizeof(text));
    assert_memory_equal(out.data + 6, text, sizeof(text));
    wire_writer_fini(&out);
}

static void test_clearing_keeps_the_capacity(void **state)
{
    struct wire_writer out = { 0 };

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        wire_write_nil(&out);
    }
    const uint8_t *data = out.data;
    size_t cap = out.cap;
    wire_writer_clear(&out);
    assert_int_equal(out.len, 0);
    wire_write_nil(&out);
    assert_ptr_equal(out.data, data);
    assert_int_equal(out.cap, cap);
    wire_writer_fini(&out);
}

static void test_a_finished_writer_is_empty_and_can_be_used_again(void **state)
{
    struct wire_writer out = { 0 };

    (void)state;
    wire_write_nil(&out);
    wire_writer_fini(&out);
    wire_writer_fini(&out);
    assert_null(out.data);
    wire_write_bool(&out, true);
    EXPECT(&out, 0xc3);
    wire_writer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_take_their_shortest_form),
        cmocka_unit_test(test_a_pair_is_an_array_of_two_numbers),
        cmocka_unit_test(test_pairs_grow_the_buffer),
        cmocka_unit_test(test_raw_bytes_are_taken_as_they_are),
        cmocka_unit_test(test_the_buffer_grows_and_keeps_what_is_in_it),
        cmocka_unit_test(test_one_value_may_be_larger_than_the_buffer_doubled),
        cmocka_unit_test(test_clearing_keeps_the_capacity),
        cmocka_unit_test(test_a_finished_writer_is_empty_and_can_be_used_again),
    };

    return cmocka_run_group_tests_name("proto/writer", tests, NULL, NULL);
}
