/* broker/match/change.c - a changed row: look-ups, candidates, verdicts.
 *
 * All candidates of an image are collected first and then judged, so that the memory of those ahead is asked for while
 * others are judged: with a million classes each would otherwise be a wait for memory of its own.
 */
#include <math.h>
#include <string.h>

#include "broker/match/parts.h"

/* How far ahead: first the class, then its constants, whose address the class holds. */
enum { AHEAD_CLASS = 16, AHEAD_CONSTANTS = 8, MEMBERS_AHEAD = 16 };

enum image { IMAGE_NEW, IMAGE_OLD };

/* One image at work. */
struct pass {
    struct match *match;
    const struct match_table *table;
    const struct match_row *row;
    const struct match_row
        *new_row;     /* of the old image: where a value is the same, so is its hash */
    uint64_t *hashes; /* of the new image, by probe */
    struct match_result *result;
    enum image image;
};

/* Most lists are of one or two. */
static void add_candidates(struct match *match, const uint32_t *ids, uint32_t count)
{
    struct rt_buf *to = &match->candidates;

    if (count > 2 || to->cap - to->len < 2 * sizeof(*ids)) {
        rt_buf_append(to, ids, count * sizeof(*ids));
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        memcpy(to->data + to->len, &ids[i], sizeof(*ids));
        to->len += sizeof(*ids);
    }
}

static void collect_hash(struct match *match, uint64_t hash)
{
    uint32_t count = 0;
    const uint32_t *ids = postings_find(&match->postings, hash, &count);

    add_candidates(match, ids, count);
}

static void collect_members(struct match *match, const struct probe *probe, struct wire_span value)
{
    uint32_t count = 0;
    const uint32_t *members = probe->set->members(probe->set, value, &count);

    for (uint32_t from = 0; from < count; from += MEMBERS_AHEAD) {
        const struct postings_ids *places[MEMBERS_AHEAD];
        uint32_t some = count - from < MEMBERS_AHEAD ? count - from : MEMBERS_AHEAD;
        for (uint32_t i = 0; i < some; i++) {
            places[i] = dense_at(&probe->members, members[from + i]);
            __builtin_prefetch(places[i]);
        }
        for (uint32_t i = 0; i < some; i++) {
            uint32_t found = 0;
            if (places[i] != NULL) {
                const uint32_t *ids = postings_ids_find(&match->postings, places[i], &found);
                add_candidates(match, ids, found);
            }
        }
    }
}

/* A text that is none of PostgreSQL's finds everything: the programs decide. */
static void collect_ordered(struct match *match, const struct probe *probe, struct wire_span text)
{
    double rank = 0;
    bool known = match_rank(probe->type.order, text, &rank);

    if (!known) {
        rank = probe->kind == PROBE_AT_LEAST ? HUGE_VAL : -HUGE_VAL;
    }
    if (probe->kind == PROBE_AT_LEAST) {
        ranges_up_to(&probe->ranges, rank, &match->candidates);
    } else {
        ranges_from(&probe->ranges, rank, &match->candidates);
    }
}

static bool same_text(const struct match_row *row, uint16_t column, struct wire_span text)
{
    if (row == NULL || column >= row->count) {
        return false;
    }
    const struct wire_value *value = &row->values[column];
    return value->kind == WIRE_VALUE_TEXT && value->len == text.len &&
           memcmp(value->text, text.data, text.len) == 0;
}

static void collect_text(const struct pass *pass, uint32_t number, struct wire_span text)
{
    struct match *match = pass->match;
    const struct probe *probe = &pass->table->probes[number];

    switch (probe->kind) {
    case PROBE_EQUAL:
        if (!same_text(pass->new_row, probe->column, text)) {
            pass->hashes[number] = anchor_hash(match, probe, match_bytes(probe->type.form, text));
        }
        collect_hash(match, pass->hashes[number]);
        break;
    case PROBE_MEMBER:
        collect_members(match, probe, match_bytes(probe->type.form, text));
        break;
    case PROBE_AT_LEAST:
    case PROBE_AT_MOST:
        collect_ordered(match, probe, text);
        break;
    case PROBE_NULL:
        break;
    }
}

