/* broker/policy/compile_value.c - expressions that have a value: columns, constants, casts, CASE and its kin. */
/* NOLINTBEGIN(misc-no-recursion): as deep as the tree, which is bounded */
#include <stdio.h>
#include <string.h>

#include "broker/policy/compile_parts.h"
#include "broker/policy/datum.h"
#include "broker/policy/deparse.h"
#include "broker/policy/look.h"

enum {
    LIST_MAX = 4096,
    COLUMN_MAX = 1664,
    SVFOP_CURRENT_TIMESTAMP = 3,
    FUNCTION_NOW = 1299,
    FUNCTION_TRANSACTION_TIMESTAMP = 2647
};

/* --- emission --------------------------------------------------------------------------------- */

uint16_t compile_temp(struct compiler *c)
{
    return c->temps < POLICY_TEMPS_MAX ? (uint16_t)c->temps++ : UINT16_MAX;
}

struct policy_ref compile_literal(struct compiler *c, struct policy_value value)
{
    size_t at = c->literals.len / sizeof(value);

    rt_buf_append(&c->literals, &value, sizeof(value));
    c->too_large = c->too_large || at > UINT16_MAX;
    return (struct policy_ref){ POLICY_REF_LITERAL, (uint16_t)at };
}

uint32_t compile_refs(struct compiler *c, const struct policy_ref *refs, uint32_t count)
{
    uint32_t at = (uint32_t)(c->refs.len / sizeof(*refs));

    rt_buf_append(&c->refs, refs, count * sizeof(*refs));
    return at;
}

const struct policy_shape *compile_keep_shape(struct compiler *c, const struct policy_shape *shape)
{
    struct policy_shape *kept = policy_arena_alloc(&c->program->arena, sizeof(*kept));

    *kept = *shape;
    return kept;
}

static struct operand unknown(struct compiler *c)
{
    struct policy_value any = policy_value_state(VALUE_ANY);

    return (struct operand){ compile_literal(c, any), { .kind = POLICY_KIND_NONE } };
}

struct operand compile_unknown_value(struct compiler *c, const char *reason)
{
    compile_leaf(c, POLICY_LEAF_SQL, reason);
    return unknown(c);
}

static struct operand unknown_type(struct compiler *c, const char *what, uint32_t type)
{
    const struct policy_type_fact *fact = policy_facts_type(c->facts, type);
    char text[192];

    (void)snprintf(text, sizeof(text), "%s of type %s", what, fact != NULL ? fact->f.name : "?");
    return compile_unknown_value(c, text);
}

/* The elements of an array that never changes are read here, once. */
static const struct policy_list *read_list(struct compiler *c, const struct policy_shape *shape,
                                           const char *text, size_t len)
{
    struct policy_array array;
    char *scratch = policy_arena_alloc(&c->program->arena, len + 1);
    struct policy_list *list = policy_arena_alloc(&c->program->arena, sizeof(*list));
    struct rt_buf values = { 0 };
    const char *element = NULL;
    size_t element_len = 0;
    bool is_null = false;

    policy_array_open(&array, text, len);
    while (list->count < LIST_MAX &&
           policy_array_next(&array, scratch, &element, &element_len, &is_null)) {
        const char *kept = policy_arena_copy(&c->program->arena, element, element_len);
        struct policy_value value =
            is_null ? policy_value_state(VALUE_NULL)
                    : policy_value_parse(shape->element, kept, element_len, shape->labels);
        rt_buf_append(&values, &value, sizeof(value));
        list->count++;
    }
    list->values = policy_arena_alloc(&c->program->arena, values.len);
    if (values.len > 0) {
        memcpy(list->values, values.data, values.len);
    }
    rt_buf_fini(&values);
    return array.bad || list->count == LIST_MAX ? NULL : list;
}

