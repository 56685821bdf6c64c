/* tests/oracle/sets_world.c - random membership tests, policies of the table that they read, and people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracle/sets.h"

enum { KINDS = 6 };

const struct set_kind set_kinds[KINDS] = {
    { "int4", { "1", "2", "3", "4", "5", "NULL" } },
    { "text", { "'a'", "'b'", "''", "'it''s'", "'NULL'", "NULL" } },
    { "uuid",
      { "'11111111-1111-1111-1111-111111111111'", "'22222222-2222-2222-2222-222222222222'",
        "'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee'", "'11111111-1111-1111-1111-111111111111'", "NULL",
        "NULL" } },
    { "numeric", { "1", "1.0", "1.00", "-2.5", "'NaN'", "NULL" } },
    { "o.mood", { "'sad'", "'ok'", "'meh'", "'happy'", "'A'", "NULL" } },
    { "int8", { "1", "9999999999", "-1", "0", "7", "NULL" } },
};

static const char *const claims[] = {
    "",
    "{\"sub\":\"11111111-1111-1111-1111-111111111111\",\"n\":\"3\"}",
    "{\"sub\":\"11111111-1111-1111-1111-111111111111\",\"n\":\"1\"}",
    "{\"sub\":\"22222222-2222-2222-2222-222222222222\",\"n\":\"2\"}",
    "{\"sub\":\"22222222-2222-2222-2222-222222222222\",\"n\":\"0\"}",
    "{\"sub\":\"22222222-2222-2222-2222-222222222222\",\"n\":\"1\"}",
    "{\"sub\":\"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\",\"n\":\"x\"}",
    "{\"sub\":\"none\"}"
};
static const char *const ns[] = { "1", "2", "0", "", "x" };
static const char *const quals[] = {
    "m.b = auth.uid()",
    "m.b = auth.uid() AND m.r = 'admin'",
    "m.b = (auth.jwt() ->> 'sub')::uuid",
    "m.b = auth.uid() AND m.r IN ('admin', 'member') AND m.ok",
    "(m.b = auth.uid() OR m.r = 'public')",
    "m.b = auth.uid() AND m.n > current_setting('app.n')::int",
    "m.n = (auth.jwt() ->> 'n')::int",
    "m.r <> 'banned' AND m.b = auth.uid()",
    "m.ok AND NOT m.r = 'banned'",
    "m.b = auth.uid() AND m.r::int > 0",
    "m.b = auth.uid() AND m.n < 1000 AND m.ok IS NOT FALSE",
    "m.b = auth.uid() AND now() > '2020-01-01'",
};
static const char *const own_policies[] = {
    "", /* none, and not enabled */
    "CREATE POLICY own ON o.m USING (b = auth.uid());",
    "CREATE POLICY own ON o.m USING (ok);",
    "CREATE POLICY own ON o.m USING (true); CREATE POLICY no ON o.m AS RESTRICTIVE USING (n < 3);",
    "CREATE POLICY own ON o.m FOR INSERT WITH CHECK (true);",
    "CREATE POLICY own ON o.m USING (b = auth.uid() OR r = 'public');",
    "CREATE POLICY own ON o.m USING (o.member(1));",
};

void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        exit(2);
    }
}

/* --- the world ------------------------------------------------------------------------------------ */

