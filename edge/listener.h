/* edge/listener.h - the client port's listening socket.
 *
 * Our own, because libwebsockets 4.1.6 sets no SO_REUSEPORT in this build and binds all interfaces when it is told
 * one. Several edges may listen on one address; the kernel spreads connections over them. Accepts
 * a bounded number per turn; without descriptors it rests for 100 ms instead of spinning.
 */
#ifndef PGTIDE_EDGE_LISTENER_H
#define PGTIDE_EDGE_LISTENER_H

#include <stddef.h>

struct listener;
struct rt_log;
struct rt_loop;

struct listener_config {
    struct rt_loop *loop;
    struct rt_log *log;
    const char *
        address; /* "127.0.0.1:8080", "[::1]:8080", ":8080" (all), "name:8080"; port 0: a free one */
    void (*on_accept)(void *ctx, int fd); /* non-blocking; the callee's */
    void (*on_exhausted)(void *ctx);      /* no descriptors */
    void *ctx;
};

/* NULL after logging. */
struct listener *listener_new(const struct listener_config *config);
void listener_free(struct listener *listener);
/* The address in use, as text. */
const char *listener_address(const struct listener *listener);

#endif
