/* tailer/tailer.c - life, time and metrics of the tier, see tailer.h. */
#include "tailer/tailer.h"

#include <stdlib.h>
#include <string.h>

#include "proto/records.h"
#include "runtime/config.h"
#include "runtime/health.h"
#include "runtime/keys.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/process.h"
#include "tailer/catalog.h"
#include "tailer/dsn.h"
#include "tailer/lsn.h"
#include "tailer/marker.h"
#include "tailer/tailer_impl.h"
#include "tailer/term.h"

#define SAMPLE_PERIOD (5 * RT_SEC)
#define DRAIN_TIME    (2 * RT_SEC)
#define DRAIN_LOOK    (20 * RT_MSEC)

/* --- time ---------------------------------------------------------------------------------------- */

static void on_hold_timer(void *ctx)
{
    struct tailer *tailer = ctx;
    slot_retry(tailer->slot);
}

static void on_tick(void *ctx)
{
    struct tailer *tailer = ctx;

    if (tailer->term != NULL) {
        rt_usec now = rt_now();
        publish_tick(tailer->term->publish, now);
        window_reach(&tailer->term->window, publish_position_now(tailer->term->publish), now);
        relcache_purge(tailer->term->relcache, publish_fences(tailer->term->publish));
        tailer_look_at_shards(tailer, now);
    }
    tailer_report_shards(tailer);
}

/* The window is the first thing to give up when PostgreSQL gets short of room for the slot. */
static void fit_window(struct tailer *tailer, bool endangered)
{
    const struct setup_sample *sample = &tailer->last_sample;
    struct window *window = &tailer->term->window;
    uint64_t wanted = (uint64_t)tailer->process->config->window_bytes;
    uint64_t bytes =
        endangered ? 0 : window_affordable(wanted, sample->retained, sample->safe_bytes);
    bool was_whole = window->bytes == wanted;

    window_limit(window, bytes);
    if (was_whole && bytes < wanted) {
        rt_log_warn(
            tailer->process->log, "window.shortened", RT_U("bytes", bytes), RT_U("wanted", wanted),
            RT_I("safe_wal_size", sample->safe_bytes),
            RT_S("advice", "max_slot_wal_keep_size should be more than twice window.bytes"));
    } else if (!was_whole && bytes == wanted) {
        rt_log_info(tailer->process->log, "window.whole", RT_U("bytes", bytes));
    }
}

static void on_sample(void *ctx)
{
    struct tailer *tailer = ctx;
    struct setup_sample *now = &tailer->last_sample;
    struct setup_sample before = *now;

    if (slot_state_now(tailer->slot) != SLOT_STREAMING || !setup_sample(&tailer->setup, now)) {
        return;
    }
    bool worse = strcmp(now->wal_status, "unreserved") == 0 || strcmp(now->wal_status, "lost") == 0;
    fit_window(tailer, worse);
    if (worse && strcmp(now->wal_status, before.wal_status) != 0) {
        rt_log_error(tailer->process->log, "slot.endangered", RT_S("wal_status", now->wal_status),
                     RT_S("advice", "PostgreSQL is about to throw away WAL that is still needed: "
                                    "start the missing shards, or raise max_slot_wal_keep_size"));
    }
    slot_policies_look(tailer->slot);
}

static double difference(uint64_t a, uint64_t b)
{
    return a > b ? (double)(a - b) : 0;
}

