/* Tests of broker/pause: time is counted for the reasons that held. */
#include "broker/pause.h"
#include "tests/unit/broker/kit.h"

static void test_time_counts_for_each_reason_that_held(void **state)
{
    struct rt_metrics *metrics = rt_metrics_new();
    struct pause pause = { 0 };
    struct stats stats;

    (void)state;
    stats_init(&stats, metrics);
    pause_set(&pause, &stats, PAUSE_BIT(PAUSE_EDGES), 10 * RT_SEC);
    pause_set(&pause, &stats, PAUSE_BIT(PAUSE_EDGES) | PAUSE_BIT(PAUSE_AUTHORITY), 11 * RT_SEC);
    pause_set(&pause, &stats, 0, 13 * RT_SEC);
    pause_set(&pause, &stats, 0, 20 * RT_SEC);

    assert_true(stats.paused_seconds[PAUSE_EDGES]->value == 3.0);
    assert_true(stats.paused_seconds[PAUSE_AUTHORITY]->value == 2.0);
    assert_true(stats.paused_seconds[PAUSE_RELATION]->value == 0.0);
    rt_metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_counts_for_each_reason_that_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