struct policy_value compile_parse(struct compiler *c, const struct policy_shape *shape,
                                  const char *text, size_t len)
{
    const char *kept = policy_arena_copy(&c->program->arena, text, len);
    struct policy_value value = policy_value_parse(shape->kind, kept, len, shape->labels);

    if (shape->kind == POLICY_KIND_ARRAY) {
        value.list = read_list(c, shape, kept, len);
        value.state = value.list != NULL ? VALUE_KNOWN : VALUE_ANY;
    }
    return value;
}

/* --- leaves ----------------------------------------------------------------------------------- */

static struct operand compile_const(struct compiler *c, const struct policy_tree *node)
{
    struct policy_datum datum;

    if (!policy_datum_read(&c->program->arena, c->facts, node, &datum)) {
        return unknown_type(c, "a constant", datum.type);
    }
    struct operand out = { .shape = policy_shape_of(c->facts, datum.type) };
    struct policy_value value = policy_value_state(VALUE_NULL);
    if (!datum.is_null) {
        value = compile_parse(c, &out.shape, datum.text, datum.len);
    }
    out.ref = compile_literal(c, value);
    return out;
}

/* Only columns of the table itself; of partitions and dropped columns the row knows nothing, which is MISSING. */
static struct operand compile_column(struct compiler *c, const struct policy_tree *node)
{
    int64_t level = -1;
    int64_t column = 0;
    uint32_t type = 0;
    struct policy_shape none = { 0 };

    if (!policy_tree_number(node, "varlevelsup", &level) || level != c->row_level ||
        !policy_tree_number(node, "varattno", &column) || column > COLUMN_MAX ||
        !policy_tree_oid(node, "vartype", &type) || column == 0) {
        return compile_unknown_value(c, "the whole row");
    }
    if (column < 0) {
        return unknown(c); /* compile_rule has said why */
    }
    while (c->columns.len < (size_t)column * sizeof(none)) {
        rt_buf_append(&c->columns, &none, sizeof(none));
    }
    struct policy_shape shape = policy_shape_of(c->facts, type);
    ((struct policy_shape *)(void *)c->columns.data)[column - 1] = shape;
    return (struct operand){ { POLICY_REF_COLUMN, (uint16_t)column }, shape };
}

static bool is_now(const struct policy_tree *node)
{
    int64_t op = -1;
    uint32_t function = 0;

    if (policy_tree_is(node, "SQLVALUEFUNCTION")) {
        return policy_tree_number(node, "op", &op) && op == SVFOP_CURRENT_TIMESTAMP;
    }
    return policy_tree_is(node, "FUNCEXPR") && policy_tree_oid(node, "funcid", &function) &&
           (function == FUNCTION_NOW || function == FUNCTION_TRANSACTION_TIMESTAMP);
}

bool compile_fold_sql(struct compiler *c, struct rt_buf *sql, const struct policy_shape *shape,
                      struct policy_ref *out)
{
    const struct policy_fold_item *items = (const void *)c->folds.data;
    size_t count = c->folds.len / sizeof(*items);
    size_t at = 0;

    while (at < count && strcmp(items[at].sql, rt_buf_cstr(sql)) != 0) {
        at++;
    }
    if (at == POLICY_FOLDS_MAX) {
        return false;
    }
    if (at == count) {
        struct policy_fold_item item = {
            policy_arena_copy(&c->program->arena, (const char *)sql->data, sql->len), *shape
        };
        rt_buf_append(&c->folds, &item, sizeof(item));
    }
    *out = (struct policy_ref){ POLICY_REF_FOLD, (uint16_t)at };
    return true;
}

/* A constant of the identity. `*done` false: it is none. */
struct operand compile_fold(struct compiler *c, const struct policy_tree *node, bool *done)
{
    struct rt_buf sql = { 0 };
    const char *reason = "";
    struct operand out = { .shape = policy_shape_of(c->facts, policy_type_of_node(node)) };

