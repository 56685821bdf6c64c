/* tests/unit/runtime/link_world.c - see the header. */
#include "tests/unit/runtime/link_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/log.h"
#include "tests/unit/runtime/link_net.h"

void world_must(const struct world *w, bool holds, const char *what)
{
    if (!holds) {
        fail_msg("seed %llu, %lld us: %s", (unsigned long long)w->seed, (long long)w->now, what);
    }
}

uint64_t world_random(struct world *w)
{
    w->rng ^= w->rng << 13;
    w->rng ^= w->rng >> 7;
    w->rng ^= w->rng << 17;
    return w->rng * 0x2545f4914f6cdd1dULL >> 11;
}

bool world_chance(struct world *w, unsigned per_thousand)
{
    return world_random(w) % 1000 < per_thousand;
}

/* --- what the publisher's owner sees --- */

static struct rt_stream *pub_hello(void *ctx, const char *name, uint64_t peer, bool fresh,
                                   char *refusal)
{
    struct world *w = ctx;
    (void)peer;
    must(w, strcmp(name, "s") == 0);
    if (w->refuse_all) {
        snprintf(refusal, 256, "not now");
        return NULL;
    }
    if (fresh) {
        w->hellos_fresh++;
        w->tx_instance++;
        w->tx_sent = 0;
        w->tx_heard_instance = 0;
        w->tx_received = 0;
    } else {
        w->hellos_resumed++;
    }
    return w->stream;
}

static void pub_message(void *ctx, struct rt_stream *stream, struct rt_span message)
{
    struct world *w = ctx;
    uint32_t got[2];
    must(w, stream == w->stream && message.len == sizeof(got));
    memcpy(got, message.data, sizeof(got));
    if (w->tx_heard_instance == 0) {
        w->tx_heard_instance = got[0];
    }
    must(w, got[0] == w->tx_heard_instance);
    must(w, got[1] == ++w->tx_received);
}

static void pub_ack(void *ctx, struct rt_stream *stream, uint64_t seq, uint64_t tag)
{
    struct world *w = ctx;
    must(w, stream == w->stream && tag == seq * 3);
    must(w, seq > w->done || w->retain);
    must(w, rt_stream_acked_seq(stream) == seq && rt_stream_acked_tag(stream) == tag);
    w->done = seq;
    w->acked = seq > w->acked ? seq : w->acked;
    must(w, rt_stream_first_seq(stream) <= seq + 1);
    must(w, w->retain || rt_stream_retained_bytes(stream) == 0);
    must(w, seq < w->acked || rt_stream_retained_bytes(stream) <= KEEP_BYTES);
}

static void pub_silent(void *ctx, struct rt_stream *stream)
{
    struct world *w = ctx;
    must(w, !rt_stream_connected(stream));
    w->silents++;
}

static void pub_evict(void *ctx, struct rt_stream *stream, uint64_t from, uint64_t to)
{
    struct world *w = ctx;
    (void)stream;
    must(w, w->policy == RT_RING_EVICT && from <= to);
    w->evicted = to;
}

static const struct rt_pub_events pub_events = { pub_hello, pub_message, pub_ack, pub_silent,
                                                 pub_evict };

/* --- what the subscriber's owner sees --- */

/* Frames of a publisher that is gone may still come; what it knew is forgotten. */
static bool is_running(const struct world *w, uint64_t epoch)
{
    return w->pub_running && w->stream->epoch == epoch;
}

static void sub_session(void *ctx, uint64_t epoch, bool fresh)
{
    struct sub *sub = ctx;
    struct world *w = sub->world;
    sub->sessions++;
    if (fresh) {
        sub->fresh++;
        sub->instance++;
        sub->sent = 0;
        sub->heard_instance = 0;
        sub->received = 0;
        /* In the same epoch nothing is said again and nothing skipped in silence. */
        if (epoch != sub->epoch) {
            sub->expected = 0;
        }
    } else {
        must(w, sub->epoch == epoch);
    }
    sub->epoch = epoch;
}

static void sub_frame(void *ctx, uint64_t seq, struct rt_span frame)
{
    struct sub *sub = ctx;
    struct world *w = sub->world;
    uint64_t content[2];
    must(w, !sub->paused);
    must(w, sub->rx.state == LINK_RX_UP);
    must(w, frame.len >= sizeof(content));
    memcpy(content, frame.data, sizeof(content));
    must(w, content[0] == sub->epoch && content[1] == seq);
    /* A new subscriber misses nothing that was not acknowledged, or evicted. */
    must(w, sub->expected != 0 || !is_running(w, sub->epoch) || seq <= w->acked + 1 ||
                seq <= w->evicted + 1);
    must(w, sub->expected == 0 || seq == sub->expected);
    /* Nothing is dropped before the new one has acknowledged it. */
    must(w, sub->expected != 0 || !w->retain || !is_running(w, sub->epoch) ||
                seq == rt_stream_first_seq(w->stream));
    w->again += is_running(w, sub->epoch) && seq <= w->acked ? 1 : 0;
    sub->expected = seq + 1;
    sub->frames++;
    w->frames++;
    if (w->ack && world_chance(w, 700)) {
        link_rx_ack(&sub->rx, seq, w->now);
    }
    if (world_chance(w, 20)) {
        sub->paused = true;
        link_rx_pause(&sub->rx, true);
    }
}