static void make_tables(struct world_of_sets *w)
{
    static const char *const forms[][2] = {
        { "x IN (SELECT m.a FROM o.m WHERE ", ")" },
        { "EXISTS (SELECT 1 FROM o.m WHERE m.a = o.st.x AND ", ")" },
        { "x = ANY (ARRAY (SELECT m.a FROM o.m WHERE ", "))" },
    };
    const char *const *form = PICK(&w->rng, forms);
    const char *own = PICK(&w->rng, own_policies);
    struct rt_buf sql = { 0 };

    rt_buf_printf(
        &sql,
        "DROP TABLE IF EXISTS o.st, o.m CASCADE; CREATE TABLE o.st(id int, x %s);"
        "CREATE TABLE o.m(id int PRIMARY KEY, a %s, b uuid, r text, n int, ok bool);"
        "ALTER TABLE o.st ENABLE ROW LEVEL SECURITY; GRANT SELECT ON o.st, o.m TO PUBLIC;",
        set_kinds[w->kind].type, set_kinds[w->kind].type);
    rt_buf_printf(&w->policies, "CREATE POLICY p ON o.st USING (%s%s%s); %s", form[0],
                  PICK(&w->rng, quals), form[1], own);
    rt_buf_puts(&sql, rt_buf_cstr(&w->policies));
    rt_buf_puts(&sql, own[0] != '\0' ? "ALTER TABLE o.m ENABLE ROW LEVEL SECURITY" : "");
    must(pg_run(w->reader, rt_buf_cstr(&sql)), "no tables");
    rt_buf_fini(&sql);
}

static void ask_facts(struct world_of_sets *w, const struct policy_table *table)
{
    struct rt_buf arrays[POLICY_FACTS_PARAMS] = { 0 };
    const char *params[POLICY_FACTS_PARAMS];
    const char *fields[POLICY_FACTS_COLUMNS];
    bool wanted = false;

    for (uint32_t i = 0; i < table->count; i++) {
        const struct policy_tree *qual = table->rules[i].rule.qual;
        wanted = (qual != NULL && policy_facts_wanted(w->facts, qual, arrays)) || wanted;
    }
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        params[i] = arrays[i].len > 0 ? rt_buf_cstr(&arrays[i]) : "{}";
    }
    PGresult *rows =
        wanted ? pg_ask(w->reader, policy_facts_sql, POLICY_FACTS_PARAMS, params) : NULL;
    for (int row = 0; row < PQntuples(rows); row++) {
        for (int i = 0; i < POLICY_FACTS_COLUMNS; i++) {
            fields[i] = PQgetvalue(rows, row, i);
        }
        policy_facts_add(w->facts, fields);
    }
    PQclear(rows);
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        rt_buf_fini(&arrays[i]);
    }
}

static void load(struct world_of_sets *w)
{
    static const char *const params[] = { "{o,o}", "{st,m}", "{o_user,o_user}" };
    const char *fields[POLICY_LOADER_COLUMNS];
    PGresult *rows = pg_ask(w->reader, policy_loader_sql(), POLICY_LOADER_PARAMS, params);

    must(rows != NULL, "no policies");
    for (int row = 0; row < PQntuples(rows); row++) {
        for (int i = 0; i < POLICY_LOADER_COLUMNS; i++) {
            fields[i] = PQgetvalue(rows, row, i);
        }
        bool outer = policy_loader_question(fields) == 1;
        policy_table_add(outer ? &w->table : &w->members_table, fields);
    }
    PQclear(rows);
    ask_facts(w, &w->table);
    ask_facts(w, &w->members_table);
    w->program = policy_table_compile(&w->table, w->facts);
}

/* False: the sets of this policy cannot be kept. */
static bool compile(struct world_of_sets *w)
{
    struct policy_rule rules[8];
    uint32_t count = w->members_table.count;

    if (w->program->membership_count != 1) {
        return false;
    }
    w->test = &w->program->memberships[0];
    for (uint32_t i = 0; i < count; i++) {
        rules[i] = w->members_table.rules[i].rule;
    }
    w->members = policy_members_compile(w->facts, &w->test->members,
                                        policy_table_exempt(&w->members_table), rules, count);
    if (w->members->leaf_count > 0 || w->members->table_count > 0 || w->members->uses_clock) {
        return false;
    }
    struct policy_shape element = policy_shape_of(w->facts, w->test->members.type);
    w->sets = policy_sets_new(w->members, w->test->members.value, &element);
    return true;
}

/* --- people --------------------------------------------------------------------------------------- */

static struct policy_identity identity_of(const struct person *person,
                                          struct policy_setting settings[2])
{
    settings[0] = (struct policy_setting){ "request.jwt.claims", person->claims };
    settings[1] = (struct policy_setting){ "app.n", person->n };
    return (struct policy_identity){ "o_user", settings, 2, NULL };
}

