/* broker/upstream.c - one record after the other, each once, none while something is to be known first. */
#include "broker/upstream.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"

/* AGAIN: not done, the same record is tried again after the wait. */
enum step { STEP_NEXT, STEP_AGAIN, STEP_BAD };

struct upstream {
    struct upstream_config config;
    int waits;
    struct rt_buf rest; /* of the frame that processing stopped in */
    rt_usec now;        /* of the call at hand */
    struct wire_begin begin;
    bool in_transaction;
    bool repeated;  /* the whole transaction at hand was processed before */
    bool processed; /* `last` says something */
    struct wire_position last;
    bool epoch_known;
    uint64_t epoch;
    const char *gap_reason; /* a hole that edges are not told of yet */
    uint32_t needed;
    rt_usec needed_since; /* 0: not asked yet */
    rt_usec needed_at;
    bool give_up; /* on `needed` */
    struct relation **truncated;
    uint32_t truncated_cap;
};

static void fence(struct upstream *up, const struct relation *relation)
{
    uint32_t xid = up->in_transaction ? up->begin.xid : 0;
    uint64_t lsn = up->in_transaction ? up->begin.commit_lsn : 0;

    if (up->config.events->fence(up->config.ctx, relation, xid, lsn)) {
        up->waits |= UPSTREAM_WAIT_AUTHORITY;
    }
}

/* Names the history that the stream is in now; tells the edges of what lies between. */
static void enter(struct upstream *up, uint64_t epoch, uint64_t lsn)
{
    bool other = up->epoch_known && up->epoch != epoch;
    const char *reason = up->gap_reason;

    if (other && reason == NULL) {
        reason = "the database's history changed";
    }
    if (reason != NULL) {
        struct wire_gap gap = {
            .from = up->last,
            .to = { .epoch = epoch, .lsn = lsn - 1, .index = UINT32_MAX },
            .reason = { reason, strlen(reason) },
        };
        up->gap_reason = NULL;
        route_gap(up->config.route, &gap);
    }
    if (other || !up->epoch_known) {
        up->processed = false;
        up->epoch_known = true;
        up->epoch = epoch;
        up->config.events->new_epoch(up->config.ctx, epoch);
    }
    if (reason != NULL) {
        /* The word that rights changed may have been in the hole. */
        up->in_transaction = false;
        fence(up, NULL);
    }
}

static void reach(struct upstream *up, uint32_t index)
{
    up->processed = true;
    up->last = (struct wire_position){ up->begin.epoch, up->begin.commit_lsn, index };
}

static bool is_duplicate(struct upstream *up, uint32_t index)
{
    struct wire_position at = { up->begin.epoch, up->begin.commit_lsn, index };

    if (!up->repeated && (!up->processed || wire_position_cmp(&at, &up->last) > 0)) {
        return false;
    }
    rt_counter_add(up->config.stats->duplicates, 1);
    return true;
}

static enum step on_begin(struct upstream *up, struct wire_reader *in)
{
    struct wire_begin begin;

    if (wire_decode_begin(in, &begin) != WIRE_OK || begin.commit_lsn == 0) {
        return STEP_BAD;
    }
    enter(up, begin.epoch, begin.commit_lsn);
    struct wire_position end = { begin.epoch, begin.commit_lsn, UINT32_MAX };
    up->begin = begin;
    up->in_transaction = true;
    up->repeated = up->processed && wire_position_cmp(&end, &up->last) <= 0;
    if (!up->repeated) {
        route_begin(up->config.route, &begin);
    }
    return STEP_NEXT;
}

/* NULL: wait for it, or (give_up, once) do without. */
static struct relation *find_relation(struct upstream *up, uint32_t rel)
{
    struct relation *relation = relations_find(up->config.relations, rel);

    if (relation != NULL) {
        return relation;
    }
    if (up->give_up && up->needed == rel) {
        return NULL;
    }
    up->needed = rel;
    up->needed_since = up->now;
    up->needed_at = up->now;
    up->waits |= UPSTREAM_WAIT_RELATION;
    rt_counter_add(up->config.stats->unknown_relations, 1);
    up->config.events->need(up->config.ctx, rel);
    return NULL;
}

/* The record at hand is given up: its relation cannot be had. */
static enum step give_up(struct upstream *up, uint32_t index)
{
    static const char reason[] = "the definition of a changed table could not be had";
    struct wire_begin begin = up->begin;
    struct wire_gap gap = {
        .from = up->processed
                    ? up->last
                    : (struct wire_position){ begin.epoch, begin.commit_lsn - 1, UINT32_MAX },
        .to = { begin.epoch, begin.commit_lsn, index },
        .reason = { reason, sizeof(reason) - 1 },
    };

    up->give_up = false;
    route_gap(up->config.route, &gap);
    route_begin(up->config.route, &begin);
    reach(up, index);
    return STEP_NEXT;
}

static enum step on_change(struct upstream *up, struct wire_reader *in)
{
    struct wire_change change;

