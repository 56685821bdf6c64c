/* broker/policy/look.c - questions about trees that need no catalog. */
/* NOLINTBEGIN(misc-no-recursion): as deep as the tree, which is bounded */
#include "broker/policy/look.h"

#include <string.h>

#include "broker/policy/allow.h"

bool policy_is_row_free(const struct policy_tree *node)
{
    for (const struct policy_tree *at = node->child; at != NULL; at = at->next) {
        if (!policy_is_row_free(at)) {
            return false;
        }
    }
    return !policy_tree_is(node, "VAR") && !policy_tree_is(node, "PARAM");
}

bool policy_has_system_column(const struct policy_tree *node)
{
    int64_t column = 0;

    for (const struct policy_tree *at = node->child; at != NULL; at = at->next) {
        if (policy_has_system_column(at)) {
            return true;
        }
    }
    return policy_tree_is(node, "VAR") && policy_tree_number(node, "varattno", &column) &&
           column < 0;
}

uint32_t policy_type_of_node(const struct policy_tree *node)
{
    static const char *const fields[] = { "consttype",      "vartype",      "resulttype",
                                          "funcresulttype", "opresulttype", "array_typeid",
                                          "casetype",       "coalescetype", "paramtype",
                                          "typeId" };
    uint32_t type = 0;

    if (policy_tree_is(node, "SQLVALUEFUNCTION")) {
        (void)policy_tree_oid(node, "type", &type);
        return type;
    }
    if (policy_tree_is(node, "COLLATEEXPR")) {
        return policy_type_of_node(policy_tree_get(node, "arg"));
    }
    if (policy_tree_is(node, "SUBLINK")) {
        const struct policy_tree *inner = policy_plain_subselect(node);
        return inner != NULL ? policy_type_of_node(inner) : 0;
    }
    if (policy_tree_is(node, "BOOLEXPR") || policy_tree_is(node, "NULLTEST") ||
        policy_tree_is(node, "BOOLEANTEST") || policy_tree_is(node, "SCALARARRAYOPEXPR")) {
        return POLICY_TYPE_BOOL;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (policy_tree_oid(node, fields[i], &type)) {
            return type;
        }
    }
    return 0;
}

/* Whether a field says "nothing of the kind". */
static bool is_default(const struct policy_tree *field)
{
    const struct policy_tree *value = field->child;
    bool zero = value->len == 1 && value->text[0] == '0';
    bool no = value->len == 5 && memcmp(value->text, "false", 5) == 0;

    return value->next == NULL &&
           (value->kind == POLICY_TREE_NONE || (value->kind == POLICY_TREE_TOKEN && (zero || no)));
}

static bool listed(const struct policy_tree *field, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strlen(*names) == field->len && memcmp(*names, field->text, field->len) == 0) {
            return true;
        }
    }
    return false;
}

bool policy_only_fields(const struct policy_tree *node, const char *const *free)
{
    for (const struct policy_tree *field = node->child; field != NULL; field = field->next) {
        if (!listed(field, free) && !is_default(field)) {
            return false;
        }
    }
    return true;
}

const struct policy_tree *policy_plain_subselect(const struct policy_tree *sublink)
{
    static const char *const free[] = { "commandType", "querySource", "canSetTag",
                                        "jointree",    "targetList",  "stmt_location",
                                        "stmt_len",    "hasSubLinks", NULL };
    static const char *const none[] = { NULL };
    const struct policy_tree *query = policy_tree_get(sublink, "subselect");
    const struct policy_tree *from = policy_tree_get(query, "jointree");
    const struct policy_tree *targets = policy_tree_elements(query, "targetList");
    int64_t kind = -1;
    int64_t command = -1;

    if (!policy_tree_is(sublink, "SUBLINK") || !policy_tree_is(query, "QUERY") ||
        !policy_tree_number(sublink, "subLinkType", &kind) || kind != 4 ||
        !policy_tree_number(query, "commandType", &command) || command != 1 ||
        policy_tree_count(targets) != 1 || !policy_tree_is(from, "FROMEXPR")) {
        return NULL;
    }
    bool plain = policy_only_fields(query, free) && policy_only_fields(from, none);
    return plain ? policy_tree_get(targets, "expr") : NULL;
}
/* NOLINTEND(misc-no-recursion) */
