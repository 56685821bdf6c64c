/* snapshot_test.c - what a snapshot sees: tailer/snapshot.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tailer/snapshot.h"

static void test_a_snapshot_sees_what_ended_before_it(void **state)
{
    (void)state;
    assert_true(snapshot_sees("100:110:102,105", 99));
    assert_true(snapshot_sees("100:110:102,105", 101));
    assert_true(snapshot_sees("100:110:102,105", 109));
    assert_true(snapshot_sees("100:100:", 99));
}

static void test_a_snapshot_does_not_see_what_runs_or_came_later(void **state)
{
    (void)state;
    assert_false(snapshot_sees("100:110:102,105", 102));
    assert_false(snapshot_sees("100:110:102,105", 105));
    assert_false(snapshot_sees("100:110:102,105", 110));
    assert_false(snapshot_sees("100:110:102,105", 200));
    assert_false(snapshot_sees("100:100:", 100));
}

static void test_numbers_past_32_bits_are_compared_by_their_nearest(void **state)
{
    (void)state;
    /* 4294967396 is 2^32 + 100. */
    assert_true(snapshot_sees("4294967390:4294967396:4294967392", 99));
    assert_false(snapshot_sees("4294967390:4294967396:4294967392", 96));
    assert_true(
        snapshot_sees("4294967390:4294967396:4294967392", 4294967290U)); /* before the wrap */
    assert_false(snapshot_sees("4294967390:4294967396:", 101));
}

static void test_other_texts_see_nothing(void **state)
{
    (void)state;
    assert_false(snapshot_sees("", 1));
    assert_false(snapshot_sees("100", 1));
    assert_false(snapshot_sees("100:110", 1));
    assert_false(snapshot_sees("100:110:x", 105));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_snapshot_sees_what_ended_before_it),
        cmocka_unit_test(test_a_snapshot_does_not_see_what_runs_or_came_later),
        cmocka_unit_test(test_numbers_past_32_bits_are_compared_by_their_nearest),
        cmocka_unit_test(test_other_texts_see_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
