/* broker/view/filter_judge.c - one version of a row against a filter's tests. */
#include "broker/view/filter_judge.h"

#include "broker/view/filter_parts.h"

enum { FOLD_MAX = 4096 }; /* bytes of a text that ILIKE is decided for here */

static const struct policy_cell *cell_of(const struct filter_test *test,
                                         const struct policy_row *row)
{
    static const struct policy_cell missing = { .kind = POLICY_CELL_MISSING };
    uint32_t at = test->column->attribute;

    return at <= row->count ? &row->cells[at - 1] : &missing;
}

static bool is_missing(const struct policy_cell *cell)
{
    return cell->kind != POLICY_CELL_NULL && cell->kind != POLICY_CELL_TEXT;
}

/* What a policy has parsed already is used where it was read alike; labels of an enum may be of another time. */
static struct policy_value operand(const struct filter_test *test, const struct policy_cell *cell)
{
    const struct policy_shape *shape = &test->column->shape;

    if (cell->kind == POLICY_CELL_NULL) {
        return policy_value_state(VALUE_NULL);
    }
    if (is_missing(cell)) {
        return policy_value_state(VALUE_NULL |
                                  (test->unknown != 0 ? test->unknown : (uint8_t)VALUE_FREE));
    }
    if (test->unknown != 0) {
        return policy_value_state(test->unknown);
    }
    if (cell->parsed && cell->value.kind == shape->kind && shape->kind != POLICY_KIND_ENUM) {
        return cell->value;
    }
    return policy_value_parse(shape->kind, cell->text, cell->len, shape->labels);
}

static uint8_t judge_fold(const struct filter_test *test, const struct policy_value *value)
{
    char copy[FOLD_MAX] __attribute__((uninitialized));
    struct policy_value lower = *value;
    uint8_t high = 0;

    if (value->state == VALUE_KNOWN && value->len > sizeof(copy)) {
        lower = policy_value_state(VALUE_FREE);
    } else if (value->state == VALUE_KNOWN) {
        for (uint32_t i = 0; i < value->len; i++) {
            copy[i] = filter_fold_char(value->text[i]);
            high |= (uint8_t)value->text[i];
        }
        lower.text = copy;
        if (high >= 0x80 && test->column->fold != FILTER_FOLD_C) {
            lower = policy_value_state(VALUE_FREE);
        }
    }
    return eval_compare(POLICY_LIKE, &lower, test->values);
}

static uint8_t judge_null(const struct policy_value *value)
{
    uint8_t set = value->state & VALUE_ERROR;

    set |= (value->state & VALUE_NULL) != 0 ? OUTCOME_TRUE : 0;
    set |= (value->state & (VALUE_KNOWN | VALUE_FREE)) != 0 ? OUTCOME_FALSE : 0;
    return set;
}

static uint8_t judge_truth(const struct filter_test *test, const struct policy_value *value)
{
    const uint8_t sure = OUTCOME_TRUE | OUTCOME_FALSE | OUTCOME_NULL;
    uint8_t is = value->state & (VALUE_NULL | VALUE_ERROR);

    if ((value->state & VALUE_FREE) != 0) {
        is |= OUTCOME_TRUE | OUTCOME_FALSE;
    } else if ((value->state & VALUE_KNOWN) != 0) {
        is |= outcome_of(value->i != 0);
    }
    uint8_t set = is & OUTCOME_ERROR;
    set |= (is & test->truth) != 0 ? OUTCOME_TRUE : 0;
    set |= (is & sure & ~test->truth) != 0 ? OUTCOME_FALSE : 0;
    return set;
}

/* `column = value`, or one of several values. */
static uint8_t judge_compare(const struct filter_test *test, const struct policy_value *value)
{
    uint8_t set = eval_compare((enum policy_compare)test->compare, value, &test->values[0]);

    for (uint32_t i = 1; i < test->value_count && set != OUTCOME_TRUE; i++) {
        set = outcome_or(set,
                         eval_compare((enum policy_compare)test->compare, value, &test->values[i]));
    }
    return set;
}

static uint8_t judge_test(const struct filter_test *test, const struct policy_row *row,
                          bool *missing)
{
    const struct policy_cell *cell = cell_of(test, row);
    struct policy_value value = operand(test, cell);

    *missing = *missing || is_missing(cell);
    switch ((enum filter_how)test->how) {
    case FILTER_HOW_NULL:
        return judge_null(&value);
    case FILTER_HOW_TRUTH:
        return judge_truth(test, &value);
    case FILTER_HOW_FOLD:
        return judge_fold(test, &value);
    case FILTER_HOW_DISTINCT:
        return eval_distinct(&value, test->values);
    case FILTER_HOW_COMPARE:
        break;
    }
    return judge_compare(test, &value);
}

/* The node and what is below it, from its last part to the first. */
static uint8_t judge_node(const struct filter_program *program, uint32_t top,
                          const struct policy_row *row, bool *missing)
{
    const struct filter_node *nodes = program->filter.nodes;
    uint8_t sets[FILTER_NODES_MAX] __attribute__((uninitialized));

    sets[top] = OUTCOME_ANY;
    for (uint32_t i = nodes[top].end; i-- > top;) {
        const struct filter_node *node = &nodes[i];
        if (node->kind == FILTER_TEST) {
            sets[i] = judge_test(&program->tests[i], row, missing);
        } else {
            sets[i] = outcome_of(node->kind == FILTER_AND);
            for (uint32_t c = i + 1; c < node->end; c = nodes[c].end) {
                sets[i] = node->kind == FILTER_AND ? outcome_and(sets[i], sets[c])
                                                   : outcome_or(sets[i], sets[c]);
            }
        }
        sets[i] = node->negated ? outcome_not(sets[i]) : sets[i];
    }
    return sets[top];
}

uint8_t filter_eval(const struct filter_program *program, const struct policy_row *row)
{
    const struct filter *filter = &program->filter;
    uint8_t set = OUTCOME_TRUE;
    bool missing = false;

    for (uint32_t i = 1; i < filter->node_count; i = filter->nodes[i].end) {
        set = outcome_and(set, judge_node(program, i, row, &missing));
        if ((set & OUTCOME_TRUE) == 0) {
            return set; /* whatever else there is */
        }
    }
    return missing && set != OUTCOME_TRUE ? set | OUTCOME_MISSING : set;
}

enum match_verdict filter_judge(const struct filter_program *program, const struct policy_row *row)
{
    switch (outcome_answer(filter_eval(program, row))) {
    case POLICY_DELIVER:
        return MATCH_YES;
    case POLICY_ASK:
        return MATCH_ASK;
    case POLICY_DENY:
        break;
    }
    return MATCH_NO;
}
