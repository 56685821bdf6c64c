/* tailer/tailer.c - see tailer.h.
 *
 * What must stay true: everything of a term exists, or nothing; the slot is never freed inside one of its
 * callbacks; reading is paused exactly while `behind` names a shard.
 */
#include "tailer/tailer.h"

#include <inttypes.h>
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
#include "tailer/instruments.h"
#include "tailer/lsn.h"
#include "tailer/slot.h"
#include "tailer/term.h"

#define HOLD_RETRY    (20 * RT_MSEC)
#define HOLD_PATIENCE (2 * RT_SEC) /* for a transaction to become visible in the catalog */
#define SAMPLE_PERIOD (5 * RT_SEC)
#define DRAIN_TIME    (2 * RT_SEC)

struct tailer {
    struct rt_process *process;
    struct rt_keys *keys;
    struct catalog *catalog;
    struct setup_config setup;
    struct slot *slot;
    struct term *term; /* NULL: the slot is somebody else's, or not ours yet */
    struct instruments metrics;
    struct rt_condition *catalog_condition;
    struct rt_condition *shards_condition;
    struct rt_timer *tick;
    struct rt_timer *sample;
    struct rt_timer *hold;
    struct rt_timer *draining;
    rt_usec drain_until;
    rt_usec hold_since; /* 0: no message is held */
    int64_t behind;     /* the shard that reading waits for, or -1 */
    rt_usec behind_since;
    rt_usec paused; /* time spent waiting before */
    uint64_t checked_bytes;
    struct setup_sample last_sample;
};

/* --- flow control -------------------------------------------------------------------------------- */

static size_t ring_bytes(const struct tailer *tailer)
{
    return (size_t)tailer->process->config->links_tailer_ring;
}

static void pause_when_behind(struct tailer *tailer)
{
    uint64_t sent = publish_bytes(tailer->term->publish);

    if (tailer->behind >= 0 || sent == tailer->checked_bytes) {
        return;
    }
    tailer->checked_bytes = sent;
    tailer->behind = links_behind(tailer->term->links, ring_bytes(tailer));
    if (tailer->behind >= 0) {
        tailer->behind_since = rt_now();
        slot_pause(tailer->slot, true);
        rt_log_info(tailer->process->log, "reading.paused", RT_I("shard", tailer->behind));
    }
}

static void go_on(struct tailer *tailer)
{
    rt_usec waited = rt_now() - tailer->behind_since;

    rt_log_info(tailer->process->log, "reading.resumed", RT_I("shard", tailer->behind),
                RT_R("seconds", (double)waited / (double)RT_SEC));
    tailer->paused += waited;
    tailer->behind = -1;
    slot_pause(tailer->slot, false);
}

static void resume_when_half(struct tailer *tailer)
{
    if (tailer->behind < 0 || tailer->drain_until != 0) {
        return;
    }
    int64_t still = links_behind(tailer->term->links, ring_bytes(tailer) / 2);
    if (still < 0) {
        go_on(tailer);
    } else {
        tailer->behind = still;
    }
}

static void report_shards(struct tailer *tailer)
{
    if (tailer->term == NULL) {
        rt_condition_set(tailer->shards_condition, false,
                         "not served: this tailer does not have the slot");
    } else if (tailer->behind >= 0) {
        rt_condition_set(tailer->shards_condition, false,
                         "shard %" PRId64 " is behind: reading waits for it", tailer->behind);
    } else {
        links_report(tailer->term->links, tailer->shards_condition);
    }
}

/* --- the slot ------------------------------------------------------------------------------------ */

static void on_ack(void *ctx)
{
    struct tailer *tailer = ctx;
    resume_when_half(tailer);
}

static struct term *begin_term(struct tailer *tailer, const struct slot_session *session)
{
    return term_new(&(struct term_config){
        .process = tailer->process,
        .keys = tailer->keys,
        .catalog = tailer->catalog,
        .metrics = &tailer->metrics,
        .on_ack = on_ack,
        .ctx = tailer,
        .epoch = session->epoch,
        .start_lsn = session->start_lsn,
    });
}

