/* broker/shard_tailer.c - the tailer's stream: from its link to upstream, and when it has to wait. */
#include <inttypes.h>
#include <stdio.h>

#include "broker/shard_impl.h"
#include "runtime/clock.h"

enum { NAME_SIZE = 32 };

static unsigned pause_reasons(struct shard *shard, rt_usec now)
{
    int waits = upstream_waits(shard->upstream);
    unsigned bits = 0;

    bits |= (waits & UPSTREAM_WAIT_AUTHORITY) != 0 ? PAUSE_BIT(PAUSE_AUTHORITY) : 0;
    bits |= (waits & UPSTREAM_WAIT_RELATION) != 0 ? PAUSE_BIT(PAUSE_RELATION) : 0;
    bits |= edges_must_wait(shard->edges, now) ? PAUSE_BIT(PAUSE_EDGES) : 0;
    return bits;
}

void shard_update_pause(struct shard *shard)
{
    rt_usec now = rt_now();
    unsigned before = shard->pause.reasons;
    unsigned reasons = pause_reasons(shard, now);

    pause_set(&shard->pause, &shard->stats, reasons, now);
    if (reasons != 0 && before == 0) {
        rt_sub_pause(shard->sub);
    } else if (reasons == 0 && before != 0 && !shard->draining) {
        rt_sub_resume(shard->sub);
    }
}

void shard_go_on(struct shard *shard)
{
    if (!shard->draining && shard->unfinished != 0 && upstream_waits(shard->upstream) == 0) {
        bool done = upstream_continue(shard->upstream, rt_now());
        shard_flush(shard);
        if (done) {
            rt_sub_ack(shard->sub, shard->unfinished);
            shard->unfinished = 0;
        }
    }
    shard_update_pause(shard);
}

static void on_session(void *ctx, uint64_t epoch, bool fresh)
{
    struct shard *shard = ctx;

    rt_log_info(shard->process->log, "tailer.session", RT_U("epoch", epoch),
                RT_S("fresh", fresh ? "yes" : "no"));
    rt_condition_set(shard->tailer_ready, true, "in session");
    if (epoch != shard->link_epoch) {
        /* A session can be fresh on the same stream as well: then it goes on behind the frame at hand. */
        shard->link_epoch = epoch;
        shard->unfinished = 0;
        upstream_restart(shard->upstream);
    }
    shard_go_on(shard);
}

static void on_frame(void *ctx, uint64_t seq, struct rt_span frame)
{
    struct shard *shard = ctx;
    bool done = upstream_frame(shard->upstream,
                               (struct wire_span){ (const char *)frame.data, frame.len }, rt_now());

    shard_flush(shard);
    if (done) {
        rt_sub_ack(shard->sub, seq);
    } else {
        shard->unfinished = seq;
    }
    shard_update_pause(shard);
}

static void on_lost(void *ctx, uint64_t from, uint64_t to)
{
    struct shard *shard = ctx;

    rt_log_error(shard->process->log, "tailer.lost", RT_U("from", from), RT_U("to", to));
    upstream_lost(shard->upstream);
}

static void on_tailer_message(void *ctx, struct rt_span message)
{
    struct shard *shard = ctx;

    upstream_message(shard->upstream,
                     (struct wire_span){ (const char *)message.data, message.len });
    shard_go_on(shard);
}

static void on_tailer_down(void *ctx)
{
    struct shard *shard = ctx;

    rt_log_warn(shard->process->log, "tailer.down",
                RT_S("reason", "nothing heard for links.lease; changes wait in PostgreSQL"));
    rt_condition_set(shard->tailer_ready, false,
                     "nothing heard from the tailer at %s for links.lease",
                     shard->process->config->tailer_control);
}

static void on_tailer_refused(void *ctx, const char *reason, bool final)
{
    struct shard *shard = ctx;

    rt_log_error(shard->process->log, "tailer.refused", RT_S("reason", reason));
    rt_condition_set(shard->tailer_ready, false, "the tailer refused this broker: %s", reason);
    if (final) {
        rt_process_fail(shard->process, "broker.not_wanted", reason);
    }
}