    *done = true;
    if (policy_tree_is(node, "CONST")) {
        return compile_const(c, node);
    }
    *done = out.shape.kind != POLICY_KIND_NONE &&
            policy_deparse(&c->program->arena, c->facts, node, &sql, &reason) &&
            compile_fold_sql(c, &sql, &out.shape, &out.ref);
    rt_buf_fini(&sql);
    return out;
}

/* --- casts ------------------------------------------------------------------------------------ */

static struct operand cast(struct compiler *c, const struct operand *from, uint32_t to,
                           enum policy_cast_to how)
{
    struct operand out = { .shape = policy_shape_of(c->facts, to) };
    uint16_t temp = compile_temp(c);

    if (temp == UINT16_MAX) {
        return compile_unknown_value(c, "too many casts");
    }
    struct policy_instruction *set = compile_emit(c, POLICY_SET_CAST);
    set->a = from->ref;
    set->temp = temp;
    set->cast = (uint8_t)how;
    out.ref = (struct policy_ref){ POLICY_REF_TEMP, temp };
    return out;
}

static struct operand compile_cast_function(struct compiler *c, const struct policy_tree *node)
{
    uint32_t function = 0;
    const struct policy_allow_cast *allowed =
        policy_tree_oid(node, "funcid", &function) ? policy_allow_cast(function) : NULL;
    const struct policy_tree *args = policy_tree_elements(node, "args");

    if (allowed == NULL || policy_tree_count(args) != 1) {
        const struct policy_function_fact *fact = policy_facts_function(c->facts, function);
        char text[192];
        (void)snprintf(text, sizeof(text), "function %s", fact != NULL ? fact->f.name : "?");
        return compile_unknown_value(c, text);
    }
    struct operand from = compile_value(c, args);
    if (from.shape.type != allowed->from) {
        return unknown(c); /* its reason has been recorded */
    }
    struct policy_shape to = policy_shape_of(c->facts, allowed->to);
    enum policy_cast_to how = from.shape.kind == POLICY_KIND_BOOL ? POLICY_CAST_BOOL_TEXT
                              : to.kind == POLICY_KIND_NUMERIC    ? POLICY_CAST_NUMERIC
                              : to.kind == POLICY_KIND_FLOAT8     ? POLICY_CAST_FLOAT8
                              : to.kind == POLICY_KIND_TEXT       ? POLICY_CAST_TEXT
                                                                  : POLICY_CAST_SAME;
    return cast(c, &from, allowed->to, how);
}

/* Same bytes, another name: among the text types. */
static struct operand compile_relabel(struct compiler *c, const struct policy_tree *node)
{
    struct operand from = compile_value(c, policy_tree_get(node, "arg"));
    uint32_t to = 0;
    bool texts = policy_tree_oid(node, "resulttype", &to) &&
                 (to == POLICY_TYPE_TEXT || to == POLICY_TYPE_VARCHAR) &&
                 (from.shape.type == POLICY_TYPE_TEXT || from.shape.type == POLICY_TYPE_VARCHAR);
    bool arrays = policy_allow_array(to) != NULL && policy_allow_array(from.shape.type) != NULL &&
                  policy_allow_array(to)->kind == POLICY_KIND_TEXT &&
                  policy_allow_array(from.shape.type)->kind == POLICY_KIND_TEXT;

    if (texts || arrays) {
        from.shape = policy_shape_of(c->facts, to);
        return from;
    }
    return from.shape.kind == POLICY_KIND_NONE ? from
                                               : unknown_type(c, "a cast to another name", to);
}

static struct operand compile_io_cast(struct compiler *c, const struct policy_tree *node)
{
    struct operand from = compile_value(c, policy_tree_get(node, "arg"));
    uint32_t to = 0;

