/* edge/handover.c - one message of one SOCK_SEQPACKET connection per hand-over: it is whole or not there. */
#include "edge/handover.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "edge/list.h"
#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/loop.h"

enum { BACKLOG = 1024, ACCEPTS_PER_TURN = 64, ATTEMPTS = 8 };
#define PREFIX "pgtide-edge-"

/* A hand-over whose message has not come yet: its sender is between connect(2) and sendmsg(2). */
struct incoming {
    struct handover *handover;
    struct list_node node;
    struct rt_io *io;
    int fd;
};

struct handover {
    struct handover_config config;
    struct list_node incoming;
    struct rt_io *io;
    uint8_t *data;
    int fd;
    char name[HANDOVER_NAME_LEN + 1];
};

static socklen_t address_of(const char *name, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(out->sun_path + 1, PREFIX, sizeof(PREFIX) - 1);
    memcpy(out->sun_path + sizeof(PREFIX), name, HANDOVER_NAME_LEN);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(PREFIX) + HANDOVER_NAME_LEN);
}

/* --- receiving ----------------------------------------------------------------------------------------------- */

static bool is_tcp(int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t len = sizeof(address);
    int type = 0;
    socklen_t type_len = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_STREAM &&
           getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
           (address.ss_family == AF_INET || address.ss_family == AF_INET6);
}

static bool is_of_this_user(int fd)
{
    struct ucred peer = { 0 };
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

/* The descriptor of a message; more than one are closed. -1: none. */
static int take_descriptor(struct msghdr *message)
{
    int fd = -1;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int each = -1;
            memcpy(&each, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            if (fd < 0) {
                fd = each;
            } else {
                (void)close(each);
            }
        }
    }
    return fd;
}

/* False: the message has not come yet. */
static bool receive(struct handover *handover, int from)
{
    char control[CMSG_SPACE(sizeof(int) * 4)];
    struct iovec iov = { handover->data, HANDOVER_BYTES };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
    };
    ssize_t got = recvmsg(from, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int fd = got >= 0 ? take_descriptor(&message) : -1;

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (fd < 0) {
        return true;
    }
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || !is_tcp(fd)) {
        (void)close(fd);
        return true;
    }
    handover->config.on_connection(handover->config.ctx, fd, handover->data, (size_t)got);
    return true;
}

static void incoming_free(struct incoming *incoming)
{
    list_remove(&incoming->node);
    rt_io_free(incoming->io);
    (void)close(incoming->fd);
    free(incoming);
}

static void on_message(void *ctx, int fd, int events)
{
    struct incoming *incoming = ctx;

    (void)events;
    if (receive(incoming->handover, fd)) {
        incoming_free(incoming);
    }
}

static void wait_for_message(struct handover *handover, int from)
{
    struct incoming *incoming = rt_alloc(sizeof(*incoming));

    incoming->handover = handover;
    incoming->fd = from;
    incoming->io = rt_io_new(handover->config.loop, from, on_message, incoming);
    list_append(&handover->incoming, &incoming->node);
    rt_io_want(incoming->io, RT_READ);
}

static void on_readable(void *ctx, int fd, int events)
{
    struct handover *handover = ctx;

    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int from = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (from < 0) {
            return;
        }
        if (!is_of_this_user(from)) {
            rt_log_warn(handover->config.log, "edge.handover_refused",
                        RT_S("reason", "from a process of another user"));
            (void)close(from);
        } else if (receive(handover, from)) {
            (void)close(from);
        } else {
            wait_for_message(handover, from);
        }
    }
}

/* --- sending ------------------------------------------------------------------------------------------------- */

static bool send_all(int to, int fd, const uint8_t *data, size_t len)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { .bytes = { 0 } };
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): a number that was a pointer, or bytes that are only read */
    struct iovec iov = { (void *)(uintptr_t)data, len }; /* only read */
    struct msghdr message = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes) };
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);

    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(part), &fd, sizeof(int));
    return sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

bool handover_pass(const char name[HANDOVER_NAME_LEN], int fd, const uint8_t *data, size_t len)
{
    struct sockaddr_un address;
    socklen_t address_len = address_of(name, &address);
    int to = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (to < 0 || len > HANDOVER_BYTES) {
        if (to >= 0) {
            (void)close(to);
        }
        return false;
    }
    bool passed = connect(to, (struct sockaddr *)&address, address_len) == 0 &&
                  is_of_this_user(to) && send_all(to, fd, data, len);
    (void)close(to);
    return passed;
}

/* --- exports ------------------------------------------------------------------------------------------------- */

static void choose_name(char out[HANDOVER_NAME_LEN + 1])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t random = rt_random64();

    for (int i = 0; i < HANDOVER_NAME_LEN; i++) {
        out[i] = letters[random & 63];
        random >>= 6;
    }
    out[HANDOVER_NAME_LEN] = '\0';
}

static bool listen_somewhere(struct handover *handover)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        struct sockaddr_un address;
        choose_name(handover->name);
        socklen_t len = address_of(handover->name, &address);
        if (bind(handover->fd, (struct sockaddr *)&address, len) == 0) {
            return listen(handover->fd, BACKLOG) == 0;
        }
        if (errno != EADDRINUSE) {
            return false;
        }
    }
    return false;
}

struct handover *handover_new(const struct handover_config *config)
{
    struct handover *handover = rt_alloc(sizeof(*handover));

    handover->config = *config;
    list_init(&handover->incoming);
    handover->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (handover->fd < 0 || !listen_somewhere(handover)) {
        char reason[128];
        rt_log_error(config->log, "edge.no_handover",
                     RT_S("reason", strerror_r(errno, reason, sizeof(reason))));
        if (handover->fd >= 0) {
            (void)close(handover->fd);
        }
        free(handover);
        return NULL;
    }
    handover->data = rt_alloc(HANDOVER_BYTES);
    handover->io = rt_io_new(config->loop, handover->fd, on_readable, handover);
    rt_io_want(handover->io, RT_READ);
    return handover;
}

void handover_free(struct handover *handover)
{
    if (handover != NULL) {
        struct list_node *node = NULL;
        while ((node = list_pop(&handover->incoming)) != NULL) {
            incoming_free(LIST_ELEMENT(node, struct incoming, node));
        }
        rt_io_free(handover->io);
        (void)close(handover->fd);
        free(handover->data);
        free(handover);
    }
}

const char *handover_name(const struct handover *handover)
{
    return handover->name;
}
