/* broker/policy/compile.c - boolean expressions, and how policies combine. */
/* NOLINTBEGIN(misc-no-recursion): as deep as the tree, which is bounded */
#include "broker/policy/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/policy/compile_parts.h"
#include "broker/policy/look.h"
#include "broker/policy/member.h"

/* --- emission --------------------------------------------------------------------------------- */

struct policy_instruction *compile_emit(struct compiler *c, enum policy_code code)
{
    struct policy_instruction instruction = { .code = (uint8_t)code };

    rt_buf_append(&c->code, &instruction, sizeof(instruction));
    return (struct policy_instruction *)(void *)(c->code.data + c->code.len - sizeof(instruction));
}

void compile_pushed(struct compiler *c)
{
    c->stack++;
    c->too_large = c->too_large || c->stack > POLICY_STACK_MAX - POLICY_STACK_BASE;
}

static uint32_t here(const struct compiler *c)
{
    return (uint32_t)(c->code.len / sizeof(struct policy_instruction));
}

static void push_mask(struct compiler *c, uint16_t mask)
{
    compile_emit(c, POLICY_PUSH)->n = mask;
    compile_pushed(c);
}

void compile_unknown_mask(struct compiler *c)
{
    push_mask(c, POLICY_FAULT(POLICY_FAULT_UNKNOWN_IS_FALSE) ? OUTCOME_FALSE : OUTCOME_ANY);
}

/* Records why; the caller pushes or refers to "anything". */
void compile_leaf(struct compiler *c, enum policy_leaf_class kind, const char *reason)
{
    struct policy_leaf leaf = { kind, c->policy,
                                policy_arena_copy(&c->program->arena, reason, strlen(reason)) };

    rt_buf_append(&c->leaves, &leaf, sizeof(leaf));
    c->program->never = c->program->never || kind == POLICY_LEAF_NEVER;
    c->program->guarded_unknown = c->program->guarded_unknown || c->guards > 0;
}

/* --- boolean nodes ---------------------------------------------------------------------------- */

static void compile_negated(struct compiler *c, const struct policy_tree *node)
{
    bool positive = c->positive;

    c->positive = false;
    compile_bool(c, node);
    c->positive = positive;
}

static void compile_list(struct compiler *c, const struct policy_tree *args, bool is_and)
{
    uint32_t skips[64];
    size_t skip_count = 0;
    bool first = true;
    bool positive = c->positive;

    c->positive = positive && is_and;

    for (; args != NULL; args = args->next) {
        compile_bool(c, args);
        if (!first) {
            compile_emit(c, is_and ? POLICY_AND : POLICY_OR);
            c->stack--;
        }
        first = false;
        if (is_and && c->positive && args->next != NULL &&
            skip_count < sizeof(skips) / sizeof(skips[0])) {
            skips[skip_count++] = here(c);
            compile_emit(c, POLICY_SKIP);
        }
    }
    for (size_t i = 0; i < skip_count; i++) {
        ((struct policy_instruction *)(void *)c->code.data)[skips[i]].at = here(c);
    }
    c->positive = positive;
}

static void compile_boolexpr(struct compiler *c, const struct policy_tree *node)
{
    const struct policy_tree *op = policy_tree_get(node, "boolop");
    const struct policy_tree *args = policy_tree_elements(node, "args");

    if (op == NULL || args == NULL || op->len < 2 || op->len > 3) {
        compile_leaf(c, POLICY_LEAF_SQL, "a boolean expression that is not understood");
        compile_unknown_mask(c);
    } else if (memcmp(op->text, "not", op->len) == 0) {
        compile_negated(c, args);
        compile_emit(c, POLICY_NOT);
    } else {
        compile_list(c, args, op->len == 3);
    }
}

static void compile_nulltest(struct compiler *c, const struct policy_tree *node)
{
    const struct policy_tree *arg = policy_tree_get(node, "arg");
    int64_t test = 0;
    bool row = true;

    if (!policy_tree_number(node, "nulltesttype", &test) ||
        !policy_tree_bool(node, "argisrow", &row) || row || arg == NULL) {
        compile_leaf(c, POLICY_LEAF_SQL, "IS NULL of a row");
        compile_unknown_mask(c);
        return;
    }
    if (policy_type_of_node(arg) == POLICY_TYPE_BOOL && !policy_tree_is(arg, "VAR")) {
        compile_negated(c, arg);
        compile_emit(c, POLICY_MASK_IS_NULL);
    } else {
        struct operand operand = compile_value(c, arg);
        compile_emit(c, POLICY_IS_NULL)->a = operand.ref;
        compile_pushed(c);
    }
    if (test != 0) {
        compile_emit(c, POLICY_NOT);
    }
}

static void compile_booleantest(struct compiler *c, const struct policy_tree *node)
{
    int64_t test = 0;

    compile_negated(c, policy_tree_get(node, "arg"));
    if (policy_tree_number(node, "booltesttype", &test) && test >= 0 && test <= 5) {
        compile_emit(c, POLICY_TEST)->n = (uint16_t)test;
    } else {
        compile_leaf(c, POLICY_LEAF_SQL, "a test that is not understood");
        c->stack--;
        compile_unknown_mask(c);
    }
}

