/* runtime/link_rx_time.c - the subscribing side of a link by the clock: acks, silence, hellos that nobody answers. */
#include "runtime/link_rx_impl.h"
#include "runtime/log.h"

/* A publisher that is silent for some heartbeats is asked; for the lease, it is down. */
static void watch_silence(struct link_rx *rx, rt_usec now)
{
    if (rx->owner_up && now - rx->heard >= rx->config.lease) {
        rx->owner_up = false;
        rt_log_warn(rx->config.log, "link.down", RT_S("link", rx->config.label),
                    RT_I("silent_ms", (now - rx->heard) / RT_MSEC));
        rx_leave(rx, now);
        rx->config.events->on_down(rx->config.ctx);
    } else if (rx->state == LINK_RX_UP && now - rx->heard >= 3 * rx->config.heartbeat) {
        rx_doubt(rx, now);
    }
}

/* ZeroMQ gives an address up for good when what answers there does not speak as it should (another program that
 * had the port for a while, a key that was wrong then). Nobody would ever know: so after the lease we connect anew. */
static void mend_silence(struct link_rx *rx, rt_usec now)
{
    bool both = now - rx->heard >= rx->config.lease;
    bool stream = rx->state == LINK_RX_UP && now - rx->stream_heard >= rx->config.lease;
    if ((both || stream) && now - rx->reconnected >= rx->config.lease) {
        rx->reconnected = now;
        rx->stats.reconnects++;
        rx->config.ops->reconnect(rx->config.ops_ctx, both);
    }
}

static bool ack_waits(const struct link_rx *rx)
{
    return rx->acked > rx->acked_sent;
}

/* Without this a wrong address or key would look like nothing at all. */
static void warn_unanswered(struct link_rx *rx, rt_usec now)
{
    if (now - rx->heard >= LINK_UNANSWERED && now - rx->warned >= LINK_UNANSWERED) {
        rx->warned = now;
        rt_log_warn(rx->config.log, "link.unanswered", RT_S("link", rx->config.label),
                    RT_I("silent_ms", (now - rx->heard) / RT_MSEC),
                    RT_S("reason", "nobody answers; check that the publisher runs and that address "
                                   "and key file are right"));
    }
}

void rx_tick_session(struct link_rx *rx, rt_usec now)
{
    if (now >= rx->keepalive_due) {
        rx->keepalive_due = now + rx->config.heartbeat;
        rx->hurried = 0;
        rx_send_ack(rx, true, now);
    } else if (ack_waits(rx) && (now - rx->ack_at >= LINK_ACK_DELAY ||
                                 rx->frames.stats.bytes - rx->bytes_at_ack >= LINK_ACK_BYTES)) {
        rx_send_ack(rx, false, now);
    }
}

void link_rx_tick(struct link_rx *rx, rt_usec now)
{
    if (rx->state == LINK_RX_REFUSED) {
        return;
    }
    if (!link_rx_wants_stream(rx)) {
        rx->stream_heard = now;
    }
    if (now - rx->ticked > 2 * rx->config.heartbeat) {
        /* We were stopped, or busy: that is not the publisher's silence. */
        rx->heard += now - rx->ticked;
        rx->heard = rx->heard > now ? now : rx->heard;
        rx->stream_heard = now;
    }
    rx->ticked = now;
    rx->backlog = seq_rx_drain(&rx->frames, LINK_TURN_BYTES);
    seq_rx_pump(&rx->frames, now);
    watch_silence(rx, now);
    mend_silence(rx, now);
    if (rx->state == LINK_RX_UP) {
        rx_tick_session(rx, now);
    } else if (rx->state == LINK_RX_HELLO && now >= rx->hello_due) {
        rx_say_hello(rx, now);
        warn_unanswered(rx, now);
    }
}

rt_usec link_rx_deadline(const struct link_rx *rx)
{
    if (rx->state == LINK_RX_REFUSED) {
        return INT64_MAX;
    }
    if (rx->backlog) {
        return 0;
    }
    rt_usec deadline = seq_rx_deadline(&rx->frames);
    rt_usec others[] = {
        rx->state == LINK_RX_HELLO ? rx->hello_due : rx->keepalive_due,
        rx->state == LINK_RX_UP && ack_waits(rx) ? rx->ack_at + LINK_ACK_DELAY : INT64_MAX,
        rx->owner_up ? rx->heard + rx->config.lease : INT64_MAX,
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        deadline = others[i] < deadline ? others[i] : deadline;
    }
    return deadline;
}
