/* broker/view/view_make.c - a view from its parts.
 *
 * The key is made of hashes of 128 bits under seeds that nobody else knows, so that claims chosen by a client do not meet
 * another's. What PostgreSQL is asked can depend on more of an identity than its constants: then the identity is part of the key. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/policy/anchor.h"
#include "broker/view/view_parts.h"
#include "runtime/buf.h"
#include "runtime/map.h"

/* All that equal views have in common. No holes: it is hashed as bytes. */
struct key {
    uint64_t rules;
    uint64_t table;
    uint64_t identity;
    uint64_t constants[2];
    uint64_t filter[2];
    uint64_t columns[2];
    uint64_t attributes; /* 0 for what does not depend on them */
};

static void hash_into(uint64_t out[2], const struct view_seeds *seeds, const void *data, size_t len)
{
    out[0] = rt_seeded_hash(seeds->low, data, len);
    out[1] = rt_seeded_hash(seeds->high, data, len);
}

static void put(struct rt_buf *out, uint64_t number)
{
    rt_buf_append(out, &number, sizeof(number));
}

static void put_value(struct rt_buf *out, const struct policy_value *value)
{
    put(out, (uint64_t)value->state << 8 | value->kind);
    put(out, value->len);
    if (value->text != NULL && value->len > 0) {
        rt_buf_append(out, value->text, value->len);
    }
}

/* A list's text is the list. */
static void put_constants(struct rt_buf *out, const struct policy_binding *binding)
{
    put(out, (uint64_t)binding->refused << 1 | (uint64_t)binding->errors);
    put(out, binding->count);
    for (uint32_t i = 0; i < binding->count; i++) {
        put_value(out, &binding->values[i]);
    }
}

static void put_columns(struct rt_buf *out, const struct access *access)
{
    put(out, access->all);
    for (uint32_t i = 0; i < access->column_count && !access->all; i++) {
        rt_buf_append(out, access->columns[i], strlen(access->columns[i]) + 1);
    }
}

/* What is equal in views by equal rights, and the key. The numbers, names and types of the table's columns are in the key only: a view
 * looks its columns up by them, and one that the index still holds must not stand in for one of the table as it is now. */
static void make_key(struct view *view, const struct view_seeds *seeds)
{
    struct key parts = { .rules = 0 };
    struct key *key = &parts;
    const struct policy_rules *rules = view->access->rules;
    struct rt_buf bytes = { .data = NULL };

    key->table = view->access->oid;
    put_columns(&bytes, view->access);
    hash_into(key->columns, seeds, bytes.data, bytes.len);
    if (rules != NULL) {
        bool opaque = rules->program->leaf_count > 0;
        key->rules = rules->serial;
        key->identity = opaque ? view->identity->serial : 0;
        rt_buf_clear(&bytes);
        put_constants(&bytes, &view->constants->policy.binding);
        hash_into(key->constants, seeds, bytes.data, bytes.len);
    }
    if (view->filter != NULL) {
        struct wire_span text = filter_program_key(view->filter);
        hash_into(key->filter, seeds, text.data, text.len);
    }
    rt_buf_fini(&bytes);
    view->rights = rt_seeded_hash(seeds->low, key, sizeof(*key));
    key->attributes = view->access->shape;
    hash_into(view->key, seeds, key, sizeof(*key));
}

/* --- conditions for an index ---------------------------------------------------------------------- */

/* Of the policies, of the filter, and of both. */
struct view_conditions {
    struct conditions policies;
    struct conditions filter;
    struct conditions both;
    struct wire_span *values; /* of the policies */
    struct policy_arena arena;
};

static bool has_canonical_text(enum policy_kind kind)
{
    return kind == POLICY_KIND_TEXT || kind == POLICY_KIND_BYTES || kind == POLICY_KIND_CANONICAL ||
           kind == POLICY_KIND_ENUM;
}

/* The text that a row has whose value equals this one. Only where that is certain: numbers are written anew, other texts
 * must read back as the value; of times and numerics nothing is said. Borrowed where it can be. */
static bool text_of(struct policy_arena *arena, const struct policy_shape *shape,
                    const struct policy_value *value, struct wire_span *out)
{
    char digits[24];

    if (shape->kind == POLICY_KIND_INT) {
        int len = snprintf(digits, sizeof(digits), "%" PRId64, value->i);
        *out = (struct wire_span){ policy_arena_copy(arena, digits, (size_t)len), (size_t)len };
        return true;
    }
    if (!has_canonical_text(shape->kind) || value->text == NULL) {
        return false;
    }
    struct policy_value again =
        policy_value_parse(shape->kind, value->text, value->len, shape->labels);
    *out = (struct wire_span){ value->text, value->len };
    return again.state == VALUE_KNOWN && policy_value_compare(&again, value) == 0;
}

static const struct access_attribute *attribute(const struct access *access, uint32_t number)
{
    for (uint32_t i = 0; i < access->attribute_count; i++) {
        if (access->attributes[i].number == number) {
            return &access->attributes[i];
        }
    }
    return NULL;
}

