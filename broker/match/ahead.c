/* broker/match/ahead.c - memory asked for before it is needed.
 *
 * In steps over all changes at hand: the slots of their hashes; the lists and the classes found there; their constants; what
 * those point to. Each step reads what the one before asked for, which has arrived meanwhile. Nothing is decided here.
 */
#include <string.h>

#include "broker/match/parts.h"

/* Of one list: whoever has more hides its waits in match_change() itself. */
enum { IDS_OF_A_LIST = 32, LINE = 64 };

/* A look-up on its way. */
struct expected {
    uint64_t hash;
    const struct postings_ids *ids; /* NULL: none, or not looked at yet */
};

struct expected_set {
    const struct probe *probe;
    const uint32_t *members; /* the set's; it does not change meanwhile */
    uint32_t count;
};

typedef void on_value_fn(struct match *match, const struct probe *probe, struct wire_span value);

static bool same_in_both(const struct match_coming *change, uint16_t column)
{
    const struct match_row *a = change->rows[0];
    const struct match_row *b = change->rows[1];

    return a != NULL && b != NULL && column < a->count && column < b->count &&
           a->values[column].kind == WIRE_VALUE_TEXT && b->values[column].kind == WIRE_VALUE_TEXT &&
           a->values[column].len == b->values[column].len &&
           memcmp(a->values[column].text, b->values[column].text, a->values[column].len) == 0;
}

/* The values that hashed look-ups of this change will be about, each once. */
static void each_value(struct match *match, const struct match_coming *change,
                       on_value_fn *on_value)
{
    for (uint32_t i = 0; i < change->table->probe_count; i++) {
        const struct probe *probe = &change->table->probes[i];
        bool once = same_in_both(change, probe->column);
        for (int j = 0; j < (once ? 1 : 2); j++) {
            const struct match_row *row = change->rows[j];
            if (probe->refs > 0 && row != NULL && probe->column < row->count &&
                row->values[probe->column].kind == WIRE_VALUE_TEXT) {
                const struct wire_value *value = &row->values[probe->column];
                on_value(
                    match, probe,
                    match_bytes(probe->type.form, (struct wire_span){ value->text, value->len }));
            }
        }
    }
}

static struct expected *expected_at(const struct match *match, uint32_t number)
{
    return &((struct expected *)(void *)match->ahead.data)[number];
}

static void expect_hash(struct match *match, uint64_t hash)
{
    struct expected one = { .hash = hash };

    postings_prefetch(&match->postings, hash);
    rt_buf_append(&match->ahead, &one, sizeof(one));
}

static void expect_set(struct match *match, const struct probe *probe, struct wire_span value)
{
    if (probe->kind == PROBE_EQUAL) {
        expect_hash(match, anchor_hash(match, probe, value));
    } else if (probe->kind == PROBE_MEMBER && probe->set->ahead != NULL) {
        probe->set->ahead(probe->set, value);
    }
}

static void expect_members(struct match *match, const struct probe *probe, struct wire_span value)
{
    struct expected_set one = { .probe = probe };

    if (probe->kind != PROBE_MEMBER) {
        return;
    }
    one.members = probe->set->members(probe->set, value, &one.count);
    one.count = one.count < 2 * IDS_OF_A_LIST ? one.count : 2 * IDS_OF_A_LIST;
    for (uint32_t i = 0; i < one.count; i++) {
        __builtin_prefetch(dense_at(&probe->members, one.members[i]));
    }
    rt_buf_append(&match->ahead_sets, &one, sizeof(one));
}

static uint32_t id_at(const struct match *match, size_t at)
{
    uint32_t id = 0;

    memcpy(&id, match->ahead.data + at, sizeof(id));
    return id;
}

static void expect_class(struct match *match, uint32_t id)
{
    __builtin_prefetch(class_at(match, id), 1);
    rt_buf_append(&match->ahead, &id, sizeof(id));
}

static void expect_classes_of_members(struct match *match)
{
    const struct expected_set *sets = (const struct expected_set *)(void *)match->ahead_sets.data;
    size_t count = match->ahead_sets.len / sizeof(*sets);

    for (size_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < sets[i].count; j++) {
            const struct postings_ids *ids = dense_at(&sets[i].probe->members, sets[i].members[j]);
            if (ids != NULL && ids->pair[0] != POSTINGS_NONE && !postings_is_list(ids)) {
                expect_class(match, ids->pair[0]);
            }
        }
    }
}

/* Slots have arrived, then heads of lists, then lists: of each its classes, behind the hashes in the same buffer. */
static void expect_classes(struct match *match, uint32_t hash_count)
{
    for (uint32_t i = 0; i < hash_count; i++) {
        struct expected *one = expected_at(match, i);
        one->ids = postings_place(&match->postings, one->hash);
        if (one->ids != NULL && postings_is_list(one->ids)) {
            __builtin_prefetch(postings_list(&match->postings, one->ids));
        }
    }
    for (uint32_t i = 0; i < hash_count; i++) {
        const struct expected *one = expected_at(match, i);
        if (one->ids != NULL && postings_is_list(one->ids)) {
            const char *ids = (const char *)postings_list(&match->postings, one->ids)->ids;
            __builtin_prefetch(ids);
            __builtin_prefetch(ids + LINE);
        }
    }
    for (uint32_t i = 0; i < hash_count; i++) {
        const struct expected *one = expected_at(match, i);
        uint32_t count = 0;
        if (one->ids != NULL) {
            const uint32_t *ids = postings_ids_find(&match->postings, one->ids, &count);
            for (uint32_t j = 0; j < count && j < IDS_OF_A_LIST; j++) {
                expect_class(match, ids[j]);
            }
        }
    }
}

/* Of the classes whose numbers stand in the buffer from there on. */
static void expect_constants(const struct match *match, size_t from)
{
    for (size_t at = from; at < match->ahead.len; at += sizeof(uint32_t)) {
        const char *constants = class_at(match, id_at(match, at))->constants;
        __builtin_prefetch(constants);
        __builtin_prefetch(constants + LINE - 1); /* may be anywhere in two lines */
    }
    for (size_t at = from; at < match->ahead.len; at += sizeof(uint32_t)) {
        const struct class *class = class_at(match, id_at(match, at));
        if (class->program->ahead != NULL) {
            class->program->ahead(class->program, class->constants);
        }
    }
}

void match_ahead(struct match *match, const struct match_coming *changes, uint32_t count)
{
    rt_buf_clear(&match->ahead);
    rt_buf_clear(&match->ahead_sets);
    for (uint32_t i = 0; i < count; i++) {
        each_value(match, &changes[i], expect_set);
    }
    for (uint32_t i = 0; i < count; i++) {
        each_value(match, &changes[i], expect_members);
    }
    uint32_t hash_count = (uint32_t)(match->ahead.len / sizeof(struct expected));
    expect_classes(match, hash_count);
    expect_classes_of_members(match);
    expect_constants(match, hash_count * sizeof(struct expected));
}
