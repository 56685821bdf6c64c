/* broker/upstream_records.c - what each record of the tailer means, each once. */
#include <stdio.h>
#include <string.h>

#include "broker/upstream_impl.h"
#include "runtime/shard.h"

static void fence(struct upstream *up, const struct relation *relation)
{
    uint32_t xid = up->in_transaction ? up->begin.xid : 0;
    uint64_t lsn = up->in_transaction ? up->begin.commit_lsn : 0;

    if (up->config.events->fence(up->config.ctx, relation, xid, lsn)) {
        up->waits |= UPSTREAM_WAIT_AUTHORITY;
    }
}

/* Names the history that the stream is in now; tells the edges of what lies between, up to `complete`. */
static void enter(struct upstream *up, const struct wire_position *complete)
{
    uint64_t epoch = complete->epoch;
    bool other = up->epoch_known && up->epoch != epoch;
    const char *reason = up->gap_reason;

    if (other && reason == NULL) {
        reason = "the database's history changed";
    }
    if (reason != NULL) {
        struct wire_gap gap = {
            .from = up->last,
            .to = *complete,
            .reason = { reason, strlen(reason) },
        };
        up->gap_reason = NULL;
        window_clear(up->config.window, complete);
        route_gap(up->config.route, &gap);
        touch_hole(up, complete->lsn);
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
    struct wire_position end = { begin.epoch, begin.commit_lsn, UINT32_MAX };
    struct wire_position before = { begin.epoch, begin.commit_lsn - 1, UINT32_MAX };
    /* What is missing before a frame that goes on with a transaction may be a part of that. */
    enter(up, begin.continued ? &end : &before);
    bool repeated = up->processed && wire_position_cmp(&end, &up->last) <= 0;
    if (!repeated && rights_begin(up, &begin, in)) {
        up->waits |= UPSTREAM_WAIT_AUTHORITY;
        return STEP_AGAIN;
    }
    up->begin = begin;
    up->in_transaction = true;
    up->repeated = repeated;
    if (!up->repeated) {
        touch_begin(up, &begin, in);
        window_begin(up->config.window, &begin);
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
    touch_unknown(up);
    window_spoil(up->config.window);
    route_gap(up->config.route, &gap);
    route_begin(up->config.route, &begin);
    reach(up, index);
    return STEP_NEXT;
}

static void keep(struct upstream *up, struct relation *relation, enum window_kind kind,
                 uint32_t index, struct wire_span record)
{
    if (!relation->elsewhere) {
        window_add(up->config.window, relation, kind, index, record);
    }
}

/* Changes behind the one at hand, over the ends of transactions: decoded once, here, and used when their turn comes. */
static void decode_ahead(struct upstream *up, const struct wire_reader *in)
{
    struct wire_reader look = *in;
    enum wire_type type = WIRE_PROGRESS;
    struct wire_begin begin;
    struct wire_end end;
    enum wire_err err = WIRE_OK;

    up->coming_count = 0;
    up->coming_at = 0;
    while (err == WIRE_OK && up->coming_count < ROUTE_AHEAD_MAX - 1) {
        struct coming *coming = &up->coming[up->coming_count];
        coming->start = look.at;
        err = wire_next_record(&look, &type);
        if (err != WIRE_OK || (type != WIRE_CHANGE && type != WIRE_BEGIN && type != WIRE_END)) {
            return;
        }
        if (type == WIRE_CHANGE) {
            err = wire_decode_change(&look, &coming->change);
            coming->end = look.at;
            up->coming_count += err == WIRE_OK;
        } else {
            err = type == WIRE_BEGIN ? wire_decode_begin(&look, &begin)
                                     : wire_decode_end(&look, &end);
        }
    }
}

static void look_ahead(struct upstream *up, const struct wire_reader *in, struct relation *relation,
                       const struct wire_change *change)
{
    struct route_coming list[ROUTE_AHEAD_MAX] = { { relation, change } };
    uint32_t count = 1;

    decode_ahead(up, in);
    for (uint32_t i = 0; i < up->coming_count; i++) {
        const struct wire_change *next = &up->coming[i].change;
        struct relation *known = relations_find(up->config.relations, next->rel);
        if (known != NULL) {
            list[count++] = (struct route_coming){ known, next };
        }
    }
    route_ahead(up->config.route, list, count);
}

/* False: it is to be decoded. */
static bool take_coming(struct upstream *up, const uint8_t *start, struct wire_reader *in,
                        struct wire_change *out)
{
    while (up->coming_at < up->coming_count && up->coming[up->coming_at].start < start) {
        up->coming_at++;
    }
    if (up->coming_at == up->coming_count || up->coming[up->coming_at].start != start) {
        return false;
    }
    *out = up->coming[up->coming_at].change;
    in->at = up->coming[up->coming_at++].end;
    return true;
}

static enum step on_change(struct upstream *up, const uint8_t *start, struct wire_reader *in)
{
    struct wire_change change;

    bool ahead = take_coming(up, start, in, &change);

    if ((!ahead && wire_decode_change(in, &change) != WIRE_OK) || !up->in_transaction) {
        return STEP_BAD;
    }
    if (is_duplicate(up, change.index)) {
        return STEP_NEXT;
    }
    struct relation *relation = find_relation(up, change.rel);
    if (relation == NULL) {
        return up->give_up ? give_up(up, change.index) : STEP_AGAIN;
    }
    struct wire_span record = { (const char *)start, (size_t)(in->at - start) };
    rt_counter_add(up->config.stats->changes, 1);
    touch_relation(up, relation, &change, change.index);
    touch_handed(up, change.index);
    keep(up, relation, WINDOW_CHANGE, change.index, record);
    if (!ahead && route_looks_ahead(up->config.route, relation)) {
        look_ahead(up, in, relation, &change);
    }
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
    for (uint32_t i = 0; i < truncate.rel_count; i++) {
        touch_relation(up, up->truncated[i], NULL, truncate.index);
    }
    touch_handed(up, truncate.index);
    rt_counter_add(up->config.stats->changes, 1);
    for (uint32_t i = 0; i < truncate.rel_count; i++) {
        keep(up, up->truncated[i], WINDOW_TRUNCATE, truncate.index,
             (struct wire_span){ (const char *)&truncate.flags, sizeof(truncate.flags) });
    }
    route_truncate(up->config.route, up->truncated, truncate.rel_count, &truncate);
    reach(up, truncate.index);
    return STEP_NEXT;
}

static bool is_elsewhere(const struct upstream *up, const struct relation *relation)
{
    char channel[sizeof("table:.") + (size_t)2 * WIRE_NAME_MAX];

    if (up->config.shards < 2) {
        return false;
    }
    int len = snprintf(channel, sizeof(channel), "table:%s.%s", relation->schema, relation->table);
    return rt_shard_of(channel, (size_t)len, up->config.shards) != up->config.shard;
}

enum step upstream_relation(struct upstream *up, const uint8_t *start, struct wire_reader *in,
                            bool fences)
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
    relation->elsewhere = is_elsewhere(up, relation);
    if (fences) {
        fence(up, relation);
    }
    route_relation(up->config.route, relation);
    return STEP_NEXT;
}

static bool has_prefix(const struct wire_message *message, const char *prefix)
{
    return message->prefix.len == strlen(prefix) &&
           memcmp(message->prefix.data, prefix, message->prefix.len) == 0;
}

bool upstream_number(struct wire_span content, int64_t *out)
{
    int64_t value = 0;

    for (size_t i = 0; i < content.len; i++) {
        char c = content.data[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, c - '0', &value)) {
            return false;
        }
    }
    *out = value;
    return content.len > 0;
}

