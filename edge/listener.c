/* edge/listener.c - see edge/listener.h. */
#include "edge/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/address.h"
#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/loop.h"

enum { BACKLOG = 4096, ACCEPTS_PER_TURN = 64, ADDRESS_SIZE = RT_HOST_SIZE + RT_PORT_SIZE + 4 };
static const rt_usec EXHAUSTED_PAUSE = 100 * RT_MSEC;

struct listener {
    struct listener_config config;
    struct rt_io *io;
    struct rt_timer *pause;
    int fd;
    char address[ADDRESS_SIZE];
};

static int open_socket(const struct addrinfo *info)
{
    int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static bool bind_address(struct listener *listener)
{
    struct rt_log *log = listener->config.log;
    struct addrinfo hints = { .ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_PASSIVE };
    struct addrinfo *found = NULL;
    char host[RT_HOST_SIZE];
    char port[RT_PORT_SIZE];

    if (!rt_address_split(listener->config.address, host, port)) {
        rt_log_error(
            log, "edge.bad_address", RT_S("address", listener->config.address),
            RT_S("hint", "realtime.listen is host:port, e.g. 127.0.0.1:8080 or [::1]:8080"));
        return false;
    }
    int rc = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &found);
    if (rc != 0) {
        rt_log_error(log, "edge.bad_address", RT_S("address", listener->config.address),
                     RT_S("reason", gai_strerror(rc)));
        return false;
    }
    for (const struct addrinfo *info = found; info != NULL && listener->fd < 0;
         info = info->ai_next) {
        listener->fd = open_socket(info);
    }
    if (listener->fd < 0) {
        char reason[128];
        rt_log_error(
            log, "edge.not_listening", RT_S("address", listener->config.address),
            RT_S("reason", strerror_r(errno, reason, sizeof(reason))),
            RT_S("hint", "is the port taken by a program without SO_REUSEPORT, or privileged?"));
    }
    freeaddrinfo(found);
    return listener->fd >= 0;
}

static void describe(struct listener *listener)
{
    struct sockaddr_storage address = { 0 };
    socklen_t len = sizeof(address);
    char host[RT_HOST_SIZE] = "?";
    char port[RT_PORT_SIZE] = "?";

    if (getsockname(listener->fd, (struct sockaddr *)&address, &len) == 0) {
        (void)getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port, sizeof(port),
                          NI_NUMERICHOST | NI_NUMERICSERV);
    }
    bool colons = strchr(host, ':') != NULL;
    (void)snprintf(listener->address, sizeof(listener->address), "%s%s%s:%s", colons ? "[" : "",
                   host, colons ? "]" : "", port);
}

static void on_readable(void *ctx, int fd, int events)
{
    struct listener *listener = ctx;

    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            listener->config.on_accept(listener->config.ctx, client);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            listener->config.on_exhausted(listener->config.ctx);
            rt_io_want(listener->io, 0);
            rt_timer_set(listener->pause, EXHAUSTED_PAUSE, 0);
            return;
        }
        if (errno == EAGAIN) {
            return;
        }
        /* Else the connection ended before it was accepted: the next one. */
    }
}

static void on_pause_over(void *ctx)
{
    struct listener *listener = ctx;

    rt_io_want(listener->io, RT_READ);
}

struct listener *listener_new(const struct listener_config *config)
{
    struct listener *listener = rt_alloc(sizeof(*listener));

    listener->config = *config;
    listener->fd = -1;
    if (!bind_address(listener)) {
        free(listener);
        return NULL;
    }
    describe(listener);
    listener->io = rt_io_new(config->loop, listener->fd, on_readable, listener);
    listener->pause = rt_timer_new(config->loop, on_pause_over, listener);
    rt_io_want(listener->io, RT_READ);
    return listener;
}

void listener_free(struct listener *listener)
{
    if (listener != NULL) {
        rt_timer_free(listener->pause);
        rt_io_free(listener->io);
        (void)close(listener->fd);
        free(listener);
    }
}

const char *listener_address(const struct listener *listener)
{
    return listener->address;
}
