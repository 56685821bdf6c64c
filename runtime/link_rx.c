/* runtime/link_rx.c - see the header.
 *
 * What is done by the clock is in link_rx_time.c. One rule keeps this small: whatever does not fit (another epoch, a missing message, silence, "no
 * session") leads to a hello, and the answer to the hello decides. */
#include <string.h>

#include "runtime/link_rx_impl.h"
#include "runtime/log.h"

#define HURRY_MAX 4 /* hellos without a pause, between two signs of life */

static bool send_control(struct link_rx *rx, const struct link_control *message)
{
    rt_buf_clear(&rx->out);
    link_control_encode(message, &rx->out);
    return rx->config.ops->control(rx->config.ops_ctx, rt_buf_span(&rx->out));
}

static void malformed(struct link_rx *rx, const char *what)
{
    rx->stats.malformed++;
    rt_log_warn(rx->config.log, "link.malformed", RT_S("from", "publisher"),
                RT_S("link", rx->config.label), RT_S("what", what));
}

void rx_say_hello(struct link_rx *rx, rt_usec now)
{
    rx->hello_due = now + LINK_HELLO_RETRY;
    struct link_control hello = { .type = LINK_HELLO,
                                  .link_version = LINK_VERSION,
                                  .app_version = rx->config.app_version,
                                  .peer = rx->config.peer_id,
                                  .nonce = ++rx->nonce,
                                  .name = { (const uint8_t *)rx->config.stream_name,
                                            strlen(rx->config.stream_name) },
                                  .epoch = rx->epoch,
                                  .session = rx->session,
                                  .seq = rx->frames.next - 1,
                                  .sent = rx->sent,
                                  .received = rx->received,
                                  .flag = rx->established };
    (void)send_control(rx, &hello);
}

void rx_leave(struct link_rx *rx, rt_usec now)
{
    rx->state = LINK_RX_HELLO;
    rx->hello_due = now;
    if (++rx->hurried > HURRY_MAX) {
        rx->hurried = 0;
        rx->hello_due = now + LINK_HELLO_RETRY;
    }
    seq_rx_close(&rx->frames);
}

/* What we have of the session is worth nothing any more; the next one will be fresh. */
static void lose(struct link_rx *rx, const char *why, rt_usec now)
{
    rt_log_warn(rx->config.log, "link.session_lost", RT_S("link", rx->config.label),
                RT_S("reason", why));
    rx->session++;
    rx->established = false;
    rx_leave(rx, now);
}

void rx_doubt(struct link_rx *rx, rt_usec now)
{
    if (rx->state == LINK_RX_UP && now >= rx->hello_due) {
        rx_say_hello(rx, now);
    }
}

/* A publisher that we have no session with. Its predecessor may have refused us, so it is asked at
 * once, but only once. */
static void on_other_epoch(struct link_rx *rx, uint64_t epoch, rt_usec now)
{
    if (epoch == rx->old_epoch) {
        return; /* frames that were still on their way */
    }
    rx_doubt(rx, now);
    if (rx->state == LINK_RX_HELLO && epoch != rx->seen_epoch) {
        rx->hello_due = now;
    }
    rx->seen_epoch = epoch;
}

void rx_send_ack(struct link_rx *rx, bool want_answer, rt_usec now)
{
    bool sent = send_control(rx, &(struct link_control){ .type = LINK_ACK,
                                                         .epoch = rx->epoch,
                                                         .session = rx->session,
                                                         .seq = rx->acked,
                                                         .sent = rx->sent,
                                                         .received = rx->received,
                                                         .flag = want_answer });
    rx->ack_at = now;
    rx->bytes_at_ack = rx->frames.stats.bytes;
    if (sent) {
        rx->acked_sent = rx->acked;
    }
}

static bool ask_replay(void *ctx, uint64_t from, uint64_t to, size_t bytes)
{
    struct link_rx *rx = ctx;
    return send_control(rx, &(struct link_control){ .type = LINK_REPLAY,
                                                    .epoch = rx->epoch,
                                                    .session = rx->session,
                                                    .from = from,
                                                    .to = to,
                                                    .bytes = bytes });
}

static void deliver(void *ctx, uint64_t seq, struct rt_span frame)
{
    struct link_rx *rx = ctx;
    rx->config.events->on_frame(rx->config.ctx, seq, frame);
}

static const struct seq_rx_ops frame_ops = { .deliver = deliver, .request = ask_replay };

