/* broker/match/anchor.c - which anchor a conjunction is filed under, and the look-ups of a table. */
#include <float.h>
#include <string.h>

#include "broker/match/parts.h"
#include "runtime/map.h"

bool anchor_is_ordered(const struct match_anchor *anchor)
{
    return anchor->kind == MATCH_AT_LEAST || anchor->kind == MATCH_AT_MOST;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    x ^= x >> 33;
    return x;
}

uint64_t anchor_hash(const struct match *match, const struct probe *probe, struct wire_span value)
{
    return mix(rt_seeded_hash(match->seeds[0], value.data, value.len) + probe->salt);
}

static enum probe_kind kind_of(const struct match_anchor *anchor)
{
    static const enum probe_kind kinds[] = {
        [MATCH_EQUAL] = PROBE_EQUAL,     [MATCH_MEMBER] = PROBE_MEMBER,
        [MATCH_IS_NULL] = PROBE_NULL,    [MATCH_AT_LEAST] = PROBE_AT_LEAST,
        [MATCH_AT_MOST] = PROBE_AT_MOST,
    };

    return kinds[anchor->kind];
}

static bool same_probe(const struct probe *probe, const struct match_anchor *anchor)
{
    return probe->refs > 0 && probe->kind == kind_of(anchor) && probe->column == anchor->column &&
           probe->type.form == anchor->type.form && probe->type.order == anchor->type.order &&
           probe->set == anchor->set;
}

static const struct probe *find_probe(const struct match_table *table,
                                      const struct match_anchor *anchor)
{
    for (uint32_t i = 0; i < table->probe_count; i++) {
        if (same_probe(&table->probes[i], anchor)) {
            return &table->probes[i];
        }
    }
    return NULL;
}

static uint32_t free_probes(const struct match_table *table)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < table->probe_count; i++) {
        used += table->probes[i].refs > 0;
    }
    return MATCH_PROBES_MAX - used;
}

uint32_t anchor_probe(struct match_table *table, const struct match_anchor *anchor)
{
    const struct probe *known = find_probe(table, anchor);
    uint32_t number = 0;

    if (known != NULL) {
        return (uint32_t)(known - table->probes);
    }
    while (number < table->probe_count && table->probes[number].refs > 0) {
        number++;
    }
    if (number == table->probe_count) {
        table->probe_count++;
    }
    table->probes[number] = (struct probe){
        .kind = kind_of(anchor),
        .column = anchor->column,
        .type = anchor->type,
        .set = anchor->set,
        .salt = mix(++table->match->next_salt ^ table->match->seeds[1][0]),
    };
    return number;
}

static bool usable(const struct match_anchor *anchor)
{
    double rank = 0;

    switch (anchor->kind) {
    case MATCH_EQUAL:
        return anchor->type.form != MATCH_FORM_NONE;
    case MATCH_MEMBER:
        return anchor->type.form != MATCH_FORM_NONE && anchor->set != NULL;
    case MATCH_AT_LEAST:
    case MATCH_AT_MOST:
        return anchor->value_count == 1 && match_rank(anchor->type.order, anchor->values[0], &rank);
    case MATCH_IS_NULL:
        break;
    }
    return true;
}

/* The part of the rows it lets through. Without facts: an equality is worth more than a membership, that more than
 * NULL, that more than one side of a value. */
static double share_of(const struct match_anchor *anchor)
{
    static const double guesses[] = {
        [MATCH_EQUAL] = 0.001,   [MATCH_MEMBER] = 0.02,  [MATCH_IS_NULL] = 0.2,
        [MATCH_AT_LEAST] = 0.35, [MATCH_AT_MOST] = 0.35,
    };
    double share = anchor->share > 0 ? anchor->share : guesses[anchor->kind];

    if (anchor->kind == MATCH_EQUAL && anchor->share <= 0) {
        share *= anchor->value_count;
    }
    return share;
}

/* How long the lists of its values are already: between equals, the shorter ones. */
static uint64_t crowd_of(const struct match_table *table, const struct match_anchor *anchor)
{
    const struct probe *probe = find_probe(table, anchor);
    uint64_t total = 0;

    for (uint32_t i = 0; probe != NULL && anchor->kind == MATCH_EQUAL && i < anchor->value_count;
         i++) {
        uint32_t count = 0;
        struct wire_span value = match_bytes(anchor->type.form, anchor->values[i]);
        (void)postings_find(&table->match->postings, anchor_hash(table->match, probe, value),
                            &count);
        total += count;
    }
    return total;
}

/* Whether every row is excluded. */
static bool admits_nothing(const struct match_conjunction *conjunction)
{
    for (uint32_t i = 0; i < conjunction->anchor_count; i++) {
        const struct match_anchor *anchor = &conjunction->anchors[i];
        if (anchor->kind == MATCH_EQUAL && anchor->value_count == 0) {
            return true;
        }
    }
    return false;
}

static const struct match_anchor *choose(const struct match_table *table,
                                         const struct match_conjunction *conjunction, bool room)
{
    const struct match_anchor *best = NULL;
    double best_share = DBL_MAX;

    for (uint32_t i = 0; i < conjunction->anchor_count; i++) {
        const struct match_anchor *anchor = &conjunction->anchors[i];
        double share = share_of(anchor);
        if (share > best_share || !usable(anchor) || (!room && find_probe(table, anchor) == NULL)) {
            continue;
        }
        if (share < best_share || crowd_of(table, anchor) < crowd_of(table, best)) {
            best = anchor;
            best_share = share;
        }
    }
    return best;
}

void anchor_plan(const struct match_table *table, const struct match_view *view, struct plan *out)
{
    uint32_t room = free_probes(table);
    uint32_t postings = 0;

    out->scan = false;
    out->count = 0;
    for (uint32_t i = 0; i < view->conjunction_count; i++) {
        const struct match_conjunction *conjunction = &view->conjunctions[i];
        if (admits_nothing(conjunction)) {
            continue;
        }
        const struct match_anchor *anchor = choose(table, conjunction, room > 0);
        if (anchor != NULL) {
            postings += anchor->kind == MATCH_EQUAL ? anchor->value_count : 1;
        }
        if (anchor == NULL || postings > MATCH_POSTINGS_MAX) {
            out->scan = true;
            out->count = 0;
            return;
        }
        room -= find_probe(table, anchor) == NULL ? 1 : 0;
        out->anchors[out->count++] = anchor;
    }
}