/* Anybody who may write messages into the WAL can write this one: it is believed or counted, no more. */
static void on_marker(struct upstream *up, const struct wire_message *message)
{
    struct wire_fresh fresh = { .epoch = up->epoch, .lsn = message->lsn };

    if (!upstream_number(message->content, &fresh.written_at)) {
        rt_counter_add(up->config.stats->bad_markers, 1);
    } else if (up->epoch_known) {
        route_fresh(up->config.route, &fresh);
    }
}

/* One that is not part of a transaction has no place among the changes; pgtide.broadcast() writes none. */
static void on_broadcast(struct upstream *up, const struct wire_message *message)
{
    struct wire_position at = { up->begin.epoch, up->begin.commit_lsn, message->index };

    if (up->config.events->broadcast != NULL) {
        up->config.events->broadcast(up->config.ctx, &at, message->content);
    }
}

static enum step on_message(struct upstream *up, struct wire_reader *in)
{
    struct wire_message message;

    if (wire_decode_message(in, &message) != WIRE_OK ||
        (message.transactional && !up->in_transaction)) {
        return STEP_BAD;
    }
    if (message.transactional && is_duplicate(up, message.index)) {
        return STEP_NEXT;
    }
    if (rights_told(&message)) {
        relations_doubt(up->config.relations);
        fence(up, NULL);
    }
    if (message.transactional) {
        if (has_prefix(&message, UPSTREAM_BROADCAST_PREFIX)) {
            on_broadcast(up, &message);
        }
        reach(up, message.index);
    } else if (has_prefix(&message, UPSTREAM_FRESH_PREFIX)) {
        on_marker(up, &message);
    } else if (has_prefix(&message, UPSTREAM_RIGHTS_PREFIX)) {
        rights_expect(up, message.content);
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
        window_end(up->config.window, &end, up->now);
        route_end(up->config.route, &end);
        reach(up, UINT32_MAX);
        touch_end(up);
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
    /* A commit record may still begin exactly at progress.lsn: what is complete ends before it. */
    struct wire_position complete = { progress.epoch, progress.lsn - 1, UINT32_MAX };
    enter(up, &complete);
    window_start(up->config.window, &complete);
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
    window_clear(up->config.window, &gap.to);
    route_gap(up->config.route, &gap);
    touch_hole(up, gap.to.lsn);
    up->config.events->new_epoch(up->config.ctx, gap.to.epoch);
    fence(up, NULL);
    return STEP_NEXT;
}

enum step upstream_record(struct upstream *up, enum wire_type type, const uint8_t *start,
                          struct wire_reader *in)
{
    if (type == WIRE_CHANGE) {
        return on_change(up, start, in);
    }
    if (type == WIRE_BEGIN) {
        return on_begin(up, in);
    }
    if (type == WIRE_END) {
        return on_end(up, in);
    }
    if (type == WIRE_RELATION) {
        return upstream_relation(up, start, in, true);
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
