/* broker/shard_views.c - see shard_views.h. */
#include "broker/shard_views.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/policy/settings.h"
#include "broker/view/asks.h"
#include "broker/view/views.h"
#include "pg/pool.h"
#include "runtime/buf.h"
#include "runtime/config.h"
#include "runtime/log.h"

/* STATEMENTS_PER_DEADLINE: a statement that hangs takes its batch with it. The others of the batch are asked again, one by one, and
 * still have most of their time. */
enum { NAME_SIZE = 40, STATEMENTS_PER_DEADLINE = 4 };

#define PATIENCE (250 * RT_MSEC) /* transactions are shorter, as a rule */

struct shard_views {
    struct shard_views_config config;
    struct pg_pool *pool;
    struct views *views;
    struct asks *asks;
    char *names;           /* what `settings` points into */
    const char **settings; /* NULL ends them */
};

static void on_view(void *ctx, void *user, struct view *view, int code, const char *message)
{
    struct shard_views *all = ctx;

    route_view(user, view, code, message);
    all->config.on_work(all->config.ctx);
}

static void on_doubt(void *ctx, void *user, uint32_t xid, uint64_t lsn)
{
    (void)ctx;
    route_doubt(user, xid, lsn);
}

static void on_answers(void *ctx)
{
    struct shard_views *all = ctx;

    route_answers(*all->config.route);
    all->config.on_work(all->config.ctx);
}

static struct pg_pool *make_pool(const struct shard_views_config *config)
{
    char name[NAME_SIZE];
    const struct rt_config *options = config->config;
    struct pg_pool_config pool = {
        .loop = config->loop,
        .conninfo = options->database_url,
        .application_name = name,
        .connections = (unsigned)options->policies_connections,
        .timeout = options->database_connect_timeout,
        .statement_timeout = options->policies_deadline / STATEMENTS_PER_DEADLINE,
        .retry_max = options->database_retry_max,
    };

    (void)snprintf(name, sizeof(name), "pgtide-broker-%" PRId64 "-policies", options->broker_shard);
    return pg_pool_new(&pool);
}

/* "a,b=c": blanks around the commas do not count. False: one of them cannot be used, and the log names it. */
static bool read_settings(struct shard_views *all)
{
    size_t count = 0;
    char *rest = NULL;
    bool good = true;

    all->names = rt_strdup(all->config.config->policies_claims_settings);
    all->settings = rt_realloc(NULL, strlen(all->names) + 2, sizeof(char *));
    for (char *name = strtok_r(all->names, ", ", &rest); name != NULL;
         name = strtok_r(NULL, ", ", &rest)) {
        all->settings[count++] = name;
        if (!policy_setting_is_good(name)) {
            rt_log_error(all->config.log, "broker.bad_claims_setting", RT_S("entry", name),
                         RT_S("hint", "policies.claims_settings: NAME or NAME=CLAIM, where NAME "
                                      "has a point in it, as in request.jwt.claims"));
            good = false;
        }
    }
    all->settings[count] = NULL;
    return good;
}

static void make_views(struct shard_views *all)
{
    static const struct views_events events = { .on_view = on_view, .on_doubt = on_doubt };
    const struct shard_views_config *config = &all->config;
    struct views_config views = {
        .loop = config->loop,
        .log = config->log,
        .metrics = config->metrics,
        .pool = all->pool,
        .settings = all->settings,
        .search_path = config->config->policies_search_path,
        .deadline = config->config->policies_deadline,
        .keeps = true,
        .patience = PATIENCE,
        .events = &events,
        .ctx = all,
    };
    struct asks_config asks = {
        .loop = config->loop,
        .log = config->log,
        .metrics = config->metrics,
        .pool = all->pool,
        .deadline = config->config->policies_deadline,
        .max_pending = (size_t)config->config->policies_questions,
        .on_answers = on_answers,
        .ctx = all,
    };

    all->views = views_new(&views);
    all->asks = asks_new(&asks);
}

struct shard_views *shard_views_new(const struct shard_views_config *config)
{
    struct shard_views *all = rt_alloc(sizeof(*all));

    all->config = *config;
    if (!read_settings(all)) {
        shard_views_free(all);
        return NULL;
    }
    all->pool = make_pool(config);
    make_views(all);
    return all;
}

void shard_views_free(struct shard_views *all)
{
    if (all != NULL) {
        views_free(all->views);
        asks_free(all->asks);
        pg_pool_free(all->pool);
        free(all->names);
        free(all->settings);
        free(all);
    }
}

void shard_views_new_epoch(struct shard_views *all)
{
    views_new_epoch(all->views);
}

void shard_views_change(struct shard_views *all, struct relation *relation,
                        const struct wire_change *change, uint32_t xid)
{
    views_change(all->views, relation, change, xid);
}

void shard_views_touched(struct shard_views *all, const uint32_t *oids, uint32_t count,
                         uint32_t xid, uint64_t lsn)
{
    views_touched(all->views, oids, count, xid, lsn);
}

void *shard_views_watch(struct shard_views *all, struct viewer *viewer,
                        const struct view_want *want)
{
    return views_watch(all->views, want, viewer);
}

enum ask_state shard_views_ask(struct shard_views *all, struct view *view,
                               const struct ask_change *change, struct view_verdict *verdict)
{
    return asks_get(all->asks, view, change, verdict);
}

void shard_views_forget(struct shard_views *all, const struct view *view, uint64_t lsn,
                        uint32_t index)
{
    asks_forget(all->asks, view, lsn, index);
}
