/* runtime/sub.c - link_rx over ZeroMQ: SUB for the stream, DEALER for the side channel. */
#include "runtime/sub.h"

#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "runtime/link_rx.h"
#include "runtime/link_socket.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

/* A turn takes little, so that what its frames produce leaves before the next ones come: an edge writes
 * to its clients once per turn, and a socket takes about as much as a turn makes. */
#define MESSAGE_COST 256 /* of receiving one, in bytes: bounds a turn of tiny messages */

enum sub_counter {
    SUB_FRAMES,
    SUB_BYTES,
    SUB_GAPS,
    SUB_DUPLICATES,
    SUB_REPLAYED,
    SUB_REREQUESTS,
    SUB_LOST,
    SUB_SESSIONS,
    SUB_MALFORMED,
    SUB_REFUSED,
    SUB_RECONNECTS,
    SUB_COUNTERS
};

static const struct {
    const char *name;
    const char *help;
} counter_names[SUB_COUNTERS] = {
    [SUB_FRAMES] = { "pgtide_link_received_frames_total", "Frames handed on, in order, each once" },
    [SUB_BYTES] = { "pgtide_link_received_bytes_total", "Payload bytes handed on" },
    [SUB_GAPS] = { "pgtide_link_gaps_total", "Holes noticed in the numbers of the frames" },
    [SUB_DUPLICATES] = { "pgtide_link_duplicate_frames_total", "Frames that had come before" },
    [SUB_REPLAYED] = { "pgtide_link_replayed_frames_total", "Frames that came by replay" },
    [SUB_REREQUESTS] = { "pgtide_link_rerequests_total",
                         "Replay requests given up and made again" },
    [SUB_LOST] = { "pgtide_link_lost_frames_total",
                   "Frames that could not be had any more; the state behind them is built anew" },
    [SUB_SESSIONS] = { "pgtide_link_sessions_total", "Sessions begun on a link" },
    [SUB_MALFORMED] = { "pgtide_link_malformed_total",
                        "Messages of a peer that could not be understood, and were ignored" },
    [SUB_REFUSED] = { "pgtide_link_refused_total",
                      "Hellos refused: other version, unknown stream, or replaced" },
    [SUB_RECONNECTS] = { "pgtide_link_reconnects_total",
                         "Connections made anew because nothing came for links.lease" },
};

#define NOT_ARMED ((rt_usec)-1) /* 0 is a deadline: at once */

struct rt_sub {
    struct link_rx rx;
    struct rt_metrics *metrics;
    char *stream_name;
    char *label;
    char *publish;
    char *control_address;
    void *stream;
    void *control;
    struct rt_zmq *stream_watch;
    struct rt_zmq *control_watch;
    struct rt_timer *timer;
    rt_usec armed; /* what the timer is set to, monotonic; or NOT_ARMED */
    bool resting;  /* the stream is not read */
    bool inside;   /* of a callback of ours: what follows from it is done when it returns */
    struct rt_counter *counters[SUB_COUNTERS];
    struct rt_gauge *held;
};

static bool op_control(void *ctx, struct rt_span message)
{
    struct rt_sub *sub = ctx;
    return zmq_send(sub->control, message.data, message.len, ZMQ_DONTWAIT) >= 0;
}

static void op_reconnect(void *ctx, bool both)
{
    struct rt_sub *sub = ctx;
    link_socket_reconnect(sub->stream, sub->publish, sub->rx.config.log);
    if (both) {
        link_socket_reconnect(sub->control, sub->control_address, sub->rx.config.log);
    }
}

static const struct link_rx_ops ops = { .control = op_control, .reconnect = op_reconnect };

static void sync_metrics(struct rt_sub *sub)
{
    const struct link_rx *rx = &sub->rx;
    const uint64_t values[SUB_COUNTERS] = {
        [SUB_FRAMES] = rx->frames.stats.frames,
        [SUB_BYTES] = rx->frames.stats.bytes,
        [SUB_GAPS] = rx->frames.stats.gaps,
        [SUB_DUPLICATES] = rx->frames.stats.duplicates,
        [SUB_REPLAYED] = rx->frames.stats.replayed,
        [SUB_REREQUESTS] = rx->frames.stats.rerequests,
        [SUB_LOST] = rx->stats.lost,
        [SUB_SESSIONS] = rx->stats.sessions,
        [SUB_MALFORMED] = rx->stats.malformed,
        [SUB_REFUSED] = rx->stats.refused,
        [SUB_RECONNECTS] = rx->stats.reconnects,
    };
    for (size_t i = 0; i < SUB_COUNTERS; i++) {
        sub->counters[i]->value = values[i];
    }
    rt_gauge_set(sub->held, (double)rx->frames.held);
}

