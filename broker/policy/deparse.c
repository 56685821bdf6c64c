/* broker/policy/deparse.c - one writer for each kind of node. */
/* NOLINTBEGIN(misc-no-recursion): as deep as the tree, which is bounded */
#include "broker/policy/deparse.h"

#include <stdio.h>
#include <string.h>

#include "broker/policy/allow.h"
#include "broker/policy/body.h"
#include "broker/policy/datum.h"
#include "broker/policy/deparse_parts.h"
#include "broker/policy/look.h"
#include "broker/policy/sql.h"

enum { SVFOP_CURRENT_TIMESTAMP = 3 };

typedef bool (*write_fn)(struct writer *w, const struct policy_tree *node);

bool deparse_refuse(struct writer *w, const char *what, const char *name)
{
    char text[256];

    if (w->reason == NULL) {
        (void)snprintf(text, sizeof(text), "%s%s", what, name);
        w->reason = policy_arena_copy(w->arena, text, strlen(text));
    }
    return false;
}

static bool write_type(struct writer *w, uint32_t oid)
{
    const struct policy_type_fact *type = policy_facts_type(w->facts, oid);

    if (type == NULL) {
        return deparse_refuse(w, "an unknown type", "");
    }
    if (w->row != NULL && !deparse_plain_type(w, oid)) {
        return false;
    }
    policy_write_name(w->out, &type->f);
    return true;
}

/* --- what may be called ----------------------------------------------------------------------- */

static bool check_function(struct writer *w, uint32_t oid)
{
    const struct policy_function_fact *function = policy_facts_function(w->facts, oid);

    if (function == NULL) {
        return deparse_refuse(w, "an unknown function", "");
    }
    if (function->set) {
        return deparse_refuse(w, "a function that returns a set: ", function->f.name);
    }
    if (w->row != NULL) {
        return deparse_row_function(w, function);
    }
    if (oid < POLICY_TYPE_FIRST_OWN && function->internal) {
        bool constant = function->volatility == 'i' ||
                        (function->volatility == 's' && policy_allow_stable(oid));
        return constant || deparse_refuse(w, "a function that depends on more than the identity: ",
                                          function->f.name);
    }
    return policy_body_is_constant(w->facts, function) ||
           deparse_refuse(
               w, "a function whose result may depend on tables or time: ", function->f.name);
}

bool deparse_check_operator(struct writer *w, const struct policy_tree *node, uint32_t *out)
{
    uint32_t oid = 0;

    if (!policy_tree_oid(node, "opno", &oid)) {
        return deparse_refuse(w, "an operator without a number", "");
    }
    const struct policy_op_fact *op = policy_facts_op(w->facts, oid);
    if (op == NULL || op->f.name[strspn(op->f.name, "+-*/<>=~!@#%^&|`?")] != 0) {
        return deparse_refuse(w, "an unknown operator", "");
    }
    *out = oid;
    return check_function(w, op->function);
}

void deparse_operator(struct writer *w, uint32_t oid)
{
    const struct policy_op_fact *op = policy_facts_op(w->facts, oid);

    rt_buf_puts(w->out, " OPERATOR(");
    policy_sql_identifier(w->out, op->f.schema);
    rt_buf_printf(w->out, ".%s) ", op->f.name);
}

/* --- nodes ------------------------------------------------------------------------------------ */

static bool write_list(struct writer *w, const struct policy_tree *first, const char *separator)
{
    for (const struct policy_tree *at = first; at != NULL; at = at->next) {
        if (at != first) {
            rt_buf_puts(w->out, separator);
        }
        if (!deparse_node(w, at)) {
            return false;
        }
    }
    return true;
}

static bool write_const(struct writer *w, const struct policy_tree *node)
{
    struct policy_datum datum;

    if (!policy_datum_read(w->arena, w->facts, node, &datum)) {
        const struct policy_type_fact *type = policy_facts_type(w->facts, datum.type);
        return deparse_refuse(w, "a constant of type ", type != NULL ? type->f.name : "?");
    }
    rt_buf_puts(w->out, "CAST(");
    if (datum.is_null) {
        rt_buf_puts(w->out, "NULL");
    } else {
        policy_write_literal(w->out, datum.text, datum.len);
    }
    rt_buf_puts(w->out, " AS ");
    bool good = write_type(w, datum.type);
    rt_buf_putc(w->out, ')');
    return good;
}

