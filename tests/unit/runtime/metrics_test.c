/* Unit tests of runtime/metrics.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/clock.h"
#include "runtime/metrics.h"

struct fixture {
    struct rt_metrics *metrics;
    struct rt_buf out;
    struct rt_gauge *computed;
};

static int setup(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    fixture.metrics = rt_metrics_new();
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    rt_metrics_free(f->metrics);
    rt_buf_fini(&f->out);
    return 0;
}

static const char *render(struct fixture *f)
{
    rt_buf_clear(&f->out);
    rt_metrics_render(f->metrics, &f->out);
    return rt_buf_cstr(&f->out);
}

/* What we registered comes first, the process_ metrics after it. */
static void assert_starts_with(const char *text, const char *expected)
{
    char start[4096] = { 0 };
    assert_true(strlen(expected) < sizeof(start));
    strncpy(start, text, strlen(expected));
    assert_string_equal(start, expected);
}

static void test_a_counter_is_written_with_help_and_type(void **state)
{
    struct fixture *f = *state;
    struct rt_counter *frames =
        rt_counter_new(f->metrics, "pgtide_edge_frames_total", NULL, "Frames\\sent\nto clients.");
    rt_counter_add(frames, 3);
    rt_counter_add(frames, UINT64_C(18000000000000000000));

    assert_starts_with(render(f), "# HELP pgtide_edge_frames_total Frames\\\\sent\\nto clients.\n"
                                  "# TYPE pgtide_edge_frames_total counter\n"
                                  "pgtide_edge_frames_total 18000000000000000003\n");
}

static void test_series_of_a_name_stay_together_whenever_they_are_registered(void **state)
{
    struct fixture *f = *state;
    rt_gauge_set(rt_gauge_new(f->metrics, "lag", "shard=\"0\"", "Lag."), 0.1);
    rt_gauge_set(rt_gauge_new(f->metrics, "other", NULL, "Other."), -2);
    rt_gauge_set(rt_gauge_new(f->metrics, "lag", "shard=\"1\"", "Lag."), 1e300);

    assert_starts_with(
        render(f),
        "# HELP lag Lag.\n# TYPE lag gauge\nlag{shard=\"0\"} 0.1\nlag{shard=\"1\"} 1e+300\n"
        "# HELP other Other.\n# TYPE other gauge\nother -2\n");
}

static void test_numbers_without_digits_have_their_prometheus_names(void **state)
{
    struct fixture *f = *state;
    rt_gauge_set(rt_gauge_new(f->metrics, "a", "k=\"1\"", "A."), (double)NAN);
    rt_gauge_set(rt_gauge_new(f->metrics, "a", "k=\"2\"", "A."), (double)INFINITY);
    rt_gauge_set(rt_gauge_new(f->metrics, "a", "k=\"3\"", "A."), -(double)INFINITY);

    const char *text = render(f);
    assert_non_null(strstr(text, "a{k=\"1\"} NaN\na{k=\"2\"} +Inf\na{k=\"3\"} -Inf\n"));
}

static void test_histogram_buckets_are_cumulative_and_their_bounds_inclusive(void **state)
{
    struct fixture *f = *state;
    struct rt_histogram *delay =
        rt_histogram_new(f->metrics, "delay_seconds", "shard=\"0\"", "Delay.");
    rt_histogram_observe(delay, 0.0001);
    rt_histogram_observe(delay, 0.0002);
    rt_histogram_observe(delay, 0.5);
    rt_histogram_observe(delay, 60);

    const char *text = render(f);
    assert_non_null(strstr(text, "# TYPE delay_seconds histogram\n"));
    assert_non_null(strstr(text, "delay_seconds_bucket{shard=\"0\",le=\"0.0001\"} 1\n"));
    assert_non_null(strstr(text, "delay_seconds_bucket{shard=\"0\",le=\"0.00025\"} 2\n"));
    assert_non_null(strstr(text, "delay_seconds_bucket{shard=\"0\",le=\"0.25\"} 2\n"));
    assert_non_null(strstr(text, "delay_seconds_bucket{shard=\"0\",le=\"0.5\"} 3\n"));
    assert_non_null(strstr(text, "delay_seconds_bucket{shard=\"0\",le=\"10\"} 3\n"));
    assert_non_null(strstr(text, "delay_seconds_bucket{shard=\"0\",le=\"+Inf\"} 4\n"));
    assert_non_null(strstr(text, "delay_seconds_sum{shard=\"0\"} 60.5003\n"));
    assert_non_null(strstr(text, "delay_seconds_count{shard=\"0\"} 4\n"));
}