static void on_need(void *ctx, uint32_t rel)
{
    struct shard *shard = ctx;
    struct wire_writer out = { 0 };

    wire_encode_need(&out, &(struct wire_need){ .rel = rel });
    (void)rt_sub_message(shard->sub,
                         (struct rt_span){ out.data, out.len }); /* repeated if need be */
    wire_writer_fini(&out);
}

void shard_describe(struct shard *shard, uint32_t oid)
{
    struct wire_writer out = { 0 };

    wire_encode_describe(&out, &(struct wire_describe){ .oid = oid });
    (void)rt_sub_message(shard->sub,
                         (struct rt_span){ out.data, out.len }); /* repeated if need be */
    wire_writer_fini(&out);
}

static bool on_fence(void *ctx, const struct relation *relation, uint32_t xid, uint64_t lsn)
{
    struct shard *shard = ctx;

    return authority_fence(shard->authority, relation == NULL ? NULL : relation->schema,
                           relation == NULL ? NULL : relation->table, xid, lsn);
}

static void on_new_epoch(void *ctx, uint64_t epoch)
{
    struct shard *shard = ctx;

    rt_log_info(shard->process->log, "stream.epoch", RT_U("epoch", epoch));
    authority_new_epoch(shard->authority);
    shard_views_new_epoch(shard->views);
}

static void on_touches(void *ctx, const uint32_t *oids, uint32_t count, bool whole, uint32_t xid,
                       uint64_t lsn)
{
    struct shard *shard = ctx;

    if (whole) {
        shard_views_touched(shard->views, oids, count, xid, lsn);
    }
    route_touched(shard->route, oids, count, whole, xid, lsn);
}

static void on_touching(void *ctx, struct relation *relation, const struct wire_change *change,
                        uint32_t xid)
{
    struct shard *shard = ctx;

    shard_views_change(shard->views, relation, change, xid);
}

static void on_malformed(void *ctx, const char *why)
{
    struct shard *shard = ctx;

    rt_log_error(shard->process->log, "tailer.malformed", RT_S("reason", why));
}

void shard_make_upstream(struct shard *shard)
{
    static const struct upstream_events events = { .need = on_need,
                                                   .fence = on_fence,
                                                   .new_epoch = on_new_epoch,
                                                   .touches = on_touches,
                                                   .broadcast = shard_broadcast,
                                                   .touching = on_touching,
                                                   .malformed = on_malformed };
    struct upstream_config config = {
        .route = shard->route,
        .window = shard->window,
        .relations = shard->relations,
        .stats = &shard->stats,
        .shard = shard->process->config->broker_shard,
        .shards = shard->process->config->shards,
        .events = &events,
        .ctx = shard,
    };

    shard->upstream = upstream_new(&config);
}

bool shard_make_sub(struct shard *shard)
{
    static const struct rt_sub_events events = {
        .on_session = on_session,
        .on_frame = on_frame,
        .on_lost = on_lost,
        .on_message = on_tailer_message,
        .on_down = on_tailer_down,
        .on_refused = on_tailer_refused,
    };
    const struct rt_config *config = shard->process->config;
    char name[NAME_SIZE];
    struct rt_sub_config sub = {
        .loop = shard->process->loop,
        .log = shard->process->log,
        .metrics = shard->process->metrics,
        .publish = config->tailer_publish,
        .control = config->tailer_control,
        .stream_name = name,
        .label = "tailer",
        .peer_id = rt_random64(),
        .keys = shard->keys,
        .app_version = WIRE_VERSION,
        .hold_bytes = (size_t)config->links_tailer_ring,
        .heartbeat = config->links_heartbeat,
        .lease = config->links_lease,
        .events = &events,
        .ctx = shard,
    };

    (void)snprintf(name, sizeof(name), "shard-%" PRId64, config->broker_shard);
    shard->sub = rt_sub_new(&sub);
    return shard->sub != NULL;
}
