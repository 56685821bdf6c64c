/* broker/shard_snapshot.c - see shard_snapshot.h. */
#include "broker/shard_snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/snapshot/job.h"
#include "pg/pool.h"
#include "runtime/buf.h"
#include "runtime/config.h"
#include "runtime/log.h"

enum { NAME_SIZE = 40, ROLLS_PER_WINDOW = 4 };

struct snapshot {
    struct shard_snapshots *all;
    struct route_snapshot *handle;
    struct job *job;
    uint32_t oid;
    struct snapshot *next;
    struct snapshot **link;
};

struct shard_snapshots {
    struct shard_snapshots_config config;
    struct pg_pool *pool;
    struct snapshot_metrics metrics;
    struct snapshot *first;
    uint32_t count;
    uint64_t
        unknown_below; /* xids that may have been decoded before the window began; 0: not known */
};

static void on_rows(void *ctx, const struct wire_tuple *rows, uint32_t count,
                    struct wire_span token, bool last)
{
    struct snapshot *snapshot = ctx;

    route_snapshot_rows(snapshot->handle, rows, count, token, last);
    snapshot->all->config.on_work(snapshot->all->config.ctx);
}

/* Of a token that is older than this process the route cannot know what was evicted; but where the window begins. When the
 * route cannot deliver, it has cancelled the snapshot by now: it is gone. */
static bool on_catch_up(void *ctx, const struct xid_snapshot *from, uint64_t from_lsn,
                        const struct xid_snapshot *to, uint64_t lsn)
{
    struct snapshot *snapshot = ctx;
    struct shard_snapshots *all = snapshot->all;
    struct wire_position floor;
    bool possible = window_floor(all->config.window, &floor) && floor.lsn <= from_lsn;

    if (!possible) {
        route_snapshot_gone(snapshot->handle,
                            "changes since the snapshot began are not kept any more");
        shard_snapshots_drop(snapshot);
    } else {
        possible = route_snapshot_catch_up(snapshot->handle, from, to, lsn);
    }
    if (!possible) {
        rt_counter_add(all->metrics.failed[SNAPSHOT_WINDOW], 1);
    }
    all->config.on_work(all->config.ctx);
    return possible;
}

/* The route knows what was evicted here. Before the window began, commits may have been decoded too that still wait for a
 * standby; they are older than the first snapshot that this process took, and not seen by this one. */
static bool on_evicted_unseen(void *ctx, const struct xid_snapshot *seen, uint64_t next_xid)
{
    struct shard_snapshots *all = ((struct snapshot *)ctx)->all;

    if (all->unknown_below == 0) {
        all->unknown_below = next_xid > 0 ? next_xid : seen->xmax;
    }
    return route_evicted_unseen(all->config.route, seen) ||
           (next_xid > 0 && seen->xmin < all->unknown_below);
}

static void on_over(void *ctx, enum snapshot_failure kind, enum wire_code code, const char *message)
{
    struct snapshot *snapshot = ctx;
    struct shard_snapshots *all = snapshot->all;

    if (kind == SNAPSHOT_TABLE) {
        all->config.describe(all->config.ctx, snapshot->oid);
    }
    if (kind == SNAPSHOT_TOKEN) {
        route_snapshot_gone(snapshot->handle, message);
    } else {
        route_snapshot_refuse(snapshot->handle, (int)code, message);
    }
    shard_snapshots_drop(snapshot);
    all->config.on_work(all->config.ctx);
}

static struct pg_pool *make_pool(const struct shard_snapshots_config *config)
{
    char name[NAME_SIZE];
    const struct rt_config *options = config->config;
    struct pg_pool_config pool = {
        .loop = config->loop,
        .conninfo = options->database_url,
        .application_name = name,
        .connections = (unsigned)options->snapshot_connections,
        .timeout = options->database_connect_timeout,
        /* The server ends a statement itself; this is for one that does not answer any more. */
        .statement_timeout = options->snapshot_timeout + options->database_connect_timeout,
        .retry_max = options->database_retry_max,
    };

