/* runtime/link_rx.h - the subscribing side of a link without its sockets: hello, session, acks,
 * messages, and a seq_rx for the frames.
 *
 * Pure but for the log: time and bytes come as arguments, side-channel messages leave through `ops`;
 * sub.c binds it to ZeroMQ, the unit tests to a simulated network. Errors of the peer are counted,
 * logged and ignored.
 *
 * Callbacks to the owner may call link_rx_message, link_rx_ack and link_rx_pause; none may free.
 */
#ifndef PGTIDE_RUNTIME_LINK_RX_H
#define PGTIDE_RUNTIME_LINK_RX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"
#include "runtime/clock.h"
#include "runtime/link_header.h"
#include "runtime/seq_rx.h"
#include "runtime/sub.h"

#define LINK_HELLO_RETRY   (100 * RT_MSEC)
#define LINK_REFUSED_RETRY (2 * RT_SEC)
#define LINK_UNANSWERED    (10 * RT_SEC)
#define LINK_ACK_DELAY     (5 * RT_MSEC)
#define LINK_ACK_BYTES     ((size_t)256 << 10)
#define LINK_TURN_BYTES    ((size_t)64 << 10) /* received, or handed on, per turn of the loop */

struct link_rx_ops {
    /* To the publisher, in order. False: nothing was sent. */
    bool (*control)(void *ctx, struct rt_span message);
    /* Connects anew: the stream, and with `both` the side channel too. May do nothing. */
    void (*reconnect)(void *ctx, bool both);
};

struct link_rx_config {
    struct rt_log *log;
    const struct link_rx_ops *ops;
    void *ops_ctx;
    const struct rt_sub_events *events;
    void *ctx;
    const char *stream_name; /* both outlive the link */
    const char *label;
    uint64_t peer_id;
    uint32_t app_version;
    size_t hold_bytes;
    rt_usec heartbeat;
    rt_usec lease;
};

enum link_rx_state {
    LINK_RX_HELLO,   /* no session, or none that is sure: says hello until it is answered */
    LINK_RX_UP,      /* in session */
    LINK_RX_REFUSED, /* for good */
};

struct link_rx {
    struct link_rx_config config;
    enum link_rx_state state;
    bool established; /* epoch and session stand for something, whatever the state */
    bool owner_up;    /* the owner was told of a session and not of its end */
    uint32_t hurried;
    uint64_t epoch;
    uint64_t old_epoch;  /* frames of it may still be on their way */
    uint64_t seen_epoch; /* of the last frame that was not of ours */
    uint64_t session;
    uint64_t nonce;         /* of the last hello */
    uint64_t welcome_nonce; /* of the last hello that was answered */
    uint64_t sent;
    uint64_t received;
    uint64_t acked;      /* by the owner */
    uint64_t acked_sent; /* told the publisher */
    uint64_t bytes_at_ack;
    rt_usec ack_at; /* the last one */
    rt_usec hello_due;
    rt_usec warned; /* that nobody answers */
    rt_usec keepalive_due;
    rt_usec ticked;
    rt_usec heard;        /* on the side channel */
    rt_usec stream_heard; /* or found nothing to read because we did not read */
    rt_usec reconnected;
    bool backlog; /* frames wait to be handed on */
    struct seq_rx frames;
    struct rt_buf out;
    struct {
        uint64_t malformed;
        uint64_t refused;
        uint64_t reconnects;
        uint64_t sessions;
        uint64_t fresh_sessions;
        uint64_t lost;
    } stats;
};

void link_rx_init(struct link_rx *rx, const struct link_rx_config *config, rt_usec now);
void link_rx_fini(struct link_rx *rx);
void link_rx_stream(struct link_rx *rx, struct rt_span message, rt_usec now);
void link_rx_control(struct link_rx *rx, struct rt_span message, rt_usec now);
/* After a batch of input, and when link_rx_deadline() has come. */
void link_rx_tick(struct link_rx *rx, rt_usec now);
rt_usec link_rx_deadline(const struct link_rx *rx);
/* Whether the live stream should be read now. */
bool link_rx_wants_stream(const struct link_rx *rx);
bool link_rx_message(struct link_rx *rx, struct rt_span message);
void link_rx_ack(struct link_rx *rx, uint64_t seq, rt_usec now);
void link_rx_pause(struct link_rx *rx, bool paused);

#endif
