/* runtime/loop.c - libev, made to sleep only when ZeroMQ has nothing either.
 *
 * One turn: libev's prepare step (the deferred calls, then ZMQ_EVENTS of every ZeroMQ socket), the
 * sleep, and its check step (`ready` of the sockets that have something). If prepare found something
 * to do, an idle watcher that does nothing keeps libev from sleeping. The ev_io on a socket's ZMQ_FD
 * only ends the sleep and marks its socket to be looked at.
 *
 * Priorities: prepare runs after everybody else's prepare, so that what they schedule is not left
 * behind; the idle watcher has the lowest, so that it hides nobody else's (libwebsockets has one).
 *
 * Lists are walked with a cursor in the loop, which moves on when its element is freed: a callback may
 * free anything.
 */
#include "runtime/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ev.h>
#include <zmq.h>

#include "runtime/buf.h"

struct rt_defer {
    struct rt_loop *loop;
    rt_defer_fn fn;
    void *ctx;
    bool scheduled;
    struct rt_defer *prev;
    struct rt_defer *next;
};

struct rt_zmq {
    struct rt_loop *loop;
    void *socket;
    rt_zmq_fn ready;
    void *ctx;
    bool paused;
    bool look;    /* woken: ZMQ_EVENTS must be read in the check step */
    bool pending; /* there is something to read */
    ev_io io;
    struct rt_zmq *prev;
    struct rt_zmq *next;
};

struct rt_loop {
    struct ev_loop *ev;
    int epoll; /* the descriptor of its set; -1: not known */
    ev_prepare prepare;
    ev_check check;
    ev_idle idle;
    bool stopping;
    struct rt_defer *first_defer; /* scheduled, in order */
    struct rt_defer *last_defer;
    struct rt_zmq *first_zmq;
    struct rt_zmq *zmq_cursor; /* the next one to visit */
};

struct rt_io {
    struct rt_loop *loop;
    rt_io_fn fn;
    void *ctx;
    int events;
    ev_io io;
};

struct rt_timer {
    struct rt_loop *loop;
    rt_timer_fn fn;
    void *ctx;
    ev_timer timer;
};

struct rt_signal {
    struct rt_loop *loop;
    rt_signal_fn fn;
    void *ctx;
    ev_signal signal;
};

static double to_seconds(rt_usec time)
{
    return (double)(time > 0 ? time : 0) / 1e6;
}

/* --- deferred calls --- */

static void unlink_defer(struct rt_defer *defer)
{
    struct rt_loop *loop = defer->loop;
    *(defer->prev != NULL ? &defer->prev->next : &loop->first_defer) = defer->next;
    *(defer->next != NULL ? &defer->next->prev : &loop->last_defer) = defer->prev;
    defer->prev = NULL;
    defer->next = NULL;
    defer->scheduled = false;
}

static void append_defer(struct rt_defer *defer)
{
    struct rt_loop *loop = defer->loop;
    defer->prev = loop->last_defer;
    defer->next = NULL;
    *(defer->prev != NULL ? &defer->prev->next : &loop->first_defer) = defer;
    loop->last_defer = defer;
    defer->scheduled = true;
}

/* Runs what was scheduled before this call; what these schedule themselves waits for the next turn,
 * which comes without a sleep. The mark is an element of the list, because anything may be freed. */
static void run_defers(struct rt_loop *loop)
{
    struct rt_defer mark = { .loop = loop };
    append_defer(&mark);
    while (loop->first_defer != &mark) {
        struct rt_defer *defer = loop->first_defer;
        unlink_defer(defer);
        defer->fn(defer->ctx);
    }
    unlink_defer(&mark);
}

/* --- ZeroMQ --- */

/* Reading ZMQ_EVENTS also lets the socket work through its commands, which rests its descriptor. */
static bool zmq_readable(void *socket)
{
    int events = 0;
    size_t size = sizeof(events);
    int rc = 0;
    do {
        rc = zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size);
    } while (rc != 0 && zmq_errno() == EINTR);
    return rc == 0 && (events & ZMQ_POLLIN) != 0;
}

/* Returns whether some socket has to be served in this turn. */
static bool poll_zmq(struct rt_loop *loop)
{
    bool any = false;
    for (struct rt_zmq *watch = loop->first_zmq; watch != NULL; watch = watch->next) {
        watch->look = false;
        watch->pending = zmq_readable(watch->socket) && !watch->paused;
        any = any || watch->pending;
    }
    return any;
}

static void serve_zmq(struct rt_loop *loop)
{
    loop->zmq_cursor = loop->first_zmq;
    while (loop->zmq_cursor != NULL) {
        struct rt_zmq *watch = loop->zmq_cursor;
        loop->zmq_cursor = watch->next;
        if (watch->paused) {
            continue; /* the next prepare step reads its events */
        }
        if (watch->pending || (watch->look && zmq_readable(watch->socket))) {
            watch->pending = false;
            watch->ready(watch->ctx);
        }
    }
}

