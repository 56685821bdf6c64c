/* broker/view/filter_program.c - each test becomes a comparison of the allow-list, or one with a value that is not known: both
 * are judged alike. */
#include <stdlib.h>
#include <string.h>

#include "broker/match/filter_sql.h"
#include "broker/policy/allow.h"
#include "broker/view/filter_parts.h"

/* --- compiling -------------------------------------------------------------------------------- */

static enum policy_compare compare_of(enum filter_op op)
{
    static const uint8_t compares[] = {
        [FILTER_EQ] = POLICY_EQ,     [FILTER_NEQ] = POLICY_NE,     [FILTER_GT] = POLICY_GT,
        [FILTER_GTE] = POLICY_GE,    [FILTER_LT] = POLICY_LT,      [FILTER_LTE] = POLICY_LE,
        [FILTER_LIKE] = POLICY_LIKE, [FILTER_ILIKE] = POLICY_LIKE,
    };

    return op <= FILTER_ILIKE ? (enum policy_compare)compares[op] : POLICY_EQ;
}

/* The type whose operators PostgreSQL uses: varchar has none of its own. */
static uint32_t operator_type(const struct filter_column *column, uint32_t type)
{
    if (column->shape.kind == POLICY_KIND_ENUM && type == column->type) {
        return POLICY_TYPE_ANYENUM;
    }
    return type == POLICY_TYPE_VARCHAR ? POLICY_TYPE_TEXT : type;
}

static bool is_listed(uint32_t left, uint32_t right, enum policy_compare compare)
{
    size_t count = 0;
    const struct policy_allow_op *ops = policy_allow_ops(&count);

    for (size_t i = 0; i < count; i++) {
        if (ops[i].left == left && ops[i].right == right && ops[i].compare == compare) {
            return true;
        }
    }
    return false;
}

/* Texts: equality and patterns under a deterministic collation, order under "C". */
static bool collation_allows(const struct filter_program *program,
                             const struct filter_column *column, enum policy_compare compare)
{
    bool order = compare >= POLICY_LT && compare <= POLICY_GE;

    return column->shape.kind != POLICY_KIND_TEXT ||
           (program->columns->utf8 && column->deterministic && (column->bytes || !order));
}

/* All values of a test have one type: PostgreSQL found it from the operator. */
static bool is_certain(const struct filter_program *program, const struct filter_node *node,
                       const struct filter_column *column)
{
    const struct filter_value *values = &program->filter.values[node->first_value];
    enum policy_compare compare = compare_of(node->op);
    uint32_t left = operator_type(column, column->type);

    if (node->op == FILTER_MATCH || node->op == FILTER_IMATCH) {
        return false;
    }
    for (uint32_t i = 0; i < node->value_count; i++) {
        if (!is_listed(left, operator_type(column, values[i].type_oid), compare)) {
            return false;
        }
    }
    if (node->op == FILTER_ILIKE &&
        (left != POLICY_TYPE_TEXT || column->fold == FILTER_FOLD_UNKNOWN)) {
        return false;
    }
    return collation_allows(program, column, compare);
}

/* A pattern with a letter beyond ASCII is for PostgreSQL, unless the collation leaves it as it is. */
static struct policy_value fold_pattern(struct filter_program *program,
                                        const struct filter_column *column, struct wire_span text)
{
    char *lower = policy_arena_copy(&program->arena, text.data, text.len);

    for (size_t i = 0; i < text.len; i++) {
        if ((text.data[i] & 0x80) != 0 && column->fold != FILTER_FOLD_C) {
            return policy_value_state(VALUE_FREE);
        }
        lower[i] = filter_fold_char(text.data[i]);
    }
    return policy_value_parse(POLICY_KIND_TEXT, lower, text.len, NULL);
}

static void read_values(struct filter_program *program, const struct filter_node *node,
                        struct filter_test *test)
{
    const struct filter_value *from = &program->filter.values[node->first_value];
    struct policy_value *values =
        policy_arena_alloc(&program->arena, (node->value_count + 1) * sizeof(*values));
    const struct policy_shape *shape = &test->column->shape;

    for (uint32_t i = 0; i < node->value_count; i++) {
        const struct policy_allow_type *type = policy_allow_type(from[i].type_oid);
        enum policy_kind kind = type != NULL ? type->kind : shape->kind;
        if (test->unknown != 0) {
            values[i] = policy_value_state(VALUE_FREE);
        } else if (node->op == FILTER_ILIKE) {
            values[i] = fold_pattern(program, test->column, from[i].text);
        } else {
            values[i] =
                policy_value_parse(kind, from[i].text.data, from[i].text.len, shape->labels);
        }
        program->asks = program->asks || (values[i].state & VALUE_FREE) != 0;
    }
    test->values = values;
    test->value_count = node->value_count;
}

/* Operators of PostgreSQL's own types are strict, and those that compare texts raise no error under a collation that has an
 * order; what a path leads to may be NULL in a column that is not. */
