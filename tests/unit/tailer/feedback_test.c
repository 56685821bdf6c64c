/* feedback_test.c - what may be confirmed: tailer/feedback.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tailer/feedback.h"

static void test_everything_published_counts_when_all_shards_are_done(void **state)
{
    const struct feedback_shard shards[] = { { .all_done = true },
                                             { .all_done = true, .acked_tag = 5 } };

    (void)state;
    assert_int_equal(feedback_flushed(shards, 2, 100, UINT64_MAX, 0), 100);
}

static void test_the_slowest_shard_decides(void **state)
{
    const struct feedback_shard shards[] = { { .all_done = true },
                                             { .acked_tag = 70 },
                                             { .acked_tag = 60 } };

    (void)state;
    assert_int_equal(feedback_flushed(shards, 3, 100, UINT64_MAX, 0), 60);
}

static void test_a_shard_that_acknowledged_nothing_holds_everything_back(void **state)
{
    const struct feedback_shard shards[] = { { .all_done = true }, { .acked_tag = 0 } };

    (void)state;
    assert_int_equal(feedback_flushed(shards, 2, 100, UINT64_MAX, 0), 0);
}

static void test_the_result_never_goes_backwards(void **state)
{
    const struct feedback_shard shards[] = { { .acked_tag = 60 } };

    (void)state;
    assert_int_equal(feedback_flushed(shards, 1, 100, UINT64_MAX, 80), 80);
}

static void test_the_window_is_kept_although_everybody_has_it(void **state)
{
    const struct feedback_shard shards[] = { { .all_done = true }, { .acked_tag = 70 } };

    (void)state;
    assert_int_equal(feedback_flushed(shards, 2, 100, 40, 0), 40);
    assert_int_equal(feedback_flushed(shards, 2, 100, 80, 0), 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_published_counts_when_all_shards_are_done),
        cmocka_unit_test(test_the_slowest_shard_decides),
        cmocka_unit_test(test_a_shard_that_acknowledged_nothing_holds_everything_back),
        cmocka_unit_test(test_the_window_is_kept_although_everybody_has_it),
        cmocka_unit_test(test_the_result_never_goes_backwards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