static bool write_function(struct writer *w, const struct policy_tree *node)
{
    uint32_t oid = 0;
    bool variadic = false;

    if (!policy_tree_oid(node, "funcid", &oid) ||
        !policy_tree_bool(node, "funcvariadic", &variadic) || !check_function(w, oid)) {
        return deparse_refuse(w, "a function call", "");
    }
    policy_write_name(w->out, &policy_facts_function(w->facts, oid)->f);
    rt_buf_putc(w->out, '(');
    const struct policy_tree *first = policy_tree_elements(node, "args");
    for (const struct policy_tree *at = first; at != NULL; at = at->next) {
        rt_buf_puts(w->out, at != first ? ", " : "");
        rt_buf_puts(w->out, variadic && at->next == NULL ? "VARIADIC " : "");
        if (!deparse_node(w, at)) {
            return false;
        }
    }
    rt_buf_putc(w->out, ')');
    return true;
}

static bool write_opexpr(struct writer *w, const struct policy_tree *node)
{
    const struct policy_tree *args = policy_tree_elements(node, "args");
    uint32_t count = policy_tree_count(args);
    uint32_t op = 0;

    if (!deparse_check_operator(w, node, &op) || count < 1 || count > 2) {
        return false;
    }
    rt_buf_putc(w->out, '(');
    if (count == 2) {
        if (!deparse_node(w, args)) {
            return false;
        }
        args = args->next;
    }
    deparse_operator(w, op);
    bool good = deparse_node(w, args);
    rt_buf_putc(w->out, ')');
    return good;
}

/* IS DISTINCT FROM and NULLIF find their operator by its name: only PostgreSQL's own is the same one for certain. */
static bool write_named_op(struct writer *w, const struct policy_tree *node, const char *open,
                           const char *between)
{
    const struct policy_tree *args = policy_tree_elements(node, "args");
    uint32_t op = 0;

    if (!deparse_check_operator(w, node, &op) || op >= POLICY_TYPE_FIRST_OWN ||
        policy_tree_count(args) != 2) {
        return deparse_refuse(w, "a comparison with an operator of its own", "");
    }
    rt_buf_puts(w->out, open);
    bool good = write_list(w, args, between);
    rt_buf_putc(w->out, ')');
    return good;
}

static bool write_distinct(struct writer *w, const struct policy_tree *node)
{
    return write_named_op(w, node, "(", " IS DISTINCT FROM ");
}

static bool write_nullif(struct writer *w, const struct policy_tree *node)
{
    return write_named_op(w, node, "NULLIF(", ", ");
}

static bool write_array_op(struct writer *w, const struct policy_tree *node)
{
    const struct policy_tree *args = policy_tree_elements(node, "args");
    bool any = false;
    uint32_t op = 0;

    if (!deparse_check_operator(w, node, &op) || !policy_tree_bool(node, "useOr", &any) ||
        policy_tree_count(args) != 2) {
        return false;
    }
    rt_buf_putc(w->out, '(');
    if (!deparse_node(w, args)) {
        return false;
    }
    deparse_operator(w, op);
    rt_buf_puts(w->out, any ? "ANY (" : "ALL (");
    bool good = deparse_node(w, args->next);
    rt_buf_puts(w->out, "))");
    return good;
}

static bool write_cast(struct writer *w, const struct policy_tree *node)
{
    int64_t typmod = -1;
    uint32_t type = 0;

    if (!policy_tree_oid(node, "resulttype", &type) ||
        (policy_tree_number(node, "resulttypmod", &typmod) && typmod >= 0)) {
        return deparse_refuse(w, "a cast with a length", "");
    }
    rt_buf_puts(w->out, "CAST(");
    if (!deparse_node(w, policy_tree_get(node, "arg"))) {
        return false;
    }
    rt_buf_puts(w->out, " AS ");
    bool good = write_type(w, type);
    rt_buf_putc(w->out, ')');
    return good;
}

static bool write_io_cast(struct writer *w, const struct policy_tree *node)
{
    uint32_t to = 0;
    uint32_t from = policy_type_of_node(policy_tree_get(node, "arg"));

    (void)policy_tree_oid(node, "resulttype", &to);
    const struct policy_type_fact *from_type = policy_facts_type(w->facts, from);
    const struct policy_type_fact *to_type = policy_facts_type(w->facts, to);
    bool from_good = policy_allow_input(from) || (from_type != NULL && from_type->type == 'e');
    bool to_good = policy_allow_input(to) || (to_type != NULL && to_type->type == 'e');
    if (!from_good || !to_good) {
        return deparse_refuse(w, "a cast that may depend on settings or time, to ",
                              to_type != NULL ? to_type->f.name : "?");
    }
    return write_cast(w, node);
}

