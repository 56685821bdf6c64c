/* broker/policy/compile_asking.c - how PostgreSQL is asked about policies that are not all compiled. */
/* NOLINTBEGIN(misc-no-recursion): as deep as the tree, which is bounded */
#include <string.h>

#include "broker/policy/compile_parts.h"
#include "broker/policy/deparse.h"
#include "broker/policy/deparse_parts.h"
#include "broker/policy/look.h"

enum {
    COLLATION_DEFAULT = 100,
    COLLATION_C = 950,
    TYPE_NAME = 19,
    TYPE_DATE = 1082,
    TYPE_TIME = 1083,
    TYPE_TIMESTAMP = 1114,
    TYPE_INTERVAL = 1186,
    COLUMN_NUMBER_MAX = 1664
};

/* --- what the trees name ---------------------------------------------------------------------- */

struct needs {
    struct compiler *c;
    struct policy_asking *asking;
    struct rt_buf columns; /* of bool */
};

static bool is_own_immutable(const struct compiler *c, uint32_t function)
{
    const struct policy_function_fact *fact = policy_facts_function(c->facts, function);

    return fact == NULL || (fact->volatility == 'i' && !fact->internal);
}

static void note_column(struct needs *needs, const struct policy_tree *node)
{
    static const bool no = false;
    int64_t column = 0;

    if (!policy_tree_number(node, "varattno", &column) || column == 0 ||
        column > COLUMN_NUMBER_MAX) {
        needs->asking->whole_row = true;
        return;
    }
    while (column > 0 && needs->columns.len < (size_t)column * sizeof(no)) {
        rt_buf_append(&needs->columns, &no, sizeof(no));
    }
    if (column > 0) {
        ((bool *)(void *)needs->columns.data)[column - 1] = true;
    }
}

static void note(struct needs *needs, const struct policy_tree *item)
{
    uint32_t oid = 0;

    if (policy_tree_is(item, "VAR")) {
        note_column(needs, item);
    }
    if (policy_tree_oid(item, "funcid", &oid)) {
        needs->asking->plans_apart |= is_own_immutable(needs->c, oid);
    }
    if (policy_tree_oid(item, "opno", &oid)) {
        const struct policy_op_fact *op = policy_facts_op(needs->c->facts, oid);
        needs->asking->plans_apart |= op == NULL || is_own_immutable(needs->c, op->function);
    }
    for (const struct policy_tree *at = item->child; at != NULL; at = at->next) {
        note(needs, at);
    }
}

/* --- one condition for many identities -------------------------------------------------------- */

struct set {
    struct compiler *c;
    struct rt_buf constants; /* of struct policy_set_constant */
};

/* A value of these goes to text and back unharmed, under the session's settings. */
static bool is_carried(const struct compiler *c, uint32_t type)
{
    const struct policy_type_fact *fact = policy_facts_type(c->facts, type);
    bool time = type == TYPE_DATE || type == TYPE_TIME || type == TYPE_TIMESTAMP ||
                type == POLICY_TYPE_STAMPTZ || type == TYPE_INTERVAL;

    return fact != NULL && (time || policy_allow_input(type) || fact->type == 'e');
}

static bool has_collate(const struct policy_tree *node)
{
    for (const struct policy_tree *at = node->child; at != NULL; at = at->next) {
        if (has_collate(at)) {
            return true;
        }
    }
    return policy_tree_is(node, "COLLATEEXPR");
}

/* In its place comes a column, which has the collation of its type, and not by a COLLATE. */
static bool has_type_collation(const struct policy_tree *node, uint32_t type)
{
    static const char *const fields[] = { "constcollid",  "funccollid", "resultcollid",
                                          "opcollid",     "casecollid", "coalescecollid",
                                          "array_collid", "paramcollid" };
    const struct policy_tree *inner = policy_plain_subselect(node);
    uint32_t oid = 0;

    if (inner != NULL) {
        return has_type_collation(inner, type);
    }
    if (policy_tree_is(node, "SQLVALUEFUNCTION")) {
        return true;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (policy_tree_oid(node, fields[i], &oid)) {
            return oid == 0 || oid == (type == TYPE_NAME ? COLLATION_C : COLLATION_DEFAULT);
        }
    }
    return policy_type_of_node(node) == POLICY_TYPE_BOOL;
}

