/* broker/policy/eval_compare.c - comparisons of values and lists, as sets of outcomes. */
#include <string.h>

#include "broker/policy/eval_parts.h"

enum { ARRAY_TEXT_MAX = 16384 };

static bool holds(enum policy_compare compare, int order)
{
    switch (compare) {
    case POLICY_EQ:
        return order == 0;
    case POLICY_NE:
        return order != 0;
    case POLICY_LT:
        return order < 0;
    case POLICY_LE:
        return order <= 0;
    case POLICY_GT:
        return order > 0;
    case POLICY_GE:
        return order >= 0;
    case POLICY_LIKE:
    case POLICY_NOT_LIKE:
        break;
    }
    return false;
}

static bool is_bytes(uint8_t kind)
{
    return kind == POLICY_KIND_TEXT || kind == POLICY_KIND_BYTES || kind == POLICY_KIND_CANONICAL;
}

/* Equality of texts needs no order. */
static bool same_bytes(const struct policy_value *a, const struct policy_value *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static uint8_t known(enum policy_compare compare, const struct policy_value *a,
                     const struct policy_value *b)
{
    if (compare == POLICY_LIKE || compare == POLICY_NOT_LIKE) {
        enum policy_match match = policy_like(a->text, a->len, b->text, b->len);
        if (match == POLICY_MATCH_BAD) { /* an error, unless something else differs before */
            return OUTCOME_ERROR | (compare == POLICY_LIKE ? OUTCOME_FALSE : OUTCOME_TRUE);
        }
        return outcome_of((match == POLICY_MATCH_YES) == (compare == POLICY_LIKE));
    }
    if (is_bytes(a->kind) && (compare == POLICY_EQ || compare == POLICY_NE)) {
        return outcome_of(same_bytes(a, b) == (compare == POLICY_EQ));
    }
    return outcome_of(holds(compare, policy_value_compare(a, b)));
}

/* A strict operator: NULL in, NULL out; both an error and a NULL may come first. */
uint8_t eval_compare(enum policy_compare compare, const struct policy_value *a,
                     const struct policy_value *b)
{
    uint8_t states = a->state | b->state;
    uint8_t result = states & (VALUE_NULL | VALUE_ERROR | VALUE_MISSING);
    const uint8_t some = VALUE_KNOWN | VALUE_FREE;

    if (states == VALUE_KNOWN) {
        return known(compare, a, b);
    }
    if ((a->state & some) != 0 && (b->state & some) != 0) {
        result |= (states & VALUE_FREE) != 0 ? OUTCOME_TRUE | OUTCOME_FALSE : known(compare, a, b);
    }
    return result;
}

uint8_t eval_distinct(const struct policy_value *a, const struct policy_value *b)
{
    const uint8_t some = VALUE_KNOWN | VALUE_FREE;
    uint8_t result = (a->state | b->state) & (VALUE_ERROR | VALUE_MISSING);

    if (POLICY_FAULT(POLICY_FAULT_DISTINCT_AS_NE)) {
        return eval_compare(POLICY_NE, a, b);
    }
    if ((a->state & some) != 0 && (b->state & some) != 0) {
        bool sure = ((a->state | b->state) & VALUE_FREE) == 0;
        result |= sure ? known(POLICY_NE, a, b) : OUTCOME_TRUE | OUTCOME_FALSE;
    }
    if (((a->state & VALUE_NULL) != 0 && (b->state & some) != 0) ||
        ((b->state & VALUE_NULL) != 0 && (a->state & some) != 0)) {
        result |= OUTCOME_TRUE;
    }
    if ((a->state & b->state & VALUE_NULL) != 0) {
        result |= OUTCOME_FALSE;
    }
    return result;
}

/* --- lists ------------------------------------------------------------------------------------ */

/* ANY is an OR, ALL an AND over the elements; nothing at all is false, or true. Errors of elements come whatever the
 * others are: an array is complete before it is looked into. */
static uint8_t add_element(const struct policy_instruction *at, uint8_t so_far,
                           const struct policy_value *a, const struct policy_value *element)
{
    uint8_t each = eval_compare((enum policy_compare)at->compare, a, element);

    if (POLICY_FAULT(POLICY_FAULT_IN_NULL_IS_FALSE) && element->state == VALUE_NULL) {
        each = outcome_of(at->all);
    }
    return at->all ? outcome_and(so_far, each) : outcome_or(so_far, each);
}

uint8_t eval_in_list(struct machine *m, const struct policy_instruction *at)
{
    const struct policy_value *a = eval_value(m, at->a);
    uint8_t result = outcome_of(at->all);

    for (uint16_t i = 0; i < at->n; i++) {
        result = add_element(at, result, a, eval_value(m, m->program->refs[at->at + i]));
    }
    return result;
}

static bool is_whole_number(uint8_t kind)
{
    return kind == POLICY_KIND_INT || kind == POLICY_KIND_BOOL || kind == POLICY_KIND_DATE ||
           kind == POLICY_KIND_STAMP;
}

static bool is_like(const struct policy_value *a, const struct policy_value *element)
{
    return element->state == VALUE_KNOWN && element->kind == a->kind;
}

/* `= ANY` of a value that is known: how many elements, from the first on, are known too, of the same kind, and another value. They are
 * false for certain, without a look at sets of outcomes. */
static uint32_t skip_numbers(const struct policy_value *a, const struct policy_list *list)
{
    uint32_t i = 0;

    while (i < list->count && is_like(a, &list->values[i]) && list->values[i].i != a->i) {
        i++;
    }
    return i;
}

static uint32_t skip_texts(const struct policy_value *a, const struct policy_list *list)
{
    uint32_t i = 0;

    while (i < list->count && is_like(a, &list->values[i]) && !same_bytes(a, &list->values[i])) {
        i++;
    }
    return i;
}

/* Whether an element equals it. If not, *out_at is the first that is not false for certain. */
static inline bool is_among(const struct policy_value *a, const struct policy_list *list,
                            uint32_t *out_at)
{
    *out_at = 0;
    if (a->state != VALUE_KNOWN) {
        return false;
    }
    if (is_whole_number(a->kind)) {
        *out_at = skip_numbers(a, list);
    } else if (is_bytes(a->kind)) {
        *out_at = skip_texts(a, list);
    } else {
        return false;
    }
    return *out_at < list->count && is_like(a, &list->values[*out_at]);
}

static uint8_t in_elements(const struct policy_instruction *at, const struct policy_value *a,
                           const struct policy_list *list)
{
    uint8_t result = outcome_of(at->all);
    uint8_t done = at->all ? OUTCOME_FALSE : OUTCOME_TRUE;
    uint32_t i = 0;

    if (!at->all && at->compare == POLICY_EQ && is_among(a, list, &i)) {
        return OUTCOME_TRUE; /* after nothing but false */
    }
    for (; i < list->count && result != done; i++) {
        result = add_element(at, result, a, &list->values[i]);
    }
    return result;
}

/* By itself: who need not read texts does not pay for the room to. */
__attribute__((noinline)) static uint8_t in_text(const struct policy_instruction *at,
                                                 const struct policy_value *a,
                                                 const struct policy_value *b)
{
    char scratch[ARRAY_TEXT_MAX] __attribute__((uninitialized));
    struct policy_array array;
    const char *text = NULL;
    size_t len = 0;
    bool null = false;
    uint8_t result = outcome_of(at->all);

    if (b->len > sizeof(scratch)) {
        return OUTCOME_TRUE | OUTCOME_FALSE | OUTCOME_NULL;
    }
    policy_array_open(&array, b->text, b->len);
    while (policy_array_next(&array, scratch, &text, &len, &null)) {
        struct policy_value element =
            null ? policy_value_state(VALUE_NULL)
                 : policy_value_parse(at->shape->element, text, len, at->shape->labels);
        result = add_element(at, result, a, &element);
    }
    return array.bad ? OUTCOME_ANY : result;
}

uint8_t eval_in_array(const struct policy_instruction *at, const struct policy_value *a,
                      const struct policy_value *b)
{
    uint8_t result = b->state & (VALUE_NULL | VALUE_ERROR | VALUE_MISSING);

    if ((b->state & VALUE_FREE) != 0) {
        result |= OUTCOME_TRUE | OUTCOME_FALSE | OUTCOME_NULL;
    } else if ((b->state & VALUE_KNOWN) != 0) {
        result |= b->list != NULL ? in_elements(at, a, b->list) : in_text(at, a, b);
    }
    /* An operand that raises or is missing does so for an empty array too. */
    return result | (a->state & (VALUE_ERROR | VALUE_MISSING));
}
