/* broker/policy/anchor.c - the program, run over sets of anchors. */
#include "broker/policy/anchor.h"

#include <stdlib.h>
#include <string.h>

#include "broker/policy/eval_parts.h"
#include "runtime/buf.h"

enum { TEST_IS_TRUE = 0 }; /* PostgreSQL's BoolTestType */

struct search {
    struct machine m; /* for its values only; there is no row */
    uint32_t depth;
    struct policy_anchors *stack; /* POLICY_STACK_MAX of them */
};

static struct policy_anchors *push(struct search *s, bool all)
{
    struct policy_anchors *set = &s->stack[s->depth++];

    set->all = all;
    set->count = 0;
    return set;
}

/* Values that compare equal have the same payload; numerics and floats have more than one text. */
static bool can_anchor(uint8_t kind)
{
    return kind == POLICY_KIND_INT || kind == POLICY_KIND_TEXT || kind == POLICY_KIND_BYTES ||
           kind == POLICY_KIND_CANONICAL || kind == POLICY_KIND_ENUM || kind == POLICY_KIND_DATE ||
           kind == POLICY_KIND_STAMP;
}

/* Adds "column = value". A NULL or an error is equal to nothing. */
static void add(struct policy_anchors *set, const struct policy_program *program, uint32_t column,
                const struct policy_value *value)
{
    const uint8_t some = VALUE_KNOWN | VALUE_FREE;

    if (set->all || (value->state & some) == 0) {
        return;
    }
    if ((value->state & VALUE_FREE) != 0 || !can_anchor(value->kind) ||
        program->columns[column - 1].kind != (enum policy_kind)value->kind ||
        set->count == POLICY_ANCHORS_MAX) {
        set->all = true;
        return;
    }
    set->list[set->count++] = (struct policy_anchor){ column, value };
}

static bool is_constant(struct policy_ref ref)
{
    return ref.kind == POLICY_REF_LITERAL || ref.kind == POLICY_REF_FOLD;
}

static void find_compare(struct search *s, const struct policy_instruction *at)
{
    bool left = at->a.kind == POLICY_REF_COLUMN && is_constant(at->b);
    bool right = at->b.kind == POLICY_REF_COLUMN && is_constant(at->a);
    bool equal = at->compare == POLICY_EQ && (left || right);
    struct policy_anchors *set = push(s, !equal);

    if (equal) {
        add(set, s->m.program, left ? at->a.at : at->b.at, eval_value(&s->m, left ? at->b : at->a));
    }
}

static void find_in_list(struct search *s, const struct policy_instruction *at)
{
    bool equal = at->compare == POLICY_EQ && !at->all && at->a.kind == POLICY_REF_COLUMN;
    struct policy_anchors *set = push(s, !equal);

    for (uint16_t i = 0; i < at->n && !set->all; i++) {
        struct policy_ref ref = s->m.program->refs[at->at + i];
        if (is_constant(ref)) {
            add(set, s->m.program, at->a.at, eval_value(&s->m, ref));
        } else {
            set->all = true;
        }
    }
}

static void find_in_array(struct search *s, const struct policy_instruction *at)
{
    bool equal = at->compare == POLICY_EQ && !at->all && at->a.kind == POLICY_REF_COLUMN &&
                 is_constant(at->b);
    const struct policy_value *array = equal ? eval_value(&s->m, at->b) : NULL;
    bool known = array != NULL && (array->state & VALUE_FREE) == 0;
    struct policy_anchors *set = push(s, !known);

    if (!known || (array->state & VALUE_KNOWN) == 0) {
        return;
    }
    if (array->list == NULL) {
        set->all = true;
        return;
    }
    for (uint32_t i = 0; i < array->list->count && !set->all; i++) {
        add(set, s->m.program, at->a.at, &array->list->values[i]);
    }
}

