/* runtime/loop.h - the one event loop of a process, over libev.
 *
 * Everything in a process runs on its loop's thread; nothing here is thread-safe. Callbacks run to
 * completion; one may start, stop and free any watcher, its own included.
 *
 * ZeroMQ descriptors are edge-triggered: after a wake, and after every send or receive, ZMQ_EVENTS
 * must be read again before sleeping (zmq_getsockopt(3)). rt_zmq hides that: `ready` is called as
 * long as the socket has something to read, in every turn of the loop, whoever touched the socket.
 *
 * Cost: one epoll_wait per turn, one ZMQ_EVENTS read per ZeroMQ socket and turn, a second when it was woken.
 */
#ifndef PGTIDE_RUNTIME_LOOP_H
#define PGTIDE_RUNTIME_LOOP_H

#include <stdbool.h>

#include "runtime/clock.h"

struct rt_loop;
struct rt_io;
struct rt_timer;
struct rt_zmq;
struct rt_defer;

enum { RT_READ = 1, RT_WRITE = 2 };

struct rt_loop *rt_loop_new(void);
void rt_loop_free(struct rt_loop *loop); /* after all its watchers */
void rt_loop_run(struct rt_loop *loop);  /* until rt_loop_stop() */
void rt_loop_stop(struct rt_loop *loop);
/* The struct ev_loop below, for a library that must be given it (libwebsockets). */
void *rt_loop_libev(struct rt_loop *loop);

/* A descriptor; the watcher never closes it. Free the watcher before closing the descriptor. */
typedef void (*rt_io_fn)(void *ctx, int fd, int events);
struct rt_io *rt_io_new(struct rt_loop *loop, int fd, rt_io_fn fn, void *ctx);
void rt_io_want(struct rt_io *io,
                int events);       /* RT_READ | RT_WRITE, or 0 to rest; cheap if unchanged */
void rt_io_free(struct rt_io *io); /* NULL is fine */
/* Before a descriptor is closed whose socket lives on in another process: the kernel forgets a watched socket by itself only when
 * nobody has it any more, and until then its events would cost this loop a rebuild of all its watches. The watcher rests. */
void rt_io_detach(struct rt_io *io);

/* Times are monotonic microseconds from now. A timer rests until set; period 0 fires once. */
typedef void (*rt_timer_fn)(void *ctx);
struct rt_timer *rt_timer_new(struct rt_loop *loop, rt_timer_fn fn, void *ctx);
void rt_timer_set(struct rt_timer *timer, rt_usec after, rt_usec period);
void rt_timer_stop(struct rt_timer *timer);
void rt_timer_free(struct rt_timer *timer);

/* Runs once at the end of the current turn, before the loop sleeps; scheduling twice is once. */
typedef void (*rt_defer_fn)(void *ctx);
struct rt_defer *rt_defer_new(struct rt_loop *loop, rt_defer_fn fn, void *ctx);
void rt_defer_schedule(struct rt_defer *defer);
void rt_defer_free(struct rt_defer *defer);

/* A ZeroMQ socket. `ready` should read a bounded number of messages and return. While paused it is
 * not called, and messages wait in ZeroMQ's queue. */
typedef void (*rt_zmq_fn)(void *ctx);
struct rt_zmq *rt_zmq_new(struct rt_loop *loop, void *zmq_socket, rt_zmq_fn ready, void *ctx);
void rt_zmq_pause(struct rt_zmq *watch, bool paused);
void rt_zmq_free(struct rt_zmq *watch); /* before zmq_close() */

/* A signal, e.g. SIGTERM, as an event of the loop. */
typedef void (*rt_signal_fn)(void *ctx, int signum);
struct rt_signal;
struct rt_signal *rt_signal_new(struct rt_loop *loop, int signum, rt_signal_fn fn, void *ctx);
void rt_signal_free(struct rt_signal *sig);

#endif
