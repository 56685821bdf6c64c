/* broker/shard.c - the parts of a shard, and what each tells the others. */
#include "broker/shard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/edges.h"
#include "broker/pause.h"
#include "broker/perms/authority.h"
#include "broker/relations.h"
#include "broker/route/route.h"
#include "broker/stats.h"
#include "broker/upstream.h"
#include "runtime/buf.h"
#include "runtime/config.h"
#include "runtime/health.h"
#include "runtime/keys.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/process.h"
#include "runtime/sub.h"

#define TICK (100 * RT_MSEC)

enum { NAME_SIZE = 32, TICKS_PER_SECOND = 10 };

struct shard {
    struct rt_process *process;
    struct stats stats;
    struct rt_keys *keys;
    struct relations *relations;
    struct authority *authority;
    struct route *route;
    struct upstream *upstream;
    struct edges *edges;
    struct rt_sub *sub;
    struct rt_timer *tick;
    struct rt_defer *flush;
    struct rt_condition *tailer_ready;
    struct rt_condition *database_ready;
    struct rt_condition *edges_ready;
    unsigned ticks;
    struct pause pause;
    uint64_t link_epoch; /* of the tailer's stream; 0: none yet */
    uint64_t unfinished; /* number of the frame that upstream keeps the rest of; 0: none */
    bool draining;
};

static unsigned pause_reasons(struct shard *shard, rt_usec now)
{
    int waits = upstream_waits(shard->upstream);
    unsigned bits = 0;

    bits |= (waits & UPSTREAM_WAIT_AUTHORITY) != 0 ? PAUSE_BIT(PAUSE_AUTHORITY) : 0;
    bits |= (waits & UPSTREAM_WAIT_RELATION) != 0 ? PAUSE_BIT(PAUSE_RELATION) : 0;
    bits |= edges_must_wait(shard->edges, now) ? PAUSE_BIT(PAUSE_EDGES) : 0;
    return bits;
}

static void update_pause(struct shard *shard)
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

/* Goes on where upstream stopped, if it can. */
static void go_on(struct shard *shard)
{
    if (shard->unfinished != 0 && upstream_waits(shard->upstream) == 0) {
        bool done = upstream_continue(shard->upstream, rt_now());
        route_flush(shard->route);
        if (done) {
            rt_sub_ack(shard->sub, shard->unfinished);
            shard->unfinished = 0;
        }
    }
    update_pause(shard);
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
    go_on(shard);
}

static void on_frame(void *ctx, uint64_t seq, struct rt_span frame)
{
    struct shard *shard = ctx;
    bool done = upstream_frame(shard->upstream,
                               (struct wire_span){ (const char *)frame.data, frame.len }, rt_now());

    route_flush(shard->route);
    if (done) {
        rt_sub_ack(shard->sub, seq);
    } else {
        shard->unfinished = seq;
    }
    update_pause(shard);
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
    go_on(shard);
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
}

static void on_malformed(void *ctx, const char *why)
{
    struct shard *shard = ctx;

    rt_log_error(shard->process->log, "tailer.malformed", RT_S("reason", why));
}

/* --- route asks, authority answers -------------------------------------------------------------------- */

static void *on_watch(void *ctx, struct audience *audience, const char *schema, const char *table,
                      const char *role)
{
    struct shard *shard = ctx;

    return authority_watch(shard->authority, schema, table, role, audience);
}

static void on_unwatch(void *ctx, void *watch)
{
    (void)ctx;
    authority_unwatch(watch);
}

static void on_send(void *ctx, void *edge_user, struct wire_span frame)
{
    (void)ctx;
    edges_send(edge_user, frame);
}

static void on_access(void *ctx, void *user, struct access *access)
{
    struct shard *shard = ctx;

    route_access(user, access);
    rt_defer_schedule(shard->flush);
}

static void on_settled(void *ctx)
{
    struct shard *shard = ctx;

    upstream_settled(shard->upstream);
    go_on(shard);
}

static void on_database(void *ctx, bool up, const char *reason)
{
    struct shard *shard = ctx;

    if (up) {
        rt_log_info(shard->process->log, "database.up", RT_KV_END);
        rt_condition_set(shard->database_ready, true, "connected");
    } else {
        rt_log_warn(shard->process->log, "database.down", RT_S("reason", reason));
        rt_condition_set(shard->database_ready, false, "%s", reason);
    }
}

static void on_work(void *ctx)
{
    struct shard *shard = ctx;

    rt_defer_schedule(shard->flush);
}

static void on_room(void *ctx)
{
    struct shard *shard = ctx;

    if (shard->sub != NULL && (shard->pause.reasons & PAUSE_BIT(PAUSE_EDGES)) != 0) {
        update_pause(shard);
    }
}

static void on_flush(void *ctx)
{
    struct shard *shard = ctx;

    route_flush(shard->route);
}

static void on_tick(void *ctx)
{
    struct shard *shard = ctx;
    rt_usec now = rt_now();

    upstream_tick(shard->upstream, now);
    if (++shard->ticks % TICKS_PER_SECOND == 0) {
        route_tick(shard->route, now);
        rt_condition_set(shard->edges_ready, true, "%zu connected", edges_count(shard->edges));
    }
    go_on(shard);
    route_flush(shard->route);
    if (shard->draining && edges_idle(shard->edges)) {
        rt_loop_stop(shard->process->loop);
    }
}

