/* Unit tests of runtime/health.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/health.h"

static void assert_renders(const struct rt_health *health, const char *expected)
{
    struct rt_buf out = { 0 };
    rt_health_render(health, &out);
    assert_string_equal(rt_buf_cstr(&out), expected);
    rt_buf_fini(&out);
}

static int setup(void **state)
{
    *state = rt_health_new();
    return 0;
}

static int teardown(void **state)
{
    rt_health_free(*state);
    return 0;
}

static void test_without_conditions_nothing_is_ready(void **state)
{
    const struct rt_health *health = *state;
    assert_false(rt_health_ready(health));
    assert_renders(health, "fail process starting\n");
}

static void test_a_new_condition_is_not_met(void **state)
{
    struct rt_health *health = *state;
    rt_condition_new(health, "slot");

    assert_false(rt_health_ready(health));
    assert_renders(health, "fail slot starting\n");
}

static void test_ready_means_that_all_conditions_are_met(void **state)
{
    struct rt_health *health = *state;
    struct rt_condition *slot = rt_condition_new(health, "slot");
    struct rt_condition *shards = rt_condition_new(health, "shards");

    rt_condition_set(slot, true, "streaming from %s", "0/16B3748");
    rt_condition_set(shards, false, "shard %d has not connected", 1);
    assert_false(rt_health_ready(health));
    assert_renders(health,
                   "ok   slot streaming from 0/16B3748\nfail shards shard 1 has not connected\n");

    rt_condition_set(shards, true, "all connected");
    assert_true(rt_health_ready(health));

    rt_condition_set(slot, false, "lost");
    assert_false(rt_health_ready(health));
}

static void test_a_reason_is_one_line_and_bounded(void **state)
{
    struct rt_health *health = *state;
    struct rt_condition *slot = rt_condition_new(health, "slot");
    char reason[1000];
    memset(reason, 'r', sizeof(reason));
    memcpy(reason, "FATAL:\r\nno", 10);
    reason[sizeof(reason) - 1] = '\0';
    rt_condition_set(slot, false, "%s", reason);

    struct rt_buf out = { 0 };
    rt_health_render(health, &out);
    assert_memory_equal(out.data, "fail slot FATAL:  no", 20);
    assert_true(out.len < 300);
    assert_ptr_equal(memchr(out.data, '\n', out.len), out.data + out.len - 1);
    rt_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_without_conditions_nothing_is_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_new_condition_is_not_met, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ready_means_that_all_conditions_are_met, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_reason_is_one_line_and_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