/* Whether to read the stream, and when to wake, follow from the state; whatever changed it. */
static void follow(struct rt_sub *sub)
{
    bool resting = !link_rx_wants_stream(&sub->rx);
    if (resting != sub->resting) {
        sub->resting = resting;
        rt_zmq_pause(sub->stream_watch, resting);
    }
    rt_usec deadline = link_rx_deadline(&sub->rx);
    if (deadline == sub->armed) {
        return;
    }
    sub->armed = deadline;
    if (deadline == INT64_MAX) {
        rt_timer_stop(sub->timer);
        return;
    }
    rt_usec now = rt_now();
    rt_timer_set(sub->timer, deadline > now ? deadline - now : 0, 0);
}

static void finish(struct rt_sub *sub)
{
    link_rx_tick(&sub->rx, rt_now());
    sub->inside = false;
    sync_metrics(sub);
    follow(sub);
}

static void timer_due(void *ctx)
{
    struct rt_sub *sub = ctx;
    sub->inside = true;
    sub->armed = NOT_ARMED;
    finish(sub);
}

static void stream_ready(void *ctx)
{
    struct rt_sub *sub = ctx;
    rt_usec now = rt_now();
    sub->inside = true;
    size_t bytes = 0;
    while (bytes < LINK_TURN_BYTES && link_rx_wants_stream(&sub->rx)) {
        zmq_msg_t msg;
        zmq_msg_init(&msg);
        bool got = zmq_msg_recv(&msg, sub->stream, ZMQ_DONTWAIT) >= 0;
        if (got) {
            bytes += zmq_msg_size(&msg) + MESSAGE_COST;
            link_rx_stream(&sub->rx, (struct rt_span){ zmq_msg_data(&msg), zmq_msg_size(&msg) },
                           now);
        }
        zmq_msg_close(&msg);
        if (!got) {
            break;
        }
    }
    finish(sub);
}

static void control_ready(void *ctx)
{
    struct rt_sub *sub = ctx;
    rt_usec now = rt_now();
    sub->inside = true;
    size_t bytes = 0;
    while (bytes < LINK_TURN_BYTES) {
        zmq_msg_t msg;
        zmq_msg_init(&msg);
        bool got = zmq_msg_recv(&msg, sub->control, ZMQ_DONTWAIT) >= 0;
        if (got) {
            bytes += zmq_msg_size(&msg) + MESSAGE_COST;
            link_rx_control(&sub->rx, (struct rt_span){ zmq_msg_data(&msg), zmq_msg_size(&msg) },
                            now);
        }
        zmq_msg_close(&msg);
        if (!got) {
            break;
        }
    }
    finish(sub);
}

/* The publisher answers to this: one per process and stream, so that two streams of one process differ. */
static bool set_identity(struct rt_sub *sub, const struct rt_sub_config *config)
{
    char id[LINK_NAME_MAX + 32];
    struct rt_buf text = { 0 };
    rt_buf_printf(&text, "%016llx-%s", (unsigned long long)config->peer_id, config->stream_name);
    size_t len = text.len < sizeof(id) ? text.len : sizeof(id);
    memcpy(id, text.data, len);
    rt_buf_fini(&text);
    /* The filter includes the NUL, so "shard-1" does not get what is for "shard-10". */
    return zmq_setsockopt(sub->control, ZMQ_ROUTING_ID, id, len) == 0 &&
           zmq_setsockopt(sub->stream, ZMQ_SUBSCRIBE, config->stream_name,
                          strlen(config->stream_name) + 1) == 0;
}