    if (from.shape.kind == POLICY_KIND_NONE) {
        return from;
    }
    bool to_text = policy_tree_oid(node, "resulttype", &to) &&
                   (to == POLICY_TYPE_TEXT || to == POLICY_TYPE_VARCHAR);
    if (!to_text || (!policy_allow_text(from.shape.type) && from.shape.kind != POLICY_KIND_ENUM)) {
        return unknown_type(c, "a cast through text", to);
    }
    return cast(c, &from, to, POLICY_CAST_TEXT);
}

/* --- choices ---------------------------------------------------------------------------------- */

static struct operand compile_value_coalesce(struct compiler *c, const struct policy_tree *node)
{
    struct operand out = { 0 };
    struct policy_ref refs[32];
    uint32_t count = 0;

    c->guards++;
    for (const struct policy_tree *arg = policy_tree_elements(node, "args");
         arg != NULL && count < 32; arg = arg->next) {
        struct operand each = compile_value(c, arg);
        refs[count++] = each.ref;
        out.shape = count == 1 || each.shape.kind == POLICY_KIND_NONE ? each.shape : out.shape;
    }
    c->guards--;
    uint16_t temp = compile_temp(c);
    if (count == 0 || count == 32 || temp == UINT16_MAX) {
        return compile_unknown_value(c, "COALESCE");
    }
    uint32_t at = compile_refs(c, refs, count);
    struct policy_instruction *set = compile_emit(c, POLICY_SET_COALESCE);
    set->at = at;
    set->n = (uint16_t)count;
    set->temp = temp;
    out.shape = policy_shape_of(c->facts, policy_type_of_node(node));
    out.ref = (struct policy_ref){ POLICY_REF_TEMP, temp };
    c->program->guards = true;
    return out;
}

static struct operand compile_value_nullif(struct compiler *c, const struct policy_tree *node)
{
    const struct policy_tree *args = policy_tree_elements(node, "args");
    const char *reason = "NULLIF";
    const struct policy_allow_op *op = compile_allowed_op(c, node, &reason);

    if (op == NULL || op->compare != POLICY_EQ || policy_tree_count(args) != 2) {
        return compile_unknown_value(c, reason);
    }
    struct operand a = compile_value(c, args);
    struct operand b = compile_value(c, args->next);
    uint16_t temp = compile_temp(c);
    if (temp == UINT16_MAX || a.shape.kind == POLICY_KIND_NONE ||
        b.shape.kind == POLICY_KIND_NONE) {
        return unknown(c);
    }
    struct policy_instruction *set = compile_emit(c, POLICY_SET_NULLIF);
    set->a = a.ref;
    set->b = b.ref;
    set->temp = temp;
    a.ref = (struct policy_ref){ POLICY_REF_TEMP, temp };
    return a;
}

static struct operand compile_value_case(struct compiler *c, const struct policy_tree *node)
{
    struct compiler before = *c;
    const struct policy_tree *arg = policy_tree_get(node, "arg");
    struct policy_ref refs[32];
    uint32_t count = 0;

    c->guards++;
    c->positive = false;
    if (arg != NULL && arg->kind == POLICY_TREE_NODE) {
        struct operand operand = compile_value(c, arg);
        c->case_arg = arg;
        c->case_ref = operand.ref;
        c->case_shape = operand.shape;
    }
    for (const struct policy_tree *when = policy_tree_elements(node, "args");
         when != NULL && count < 31; when = when->next) {
        compile_bool(c, policy_tree_get(when, "expr"));
        refs[count++] = compile_value(c, policy_tree_get(when, "result")).ref;
    }
    refs[count] = compile_value(c, policy_tree_get(node, "defresult")).ref;
    c->guards--;
    c->positive = before.positive;
    c->case_arg = before.case_arg;
    c->case_ref = before.case_ref;
    c->case_shape = before.case_shape;
    uint16_t temp = compile_temp(c);
    uint32_t at = compile_refs(c, refs, count + 1);
    struct policy_instruction *set = compile_emit(c, POLICY_SET_CASE);
    c->stack -= count;
    set->at = at;
    set->n = (uint16_t)count;
    set->temp = temp != UINT16_MAX ? temp : 0;
    c->program->guards = true;
    if (temp == UINT16_MAX || count == 31) {
        return compile_unknown_value(c, "CASE");
    }
    return (struct operand){ { POLICY_REF_TEMP, temp },
                             policy_shape_of(c->facts, policy_type_of_node(node)) };
}