static bool write_array_cast(struct writer *w, const struct policy_tree *node)
{
    const struct policy_tree *each = policy_tree_get(node, "elemexpr");
    uint32_t to = 0;

    if ((!policy_tree_is(each, "RELABELTYPE") && !policy_tree_is(each, "COERCEVIAIO")) ||
        !policy_tree_is(policy_tree_get(each, "arg"), "CASETESTEXPR") ||
        !policy_tree_oid(node, "resulttype", &to) || !policy_allow_input(to)) {
        return deparse_refuse(w, "a cast of an array", "");
    }
    return write_cast(w, node);
}

static bool write_collate(struct writer *w, const struct policy_tree *node)
{
    uint32_t oid = 0;
    const struct policy_collation_fact *collation =
        policy_tree_oid(node, "collOid", &oid) ? policy_facts_collation(w->facts, oid) : NULL;

    if (collation == NULL) {
        return deparse_refuse(w, "an unknown collation", "");
    }
    rt_buf_putc(w->out, '(');
    if (!deparse_node(w, policy_tree_get(node, "arg"))) {
        return false;
    }
    rt_buf_puts(w->out, " COLLATE ");
    policy_write_name(w->out, &collation->f);
    rt_buf_putc(w->out, ')');
    return true;
}

static bool write_array(struct writer *w, const struct policy_tree *node)
{
    bool nested = true;
    uint32_t type = 0;

    if (!policy_tree_bool(node, "multidims", &nested) || nested ||
        !policy_tree_oid(node, "array_typeid", &type)) {
        return deparse_refuse(w, "an array of several dimensions", "");
    }
    rt_buf_puts(w->out, "CAST(ARRAY[");
    if (!write_list(w, policy_tree_elements(node, "elements"), ", ")) {
        return false;
    }
    rt_buf_puts(w->out, "] AS ");
    bool good = write_type(w, type);
    rt_buf_putc(w->out, ')');
    return good;
}

static bool write_bool(struct writer *w, const struct policy_tree *node)
{
    const struct policy_tree *op = policy_tree_get(node, "boolop");
    const struct policy_tree *args = policy_tree_elements(node, "args");

    if (op == NULL || args == NULL) {
        return deparse_refuse(w, "a boolean expression", "");
    }
    bool negated = op->len == 3 && memcmp(op->text, "not", 3) == 0;
    rt_buf_puts(w->out, negated ? "(NOT " : "(");
    bool good = write_list(w, args, op->len == 2 ? " OR " : " AND ");
    rt_buf_putc(w->out, ')');
    return good;
}

static bool write_test(struct writer *w, const struct policy_tree *node)
{
    static const char *const boolean[] = { " IS TRUE)",      " IS NOT TRUE)", " IS FALSE)",
                                           " IS NOT FALSE)", " IS UNKNOWN)",  " IS NOT UNKNOWN)" };
    static const char *const null[] = { " IS NULL)", " IS NOT NULL)" };
    bool is_null = policy_tree_is(node, "NULLTEST");
    bool row = false;
    int64_t test = -1;

    if (!policy_tree_number(node, is_null ? "nulltesttype" : "booltesttype", &test) || test < 0 ||
        test > (is_null ? 1 : 5) || (is_null && policy_tree_bool(node, "argisrow", &row) && row)) {
        return deparse_refuse(w, "a test", "");
    }
    rt_buf_putc(w->out, '(');
    bool good = deparse_node(w, policy_tree_get(node, "arg"));
    rt_buf_puts(w->out, is_null ? null[test] : boolean[test]);
    return good;
}

static bool write_case(struct writer *w, const struct policy_tree *node)
{
    const struct policy_tree *outer = w->case_arg;
    const struct policy_tree *arg = policy_tree_get(node, "arg");
    bool good = true;

    rt_buf_puts(w->out, "(CASE");
    for (const struct policy_tree *when = policy_tree_elements(node, "args"); when != NULL && good;
         when = when->next) {
        rt_buf_puts(w->out, " WHEN ");
        w->case_arg = arg != NULL && arg->kind == POLICY_TREE_NODE ? arg : NULL;
        good = deparse_node(w, policy_tree_get(when, "expr"));
        w->case_arg = outer;
        rt_buf_puts(w->out, " THEN ");
        good = good && deparse_node(w, policy_tree_get(when, "result"));
    }
    rt_buf_puts(w->out, " ELSE ");
    good = good && deparse_node(w, policy_tree_get(node, "defresult"));
    rt_buf_puts(w->out, " END)");
    return good;
}

