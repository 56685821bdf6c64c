/* Unit tests of runtime/loop.h. A guard timer ends a loop that would otherwise sleep for ever. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>
#include <zmq.h>

#include "runtime/loop.h"

struct fixture {
    struct rt_loop *loop;
    struct rt_timer *guard;
    bool guarded; /* the guard had to end the loop */
    int pair[2];
    int calls;
    int goal;
    int messages;
    rt_usec at;
    struct rt_io *io;
    struct rt_timer *timer;
    struct rt_defer *defer;
    struct rt_defer *other_defer;
    void *zmq;
    void *receiver;
    void *sender;
    struct rt_zmq *watch;
    struct rt_zmq *other_watch;
};

static void on_guard(void *ctx)
{
    struct fixture *f = ctx;
    f->guarded = true;
    rt_loop_stop(f->loop);
}

static int setup(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    struct fixture *f = &fixture;
    f->loop = rt_loop_new();
    f->guard = rt_timer_new(f->loop, on_guard, f);
    rt_timer_set(f->guard, 10 * RT_SEC, 0);
    f->zmq = zmq_ctx_new();
    f->receiver = zmq_socket(f->zmq, ZMQ_PAIR);
    f->sender = zmq_socket(f->zmq, ZMQ_PAIR);
    *state = f;
    if (zmq_bind(f->receiver, "inproc://loop") != 0 ||
        zmq_connect(f->sender, "inproc://loop") != 0) {
        return -1;
    }
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, f->pair);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    rt_io_free(f->io);
    rt_timer_free(f->timer);
    rt_defer_free(f->defer);
    rt_defer_free(f->other_defer);
    rt_zmq_free(f->watch);
    rt_zmq_free(f->other_watch);
    rt_timer_free(f->guard);
    rt_loop_free(f->loop);
    zmq_close(f->receiver);
    zmq_close(f->sender);
    zmq_ctx_term(f->zmq);
    close(f->pair[0]);
    close(f->pair[1]);
    return 0;
}

static void run(struct fixture *f)
{
    rt_loop_run(f->loop);
    assert_false(f->guarded);
}

/* Counts, and stops the loop at the goal. */
static void count_call(struct fixture *f)
{
    f->calls++;
    if (f->calls == f->goal) {
        rt_loop_stop(f->loop);
    }
}

static void on_call(void *ctx)
{
    count_call(ctx);
}

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

static void free_itself(void *ctx, int fd, int events)
{
    (void)fd;
    (void)events;
    struct fixture *f = ctx;
    rt_io_free(f->io);
    f->io = NULL;
    count_call(f);
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

static void unexpected(void *ctx)
{
    (void)ctx;
    fail();
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

/* --- ZeroMQ --- */

static void send_messages(struct fixture *f, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(zmq_send(f->sender, "m", 1, ZMQ_DONTWAIT), 1);
    }
}

/* Reads one message of possibly many. */
static void receive_one(void *ctx)
{
    struct fixture *f = ctx;
    char c = 0;
    assert_int_equal(zmq_recv(f->receiver, &c, 1, ZMQ_DONTWAIT), 1);
    count_call(f);
}

static void test_a_socket_is_served_until_empty_although_its_descriptor_wakes_once(void **state)
{
    struct fixture *f = *state;
    f->goal = 500;
    f->watch = rt_zmq_new(f->loop, f->receiver, receive_one, f);
    send_messages(f, 500);

    run(f);

    assert_int_equal(f->calls, 500);
}

static void send_one(void *ctx)
{
    struct fixture *f = ctx;
    send_messages(f, 1);
}

static void test_a_message_ends_the_sleep(void **state)
{
    struct fixture *f = *state;
    f->goal = 1;
    f->watch = rt_zmq_new(f->loop, f->receiver, receive_one, f);
    f->timer = rt_timer_new(f->loop, send_one, f);
    rt_timer_set(f->timer, 5 * RT_MSEC, 0);

    run(f);
}

/* Reading ZMQ_EVENTS takes the wake-up away from the descriptor: the trap that rt_zmq is for. */
static void touch_sockets(void *ctx)
{
    struct fixture *f = ctx;
    int events = 0;
    size_t size = sizeof(events);
    send_messages(f, 1);
    assert_int_equal(zmq_getsockopt(f->receiver, ZMQ_EVENTS, &events, &size), 0);
    assert_true((events & ZMQ_POLLIN) != 0);
}

static void test_a_message_whose_wake_up_was_taken_by_somebody_else_is_served(void **state)
{
    struct fixture *f = *state;
    f->goal = 1;
    f->watch = rt_zmq_new(f->loop, f->receiver, receive_one, f);
    f->timer = rt_timer_new(f->loop, touch_sockets, f);
    rt_timer_set(f->timer, 5 * RT_MSEC, 0);

    run(f);
}

static void resume(void *ctx)
{
    struct fixture *f = ctx;
    assert_int_equal(f->calls, 0);
    rt_zmq_pause(f->watch, false);
}

static void test_a_paused_socket_is_not_served_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    f->goal = 3;
    f->watch = rt_zmq_new(f->loop, f->receiver, receive_one, f);
    rt_zmq_pause(f->watch, true);
    send_messages(f, 3);
    f->timer = rt_timer_new(f->loop, resume, f);
    rt_timer_set(f->timer, 10 * RT_MSEC, 0);

    run(f);

    assert_int_equal(f->calls, 3);
}

