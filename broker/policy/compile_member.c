/* broker/policy/compile_member.c - a membership test as row.x = ANY (set of the identity). */
#include "broker/policy/compile_parts.h"
#include "broker/policy/deparse.h"
#include "broker/policy/member.h"
#include "broker/policy/sets.h"

/* EXISTS is never NULL: (row.x = ANY (set)) IS TRUE. IN and = ANY are what they are, NULLs included. */
static void emit(struct compiler *c, const struct policy_membership *members,
                 const struct operand *row, struct policy_ref set, const struct policy_shape *shape)
{
    struct policy_instruction *in = compile_emit(c, POLICY_IN_ARRAY);

    in->compare = POLICY_EQ;
    in->a = row->ref;
    in->b = set;
    in->shape = shape;
    compile_pushed(c);
    bool exists = members->exists && !POLICY_FAULT(POLICY_FAULT_EXISTS_MAY_BE_NULL);
    if (exists || POLICY_FAULT(POLICY_FAULT_IN_IS_EXISTS)) {
        compile_emit(c, POLICY_TEST)->n = 0;
    }
}

bool compile_membership(struct compiler *c, const struct policy_membership *members,
                        const char **reason)
{
    struct rt_buf sql = { 0 };
    struct policy_ref set = { 0 };
    struct policy_shape element = policy_shape_of(c->facts, members->type);
    struct policy_shape shape = { .kind = POLICY_KIND_ARRAY,
                                  .element = element.kind,
                                  .labels = element.labels };
    const struct policy_allow_op *op = compile_allowed_op(c, members->join, reason);
    size_t tables = c->tables.len;
    bool good =
        op != NULL && op->compare == POLICY_EQ && element.kind != POLICY_KIND_NONE &&
        element.kind != POLICY_KIND_ARRAY &&
        policy_deparse_members(&c->program->arena, c->facts, members, &sql, &c->tables, reason) &&
        compile_fold_sql(c, &sql, &shape, &set);

    rt_buf_fini(&sql);
    if (!good) {
        c->tables.len = tables; /* no constant reads them */
        return false;
    }
    int64_t level = c->row_level;
    c->row_level = members->exists ? 1 : level;
    struct operand row = compile_value(c, members->row);
    c->row_level = level;
    if (row.shape.kind != element.kind && row.shape.kind != POLICY_KIND_NONE) {
        *reason = "a membership test between different kinds of values";
        return false;
    }
    struct policy_fold_members known = { .fold = set.at, .members = *members };
    rt_buf_append(&c->memberships, &known, sizeof(known));
    emit(c, members, &row, set, compile_keep_shape(c, &shape));
    return true;
}

/* --- the rows of the other table that count ------------------------------------------------------ */

static void compile_quals(struct compiler *c, const struct policy_membership *members)
{
    const struct policy_tree *at = members->quals;
    bool is_and = members->exists && at != members->join;

    if (members->exists) {
        at = is_and ? policy_tree_elements(at, "args") : NULL;
    }
    for (; at != NULL; at = is_and ? at->next : NULL) {
        if (at != members->join) {
            compile_bool(c, at);
            compile_emit(c, POLICY_AND);
            c->stack--;
        }
    }
}

struct policy_program *policy_members_compile(const struct policy_facts *facts,
                                              const struct policy_membership *members, bool exempt,
                                              const struct policy_rule *rules, uint32_t count)
{
    struct compiler c = { .facts = facts, .program = rt_alloc(sizeof(*c.program)), .policy = "" };

    if (exempt) {
        compile_emit(&c, POLICY_PUSH)->n = OUTCOME_TRUE;
        compile_pushed(&c);
    } else {
        compile_rules(&c, rules, count);
    }
    compile_quals(&c, members);
    return compile_finish(&c);
}

bool policy_members_sql(const struct policy_facts *facts, const struct policy_membership *members,
                        struct rt_buf *out)
{
    struct policy_arena arena = { 0 };
    struct rt_buf tables = { 0 };
    const char *reason = "";
    struct policy_membership all = *members;

    all.every = true;
    bool good = policy_deparse_members(&arena, facts, &all, out, &tables, &reason);

    rt_buf_fini(&tables);
    policy_arena_fini(&arena);
    return good;
}