static void start_fresh(struct link_rx *rx, const struct link_control *welcome)
{
    bool same_epoch = rx->epoch == welcome->epoch;
    uint64_t had = rx->frames.next;
    if (same_epoch && welcome->seq > had) {
        rx->stats.lost += welcome->seq - had;
        rt_log_warn(rx->config.log, "link.frames_lost", RT_S("link", rx->config.label),
                    RT_U("from", had), RT_U("to", welcome->seq - 1));
        rx->config.events->on_lost(rx->config.ctx, had, welcome->seq - 1);
    }
    if (!same_epoch) {
        rx->old_epoch = rx->epoch;
        rx->acked = 0;
        rx->acked_sent = 0;
    }
    rx->epoch = welcome->epoch;
    rx->sent = 0;
    rx->received = 0;
    rx->established = true;
    rx->stats.fresh_sessions++;
    seq_rx_start(&rx->frames, welcome->seq);
}

static void enter(struct link_rx *rx, bool fresh, rt_usec now)
{
    rx->state = LINK_RX_UP;
    rx->owner_up = true;
    rx->keepalive_due = now + rx->config.heartbeat;
    rx->stats.sessions++;
    rt_log_info(rx->config.log, "link.up", RT_S("link", rx->config.label), RT_U("epoch", rx->epoch),
                RT_S("fresh", fresh ? "true" : "false"), RT_U("next", rx->frames.next));
    rx->config.events->on_session(rx->config.ctx, rx->epoch, fresh);
}

static void on_welcome(struct link_rx *rx, const struct link_control *welcome, rt_usec now)
{
    if (welcome->session != rx->session || welcome->nonce <= rx->welcome_nonce ||
        welcome->nonce > rx->nonce) {
        return; /* the answer to a hello that does not matter any more */
    }
    if (welcome->seq == 0) {
        malformed(rx, "welcome to frame 0");
        return;
    }
    rx->welcome_nonce = welcome->nonce;
    rx->heard = now;
    bool known = rx->established && welcome->epoch == rx->epoch;
    if (welcome->sent != (known ? rx->received : 0)) {
        lose(rx, "a message of the publisher was lost", now);
        return;
    }
    if (!known) {
        start_fresh(rx, welcome);
        enter(rx, true, now);
    } else if (rx->state != LINK_RX_UP) {
        seq_rx_reopen(&rx->frames);
        enter(rx, false, now);
    }
}

static void on_refuse(struct link_rx *rx, const struct link_control *refusal, rt_usec now)
{
    if (refusal->nonce < rx->welcome_nonce || refusal->nonce > rx->nonce ||
        (refusal->nonce == rx->welcome_nonce && !refusal->flag)) {
        return;
    }
    char text[LINK_TEXT_MAX + 1];
    memcpy(text, refusal->body.data, refusal->body.len);
    text[refusal->body.len] = 0;
    rx->stats.refused++;
    rx->heard = now;
    rt_log_error(rx->config.log, "link.refused", RT_S("link", rx->config.label),
                 RT_S("reason", text), RT_S("final", refusal->flag ? "true" : "false"));
    rx_leave(rx, now);
    rx->owner_up = false;
    rx->hello_due = now + LINK_REFUSED_RETRY;
    if (refusal->flag) {
        rx->state = LINK_RX_REFUSED;
    }
    rx->config.events->on_refused(rx->config.ctx, text, refusal->flag);
}

/* In session a RESET of the same session answers a hello that was already answered otherwise. */
static void on_reset(struct link_rx *rx, const struct link_control *reset, rt_usec now)
{
    bool same = rx->state == LINK_RX_UP && reset->epoch == rx->epoch;
    if (reset->session == rx->session && reset->nonce > rx->welcome_nonce && !same) {
        lose(rx, "the publisher does not know it as we do", now);
    }
}

static void on_message(struct link_rx *rx, const struct link_control *message, rt_usec now)
{
    if (message->seq > rx->received + 1) {
        lose(rx, "a message of the publisher was lost", now);
    } else if (message->seq == rx->received + 1) {
        rx->received++;
        rx->config.events->on_message(rx->config.ctx, message->body);
    }
}

static void on_pong(struct link_rx *rx, const struct link_control *pong, rt_usec now)
{
    if (pong->sent > rx->received) {
        lose(rx, "a message of the publisher was lost", now);
    } else if (now - rx->stream_heard > 4 * rx->config.heartbeat) {
        /* PUB is dead while ROUTER lives: the frames come by replay. In any other case what the pong
         * knows of may still be in SUB's queue, and must not be asked for. */
        seq_rx_exists(&rx->frames, pong->last);
    }
}

static void on_answer(struct link_rx *rx, const struct link_control *answer, rt_usec now)
{
    struct seq_rx_answer what = { .from = answer->from,
                                  .to = answer->to,
                                  .bytes = answer->bytes > SIZE_MAX / 2 ? SIZE_MAX / 2
                                                                        : (size_t)answer->bytes,
                                  .oldest = answer->seq,
                                  .last = answer->last };
    if (!seq_rx_answer(&rx->frames, &what, now)) {
        /* The hello says what we have, the welcome where the ring begins: start_fresh() reports the loss. */
        lose(rx, "frames are gone from the publisher's ring", now);
    }
}