static void declare_gap(struct tailer *tailer, struct wire_position from,
                        const struct slot_session *session, const char *reason)
{
    struct wire_gap gap = {
        .from = from,
        .to = { .epoch = session->epoch, .lsn = session->start_lsn, .index = UINT32_MAX },
        .reason = { reason, strnlen(reason, WIRE_TEXT_MAX) },
    };
    char text[WIRE_POSITION_TEXT_SIZE];

    wire_position_text(&from, text);
    rt_log_warn(tailer->process->log, "history.gap", RT_S("after", text), RT_S("reason", reason));
    rt_counter_add(tailer->metrics.gaps, 1);
    publish_gap(tailer->term->publish, &gap);
    consume_forget(tailer->term->consume);
    tailer->term->epoch = session->epoch;
}

static bool on_streaming(void *ctx, const struct slot_session *session)
{
    struct tailer *tailer = ctx;

    if (tailer->term == NULL) {
        tailer->term = begin_term(tailer, session);
        if (tailer->term == NULL) {
            return false;
        }
        if (session->renewed) {
            declare_gap(tailer, (struct wire_position){ .epoch = session->old_epoch }, session,
                        session->reason);
        }
    } else if (tailer->term->epoch != session->epoch) {
        struct wire_position from = {
            .epoch = tailer->term->epoch,
            .lsn = publish_position_now(tailer->term->publish),
            .index = UINT32_MAX,
        };
        declare_gap(tailer, from, session,
                    session->renewed ? session->reason : "another server or timeline");
    }
    report_shards(tailer);
    return true;
}

static void hold(struct tailer *tailer, enum consume_result why)
{
    if (tailer->hold_since == 0) {
        tailer->hold_since = rt_now();
        rt_counter_add(tailer->metrics.catalog_waits, 1);
    }
    if (why == CONSUME_DOWN) {
        rt_condition_set(tailer->catalog_condition, false,
                         "a table's definition cannot be read: %s", catalog_error(tailer->catalog));
    }
    rt_timer_set(tailer->hold, HOLD_RETRY, 0);
}

static void held_is_over(struct tailer *tailer)
{
    if (tailer->hold_since != 0) {
        tailer->hold_since = 0;
        rt_timer_stop(tailer->hold);
    }
    rt_condition_set(tailer->catalog_condition, true, "no complaint");
}

static enum slot_verdict on_message(void *ctx, struct rt_span message, const char **out_reason)
{
    struct tailer *tailer = ctx;
    bool insist = tailer->hold_since != 0 && rt_now() - tailer->hold_since >= HOLD_PATIENCE;
    enum consume_result result =
        consume_message(tailer->term->consume, message, insist, out_reason);

    switch (result) {
    case CONSUME_OK:
        if (tailer->hold_since != 0) {
            held_is_over(tailer);
        }
        pause_when_behind(tailer);
        return SLOT_TAKEN;
    case CONSUME_WAIT:
    case CONSUME_DOWN:
        hold(tailer, result);
        return SLOT_HOLD;
    case CONSUME_BAD:
    default:
        rt_counter_add(tailer->metrics.decode_errors, 1);
        rt_log_error(tailer->process->log, "stream.not_understood", RT_S("reason", *out_reason),
                     RT_U("bytes", message.len));
        return SLOT_REFUSED;
    }
}

static void on_hold_timer(void *ctx)
{
    struct tailer *tailer = ctx;
    slot_retry(tailer->slot);
}

static void on_position(void *ctx, uint64_t wal_end, int64_t server_time)
{
    struct tailer *tailer = ctx;
    consume_position(tailer->term->consume, wal_end, server_time);
}

static void on_turn_end(void *ctx)
{
    struct tailer *tailer = ctx;

    publish_turn_end(tailer->term->publish, rt_now());
    pause_when_behind(tailer);
}