    if (wire_decode_change(in, &change) != WIRE_OK || !up->in_transaction) {
        return STEP_BAD;
    }
    if (is_duplicate(up, change.index)) {
        return STEP_NEXT;
    }
    struct relation *relation = find_relation(up, change.rel);
    if (relation == NULL) {
        return up->give_up ? give_up(up, change.index) : STEP_AGAIN;
    }
    rt_counter_add(up->config.stats->changes, 1);
    route_change(up->config.route, relation, &change);
    reach(up, change.index);
    return STEP_NEXT;
}

static enum step on_truncate(struct upstream *up, struct wire_reader *in)
{
    struct wire_truncate truncate;

    if (wire_decode_truncate(in, &truncate) != WIRE_OK || !up->in_transaction) {
        return STEP_BAD;
    }
    if (is_duplicate(up, truncate.index)) {
        return STEP_NEXT;
    }
    if (truncate.rel_count > up->truncated_cap) {
        up->truncated = rt_realloc(up->truncated, truncate.rel_count, sizeof(struct relation *));
        up->truncated_cap = truncate.rel_count;
    }
    for (uint32_t i = 0; i < truncate.rel_count; i++) {
        struct relation *relation = find_relation(up, wire_read_u32(&truncate.rels));
        if (relation == NULL) {
            return up->give_up ? give_up(up, truncate.index) : STEP_AGAIN;
        }
        up->truncated[i] = relation;
    }
    rt_counter_add(up->config.stats->changes, 1);
    route_truncate(up->config.route, up->truncated, truncate.rel_count, &truncate);
    reach(up, truncate.index);
    return STEP_NEXT;
}

static enum step on_relation(struct upstream *up, const uint8_t *start, struct wire_reader *in)
{
    struct wire_relation head;
    struct relation *relation = NULL;

    if (wire_decode_relation(in, &head) != WIRE_OK) {
        return STEP_BAD;
    }
    struct wire_span record = { (const char *)start, (size_t)(in->at - start) };
    if (relations_put(up->config.relations, record, &relation) != WIRE_OK) {
        return STEP_BAD;
    }
    fence(up, relation);
    return STEP_NEXT;
}

static enum step on_message(struct upstream *up, struct wire_reader *in)
{
    static const char ddl[] = UPSTREAM_DDL_PREFIX;
    struct wire_message message;

    if (wire_decode_message(in, &message) != WIRE_OK ||
        (message.transactional && !up->in_transaction)) {
        return STEP_BAD;
    }
    if (message.transactional && is_duplicate(up, message.index)) {
        return STEP_NEXT;
    }
    if (message.prefix.len == sizeof(ddl) - 1 &&
        memcmp(message.prefix.data, ddl, sizeof(ddl) - 1) == 0) {
        fence(up, NULL);
    }
    if (message.transactional) {
        reach(up, message.index);
    }
    return STEP_NEXT;
}

static enum step on_end(struct upstream *up, struct wire_reader *in)
{
    struct wire_end end;

    if (wire_decode_end(in, &end) != WIRE_OK || !up->in_transaction) {
        return STEP_BAD;
    }
    if (!up->repeated) {
        route_end(up->config.route, &end);
        reach(up, UINT32_MAX);
        rt_gauge_set(up->config.stats->position_lsn, (double)up->last.lsn);
        rt_gauge_set(up->config.stats->database_time, (double)up->begin.commit_time / 1e6);
    }
    up->in_transaction = false;
    return STEP_NEXT;
}

static enum step on_progress(struct upstream *up, struct wire_reader *in)
{
    struct wire_progress progress;

    if (wire_decode_progress(in, &progress) != WIRE_OK || progress.lsn == 0) {
        return STEP_BAD;
    }
    enter(up, progress.epoch, progress.lsn);
    route_progress(up->config.route, &progress, up->now);
    rt_gauge_set(up->config.stats->position_lsn, (double)progress.lsn);
    rt_gauge_set(up->config.stats->database_time, (double)progress.server_time / 1e6);
    return STEP_NEXT;
}

static enum step on_gap(struct upstream *up, struct wire_reader *in)
{
    struct wire_gap gap;

    if (wire_decode_gap(in, &gap) != WIRE_OK) {
        return STEP_BAD;
    }
    up->gap_reason = NULL; /* this gap covers it */
    up->in_transaction = false;
    up->processed = false;
    up->epoch_known = true;
    up->epoch = gap.to.epoch;
    route_gap(up->config.route, &gap);
    up->config.events->new_epoch(up->config.ctx, gap.to.epoch);
    fence(up, NULL);
    return STEP_NEXT;
}

static enum step on_record(struct upstream *up, enum wire_type type, const uint8_t *start,
                           struct wire_reader *in)
{
    if (type == WIRE_CHANGE) {
        return on_change(up, in);
    }
    if (type == WIRE_BEGIN) {
        return on_begin(up, in);
    }
    if (type == WIRE_END) {
        return on_end(up, in);
    }
    if (type == WIRE_RELATION) {
        return on_relation(up, start, in);
    }
    if (type == WIRE_TRUNCATE) {
        return on_truncate(up, in);
    }
    if (type == WIRE_MESSAGE) {
        return on_message(up, in);
    }
    if (type == WIRE_PROGRESS) {
        return on_progress(up, in);
    }
    return type == WIRE_GAP ? on_gap(up, in) : STEP_BAD;
}

