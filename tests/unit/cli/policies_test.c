#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/policies.h"

static void test_nothing_of_the_row_and_of_other_tables_is_a_constant(void **state)
{
    struct policy_program program = { .fold_count = 1 };

    (void)state;
    assert_int_equal(cli_policies_lane(&program), CLI_LANE_CONSTANT);
}

static void test_the_row_alone_is_compiled(void **state)
{
    struct policy_program program = { .uses_row = true, .fold_count = 1 };

    (void)state;
    assert_int_equal(cli_policies_lane(&program), CLI_LANE_COMPILED);
}

static void test_sets_of_other_tables_are_memberships(void **state)
{
    struct policy_program program = { .uses_row = true, .table_count = 2 };

    (void)state;
    assert_int_equal(cli_policies_lane(&program), CLI_LANE_MEMBERSHIP);
}

static void test_one_part_that_is_not_compiled_is_the_fallback(void **state)
{
    struct policy_program program = { .uses_row = true, .table_count = 1, .leaf_count = 1 };

    (void)state;
    assert_int_equal(cli_policies_lane(&program), CLI_LANE_FALLBACK);
}

static void test_what_nobody_can_decide_comes_before_all(void **state)
{
    struct policy_program program = { .uses_row = true, .leaf_count = 2, .never = true };

    (void)state;
    assert_int_equal(cli_policies_lane(&program), CLI_LANE_NEVER);
}

static void test_every_lane_has_its_words(void **state)
{
    (void)state;
    for (int lane = CLI_LANE_CONSTANT; lane <= CLI_LANE_NEVER; lane++) {
        assert_non_null(cli_policies_lane_name((enum cli_lane)lane));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_of_the_row_and_of_other_tables_is_a_constant),
        cmocka_unit_test(test_the_row_alone_is_compiled),
        cmocka_unit_test(test_sets_of_other_tables_are_memberships),
        cmocka_unit_test(test_one_part_that_is_not_compiled_is_the_fallback),
        cmocka_unit_test(test_what_nobody_can_decide_comes_before_all),
        cmocka_unit_test(test_every_lane_has_its_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