static void on_break(void *ctx)
{
    struct tailer *tailer = ctx;

    held_is_over(tailer);
    if (tailer->term != NULL) {
        consume_break(tailer->term->consume);
    }
}

static void on_released(void *ctx)
{
    struct tailer *tailer = ctx;

    if (tailer->behind >= 0) {
        go_on(tailer);
    }
    term_free(tailer->term);
    tailer->term = NULL;
    tailer->checked_bytes = 0;
    report_shards(tailer);
}

static uint64_t resume_lsn(void *ctx)
{
    const struct tailer *tailer = ctx;
    return tailer->term == NULL ? 0 : consume_resume_lsn(tailer->term->consume);
}

static uint64_t confirmable(void *ctx)
{
    struct tailer *tailer = ctx;
    return publish_confirmable(tailer->term->publish);
}

/* --- time ---------------------------------------------------------------------------------------- */

static void on_tick(void *ctx)
{
    struct tailer *tailer = ctx;

    if (tailer->term != NULL) {
        publish_tick(tailer->term->publish, rt_now());
        relcache_purge(tailer->term->relcache, publish_fences(tailer->term->publish));
    }
    report_shards(tailer);
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
    if (worse && strcmp(now->wal_status, before.wal_status) != 0) {
        rt_log_error(tailer->process->log, "slot.endangered", RT_S("wal_status", now->wal_status),
                     RT_S("advice", "PostgreSQL is about to throw away WAL that is still needed: "
                                    "start the missing shards, or raise max_slot_wal_keep_size"));
    }
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
    rt_gauge_set(metrics->published_lsn, (double)published);
    rt_gauge_set(metrics->lag_bytes, difference(sample->server_lsn, published));
    rt_gauge_set(metrics->frame_bytes, (double)publish_bytes(tailer->term->publish));
    rt_gauge_set(metrics->relations, (double)stats.kept);
    rt_gauge_set(metrics->generations, (double)stats.generations);
    rt_gauge_set(metrics->absent_types, (double)stats.absent_types);
    rt_gauge_set(metrics->complex_types, (double)stats.complex_types);
    for (uint32_t i = 0; i < (uint32_t)tailer->process->config->shards; i++) {
        rt_gauge_set(metrics->shards[i].pending, (double)links_pending(tailer->term->links, i));
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
    }
    if (problem != NULL) {
        rt_log_error(process->log, "config.unusable", RT_S("reason", problem));
    }
    return problem == NULL;
}

static void start_parts(struct tailer *tailer)
{
    static const struct slot_events events = {
        .on_streaming = on_streaming,
        .on_message = on_message,
        .on_position = on_position,
        .on_turn_end = on_turn_end,
        .on_break = on_break,
        .on_released = on_released,
        .resume_lsn = resume_lsn,
        .confirmable = confirmable,
    };
    struct rt_process *process = tailer->process;
    const struct rt_config *config = process->config;

    tailer->catalog = catalog_new(&(struct catalog_config){
        .url = config->database_url,
        .timeout = config->database_connect_timeout,
        .log = process->log,
        .queries = tailer->metrics.catalog_queries,
    });
    tailer->setup = (struct setup_config){
        .catalog = tailer->catalog,
        .log = process->log,
        .slot = config->database_slot,
        .publication = config->database_publication,
    };
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
        .events = &events,
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
    term_free(tailer->term);
    catalog_free(tailer->catalog);
    rt_timer_free(tailer->tick);
    rt_timer_free(tailer->sample);
    rt_timer_free(tailer->hold);
    rt_timer_free(tailer->draining);
    instruments_fini(&tailer->metrics);
    rt_keys_free(tailer->keys);
    free(tailer);
}

void tailer_drain(struct tailer *tailer)
{
    if (tailer->term != NULL) {
        publish_turn_end(tailer->term->publish, rt_now());
    }
    slot_pause(tailer->slot, true);
    tailer->drain_until = rt_now() + DRAIN_TIME;
    rt_timer_set(tailer->draining, 0, HOLD_RETRY);
}