static void in_session(struct link_rx *rx, const struct link_control *message, rt_usec now)
{
    if (rx->state != LINK_RX_UP || message->epoch != rx->epoch || message->session != rx->session) {
        return;
    }
    rx->heard = now;
    if (message->type == LINK_MESSAGE) {
        on_message(rx, message, now);
    } else if (message->type == LINK_PONG) {
        on_pong(rx, message, now);
    } else if (message->type == LINK_ANSWER) {
        on_answer(rx, message, now);
    } else {
        rx_leave(rx, now); /* NO_SESSION */
    }
}

static void take_frame(struct link_rx *rx, struct rt_span message, bool asked, rt_usec now)
{
    struct link_frame frame;
    if (!link_frame_decode(message, &frame) || frame.name.len != strlen(rx->config.stream_name) ||
        memcmp(frame.name.data, rx->config.stream_name, frame.name.len) != 0) {
        malformed(rx, "stream frame");
        return;
    }
    if (!rx->established || frame.epoch != rx->epoch) {
        if (!asked) {
            on_other_epoch(rx, frame.epoch, now);
        }
        return;
    }
    if (frame.kind == LINK_HEARTBEAT) {
        seq_rx_exists(&rx->frames, frame.seq);
    } else {
        seq_rx_frame(&rx->frames, frame.seq, frame.payload, asked, now);
    }
}

void link_rx_init(struct link_rx *rx, const struct link_rx_config *config, rt_usec now)
{
    *rx = (struct link_rx){ .config = *config,
                            .session = 1,
                            .heard = now,
                            .ticked = now,
                            .stream_heard = now,
                            .warned = now,
                            .reconnected = now,
                            .hello_due = now };
    seq_rx_init(&rx->frames, &frame_ops, rx, config->hold_bytes);
}

void link_rx_fini(struct link_rx *rx)
{
    seq_rx_fini(&rx->frames);
    rt_buf_fini(&rx->out);
}

void link_rx_stream(struct link_rx *rx, struct rt_span message, rt_usec now)
{
    rx->stream_heard = now;
    if (rx->state != LINK_RX_REFUSED) {
        take_frame(rx, message, false, now);
    }
}

void link_rx_control(struct link_rx *rx, struct rt_span message, rt_usec now)
{
    struct link_control control;
    if (rx->state == LINK_RX_REFUSED) {
        return;
    }
    if (message.len > 0 && message.data[0] > LINK_ANSWER) {
        take_frame(rx, message, true, now);
        return;
    }
    if (!link_control_decode(message, &control)) {
        malformed(rx, "side-channel message");
        return;
    }
    switch (control.type) {
    case LINK_WELCOME:
        on_welcome(rx, &control, now);
        break;
    case LINK_REFUSE:
        on_refuse(rx, &control, now);
        break;
    case LINK_RESET:
        on_reset(rx, &control, now);
        break;
    case LINK_MESSAGE:
    case LINK_PONG:
    case LINK_ANSWER:
    case LINK_NO_SESSION:
        in_session(rx, &control, now);
        break;
    case LINK_HELLO:
    case LINK_ACK:
    case LINK_REPLAY:
        malformed(rx, "message that only a subscriber sends");
        break;
    }
}

bool link_rx_wants_stream(const struct link_rx *rx)
{
    return rx->state != LINK_RX_REFUSED && !seq_rx_full(&rx->frames);
}

bool link_rx_message(struct link_rx *rx, struct rt_span message)
{
    if (rx->state != LINK_RX_UP) {
        return false;
    }
    if (message.len > LINK_MESSAGE_MAX) {
        rt_log_error(rx->config.log, "link.message_too_large", RT_S("link", rx->config.label),
                     RT_U("bytes", message.len), RT_U("limit", LINK_MESSAGE_MAX));
        return false;
    }
    bool sent = send_control(rx, &(struct link_control){ .type = LINK_MESSAGE,
                                                         .epoch = rx->epoch,
                                                         .session = rx->session,
                                                         .seq = rx->sent + 1,
                                                         .body = message });
    if (!sent) {
        lose(rx, "a message of ours could not be sent", 0); /* hello is due at once */
        return false;
    }
    rx->sent++;
    return true;
}

void link_rx_ack(struct link_rx *rx, uint64_t seq, rt_usec now)
{
    if (seq < rx->frames.next && seq > rx->acked) {
        rx->acked = seq;
        if (rx->state == LINK_RX_UP && now < rx->keepalive_due) {
            rx_tick_session(rx, now);
        }
    }
}

void link_rx_pause(struct link_rx *rx, bool paused)
{
    seq_rx_pause(&rx->frames, paused);
    /* Frames that were held are handed on in a turn of their own. */
    rx->backlog = rx->backlog || !paused;
}