static bool write_case_test(struct writer *w, const struct policy_tree *node)
{
    const struct policy_tree *arg = w->case_arg;

    (void)node;
    if (arg == NULL) {
        return deparse_refuse(w, "CASE", "");
    }
    w->case_arg = NULL; /* it has none of its own */
    bool good = deparse_node(w, arg);
    w->case_arg = arg;
    return good;
}

static bool write_coalesce(struct writer *w, const struct policy_tree *node)
{
    rt_buf_puts(w->out, "COALESCE(");
    bool good = write_list(w, policy_tree_elements(node, "args"), ", ");
    rt_buf_putc(w->out, ')');
    return good;
}

/* SVFOP_CURRENT_ROLE, CURRENT_USER, USER and CURRENT_CATALOG are of the identity; the rest are clocks and the login. */
static bool write_value_function(struct writer *w, const struct policy_tree *node)
{
    int64_t op = -1;

    if (w->row != NULL && policy_tree_number(node, "op", &op) && op == SVFOP_CURRENT_TIMESTAMP) {
        rt_buf_puts(w->out, "CURRENT_TIMESTAMP");
        return true;
    }
    if (!policy_tree_number(node, "op", &op) || (op != 13 && (op < 9 || op > 11))) {
        return deparse_refuse(w, "the clock, or who logged in", "");
    }
    rt_buf_puts(w->out, op == 13 ? "CURRENT_CATALOG" : "CURRENT_USER");
    return true;
}

static bool write_var(struct writer *w, const struct policy_tree *node)
{
    return w->row != NULL ? deparse_row_column(w, node) : deparse_column(w, node);
}

bool deparse_node(struct writer *w, const struct policy_tree *node)
{
    static const struct {
        const char *name;
        write_fn write;
    } writers[] = {
        { "CONST", write_const },
        { "FUNCEXPR", write_function },
        { "OPEXPR", write_opexpr },
        { "DISTINCTEXPR", write_distinct },
        { "NULLIFEXPR", write_nullif },
        { "SCALARARRAYOPEXPR", write_array_op },
        { "RELABELTYPE", write_cast },
        { "COERCEVIAIO", write_io_cast },
        { "ARRAYCOERCEEXPR", write_array_cast },
        { "COLLATEEXPR", write_collate },
        { "ARRAYEXPR", write_array },
        { "ARRAY", write_array },
        { "BOOLEXPR", write_bool },
        { "NULLTEST", write_test },
        { "BOOLEANTEST", write_test },
        { "CASEEXPR", write_case },
        { "CASE", write_case },
        { "CASETESTEXPR", write_case_test },
        { "COALESCEEXPR", write_coalesce },
        { "COALESCE", write_coalesce },
        { "SQLVALUEFUNCTION", write_value_function },
        { "SUBLINK", deparse_sublink },
        { "VAR", write_var },
    };

    if (deparse_row_constant(w, node)) {
        return true;
    }
    for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++) {
        if (policy_tree_is(node, writers[i].name)) {
            return writers[i].write(w, node);
        }
    }
    char name[64] = "";
    if (node != NULL && node->kind == POLICY_TREE_NODE) {
        (void)snprintf(name, sizeof(name), "%.*s", (int)node->len, node->text);
    }
    return deparse_refuse(w, "an expression of kind ", name);
}

bool deparse_whole(struct writer *w, const struct policy_tree *node, const char **reason)
{
    size_t before = w->out->len;
    bool good = deparse_node(w, node);

    if (!good) {
        w->out->len = before;
        *reason = w->reason != NULL ? w->reason : "an expression that is not understood";
    }
    return good;
}

bool policy_deparse(struct policy_arena *arena, const struct policy_facts *facts,
                    const struct policy_tree *node, struct rt_buf *out, const char **reason)
{
    struct writer writer = { .arena = arena, .facts = facts, .out = out };

    return deparse_whole(&writer, node, reason);
}

/* NOLINTEND(misc-no-recursion) */