/* What CASE x WHEN compares with, for the comparisons below it. */
static void set_case_arg(struct compiler *c, const struct policy_tree *node)
{
    const struct policy_tree *arg = policy_tree_get(node, "arg");

    c->case_arg = NULL;
    if (arg != NULL && arg->kind == POLICY_TREE_NODE) {
        struct operand operand = compile_value(c, arg);
        c->case_arg = arg;
        c->case_ref = operand.ref;
        c->case_shape = operand.shape;
    }
}

static void compile_case(struct compiler *c, const struct policy_tree *node)
{
    const struct policy_tree *outer = c->case_arg;
    struct policy_ref outer_ref = c->case_ref;
    struct policy_shape outer_shape = c->case_shape;
    bool positive = c->positive;
    uint16_t count = 0;

    c->guards++;
    c->positive = false;
    set_case_arg(c, node);
    for (const struct policy_tree *when = policy_tree_elements(node, "args"); when != NULL;
         when = when->next) {
        compile_bool(c, policy_tree_get(when, "expr"));
        compile_bool(c, policy_tree_get(when, "result"));
        count++;
    }
    compile_bool(c, policy_tree_get(node, "defresult"));
    compile_emit(c, POLICY_CASE)->n = count;
    c->stack -= 2 * (uint32_t)count;
    c->guards--;
    c->positive = positive;
    c->case_arg = outer;
    c->case_ref = outer_ref;
    c->case_shape = outer_shape;
    c->program->guards = true;
}

static void compile_coalesce(struct compiler *c, const struct policy_tree *node)
{
    bool positive = c->positive;
    uint16_t count = 0;

    c->guards++;
    c->positive = false;
    for (const struct policy_tree *arg = policy_tree_elements(node, "args"); arg != NULL;
         arg = arg->next) {
        compile_bool(c, arg);
        count++;
    }
    c->guards--;
    c->positive = positive;
    if (count == 0) {
        compile_unknown_mask(c);
        return;
    }
    compile_emit(c, POLICY_COALESCE)->n = count;
    c->stack -= (uint32_t)count - 1;
    c->program->guards = true;
}

static void compile_sublink(struct compiler *c, const struct policy_tree *node)
{
    struct policy_membership membership;
    const char *reason = "a subquery over tables";
    bool recognised = policy_membership_read(node, &membership);

    if (!recognised || !compile_membership(c, &membership, &reason)) {
        compile_leaf(c, recognised ? POLICY_LEAF_MEMBERSHIP : POLICY_LEAF_SQL, reason);
        compile_unknown_mask(c);
    }
}

/* A column, a constant, a CASE … whose value is a boolean. */
static void compile_bool_value(struct compiler *c, const struct policy_tree *node)
{
    struct operand operand = compile_value(c, node);

    if (operand.shape.kind == POLICY_KIND_BOOL) {
        compile_emit(c, POLICY_BOOL)->a = operand.ref;
        compile_pushed(c);
        return;
    }
    compile_unknown_mask(c);
}

/* AND, OR and NOT stay visible even where all is constant: their outcomes are sets, PostgreSQL's own order is one of many. */
static bool compile_constant(struct compiler *c, const struct policy_tree *node)
{
    bool done = false;

    if (policy_tree_is(node, "BOOLEXPR") || !policy_is_row_free(node)) {
        return false;
    }
    struct operand operand = compile_fold(c, node, &done);
    if (done && operand.shape.kind == POLICY_KIND_BOOL) {
        compile_emit(c, POLICY_BOOL)->a = operand.ref;
        compile_pushed(c);
        return true;
    }
    return false;
}

void compile_bool(struct compiler *c, const struct policy_tree *node)
{
    static const struct {
        const char *name;
        void (*compile)(struct compiler *c, const struct policy_tree *node);
    } nodes[] = {
        { "BOOLEXPR", compile_boolexpr },
        { "NULLTEST", compile_nulltest },
        { "BOOLEANTEST", compile_booleantest },
        { "CASEEXPR", compile_case },
        { "CASE", compile_case },
        { "COALESCEEXPR", compile_coalesce },
        { "COALESCE", compile_coalesce },
        { "SUBLINK", compile_sublink },
    };

    if (node == NULL || c->stack >= POLICY_STACK_MAX - 4) {
        compile_leaf(c, POLICY_LEAF_SQL, "an expression that is too deep");
        compile_unknown_mask(c);
        return;
    }
    if (compile_constant(c, node)) {
        return;
    }
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        if (policy_tree_is(node, nodes[i].name)) {
            nodes[i].compile(c, node);
            return;
        }
    }
    if (!compile_operation(c, node)) {
        compile_bool_value(c, node);
    }
}

/* --- policies --------------------------------------------------------------------------------- */

