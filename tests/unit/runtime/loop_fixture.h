/* tests/unit/runtime/loop_fixture.h - a loop with a pair of descriptors and a pair of ZeroMQ sockets.
 *
 * A guard timer ends a loop that would otherwise sleep for ever.
 */
#ifndef PGTIDE_TESTS_UNIT_RUNTIME_LOOP_FIXTURE_H
#define PGTIDE_TESTS_UNIT_RUNTIME_LOOP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
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

static inline void on_guard(void *ctx)
{
    struct fixture *f = ctx;
    f->guarded = true;
    rt_loop_stop(f->loop);
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline void run(struct fixture *f)
{
    rt_loop_run(f->loop);
    assert_false(f->guarded);
}

/* Counts, and stops the loop at the goal. */
static inline void count_call(struct fixture *f)
{
    f->calls++;
    if (f->calls == f->goal) {
        rt_loop_stop(f->loop);
    }
}

static inline void on_call(void *ctx)
{
    count_call(ctx);
}

/* As a watcher of f->io. */
static inline void free_itself(void *ctx, int fd, int events)
{
    (void)fd;
    (void)events;
    struct fixture *f = ctx;
    rt_io_free(f->io);
    f->io = NULL;
    count_call(f);
}

static inline void unexpected(void *ctx)
{
    (void)ctx;
    fail();
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
