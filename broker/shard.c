/* broker/shard.c - the life of a shard and of its parts. */
#include "broker/shard.h"

#include <stdlib.h>

#include "broker/shard_impl.h"
#include "runtime/buf.h"

#define TICK (100 * RT_MSEC)

enum { TICKS_PER_SECOND = 10 };

/* What the edges have not acknowledged would be lost with this process. Bounded by drain_timeout. */
static void stop_if_drained(struct shard *shard)
{
    if (shard->draining && edges_idle(shard->edges)) {
        rt_loop_stop(shard->process->loop);
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
        shard_update_pause(shard);
    }
    if (shard->flush != NULL) {
        rt_defer_schedule(shard->flush); /* replays may go on */
    }
    stop_if_drained(shard);
}

static void on_flush(void *ctx)
{
    shard_flush(ctx);
}

static void on_tell(void *ctx)
{
    struct shard *shard = ctx;

    shard->telling = false;
    shard_flush(shard);
}

static void on_tick(void *ctx)
{
    struct shard *shard = ctx;
    rt_usec now = rt_now();

    upstream_tick(shard->upstream, now);
    if (++shard->ticks % TICKS_PER_SECOND == 0) {
        window_tick(shard->window, now);
        route_tick(shard->route, now);
        shard_set_window_metrics(shard, now);
        rt_condition_set(shard->edges_ready, true, "%zu connected", edges_count(shard->edges));
    }
    shard_go_on(shard);
    shard_flush(shard);
    stop_if_drained(shard);
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
    shard->tell = rt_timer_new(shard->process->loop, on_tell, shard);
    shard->relations = relations_new();
    shard->window = window_new((size_t)config->window_bytes, config->window_time);
    if (!shard_make_views(shard) || !shard_make_channels(shard)) {
        return false;
    }
    shard_make_seats(shard);
    shard_make_route(shard);
    shard_make_snapshots(shard);
    shard_make_upstream(shard);
    if (!make_edges(shard) || !shard_make_sub(shard)) {
        return false;
    }
    shard_make_authority(shard);
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
    shard_flush(shard);
    stop_if_drained(shard);
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
    route_free(shard->route); /* gives its watches and snapshots back */
    if (shard->channels_tick != NULL) {
        rt_timer_free(shard->channels_tick);
    }
    channels_free(shard->channels);
    seats_free(shard->seats);
    shard_snapshots_free(shard->snapshots);
    shard_views_free(shard->views);
    authority_free(shard->authority);
    upstream_free(shard->upstream);
    window_free(shard->window);
    relations_free(shard->relations);
    if (shard->tell != NULL) {
        rt_timer_free(shard->tell);
    }
    if (shard->flush != NULL) {
        rt_defer_free(shard->flush);
    }
    if (shard->keys != NULL) {
        rt_keys_free(shard->keys);
    }
    free(shard);
}
