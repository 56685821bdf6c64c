/* broker/policy/eval_choose.c - CASE, COALESCE, NULLIF and casts. */
#include <stdlib.h>
#include <string.h>

#include "broker/policy/eval_parts.h"

enum { NUMBER_TEXT_MAX = 400 };
static uint8_t condition_of(uint8_t mask)
{
    if (POLICY_FAULT(POLICY_FAULT_CASE_NULL_IS_TRUE) && (mask & OUTCOME_NULL) != 0) {
        mask = (uint8_t)((mask & ~OUTCOME_NULL) | OUTCOME_TRUE);
    }
    return mask;
}

uint8_t eval_case(const uint8_t *masks, uint16_t count)
{
    uint8_t result = 0;
    uint16_t i = 0;

    for (; i < count; i++) {
        uint8_t condition = condition_of(masks[2 * (size_t)i]);
        result |= condition & (OUTCOME_ERROR | OUTCOME_MISSING);
        result |= (condition & OUTCOME_TRUE) != 0 ? masks[2 * (size_t)i + 1] : 0;
        if ((condition & (OUTCOME_FALSE | OUTCOME_NULL)) == 0) {
            return result;
        }
    }
    return result | masks[2 * (size_t)count];
}

uint8_t eval_coalesce(const uint8_t *masks, uint16_t count)
{
    uint8_t result = 0;

    if (POLICY_FAULT(POLICY_FAULT_COALESCE_TAKES_LAST)) {
        return masks[count - 1];
    }
    for (uint16_t i = 0; i < count; i++) {
        result |= masks[i] & (uint8_t)~OUTCOME_NULL;
        if ((masks[i] & OUTCOME_NULL) == 0) {
            return result;
        }
    }
    return result | OUTCOME_NULL;
}

/* One more value that the result may be. Two different payloads: an unknown one. */
static void merge(struct policy_value *out, const struct policy_value *one, uint8_t states)
{
    const uint8_t some = VALUE_KNOWN | VALUE_FREE;
    uint8_t before = out->state;

    if ((one->state & states & some) != 0) {
        if ((before & some) != 0) {
            before = (uint8_t)((before & ~VALUE_KNOWN) | VALUE_FREE);
        } else {
            *out = *one;
            before |= one->state & some;
        }
    }
    out->state = before | (one->state & states & (uint8_t)~some);
}

static void set_coalesce(struct machine *m, const struct policy_instruction *at)
{
    struct policy_value out = policy_value_state(0);
    uint16_t i = POLICY_FAULT(POLICY_FAULT_COALESCE_TAKES_LAST) ? (uint16_t)(at->n - 1) : 0;

    for (; i < at->n; i++) {
        const struct policy_value *each = eval_value(m, m->program->refs[at->at + i]);
        bool last = i + 1 == at->n;
        merge(&out, each, (uint8_t)(last ? 0xff : ~VALUE_NULL));
        if ((each->state & VALUE_NULL) == 0) {
            break;
        }
    }
    m->temps[at->temp] = out;
}

static void set_case(struct machine *m, const struct policy_instruction *at)
{
    const uint8_t *conditions = eval_pop(m, at->n);
    const struct policy_ref *refs = &m->program->refs[at->at];
    struct policy_value out = policy_value_state(0);
    uint16_t i = 0;

    for (; i < at->n; i++) {
        uint8_t condition = condition_of(conditions[i]);
        out.state |= condition & (OUTCOME_ERROR | OUTCOME_MISSING);
        if ((condition & OUTCOME_TRUE) != 0) {
            merge(&out, eval_value(m, refs[i]), 0xff);
        }
        if ((condition & (OUTCOME_FALSE | OUTCOME_NULL)) == 0) {
            m->temps[at->temp] = out;
            return;
        }
    }
    merge(&out, eval_value(m, refs[i]), 0xff);
    m->temps[at->temp] = out;
}

static void set_nullif(struct machine *m, const struct policy_instruction *at)
{
    const struct policy_value *a = eval_value(m, at->a);
    const struct policy_value *b = eval_value(m, at->b);
    uint8_t equal = eval_compare(POLICY_EQ, a, b);
    struct policy_value out = *a;

    out.state |= b->state & (VALUE_ERROR | VALUE_MISSING);
    if ((equal & OUTCOME_TRUE) != 0) {
        out.state |= VALUE_NULL;
        if (equal == OUTCOME_TRUE) {
            out.state &= (uint8_t) ~(VALUE_KNOWN | VALUE_FREE);
        }
    }
    m->temps[at->temp] = out;
}

static void set_mask(struct machine *m, const struct policy_instruction *at)
{
    uint8_t mask = *eval_pop(m, 1);
    const uint8_t both = OUTCOME_TRUE | OUTCOME_FALSE;
    struct policy_value out = policy_value_state(mask & (uint8_t)~both);

    if ((mask & both) != 0) {
        bool truth = (mask & OUTCOME_TRUE) != 0;
        out.state |= (mask & both) == both ? VALUE_FREE : VALUE_KNOWN;
        out.kind = POLICY_KIND_BOOL;
        out.i = truth;
        out.text = truth ? "t" : "f";
        out.len = 1;
    }
    m->temps[at->temp] = out;
}

static void to_float(struct policy_value *out)
{
    char text[NUMBER_TEXT_MAX];

    if (out->kind == POLICY_KIND_INT) {
        out->f = (double)out->i;
    } else if (out->kind == POLICY_KIND_NUMERIC && out->len < sizeof(text)) {
        memcpy(text, out->text, out->len);
        text[out->len] = 0;
        out->f = strtod(text, NULL);
    }
    out->kind = POLICY_KIND_FLOAT8;
}

static void set_cast(struct machine *m, const struct policy_instruction *at)
{
    struct policy_value out = *eval_value(m, at->a);

    if ((out.state & VALUE_KNOWN) != 0) {
        switch ((enum policy_cast_to)at->cast) {
        case POLICY_CAST_SAME:
            break;
        case POLICY_CAST_NUMERIC: /* the text of a whole number is that of the same numeric */
            out.kind = POLICY_KIND_NUMERIC;
            break;
        case POLICY_CAST_FLOAT8:
            to_float(&out);
            break;
        case POLICY_CAST_TEXT:
            out.kind = POLICY_KIND_TEXT;
            break;
        case POLICY_CAST_BOOL_TEXT: /* the WAL says t and f, a cast says true and false */
            if (!POLICY_FAULT(POLICY_FAULT_BOOL_TEXT_IS_WIRE)) {
                out.text = out.i != 0 ? "true" : "false";
                out.len = out.i != 0 ? 4 : 5;
            }
            out.kind = POLICY_KIND_TEXT;
            break;
        }
    }
    m->temps[at->temp] = out;
}

void eval_set_temp(struct machine *m, const struct policy_instruction *at)
{
    if (at->code == POLICY_SET_CAST) {
        set_cast(m, at);
    } else if (at->code == POLICY_SET_COALESCE) {
        set_coalesce(m, at);
    } else if (at->code == POLICY_SET_NULLIF) {
        set_nullif(m, at);
    } else if (at->code == POLICY_SET_CASE) {
        set_case(m, at);
    } else {
        set_mask(m, at);
    }
}