static uint8_t unknown_of(const struct filter_program *program, const struct filter_node *node,
                          const struct filter_column *column)
{
    if (node->step_count > 0) {
        return VALUE_ANY;
    }
    switch ((int)node->op) {
    case FILTER_IS_NULL:
        return column->composite ? VALUE_FREE | VALUE_NULL : 0;
    case FILTER_IS_TRUE:
    case FILTER_IS_FALSE:
    case FILTER_IS_UNKNOWN:
        return column->type == POLICY_TYPE_BOOL ? 0 : VALUE_ANY;
    default:
        break;
    }
    if (is_certain(program, node, column)) {
        return 0;
    }
    bool order = node->op >= FILTER_GT && node->op <= FILTER_LTE;
    return column->shape.kind == POLICY_KIND_TEXT && order ? VALUE_FREE : VALUE_FREE | VALUE_ERROR;
}

static void compile_test(struct filter_program *program, const struct filter_node *node,
                         struct filter_test *test)
{
    test->unknown = unknown_of(program, node, test->column);
    test->compare = (uint8_t)compare_of(node->op);
    program->asks = program->asks || test->unknown != 0;
    switch ((int)node->op) {
    case FILTER_IS_NULL:
        test->how = FILTER_HOW_NULL;
        return;
    case FILTER_IS_TRUE:
    case FILTER_IS_FALSE:
    case FILTER_IS_UNKNOWN:
        test->how = FILTER_HOW_TRUTH;
        test->truth = node->op == FILTER_IS_TRUE    ? OUTCOME_TRUE
                      : node->op == FILTER_IS_FALSE ? OUTCOME_FALSE
                                                    : OUTCOME_NULL;
        return;
    case FILTER_IS_DISTINCT:
        test->how = FILTER_HOW_DISTINCT;
        break;
    case FILTER_ILIKE:
        test->how = FILTER_HOW_FOLD;
        program->asks = program->asks || test->column->fold != FILTER_FOLD_C;
        break;
    default:
        test->how = FILTER_HOW_COMPARE;
        break;
    }
    read_values(program, node, test);
}

struct filter_program *filter_program_new(struct filter *filter, struct filter_columns *columns)
{
    for (uint32_t i = 0; i < filter->node_count; i++) {
        if (filter->nodes[i].kind == FILTER_TEST &&
            filter_columns_find(columns, filter->nodes[i].column.data) == NULL) {
            return NULL;
        }
    }
    struct filter_program *program = rt_alloc(sizeof(*program));
    program->refs = 1;
    program->filter = *filter;
    program->columns = filter_columns_ref(columns);
    *filter = (struct filter){ .nodes = NULL };
    program->tests = policy_arena_alloc(&program->arena,
                                        (program->filter.node_count + 1) * sizeof(*program->tests));
    for (uint32_t i = 0; i < program->filter.node_count; i++) {
        const struct filter_node *node = &program->filter.nodes[i];
        if (node->kind == FILTER_TEST) {
            program->tests[i].column = filter_columns_find(columns, node->column.data);
            compile_test(program, node, &program->tests[i]);
        }
    }
    filter_canonical(&program->filter, &program->key);
    (void)rt_buf_cstr(&program->key);
    return program;
}

struct filter_program *filter_program_ref(struct filter_program *program)
{
    program->refs++;
    return program;
}

void filter_program_unref(struct filter_program *program)
{
    if (program != NULL && --program->refs == 0) {
        filter_fini(&program->filter);
        filter_columns_unref(program->columns);
        policy_arena_fini(&program->arena);
        rt_buf_fini(&program->key);
        free(program);
    }
}

/* --- what else a filter is for ---------------------------------------------------------------- */

bool filter_program_asks(const struct filter_program *program)
{
    return program->asks;
}

uint32_t filter_program_highest(const struct filter_program *program)
{
    uint32_t highest = 0;

    for (uint32_t i = 0; i < program->filter.node_count; i++) {
        const struct filter_column *column = program->tests[i].column;
        if (program->filter.nodes[i].kind == FILTER_TEST && column->attribute > highest) {
            highest = column->attribute;
        }
    }
    return highest;
}

struct wire_span filter_program_key(const struct filter_program *program)
{
    return (struct wire_span){ (const char *)program->key.data, program->key.len };
}

void filter_program_sql(const struct filter_program *program, const char *alias, struct rt_buf *out)
{
    rt_buf_puts(out, "((");
    filter_sql_condition(&program->filter, alias, 0, out);
    rt_buf_puts(out, ") IS TRUE)");
}

struct placing {
    const struct filter_program *program;
    filter_place_fn *place;
    void *ctx;
};

static bool describe(void *ctx, const char *name, struct conditions_column *out)
{
    const struct placing *placing = ctx;
    const struct filter_column *column = filter_columns_find(placing->program->columns, name);
    uint16_t place = 0;

    if (column == NULL || !placing->place(placing->ctx, name, &place)) {
        return false;
    }
    *out = (struct conditions_column){
        .place = place, .type_oid = column->type, .type = column->match, .share = column->share
    };
    return true;
}

void filter_program_conditions(const struct filter_program *program, filter_place_fn *place,
                               void *ctx, struct conditions *out)
{
    struct placing placing = { program, place, ctx };

    conditions_of_filter(&program->filter, describe, &placing, out);
}
