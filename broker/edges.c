/* broker/edges.c - sessions of edges over the publishing side of a link. */
#include "broker/edges.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/pub.h"

enum { REFUSAL_SIZE = 256, NAME_SIZE = 64, HEARD_HEARTBEATS = 4 };

struct edge {
    struct edges *edges;
    struct rt_stream *stream;
    struct route_edge *route;
    char name[NAME_SIZE];
    rt_usec acked_at;
    rt_usec full_since; /* 0: its ring is not half full */
    bool doomed;        /* ends when the turn does */
};

struct edges {
    struct edges_config config;
    struct rt_pub *pub;
    struct rt_defer *reap;
    struct edge **items;
    size_t count;
    size_t cap;
};

static struct edge *find(struct edges *edges, const char *name)
{
    for (size_t i = 0; i < edges->count; i++) {
        if (strcmp(edges->items[i]->name, name) == 0) {
            return edges->items[i];
        }
    }
    return NULL;
}

static void count_edges(const struct edges *edges)
{
    rt_gauge_set(edges->config.stats->edges, (double)edges->count);
}

static struct edge *add(struct edges *edges, const char *name)
{
    struct edge *edge = rt_alloc(sizeof(*edge));

    edge->edges = edges;
    strncat(edge->name, name, sizeof(edge->name) - 1);
    edge->stream = rt_pub_stream_new(edges->pub, name, edge);
    edge->route = route_edge_new(edges->config.route, edge);
    if (edges->count == edges->cap) {
        edges->cap = edges->cap == 0 ? 8 : edges->cap * 2;
        edges->items = rt_realloc(edges->items, edges->cap, sizeof(struct edge *));
    }
    edges->items[edges->count++] = edge;
    count_edges(edges);
    return edge;
}

static void end(struct edge *edge)
{
    route_edge_free(edge->route);
    rt_stream_free(edge->stream);
    free(edge);
}

static void doom(struct edge *edge)
{
    edge->doomed = true;
    rt_defer_schedule(edge->edges->reap);
}

static void on_reap(void *ctx)
{
    struct edges *edges = ctx;
    size_t i = 0;

    while (i < edges->count) {
        struct edge *edge = edges->items[i];
        if (!edge->doomed) {
            i++;
            continue;
        }
        edges->items[i] = edges->items[--edges->count];
        end(edge);
    }
    count_edges(edges);
    edges->config.on_room(edges->config.ctx);
}

/* Nobody joins under another's name: it says who may own the stream. */
static bool names_peer(const char *name, uint64_t peer_id)
{
    char expected[NAME_SIZE];

    (void)snprintf(expected, sizeof(expected), "edge-%016" PRIx64, peer_id);
    return strcmp(name, expected) == 0;
}

static struct rt_stream *on_hello(void *ctx, const char *name, uint64_t peer_id, bool fresh,
                                  char *refusal)
{
    struct edges *edges = ctx;
    struct edge *edge = find(edges, name);

    if (!names_peer(name, peer_id)) {
        (void)snprintf(refusal, REFUSAL_SIZE,
                       "a broker serves edges only, by the name edge-PEERID");
        return NULL;
    }
    if (edge == NULL && edges->count >= EDGES_MAX) {
        (void)snprintf(refusal, REFUSAL_SIZE, "this shard has %u edges already", EDGES_MAX);
        return NULL;
    }
    if (edge != NULL && edge->doomed) {
        (void)snprintf(refusal, REFUSAL_SIZE, "the session is ending; say hello again");
        return NULL;
    }
    if (edge == NULL) {
        edge = add(edges, name);
        rt_log_info(edges->config.log, "edge.joined", RT_S("edge", edge->name));
    } else if (fresh) {
        /* It starts over: neither what it announced before counts, nor what was sent for that. */
        route_edge_free_lingering(edge->route);
        rt_stream_free(edge->stream);
        edge->stream = rt_pub_stream_new(edges->pub, name, edge);
        edge->route = route_edge_new(edges->config.route, edge);
        edge->full_since = 0;
        rt_log_info(edges->config.log, "edge.rejoined", RT_S("edge", edge->name));
    }
    return edge->stream;
}

static void on_message(void *ctx, struct rt_stream *stream, struct rt_span message)
{
    struct edges *edges = ctx;
    struct edge *edge = rt_stream_user(stream);

    if (edge->doomed) {
        return;
    }
    const char *why = route_edge_message(
        edge->route, (struct wire_span){ (const char *)message.data, message.len });
    if (why != NULL) {
        rt_counter_add(edges->config.stats->malformed_edge, 1);
        rt_log_error(edges->config.log, "edge.malformed", RT_S("edge", edge->name),
                     RT_S("reason", why), RT_U("bytes", message.len));
        doom(edge);
    }
    edges->config.on_work(edges->config.ctx);
}