static void fold(struct world_of_sets *w, struct person *person)
{
    struct policy_setting settings[2];
    struct policy_identity identity = identity_of(person, settings);
    struct rt_buf sql = { 0 };

    const struct policy_fold question = { w->members, &identity, "o", "m" };
    struct policy_answers answers;
    policy_fold_sql(&sql, &question, 1);
    PGresult *row = pg_last(w->reader, rt_buf_cstr(&sql));
    const char *text = PQntuples(row) == 1 ? PQgetvalue(row, 0, 0) : "";
    must(policy_answers_read(&answers, text, strlen(text), 1), "no answer");
    must(policy_fold_read(&person->constants, w->members, answers.texts[0].text,
                          answers.texts[0].len),
         "no constants");
    policy_answers_fini(&answers);
    PQclear(row);
    rt_buf_fini(&sql);
}

PGresult *sets_ask_as(struct world_of_sets *w, const struct person *person, const char *select)
{
    struct rt_buf sql = { 0 };
    char *quoted = PQescapeLiteral(w->reader, person->claims, strlen(person->claims));

    rt_buf_printf(&sql,
                  "BEGIN; SELECT set_config('role', 'o_user', true), "
                  "set_config('request.jwt.claims', %s, true), set_config('app.n', '%s', true);"
                  "SELECT (%s)::text, pg_current_snapshot(); COMMIT",
                  quoted, person->n, select);
    PGresult *row = pg_last(w->reader, rt_buf_cstr(&sql));
    PQfreemem(quoted);
    rt_buf_fini(&sql);
    return row;
}

static void ask(struct world_of_sets *w, struct person *person)
{
    struct rt_buf sql = { 0 };

    must(policy_members_sql(w->facts, &w->test->members, &sql), "no statement for the values");
    PGresult *row = sets_ask_as(w, person, rt_buf_cstr(&sql));
    person->array = strdup(row != NULL ? PQgetvalue(row, 0, 0) : "an error");
    person->snapshot = strdup(row != NULL ? PQgetvalue(row, 0, 1) : "1:1:");
    PQclear(row);
    rt_buf_fini(&sql);
}

static void answer(struct person *person)
{
    struct xid_snapshot snapshot;

    must(xid_snapshot_parse(&snapshot, person->snapshot, strlen(person->snapshot)), "no snapshot");
    (void)policy_set_load(person->set, person->array, strlen(person->array), &snapshot);
    xid_snapshot_fini(&snapshot);
    free(person->array);
    free(person->snapshot);
    person->array = NULL;
    person->snapshot = NULL;
}

void sets_tend(struct world_of_sets *w, struct score *score)
{
    struct person *person = &w->people[prng_below(&w->rng, IDENTITIES)];
    enum policy_set_state state = policy_set_state(person->set);

    if (person->array != NULL) {
        answer(person);
        score->loads++;
    } else if (state == POLICY_SET_LOADING) {
        ask(w, person);
    } else if (state == POLICY_SET_STALE || prng_chance(&w->rng, 10)) {
        score->stale += state == POLICY_SET_STALE;
        policy_set_free(person->set);
        person->set = policy_set_new(w->sets, &person->constants.binding);
    }
}

void sets_person(struct world_of_sets *w, struct person *person)
{
    person->claims = PICK(&w->rng, claims);
    person->n = PICK(&w->rng, ns);
    fold(w, person);
    person->set = policy_set_new(w->sets, &person->constants.binding);
}

bool sets_make(struct world_of_sets *w)
{
    w->facts = policy_facts_new();
    w->kind = prng_below(&w->rng, KINDS);
    make_tables(w);
    load(w);
    return compile(w);
}

void sets_unmake(struct world_of_sets *w)
{
    policy_sets_free(w->sets);
    policy_program_free(w->members);
    policy_program_free(w->program);
    policy_table_fini(&w->table);
    policy_table_fini(&w->members_table);
    policy_facts_free(w->facts);
    rt_buf_fini(&w->policies);
}
