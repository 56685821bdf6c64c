/* feedback_test.c - what may be confirmed: tailer/feedback.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tailer/feedback.h"

static void test_the_slowest_shard_decides(void **state)
{
    (void)state;
    assert_int_equal(feedback_flushed((const uint64_t[]){ 100, 70, 60 }, 3, UINT64_MAX, 0), 60);
}

static void test_a_shard_that_acknowledged_nothing_holds_everything_back(void **state)
{
    (void)state;
    assert_int_equal(feedback_flushed((const uint64_t[]){ 100, 0 }, 2, UINT64_MAX, 0), 0);
}

static void test_the_result_never_goes_backwards(void **state)
{
    (void)state;
    assert_int_equal(feedback_flushed((const uint64_t[]){ 60 }, 1, UINT64_MAX, 80), 80);
}

static void test_the_window_is_kept_although_everybody_has_it(void **state)
{
    (void)state;
    assert_int_equal(feedback_flushed((const uint64_t[]){ 100, 70 }, 2, 40, 0), 40);
    assert_int_equal(feedback_flushed((const uint64_t[]){ 100, 70 }, 2, 80, 0), 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_slowest_shard_decides),
        cmocka_unit_test(test_a_shard_that_acknowledged_nothing_holds_everything_back),
        cmocka_unit_test(test_the_window_is_kept_although_everybody_has_it),
        cmocka_unit_test(test_the_result_never_goes_backwards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
