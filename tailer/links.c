/* tailer/links.c - see links.h. */
#include "tailer/links.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/records.h"
#include "runtime/config.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/pub.h"

enum { REFUSAL_SIZE = 256, NAME_SIZE = 24 };

/* What a stream's user pointer leads to. */
struct link {
    struct links *links;
    struct rt_stream *stream;
    uint32_t shard;
};

struct links {
    struct links_config config;
    struct rt_pub *pub;
    uint32_t count;
    struct link *all;
};

static void name_of(uint32_t shard, char out[NAME_SIZE])
{
    (void)snprintf(out, NAME_SIZE, "shard-%" PRIu32, shard);
}

static struct rt_stream *on_hello(void *ctx, const char *stream_name, uint64_t peer_id, bool fresh,
                                  char *refusal)
{
    struct links *links = ctx;

    for (uint32_t i = 0; i < links->count; i++) {
        char name[NAME_SIZE];
        name_of(i, name);
        if (strcmp(name, stream_name) != 0) {
            continue;
        }
        rt_log_info(links->config.log, "shard.joined", RT_U("shard", i), RT_U("peer", peer_id),
                    RT_S("fresh", fresh ? "yes" : "no"));
        if (fresh) {
            links->config.events->on_fresh(links->config.ctx, i);
        }
        return links->all[i].stream;
    }
    (void)snprintf(refusal, REFUSAL_SIZE,
                   "this tailer has shards 0 to %" PRIu32
                   ", not %s: set `shards` to the same number "
                   "everywhere",
                   links->count - 1, stream_name);
    return NULL;
}

static void on_message(void *ctx, struct rt_stream *stream, struct rt_span message)
{
    struct links *links = ctx;
    const struct link *link = rt_stream_user(stream);

    links->config.events->on_message(links->config.ctx, link->shard, message);
}

static void on_ack(void *ctx, struct rt_stream *stream, uint64_t seq, uint64_t tag)
{
    struct links *links = ctx;
    const struct link *link = rt_stream_user(stream);

    (void)seq;
    (void)tag;
    links->config.events->on_ack(links->config.ctx, link->shard);
}

static void on_silent(void *ctx, struct rt_stream *stream)
{
    struct links *links = ctx;
    const struct link *link = rt_stream_user(stream);

    rt_log_warn(links->config.log, "shard.silent", RT_U("shard", link->shard),
                RT_U("pending_bytes", rt_stream_pending_bytes(stream)));
}

static const char *bind_address(const char *bind, const char *address)
{
    return bind[0] != '\0' ? bind : address;
}

static uint64_t sink_send(void *ctx, uint32_t shard, struct rt_span frame, uint64_t tag)
{
    struct links *links = ctx;
    return rt_stream_send(links->all[shard].stream, frame, tag);
}

static uint64_t sink_last_seq(void *ctx, uint32_t shard)
{
    struct links *links = ctx;
    return rt_stream_last_seq(links->all[shard].stream);
}

static uint64_t sink_acked_seq(void *ctx, uint32_t shard)
{
    struct links *links = ctx;
    return rt_stream_acked_seq(links->all[shard].stream);
}

static uint64_t sink_acked_tag(void *ctx, uint32_t shard)
{
    struct links *links = ctx;
    return rt_stream_acked_tag(links->all[shard].stream);
}

static uint64_t sink_first_seq(void *ctx, uint32_t shard)
{
    struct links *links = ctx;
    return rt_stream_first_seq(links->all[shard].stream);
}

struct links *links_new(const struct links_config *config)
{
    static const struct rt_pub_events events = {
        .on_hello = on_hello,
        .on_message = on_message,
        .on_ack = on_ack,
        .on_silent = on_silent,
    };
    const struct rt_config *options = config->config;
    struct links *links = rt_alloc(sizeof(*links));

    links->config = *config;
    links->count = (uint32_t)options->shards;
    links->pub = rt_pub_new(&(struct rt_pub_config){
        .loop = config->loop,
        .log = config->log,
        .metrics = config->metrics,
        .publish_bind = bind_address(options->tailer_publish_bind, options->tailer_publish),
        .control_bind = bind_address(options->tailer_control_bind, options->tailer_control),
        .keys = config->keys,
        .allow_insecure = options->links_allow_insecure,
        .policy = RT_RING_HOLD,
        .ring_bytes = (size_t)options->links_tailer_ring,
        .retain_bytes = (size_t)options->window_bytes,
        .retain_time = options->window_time,
        .app_version = WIRE_VERSION,
        .heartbeat = options->links_heartbeat,
        .lease = options->links_lease,
        .events = &events,
        .ctx = links,
    });
    if (links->pub == NULL) {
        free(links);
        return NULL;
    }
    links->all = rt_alloc(links->count * sizeof(*links->all));
    for (uint32_t i = 0; i < links->count; i++) {
        char name[NAME_SIZE];
        name_of(i, name);
        links->all[i] = (struct link){ .links = links, .shard = i };
        links->all[i].stream = rt_pub_stream_new(links->pub, name, &links->all[i]);
    }
    return links;
}

void links_free(struct links *links)
{
    if (links != NULL) {
        rt_pub_free(links->pub);
        free(links->all);
        free(links);
    }
}

struct publish_sink links_sink(struct links *links)
{
    return (struct publish_sink){
        .send = sink_send,
        .last_seq = sink_last_seq,
        .acked_seq = sink_acked_seq,
        .acked_tag = sink_acked_tag,
        .first_seq = sink_first_seq,
        .ctx = links,
    };
}

bool links_message(struct links *links, uint32_t shard, struct rt_span message)
{
    return rt_stream_message(links->all[shard].stream, message);
}

size_t links_pending(const struct links *links, uint32_t shard)
{
    return rt_stream_pending_bytes(links->all[shard].stream);
}

int64_t links_behind(const struct links *links, size_t bytes)
{
    for (uint32_t i = 0; i < links->count; i++) {
        if (links_pending(links, i) > bytes) {
            return i;
        }
    }
    return -1;
}

bool links_acked(const struct links *links, uint32_t shard)
{
    const struct rt_stream *stream = links->all[shard].stream;
    return rt_stream_acked_seq(stream) == rt_stream_last_seq(stream);
}

bool links_all_acked(const struct links *links)
{
    for (uint32_t i = 0; i < links->count; i++) {
        if (!links_acked(links, i)) {
            return false;
        }
    }
    return true;
}

void links_renew(struct links *links, uint32_t shard)
{
    struct link *link = &links->all[shard];
    char name[NAME_SIZE];

    rt_stream_free(link->stream);
    name_of(shard, name);
    link->stream = rt_pub_stream_new(links->pub, name, link);
}

void links_report(const struct links *links, struct rt_condition *condition)
{
    for (uint32_t i = 0; i < links->count; i++) {
        const struct rt_stream *stream = links->all[i].stream;
        if (!rt_stream_connected(stream)) {
            rt_condition_set(condition, false, "shard %" PRIu32 " %s", i,
                             rt_stream_last_heard(stream) == 0 ? "has not connected" : "is silent");
            return;
        }
    }
    rt_condition_set(condition, true, "%" PRIu32 " connected", links->count);
}