static void sub_lost(void *ctx, uint64_t from, uint64_t to)
{
    struct sub *sub = ctx;
    struct world *w = sub->world;
    must(w, w->policy == RT_RING_EVICT);
    must(w, sub->expected == 0 || from == sub->expected);
    must(w, !is_running(w, sub->epoch) || to <= w->evicted);
    sub->lost += to - from + 1;
    w->lost += to - from + 1;
    sub->expected = to + 1;
}

static void sub_message(void *ctx, struct rt_span message)
{
    struct sub *sub = ctx;
    struct world *w = sub->world;
    uint32_t got[2];
    must(w, message.len == sizeof(got));
    memcpy(got, message.data, sizeof(got));
    if (sub->heard_instance == 0) {
        sub->heard_instance = got[0];
    }
    must(w, got[0] == sub->heard_instance);
    must(w, got[1] == ++sub->received);
}

static void sub_down(void *ctx)
{
    struct sub *sub = ctx;
    sub->downs++;
}

static void sub_refused(void *ctx, const char *reason, bool final)
{
    struct sub *sub = ctx;
    sub->refused++;
    sub->final = final;
    snprintf(sub->reason, sizeof(sub->reason), "%s", reason);
}

static const struct rt_sub_events sub_events = { sub_session, sub_frame, sub_lost,
                                                 sub_message, sub_down,  sub_refused };

/* --- processes --- */

void world_pub_start(struct world *w)
{
    w->pub_running = true;
    w->acked = 0;
    w->done = 0;
    w->evicted = 0;
    link_tx_init(&w->tx, &(struct link_tx_config){ .log = w->log,
                                                   .ops = &net_tx_ops,
                                                   .ops_ctx = w,
                                                   .events = &pub_events,
                                                   .ctx = w,
                                                   .policy = w->policy,
                                                   .ring_bytes = RING_BYTES,
                                                   .retain_bytes = w->retain ? KEEP_BYTES : 0,
                                                   .retain_time = w->retain ? KEEP_TIME : 0,
                                                   .app_version = w->app_version,
                                                   .epoch = world_random(w) << 20 | 1,
                                                   .heartbeat = HEARTBEAT,
                                                   .lease = LEASE });
    w->stream = link_stream_new(&w->tx, "s", NULL);
    for (size_t i = 0; i < SUBS; i++) {
        w->subs[i].subscribed_at = w->now + 20 * RT_MSEC;
    }
}

void world_pub_stop(struct world *w)
{
    w->pub_running = false;
    w->pub_life++;
    w->stream = NULL;
    link_tx_fini(&w->tx);
}

void world_sub_start(struct world *w, size_t index)
{
    struct sub *sub = &w->subs[index];
    uint32_t instance = sub->instance;
    unsigned life = sub->life;
    *sub = (struct sub){ .world = w,
                         .index = index,
                         .running = true,
                         .life = life,
                         .peer = world_random(w),
                         .instance = instance,
                         .subscribed_at = w->now + 20 * RT_MSEC };
    link_rx_init(&sub->rx,
                 &(struct link_rx_config){ .log = w->log,
                                           .ops = &net_rx_ops,
                                           .ops_ctx = sub,
                                           .events = &sub_events,
                                           .ctx = sub,
                                           .stream_name = "s",
                                           .label = "test",
                                           .peer_id = sub->peer,
                                           .app_version = APP_VERSION,
                                           .hold_bytes = HOLD_BYTES,
                                           .heartbeat = HEARTBEAT,
                                           .lease = LEASE },
                 w->now);
}

static void queue_clear(struct sub *sub)
{
    for (size_t i = 0; i < sub->queued; i++) {
        free(sub->queue[i].data);
    }
    sub->queued = 0;
}

void world_sub_stop(struct world *w, size_t index)
{
    struct sub *sub = &w->subs[index];
    sub->running = false;
    sub->life++;
    queue_clear(sub);
    link_rx_fini(&sub->rx);
}

void world_set_paused(struct sub *sub, bool paused)
{
    sub->paused = paused;
    link_rx_pause(&sub->rx, paused);
}

uint64_t world_publish(struct world *w)
{
    uint8_t frame[FRAME_BYTES] = { 0 };
    uint64_t content[2] = { w->stream->epoch, rt_stream_last_seq(w->stream) + 1 };
    memcpy(frame, content, sizeof(content));
    size_t len = sizeof(content) + world_random(w) % (sizeof(frame) - sizeof(content));
    return rt_stream_send(w->stream, (struct rt_span){ frame, len }, content[1] * 3);
}

