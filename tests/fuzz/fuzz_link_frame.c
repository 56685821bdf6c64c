/* Frames and side-channel messages from hostile peers: the decoders alone, and both ends of a link fed
 * with a series of messages. The input is a list of chunks (length u16, target u8, bytes); the target
 * says who gets it, and in what state. Whatever comes, bounds hold and frames stay in order. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/link_rx.h"
#include "runtime/link_tx.h"
#include "runtime/log.h"

#define HOLD_BYTES  65536
#define CHUNKS_MAX  64
#define APP_VERSION 1
#define EPOCH       0x0102030405060708ULL

enum target {
    DECODERS,
    PUBLISHER,
    SUB_STREAM,
    SUB_CONTROL,
    SUB_WELCOMED,
    TIME,
    SUB_PAUSE,
    TARGETS
};

struct harness {
    rt_usec now;
    struct link_tx tx;
    struct rt_stream *stream;
    struct link_rx rx;
    uint64_t next; /* expected frame; 0: any */
    unsigned sent;
    uint64_t acked;
};

static void net_publish(void *ctx, struct seq_frame *frame)
{
    (void)ctx;
    struct link_frame decoded;
    assert(link_frame_decode((struct rt_span){ frame->data, frame->len }, &decoded));
}

/* Everything that we send can be understood. */
static bool net_control(void *ctx, struct rt_span routing, struct rt_span message)
{
    struct harness *h = ctx;
    struct link_control decoded;
    assert(routing.len > 0);
    assert(link_control_decode(message, &decoded));
    h->sent++;
    return h->sent % 7 != 0;
}

static bool net_replay(void *ctx, struct rt_span routing, struct seq_frame *frame)
{
    (void)routing;
    net_publish(ctx, frame);
    return true;
}

static bool net_up(void *ctx, struct rt_span message)
{
    struct rt_span routing = { (const uint8_t *)"r", 1 };
    return net_control(ctx, routing, message);
}

static struct rt_stream *on_hello(void *ctx, const char *name, uint64_t peer, bool fresh,
                                  char *refusal)
{
    struct harness *h = ctx;
    (void)peer;
    (void)fresh;
    (void)refusal;
    return strcmp(name, "s") == 0 ? h->stream : NULL;
}

static void on_pub_message(void *ctx, struct rt_stream *stream, struct rt_span message)
{
    (void)ctx;
    (void)rt_stream_message(stream, message);
}

static void on_ack(void *ctx, struct rt_stream *stream, uint64_t seq, uint64_t tag)
{
    struct harness *h = ctx;
    assert(seq > h->acked && seq <= rt_stream_last_seq(stream) && tag == seq);
    h->acked = seq;
}

static void on_silent(void *ctx, struct rt_stream *stream)
{
    (void)ctx;
    (void)stream;
}

static void on_session(void *ctx, uint64_t epoch, bool fresh)
{
    struct harness *h = ctx;
    (void)epoch;
    h->next = fresh ? 0 : h->next;
    (void)link_rx_message(&h->rx, (struct rt_span){ (const uint8_t *)"hi", 2 });
}

static void on_frame(void *ctx, uint64_t seq, struct rt_span frame)
{
    struct harness *h = ctx;
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < frame.len; i++) {
        sum = (uint8_t)(sum + frame.data[i]);
    }
    assert(!h->rx.frames.paused && (h->next == 0 || seq == h->next));
    h->next = seq + 1;
    link_rx_ack(&h->rx, seq, h->now);
}

static void on_lost(void *ctx, uint64_t from, uint64_t to)
{
    (void)ctx;
    assert(from <= to);
}

static void on_sub_message(void *ctx, struct rt_span message)
{
    struct harness *h = ctx;
    (void)link_rx_message(&h->rx, message);
}

static void on_down(void *ctx)
{
    (void)ctx;
}

static void on_refused(void *ctx, const char *reason, bool final)
{
    (void)ctx;
    (void) final;
    assert(strlen(reason) <= LINK_TEXT_MAX);
}

static const struct link_tx_ops tx_ops = { net_publish, net_control, net_replay };
static void net_reconnect(void *ctx, bool both)
{
    (void)ctx;
    (void)both;
}

static const struct link_rx_ops rx_ops = { net_up, net_reconnect };
static const struct rt_pub_events pub_events = { on_hello, on_pub_message, on_ack, on_silent,
                                                 NULL };
static const struct rt_sub_events sub_events = { on_session,     on_frame, on_lost,
                                                 on_sub_message, on_down,  on_refused };