static void bad_frame(struct upstream *up, enum wire_err err)
{
    const char *why = err == WIRE_OK ? "a record out of place" : wire_err_text(err);

    up->gap_reason = "a part of the change stream could not be read";
    up->in_transaction = false;
    rt_counter_add(up->config.stats->malformed_tailer, 1);
    up->config.events->malformed(up->config.ctx, why);
}

/* Returns where processing stopped, or NULL when all is done. */
static const uint8_t *run(struct upstream *up, const void *data, size_t len)
{
    struct wire_reader in;
    enum wire_type type = WIRE_PROGRESS;

    wire_reader_init(&in, data, len);
    for (;;) {
        const uint8_t *start = in.at;
        if (up->waits != 0) {
            return start;
        }
        enum wire_err err = wire_next_record(&in, &type);
        if (err == WIRE_ERR_END) {
            return NULL;
        }
        enum step step = err == WIRE_OK ? on_record(up, type, start, &in) : STEP_BAD;
        if (step == STEP_BAD) {
            bad_frame(up, err == WIRE_OK ? in.err : err);
            return NULL;
        }
        if (step == STEP_AGAIN) {
            return start;
        }
    }
}

struct upstream *upstream_new(const struct upstream_config *config)
{
    struct upstream *up = rt_alloc(sizeof(*up));

    up->config = *config;
    return up;
}

void upstream_free(struct upstream *up)
{
    if (up == NULL) {
        return;
    }
    rt_buf_fini(&up->rest);
    free(up->truncated);
    free(up);
}

void upstream_restart(struct upstream *up)
{
    /* The rest of an old frame comes again. A transaction at hand stays open in the route until its
     * repetition ends it, so that nobody is armed in its middle. */
    rt_buf_clear(&up->rest);
    relations_clear(up->config.relations);
    up->in_transaction = false;
    up->give_up = false;
    up->waits &= ~UPSTREAM_WAIT_RELATION;
}

void upstream_lost(struct upstream *up)
{
    up->gap_reason = "a part of the change stream was lost";
}

bool upstream_frame(struct upstream *up, struct wire_span frame, rt_usec now)
{
    up->now = now;
    const uint8_t *rest = run(up, frame.data, frame.len);
    if (rest == NULL) {
        return true;
    }
    size_t done = (size_t)(rest - (const uint8_t *)frame.data);
    rt_buf_clear(&up->rest);
    rt_buf_append(&up->rest, rest, frame.len - done);
    return false;
}

void upstream_message(struct upstream *up, struct wire_span message)
{
    struct wire_reader in;
    enum wire_type type = WIRE_PROGRESS;
    enum wire_err err = WIRE_OK;

    wire_reader_init(&in, message.data, message.len);
    for (;;) {
        const uint8_t *start = in.at;
        err = wire_next_record(&in, &type);
        if (err != WIRE_OK) {
            break;
        }
        if (type != WIRE_RELATION || on_relation(up, start, &in) != STEP_NEXT) {
            err = WIRE_ERR_UNKNOWN;
            break;
        }
    }
    if (err != WIRE_ERR_END) {
        rt_counter_add(up->config.stats->malformed_tailer, 1);
        up->config.events->malformed(up->config.ctx, wire_err_text(err));
    }
    if ((up->waits & UPSTREAM_WAIT_RELATION) != 0 &&
        relations_find(up->config.relations, up->needed) != NULL) {
        up->waits &= ~UPSTREAM_WAIT_RELATION;
    }
}

void upstream_settled(struct upstream *up)
{
    up->waits &= ~UPSTREAM_WAIT_AUTHORITY;
}

bool upstream_continue(struct upstream *up, rt_usec now)
{
    up->now = now;
    if (up->waits != 0) {
        return false;
    }
    const uint8_t *rest = run(up, up->rest.data, up->rest.len);
    if (rest == NULL) {
        rt_buf_clear(&up->rest);
        return true;
    }
    size_t left = up->rest.len - (size_t)(rest - up->rest.data);
    memmove(up->rest.data, rest, left);
    up->rest.len = left;
    return false;
}

void upstream_tick(struct upstream *up, rt_usec now)
{
    if ((up->waits & UPSTREAM_WAIT_RELATION) == 0) {
        return;
    }
    if (now - up->needed_since >= UPSTREAM_NEED_TIMEOUT) {
        up->give_up = true;
        up->waits &= ~UPSTREAM_WAIT_RELATION;
    } else if (now - up->needed_at >= UPSTREAM_NEED_REPEAT) {
        up->needed_at = now;
        up->config.events->need(up->config.ctx, up->needed);
    }
}

int upstream_waits(const struct upstream *up)
{
    return up->waits;
}
