/* runtime/link_socket.c - see the header. ZeroMQ's options act on later binds and connects only, so
 * all are set first. */
#include "runtime/link_socket.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zmq.h>

#include "runtime/clock.h"
#include "runtime/keys.h"
#include "runtime/link_header.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

#define LINGER_MS        200 /* the last acks and frames get out, and a dead peer does not hold us */
#define RECONNECT_MS     20
#define RECONNECT_MAX_MS 100
#define BACKLOG          100

/* High water marks count messages, per peer, and those of both ends add up. 64 KiB frames: 32 MiB wait
 * at the publisher (shared with its ring) and 16 MiB at the subscriber before PUB drops, which replay
 * repairs. The side channel holds what four replay requests can bring. */
#define PUB_SNDHWM       512
#define SUB_RCVHWM       256
#define PUB_RCVHWM       1000
#define CONTROL_HWM      8192
#define SUBSCRIPTION_MAX 1024 /* bytes a SUB may send us; CURVE's handshake has more than 256 */

struct option {
    int name;
    int value;
};

static const struct option role_options[][6] = {
    /* VERBOSE: every joiner is seen, so that it hears at once where its stream is. */
    [LINK_PUBLISHER] = { { ZMQ_SNDHWM, PUB_SNDHWM },
                         { ZMQ_RCVHWM, PUB_RCVHWM },
                         { ZMQ_XPUB_VERBOSE, 1 },
                         { ZMQ_TCP_KEEPALIVE, 1 } },
    /* MANDATORY: a message to nobody is an error; HANDOVER: a peer that reconnects takes its id back. */
    [LINK_ROUTER] = { { ZMQ_SNDHWM, CONTROL_HWM },
                      { ZMQ_RCVHWM, CONTROL_HWM },
                      { ZMQ_ROUTER_MANDATORY, 1 },
                      { ZMQ_ROUTER_HANDOVER, 1 } },
    /* SNDHWM 0: else subscriptions beyond it would be lost in silence. */
    [LINK_SUBSCRIBER] = { { ZMQ_RCVHWM, SUB_RCVHWM }, { ZMQ_SNDHWM, 0 }, { ZMQ_TCP_KEEPALIVE, 1 } },
    /* IMMEDIATE: nothing queues for a publisher that is not there; a new one hears no old hellos. */
    [LINK_DEALER] = { { ZMQ_SNDHWM, CONTROL_HWM },
                      { ZMQ_RCVHWM, CONTROL_HWM },
                      { ZMQ_IMMEDIATE, 1 } },
};

static const int role_types[] = {
    [LINK_PUBLISHER] = ZMQ_XPUB,
    [LINK_ROUTER] = ZMQ_ROUTER,
    [LINK_SUBSCRIBER] = ZMQ_SUB,
    [LINK_DEALER] = ZMQ_DEALER,
};

static const int64_t role_max_bytes[] = {
    [LINK_PUBLISHER] = SUBSCRIPTION_MAX,
    [LINK_ROUTER] = (int64_t)(LINK_MESSAGE_MAX + LINK_CONTROL_MAX),
    [LINK_SUBSCRIBER] = (int64_t)(LINK_FRAME_MAX + LINK_PREFIX_MAX),
    [LINK_DEALER] = (int64_t)(LINK_FRAME_MAX + LINK_PREFIX_MAX),
};

struct link_monitor {
    struct rt_log *log;
    struct rt_counter *failures;
    void *watched;
    void *socket;
    struct rt_zmq *watch;
};

static bool set_int(void *socket, int name, int value)
{
    return zmq_setsockopt(socket, name, &value, sizeof(value)) == 0;
}

/* ZeroMQ's own heartbeats find half-open connections of the side channel, which is always read. On the
 * stream they would do harm: a subscriber that pauses does not read, so its pongs do not come, and the
 * connection would be cut. There the kernel's keepalive does it. */
static bool set_heartbeat(enum link_role role, void *socket, rt_usec lease)
{
    int lease_ms = (int)(lease / RT_MSEC);
    if (role == LINK_PUBLISHER || role == LINK_SUBSCRIBER) {
        int seconds = lease_ms > 4000 ? lease_ms / 4000 : 1;
        return set_int(socket, ZMQ_TCP_KEEPALIVE_IDLE, seconds) &&
               set_int(socket, ZMQ_TCP_KEEPALIVE_INTVL, seconds) &&
               set_int(socket, ZMQ_TCP_KEEPALIVE_CNT, 3);
    }
    return set_int(socket, ZMQ_HEARTBEAT_IVL, lease_ms / 4 + 1) &&
           set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, lease_ms + 1) &&
           set_int(socket, ZMQ_HEARTBEAT_TTL, lease_ms + 1);
}