/* The probe is the same as a filter's on this column. Only types whose equal values have equal texts get here. */
static struct match_type type_of(const struct access *access, uint32_t number)
{
    const struct access_attribute *known = attribute(access, number);
    struct match_type type = match_type_of(known == NULL ? 0 : known->type, true);

    return type.form == MATCH_FORM_NONE ? (struct match_type){ MATCH_FORM_BYTES, MATCH_ORDER_NONE }
                                        : type;
}

/* The conjunction that is about this column; a new one if there is none yet. CONDITIONS_MAX: too many. */
static uint32_t conjunction_on(struct conditions *out, uint16_t place)
{
    for (uint32_t i = 0; i < out->count; i++) {
        if (out->anchors[i][0].column == place) {
            return i;
        }
    }
    if (out->count == CONDITIONS_MAX) {
        return CONDITIONS_MAX;
    }
    out->conjunctions[out->count] = (struct match_conjunction){ out->anchors[out->count], 1 };
    out->anchors[out->count][0] = (struct match_anchor){ .column = place, .kind = MATCH_EQUAL };
    return out->count++;
}

static void anything(struct conditions *out)
{
    out->count = 1;
    out->conjunctions[0] = (struct match_conjunction){ out->anchors[0], 0 };
}

/* Values: room for all there are, for each conjunction. */
static bool add_anchor(const struct view *view, const struct policy_anchor *from, uint32_t room,
                       struct view_conditions *all)
{
    struct conditions *out = &all->policies;
    const struct policy_program *program = view->access->rules->program;
    struct wire_span text;

    if (from->column > UINT16_MAX ||
        !text_of(&all->arena, &program->columns[from->column - 1], from->value, &text)) {
        return false;
    }
    uint32_t number = conjunction_on(out, (uint16_t)(from->column - 1));
    if (number == CONDITIONS_MAX) {
        return false;
    }
    struct match_anchor *to = &out->anchors[number][0];
    struct wire_span *list = all->values + (size_t)number * room;
    list[to->value_count++] = text;
    to->values = list;
    to->type = type_of(view->access, from->column);
    return true;
}

/* A row that the policies admit has one of the values, each in its column: one conjunction for each column. */
static void of_policies(const struct view *view, struct view_conditions *all)
{
    struct conditions *out = &all->policies;
    struct policy_anchors *found = rt_alloc(sizeof(*found));
    bool good = true;

    out->count = 0;
    policy_anchors_find(view->access->rules->program, &view->constants->policy.binding, found);
    all->values = rt_alloc((size_t)CONDITIONS_MAX * (found->count + 1) * sizeof(*all->values));
    for (uint32_t i = 0; i < found->count && good && !found->all; i++) {
        good = add_anchor(view, &found->list[i], found->count, all);
    }
    if (found->all || !good) {
        anything(out);
    }
    free(found);
}

static bool place_of(void *ctx, const char *column, uint16_t *out_place)
{
    const struct access *access = ctx;

    for (uint32_t i = 0; i < access->attribute_count; i++) {
        if (strcmp(access->attributes[i].name, column) == 0) {
            *out_place = (uint16_t)(access->attributes[i].number - 1);
            return access->attributes[i].number <= UINT16_MAX;
        }
    }
    return false;
}

void view_filing_init(struct view_filing *filing, struct view *view)
{
    struct view_conditions *all = rt_alloc(sizeof(*all));

    anything(&all->policies);
    anything(&all->filter);
    if (view->constants != NULL) {
        of_policies(view, all);
    }
    if (view->filter != NULL) {
        filter_program_conditions(view->filter, place_of, view->access, &all->filter);
    }
    conditions_and(all->policies.conjunctions, all->policies.count, all->filter.conjunctions,
                   all->filter.count, &all->both);
    *filing = (struct view_filing){ .match = { .program = view->program,
                                               .constants = view,
                                               .key = view_key(view),
                                               .conjunctions = all->both.conjunctions,
                                               .conjunction_count = all->both.count },
                                    .conditions = all };
}

void view_filing_fini(struct view_filing *filing)
{
    policy_arena_fini(&filing->conditions->arena);
    free(filing->conditions->values);
    free(filing->conditions);
    *filing = (struct view_filing){ .conditions = NULL };
}

/* --- the whole ----------------------------------------------------------------------------------- */

struct view *view_make(struct access *access, struct view_identity *identity,
                       struct view_constants *constants, struct filter_program *filter,
                       const struct view_seeds *seeds)
{
    struct view *view = rt_alloc(sizeof(*view));

    view->program = &view_program;
    view->refs = 1;
    view->access = access_ref(access);
    view->identity = identity;
    identity->refs++;
    view->filter = filter == NULL ? NULL : filter_program_ref(filter);
    view->every_row = access->rules == NULL && filter == NULL;
    view->asks = filter != NULL && filter_program_asks(filter);
    if (access->rules != NULL) {
        view->constants = constants;
        constants->refs++;
        view->asks =
            view->asks || (!access->rules->program->never && !constants->policy.binding.refused);
    }
    make_key(view, seeds);
    return view;
}