static void compile_rule(struct compiler *c, const struct policy_rule *rule, bool positive)
{
    c->policy = policy_arena_copy(&c->program->arena, rule->name, strlen(rule->name));
    c->positive = positive;
    if (rule->qual == NULL) {
        bool planted = POLICY_FAULT(POLICY_FAULT_CHECK_ONLY_GRANTS) && !rule->has_qual;
        if (planted) {
            push_mask(c, OUTCOME_TRUE);
        } else {
            compile_leaf(c, POLICY_LEAF_SQL, "the policy could not be parsed");
            compile_unknown_mask(c);
        }
        return;
    }
    if (policy_has_system_column(rule->qual)) {
        compile_leaf(c, POLICY_LEAF_NEVER, "a system column, which a row in the WAL does not have");
    }
    compile_bool(c, rule->qual);
}

static bool counts(const struct policy_rule *rule, bool permissive)
{
    if (POLICY_FAULT(POLICY_FAULT_OR_AND_SWAPPED)) {
        return rule->has_qual && rule->permissive != permissive;
    }
    if (POLICY_FAULT(POLICY_FAULT_CHECK_ONLY_GRANTS) && rule->permissive == permissive) {
        return true;
    }
    return rule->has_qual && rule->permissive == permissive;
}

void compile_rules(struct compiler *c, const struct policy_rule *rules, uint32_t count)
{
    uint32_t granting = 0;
    uint32_t permissive = 0;

    for (uint32_t i = 0; i < count; i++) {
        permissive += counts(&rules[i], true);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (counts(&rules[i], true)) {
            compile_rule(c, &rules[i], permissive == 1);
            if (granting++ > 0) {
                compile_emit(c, POLICY_OR);
                c->stack--;
            }
        }
    }
    if (granting == 0) {
        push_mask(c, OUTCOME_FALSE);
        return; /* restrictive ones cannot grant */
    }
    for (uint32_t i = 0; i < count; i++) {
        if (counts(&rules[i], false) && !POLICY_FAULT(POLICY_FAULT_RESTRICTIVE_IGNORED)) {
            compile_rule(c, &rules[i], true);
            compile_emit(c, POLICY_AND);
            c->stack--;
        }
    }
}

/* Moves a list that grew into the program's own memory. */
static const void *keep(struct compiler *c, struct rt_buf *buf, size_t each, uint32_t *out_count)
{
    void *copy = policy_arena_alloc(&c->program->arena, buf->len);

    if (buf->len > 0) {
        memcpy(copy, buf->data, buf->len);
    }
    *out_count = (uint32_t)(buf->len / each);
    rt_buf_fini(buf);
    return copy;
}

/* What does not fit is not compiled at all. */
static void compile_bound(struct compiler *c)
{
    if (c->too_large) {
        c->too_large = false;
        rt_buf_clear(&c->code);
        compile_leaf(c, POLICY_LEAF_SQL, "policies that are too large");
        compile_unknown_mask(c);
    }
}

static bool is_given(struct policy_ref ref)
{
    return ref.kind != POLICY_REF_TEMP && ref.kind != POLICY_REF_NOW;
}

static bool is_single(const struct policy_program *p)
{
    const struct policy_instruction *code = p->code;
    bool short_enough = p->count == 1 || (p->count == 2 && code[1].code == POLICY_TEST);

    return short_enough && (code->code == POLICY_COMPARE || code->code == POLICY_IN_ARRAY) &&
           is_given(code->a) && is_given(code->b);
}

struct policy_program *compile_finish(struct compiler *c)
{
    struct policy_program *p = c->program;

    compile_bound(c);
    p->code = keep(c, &c->code, sizeof(*p->code), &p->count);
    p->refs = keep(c, &c->refs, sizeof(*p->refs), &p->ref_count);
    p->literals = keep(c, &c->literals, sizeof(*p->literals), &p->literal_count);
    p->folds = keep(c, &c->folds, sizeof(*p->folds), &p->fold_count);
    p->columns = keep(c, &c->columns, sizeof(*p->columns), &p->column_count);
    p->leaves = keep(c, &c->leaves, sizeof(*p->leaves), &p->leaf_count);
    p->tables = keep(c, &c->tables, sizeof(*p->tables), &p->table_count);
    p->ops = keep(c, &c->ops, sizeof(*p->ops), &p->op_count);
    p->memberships = keep(c, &c->memberships, sizeof(*p->memberships), &p->membership_count);
    p->uses_row = p->column_count > 0;
    p->single = is_single(p);
    return p;
}

struct policy_program *policy_compile(const struct policy_facts *facts, bool exempt,
                                      const struct policy_rule *rules, uint32_t count)
{
    struct policy_program *program = rt_alloc(sizeof(*program));
    struct compiler c = { .facts = facts, .program = program, .policy = "" };

    program->always = exempt;
    if (exempt) {
        push_mask(&c, OUTCOME_TRUE);
    } else {
        compile_rules(&c, rules, count);
    }
    compile_bound(&c);
    if (!exempt) {
        compile_asking(&c, rules, count);
    }
    return compile_finish(&c);
}

void policy_program_free(struct policy_program *program)
{
    if (program != NULL) {
        policy_arena_fini(&program->arena);
        free(program);
    }
}
/* NOLINTEND(misc-no-recursion) */
