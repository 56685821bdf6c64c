/* tailer/tailer_slot.c - what the slot reports. */
#include <inttypes.h>
#include <string.h>

#include "proto/records.h"
#include "runtime/config.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/process.h"
#include "tailer/catalog.h"
#include "tailer/marker.h"
#include "tailer/tailer_impl.h"
#include "tailer/term.h"

#define HOLD_RETRY    (20 * RT_MSEC)
#define HOLD_PATIENCE (2 * RT_SEC) /* for a transaction to become visible in the catalog */

/* --- the slot ------------------------------------------------------------------------------------ */

static struct term *begin_term(struct tailer *tailer, const struct slot_session *session)
{
    return term_new(&(struct term_config){
        .process = tailer->process,
        .keys = tailer->keys,
        .catalog = tailer->catalog,
        .metrics = &tailer->metrics,
        .on_ack = tailer_shard_acked,
        .on_fresh = tailer_shard_came,
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
        .to = { .epoch = session->epoch, .lsn = session->start_lsn - 1, .index = UINT32_MAX },
        .reason = { reason, strnlen(reason, WIRE_TEXT_MAX) },
    };
    char text[WIRE_POSITION_TEXT_SIZE];

    wire_position_text(&from, text);
    rt_log_warn(tailer->process->log, "history.gap", RT_S("after", text), RT_S("reason", reason));
    rt_counter_add(tailer->metrics.gaps, 1);
    publish_gap(tailer->term->publish, &gap, session->start_lsn);
    window_init(&tailer->term->window, tailer->term->window.time, tailer->term->window.bytes,
                session->start_lsn, rt_now());
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
            .lsn = publish_position_now(tailer->term->publish) - 1,
            .index = UINT32_MAX,
        };
        declare_gap(tailer, from, session,
                    session->renewed ? session->reason : "another server or timeline");
    }
    if (tailer->drain_until == 0) {
        marker_start(tailer->marker);
    }
    tailer_report_shards(tailer);
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
        tailer_pause_when_behind(tailer);
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

static void on_position(void *ctx, uint64_t wal_end, int64_t server_time)
{
    struct tailer *tailer = ctx;
    consume_position(tailer->term->consume, wal_end, server_time);
}

static void on_turn_end(void *ctx)
{
    struct tailer *tailer = ctx;

    publish_turn_end(tailer->term->publish, rt_now());
    tailer_pause_when_behind(tailer);
}

static void on_break(void *ctx)
{
    struct tailer *tailer = ctx;

    held_is_over(tailer);
    marker_rest(tailer->marker);
    if (tailer->term != NULL) {
        consume_break(tailer->term->consume);
    }
}

static void on_released(void *ctx)
{
    struct tailer *tailer = ctx;

    tailer_go_on(tailer);
    marker_stop(tailer->marker);
    term_free(tailer->term);
    tailer->term = NULL;
    tailer->checked_bytes = 0;
    memset(tailer->patience, 0,
           (size_t)tailer->process->config->shards * sizeof(*tailer->patience));
    tailer_report_shards(tailer);
}

static uint64_t resume_lsn(void *ctx)
{
    const struct tailer *tailer = ctx;
    return tailer->term == NULL ? 0 : publish_resume(tailer->term->publish);
}

static uint64_t confirmable(void *ctx)
{
    const struct tailer *tailer = ctx;
    const struct term *term = tailer->term;

    return publish_confirmable(term->publish, term->window.start);
}

const struct slot_events tailer_slot_events = {
    .on_streaming = on_streaming,
    .on_message = on_message,
    .on_position = on_position,
    .on_turn_end = on_turn_end,
    .on_break = on_break,
    .on_released = on_released,
    .resume_lsn = resume_lsn,
    .confirmable = confirmable,
};
