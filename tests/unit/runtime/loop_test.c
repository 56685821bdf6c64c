/* Unit tests of runtime/loop.h: descriptors, timers, deferred calls, signals. */
#include <signal.h>
#include <stdio.h>

#include <ev.h>

#include "tests/unit/runtime/loop_fixture.h"

/* --- descriptors --- */

static void read_one(void *ctx, int fd, int events)
{
    char c = 0;
    assert_int_equal(events, RT_READ);
    assert_int_equal(read(fd, &c, 1), 1);
    count_call(ctx);
}

static void test_a_readable_descriptor_is_reported_until_it_is_read(void **state)
{
    struct fixture *f = *state;
    f->goal = 3;
    f->io = rt_io_new(f->loop, f->pair[0], read_one, f);
    rt_io_want(f->io, RT_READ);
    assert_int_equal(write(f->pair[1], "abc", 3), 3);

    run(f);

    assert_int_equal(f->calls, 3);
}

static void never(void *ctx, int fd, int events)
{
    (void)ctx;
    (void)fd;
    (void)events;
    fail();
}

static void test_a_resting_descriptor_is_not_reported(void **state)
{
    struct fixture *f = *state;
    f->io = rt_io_new(f->loop, f->pair[0], never, f);
    rt_io_want(f->io, RT_READ);
    rt_io_want(f->io, 0);
    assert_int_equal(write(f->pair[1], "abc", 3), 3);
    f->goal = 1;
    f->timer = rt_timer_new(f->loop, on_call, f);
    rt_timer_set(f->timer, 5 * RT_MSEC, 0);

    run(f);
}

/* How often the kernel's sets of this process name a descriptor (proc_pid_fdinfo(5)). */
static int watched_in_kernel(int fd)
{
    char path[64];
    char line[256];
    int count = 0;

    for (int set = 0; set < 256; set++) {
        (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", set);
        FILE *file = fopen(path, "r");
        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
            int found = -1;
            count += sscanf(line, "tfd: %d", &found) == 1 && found == fd ? 1 : 0;
        }
        if (file != NULL) {
            (void)fclose(file);
        }
    }
    return count;
}

/* A copy of it lives on, as in another process: close(2) would not take it out. */
static void test_a_detached_descriptor_is_out_of_the_kernels_set(void **state)
{
    struct fixture *f = *state;
    f->io = rt_io_new(f->loop, f->pair[0], never, f);
    rt_io_want(f->io, RT_READ);
    f->goal = 1;
    f->timer = rt_timer_new(f->loop, on_call, f);
    rt_timer_set(f->timer, 5 * RT_MSEC, 0);
    run(f);
    assert_int_equal(watched_in_kernel(f->pair[0]), 1);

    rt_io_detach(f->io);

    assert_int_equal(watched_in_kernel(f->pair[0]), 0);
}

static void expect_write(void *ctx, int fd, int events)
{
    (void)fd;
    assert_int_equal(events, RT_WRITE);
    count_call(ctx);
}

static void test_a_writable_descriptor_is_reported(void **state)
{
    struct fixture *f = *state;
    f->goal = 2;
    f->io = rt_io_new(f->loop, f->pair[0], expect_write, f);
    rt_io_want(f->io, RT_WRITE);

    run(f);
}

static void test_a_watcher_may_free_itself(void **state)
{
    struct fixture *f = *state;
    f->goal = 1;
    f->io = rt_io_new(f->loop, f->pair[0], free_itself, f);
    rt_io_want(f->io, RT_READ | RT_WRITE);

    run(f);

    assert_null(f->io);
}

/* --- timers --- */

static void test_a_timer_fires_once_and_not_too_early(void **state)
{
    struct fixture *f = *state;
    f->goal = 1;
    f->timer = rt_timer_new(f->loop, on_call, f);
    rt_usec start = rt_now();
    rt_timer_set(f->timer, 20 * RT_MSEC, 0);

    run(f);

    assert_true(rt_now() - start >= 20 * RT_MSEC);
}

static void test_a_periodic_timer_fires_until_stopped(void **state)
{
    struct fixture *f = *state;
    f->goal = 3;
    f->timer = rt_timer_new(f->loop, on_call, f);
    rt_timer_set(f->timer, RT_MSEC, RT_MSEC);
    run(f);
    assert_int_equal(f->calls, 3);

    rt_timer_stop(f->timer);
    struct rt_timer *end = rt_timer_new(f->loop, on_guard, f);
    rt_timer_set(end, 10 * RT_MSEC, 0);
    rt_loop_run(f->loop);
    assert_int_equal(f->calls, 3);
    rt_timer_free(end);
}

static void busy_then_set(void *ctx)
{
    struct fixture *f = ctx;
    rt_usec until = rt_now() + 60 * RT_MSEC;
    do {
        f->at = rt_now(); /* a long callback */
    } while (f->at < until);
    rt_timer_set(f->timer, 40 * RT_MSEC, 0);
}