/* Constants: never true, or always a candidate. */
static void find_mask(struct search *s, const struct policy_instruction *at)
{
    bool may_be_true = true;

    if (at->code == POLICY_PUSH) {
        may_be_true = (at->n & OUTCOME_TRUE) != 0;
    } else if (is_constant(at->a)) {
        const struct policy_value *value = eval_value(&s->m, at->a);
        may_be_true = (value->state & VALUE_FREE) != 0 ||
                      ((value->state & VALUE_KNOWN) != 0 && value->i != 0);
    }
    push(s, may_be_true);
}

static void find_and(struct search *s)
{
    struct policy_anchors *a = &s->stack[s->depth - 2];
    struct policy_anchors *b = &s->stack[s->depth - 1];

    if (!b->all && (a->all || b->count < a->count)) {
        *a = *b;
    }
    s->depth--;
}

static void find_or(struct search *s)
{
    struct policy_anchors *a = &s->stack[s->depth - 2];
    const struct policy_anchors *b = &s->stack[s->depth - 1];

    if (POLICY_FAULT(POLICY_FAULT_ANCHOR_OF_ONE_DISJUNCT)) {
        s->depth--;
        return;
    }
    if (a->all || b->all || a->count + b->count > POLICY_ANCHORS_MAX) {
        a->all = true;
    } else {
        memcpy(&a->list[a->count], b->list, b->count * sizeof(b->list[0]));
        a->count += b->count;
    }
    s->depth--;
}

static void step(struct search *s, const struct policy_instruction *at)
{
    switch (at->code) {
    case POLICY_PUSH:
    case POLICY_BOOL:
        find_mask(s, at);
        return;
    case POLICY_COMPARE:
        find_compare(s, at);
        return;
    case POLICY_IN_LIST:
        find_in_list(s, at);
        return;
    case POLICY_IN_ARRAY:
        find_in_array(s, at);
        return;
    case POLICY_DISTINCT:
    case POLICY_IS_NULL:
        push(s, true);
        return;
    case POLICY_AND:
        find_and(s);
        return;
    case POLICY_OR:
        find_or(s);
        return;
    case POLICY_TEST:
        if (at->n != TEST_IS_TRUE) { /* what is true where that is */
            s->stack[s->depth - 1].all = true;
        }
        return;
    case POLICY_NOT:
    case POLICY_MASK_IS_NULL:
        s->stack[s->depth - 1].all = true;
        return;
    case POLICY_CASE:
    case POLICY_COALESCE:
        s->depth -= at->code == POLICY_CASE ? 2 * (uint32_t)at->n + 1 : at->n;
        push(s, true);
        return;
    case POLICY_SET_CASE:
        s->depth -= at->n;
        return;
    case POLICY_SET_MASK:
        s->depth--;
        return;
    default: /* POLICY_SKIP, other temps */
        return;
    }
}

void policy_anchors_find(const struct policy_program *program, const struct policy_binding *binding,
                         struct policy_anchors *out)
{
    struct search s = { .m = { .program = program, .binding = binding },
                        .depth = POLICY_STACK_BASE };

    out->all = false;
    out->count = 0;
    if (binding->refused) {
        return;
    }
    s.stack = rt_alloc(POLICY_STACK_MAX * sizeof(*s.stack));
    for (uint32_t i = 0; i < program->count; i++) {
        step(&s, &program->code[i]);
    }
    *out = s.stack[POLICY_STACK_BASE];
    free(s.stack);
}

bool policy_anchors_admit(const struct policy_anchors *anchors,
                          const struct policy_program *program, struct policy_row *row)
{
    struct machine m = { .program = program, .row = row };

    for (uint32_t i = 0; i < anchors->count && !anchors->all; i++) {
        struct policy_ref column = { POLICY_REF_COLUMN, (uint16_t)anchors->list[i].column };
        const struct policy_value *value = eval_value(&m, column);
        bool equal = (value->state & VALUE_KNOWN) != 0 &&
                     policy_value_compare(value, anchors->list[i].value) == 0;
        if (equal || (value->state & (VALUE_FREE | VALUE_MISSING)) != 0) {
            return true;
        }
    }
    return anchors->all;
}
