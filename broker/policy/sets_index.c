/* broker/policy/sets_index.c - which sets a row of the membership table is for, by their anchors. */
#include <stdlib.h>
#include <string.h>

#include "broker/policy/eval_parts.h"
#include "broker/policy/sets_parts.h"
#include "runtime/map.h"

enum { KEY_MAX = 256 };

struct sets_key {
    size_t len;
    uint8_t bytes[KEY_MAX];
};

/* Values of one kind are equal if and only if their keys are. False: this kind has no key, or the value is too long for one. */
static bool make_key(struct sets_key *out, uint32_t column, const struct policy_value *value)
{
    const void *data = &value->i;
    size_t len = sizeof(value->i);

    switch (value->kind) {
    case POLICY_KIND_BOOL:
    case POLICY_KIND_INT:
    case POLICY_KIND_DATE:
    case POLICY_KIND_STAMP:
    case POLICY_KIND_ENUM:
        break;
    case POLICY_KIND_TEXT:
    case POLICY_KIND_BYTES:
    case POLICY_KIND_CANONICAL:
        data = value->text;
        len = value->len;
        break;
    default:
        return false;
    }
    if (len > KEY_MAX - sizeof(column)) {
        return false;
    }
    memcpy(out->bytes, &column, sizeof(column));
    memcpy(out->bytes + sizeof(column), len == 0 ? "" : data, len);
    out->len = sizeof(column) + len;
    return true;
}

/* --- sets ----------------------------------------------------------------------------------------- */

/* An anchor helps if the values of its column are of its own kind. */
static bool usable(const struct policy_sets *sets, const struct policy_anchor *anchor,
                   struct sets_key *key)
{
    const struct policy_program *members = sets->members;

    return anchor->column >= 1 && anchor->column <= members->column_count &&
           members->columns[anchor->column - 1].kind == anchor->value->kind &&
           make_key(key, anchor->column, anchor->value);
}

static bool all_usable(const struct policy_sets *sets, const struct policy_anchors *anchors)
{
    struct sets_key key;

    for (uint32_t i = 0; i < anchors->count; i++) {
        if (!usable(sets, &anchors->list[i], &key)) {
            return false;
        }
    }
    return !anchors->all;
}

static void add_column(struct policy_sets *sets, uint32_t column)
{
    for (uint32_t i = 0; i < sets->column_count; i++) {
        if (sets->columns[i] == column) {
            return;
        }
    }
    sets->columns[sets->column_count++] = column;
    sets->keys = rt_realloc(sets->keys, sets->column_count, sizeof(*sets->keys));
}

static void put(struct policy_values *set, const struct sets_key *key)
{
    struct rt_map *buckets = set->sets->buckets;
    struct bucket *bucket = rt_map_get(buckets, key->bytes, key->len);

    if (bucket == NULL) {
        bucket = rt_alloc(sizeof(*bucket));
        rt_map_put(buckets, key->bytes, key->len, bucket);
    }
    if (bucket->count == bucket->cap) {
        bucket->cap = bucket->cap == 0 ? 1 : bucket->cap * 2;
        bucket->sets = rt_realloc(bucket->sets, bucket->cap, sizeof(struct policy_values *));
    }
    bucket->sets[bucket->count++] = set;
}

static void take_out(struct policy_values *set, const struct sets_key *key)
{
    struct rt_map *buckets = set->sets->buckets;
    struct bucket *bucket = rt_map_get(buckets, key->bytes, key->len);

    for (uint32_t i = 0; bucket != NULL && i < bucket->count; i++) {
        if (bucket->sets[i] == set) {
            bucket->sets[i--] = bucket->sets[--bucket->count];
        }
    }
    if (bucket != NULL && bucket->count == 0) {
        rt_map_remove(buckets, key->bytes, key->len);
        free(bucket->sets);
        free(bucket);
    }
}

/* The columns of all sets of a program are few: those that its text compares with constants. */
static bool columns_fit(const struct policy_sets *sets, const struct policy_anchors *anchors)
{
    return sets->column_count + anchors->count <= POLICY_ANCHORS_MAX;
}

static void each_key(struct policy_values *set, const struct policy_anchors *anchors, bool adding)
{
    struct sets_key key;

    for (uint32_t i = 0; i < anchors->count; i++) {
        if (!usable(set->sets, &anchors->list[i], &key)) {
            continue;
        }
        if (adding) {
            add_column(set->sets, anchors->list[i].column);
            put(set, &key);
        } else {
            take_out(set, &key);
        }
    }
}

