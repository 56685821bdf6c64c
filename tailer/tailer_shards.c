/* tailer/tailer_shards.c - the pace: when reading waits for the shards, for how long, and what becomes of one that
 * does not come along.
 *
 * Reading pauses while a shard holds more than its ring, so that PostgreSQL keeps what memory does not. It waits for
 * links.shard_stall without a word from that shard; then, if another one can use what is read, the shard is left behind: its
 * frames are dropped, the others go on, and the slot stays where this shard was. When it is back the stream starts again
 * from there. Past the retention's bounds it is given up: the slot goes on, and a GAP tells the shard.
 */
#include <inttypes.h>
#include <string.h>

#include "runtime/config.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/process.h"
#include "tailer/lsn.h"
#include "tailer/tailer_impl.h"
#include "tailer/term.h"

static size_t ring_bytes(const struct tailer *tailer)
{
    return (size_t)tailer->process->config->links_tailer_ring;
}

void tailer_pause_when_behind(struct tailer *tailer)
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

void tailer_go_on(struct tailer *tailer)
{
    rt_usec waited = rt_now() - tailer->behind_since;

    if (tailer->behind < 0) {
        return;
    }
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
        tailer_go_on(tailer);
    } else {
        tailer->behind = still;
    }
}

void tailer_shard_acked(void *ctx, uint32_t shard)
{
    struct tailer *tailer = ctx;

    patience_heard(&tailer->patience[shard]);
    resume_when_half(tailer);
}

void tailer_shard_came(void *ctx, uint32_t shard)
{
    struct tailer *tailer = ctx;
    patience_heard(&tailer->patience[shard]);
}

/* --- patience ------------------------------------------------------------------------------------ */

static uint64_t server_lsn(const struct tailer *tailer)
{
    uint64_t published = publish_position_now(tailer->term->publish);
    uint64_t sampled = tailer->last_sample.server_lsn;

    return sampled > published ? sampled : published;
}

static bool endangered(const struct tailer *tailer)
{
    const char *status = tailer->last_sample.wal_status;
    return strcmp(status, "unreserved") == 0 || strcmp(status, "lost") == 0;
}

static enum patience_verdict look(struct tailer *tailer, uint32_t shard, rt_usec now)
{
    const struct rt_config *config = tailer->process->config;
    struct publish *publish = tailer->term->publish;
    enum publish_part part = publish_part_now(publish, shard);
    bool holds =
        part == PUBLISH_LEFT || (part == PUBLISH_TAKES && !links_acked(tailer->term->links, shard));
    struct patience_limits limits = { .stall = config->links_shard_stall,
                                      .time = config->retention_time,
                                      .bytes = (uint64_t)config->retention_bytes };

    return patience_look(&tailer->patience[shard], &limits, holds, server_lsn(tailer),
                         endangered(tailer), now);
}

static void leave(struct tailer *tailer, uint32_t shard)
{
    struct term *term = tailer->term;
    size_t pending = links_pending(term->links, shard);
    char lsn[LSN_TEXT_SIZE];

    publish_leave(term->publish, shard);
    links_renew(term->links, shard);
    lsn_text(publish_done(term->publish, shard), lsn);
    rt_counter_add(tailer->metrics.left_behind, 1);
    rt_log_warn(tailer->process->log, "shard.left_behind", RT_U("shard", shard),
                RT_S("acknowledged", lsn), RT_U("dropped_bytes", pending),
                RT_S("advice", "the others go on; it gets everything when it is back, since "
                               "PostgreSQL keeps the WAL for it"));
}

static void give_up(struct tailer *tailer, uint32_t shard)
{
    struct publish *publish = tailer->term->publish;
    char lsn[LSN_TEXT_SIZE];

    if (publish_part_now(publish, shard) == PUBLISH_TAKES) {
        leave(tailer, shard);
    }
    lsn_text(publish_done(publish, shard), lsn);
    publish_give_up(publish, shard);
    rt_counter_add(tailer->metrics.given_up, 1);
    rt_log_error(tailer->process->log, "shard.given_up", RT_U("shard", shard),
                 RT_S("acknowledged", lsn), RT_S("wal_status", tailer->last_sample.wal_status),
                 RT_S("advice",
                      "PostgreSQL keeps no WAL for it any more (retention.bytes, retention.time); "
                      "its clients will be told of a gap when it is back"));
}

/* Reading on is of use only to a shard that takes what is read. */
static bool somebody_else_reads(struct tailer *tailer, const enum patience_verdict *verdicts)
{
    for (uint32_t i = 0; i < (uint32_t)tailer->process->config->shards; i++) {
        if (verdicts[i] == PATIENCE_FINE &&
            publish_part_now(tailer->term->publish, i) == PUBLISH_TAKES) {
            return true;
        }
    }
    return false;
}

static void judge(struct tailer *tailer, rt_usec now)
{
    uint32_t count = (uint32_t)tailer->process->config->shards;

    for (uint32_t i = 0; i < count; i++) {
        tailer->verdicts[i] = look(tailer, i, now);
    }
    bool others = tailer->behind >= 0 && somebody_else_reads(tailer, tailer->verdicts);
    for (uint32_t i = 0; i < count; i++) {
        bool takes = publish_part_now(tailer->term->publish, i) == PUBLISH_TAKES;
        if (tailer->verdicts[i] == PATIENCE_SPENT) {
            give_up(tailer, i);
        } else if (tailer->verdicts[i] == PATIENCE_STALLED && takes && others &&
                   links_pending(tailer->term->links, i) > ring_bytes(tailer) / 2) {
            leave(tailer, i);
        }
    }
}

void tailer_look_at_shards(struct tailer *tailer, rt_usec now)
{
    if (tailer->drain_until != 0) {
        return;
    }
    judge(tailer, now);
    resume_when_half(tailer);
    if (publish_returning(tailer->term->publish) &&
        slot_restart(tailer->slot, "a shard that was left behind is back")) {
        rt_counter_add(tailer->metrics.rewinds, 1);
    }
}

/* --- reports ------------------------------------------------------------------------------------- */

static bool report_absent(struct tailer *tailer)
{
    for (uint32_t i = 0; i < (uint32_t)tailer->process->config->shards; i++) {
        enum publish_part part = publish_part_now(tailer->term->publish, i);
        if (part == PUBLISH_GIVEN_UP) {
            rt_condition_set(tailer->shards_condition, false,
                             "shard %" PRIu32 " was given up: it was away for longer than "
                             "retention.bytes or retention.time allow",
                             i);
            return true;
        }
        if (part == PUBLISH_LEFT) {
            rt_condition_set(tailer->shards_condition, false,
                             "shard %" PRIu32 " is left behind: it acknowledges nothing", i);
            return true;
        }
    }
    return false;
}

void tailer_report_shards(struct tailer *tailer)
{
    if (tailer->term == NULL) {
        rt_condition_set(tailer->shards_condition, false,
                         "not served: this tailer does not have the slot");
    } else if (tailer->behind >= 0) {
        rt_condition_set(tailer->shards_condition, false,
                         "shard %" PRId64 " is behind: reading waits for it", tailer->behind);
    } else if (!report_absent(tailer)) {
        links_report(tailer->term->links, tailer->shards_condition);
    }
}
