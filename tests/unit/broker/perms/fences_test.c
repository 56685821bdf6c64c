/* Tests of broker/perms/fences: which answers count. */
#include "broker/perms/fences.h"
#include "tests/unit/broker/kit.h"

static void test_answer_counts_when_all_was_seen(void **state)
{
    struct fences fences = { .count = 0 };

    (void)state;
    fences_add(&fences, 5);
    fences_add(&fences, 5);
    fences_add(&fences, 0);
    fences_ask(&fences);
    assert_int_equal(fences.count, 1);

    assert_false(fences_answer(&fences, false));
    assert_int_equal(fences.count, 1);
    assert_true(fences_answer(&fences, true));
    assert_int_equal(fences.count, 0);
}

static void test_fence_that_came_after_the_question_stays(void **state)
{
    struct fences fences = { .count = 0 };

    (void)state;
    fences_add(&fences, 5);
    fences_ask(&fences);
    fences_add(&fences, 6);

    assert_true(fences_answer(&fences, true));
    assert_int_equal(fences.count, 1);
    assert_int_equal(fences.xids[0], 6);
}

static void test_fences_of_another_history_do_not_hold_answers_back(void **state)
{
    struct fences fences = { .count = 0 };

    (void)state;
    fences_add(&fences, 5);
    fences_ask(&fences);
    fences_clear(&fences);
    fences_add(&fences, 7);

    assert_true(fences_answer(&fences, false));
    assert_int_equal(fences.xids[0], 7);
    assert_int_equal(fences.count, 1);
}

static void test_list_is_bounded_and_keeps_the_newest(void **state)
{
    struct fences fences = { .count = 0 };

    (void)state;
    fences_add(&fences, 1);
    fences_ask(&fences);
    for (uint32_t xid = 2; xid <= FENCES_MAX + 10; xid++) {
        fences_add(&fences, xid);
    }

    assert_int_equal(fences.count, FENCES_MAX);
    assert_int_equal(fences.xids[FENCES_MAX - 1], FENCES_MAX + 10);
    assert_true(fences_answer(&fences, true));
    assert_int_equal(fences.count, FENCES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_counts_when_all_was_seen),
        cmocka_unit_test(test_fence_that_came_after_the_question_stays),
        cmocka_unit_test(test_fences_of_another_history_do_not_hold_answers_back),
        cmocka_unit_test(test_list_is_bounded_and_keeps_the_newest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