static void on_render(void *ctx)
{
    struct tailer *tailer = ctx;
    const struct instruments *metrics = &tailer->metrics;
    const struct setup_sample *sample = &tailer->last_sample;
    rt_usec paused = tailer->paused + (tailer->behind >= 0 ? rt_now() - tailer->behind_since : 0);

    rt_gauge_set(metrics->state, (double)slot_state_now(tailer->slot));
    rt_gauge_set(metrics->confirmed_lsn, (double)slot_confirmed(tailer->slot));
    rt_gauge_set(metrics->retained_bytes, (double)sample->retained);
    rt_gauge_set(metrics->safe_bytes,
                 sample->safe_bytes == INT64_MAX ? -1 : (double)sample->safe_bytes);
    rt_gauge_set(metrics->paused_seconds, (double)paused / (double)RT_SEC);
    if (tailer->term == NULL) {
        return;
    }
    struct relcache_stats stats = relcache_stats(tailer->term->relcache);
    uint64_t published = publish_position_now(tailer->term->publish);
    const struct window *window = &tailer->term->window;
    rt_gauge_set(metrics->window_start, (double)window->start);
    rt_gauge_set(metrics->window_bytes, difference(window->position, window->start));
    rt_gauge_set(metrics->window_limit, (double)window->bytes);
    rt_gauge_set(metrics->window_seconds, (double)window_age(window, rt_now()) / (double)RT_SEC);
    rt_gauge_set(metrics->published_lsn, (double)published);
    rt_gauge_set(metrics->lag_bytes, difference(sample->server_lsn, published));
    rt_gauge_set(metrics->frame_bytes, (double)publish_bytes(tailer->term->publish));
    rt_gauge_set(metrics->relations, (double)stats.kept);
    rt_gauge_set(metrics->generations, (double)stats.generations);
    rt_gauge_set(metrics->absent_types, (double)stats.absent_types);
    rt_gauge_set(metrics->complex_types, (double)stats.complex_types);
    for (uint32_t i = 0; i < (uint32_t)tailer->process->config->shards; i++) {
        rt_gauge_set(metrics->shards[i].pending, (double)links_pending(tailer->term->links, i));
        rt_gauge_set(metrics->shards[i].part, publish_part_now(tailer->term->publish, i));
    }
}

static void on_draining(void *ctx)
{
    struct tailer *tailer = ctx;
    bool done = tailer->term == NULL || links_all_acked(tailer->term->links);

    if (done || rt_now() >= tailer->drain_until) {
        rt_timer_stop(tailer->draining);
        slot_stop(tailer->slot);
        rt_loop_stop(tailer->process->loop);
    }
}

/* --- life ---------------------------------------------------------------------------------------- */

static bool is_connection_string(const char *url)
{
    struct dsn dsn;
    bool is = dsn_init(&dsn, url, DSN_SQL, RT_SEC);

    dsn_fini(&dsn);
    return is;
}

static bool config_works(struct rt_process *process)
{
    const struct rt_config *config = process->config;
    const char *problem = NULL;

    if (config->database_url[0] == '\0') {
        problem = "database.url is empty: set it, or DATABASE_URL";
    } else if (!is_connection_string(config->database_url)) {
        problem = "database.url is not a connection string: "
                  "postgresql://user:password@host:port/database";
    } else if (!lsn_slot_name_ok(config->database_slot)) {
        problem = "database.slot must be 1 to 63 of a-z, 0-9 and _";
    } else if (config->database_publication[0] == '\0' ||
               strlen(config->database_publication) > WIRE_NAME_MAX) {
        problem = "database.publication must be 1 to 63 bytes";
    } else if (config->database_policy_publication[0] == '\0' ||
               strlen(config->database_policy_publication) > WIRE_NAME_MAX) {
        problem = "database.policy_publication must be 1 to 63 bytes";
    }
    if (problem != NULL) {
        rt_log_error(process->log, "config.unusable", RT_S("reason", problem));
    }
    return problem == NULL;
}