static bool set_options(enum link_role role, const char *address, void *socket, rt_usec lease)
{
    int64_t max = role_max_bytes[role];
    bool ok = set_int(socket, ZMQ_LINGER, LINGER_MS) && set_int(socket, ZMQ_BACKLOG, BACKLOG) &&
              set_int(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS) &&
              set_int(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS) &&
              set_int(socket, ZMQ_IPV6, strchr(address, '[') != NULL ? 1 : 0) &&
              zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max, sizeof(max)) == 0 &&
              set_heartbeat(role, socket, lease);
    size_t count = sizeof(role_options[role]) / sizeof(role_options[role][0]);
    for (size_t i = 0; ok && i < count && role_options[role][i].name != 0; i++) {
        ok = set_int(socket, role_options[role][i].name, role_options[role][i].value);
    }
    return ok;
}

static void monitor_ready(void *ctx)
{
    struct link_monitor *monitor = ctx;
    uint8_t event[6];
    char address[256];
    int event_len = zmq_recv(monitor->socket, event, sizeof(event), ZMQ_DONTWAIT);
    if (event_len < 0) {
        return;
    }
    int address_len = zmq_recv(monitor->socket, address, sizeof(address), ZMQ_DONTWAIT);
    size_t len = address_len < 0 ? 0 : (size_t)address_len;
    rt_counter_add(monitor->failures, 1);
    rt_log_warn(monitor->log, "link.handshake_failed",
                RT_SN("address", address, len > sizeof(address) ? sizeof(address) : len),
                RT_S("reason", "the peer is not one of ours; check that links.key_file is the same "
                               "on both sides"));
}

void *link_socket_new(enum link_role role, const char *address, rt_usec lease, struct rt_log *log)
{
    void *socket = zmq_socket(rt_zmq_context(), role_types[role]);
    if (socket == NULL || !set_options(role, address, socket, lease)) {
        rt_log_error(log, "link.socket", RT_S("address", address),
                     RT_S("reason", zmq_strerror(zmq_errno())));
        if (socket != NULL) {
            zmq_close(socket);
        }
        return NULL;
    }
    return socket;
}

bool link_socket_bind(void *socket, const char *address, const struct rt_keys *keys,
                      bool allow_insecure, struct rt_log *log)
{
    if (keys == NULL && !allow_insecure && !rt_address_is_local(address)) {
        rt_log_error(log, "link.bind_refused", RT_S("address", address),
                     RT_S("reason",
                          "other hosts could read every change there; set links.key_file "
                          "(pgtide keygen), or links.allow_insecure if the network is safe"));
        return false;
    }
    rt_keys_serve(keys, socket);
    /* An ipc socket is a file: for this user only. A stale one is replaced by ZeroMQ itself. */
    mode_t mask = umask(S_IRWXG | S_IRWXO | S_IXUSR);
    rt_usec since = rt_now();
    int rc = 0;
    int error = 0;
    do {
        rc = zmq_bind(socket, address);
        error = zmq_errno();
    } while (rc != 0 && error == EADDRINUSE && rt_bind_again(since));
    umask(mask);
    if (rc != 0) {
        rt_log_error(log, "link.bind_failed", RT_S("address", address),
                     RT_S("reason", zmq_strerror(error)));
    }
    return rc == 0;
}

bool link_socket_connect(void *socket, const char *address, const struct rt_keys *keys,
                         struct rt_log *log)
{
    rt_keys_join(keys, socket);
    if (zmq_connect(socket, address) == 0) {
        return true;
    }
    rt_log_error(log, "link.connect_failed", RT_S("address", address),
                 RT_S("reason", zmq_strerror(zmq_errno())));
    return false;
}

void link_socket_reconnect(void *socket, const char *address, struct rt_log *log)
{
    /* One that ZeroMQ has given up is not there to be disconnected: that is not an error here. */
    (void)zmq_disconnect(socket, address);
    if (zmq_connect(socket, address) != 0) {
        rt_log_error(log, "link.connect_failed", RT_S("address", address),
                     RT_S("reason", zmq_strerror(zmq_errno())));
    }
}

struct link_monitor *link_monitor_new(struct rt_loop *loop, void *socket, struct rt_log *log,
                                      struct rt_counter *failures)
{
    char address[64];
    /* A name never used before: ZeroMQ gives one back some time after its socket was closed. */
    snprintf(address, sizeof(address), "inproc://link-monitor-%016" PRIx64, rt_random64());
    int events = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    void *pair = zmq_socket(rt_zmq_context(), ZMQ_PAIR);
    if (pair == NULL || zmq_socket_monitor(socket, address, events) != 0 ||
        zmq_connect(pair, address) != 0) {
        rt_log_warn(log, "link.no_monitor", RT_S("reason", zmq_strerror(zmq_errno())));
        if (pair != NULL) {
            zmq_close(pair);
        }
        return NULL;
    }
    struct link_monitor *monitor = rt_alloc(sizeof(*monitor));
    *monitor = (struct link_monitor){
        .log = log, .failures = failures, .watched = socket, .socket = pair
    };
    monitor->watch = rt_zmq_new(loop, pair, monitor_ready, monitor);
    return monitor;
}

void link_monitor_free(struct link_monitor *monitor)
{
    if (monitor != NULL) {
        (void)zmq_socket_monitor(monitor->watched, NULL, 0);
        rt_zmq_free(monitor->watch);
        zmq_close(monitor->socket);
        free(monitor);
    }
}
