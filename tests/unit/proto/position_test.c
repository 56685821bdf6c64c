/* tests/unit/proto/position_test.c - order and text; the texts themselves are vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/records.h"

static int order(uint64_t lsn_a, uint32_t index_a, uint64_t lsn_b, uint32_t index_b)
{
    struct wire_position a = { .epoch = 9, .lsn = lsn_a, .index = index_a };
    struct wire_position b = { .epoch = 1, .lsn = lsn_b, .index = index_b };

    return wire_position_cmp(&a, &b);
}

static void test_positions_are_ordered_by_lsn_first(void **state)
{
    (void)state;
    assert_true(order(1, 9, 2, 0) < 0);
    assert_true(order(2, 0, 1, 9) > 0);
    assert_true(order(UINT64_MAX, 0, 1, 0) > 0);
    assert_true(order(1, 0, UINT64_MAX, 0) < 0);
}

static void test_positions_of_one_commit_are_ordered_by_index(void **state)
{
    (void)state;
    assert_true(order(7, 1, 7, 2) < 0);
    assert_true(order(7, 2, 7, 1) > 0);
    assert_true(order(7, UINT32_MAX, 7, 0) > 0);
    assert_true(order(7, 0, 7, UINT32_MAX) < 0);
}

static void test_epochs_are_not_compared(void **state)
{
    (void)state;
    assert_int_equal(order(7, 1, 7, 1), 0);
}

static void test_text_comes_back_as_the_same_position(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 64; bits++) {
        uint64_t number = UINT64_MAX >> bits;
        struct wire_position position = { number, number / 3, (uint32_t)(number >> 7) };
        struct wire_position again = { 0 };
        char text[WIRE_POSITION_TEXT_SIZE];
        wire_position_text(&position, text);
        assert_true(wire_position_parse(text, strlen(text), &again));
        assert_true(again.epoch == position.epoch && again.lsn == position.lsn);
        assert_int_equal(again.index, position.index);
    }
}

static void test_a_refused_text_leaves_the_position_alone(void **state)
{
    struct wire_position position = { 1, 2, 3 };

    (void)state;
    assert_false(wire_position_parse("7f3a-00000000016b3748-x", 23, &position));
    assert_true(position.epoch == 1 && position.lsn == 2 && position.index == 3);
}

static void test_only_the_length_ends_a_text(void **state)
{
    struct wire_position position;
    static const char inside[] = "7f3a-00000000016b3748-12";
    static const char zero[] = "7f3a-00000000016b3748-1\0";

    (void)state;
    assert_true(wire_position_parse(inside, sizeof(inside) - 2, &position));
    assert_int_equal(position.index, 1);
    assert_false(wire_position_parse(zero, sizeof(zero) - 1, &position));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions_are_ordered_by_lsn_first),
        cmocka_unit_test(test_positions_of_one_commit_are_ordered_by_index),
        cmocka_unit_test(test_epochs_are_not_compared),
        cmocka_unit_test(test_text_comes_back_as_the_same_position),
        cmocka_unit_test(test_a_refused_text_leaves_the_position_alone),
        cmocka_unit_test(test_only_the_length_ends_a_text),
    };

    return cmocka_run_group_tests_name("proto/position", tests, NULL, NULL);
}