/* --- libev's callbacks --- */

static void on_prepare(struct ev_loop *ev, ev_prepare *watcher, int events)
{
    (void)events;
    struct rt_loop *loop = watcher->data;
    run_defers(loop);
    bool busy = poll_zmq(loop);
    if (busy || loop->first_defer != NULL) {
        ev_idle_start(ev, &loop->idle);
    }
}

static void on_check(struct ev_loop *ev, ev_check *watcher, int events)
{
    (void)events;
    struct rt_loop *loop = watcher->data;
    ev_idle_stop(ev, &loop->idle);
    serve_zmq(loop);
}

static void on_idle(struct ev_loop *ev, ev_idle *watcher, int events)
{
    (void)ev;
    (void)watcher;
    (void)events; /* its being started is what matters */
}

static void on_zmq_wake(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    (void)events;
    struct rt_zmq *watch = watcher->data;
    watch->look = true;
}

static void on_io(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    struct rt_io *io = watcher->data;
    int seen = ((events & EV_READ) != 0 ? RT_READ : 0) | ((events & EV_WRITE) != 0 ? RT_WRITE : 0);
    if ((events & EV_ERROR) != 0) {
        seen = io->events; /* the owner learns the error from its own read or write */
    }
    if (seen != 0) {
        io->fn(io->ctx, watcher->fd, seen);
    }
}

static void on_timer(struct ev_loop *ev, ev_timer *watcher, int events)
{
    (void)ev;
    (void)events;
    struct rt_timer *timer = watcher->data;
    timer->fn(timer->ctx);
}

static void on_signal(struct ev_loop *ev, ev_signal *watcher, int events)
{
    (void)ev;
    (void)events;
    struct rt_signal *sig = watcher->data;
    sig->fn(sig->ctx, watcher->signum);
}

/* --- the loop --- */

/* libev does not say which descriptor its epoll set has. It is the first that ev_loop_new() opens, and descriptors are
 * given in order; whether it really is one is asked of the kernel. -1: not known, and rt_io_detach() does without. */
static int epoll_of(int next_free)
{
    struct epoll_event unused = { 0 };
    int stranger = eventfd(0, EFD_CLOEXEC);
    bool is_epoll = stranger >= 0 && next_free >= 0 &&
                    epoll_ctl(next_free, EPOLL_CTL_MOD, stranger, &unused) != 0 && errno == ENOENT;

    if (stranger >= 0) {
        (void)close(stranger);
    }
    return is_epoll ? next_free : -1;
}

static int next_free_descriptor(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)close(fd);
    }
    return fd;
}

struct rt_loop *rt_loop_new(void)
{
    int next_free = next_free_descriptor();
    struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
    if (ev == NULL) {
        abort(); /* not even poll(2) works */
    }
    struct rt_loop *loop = rt_alloc(sizeof(*loop));
    loop->ev = ev;
    loop->epoll = ev_backend(ev) == EVBACKEND_EPOLL ? epoll_of(next_free) : -1;
    ev_prepare_init(&loop->prepare, on_prepare);
    ev_check_init(&loop->check, on_check);
    ev_idle_init(&loop->idle, on_idle);
    ev_set_priority(&loop->prepare, EV_MINPRI);
    ev_set_priority(&loop->idle, EV_MINPRI);
    loop->prepare.data = loop;
    loop->check.data = loop;
    loop->idle.data = loop;
    ev_prepare_start(ev, &loop->prepare);
    ev_check_start(ev, &loop->check);
    return loop;
}

void rt_loop_free(struct rt_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    ev_idle_stop(loop->ev, &loop->idle);
    ev_check_stop(loop->ev, &loop->check);
    ev_prepare_stop(loop->ev, &loop->prepare);
    ev_loop_destroy(loop->ev);
    free(loop);
}

void rt_loop_run(struct rt_loop *loop)
{
    while (!loop->stopping) {
        ev_run(loop->ev, 0);
    }
    loop->stopping = false;
}

void rt_loop_stop(struct rt_loop *loop)
{
    loop->stopping = true;
    ev_break(loop->ev, EVBREAK_ALL);
}

void *rt_loop_libev(struct rt_loop *loop)
{
    return loop->ev;
}

struct rt_io *rt_io_new(struct rt_loop *loop, int fd, rt_io_fn fn, void *ctx)
{
    struct rt_io *io = rt_alloc(sizeof(*io));
    io->loop = loop;
    io->fn = fn;
    io->ctx = ctx;
    ev_io_init(&io->io, on_io, fd, 0);
    io->io.data = io;
    return io;
}

