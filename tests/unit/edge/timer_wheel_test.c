/* Timers in a wheel, with a clock that the test owns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "edge/timer_wheel.h"
#include "runtime/buf.h"

#define TICK (50 * RT_MSEC)

struct probe {
    struct wheel_timer timer;
    struct timer_wheel *wheel;
    int fired;
    rt_usec fired_at;
    rt_usec again;       /* set anew after this long; 0: not */
    struct probe *stops; /* cancels this one when it fires */
};

static void on_fire(struct wheel_timer *timer, rt_usec now)
{
    struct probe *probe = (struct probe *)(void *)timer;

    probe->fired++;
    probe->fired_at = now;
    if (probe->again > 0) {
        timer_wheel_set(probe->wheel, timer, now + probe->again);
    }
    if (probe->stops != NULL) {
        timer_wheel_cancel(probe->wheel, &probe->stops->timer);
    }
}

static struct probe probe_in(struct timer_wheel *wheel)
{
    return (struct probe){ .timer.fire = on_fire, .wheel = wheel };
}

/* The loop's ticks, one by one, up to and including `until`. */
static void run(struct timer_wheel *wheel, rt_usec from, rt_usec until)
{
    for (rt_usec now = from; now <= until; now += TICK) {
        timer_wheel_advance(wheel, now);
    }
}

static void test_timer_fires_within_a_tick_and_never_early(void **state)
{
    (void)state;
    static const rt_usec afters[] = {
        0,          1,          TICK - 1,    TICK,        TICK + 1,
        2 * RT_SEC, RT_SEC / 3, 51 * RT_SEC, 52 * RT_SEC, 3600 * RT_SEC
    };

    for (size_t i = 0; i < sizeof(afters) / sizeof(afters[0]); i++) {
        rt_usec start = 1234567;
        struct timer_wheel *wheel = timer_wheel_new(start, TICK);
        struct probe probe = probe_in(wheel);
        timer_wheel_set(wheel, &probe.timer, start + afters[i]);

        run(wheel, start, start + afters[i] + 3 * TICK);

        assert_int_equal(probe.fired, 1);
        assert_true(probe.fired_at >= start + afters[i]);
        assert_true(probe.fired_at <= start + afters[i] + 2 * TICK);
        assert_int_equal(timer_wheel_count(wheel), 0);
        timer_wheel_free(wheel);
    }
}

static void test_setting_again_moves_the_timer(void **state)
{
    (void)state;
    struct timer_wheel *wheel = timer_wheel_new(0, TICK);
    struct probe probe = probe_in(wheel);
    timer_wheel_set(wheel, &probe.timer, RT_SEC);
    timer_wheel_set(wheel, &probe.timer, 3 * RT_SEC);

    run(wheel, 0, 2 * RT_SEC);
    assert_int_equal(probe.fired, 0);
    assert_int_equal(timer_wheel_count(wheel), 1);
    run(wheel, 2 * RT_SEC, 4 * RT_SEC);

    assert_int_equal(probe.fired, 1);
    timer_wheel_free(wheel);
}

static void test_cancelled_timer_does_not_fire(void **state)
{
    (void)state;
    struct timer_wheel *wheel = timer_wheel_new(0, TICK);
    struct probe probe = probe_in(wheel);
    timer_wheel_set(wheel, &probe.timer, RT_SEC);

    timer_wheel_cancel(wheel, &probe.timer);
    timer_wheel_cancel(wheel, &probe.timer);
    run(wheel, 0, 2 * RT_SEC);

    assert_int_equal(probe.fired, 0);
    assert_int_equal(timer_wheel_count(wheel), 0);
    timer_wheel_free(wheel);
}

static void test_timer_may_set_itself_again(void **state)
{
    (void)state;
    struct timer_wheel *wheel = timer_wheel_new(0, TICK);
    struct probe probe = probe_in(wheel);
    probe.again = RT_SEC;
    timer_wheel_set(wheel, &probe.timer, RT_SEC);

    run(wheel, 0, 10 * RT_SEC + 10 * TICK);

    assert_in_range(probe.fired, 9, 10);
    timer_wheel_free(wheel);
}

static void test_timer_may_cancel_its_neighbour_of_the_same_tick(void **state)
{
    (void)state;
    struct timer_wheel *wheel = timer_wheel_new(0, TICK);
    struct probe first = probe_in(wheel);
    struct probe second = probe_in(wheel);
    struct probe third = probe_in(wheel);
    first.stops = &second;
    timer_wheel_set(wheel, &first.timer, RT_SEC);
    timer_wheel_set(wheel, &second.timer, RT_SEC);
    timer_wheel_set(wheel, &third.timer, RT_SEC);

    run(wheel, 0, 2 * RT_SEC);

    assert_int_equal(first.fired, 1);
    assert_int_equal(second.fired, 0);
    assert_int_equal(third.fired, 1);
    timer_wheel_free(wheel);
}

static void test_long_pause_fires_what_is_due_and_keeps_the_rest(void **state)
{
    (void)state;
    struct timer_wheel *wheel = timer_wheel_new(0, TICK);
    struct probe due = probe_in(wheel);
    struct probe later = probe_in(wheel);
    timer_wheel_set(wheel, &due.timer, 10 * RT_SEC);
    timer_wheel_set(wheel, &later.timer, 7200 * RT_SEC);

    timer_wheel_advance(wheel, 3600 * RT_SEC); /* the process was stopped for an hour */

    assert_int_equal(due.fired, 1);
    assert_int_equal(later.fired, 0);
    run(wheel, 3600 * RT_SEC, 7200 * RT_SEC + 2 * TICK);
    assert_int_equal(later.fired, 1);
    timer_wheel_free(wheel);
}

static void test_many_timers_each_fire_once(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    struct timer_wheel *wheel = timer_wheel_new(0, TICK);
    struct probe *probes = rt_alloc(COUNT * sizeof(*probes));

    for (int i = 0; i < COUNT; i++) {
        probes[i] = probe_in(wheel);
        timer_wheel_set(wheel, &probes[i].timer, (rt_usec)i * 12345);
    }
    run(wheel, 0, (rt_usec)COUNT * 12345 + 2 * TICK);

    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(probes[i].fired, 1);
        assert_true(probes[i].fired_at >= (rt_usec)i * 12345);
    }
    free(probes);
    timer_wheel_free(wheel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timer_fires_within_a_tick_and_never_early),
        cmocka_unit_test(test_setting_again_moves_the_timer),
        cmocka_unit_test(test_cancelled_timer_does_not_fire),
        cmocka_unit_test(test_timer_may_set_itself_again),
        cmocka_unit_test(test_timer_may_cancel_its_neighbour_of_the_same_tick),
        cmocka_unit_test(test_long_pause_fires_what_is_due_and_keeps_the_rest),
        cmocka_unit_test(test_many_timers_each_fire_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
