/* runtime/pub.c - link_tx over ZeroMQ: XPUB for the streams, ROUTER for the side channel. */
#include "runtime/pub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "runtime/keys.h"
#include "runtime/link_socket.h"
#include "runtime/link_tx.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

#define MESSAGES_PER_TURN 256
#define COPY_BELOW        2048 /* bytes; smaller frames are cheaper to copy than to share */

struct stream_metrics {
    struct rt_metrics *metrics;
    struct rt_counter *frames;
    struct rt_counter *bytes;
    struct rt_counter *replayed;
    struct rt_counter *evicted;
    struct rt_gauge *pending;
    struct rt_gauge *retained;
};

struct rt_pub {
    struct link_tx tx;
    struct rt_metrics *metrics;
    void *publish;
    void *control;
    struct rt_zmq *publish_watch;
    struct rt_zmq *control_watch;
    struct link_monitor *publish_monitor;
    struct link_monitor *control_monitor;
    struct rt_timer *timer;
    struct rt_counter *malformed;
    struct rt_counter *refused;
    struct rt_counter *sessions;
    struct rt_counter *handshakes;
};

static void free_frame(void *data, void *hint)
{
    (void)data;
    seq_frame_unref(hint);
}

/* Large frames are shared with the ring, small ones copied. */
static bool send_frame(void *socket, struct seq_frame *frame)
{
    if (frame->len < COPY_BELOW) {
        return zmq_send(socket, frame->data, frame->len, ZMQ_DONTWAIT) >= 0;
    }
    zmq_msg_t msg;
    if (zmq_msg_init_data(&msg, frame->data, frame->len, free_frame, seq_frame_ref(frame)) != 0) {
        seq_frame_unref(frame);
        return false;
    }
    if (zmq_msg_send(&msg, socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&msg);
        return false;
    }
    return true;
}

static void op_publish(void *ctx, struct seq_frame *frame)
{
    struct rt_pub *pub = ctx;
    /* A loss is noticed by its number. */
    (void)send_frame(pub->publish, frame);
}

static bool send_routing(struct rt_pub *pub, struct rt_span routing)
{
    return zmq_send(pub->control, routing.data, routing.len, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0;
}

static bool op_control(void *ctx, struct rt_span routing, struct rt_span message)
{
    struct rt_pub *pub = ctx;
    return send_routing(pub, routing) &&
           zmq_send(pub->control, message.data, message.len, ZMQ_DONTWAIT) >= 0;
}

static bool op_replay(void *ctx, struct rt_span routing, struct seq_frame *frame)
{
    struct rt_pub *pub = ctx;
    return send_routing(pub, routing) && send_frame(pub->control, frame);
}

static const struct link_tx_ops ops = { .publish = op_publish,
                                        .control = op_control,
                                        .replay = op_replay };

/* A subscription: 1 and the topic. */
static void publish_ready(void *ctx)
{
    struct rt_pub *pub = ctx;
    for (int i = 0; i < MESSAGES_PER_TURN; i++) {
        uint8_t message[1 + LINK_NAME_MAX + 1];
        int len = zmq_recv(pub->publish, message, sizeof(message), ZMQ_DONTWAIT);
        if (len < 0) {
            return;
        }
        if (len > 1 && (size_t)len <= sizeof(message) && message[0] == 1) {
            link_tx_subscribed(&pub->tx, (struct rt_span){ message + 1, (size_t)len - 1 });
        }
    }
}

/* The rest of a multipart message; ours have none. */
static void skip_rest(void *socket)
{
    int more = 1;
    size_t size = sizeof(more);
    while (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) == 0 && more != 0) {
        (void)zmq_recv(socket, NULL, 0, ZMQ_DONTWAIT);
    }
}