static void start_parts(struct tailer *tailer)
{
    struct rt_process *process = tailer->process;
    const struct rt_config *config = process->config;

    tailer->catalog = catalog_new(&(struct catalog_config){
        .url = config->database_url,
        .policy_publication = config->database_policy_publication,
        .timeout = config->database_connect_timeout,
        .log = process->log,
        .queries = tailer->metrics.catalog_queries,
    });
    tailer->setup = (struct setup_config){
        .catalog = tailer->catalog,
        .log = process->log,
        .slot = config->database_slot,
        .publication = config->database_publication,
        .policy_publication = config->database_policy_publication,
    };
    tailer->marker = marker_new(&(struct marker_config){
        .loop = process->loop,
        .log = process->log,
        .url = config->database_url,
        .interval = config->freshness_interval,
        .timeout = config->database_connect_timeout,
        .retry_max = config->database_retry_max,
        .written = tailer->metrics.markers,
        .failed = tailer->metrics.marker_failures,
    });
    tailer->slot = slot_new(&(struct slot_config){
        .url = config->database_url,
        .setup = tailer->setup,
        .timeout = config->database_connect_timeout,
        .retry_max = config->database_retry_max,
        .loop = process->loop,
        .log = process->log,
        .health = process->health,
        .reconnects = tailer->metrics.reconnects,
        .illegal_events = tailer->metrics.illegal_events,
        .events = &tailer_slot_events,
        .ctx = tailer,
    });
}

static void start_timers(struct tailer *tailer)
{
    struct rt_loop *loop = tailer->process->loop;

    tailer->tick = rt_timer_new(loop, on_tick, tailer);
    tailer->sample = rt_timer_new(loop, on_sample, tailer);
    tailer->hold = rt_timer_new(loop, on_hold_timer, tailer);
    tailer->draining = rt_timer_new(loop, on_draining, tailer);
    rt_timer_set(tailer->tick, PUBLISH_PROGRESS_QUICK, PUBLISH_PROGRESS_QUICK);
    rt_timer_set(tailer->sample, SAMPLE_PERIOD, SAMPLE_PERIOD);
}

struct tailer *tailer_new(struct rt_process *process)
{
    const struct rt_config *config = process->config;
    struct rt_keys *keys = NULL;

    if (!config_works(process)) {
        return NULL;
    }
    if (config->links_key_file[0] != '\0') {
        keys = rt_keys_load(config->links_key_file, process->log);
        if (keys == NULL) {
            return NULL;
        }
    }
    struct tailer *tailer = rt_alloc(sizeof(*tailer));
    tailer->process = process;
    tailer->keys = keys;
    tailer->behind = -1;
    tailer->last_sample.safe_bytes = INT64_MAX;
    tailer->patience = rt_alloc((size_t)config->shards * sizeof(*tailer->patience));
    tailer->verdicts = rt_alloc((size_t)config->shards * sizeof(*tailer->verdicts));
    instruments_init(&tailer->metrics, process->metrics, (uint32_t)config->shards);
    tailer->catalog_condition = rt_condition_new(process->health, "catalog");
    tailer->shards_condition = rt_condition_new(process->health, "shards");
    rt_condition_set(tailer->catalog_condition, true, "no complaint");
    start_parts(tailer);
    start_timers(tailer);
    rt_metrics_on_render(process->metrics, on_render, tailer);
    return tailer;
}

void tailer_free(struct tailer *tailer)
{
    if (tailer == NULL) {
        return;
    }
    slot_free(tailer->slot);
    marker_free(tailer->marker);
    term_free(tailer->term);
    catalog_free(tailer->catalog);
    rt_timer_free(tailer->tick);
    rt_timer_free(tailer->sample);
    rt_timer_free(tailer->hold);
    rt_timer_free(tailer->draining);
    instruments_fini(&tailer->metrics);
    rt_keys_free(tailer->keys);
    free(tailer->patience);
    free(tailer->verdicts);
    free(tailer);
}

void tailer_drain(struct tailer *tailer)
{
    if (tailer->term != NULL) {
        publish_turn_end(tailer->term->publish, rt_now());
    }
    slot_pause(tailer->slot, true);
    marker_stop(tailer->marker);
    tailer->drain_until = rt_now() + DRAIN_TIME;
    rt_timer_set(tailer->draining, 0, DRAIN_LOOK);
}
