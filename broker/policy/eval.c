/* broker/policy/eval.c - the loop over instructions. */
#include "broker/policy/eval.h"

#include <string.h>

#include "broker/policy/eval_parts.h"

/* --- rows ------------------------------------------------------------------------------------- */

void policy_row_set(struct policy_row *row, uint32_t attribute, enum policy_cell_kind kind,
                    const char *text, uint32_t len)
{
    if (attribute >= 1 && attribute <= row->count) {
        struct policy_cell *cell = &row->cells[attribute - 1];
        cell->text = text;
        cell->len = len;
        cell->kind = (uint8_t)kind;
        cell->parsed = false;
    }
}

void policy_row_clear(struct policy_row *row)
{
    for (uint32_t i = 0; i < row->count; i++) {
        row->cells[i].kind = POLICY_CELL_MISSING;
        row->cells[i].parsed = false;
    }
}

/* Texts that are their own payload need no reading. */
static bool reads_itself(enum policy_kind kind)
{
    return kind == POLICY_KIND_TEXT || kind == POLICY_KIND_BYTES || kind == POLICY_KIND_CANONICAL;
}

static void parse_cell(struct policy_cell *cell, const struct policy_shape *shape)
{
    bool as_null =
        cell->kind == POLICY_CELL_NULL ||
        (cell->kind == POLICY_CELL_MISSING && POLICY_FAULT(POLICY_FAULT_KEY_NULLS)) ||
        (cell->kind == POLICY_CELL_UNCHANGED && POLICY_FAULT(POLICY_FAULT_UNCHANGED_NULL));

    if (cell->kind == POLICY_CELL_TEXT && reads_itself(shape->kind)) {
        cell->value = (struct policy_value){
            .state = VALUE_KNOWN, .kind = (uint8_t)shape->kind, .len = cell->len, .text = cell->text
        };
    } else if (cell->kind == POLICY_CELL_TEXT) {
        cell->value = policy_value_parse(shape->kind, cell->text, cell->len, shape->labels);
        cell->value.list = shape->kind == POLICY_KIND_ARRAY ? NULL : cell->value.list;
    } else {
        cell->value = policy_value_state(as_null ? VALUE_NULL : VALUE_MISSING);
    }
    cell->parsed = true;
}

static inline const struct policy_value *column(const struct policy_program *program,
                                                struct policy_row *row, uint32_t attribute)
{
    static const struct policy_value missing = { .state = VALUE_MISSING, .text = "" };

    if (attribute > row->count) {
        return &missing;
    }
    struct policy_cell *cell = &row->cells[attribute - 1];
    if (!cell->parsed) {
        parse_cell(cell, &program->columns[attribute - 1]);
    }
    return &cell->value;
}

/* What is there before any instruction has run: a column, a literal, or a constant. */
static inline const struct policy_value *given_value(const struct policy_program *program,
                                                     const struct policy_binding *binding,
                                                     struct policy_row *row, struct policy_ref ref)
{
    if (ref.kind == POLICY_REF_COLUMN) {
        return column(program, row, ref.at);
    }
    return ref.kind == POLICY_REF_FOLD ? &binding->values[ref.at] : &program->literals[ref.at];
}

const struct policy_value *eval_value(struct machine *m, struct policy_ref ref)
{
    if (ref.kind == POLICY_REF_TEMP) {
        return &m->temps[ref.at];
    }
    return ref.kind == POLICY_REF_NOW ? &m->now : given_value(m->program, m->binding, m->row, ref);
}

const uint8_t *eval_pop(struct machine *m, uint32_t count)
{
    m->depth -= count;
    return &m->stack[m->depth];
}

/* --- single masks ----------------------------------------------------------------------------- */

static uint8_t is_null(const struct policy_value *a)
{
    uint8_t result = a->state & (VALUE_ERROR | VALUE_MISSING);

    result |= (a->state & VALUE_NULL) != 0 ? OUTCOME_TRUE : 0;
    result |= (a->state & (VALUE_KNOWN | VALUE_FREE)) != 0 ? OUTCOME_FALSE : 0;
    return result;
}

static uint8_t mask_of(const struct policy_value *a)
{
    uint8_t result = a->state & (VALUE_NULL | VALUE_ERROR | VALUE_MISSING);

    if ((a->state & VALUE_FREE) != 0) {
        result |= OUTCOME_TRUE | OUTCOME_FALSE;
    } else if ((a->state & VALUE_KNOWN) != 0) {
        result |= outcome_of(a->i != 0);
    }
    return result;
}

static uint8_t is_test(uint16_t test, uint8_t a)
{
    static const uint8_t yes[] = { OUTCOME_TRUE,  OUTCOME_TRUE, OUTCOME_FALSE,
                                   OUTCOME_FALSE, OUTCOME_NULL, OUTCOME_NULL };
    const uint8_t sure = OUTCOME_TRUE | OUTCOME_FALSE | OUTCOME_NULL;
    uint8_t result = a & (OUTCOME_ERROR | OUTCOME_MISSING);

    if ((a & yes[test]) != 0) {
        result |= test % 2 == 0 ? OUTCOME_TRUE : OUTCOME_FALSE;
    }
    if ((a & sure & ~yes[test]) != 0) {
        result |= test % 2 == 0 ? OUTCOME_FALSE : OUTCOME_TRUE;
    }
    return result;
}

/* --- the loop --------------------------------------------------------------------------------- */