static void on_ack(void *ctx, struct rt_stream *stream, uint64_t seq, uint64_t tag)
{
    struct edges *edges = ctx;
    struct edge *edge = rt_stream_user(stream);

    (void)seq;
    (void)tag;
    edge->acked_at = rt_now();
    edges->config.on_room(edges->config.ctx);
}

static void on_silent(void *ctx, struct rt_stream *stream)
{
    struct edges *edges = ctx;
    struct edge *edge = rt_stream_user(stream);

    rt_log_warn(edges->config.log, "edge.left", RT_S("edge", edge->name),
                RT_S("reason", "silent for links.lease; its subscriptions are dropped"));
    doom(edge);
}

static void on_evict(void *ctx, struct rt_stream *stream, uint64_t from, uint64_t to)
{
    struct edges *edges = ctx;
    struct edge *edge = rt_stream_user(stream);

    rt_counter_add(edges->config.stats->evicted, to - from + 1);
    rt_log_warn(edges->config.log, "edge.evicted", RT_S("edge", edge->name), RT_U("from", from),
                RT_U("to", to));
}

struct edges *edges_new(const struct edges_config *config)
{
    static const struct rt_pub_events events = {
        .on_hello = on_hello,
        .on_message = on_message,
        .on_ack = on_ack,
        .on_silent = on_silent,
        .on_evict = on_evict,
    };
    struct edges *edges = rt_alloc(sizeof(*edges));
    struct rt_pub_config pub = {
        .loop = config->loop,
        .log = config->log,
        .metrics = config->metrics,
        .publish_bind = config->publish_bind,
        .control_bind = config->control_bind,
        .keys = config->keys,
        .allow_insecure = config->allow_insecure,
        .policy = RT_RING_EVICT,
        .ring_bytes = config->ring_bytes,
        .app_version = WIRE_VERSION,
        .heartbeat = config->heartbeat,
        .lease = config->lease,
        .events = &events,
        .ctx = edges,
    };

    edges->config = *config;
    edges->reap = rt_defer_new(config->loop, on_reap, edges);
    edges->pub = rt_pub_new(&pub);
    if (edges->pub == NULL) {
        rt_defer_free(edges->reap);
        free(edges);
        return NULL;
    }
    return edges;
}

void edges_free(struct edges *edges)
{
    if (edges == NULL) {
        return;
    }
    for (size_t i = 0; i < edges->count; i++) {
        end(edges->items[i]);
    }
    rt_pub_free(edges->pub);
    rt_defer_free(edges->reap);
    free(edges->items);
    free(edges);
}

void edges_send(void *edge_user, struct wire_span frame)
{
    struct edge *edge = edge_user;

    if (!edge->doomed) {
        (void)rt_stream_send(edge->stream,
                             (struct rt_span){ (const uint8_t *)frame.data, frame.len }, 0);
    }
}

bool edges_room(const void *edge_user)
{
    const struct edge *edge = edge_user;

    return edge->doomed ||
           rt_stream_pending_bytes(edge->stream) <= edge->edges->config.ring_bytes / 4;
}

bool edges_heard(const void *edge_user)
{
    const struct edge *edge = edge_user;

    return !edge->doomed && rt_now() - rt_stream_last_heard(edge->stream) <=
                                HEARD_HEARTBEATS * edge->edges->config.heartbeat;
}

static bool holds_up(const struct edges *edges, struct edge *edge, rt_usec now)
{
    if (rt_stream_pending_bytes(edge->stream) <= edges->config.ring_bytes / 2) {
        edge->full_since = 0;
        return false;
    }
    if (edge->full_since == 0) {
        edge->full_since = now;
    }
    rt_usec since = edge->acked_at > edge->full_since ? edge->acked_at : edge->full_since;
    return now - since < edges->config.stall;
}

bool edges_must_wait(struct edges *edges, rt_usec now)
{
    bool wait = false;
    unsigned stalled = 0;

    for (size_t i = 0; i < edges->count; i++) {
        bool holds = holds_up(edges, edges->items[i], now);
        wait = wait || holds;
        stalled += !holds && edges->items[i]->full_since != 0 ? 1 : 0;
    }
    rt_gauge_set(edges->config.stats->stalled_edges, (double)stalled);
    return wait;
}

bool edges_idle(const struct edges *edges)
{
    for (size_t i = 0; i < edges->count; i++) {
        const struct rt_stream *stream = edges->items[i]->stream;
        if (rt_stream_connected(stream) && rt_stream_pending_bytes(stream) > 0) {
            return false;
        }
    }
    return true;
}

size_t edges_count(const struct edges *edges)
{
    return edges->count;
}