static void control_one(struct rt_pub *pub, zmq_msg_t *routing, zmq_msg_t *body)
{
    bool whole = zmq_msg_more(routing) != 0 &&
                 zmq_msg_recv(body, pub->control, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(body) == 0;
    struct rt_span message = { NULL, 0 }; /* not a message: counted as malformed */
    if (whole) {
        message = (struct rt_span){ zmq_msg_data(body), zmq_msg_size(body) };
    }
    skip_rest(pub->control);
    link_tx_control(&pub->tx, (struct rt_span){ zmq_msg_data(routing), zmq_msg_size(routing) },
                    message, rt_now());
}

static void control_ready(void *ctx)
{
    struct rt_pub *pub = ctx;
    for (int i = 0; i < MESSAGES_PER_TURN; i++) {
        zmq_msg_t routing;
        zmq_msg_t body;
        zmq_msg_init(&routing);
        zmq_msg_init(&body);
        bool got = zmq_msg_recv(&routing, pub->control, ZMQ_DONTWAIT) >= 0;
        if (got) {
            control_one(pub, &routing, &body);
        }
        zmq_msg_close(&body);
        zmq_msg_close(&routing);
        if (!got) {
            return;
        }
    }
}

static void metrics_free(void *extra)
{
    struct stream_metrics *m = extra;
    rt_metric_drop(m->metrics, m->frames);
    rt_metric_drop(m->metrics, m->bytes);
    rt_metric_drop(m->metrics, m->replayed);
    rt_metric_drop(m->metrics, m->evicted);
    rt_metric_drop(m->metrics, m->pending);
    rt_metric_drop(m->metrics, m->retained);
    free(m);
}

static struct stream_metrics *metrics_new(struct rt_metrics *metrics, const char *name)
{
    char labels[LINK_NAME_MAX + 16];
    snprintf(labels, sizeof(labels), "link=\"%s\"", name);
    struct stream_metrics *m = rt_alloc(sizeof(*m));
    m->metrics = metrics;
    m->frames = rt_counter_new(metrics, "pgtide_link_sent_frames_total", labels,
                               "Frames published on a stream, replays not counted");
    m->bytes = rt_counter_new(metrics, "pgtide_link_sent_bytes_total", labels,
                              "Payload bytes published on a stream, replays not counted");
    m->replayed = rt_counter_new(metrics, "pgtide_link_resent_frames_total", labels,
                                 "Frames sent again because the subscriber missed them");
    m->evicted = rt_counter_new(metrics, "pgtide_link_evicted_frames_total", labels,
                                "Frames dropped unacknowledged because the ring was full; the "
                                "subscriber reports them as lost");
    m->pending = rt_gauge_new(metrics, "pgtide_link_pending_bytes", labels,
                              "Bytes published and not yet acknowledged by the subscriber");
    m->retained = rt_gauge_new(metrics, "pgtide_link_retained_bytes", labels,
                               "Acknowledged bytes kept for a subscriber that starts anew");
    return m;
}

static void sync_metrics(struct rt_pub *pub)
{
    for (struct rt_stream *stream = pub->tx.streams; stream != NULL; stream = stream->next) {
        struct stream_metrics *m = stream->extra;
        m->frames->value = stream->stats.frames;
        m->bytes->value = stream->stats.bytes;
        m->replayed->value = stream->stats.replayed;
        m->evicted->value = stream->stats.evicted;
        rt_gauge_set(m->pending, (double)rt_stream_pending_bytes(stream));
        rt_gauge_set(m->retained, (double)rt_stream_retained_bytes(stream));
    }
    pub->malformed->value = pub->tx.stats.malformed;
    pub->refused->value = pub->tx.stats.refused;
    pub->sessions->value = pub->tx.stats.sessions;
}

static void tick(void *ctx)
{
    struct rt_pub *pub = ctx;
    link_tx_tick(&pub->tx, rt_now());
    sync_metrics(pub);
}

static void make_counters(struct rt_pub *pub, const char *address)
{
    struct rt_buf labels = { 0 };
    rt_buf_printf(&labels, "link=\"%s\"", address);
    const char *text = rt_buf_cstr(&labels);
    pub->malformed =
        rt_counter_new(pub->metrics, "pgtide_link_malformed_total", text,
                       "Messages of a peer that could not be understood, and were ignored");
    pub->refused = rt_counter_new(pub->metrics, "pgtide_link_refused_total", text,
                                  "Hellos refused: other version, unknown stream, or replaced");
    pub->sessions = rt_counter_new(pub->metrics, "pgtide_link_sessions_total", text,
                                   "Sessions begun on a link");
    pub->handshakes = rt_counter_new(pub->metrics, "pgtide_link_handshake_failures_total", text,
                                     "Connections that failed the CURVE or ZeroMQ handshake");
    rt_buf_fini(&labels);
}

static bool bind_both(struct rt_pub *pub, const struct rt_pub_config *config)
{
    pub->publish =
        link_socket_new(LINK_PUBLISHER, config->publish_bind, config->lease, config->log);
    pub->control = link_socket_new(LINK_ROUTER, config->control_bind, config->lease, config->log);
    if (pub->publish == NULL || pub->control == NULL) {
        return false;
    }
    pub->publish_monitor =
        link_monitor_new(config->loop, pub->publish, config->log, pub->handshakes);
    pub->control_monitor =
        link_monitor_new(config->loop, pub->control, config->log, pub->handshakes);
    return link_socket_bind(pub->control, config->control_bind, config->keys,
                            config->allow_insecure, config->log) &&
           link_socket_bind(pub->publish, config->publish_bind, config->keys,
                            config->allow_insecure, config->log);
}

struct rt_pub *rt_pub_new(const struct rt_pub_config *config)
{
    struct rt_pub *pub = rt_alloc(sizeof(*pub));
    pub->metrics = config->metrics;
    link_tx_init(&pub->tx, &(struct link_tx_config){ .log = config->log,
                                                     .ops = &ops,
                                                     .ops_ctx = pub,
                                                     .events = config->events,
                                                     .ctx = config->ctx,
                                                     .policy = config->policy,
                                                     .ring_bytes = config->ring_bytes,
                                                     .retain_bytes = config->retain_bytes,
                                                     .retain_time = config->retain_time,
                                                     .app_version = config->app_version,
                                                     .epoch = rt_random64(),
                                                     .heartbeat = config->heartbeat,
                                                     .lease = config->lease });
    make_counters(pub, config->control_bind);
    if (!bind_both(pub, config)) {
        rt_pub_free(pub);
        return NULL;
    }
    pub->publish_watch = rt_zmq_new(config->loop, pub->publish, publish_ready, pub);
    pub->control_watch = rt_zmq_new(config->loop, pub->control, control_ready, pub);
    pub->timer = rt_timer_new(config->loop, tick, pub);
    rt_timer_set(pub->timer, 0, config->heartbeat);
    rt_log_info(config->log, "link.bound", RT_S("publish", config->publish_bind),
                RT_S("control", config->control_bind),
                RT_S("encrypted", config->keys != NULL ? "true" : "false"));
    return pub;
}

void rt_pub_free(struct rt_pub *pub)
{
    if (pub == NULL) {
        return;
    }
    link_tx_fini(&pub->tx);
    rt_metric_drop(pub->metrics, pub->malformed);
    rt_metric_drop(pub->metrics, pub->refused);
    rt_metric_drop(pub->metrics, pub->sessions);
    if (pub->timer != NULL) {
        rt_timer_free(pub->timer);
        rt_zmq_free(pub->publish_watch);
        rt_zmq_free(pub->control_watch);
    }
    link_monitor_free(pub->publish_monitor);
    link_monitor_free(pub->control_monitor);
    rt_metric_drop(pub->metrics, pub->handshakes);
    if (pub->publish != NULL) {
        zmq_close(pub->publish);
    }
    if (pub->control != NULL) {
        zmq_close(pub->control);
    }
    free(pub);
}

uint64_t rt_pub_epoch(const struct rt_pub *pub)
{
    return pub->tx.config.epoch;
}

struct rt_stream *rt_pub_stream_new(struct rt_pub *pub, const char *name, void *user)
{
    struct rt_stream *stream = link_stream_new(&pub->tx, name, user);
    if (stream != NULL) {
        stream->extra = metrics_new(pub->metrics, name);
        stream->extra_free = metrics_free;
    }
    return stream;
}
