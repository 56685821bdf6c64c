/* patience_test.c - how long a shard is waited for: tailer/patience.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tailer/patience.h"

static const struct patience_limits limits = { .stall = 5, .time = 100, .bytes = 1000 };

static enum patience_verdict look(struct patience *p, bool holds, uint64_t lsn, rt_usec now)
{
    return patience_look(p, &limits, holds, lsn, false, now);
}

static void test_a_shard_that_owes_nothing_may_be_silent_for_ever(void **state)
{
    struct patience p = { 0 };

    (void)state;
    assert_int_equal(look(&p, false, 0, 10), PATIENCE_FINE);
    assert_int_equal(look(&p, false, 9999, 1000000), PATIENCE_FINE);
    assert_int_equal(look(&p, true, 99999, 1000001), PATIENCE_FINE);
}

static void test_silence_is_stalled_then_spent_by_time(void **state)
{
    struct patience p = { 0 };

    (void)state;
    assert_int_equal(look(&p, true, 0, 10), PATIENCE_FINE);
    assert_int_equal(look(&p, true, 0, 14), PATIENCE_FINE);
    assert_int_equal(look(&p, true, 0, 15), PATIENCE_STALLED);
    assert_int_equal(look(&p, true, 0, 109), PATIENCE_STALLED);
    assert_int_equal(look(&p, true, 0, 110), PATIENCE_SPENT);
}

static void test_only_what_is_written_meanwhile_counts(void **state)
{
    struct patience p = { 0 };

    (void)state;
    assert_int_equal(look(&p, true, 50000, 10), PATIENCE_FINE);
    assert_int_equal(look(&p, true, 51000, 12), PATIENCE_FINE);
    assert_int_equal(look(&p, true, 50999, 20), PATIENCE_STALLED);
    assert_int_equal(look(&p, true, 51000, 20), PATIENCE_SPENT);
}

static void test_each_word_begins_anew(void **state)
{
    struct patience p = { 0 };

    (void)state;
    for (rt_usec now = 10; now < 1000; now += 4) {
        assert_int_equal(look(&p, true, (uint64_t)now * 100, now), PATIENCE_FINE);
        patience_heard(&p);
    }
}

static void test_a_slot_in_danger_ends_the_patience_with_a_stalled_shard_only(void **state)
{
    struct patience p = { 0 };

    (void)state;
    assert_int_equal(patience_look(&p, &limits, true, 0, true, 10), PATIENCE_FINE);
    assert_int_equal(patience_look(&p, &limits, true, 0, true, 14), PATIENCE_FINE);
    assert_int_equal(patience_look(&p, &limits, true, 0, true, 15), PATIENCE_SPENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_shard_that_owes_nothing_may_be_silent_for_ever),
        cmocka_unit_test(test_silence_is_stalled_then_spent_by_time),
        cmocka_unit_test(test_only_what_is_written_meanwhile_counts),
        cmocka_unit_test(test_each_word_begins_anew),
        cmocka_unit_test(test_a_slot_in_danger_ends_the_patience_with_a_stalled_shard_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