void world_talk(struct world *w, struct sub *sub)
{
    uint32_t up[2] = { sub->instance, sub->sent + 1 };
    if (sub->running && world_chance(w, 300) &&
        link_rx_message(&sub->rx, (struct rt_span){ (uint8_t *)up, sizeof(up) })) {
        sub->sent++;
    }
    uint32_t down[2] = { w->tx_instance, w->tx_sent + 1 };
    if (w->pub_running && world_chance(w, 300) &&
        rt_stream_message(w->stream, (struct rt_span){ (uint8_t *)down, sizeof(down) })) {
        w->tx_sent++;
    }
}

static void receive(struct world *w, struct packet *packet)
{
    struct sub *sub = &w->subs[packet->sub];
    if (packet->channel == TO_PUB) {
        if (w->pub_running && packet->life == w->pub_life) {
            struct rt_span routing = { (uint8_t *)&packet->peer, 8 };
            link_tx_control(&w->tx, routing, (struct rt_span){ packet->data, packet->len }, w->now);
        }
    } else if (sub->running && packet->life == sub->life) {
        if (packet->channel == TO_SUB) {
            link_rx_control(&sub->rx, (struct rt_span){ packet->data, packet->len }, w->now);
        } else if (sub->queued < SUB_QUEUE) {
            sub->queue[sub->queued++] = *packet;
            return;
        }
    }
    free(packet->data);
}

static void deliver_due(struct world *w)
{
    while (w->packet_count > 0 && w->packets[0].due <= w->now) {
        struct packet packet = net_pop(w);
        receive(w, &packet);
    }
}

static void run_sub(struct world *w, struct sub *sub)
{
    if (sub->subscribed_at != 0 && w->now >= sub->subscribed_at && w->pub_running) {
        sub->subscribed_at = 0;
        link_tx_subscribed(&w->tx, (struct rt_span){ (const uint8_t *)"s", 2 });
    }
    size_t used = 0;
    while (used < sub->queued && link_rx_wants_stream(&sub->rx)) {
        struct packet *packet = &sub->queue[used++];
        /* An exact block, so that AddressSanitizer sees a step too far. */
        uint8_t *copy = malloc(packet->len);
        memcpy(copy, packet->data, packet->len);
        link_rx_stream(&sub->rx, (struct rt_span){ copy, packet->len }, w->now);
        free(copy);
        free(packet->data);
    }
    memmove(sub->queue, sub->queue + used, (sub->queued - used) * sizeof(sub->queue[0]));
    sub->queued -= used;
    if (used > 0 || w->now >= link_rx_deadline(&sub->rx)) {
        link_rx_tick(&sub->rx, w->now);
    }
    must(w, sub->rx.frames.held <= HOLD_BYTES + FRAME_BYTES);
}

void world_step(struct world *w)
{
    w->now += STEP;
    deliver_due(w);
    for (size_t i = 0; i < SUBS; i++) {
        if (w->subs[i].running) {
            run_sub(w, &w->subs[i]);
        }
    }
    if (w->pub_running && w->now >= w->tick_due) {
        w->tick_due = w->now + HEARTBEAT;
        link_tx_tick(&w->tx, w->now);
    }
}

void world_run(struct world *w, rt_usec time)
{
    for (rt_usec end = w->now + time; w->now < end;) {
        world_step(w);
    }
}

struct world *world_new(uint64_t seed, enum rt_ring_policy policy)
{
    struct world *w = calloc(1, sizeof(*w));
    w->seed = seed;
    w->rng = seed * 0x9e3779b97f4a7c15ULL + 1;
    w->now = RT_SEC;
    w->policy = policy;
    w->ack = true;
    w->app_version = APP_VERSION;
    w->faults.max_delay_ms = 1;
    w->log = rt_log_new("test", RT_LOG_ERROR, RT_LOG_KV);
    for (size_t i = 0; i < SUBS; i++) {
        w->subs[i].world = w;
        w->subs[i].index = i;
    }
    return w;
}

void world_free(struct world *w)
{
    for (size_t i = 0; i < SUBS; i++) {
        if (w->subs[i].running) {
            world_sub_stop(w, i);
        }
    }
    if (w->pub_running) {
        world_pub_stop(w);
    }
    for (size_t i = 0; i < w->packet_count; i++) {
        free(w->packets[i].data);
    }
    rt_log_free(w->log);
    free(w);
}

struct world *world_connected(uint64_t seed, enum rt_ring_policy policy)
{
    struct world *w = world_new(seed, policy);
    world_pub_start(w);
    world_sub_start(w, 0);
    world_run(w, 200 * RT_MSEC);
    must(w, w->subs[0].sessions == 1 && rt_stream_connected(w->stream));
    return w;
}