/* A boolean expression where a value is wanted: (a = 1) = b. */
static struct operand compile_value_of_bool(struct compiler *c, const struct policy_tree *node)
{
    bool positive = c->positive;
    uint16_t temp = compile_temp(c);

    if (temp == UINT16_MAX) {
        return compile_unknown_value(c, "too many values");
    }
    c->positive = false;
    compile_bool(c, node);
    c->positive = positive;
    c->stack--;
    compile_emit(c, POLICY_SET_MASK)->temp = temp;
    return (struct operand){ { POLICY_REF_TEMP, temp },
                             policy_shape_of(c->facts, POLICY_TYPE_BOOL) };
}

static struct operand compile_case_test(struct compiler *c, const struct policy_tree *node)
{
    (void)node;
    if (c->case_arg == NULL) {
        return compile_unknown_value(c, "CASE");
    }
    return (struct operand){ c->case_ref, c->case_shape };
}

/* The collation is judged where it is used: the operator carries its own. */
static struct operand compile_collate(struct compiler *c, const struct policy_tree *node)
{
    return compile_value(c, policy_tree_get(node, "arg"));
}

static bool is_boolean_node(const struct policy_tree *node)
{
    static const char *const names[] = { "OPEXPR",   "DISTINCTEXPR", "SCALARARRAYOPEXPR",
                                         "BOOLEXPR", "NULLTEST",     "BOOLEANTEST",
                                         "SUBLINK" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (policy_tree_is(node, names[i])) {
            return policy_type_of_node(node) == POLICY_TYPE_BOOL || i == 6;
        }
    }
    return false;
}

struct operand compile_value(struct compiler *c, const struct policy_tree *node)
{
    static const struct {
        const char *name;
        struct operand (*compile)(struct compiler *c, const struct policy_tree *node);
    } nodes[] = {
        { "VAR", compile_column },
        { "CONST", compile_const },
        { "RELABELTYPE", compile_relabel },
        { "COERCEVIAIO", compile_io_cast },
        { "FUNCEXPR", compile_cast_function },
        { "COLLATEEXPR", compile_collate },
        { "CASEEXPR", compile_value_case },
        { "CASE", compile_value_case },
        { "COALESCEEXPR", compile_value_coalesce },
        { "COALESCE", compile_value_coalesce },
        { "NULLIFEXPR", compile_value_nullif },
        { "CASETESTEXPR", compile_case_test },
    };

    if (node == NULL || c->stack >= POLICY_STACK_MAX - 4) {
        return compile_unknown_value(c, "an expression that is too deep");
    }
    if (is_now(node)) {
        c->program->uses_clock = true;
        return (struct operand){ { POLICY_REF_NOW, 0 },
                                 policy_shape_of(c->facts, POLICY_TYPE_STAMPTZ) };
    }
    if (!policy_tree_is(node, "CASETESTEXPR") && !policy_tree_is(node, "BOOLEXPR") &&
        policy_is_row_free(node)) {
        bool done = false;
        struct operand folded = compile_fold(c, node, &done);
        if (done) {
            return folded;
        }
    }
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        if (policy_tree_is(node, nodes[i].name)) {
            return nodes[i].compile(c, node);
        }
    }
    if (is_boolean_node(node)) {
        return compile_value_of_bool(c, node);
    }
    char text[96];
    (void)snprintf(text, sizeof(text), "an expression of kind %.*s", (int)node->len, node->text);
    return compile_unknown_value(c, text);
}
/* NOLINTEND(misc-no-recursion) */
