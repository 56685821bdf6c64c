/* broker/policy/deparse_member.c - subqueries that are the set of a membership test. */
/* NOLINTBEGIN(misc-no-recursion): as deep as the tree, and at most two tables */
#include "broker/policy/deparse_parts.h"
#include "broker/policy/look.h"
#include "broker/policy/member.h"
#include "broker/policy/sql.h"

bool deparse_column(struct writer *w, const struct policy_tree *node)
{
    int64_t level = -1;
    uint32_t column = 0;
    const char *name = NULL;
    bool known = policy_tree_number(node, "varlevelsup", &level) && (level == 0 || level == 1) &&
                 policy_tree_oid(node, "varattno", &column);
    uint32_t table = level == 0 ? w->table : w->around;

    if (known && table != 0) {
        name = policy_facts_column(w->facts, table, column);
    }
    if (name == NULL) {
        return deparse_refuse(w, "a column", "");
    }
    rt_buf_printf(w->out, "pgtide_%u.", (unsigned)w->depth - (level == 1));
    policy_sql_identifier(w->out, name);
    return true;
}

/* WHERE without the comparison with the row. */
static bool write_quals(struct writer *w, const struct policy_membership *members)
{
    const struct policy_tree *at = members->quals;
    bool is_and = false;

    if (members->exists && at != members->join) {
        at = policy_tree_elements(at, "args");
        is_and = true;
    } else if (members->exists) {
        at = NULL;
    }
    for (; at != NULL; at = is_and ? at->next : NULL) {
        if (at == members->join) {
            continue;
        }
        rt_buf_puts(w->out, " AND ");
        if (!deparse_node(w, at)) {
            return false;
        }
    }
    return true;
}

static bool write_members(struct writer *w, const struct policy_membership *members)
{
    const struct policy_fact *table = policy_facts_table(w->facts, members->table);
    const char *value = policy_facts_column(w->facts, members->table, members->value);
    uint32_t around = w->around;

    if (table == NULL || value == NULL || w->depth >= 2) {
        return deparse_refuse(w, "a subquery over tables (or their changes are not followed)", "");
    }
    w->around = w->table;
    w->table = members->table;
    w->depth++;
    const uint32_t *reads = NULL;
    uint32_t count = policy_facts_reads(w->facts, members->table, &reads);
    rt_buf_append(w->tables, &members->table, sizeof(members->table));
    if (count > 0) {
        rt_buf_append(w->tables, reads, count * sizeof(*reads));
    }
    bool every = members->every;
    rt_buf_printf(w->out, "(SELECT %spgtide_%u.", every ? "" : "DISTINCT ", (unsigned)w->depth);
    policy_sql_identifier(w->out, value);
    rt_buf_puts(w->out, " FROM ");
    policy_write_name(w->out, table);
    rt_buf_printf(w->out, " AS pgtide_%u WHERE true", (unsigned)w->depth);
    bool good = write_quals(w, members);
    rt_buf_putc(w->out, ')');
    w->depth--;
    w->table = w->around;
    w->around = around;
    return good;
}

/* As it stands, with the comparison. */
static bool write_exists(struct writer *w, const struct policy_membership *members)
{
    struct policy_membership whole = *members;

    whole.exists = false;
    whole.join = NULL;
    rt_buf_puts(w->out, "EXISTS ");
    return write_members(w, &whole);
}

static bool write_in(struct writer *w, const struct policy_membership *members)
{
    uint32_t op = 0;

    if (!deparse_check_operator(w, members->join, &op)) {
        return false;
    }
    rt_buf_putc(w->out, '(');
    if (!deparse_node(w, members->row)) {
        return false;
    }
    deparse_operator(w, op);
    rt_buf_puts(w->out, "ANY ");
    bool good = write_members(w, members);
    rt_buf_putc(w->out, ')');
    return good;
}

/* A subquery in the WHERE of another one. */
bool deparse_sublink(struct writer *w, const struct policy_tree *node)
{
    const struct policy_tree *inner = policy_plain_subselect(node);
    struct policy_membership members;

    if (inner != NULL) {
        return deparse_node(w, inner);
    }
    if (w->tables == NULL) {
        return deparse_refuse(w, "a subquery over tables", "");
    }
    if (policy_membership_read(node, &members)) {
        return members.exists ? write_exists(w, &members) : write_in(w, &members);
    }
    if (policy_membership_read_list(node, &members)) {
        rt_buf_puts(w->out, "ARRAY");
        return write_members(w, &members);
    }
    return deparse_refuse(w, "a subquery over tables", "");
}

bool policy_deparse_members(struct policy_arena *arena, const struct policy_facts *facts,
                            const struct policy_membership *members, struct rt_buf *out,
                            struct rt_buf *tables, const char **reason)
{
    struct writer writer = { .arena = arena, .facts = facts, .out = out, .tables = tables };
    size_t before = out->len;

    rt_buf_puts(out, "ARRAY");
    bool good = write_members(&writer, members);
    if (!good) {
        out->len = before;
        *reason = writer.reason != NULL ? writer.reason : "a subquery that is not understood";
    }
    return good;
}
/* NOLINTEND(misc-no-recursion) */
