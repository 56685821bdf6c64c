/* cli/explain_sets.c - the sets of a policy's membership tests: which are kept from the stream, and why others are not. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/policy/sql.h"
#include "cli/database.h"
#include "cli/explain.h"

/* What a set that is kept costs when old versions of rows lack what it depends on. */
static void print_identity_of(PGconn *conn, const struct policy_kept *kept, uint32_t table)
{
    struct rt_buf oid = { 0 };
    struct rt_buf names = { 0 };
    const char **columns = NULL;
    size_t count = 0;

    for (uint32_t i = 0; i < kept->count; i++) {
        const struct policy_kept_test *test = &kept->tests[i];
        for (uint32_t j = 0; j < test->column_count && test->table == table; j++) {
            columns = rt_realloc(columns, count + 1, sizeof(char *));
            columns[count++] = test->columns[j].name;
        }
    }
    rt_buf_printf(&oid, "%u", (unsigned)table);
    policy_sql_text_array(&names, columns, count);
    const char *params[] = { rt_buf_cstr(&oid), rt_buf_cstr(&names) };
    PGresult *result = PQexecParams(conn, "SELECT pgtide.identity_covers($1::oid, $2::text[])", 2,
                                    NULL, params, NULL, NULL, 0);
    if (PQntuples(result) == 1 && PQgetvalue(result, 0, 0)[0] != 't') {
        printf("        but read again after an UPDATE or DELETE: the table's replica identity "
               "lacks columns of it (pgtide doctor)\n");
    }
    PQclear(result);
    free(columns);
    rt_buf_fini(&oid);
    rt_buf_fini(&names);
}

/* What decides about its rows is a set again. */
static void print_inner(PGconn *conn, const struct policy_kept *kept, const struct cli_set *set,
                        const struct policy_facts *facts)
{
    for (uint32_t i = 0; i < kept->count; i++) {
        const struct policy_kept_test *inner = &kept->tests[i];
        const struct policy_kept_test *above =
            inner->above > 0 ? &kept->tests[inner->above - 1] : NULL;
        const struct policy_fact *table = policy_facts_table(facts, inner->table);
        if (above != NULL && above->table == set->table && above->value == set->value &&
            table != NULL) {
            printf("        read again for an identity when its set of %s.%s.%s changes\n",
                   table->schema, table->name,
                   policy_facts_column(facts, inner->table, inner->value));
            print_identity_of(conn, kept, inner->table);
        }
    }
}

void explain_sets(PGconn *conn, const struct cli_view *view, const struct cli_policy *policy,
                  const struct policy_facts *facts)
{
    const struct policy_kept *kept = view->all->kept;

    for (uint32_t i = 0; i < policy->program->membership_count; i++) {
        const struct cli_set *set = &policy->sets[i];
        const struct policy_fact *table = policy_facts_table(facts, set->table);
        const char *column = policy_facts_column(facts, set->table, set->value);
        const char *why = set->why != NULL ? set->why
                                           : "another set of these policies cannot be kept, and "
                                             "they are read together";
        if (table == NULL || column == NULL || view->all->program->membership_count == 0) {
            continue;
        }
        printf("      set of %s.%s.%s: ", table->schema, table->name, column);
        if (kept == NULL) {
            printf("read again from PostgreSQL with each transaction that touches what it reads, "
                   "because: %s\n",
                   why);
        } else {
            printf("kept from the stream\n");
            print_identity_of(conn, kept, set->table);
            print_inner(conn, kept, set, facts);
        }
    }
}

void explain_unfollowed(PGconn *conn, const struct policy_tree *qual,
                        const struct policy_facts *facts)
{
    struct policy_facts *none = policy_facts_new();
    struct rt_buf arrays[POLICY_FACTS_PARAMS] = { 0 };

    (void)policy_facts_wanted(none, qual, arrays);
    const char *oids = rt_buf_cstr(&arrays[POLICY_FACTS_PARAMS - 1]);
    PGresult *result = cli_database_query(
        conn, "SELECT t, t::regclass::text FROM pg_catalog.unnest($1::oid[]) AS t", 1, &oids);
    for (int i = 0; i < PQntuples(result); i++) {
        const uint32_t *reads = NULL;
        uint32_t oid = (uint32_t)strtoul(PQgetvalue(result, i, 0), NULL, 10);
        if (policy_facts_reads(facts, oid, &reads) == 0) {
            printf("      not followed: %s, or what its own policies read (pgtide doctor)\n",
                   PQgetvalue(result, i, 1));
        }
    }
    PQclear(result);
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        rt_buf_fini(&arrays[i]);
    }
    policy_facts_free(none);
}
