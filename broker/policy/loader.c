/* broker/policy/loader.c - SQL out, rows in. */
#include "broker/policy/loader.h"

#include <stdlib.h>
#include <string.h>

/* 'USAGE' in pg_has_role is has_privs_of_role(): what row-level security itself asks. */
#define LOADER_SQL(privilege)                                                                      \
    "WITH q AS MATERIALIZED ("                                                                     \
    " SELECT q.number, c.oid AS rel, c.relrowsecurity, c.relforcerowsecurity, c.relowner,"         \
    "  r.oid AS role, r.rolsuper OR r.rolbypassrls AS bypass"                                      \
    " FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY"                             \
    "  q(nsp, rel, role, number)"                                                                  \
    " JOIN pg_catalog.pg_roles r ON r.rolname = q.role::name"                                      \
    " JOIN pg_catalog.pg_namespace n ON n.nspname = q.nsp::name"                                   \
    " JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = q.rel::name"            \
    ") SELECT q.number::text, 'T' AS what, q.rel::text AS name, q.relrowsecurity::int::text,"      \
    "  q.relforcerowsecurity::int::text, q.bypass::int::text,"                                     \
    "  pg_catalog.pg_has_role(q.role, q.relowner, 'USAGE')::int::text, ''"                         \
    " FROM q"                                                                                      \
    " UNION ALL SELECT q.number::text, 'P', p.polname, p.polpermissive::int::text,"                \
    "  (p.polqual IS NOT NULL)::int::text, p.polqual::text,"                                       \
    "  pg_catalog.pg_get_expr(p.polqual, p.polrelid), ''"                                          \
    " FROM q JOIN pg_catalog.pg_policy p ON p.polrelid = q.rel"                                    \
    " WHERE p.polcmd IN ('*', 'r') AND (0 = ANY (p.polroles) OR EXISTS ("                          \
    "  SELECT FROM pg_catalog.unnest(p.polroles) AS x(role)"                                       \
    "  JOIN pg_catalog.pg_roles g ON g.oid = x.role"                                               \
    "  WHERE pg_catalog.pg_has_role(q.role, x.role, '" privilege "')))"                            \
    " ORDER BY 1, 2 DESC, 3"

const char *policy_loader_sql(void)
{
    return POLICY_FAULT(POLICY_FAULT_NOINHERIT_IGNORED) ? LOADER_SQL("MEMBER")
                                                        : LOADER_SQL("USAGE");
}

enum field { NUMBER, WHAT, NAME, A, B, C, D };

static bool is_set(const char *field)
{
    return field[0] == '1' && field[1] == 0;
}

uint32_t policy_loader_question(const char *const fields[POLICY_LOADER_COLUMNS])
{
    return (uint32_t)strtoul(fields[NUMBER], NULL, 10);
}

static void add_rule(struct policy_table *table, const char *const *fields)
{
    if (table->count == table->capacity) {
        uint32_t capacity = table->capacity > 0 ? table->capacity * 2 : 8;
        table->rules = rt_realloc(table->rules, capacity, sizeof(*table->rules));
        table->capacity = capacity;
    }
    struct policy_rule_text *rule = &table->rules[table->count++];
    const char *text = policy_arena_copy(&table->arena, fields[C], strlen(fields[C]));
    rule->sql = policy_arena_copy(&table->arena, fields[D], strlen(fields[D]));
    rule->rule.name = policy_arena_copy(&table->arena, fields[NAME], strlen(fields[NAME]));
    rule->rule.permissive = is_set(fields[A]);
    rule->rule.has_qual = is_set(fields[B]);
    rule->rule.qual =
        rule->rule.has_qual ? policy_tree_parse(&table->arena, text, strlen(text)) : NULL;
}

void policy_table_add(struct policy_table *table, const char *const fields[POLICY_LOADER_COLUMNS])
{
    if (fields[WHAT][0] == 'P') {
        add_rule(table, fields);
        return;
    }
    table->known = true;
    table->oid = (uint32_t)strtoul(fields[NAME], NULL, 10);
    table->enabled = is_set(fields[A]);
    table->forced = is_set(fields[B]);
    table->bypass = is_set(fields[C]);
    table->owner = is_set(fields[D]);
}

bool policy_table_exempt(const struct policy_table *table)
{
    bool forced = table->forced && !POLICY_FAULT(POLICY_FAULT_FORCE_IGNORED);
    bool bypass = table->bypass && !POLICY_FAULT(POLICY_FAULT_BYPASS_IGNORED);
    bool owner = table->owner && !POLICY_FAULT(POLICY_FAULT_OWNER_IGNORED);

    return !table->enabled || bypass || (owner && !forced);
}

struct policy_program *policy_table_compile(const struct policy_table *table,
                                            const struct policy_facts *facts)
{
    struct policy_rule *rules = rt_alloc(table->count * sizeof(*rules));

    for (uint32_t i = 0; i < table->count; i++) {
        rules[i] = table->rules[i].rule;
    }
    /* A table or a role that is gone shows nothing. */
    struct policy_program *program = policy_compile(
        facts, table->known && policy_table_exempt(table), rules, table->known ? table->count : 0);
    free(rules);
    return program;
}

void policy_table_fini(struct policy_table *table)
{
    free(table->rules);
    policy_arena_fini(&table->arena);
    *table = (struct policy_table){ 0 };
}