static void keep_constant(struct set *set, uint32_t fold, uint32_t type,
                          const struct policy_shape *shape)
{
    const struct policy_set_constant *known = (const void *)set->constants.data;
    struct policy_set_constant constant = {
        .fold = fold, .pinned = policy_allow_input(type) && shape->kind != POLICY_KIND_ARRAY
    };
    struct rt_buf name = { 0 };

    for (size_t i = 0; i < set->constants.len / sizeof(*known); i++) {
        if (known[i].fold == fold) {
            return;
        }
    }
    policy_write_name(&name, &policy_facts_type(set->c->facts, type)->f);
    constant.type = policy_arena_copy(&set->c->program->arena, (const char *)name.data, name.len);
    rt_buf_append(&set->constants, &constant, sizeof(constant));
    rt_buf_fini(&name);
}

static bool set_constant(void *ctx, const struct policy_tree *node, uint32_t *out_number)
{
    struct set *set = ctx;
    uint32_t type = policy_type_of_node(node);
    struct policy_shape shape = policy_shape_of(set->c->facts, type);
    struct policy_ref ref = { 0 };
    struct rt_buf sql = { 0 };
    const char *reason = NULL;

    bool good = is_carried(set->c, type) && !has_collate(node) && has_type_collation(node, type) &&
                policy_deparse(&set->c->program->arena, set->c->facts, node, &sql, &reason) &&
                compile_fold_sql(set->c, &sql, &shape, &ref);
    rt_buf_fini(&sql);
    if (good) {
        keep_constant(set, ref.at, type, &shape);
        *out_number = ref.at;
    }
    return good;
}

static bool write_rule(struct set *set, const struct policy_rule *rule, struct rt_buf *out,
                       const char **reason)
{
    struct policy_row_writer writer = { set_constant, set };

    *reason = "the policy could not be parsed";
    return rule->qual != NULL && policy_deparse_row(&set->c->program->arena, set->c->facts,
                                                    rule->qual, &writer, out, reason);
}

/* In the order of fallback.c. */
static bool write_set(struct set *set, const struct policy_rule *rules, uint32_t count,
                      struct rt_buf *out, const char **reason)
{
    bool any = false;

    rt_buf_putc(out, '(');
    for (uint32_t i = count; i > 0; i--) {
        if (rules[i - 1].permissive && rules[i - 1].has_qual) {
            rt_buf_puts(out, any ? " OR " : "");
            if (!write_rule(set, &rules[i - 1], out, reason)) {
                return false;
            }
            any = true;
        }
    }
    rt_buf_puts(out, any ? ")" : "false)");
    for (uint32_t i = 0; i < count; i++) {
        if (!rules[i].permissive && rules[i].has_qual) {
            rt_buf_puts(out, " AND ");
            if (!write_rule(set, &rules[i], out, reason)) {
                return false;
            }
        }
    }
    return true;
}

static void compile_set(struct compiler *c, const struct policy_rule *rules, uint32_t count)
{
    struct policy_set *out = &c->program->asking.set;
    struct policy_arena *arena = &c->program->arena;
    struct set set = { .c = c };
    struct rt_buf text = { 0 };
    size_t folds = c->folds.len;

    if (write_set(&set, rules, count, &text, &out->reason)) {
        out->condition = policy_arena_copy(arena, (const char *)text.data, text.len);
        struct policy_set_constant *kept = policy_arena_alloc(arena, set.constants.len);
        out->constant_count = (uint32_t)(set.constants.len / sizeof(*kept));
        if (out->constant_count > 0) {
            memcpy(kept, set.constants.data, set.constants.len);
        }
        out->constants = kept;
    } else {
        c->folds.len = folds; /* nobody needs them */
    }
    rt_buf_fini(&set.constants);
    rt_buf_fini(&text);
}

void compile_asking(struct compiler *c, const struct policy_rule *rules, uint32_t count)
{
    struct needs needs = { .c = c, .asking = &c->program->asking };

    for (uint32_t i = 0; i < count; i++) {
        if (rules[i].has_qual && rules[i].qual != NULL) {
            note(&needs, rules[i].qual);
        }
        needs.asking->whole_row |= rules[i].has_qual && rules[i].qual == NULL;
    }
    needs.asking->column_count = (uint32_t)(needs.columns.len / sizeof(bool));
    bool *columns = policy_arena_alloc(&c->program->arena, needs.columns.len);
    if (needs.columns.len > 0) {
        memcpy(columns, needs.columns.data, needs.columns.len);
    }
    needs.asking->columns = columns;
    rt_buf_fini(&needs.columns);
    if (c->leaves.len == 0) {
        needs.asking->set.reason = "everything is compiled";
    } else if (c->program->never || c->too_large) {
        needs.asking->set.reason = "policies that are too large, or need a system column";
    } else {
        compile_set(c, rules, count);
    }
}
/* NOLINTEND(misc-no-recursion) */