static void test_a_dropped_metric_is_gone_and_its_name_with_the_last(void **state)
{
    struct fixture *f = *state;
    struct rt_gauge *zero = rt_gauge_new(f->metrics, "lag", "shard=\"0\"", "Lag.");
    struct rt_gauge *one = rt_gauge_new(f->metrics, "lag", "shard=\"1\"", "Lag.");

    rt_metric_drop(f->metrics, zero);
    assert_null(strstr(render(f), "shard=\"0\""));
    assert_non_null(strstr(render(f), "lag{shard=\"1\"} 0\n"));

    rt_metric_drop(f->metrics, one);
    rt_metric_drop(f->metrics, NULL);
    assert_null(strstr(render(f), "lag"));
}

static void test_the_same_series_twice_is_one_line_until_both_are_dropped(void **state)
{
    struct fixture *f = *state;
    struct rt_counter *old = rt_counter_new(f->metrics, "acks_total", "peer=\"a\"", "Acks.");
    struct rt_counter *new = rt_counter_new(f->metrics, "acks_total", "peer=\"a\"", "Acks.");
    rt_counter_add(new, 1);

    rt_metric_drop(f->metrics, old);
    assert_non_null(strstr(render(f), "acks_total{peer=\"a\"} 1\n"));
    rt_metric_drop(f->metrics, new);
    assert_null(strstr(render(f), "acks_total"));
}

static void compute(void *ctx)
{
    struct fixture *f = ctx;
    rt_gauge_set(f->computed, f->computed->value + 1);
}

static void test_computed_gauges_are_computed_before_each_rendering(void **state)
{
    struct fixture *f = *state;
    f->computed = rt_gauge_new(f->metrics, "computed", NULL, "Computed.");
    rt_metrics_on_render(f->metrics, compute, f);

    assert_non_null(strstr(render(f), "\ncomputed 1\n"));
    assert_non_null(strstr(render(f), "\ncomputed 2\n"));
}

static double value_of(const char *text, const char *name)
{
    char line[128];
    int len = snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(text, line);
    assert_non_null(at);
    return strtod(at + len, NULL);
}

static void test_the_process_itself_is_measured(void **state)
{
    struct fixture *f = *state;
    const char *text = render(f);

    assert_true(value_of(text, "process_resident_memory_bytes") > 100000);
    assert_true(value_of(text, "process_virtual_memory_bytes") >=
                value_of(text, "process_resident_memory_bytes"));
    assert_true(value_of(text, "process_open_fds") >= 3);
    assert_true(value_of(text, "process_open_fds") < value_of(text, "process_max_fds"));
    assert_true(value_of(text, "process_cpu_seconds_total") >= 0);
    double age = (double)rt_wall_now() / 1e6 - value_of(text, "process_start_time_seconds");
    assert_true(age > -1 && age < 120);
    assert_non_null(strstr(text, "\npgtide_build_info{version=\"" PGTIDE_VERSION "\"} 1\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_counter_is_written_with_help_and_type, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_series_of_a_name_stay_together_whenever_they_are_registered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers_without_digits_have_their_prometheus_names,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_histogram_buckets_are_cumulative_and_their_bounds_inclusive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_dropped_metric_is_gone_and_its_name_with_the_last,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_the_same_series_twice_is_one_line_until_both_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_computed_gauges_are_computed_before_each_rendering,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_process_itself_is_measured, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
