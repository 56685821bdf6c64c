/* broker/policy/member.c - the few forms, and a no for all others. */
/* NOLINTBEGIN(misc-no-recursion): as deep as the tree, which is bounded */
#include "broker/policy/member.h"

#include <string.h>

#include "broker/policy/look.h"

enum { LINK_EXISTS = 0, LINK_ANY = 2, LINK_ARRAY = 6 };

/* One ordinary table, nothing but WHERE. */
static bool read_query(const struct policy_tree *query, struct policy_membership *out)
{
    static const char *const used[] = { "commandType",   "querySource",  "canSetTag", "hasSubLinks",
                                        "rtable",        "rteperminfos", "jointree",  "targetList",
                                        "stmt_location", "stmt_len",     NULL };
    const struct policy_tree *table = policy_tree_elements(query, "rtable");
    const struct policy_tree *join = policy_tree_get(query, "jointree");
    const struct policy_tree *from = policy_tree_elements(join, "fromlist");
    const struct policy_tree *kind = policy_tree_get(table, "relkind");
    const struct policy_tree *quals = policy_tree_get(join, "quals");
    int64_t entry = -1;

    if (!policy_tree_is(query, "QUERY") || !policy_only_fields(query, used) || table == NULL ||
        table->next != NULL || from == NULL || from->next != NULL ||
        !policy_tree_is(from, "RANGETBLREF") || !policy_tree_number(table, "rtekind", &entry) ||
        entry != 0 || kind == NULL || kind->len != 1 || kind->text[0] != 'r' ||
        !policy_tree_oid(table, "relid", &out->table)) {
        return false;
    }
    out->quals = quals != NULL && quals->kind == POLICY_TREE_NODE ? quals : NULL;
    return true;
}

static bool is_column(const struct policy_tree *node, int64_t want_level, uint32_t *column)
{
    int64_t level = -1;

    return policy_tree_is(node, "VAR") && policy_tree_number(node, "varlevelsup", &level) &&
           level == want_level && policy_tree_oid(node, "varattno", column) && *column > 0;
}

/* Columns of the row (level 1 inside the subquery, one more in each subquery of that) anywhere below. */
static bool mentions_row(const struct policy_tree *node, int64_t level)
{
    int64_t within = level + policy_tree_is(node, "QUERY");
    uint32_t column = 0;

    if (is_column(node, level, &column)) {
        return true;
    }
    for (const struct policy_tree *at = node->child; at != NULL; at = at->next) {
        if (mentions_row(at, within)) {
            return true;
        }
    }
    return false;
}

/* m.a = row.x among the conditions of EXISTS; no other one may mention the row. */
static bool read_join(const struct policy_tree *quals, struct policy_membership *out)
{
    const struct policy_tree *op = policy_tree_get(quals, "boolop");
    bool is_and = policy_tree_is(quals, "BOOLEXPR") && op != NULL && op->len == 3 &&
                  memcmp(op->text, "and", 3) == 0;
    const struct policy_tree *first = is_and ? policy_tree_elements(quals, "args") : quals;
    uint32_t joins = 0;

    for (const struct policy_tree *at = first; at != NULL; at = is_and ? at->next : NULL) {
        const struct policy_tree *args = policy_tree_elements(at, "args");
        if (!mentions_row(at, 1)) {
            continue;
        }
        if (!policy_tree_is(at, "OPEXPR") || policy_tree_count(args) != 2 ||
            !policy_tree_oid(at, "opno", &out->op)) {
            return false;
        }
        bool left = is_column(args, 0, &out->value);
        bool right = is_column(args->next, 0, &out->value);
        out->row = left ? args->next : args;
        out->join = at;
        (void)policy_tree_oid(left ? args : args->next, "vartype", &out->type);
        joins++;
        if (left == right) {
            return false;
        }
    }
    return joins == 1;
}

static bool read_target(const struct policy_tree *query, struct policy_membership *out)
{
    const struct policy_tree *target = policy_tree_elements(query, "targetList");

    (void)policy_tree_oid(policy_tree_get(target, "expr"), "vartype", &out->type);
    return target != NULL && target->next == NULL &&
           is_column(policy_tree_get(target, "expr"), 0, &out->value) &&
           (out->quals == NULL || !mentions_row(out->quals, 1));
}

bool policy_membership_read(const struct policy_tree *sublink, struct policy_membership *out)
{
    const struct policy_tree *query = policy_tree_get(sublink, "subselect");
    const struct policy_tree *test = policy_tree_get(sublink, "testexpr");
    int64_t kind = -1;

    *out = (struct policy_membership){ 0 };
    if (!policy_tree_is(sublink, "SUBLINK") || !policy_tree_number(sublink, "subLinkType", &kind) ||
        query == NULL || !read_query(query, out)) {
        return false;
    }
    if (kind == LINK_EXISTS) {
        out->exists = true;
        return out->quals != NULL && read_join(out->quals, out);
    }
    out->null_matters = true;
    out->row = policy_tree_elements(test, "args");
    out->join = test;
    return kind == LINK_ANY && policy_tree_is(test, "OPEXPR") && out->row != NULL &&
           policy_tree_oid(test, "opno", &out->op) && read_target(query, out);
}

bool policy_membership_read_list(const struct policy_tree *sublink, struct policy_membership *out)
{
    const struct policy_tree *query = policy_tree_get(sublink, "subselect");
    int64_t kind = -1;

    *out = (struct policy_membership){ 0 };
    return policy_tree_is(sublink, "SUBLINK") &&
           policy_tree_number(sublink, "subLinkType", &kind) && kind == LINK_ARRAY &&
           query != NULL && read_query(query, out) && read_target(query, out);
}

bool policy_membership_read_array(const struct policy_tree *node, struct policy_membership *out)
{
    const struct policy_tree *args = policy_tree_elements(node, "args");
    bool any = false;
    bool good = args != NULL && args->next != NULL && policy_membership_read_list(args->next, out);

    out->null_matters = true;
    out->row = args;
    out->join = node;
    return good && policy_tree_bool(node, "useOr", &any) && any &&
           policy_tree_oid(node, "opno", &out->op);
}
/* NOLINTEND(misc-no-recursion) */
