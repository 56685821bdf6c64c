/* broker/shard_route.c - what the route asks for, who answers, and where its frames go. */
#include <inttypes.h>
#include <stdio.h>

#include "broker/shard_impl.h"

enum { NAME_SIZE = 32 };

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

static bool on_replay_room(void *ctx, void *edge_user)
{
    (void)ctx;
    return edges_room(edge_user);
}

static void on_describe(void *ctx, uint32_t oid)
{
    shard_describe(ctx, oid);
}

static void on_wake(void *ctx)
{
    struct shard *shard = ctx;

    rt_defer_schedule(shard->flush);
}

static void *on_snapshot(void *ctx, struct route_snapshot *handle,
                         const struct route_snapshot_want *want)
{
    struct shard *shard = ctx;

    return shard_snapshots_start(shard->snapshots, handle, want);
}

static void on_snapshot_more(void *ctx, void *job, uint32_t parts)
{
    (void)ctx;
    shard_snapshots_more(job, parts);
}

static void on_snapshot_caught_up(void *ctx, void *job)
{
    (void)ctx;
    shard_snapshots_caught_up(job);
}

static void on_snapshot_over(void *ctx, void *job)
{
    (void)ctx;
    shard_snapshots_drop(job);
}

static void *on_view_watch(void *ctx, struct viewer *viewer, const struct view_want *want)
{
    struct shard *shard = ctx;

    return shard_views_watch(shard->views, viewer, want);
}

static void on_view_unwatch(void *ctx, void *watch)
{
    (void)ctx;
    views_unwatch(watch);
}

static void on_view_access(void *ctx, void *watch, struct access *access)
{
    (void)ctx;
    views_access(watch, access);
}

static bool on_view_kept(void *ctx, const void *watch)
{
    (void)ctx;
    return views_is_kept(watch);
}

static void on_view_refresh(void *ctx, void *watch, uint32_t xid)
{
    (void)ctx;
    views_refresh(watch, xid);
}

static void on_interest(void *ctx, uint32_t oid, int by)
{
    struct shard *shard = ctx;

    upstream_interest(shard->upstream, oid, by);
}

static enum ask_state on_ask(void *ctx, struct view *view, const struct ask_change *change,
                             struct view_verdict *verdict)
{
    struct shard *shard = ctx;

    return shard_views_ask(shard->views, view, change, verdict);
}

static void on_ask_forget(void *ctx, const struct view *view, uint64_t lsn, uint32_t index)
{
    struct shard *shard = ctx;

    shard_views_forget(shard->views, view, lsn, index);
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
    shard_go_on(shard);
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

void shard_flush(struct shard *shard)
{
    if (shard->draining) {
        route_flush(
            shard->route); /* what there is; who is in a replay goes on with the successor */
        return;
    }
    if (route_work(shard->route)) {
        rt_defer_schedule(shard->flush);
    }
    route_flush(shard->route);
    if (!shard->telling && route_tell(shard->route, rt_now())) {
        shard->telling = true;
        rt_timer_set(shard->tell, ROUTE_PROGRESS_QUICK, 0);
    }
    route_flush(shard->route);
}

void shard_set_window_metrics(struct shard *shard, rt_usec now)
{
    const struct window *window = shard->window;
    struct wire_position floor;

    rt_gauge_set(shard->stats.window_bytes, (double)window_bytes(window));
    rt_gauge_set(shard->stats.window_entries, (double)window_entries(window));
    rt_gauge_set(shard->stats.window_seconds, (double)window_age(window, now) / 1e6);
    if (window_floor(window, &floor)) {
        rt_gauge_set(shard->stats.window_floor_lsn, (double)floor.lsn);
    }
}

void shard_make_route(struct shard *shard)
{
    static const struct route_events events = { .watch = on_watch,
                                                .unwatch = on_unwatch,
                                                .send = on_send,
                                                .room = on_replay_room,
                                                .wake = on_wake,
                                                .describe = on_describe,
                                                .snapshot = on_snapshot,
                                                .snapshot_more = on_snapshot_more,
                                                .snapshot_caught_up = on_snapshot_caught_up,
                                                .snapshot_live = on_snapshot_over,
                                                .snapshot_cancel = on_snapshot_over,
                                                .view_watch = on_view_watch,
                                                .view_unwatch = on_view_unwatch,
                                                .view_access = on_view_access,
                                                .view_refresh = on_view_refresh,
                                                .view_kept = on_view_kept,
                                                .interest = on_interest,
                                                .ask = on_ask,
                                                .ask_forget = on_ask_forget };
    const struct rt_config *config = shard->process->config;
    struct route_config route = {
        .shard = (uint32_t)config->broker_shard,
        .shards = config->shards,
        .relations = shard->relations,
        .window = shard->window,
        .stats = &shard->stats,
        .limits = { .scanned = (uint32_t)config->policies_scanned_views,
                    .ordered = (uint32_t)config->policies_ordered_views },
        .events = &events,
        .ctx = shard,
        .guests = &shard_guests,
    };

    shard->route = route_new(&route);
}

void shard_make_authority(struct shard *shard)
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
        .policy_publication = config->database_policy_publication,
        .slot = config->database_slot,
        .timeout = config->database_connect_timeout,
        .retry_max = config->database_retry_max,
        .events = &events,
        .ctx = shard,
    };

    (void)snprintf(name, sizeof(name), "pgtide-broker-%" PRId64, config->broker_shard);
    shard->authority = authority_new(&authority);
}

void shard_make_snapshots(struct shard *shard)
{
    struct shard_snapshots_config snapshots = {
        .loop = shard->process->loop,
        .log = shard->process->log,
        .metrics = shard->process->metrics,
        .config = shard->process->config,
        .route = shard->route,
        .window = shard->window,
        .describe = on_describe,
        .on_work = on_wake,
        .ctx = shard,
    };

    shard->snapshots = shard_snapshots_new(&snapshots);
}

bool shard_make_views(struct shard *shard)
{
    struct shard_views_config views = {
        .loop = shard->process->loop,
        .log = shard->process->log,
        .metrics = shard->process->metrics,
        .config = shard->process->config,
        .route = &shard->route,
        .on_work = on_wake,
        .ctx = shard,
    };

    shard->views = shard_views_new(&views);
    return shard->views != NULL;
}