static void count_turns(struct ev_loop *ev, ev_check *watcher, int events)
{
    (void)ev;
    (void)events;
    (*(int *)watcher->data)++;
}

static void test_a_paused_socket_with_messages_does_not_keep_the_loop_awake(void **state)
{
    struct fixture *f = *state;
    f->goal = 1;
    f->watch = rt_zmq_new(f->loop, f->receiver, unexpected, f);
    rt_zmq_pause(f->watch, true);
    send_messages(f, 3);
    int turns = 0;
    ev_check check;
    memset(&check, 0, sizeof(check));
    ev_check_init(&check, count_turns);
    check.data = &turns;
    ev_check_start(rt_loop_libev(f->loop), &check);
    f->timer = rt_timer_new(f->loop, on_call, f);
    rt_timer_set(f->timer, 50 * RT_MSEC, 0);

    run(f);

    ev_check_stop(rt_loop_libev(f->loop), &check);
    assert_in_range(turns, 1, 10);
}

static void free_all_watches(void *ctx)
{
    struct fixture *f = ctx;
    rt_zmq_free(f->watch);
    rt_zmq_free(f->other_watch);
    f->watch = NULL;
    f->other_watch = NULL;
    count_call(f);
}

static void test_serving_may_free_this_and_other_watches(void **state)
{
    struct fixture *f = *state;
    f->goal = 1;
    f->watch = rt_zmq_new(f->loop, f->receiver, free_all_watches, f);
    f->other_watch = rt_zmq_new(f->loop, f->sender, free_all_watches, f);
    send_messages(f, 1);
    assert_int_equal(zmq_send(f->receiver, "m", 1, ZMQ_DONTWAIT), 1);

    run(f);

    assert_null(f->watch);
}

static void test_a_busy_socket_does_not_starve_timers_and_descriptors(void **state)
{
    struct fixture *f = *state;
    f->watch = rt_zmq_new(f->loop, f->receiver, receive_one, f);
    f->io = rt_io_new(f->loop, f->pair[0], free_itself, f);
    rt_io_want(f->io, RT_READ);
    assert_int_equal(write(f->pair[1], "a", 1), 1);
    send_messages(f, 1000);
    f->goal = 1001;

    run(f);

    assert_null(f->io);
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

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_a_readable_descriptor_is_reported_until_it_is_read),
        LOOP_TEST(test_a_resting_descriptor_is_not_reported),
        LOOP_TEST(test_a_writable_descriptor_is_reported),
        LOOP_TEST(test_a_watcher_may_free_itself),
        LOOP_TEST(test_a_timer_fires_once_and_not_too_early),
        LOOP_TEST(test_a_periodic_timer_fires_until_stopped),
        LOOP_TEST(test_a_timer_set_at_the_end_of_a_long_callback_counts_from_then),
        LOOP_TEST(test_a_deferred_call_runs_once_however_often_scheduled),
        LOOP_TEST(test_a_deferred_call_that_schedules_itself_runs_again_without_a_sleep),
        LOOP_TEST(test_a_deferred_call_may_free_another),
        LOOP_TEST(test_what_another_librarys_prepare_step_defers_runs_before_the_sleep),
        LOOP_TEST(test_a_socket_is_served_until_empty_although_its_descriptor_wakes_once),
        LOOP_TEST(test_a_message_ends_the_sleep),
        LOOP_TEST(test_a_message_whose_wake_up_was_taken_by_somebody_else_is_served),
        LOOP_TEST(test_a_paused_socket_is_not_served_and_loses_nothing),
        LOOP_TEST(test_a_paused_socket_with_messages_does_not_keep_the_loop_awake),
        LOOP_TEST(test_serving_may_free_this_and_other_watches),
        LOOP_TEST(test_a_busy_socket_does_not_starve_timers_and_descriptors),
        LOOP_TEST(test_a_stop_before_the_run_ends_it_at_once_and_only_once),
        LOOP_TEST(test_a_signal_is_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
