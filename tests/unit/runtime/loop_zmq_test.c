/* Unit tests of runtime/loop.h: ZeroMQ sockets. */
#include <ev.h>

#include "tests/unit/runtime/loop_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_a_socket_is_served_until_empty_although_its_descriptor_wakes_once),
        LOOP_TEST(test_a_message_ends_the_sleep),
        LOOP_TEST(test_a_message_whose_wake_up_was_taken_by_somebody_else_is_served),
        LOOP_TEST(test_a_paused_socket_is_not_served_and_loses_nothing),
        LOOP_TEST(test_a_paused_socket_with_messages_does_not_keep_the_loop_awake),
        LOOP_TEST(test_serving_may_free_this_and_other_watches),
        LOOP_TEST(test_a_busy_socket_does_not_starve_timers_and_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