static void make_route(struct shard *shard)
{
    static const struct route_events route_events = { .watch = on_watch,
                                                      .unwatch = on_unwatch,
                                                      .send = on_send };
    static const struct upstream_events upstream_events = {
        .need = on_need, .fence = on_fence, .new_epoch = on_new_epoch, .malformed = on_malformed
    };
    const struct rt_config *config = shard->process->config;
    struct route_config route = {
        .shard = (uint32_t)config->broker_shard,
        .shards = config->shards,
        .relations = shard->relations,
        .stats = &shard->stats,
        .events = &route_events,
        .ctx = shard,
    };

    shard->route = route_new(&route);
    struct upstream_config upstream = {
        .route = shard->route,
        .relations = shard->relations,
        .stats = &shard->stats,
        .events = &upstream_events,
        .ctx = shard,
    };
    shard->upstream = upstream_new(&upstream);
}

static void make_authority(struct shard *shard)
{
    static const struct authority_events events = { .on_access = on_access,
                                                    .on_settled = on_settled,
                                                    .on_state = on_database };
    const struct rt_config *config = shard->process->config;
    char name[NAME_SIZE];
    struct authority_config authority = {
        .loop = shard->process->loop,
        .log = shard->process->log,
        .stats = &shard->stats,
        .conninfo = config->database_url,
        .application_name = name,
        .publication = config->database_publication,
        .timeout = config->database_connect_timeout,
        .retry_max = config->database_retry_max,
        .events = &events,
        .ctx = shard,
    };

    (void)snprintf(name, sizeof(name), "pgtide-broker-%" PRId64, config->broker_shard);
    shard->authority = authority_new(&authority);
}

static bool make_edges(struct shard *shard)
{
    const struct rt_config *config = shard->process->config;
    const char *publish = config->broker_publish_bind[0] != '\0' ? config->broker_publish_bind
                                                                 : config->broker_publish;
    const char *control = config->broker_control_bind[0] != '\0' ? config->broker_control_bind
                                                                 : config->broker_control;
    char *publish_bind = rt_config_shard_address(publish, config->broker_shard);
    char *control_bind = rt_config_shard_address(control, config->broker_shard);
    struct edges_config edges = {
        .loop = shard->process->loop,
        .log = shard->process->log,
        .metrics = shard->process->metrics,
        .stats = &shard->stats,
        .route = shard->route,
        .keys = shard->keys,
        .publish_bind = publish_bind,
        .control_bind = control_bind,
        .allow_insecure = config->links_allow_insecure,
        .ring_bytes = (size_t)config->links_edge_ring,
        .heartbeat = config->links_heartbeat,
        .lease = config->links_lease,
        .stall = config->links_edge_stall,
        .on_work = on_work,
        .on_room = on_room,
        .ctx = shard,
    };

    shard->edges = edges_new(&edges);
    free(publish_bind);
    free(control_bind);
    return shard->edges != NULL;
}

static bool make_sub(struct shard *shard)
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

static bool check_config(const struct shard *shard)
{
    const struct rt_config *config = shard->process->config;

    if (config->broker_shard >= config->shards) {
        rt_log_error(shard->process->log, "broker.no_such_shard",
                     RT_I("shard", config->broker_shard), RT_I("shards", config->shards),
                     RT_S("hint", "broker.shard counts from 0: set it below shards"));
        return false;
    }
    if (config->database_url[0] == '\0') {
        rt_log_error(shard->process->log, "broker.no_database",
                     RT_S("hint", "set database.url, or DATABASE_URL in the environment"));
        return false;
    }
    return true;
}

static bool start(struct shard *shard)
{
    const struct rt_config *config = shard->process->config;

    if (!check_config(shard)) {
        return false;
    }
    if (config->links_key_file[0] != '\0') {
        shard->keys = rt_keys_load(config->links_key_file, shard->process->log);
        if (shard->keys == NULL) {
            return false;
        }
    }
    shard->flush = rt_defer_new(shard->process->loop, on_flush, shard);
    shard->relations = relations_new();
    make_route(shard);
    if (!make_edges(shard) || !make_sub(shard)) {
        return false;
    }
    make_authority(shard);
    shard->tick = rt_timer_new(shard->process->loop, on_tick, shard);
    rt_timer_set(shard->tick, TICK, TICK);
    return true;
}

struct shard *shard_new(struct rt_process *process)
{
    struct shard *shard = rt_alloc(sizeof(*shard));

    shard->process = process;
    stats_init(&shard->stats, process->metrics);
    shard->tailer_ready = rt_condition_new(process->health, "tailer");
    shard->database_ready = rt_condition_new(process->health, "database");
    shard->edges_ready = rt_condition_new(process->health, "edges");
    rt_condition_set(shard->tailer_ready, false, "no session with the tailer at %s yet",
                     process->config->tailer_control);
    rt_condition_set(shard->edges_ready, true, "0 connected");
    if (!start(shard)) {
        shard_free(shard);
        return NULL;
    }
    rt_log_info(process->log, "broker.started", RT_I("shard", process->config->broker_shard),
                RT_I("shards", process->config->shards));
    return shard;
}

void shard_drain(struct shard *shard)
{
    shard->draining = true;
    rt_sub_pause(shard->sub);
}

void shard_free(struct shard *shard)
{
    if (shard == NULL) {
        return;
    }
    rt_timer_free(shard->tick);
    if (shard->sub != NULL) {
        rt_sub_free(shard->sub);
    }
    edges_free(shard->edges);
    route_free(shard->route); /* gives its watches back */
    authority_free(shard->authority);
    upstream_free(shard->upstream);
    relations_free(shard->relations);
    if (shard->flush != NULL) {
        rt_defer_free(shard->flush);
    }
    if (shard->keys != NULL) {
        rt_keys_free(shard->keys);
    }
    free(shard);
}
