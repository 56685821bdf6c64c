/* window_test.c - where the window begins: tailer/window.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tailer/window.h"

enum { MIB = 1024 * 1024 };

static struct window begun(void)
{
    struct window window;

    window_init(&window, 64 * RT_SEC, 100 * MIB, 1000, RT_SEC);
    return window;
}

static void test_it_begins_where_history_does_until_it_is_old_enough(void **state)
{
    struct window window = begun();

    (void)state;
    window_reach(&window, 5000, 2 * RT_SEC);
    assert_int_equal(window.start, 1000);
    window_reach(&window, 9000, 60 * RT_SEC);
    assert_int_equal(window.start, 1000);
}

static void test_it_follows_at_its_distance_in_time(void **state)
{
    struct window window = begun();

    (void)state;
    for (int second = 1; second <= 1000; second++) {
        window_reach(&window, 1000 + (uint64_t)second, second * RT_SEC);
        if (second > 65) {
            assert_in_range(window.start, 1000 + second - 66, 1000 + second - 64);
            assert_in_range(window_age(&window, second * RT_SEC), 64 * RT_SEC, 66 * RT_SEC);
        }
    }
}

static void test_it_follows_at_its_distance_in_bytes(void **state)
{
    struct window window = begun();

    (void)state;
    window_reach(&window, (uint64_t)1000 * MIB, 2 * RT_SEC);
    assert_int_equal(window.start, (uint64_t)900 * MIB);
    assert_int_equal(window_age(&window, 2 * RT_SEC), 0);
}

static void test_an_idle_database_ends_with_nothing_to_keep(void **state)
{
    struct window window = begun();

    (void)state;
    window_reach(&window, 5000, 10 * RT_SEC);
    window_reach(&window, 5000, 200 * RT_SEC);
    assert_int_equal(window.start, 5000);
    window_reach(&window, 6000, 1000 * RT_SEC);
    assert_int_equal(window.start, 5000);
}

static void test_it_never_goes_backwards(void **state)
{
    struct window window = begun();

    (void)state;
    window_limit(&window, 0);
    window_reach(&window, 5000, 2 * RT_SEC);
    assert_int_equal(window.start, 5000);
    window_limit(&window, 100 * MIB);
    window_reach(&window, 4000, 3 * RT_SEC);
    assert_int_equal(window.start, 5000);
}

static void test_without_time_nothing_is_kept(void **state)
{
    struct window window;

    (void)state;
    window_init(&window, 0, 100 * MIB, 1000, RT_SEC);
    for (uint64_t lsn = 2000; lsn < 3000; lsn++) {
        window_reach(&window, lsn, 2 * RT_SEC);
        assert_int_equal(window.start, lsn);
    }
}

static void test_what_the_server_would_drop_is_not_asked_for(void **state)
{
    (void)state;
    assert_int_equal(window_affordable(100, 1 << 30, INT64_MAX), 100);
    assert_int_equal(window_affordable(100, 50, 1000), 100);
    assert_int_equal(window_affordable(100, 50, 50), 50);
    assert_int_equal(window_affordable(100, 50, -20), 25);
    assert_int_equal(window_affordable(100, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_begins_where_history_does_until_it_is_old_enough),
        cmocka_unit_test(test_it_follows_at_its_distance_in_time),
        cmocka_unit_test(test_it_follows_at_its_distance_in_bytes),
        cmocka_unit_test(test_an_idle_database_ends_with_nothing_to_keep),
        cmocka_unit_test(test_it_never_goes_backwards),
        cmocka_unit_test(test_without_time_nothing_is_kept),
        cmocka_unit_test(test_what_the_server_would_drop_is_not_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