    (void)snprintf(name, sizeof(name), "pgtide-broker-%" PRId64 "-snapshot", options->broker_shard);
    return pg_pool_new(&pool);
}

struct shard_snapshots *shard_snapshots_new(const struct shard_snapshots_config *config)
{
    struct shard_snapshots *all = rt_alloc(sizeof(*all));

    all->config = *config;
    all->pool = make_pool(config);
    snapshot_metrics_init(&all->metrics, config->metrics);
    return all;
}

void shard_snapshots_free(struct shard_snapshots *snapshots)
{
    if (snapshots == NULL) {
        return;
    }
    for (struct snapshot *at = snapshots->first, *next = NULL; at != NULL; at = next) {
        next = at->next;
        job_free(at->job);
        free(at);
    }
    pg_pool_free(snapshots->pool);
    free(snapshots);
}

static rt_usec roll_after(const struct rt_config *config)
{
    rt_usec share = config->window_time / ROLLS_PER_WINDOW;

    return share < config->snapshot_roll_after ? share : config->snapshot_roll_after;
}

void *shard_snapshots_start(struct shard_snapshots *snapshots, struct route_snapshot *handle,
                            const struct route_snapshot_want *want)
{
    static const struct job_events events = { .rows = on_rows,
                                              .catch_up = on_catch_up,
                                              .evicted_unseen = on_evicted_unseen,
                                              .over = on_over };
    const struct rt_config *options = snapshots->config.config;
    const struct policy_identity nobody = { .role = want->role }; /* no policy reads its claims */
    struct wire_position floor;

    if (want->relation == NULL || snapshots->count == SHARD_SNAPSHOTS_MAX ||
        !window_floor(snapshots->config.window, &floor)) {
        return NULL;
    }
    if (want->token.len > 0) {
        *want->gone = job_check_token(want->token, floor.epoch, want->relation->oid, floor.lsn);
        if (*want->gone != NULL) {
            rt_counter_add(snapshots->metrics.failed[SNAPSHOT_TOKEN], 1);
            return NULL;
        }
    }
    struct snapshot *snapshot = rt_alloc(sizeof(*snapshot));
    struct job_config job = {
        .loop = snapshots->config.loop,
        .log = snapshots->config.log,
        .pool = snapshots->pool,
        .metrics = &snapshots->metrics,
        .events = &events,
        .ctx = snapshot,
        .relation = want->relation,
        .access = want->access,
        .identity = want->identity != NULL ? want->identity : &nobody,
        .condition = want->condition,
        .token = want->token,
        .publication = options->database_publication,
        .epoch = floor.epoch,
        .page_rows = want->page_rows,
        .max_value = (uint32_t)options->database_max_value,
        .timeout = options->snapshot_timeout,
        .roll_after = roll_after(options),
    };
    snapshot->all = snapshots;
    snapshot->handle = handle;
    snapshot->oid = want->relation->oid;
    snapshot->job = job_new(&job);
    snapshot->next = snapshots->first;
    snapshot->link = &snapshots->first;
    if (snapshot->next != NULL) {
        snapshot->next->link = &snapshot->next;
    }
    snapshots->first = snapshot;
    snapshots->count++;
    return snapshot;
}

void shard_snapshots_more(void *snapshot, uint32_t parts)
{
    job_more(((struct snapshot *)snapshot)->job, parts);
}

void shard_snapshots_caught_up(void *snapshot)
{
    job_caught_up(((struct snapshot *)snapshot)->job);
}

void shard_snapshots_drop(void *snapshot)
{
    struct snapshot *it = snapshot;

    *it->link = it->next;
    if (it->next != NULL) {
        it->next->link = it->link;
    }
    it->all->count--;
    job_free(it->job);
    free(it);
}