static void collect(const struct pass *pass)
{
    struct match *match = pass->match;
    const struct match_table *table = pass->table;

    rt_buf_clear(&match->candidates);
    for (uint32_t i = 0; i < table->probe_count; i++) {
        const struct probe *probe = &table->probes[i];
        if (probe->refs == 0) {
            continue;
        }
        if (probe->column >= pass->row->count) {
            pass->result->blind++;
            continue;
        }
        const struct wire_value *value = &pass->row->values[probe->column];
        if (value->kind == WIRE_VALUE_TEXT) {
            collect_text(pass, i, (struct wire_span){ value->text, value->len });
        } else if (value->kind != WIRE_VALUE_NULL) {
            pass->result->blind++;
        } else if (probe->kind == PROBE_NULL) {
            collect_hash(match, anchor_hash(match, probe, (struct wire_span){ "", 0 }));
        }
    }
    add_candidates(match, table->scan, table->scan_count);
}

/* There is room. */
static void add_hit(const struct pass *pass, uint32_t id, struct class *class,
                    enum match_verdict verdict)
{
    struct match *match = pass->match;
    struct match_hit *hits = (struct match_hit *)(void *)match->hits.data;
    uint32_t count = (uint32_t)(match->hits.len / sizeof(*hits));

    if (class->hit < count && hits[class->hit].class_id == id) {
        hits[class->hit].on_old = (uint8_t)verdict;
        return;
    }
    class->hit = count;
    hits[count] = (struct match_hit){
        .class_id = id,
        .on_new = (uint8_t)(pass->image == IMAGE_NEW ? verdict : MATCH_NO),
        .on_old = (uint8_t)(pass->image == IMAGE_OLD ? verdict : MATCH_NO),
        .constants = class->constants,
    };
    match->hits.len += sizeof(*hits);
}

/* A new stamp for a pass; after 2^32 of them the old ones are wiped. */
static uint32_t next_stamp(struct match *match)
{
    if (++match->stamp == 0) {
        for (uint32_t i = 0; i < match->classes.used; i++) {
            class_at(match, i)->stamp = 0;
        }
        match->stamp = 1;
    }
    return match->stamp;
}

static void begin_ahead(const struct match *match, const uint32_t *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count && i < AHEAD_CLASS; i++) {
        __builtin_prefetch(class_at(match, ids[i]));
    }
    for (uint32_t i = 0; i < count && i < AHEAD_CONSTANTS; i++) {
        __builtin_prefetch(class_at(match, ids[i])->constants);
    }
}

static void judge(const struct pass *pass)
{
    struct match *match = pass->match;
    const uint32_t *ids = (const uint32_t *)(const void *)match->candidates.data;
    uint32_t count = (uint32_t)(match->candidates.len / sizeof(*ids));

    if (count == 0) {
        return;
    }
    uint32_t stamp = next_stamp(match);
    (void)rt_buf_reserve(&match->hits, count * sizeof(struct match_hit));
    if (count > 1) {
        begin_ahead(match, ids, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (i + AHEAD_CLASS < count) {
            __builtin_prefetch(class_at(match, ids[i + AHEAD_CLASS]));
        }
        if (i + AHEAD_CONSTANTS < count) {
            __builtin_prefetch(class_at(match, ids[i + AHEAD_CONSTANTS])->constants);
        }
        struct class *class = class_at(match, ids[i]);
        if (class->stamp == stamp || class->table != pass->table) {
            continue;
        }
        class->stamp = stamp;
        pass->result->judged++;
        enum match_verdict verdict =
            class->program->judge(class->program, class->constants, pass->row);
        if (verdict != MATCH_NO) {
            add_hit(pass, ids[i], class, verdict);
        }
    }
}

struct match_result match_change(struct match_table *table, const struct match_row *new_row,
                                 const struct match_row *old_row)
{
    struct match *match = table->match;
    struct match_result result = { .hits = NULL };
    const struct match_row *rows[] = { new_row, old_row };
    uint64_t hashes[MATCH_PROBES_MAX] __attribute__((uninitialized)); /* set before they are read */

    rt_buf_clear(&match->hits);
    for (int i = 0; i < 2; i++) {
        struct pass pass = {
            .match = match,
            .table = table,
            .row = rows[i],
            .new_row = i == 0 ? NULL : new_row,
            .hashes = hashes,
            .result = &result,
            .image = i == 0 ? IMAGE_NEW : IMAGE_OLD,
        };
        if (rows[i] != NULL) {
            collect(&pass);
            judge(&pass);
        }
    }
    result.hits = (const struct match_hit *)(const void *)match->hits.data;
    result.count = (uint32_t)(match->hits.len / sizeof(struct match_hit));
    return result;
}
