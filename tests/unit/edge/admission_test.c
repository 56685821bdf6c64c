/* Unit tests of edge/admission.h: the rate over time, and the spread of what clients are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/admission.h"

static const rt_usec START = 1234567;

/* How many of `tries` get in at one moment. */
static int burst(struct admission *admission, int64_t rate, rt_usec now, int tries)
{
    int in = 0;

    for (int i = 0; i < tries; i++) {
        in += admission_take(admission, rate, now) ? 1 : 0;
    }
    return in;
}

static void test_burst_is_one_second_and_refills_evenly(void **state)
{
    (void)state;
    struct admission admission = { 0 };

    assert_int_equal(burst(&admission, 1000, START, 5000), 1000);
    assert_int_equal(burst(&admission, 1000, START + 999, 5000), 0);
    assert_int_equal(burst(&admission, 1000, START + 10 * RT_MSEC, 5000), 10);
    assert_int_equal(burst(&admission, 1000, START + RT_SEC, 5000), 990);
    assert_int_equal(burst(&admission, 1000, START + 100 * RT_SEC, 5000), 1000);
}

static void test_storm_gets_in_at_the_rate(void **state)
{
    (void)state;
    struct admission admission = { 0 };
    int in = 0;

    for (int ms = 0; ms < 10000; ms++) {
        in += burst(&admission, 200, START + ms * RT_MSEC, 3);
    }
    assert_in_range(in, 2199, 2201); /* 10 s, and the burst */
}

static void test_extremes_of_the_rate(void **state)
{
    (void)state;
    struct admission admission = { 0 };

    assert_int_equal(burst(&admission, 0, START, 10000), 10000);
    assert_int_equal(burst(&admission, 1, START, 10), 1);
    assert_int_equal(burst(&admission, 1, START + RT_SEC - 1, 10), 0);
    assert_int_equal(burst(&admission, 1, START + RT_SEC, 10), 1);
    assert_true(burst(&admission, 1000000, START + 5 * RT_SEC, 2000000) >= 1000000);
}

static void test_rate_may_change(void **state)
{
    (void)state;
    struct admission admission = { 0 };

    assert_int_equal(burst(&admission, 10, START, 100), 10);
    assert_int_equal(burst(&admission, 1000, START + 100 * RT_MSEC, 1000), 100);
    assert_int_equal(burst(&admission, 1, START + 100 * RT_MSEC, 10), 0);
    assert_int_equal(burst(&admission, 1, START + 1100 * RT_MSEC, 10), 1);
    assert_int_equal(burst(&admission, 0, START + 1100 * RT_MSEC, 10), 10);
}

static void test_hints_are_spread_within_their_bounds(void **state)
{
    (void)state;
    bool seconds[6] = { false };
    unsigned least = UINT32_MAX;
    unsigned most = 0;

    for (uint64_t random = 0; random < 20000; random++) {
        unsigned retry = admission_retry_seconds(random * 0x9e3779b97f4a7c15U);
        assert_in_range(retry, 1, 5);
        seconds[retry] = true;
        unsigned ms = admission_retry_ms(3000, 1000, random * 0x9e3779b97f4a7c15U);
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
        assert_in_range(admission_retry_ms(1, 1000, random), 500, 1000);
        assert_in_range(admission_retry_ms(SIZE_MAX / 1000, 1, random), 500, 5000);
        assert_in_range(admission_retry_ms(2000, 0, random), 500, 2000);
    }
    assert_true(seconds[1] && seconds[2] && seconds[3] && seconds[4] && seconds[5]);
    assert_in_range(least, 500, 510);
    assert_in_range(most, 2990, 3000);
}

static void test_reason_names_the_hint(void **state)
{
    (void)state;
    char reason[ADMISSION_REASON_SIZE];

    admission_reason("client reads too slowly", 1234, reason);
    assert_string_equal(reason, "client reads too slowly; retry_ms=1234");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_is_one_second_and_refills_evenly),
        cmocka_unit_test(test_storm_gets_in_at_the_rate),
        cmocka_unit_test(test_extremes_of_the_rate),
        cmocka_unit_test(test_rate_may_change),
        cmocka_unit_test(test_hints_are_spread_within_their_bounds),
        cmocka_unit_test(test_reason_names_the_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