static uint8_t null_of_mask(uint8_t a)
{
    uint8_t result = a & (OUTCOME_ERROR | OUTCOME_MISSING);

    result |= (a & OUTCOME_NULL) != 0 ? OUTCOME_TRUE : 0;
    result |= (a & (OUTCOME_TRUE | OUTCOME_FALSE)) != 0 ? OUTCOME_FALSE : 0;
    return result;
}

/* Replaces what is on the stack; the compiler has checked that it is there. */
static void combine(struct machine *m, const struct policy_instruction *at)
{
    uint8_t *top = &m->stack[m->depth - 1];

    switch (at->code) {
    case POLICY_NOT:
        *top = outcome_not(*top);
        return;
    case POLICY_AND:
        top[-1] = outcome_and(top[-1], top[0]);
        m->depth--;
        return;
    case POLICY_OR:
        top[-1] = outcome_or(top[-1], top[0]);
        m->depth--;
        return;
    case POLICY_TEST:
        *top = is_test(at->n, *top);
        return;
    case POLICY_MASK_IS_NULL:
        *top = null_of_mask(*top);
        return;
    case POLICY_CASE: {
        uint8_t result = eval_case(eval_pop(m, 2 * (uint32_t)at->n + 1), at->n);
        m->stack[m->depth++] = result;
        return;
    }
    case POLICY_COALESCE: {
        uint8_t result = eval_coalesce(eval_pop(m, at->n), at->n);
        m->stack[m->depth++] = result;
        return;
    }
    default:
        return;
    }
}

static bool push(struct machine *m, const struct policy_instruction *at, uint8_t *out)
{
    switch (at->code) {
    case POLICY_PUSH:
        *out = (uint8_t)at->n;
        return true;
    case POLICY_BOOL:
        *out = mask_of(eval_value(m, at->a));
        return true;
    case POLICY_COMPARE:
        *out = eval_compare((enum policy_compare)at->compare, eval_value(m, at->a),
                            eval_value(m, at->b));
        return true;
    case POLICY_DISTINCT:
        *out = eval_distinct(eval_value(m, at->a), eval_value(m, at->b));
        return true;
    case POLICY_IN_LIST:
        *out = eval_in_list(m, at);
        return true;
    case POLICY_IN_ARRAY:
        *out = eval_in_array(at, eval_value(m, at->a), eval_value(m, at->b));
        return true;
    case POLICY_IS_NULL:
        *out = is_null(eval_value(m, at->a));
        return true;
    default:
        return false;
    }
}

/* PostgreSQL's planner evaluates some constants before any row is looked at, those in arms of CASE and
 * COALESCE that no row takes too: where one of them raises, the whole statement may. */
static uint8_t with_guarded(const struct policy_program *program,
                            const struct policy_binding *binding, uint8_t set)
{
    bool may_raise = program->guarded_unknown || (program->guards && binding->errors);

    if (may_raise && !POLICY_FAULT(POLICY_FAULT_PLANNING_IGNORED)) {
        set |= OUTCOME_ERROR;
    }
    return set;
}

/* By itself: who need not run instructions does not pay for the room to. */
__attribute__((noinline)) static uint8_t run(const struct policy_program *program,
                                             const struct policy_binding *binding,
                                             struct policy_row *row, int64_t now)
{
    struct machine m __attribute__((uninitialized)); /* the temps are set before they are read */
    uint32_t i = 0;

    m.program = program;
    m.binding = binding;
    m.row = row;
    m.depth = POLICY_STACK_BASE;
    memset(m.stack, 0, sizeof(m.stack));
    m.now = (struct policy_value){ .state = VALUE_KNOWN, .kind = POLICY_KIND_STAMP, .text = "" };
    m.now.i = now;
    while (i < program->count) {
        const struct policy_instruction *at = &program->code[i++];
        uint8_t set = 0;
        if (push(&m, at, &set)) {
            m.stack[m.depth++] = set;
        } else if (at->code == POLICY_SKIP) {
            i = (m.stack[m.depth - 1] & OUTCOME_TRUE) == 0 ? at->at : i;
        } else if (at->code >= POLICY_SET_CAST) {
            eval_set_temp(&m, at);
        } else {
            combine(&m, at);
        }
    }
    return m.stack[POLICY_STACK_BASE];
}

/* Most policies are one comparison, or one test for membership (EXISTS with IS TRUE behind it): no stack for those, nothing to set
 * up. */
static uint8_t run_single(const struct policy_program *program,
                          const struct policy_binding *binding, struct policy_row *row)
{
    const struct policy_instruction *at = program->code;
    const struct policy_value *a = given_value(program, binding, row, at->a);
    const struct policy_value *b = given_value(program, binding, row, at->b);
    uint8_t set = at->code == POLICY_COMPARE ? eval_compare((enum policy_compare)at->compare, a, b)
                                             : eval_in_array(at, a, b);

    return program->count == 1 ? set : is_test(at[1].n, set);
}

uint8_t policy_eval(const struct policy_program *program, const struct policy_binding *binding,
                    struct policy_row *row, int64_t now)
{
    if (binding->refused && !POLICY_FAULT(POLICY_FAULT_PLANNING_IGNORED)) {
        return OUTCOME_ERROR;
    }
    uint8_t set =
        program->single ? run_single(program, binding, row) : run(program, binding, row, now);
    return with_guarded(program, binding, set);
}