void sets_index_add(struct policy_values *set)
{
    struct policy_sets *sets = set->sets;
    struct policy_anchors *anchors = rt_alloc(sizeof(*anchors));

    set->next = sets->all;
    if (set->next != NULL) {
        set->next->previous = set;
    }
    sets->all = set;
    policy_anchors_find(sets->members, set->constants, anchors);
    set->unanchored = !all_usable(sets, anchors) || !columns_fit(sets, anchors);
    sets->unanchored += set->unanchored;
    if (!set->unanchored) {
        each_key(set, anchors, true);
    }
    free(anchors);
}

void sets_index_remove(struct policy_values *set)
{
    struct policy_sets *sets = set->sets;

    if (set->next != NULL) {
        set->next->previous = set->previous;
    }
    if (set->previous != NULL) {
        set->previous->next = set->next;
    } else {
        sets->all = set->next;
    }
    sets->unanchored -= set->unanchored;
    if (!set->unanchored) {
        struct policy_anchors *anchors = rt_alloc(sizeof(*anchors));
        policy_anchors_find(sets->members, set->constants, anchors);
        each_key(set, anchors, false);
        free(anchors);
    }
}

/* --- changes -------------------------------------------------------------------------------------- */

static void judge_all(struct policy_sets *sets, uint32_t xid, struct policy_row *row, int sign)
{
    for (struct policy_values *set = sets->all; set != NULL; set = set->next) {
        set_judge(set, xid, row, sign);
    }
}

/* False: the value of an anchor column cannot be looked up, so that every set may be meant. */
static bool keys_of(struct policy_sets *sets, struct policy_row *row, uint32_t *out_count)
{
    struct machine m = { .program = sets->members, .row = row };

    *out_count = 0;
    for (uint32_t i = 0; i < sets->column_count; i++) {
        struct policy_ref column = { POLICY_REF_COLUMN, (uint16_t)sets->columns[i] };
        const struct policy_value *value = eval_value(&m, column);
        if (value->state == VALUE_NULL) {
            continue; /* equal to nothing */
        }
        if (value->state != VALUE_KNOWN ||
            !make_key(&sets->keys[(*out_count)++], sets->columns[i], value)) {
            return false;
        }
    }
    return true;
}

static void judge_bucket(struct policy_sets *sets, const struct sets_key *key, uint32_t xid,
                         struct policy_row *row, int sign)
{
    const struct bucket *bucket = rt_map_get(sets->buckets, key->bytes, key->len);

    for (uint32_t i = 0; bucket != NULL && i < bucket->count; i++) {
        struct policy_values *set = bucket->sets[i];
        if (set->stamp != sets->stamp) {
            set->stamp = sets->stamp;
            set_judge(set, xid, row, sign);
        }
    }
}

static void judge(struct policy_sets *sets, uint32_t xid, struct policy_row *row, int sign)
{
    uint32_t count = 0;

    if (sets->unanchored > 0) {
        judge_all(sets, xid, row, sign); /* some must be: then all, each once */
        return;
    }
    sets->stamp++;
    if (!keys_of(sets, row, &count)) {
        judge_all(sets, xid, row, sign);
        count = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        judge_bucket(sets, &sets->keys[i], xid, row, sign);
    }
}

struct policy_sets *policy_sets_new(const struct policy_program *members, uint32_t value,
                                    const struct policy_shape *element)
{
    struct policy_sets *sets = rt_alloc(sizeof(*sets));

    sets->members = members;
    sets->value = value;
    sets->element = *element;
    sets->buckets = rt_map_new();
    return sets;
}

void policy_sets_free(struct policy_sets *sets)
{
    if (sets != NULL) {
        rt_map_free(sets->buckets);
        free(sets->keys);
        free(sets);
    }
}

void policy_sets_change(struct policy_sets *sets, uint32_t xid, struct policy_row *new_row,
                        struct policy_row *old_row)
{
    if (old_row != NULL) {
        judge(sets, xid, old_row, -1);
    }
    if (new_row != NULL) {
        judge(sets, xid, new_row, 1);
    }
}

void policy_sets_truncate(struct policy_sets *sets, uint32_t xid)
{
    for (struct policy_values *set = sets->all; set != NULL; set = set->next) {
        set_take(set, &(struct delta){ .xid = xid });
    }
}

void policy_set_change(struct policy_values *set, uint32_t xid, struct policy_row *new_row,
                       struct policy_row *old_row)
{
    if (old_row != NULL) {
        set_judge(set, xid, old_row, -1);
    }
    if (new_row != NULL) {
        set_judge(set, xid, new_row, 1);
    }
}

void policy_set_truncate(struct policy_values *set, uint32_t xid)
{
    set_take(set, &(struct delta){ .xid = xid });
}

void policy_sets_spoil(struct policy_sets *sets)
{
    for (struct policy_values *set = sets->all; set != NULL; set = set->next) {
        policy_set_spoil(set);
    }
}