static bool connect_both(struct rt_sub *sub, const struct rt_sub_config *config)
{
    if (!link_name_valid(config->stream_name, strlen(config->stream_name))) {
        rt_log_error(config->log, "link.bad_stream", RT_S("stream", config->stream_name));
        return false;
    }
    sub->stream = link_socket_new(LINK_SUBSCRIBER, config->publish, config->lease, config->log);
    sub->control = link_socket_new(LINK_DEALER, config->control, config->lease, config->log);
    return sub->stream != NULL && sub->control != NULL && set_identity(sub, config) &&
           link_socket_connect(sub->stream, config->publish, config->keys, config->log) &&
           link_socket_connect(sub->control, config->control, config->keys, config->log);
}

static void make_metrics(struct rt_sub *sub)
{
    struct rt_buf labels = { 0 };
    rt_buf_printf(&labels, "link=\"%s\"", sub->label);
    const char *text = rt_buf_cstr(&labels);
    for (size_t i = 0; i < SUB_COUNTERS; i++) {
        sub->counters[i] =
            rt_counter_new(sub->metrics, counter_names[i].name, text, counter_names[i].help);
    }
    sub->held = rt_gauge_new(sub->metrics, "pgtide_link_held_bytes", text,
                             "Bytes of frames held behind a hole or a pause");
    rt_buf_fini(&labels);
}

struct rt_sub *rt_sub_new(const struct rt_sub_config *config)
{
    struct rt_sub *sub = rt_alloc(sizeof(*sub));
    sub->metrics = config->metrics;
    sub->stream_name = rt_strdup(config->stream_name);
    sub->label = rt_strdup(config->label);
    sub->publish = rt_strdup(config->publish);
    sub->control_address = rt_strdup(config->control);
    link_rx_init(&sub->rx,
                 &(struct link_rx_config){ .log = config->log,
                                           .ops = &ops,
                                           .ops_ctx = sub,
                                           .events = config->events,
                                           .ctx = config->ctx,
                                           .stream_name = sub->stream_name,
                                           .label = sub->label,
                                           .peer_id = config->peer_id,
                                           .app_version = config->app_version,
                                           .hold_bytes = config->hold_bytes,
                                           .heartbeat = config->heartbeat,
                                           .lease = config->lease },
                 rt_now());
    make_metrics(sub);
    if (!connect_both(sub, config)) {
        rt_sub_free(sub);
        return NULL;
    }
    sub->stream_watch = rt_zmq_new(config->loop, sub->stream, stream_ready, sub);
    sub->control_watch = rt_zmq_new(config->loop, sub->control, control_ready, sub);
    sub->timer = rt_timer_new(config->loop, timer_due, sub);
    rt_timer_set(sub->timer, 0, 0);
    return sub;
}

void rt_sub_free(struct rt_sub *sub)
{
    if (sub == NULL) {
        return;
    }
    if (sub->timer != NULL) {
        rt_timer_free(sub->timer);
        rt_zmq_free(sub->stream_watch);
        rt_zmq_free(sub->control_watch);
    }
    if (sub->stream != NULL) {
        zmq_close(sub->stream);
    }
    if (sub->control != NULL) {
        zmq_close(sub->control);
    }
    for (size_t i = 0; i < SUB_COUNTERS; i++) {
        rt_metric_drop(sub->metrics, sub->counters[i]);
    }
    rt_metric_drop(sub->metrics, sub->held);
    link_rx_fini(&sub->rx);
    free(sub->stream_name);
    free(sub->label);
    free(sub->publish);
    free(sub->control_address);
    free(sub);
}

bool rt_sub_message(struct rt_sub *sub, struct rt_span message)
{
    bool sent = link_rx_message(&sub->rx, message);
    if (!sub->inside) {
        follow(sub);
    }
    return sent;
}

void rt_sub_ack(struct rt_sub *sub, uint64_t seq)
{
    link_rx_ack(&sub->rx, seq, rt_now());
    if (!sub->inside) {
        follow(sub);
    }
}

void rt_sub_pause(struct rt_sub *sub)
{
    link_rx_pause(&sub->rx, true);
    if (!sub->inside) {
        follow(sub);
    }
}

void rt_sub_resume(struct rt_sub *sub)
{
    link_rx_pause(&sub->rx, false);
    if (!sub->inside) {
        follow(sub);
    }
}

bool rt_sub_in_session(const struct rt_sub *sub)
{
    return sub->rx.state == LINK_RX_UP;
}

uint64_t rt_sub_last_seq(const struct rt_sub *sub)
{
    return sub->rx.frames.next - 1;
}
