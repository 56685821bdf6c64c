#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/admin_client.h"

static void test_conditions_are_read_line_by_line(void **state)
{
    const char *body =
        "ok   slot streaming from 0/16B3748\nfail shards shard 1 has not connected\n";
    struct cli_condition condition;

    (void)state;
    assert_true(cli_condition_next(&body, &condition));
    assert_true(condition.met);
    assert_string_equal(condition.name, "slot");
    assert_string_equal(condition.reason, "streaming from 0/16B3748");
    assert_true(cli_condition_next(&body, &condition));
    assert_false(condition.met);
    assert_string_equal(condition.name, "shards");
    assert_string_equal(condition.reason, "shard 1 has not connected");
    assert_false(cli_condition_next(&body, &condition));
}

static void test_lines_of_another_form_are_skipped(void **state)
{
    const char *body = "ready: no\n\nok\nokay x y\r\nfail database";
    struct cli_condition condition;

    (void)state;
    assert_true(cli_condition_next(&body, &condition));
    assert_string_equal(condition.name, "database");
    assert_string_equal(condition.reason, "");
    assert_false(cli_condition_next(&body, &condition));
}

static void test_overlong_names_and_reasons_are_cut(void **state)
{
    char text[1024] = "ok ";
    const char *body = text;
    struct cli_condition condition;

    (void)state;
    memset(text + 3, 'n', 500);
    text[503] = ' ';
    memset(text + 504, 'r', 500);
    assert_true(cli_condition_next(&body, &condition));
    assert_int_equal(strlen(condition.name), sizeof condition.name - 1);
    assert_int_equal(strlen(condition.reason), sizeof condition.reason - 1);
}

static void test_a_metric_is_summed_over_its_labels(void **state)
{
    static const char text[] =
        "# HELP a_total x\n# TYPE a_total counter\na_total{peer=\"x } 9\"} 2\n"
        "a_total{peer=\"y\"} 3.5\na_total_more 100\nb 7\n";
    double sum = 0;

    (void)state;
    assert_true(cli_metric_sum(text, "a_total", &sum));
    assert_true(sum > 5.49 && sum < 5.51);
    assert_true(cli_metric_sum(text, "b", &sum));
    assert_true(sum > 6.99 && sum < 7.01);
}

static void test_a_missing_metric_is_not_zero_but_missing(void **state)
{
    double sum = 42;

    (void)state;
    assert_false(cli_metric_sum("# HELP a x\nab 1\n", "a", &sum));
    assert_true(sum > 41.9);
}

static void test_an_address_without_a_port_is_refused_with_a_reason(void **state)
{
    struct rt_buf body = { 0 };
    struct rt_buf error = { 0 };

    (void)state;
    assert_int_equal(cli_admin_get("localhost", "/readyz", &body, &error), 0);
    assert_string_equal(rt_buf_cstr(&error), "localhost is not host:port");
    rt_buf_fini(&body);
    rt_buf_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions_are_read_line_by_line),
        cmocka_unit_test(test_lines_of_another_form_are_skipped),
        cmocka_unit_test(test_overlong_names_and_reasons_are_cut),
        cmocka_unit_test(test_a_metric_is_summed_over_its_labels),
        cmocka_unit_test(test_a_missing_metric_is_not_zero_but_missing),
        cmocka_unit_test(test_an_address_without_a_port_is_refused_with_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