void rt_io_want(struct rt_io *io, int events)
{
    if (io->events == events) {
        return;
    }
    io->events = events;
    ev_io_stop(io->loop->ev, &io->io);
    if (events != 0) {
        int mask =
            ((events & RT_READ) != 0 ? EV_READ : 0) | ((events & RT_WRITE) != 0 ? EV_WRITE : 0);
        ev_io_set(&io->io, io->io.fd, mask);
        ev_io_start(io->loop->ev, &io->io);
    }
}

void rt_io_detach(struct rt_io *io)
{
    struct epoll_event unused = { 0 };

    rt_io_want(io, 0);
    if (io->loop->epoll >= 0) {
        (void)epoll_ctl(io->loop->epoll, EPOLL_CTL_DEL, io->io.fd, &unused);
    }
}

void rt_io_free(struct rt_io *io)
{
    if (io != NULL) {
        ev_io_stop(io->loop->ev, &io->io);
        free(io);
    }
}

struct rt_timer *rt_timer_new(struct rt_loop *loop, rt_timer_fn fn, void *ctx)
{
    struct rt_timer *timer = rt_alloc(sizeof(*timer));
    timer->loop = loop;
    timer->fn = fn;
    timer->ctx = ctx;
    ev_timer_init(&timer->timer, on_timer, 0., 0.);
    timer->timer.data = timer;
    return timer;
}

void rt_timer_set(struct rt_timer *timer, rt_usec after, rt_usec period)
{
    struct ev_loop *ev = timer->loop->ev;
    ev_timer_stop(ev, &timer->timer);
    /* libev counts from the time it last looked, which may be a long callback ago. */
    ev_now_update(ev);
    ev_timer_set(&timer->timer, to_seconds(after), to_seconds(period));
    ev_timer_start(ev, &timer->timer);
}

void rt_timer_stop(struct rt_timer *timer)
{
    ev_timer_stop(timer->loop->ev, &timer->timer);
}

void rt_timer_free(struct rt_timer *timer)
{
    if (timer != NULL) {
        rt_timer_stop(timer);
        free(timer);
    }
}

struct rt_defer *rt_defer_new(struct rt_loop *loop, rt_defer_fn fn, void *ctx)
{
    struct rt_defer *defer = rt_alloc(sizeof(*defer));
    defer->loop = loop;
    defer->fn = fn;
    defer->ctx = ctx;
    return defer;
}

void rt_defer_schedule(struct rt_defer *defer)
{
    if (!defer->scheduled) {
        append_defer(defer);
    }
}

void rt_defer_free(struct rt_defer *defer)
{
    if (defer == NULL) {
        return;
    }
    if (defer->scheduled) {
        unlink_defer(defer);
    }
    free(defer);
}

struct rt_zmq *rt_zmq_new(struct rt_loop *loop, void *zmq_socket, rt_zmq_fn ready, void *ctx)
{
    int fd = -1;
    size_t size = sizeof(fd);
    if (zmq_getsockopt(zmq_socket, ZMQ_FD, &fd, &size) != 0) {
        abort(); /* not a socket, or its context is gone: a mistake of the caller */
    }
    struct rt_zmq *watch = rt_alloc(sizeof(*watch));
    watch->loop = loop;
    watch->socket = zmq_socket;
    watch->ready = ready;
    watch->ctx = ctx;
    watch->next = loop->first_zmq;
    if (watch->next != NULL) {
        watch->next->prev = watch;
    }
    loop->first_zmq = watch;
    ev_io_init(&watch->io, on_zmq_wake, fd, EV_READ);
    watch->io.data = watch;
    ev_io_start(loop->ev, &watch->io);
    return watch;
}

void rt_zmq_pause(struct rt_zmq *watch, bool paused)
{
    watch->paused = paused;
}

void rt_zmq_free(struct rt_zmq *watch)
{
    if (watch == NULL) {
        return;
    }
    struct rt_loop *loop = watch->loop;
    if (loop->zmq_cursor == watch) {
        loop->zmq_cursor = watch->next;
    }
    *(watch->prev != NULL ? &watch->prev->next : &loop->first_zmq) = watch->next;
    if (watch->next != NULL) {
        watch->next->prev = watch->prev;
    }
    ev_io_stop(loop->ev, &watch->io);
    free(watch);
}

struct rt_signal *rt_signal_new(struct rt_loop *loop, int signum, rt_signal_fn fn, void *ctx)
{
    struct rt_signal *sig = rt_alloc(sizeof(*sig));
    sig->loop = loop;
    sig->fn = fn;
    sig->ctx = ctx;
    ev_signal_init(&sig->signal, on_signal, signum);
    sig->signal.data = sig;
    ev_signal_start(loop->ev, &sig->signal);
    return sig;
}

void rt_signal_free(struct rt_signal *sig)
{
    if (sig != NULL) {
        ev_signal_stop(sig->loop->ev, &sig->signal);
        free(sig);
    }
}