static void test_a_timer_set_at_the_end_of_a_long_callback_counts_from_then(void **state)
{
    struct fixture *f = *state;
    f->goal = 1;
    f->timer = rt_timer_new(f->loop, on_call, f);
    struct rt_timer *busy = rt_timer_new(f->loop, busy_then_set, f);
    rt_timer_set(busy, RT_MSEC, 0);

    run(f);

    assert_true(rt_now() - f->at >= 40 * RT_MSEC);
    rt_timer_free(busy);
}

/* --- deferred calls --- */

static void test_a_deferred_call_runs_once_however_often_scheduled(void **state)
{
    struct fixture *f = *state;
    f->defer = rt_defer_new(f->loop, on_call, f);
    rt_defer_schedule(f->defer);
    rt_defer_schedule(f->defer);
    f->timer = rt_timer_new(f->loop, on_guard, f);
    rt_timer_set(f->timer, 5 * RT_MSEC, 0);

    rt_loop_run(f->loop);

    assert_int_equal(f->calls, 1);
}

static void schedule_again(void *ctx)
{
    struct fixture *f = ctx;
    rt_defer_schedule(f->defer);
    count_call(f);
}

static void test_a_deferred_call_that_schedules_itself_runs_again_without_a_sleep(void **state)
{
    struct fixture *f = *state;
    f->goal = 100;
    f->defer = rt_defer_new(f->loop, schedule_again, f);
    rt_defer_schedule(f->defer);
    rt_usec start = rt_now();

    run(f);

    assert_true(rt_now() - start < 5 * RT_SEC);
}

static void free_other_defer(void *ctx)
{
    struct fixture *f = ctx;
    rt_defer_free(f->other_defer);
    f->other_defer = NULL;
    count_call(f);
}

static void test_a_deferred_call_may_free_another(void **state)
{
    struct fixture *f = *state;
    f->goal = 1;
    f->defer = rt_defer_new(f->loop, free_other_defer, f);
    f->other_defer = rt_defer_new(f->loop, unexpected, f);
    rt_defer_schedule(f->defer);
    rt_defer_schedule(f->other_defer);

    run(f);
}

static void schedule_from_foreign_prepare(struct ev_loop *ev, ev_prepare *watcher, int events)
{
    (void)events;
    struct fixture *f = watcher->data;
    rt_defer_schedule(f->defer);
    ev_prepare_stop(ev, watcher);
}

static void test_what_another_librarys_prepare_step_defers_runs_before_the_sleep(void **state)
{
    struct fixture *f = *state;
    f->goal = 1;
    f->defer = rt_defer_new(f->loop, on_call, f);
    ev_prepare foreign;
    memset(&foreign, 0, sizeof(foreign));
    ev_prepare_init(&foreign, schedule_from_foreign_prepare);
    ev_set_priority(&foreign, -1);
    foreign.data = f;
    ev_prepare_start(rt_loop_libev(f->loop), &foreign);

    run(f);
}

/* --- the loop --- */

static void test_a_stop_before_the_run_ends_it_at_once_and_only_once(void **state)
{
    struct fixture *f = *state;
    rt_loop_stop(f->loop);
    run(f);

    f->goal = 1;
    f->defer = rt_defer_new(f->loop, on_call, f);
    rt_defer_schedule(f->defer);
    run(f);
    assert_int_equal(f->calls, 1);
}

static void on_user_signal(void *ctx, int signum)
{
    assert_int_equal(signum, SIGUSR1);
    count_call(ctx);
}

static void test_a_signal_is_an_event(void **state)
{
    struct fixture *f = *state;
    f->goal = 1;
    struct rt_signal *sig = rt_signal_new(f->loop, SIGUSR1, on_user_signal, f);
    assert_int_equal(raise(SIGUSR1), 0);

    run(f);

    rt_signal_free(sig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_a_readable_descriptor_is_reported_until_it_is_read),
        LOOP_TEST(test_a_resting_descriptor_is_not_reported),
        LOOP_TEST(test_a_detached_descriptor_is_out_of_the_kernels_set),
        LOOP_TEST(test_a_writable_descriptor_is_reported),
        LOOP_TEST(test_a_watcher_may_free_itself),
        LOOP_TEST(test_a_timer_fires_once_and_not_too_early),
        LOOP_TEST(test_a_periodic_timer_fires_until_stopped),
        LOOP_TEST(test_a_timer_set_at_the_end_of_a_long_callback_counts_from_then),
        LOOP_TEST(test_a_deferred_call_runs_once_however_often_scheduled),
        LOOP_TEST(test_a_deferred_call_that_schedules_itself_runs_again_without_a_sleep),
        LOOP_TEST(test_a_deferred_call_may_free_another),
        LOOP_TEST(test_what_another_librarys_prepare_step_defers_runs_before_the_sleep),
        LOOP_TEST(test_a_stop_before_the_run_ends_it_at_once_and_only_once),
        LOOP_TEST(test_a_signal_is_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
