/* broker/policy/deparse_row.c - what an expression over the row may consist of, for a statement that judges many identities. */
#include <string.h>

#include "broker/policy/allow.h"
#include "broker/policy/deparse_parts.h"
#include "broker/policy/look.h"

enum { FUNCTION_NOW = 1299, FUNCTION_TRANSACTION_TIMESTAMP = 2647 };

/* Comparing a domain, a row or a type of somebody's own may call functions of their own. */
bool deparse_plain_type(struct writer *w, uint32_t oid)
{
    const struct policy_type_fact *type = policy_facts_type(w->facts, oid);
    const struct policy_type_fact *element =
        type != NULL && type->element != 0 ? policy_facts_type(w->facts, type->element) : type;

    if (type == NULL || element == NULL) {
        return deparse_refuse(w, "an unknown type", "");
    }
    bool own = element->f.oid >= POLICY_TYPE_FIRST_OWN && element->type != 'e';
    if (own || strchr("berm", element->type) == NULL || strchr("berm", type->type) == NULL) {
        return deparse_refuse(w, "a type that is not PostgreSQL's own: ", type->f.name);
    }
    return true;
}

bool deparse_row_function(struct writer *w, const struct policy_function_fact *function)
{
    uint32_t oid = function->f.oid;
    bool now = oid == FUNCTION_NOW || oid == FUNCTION_TRANSACTION_TIMESTAMP;
    bool plain = oid < POLICY_TYPE_FIRST_OWN && function->internal;

    return (plain && (now || function->volatility == 'i')) ||
           deparse_refuse(w, "a function that may read settings or tables: ", function->f.name);
}

bool deparse_row_column(struct writer *w, const struct policy_tree *node)
{
    int64_t level = -1;
    int64_t column = 0;
    uint32_t type = 0;

    if (!policy_tree_number(node, "varlevelsup", &level) || level != 0 ||
        !policy_tree_number(node, "varattno", &column) || column <= 0 || column > INT16_MAX ||
        !policy_tree_oid(node, "vartype", &type)) {
        return deparse_refuse(w, "the whole row", "");
    }
    rt_buf_printf(w->out, "pgtide_row.c%u", (unsigned)column);
    return deparse_plain_type(w, type);
}

bool deparse_row_constant(struct writer *w, const struct policy_tree *node)
{
    uint32_t number = 0;

    if (w->row == NULL || node == NULL || policy_tree_is(node, "CONST") ||
        policy_tree_is(node, "BOOLEXPR") || !policy_is_row_free(node) ||
        !w->row->constant(w->row->ctx, node, &number)) {
        return false;
    }
    rt_buf_printf(w->out, "pgtide_who.k%u", (unsigned)number);
    return true;
}

bool policy_deparse_row(struct policy_arena *arena, const struct policy_facts *facts,
                        const struct policy_tree *node, const struct policy_row_writer *row,
                        struct rt_buf *out, const char **reason)
{
    struct writer writer = { .arena = arena, .facts = facts, .out = out, .row = row };

    return deparse_whole(&writer, node, reason);
}