static void decoders(struct rt_span in)
{
    struct link_frame frame;
    if (link_frame_decode(in, &frame)) {
        assert(link_name_valid((const char *)frame.name.data, frame.name.len));
        assert(frame.payload.data + frame.payload.len == in.data + in.len);
        assert(frame.seq < UINT64_MAX);
    }
    struct link_control control;
    if (link_control_decode(in, &control) && control.link_version <= LINK_VERSION) {
        struct rt_buf again = { 0 };
        link_control_encode(&control, &again);
        assert(control.type == LINK_HELLO || again.len == in.len);
        assert(again.len <= in.len || control.type == LINK_HELLO);
        assert(control.type == LINK_HELLO || memcmp(again.data, in.data, again.len) == 0);
        rt_buf_fini(&again);
    }
}

/* A valid welcome to the last hello, from where the peer's bytes say. */
static void welcome(struct harness *h, struct rt_span in)
{
    struct rt_buf bytes = { 0 };
    struct link_control control = { .type = LINK_WELCOME,
                                    .epoch = EPOCH + (in.len > 0 ? in.data[0] % 2 : 0),
                                    .session = h->rx.session,
                                    .nonce = h->rx.nonce,
                                    .seq = 1 + (in.len > 1 ? in.data[1] : 0),
                                    .sent = h->rx.established ? h->rx.received : 0 };
    link_control_encode(&control, &bytes);
    link_rx_control(&h->rx, rt_buf_span(&bytes), h->now);
    rt_buf_fini(&bytes);
}

static void feed(struct harness *h, enum target target, struct rt_span in)
{
    struct rt_span routing = { (const uint8_t *)"r", 1 };
    if (target == DECODERS) {
        decoders(in);
    } else if (target == PUBLISHER) {
        link_tx_control(&h->tx, routing, in, h->now);
        link_tx_subscribed(&h->tx, in);
    } else if (target == SUB_STREAM && link_rx_wants_stream(&h->rx)) {
        link_rx_stream(&h->rx, in, h->now);
    } else if (target == SUB_CONTROL) {
        link_rx_control(&h->rx, in, h->now);
    } else if (target == SUB_WELCOMED) {
        welcome(h, in);
    } else if (target == TIME) {
        h->now += in.len > 0 ? (rt_usec)in.data[0] * 20 * RT_MSEC : 0;
        link_tx_tick(&h->tx, h->now);
        link_rx_tick(&h->rx, h->now);
    } else if (target == SUB_PAUSE) {
        link_rx_pause(&h->rx, in.len % 2 == 1);
    }
    (void)seq_rx_drain(&h->rx.frames, 100);
    /* One message more than the bound, at most. */
    assert(h->rx.frames.held <= HOLD_BYTES + 65535);
    assert(h->stream->ring.first <= h->stream->ring.last + 1);
}

static void harness_init(struct harness *h, struct rt_log *log)
{
    *h = (struct harness){ .now = RT_SEC };
    link_tx_init(&h->tx, &(struct link_tx_config){ .log = log,
                                                   .ops = &tx_ops,
                                                   .ops_ctx = h,
                                                   .events = &pub_events,
                                                   .ctx = h,
                                                   .policy = RT_RING_EVICT,
                                                   .ring_bytes = 4096,
                                                   .app_version = APP_VERSION,
                                                   .epoch = EPOCH,
                                                   .heartbeat = 250 * RT_MSEC,
                                                   .lease = 5 * RT_SEC });
    h->stream = link_stream_new(&h->tx, "s", NULL);
    for (uint64_t i = 1; i <= 20; i++) {
        (void)rt_stream_send(h->stream, (struct rt_span){ (const uint8_t *)"frame", 5 }, i);
    }
    link_rx_init(&h->rx,
                 &(struct link_rx_config){ .log = log,
                                           .ops = &rx_ops,
                                           .ops_ctx = h,
                                           .events = &sub_events,
                                           .ctx = h,
                                           .stream_name = "s",
                                           .label = "fuzz",
                                           .peer_id = 7,
                                           .app_version = APP_VERSION,
                                           .hold_bytes = HOLD_BYTES,
                                           .heartbeat = 250 * RT_MSEC,
                                           .lease = 5 * RT_SEC },
                 h->now);
    link_rx_tick(&h->rx, h->now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harness h;
    struct rt_log *log = rt_log_new("fuzz", RT_LOG_ERROR, RT_LOG_KV);
    harness_init(&h, log);
    for (int i = 0; i < CHUNKS_MAX && size >= 3; i++) {
        size_t len = (size_t)data[0] << 8 | data[1];
        enum target target = (enum target)(data[2] % TARGETS);
        data += 3;
        size -= 3;
        len = len < size ? len : size;
        uint8_t *exact = malloc(len + (len == 0));
        if (exact == NULL) {
            break;
        }
        memcpy(exact, data, len);
        feed(&h, target, (struct rt_span){ exact, len });
        free(exact);
        data += len;
        size -= len;
    }
    link_rx_fini(&h.rx);
    link_tx_fini(&h.tx);
    rt_log_free(log);
    return 0;
}
