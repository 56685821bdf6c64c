/* tests/unit/broker/policy/fold_test.c - constants asked of PostgreSQL, and policies read from its catalog. */
#include "broker/policy/fallback.h"
#include "broker/policy/fold.h"
#include "broker/policy/loader.h"
#include "tests/unit/broker/policy/kit.h"

static void test_the_question(void **state)
{
    static const struct policy_setting settings[] = { { "request.jwt.claims",
                                                        "{\"a\":\"it's $pgtide$\"}" } };
    struct policy_identity identity = { "we\"ird", settings, 1 };
    struct rt_buf sql = { 0 };
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_owner);
    policy_fold_sql(&sql, kit.program, &identity, "pub\"lic", "p't");
    assert_string_equal(
        rt_buf_cstr(&sql),
        "BEGIN READ ONLY; SELECT pg_catalog.set_config('role', 'we\"ird', true), "
        "pg_catalog.set_config('request.jwt.claims', '{\"a\":\"it''s $pgtide$\"}', true); "
        "DO $pgtide$DECLARE r pg_catalog.text[] := '{}'; v pg_catalog.text; BEGIN BEGIN EXECUTE "
        "'EXPLAIN SELECT 1 FROM \"pub\"\"lic\".\"p''t\"'; r := r || 'v'::text; EXCEPTION WHEN "
        "OTHERS THEN "
        "r := r || 'e'::text; END; BEGIN v := (\"auth\".\"uid\"())::pg_catalog.text; r := r || "
        "coalesce('v' || v, 'n'); "
        "EXCEPTION WHEN OTHERS THEN r := r || 'e'::text; END; PERFORM "
        "pg_catalog.set_config('pgtide.fold', "
        "r::pg_catalog.text, true); END$pgtide$; SELECT pg_catalog.current_setting('pgtide.fold'); "
        "COMMIT");
    rt_buf_clear(&sql);
    policy_fold_sql(&sql, kit.program, &identity, "public", "$pgtide$"); /* cannot end the block */
    assert_non_null(strstr(rt_buf_cstr(&sql), "DO $pgtide0$"));
    rt_buf_fini(&sql);
    kit_free(&kit);
}

static struct policy_constants answer(const struct kit *kit, const char *text, bool good)
{
    struct policy_constants constants;

    assert_int_equal(policy_fold_read(&constants, kit->program, text, strlen(text)), good);
    return constants;
}

static void test_the_answer(void **state)
{
    static const char *const bad[] = { "", "{v}", "{v,v1,v2}", "{NULL,v1}", "{v,", "v" };
    struct policy_constants constants;
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_owner);
    constants = answer(&kit, "{v,v11111111-1111-1111-1111-111111111111}", true);
    assert_false(constants.binding.refused);
    assert_int_equal(constants.binding.values[0].state, VALUE_KNOWN);
    assert_int_equal(constants.binding.values[0].len, 36);
    policy_constants_fini(&constants);
    constants = answer(&kit, "{v,n}", true);
    assert_int_equal(constants.binding.values[0].state, VALUE_NULL);
    policy_constants_fini(&constants);
    constants = answer(&kit, "{v,e}", true);
    assert_int_equal(constants.binding.values[0].state, VALUE_ERROR);
    assert_true(constants.binding.errors);
    policy_constants_fini(&constants);
    constants = answer(&kit, "{e,n}", true);
    assert_true(constants.binding.refused);
    policy_constants_fini(&constants);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        constants = answer(&kit, bad[i], false);
        assert_true(constants.binding.refused);
        policy_constants_fini(&constants);
    }
    kit_free(&kit);
}

static void add_table(struct policy_table *table, const char *enabled, const char *forced,
                      const char *bypass, const char *owner)
{
    const char *const fields[POLICY_LOADER_COLUMNS] = { "1",    "T",    "16400", enabled,
                                                        forced, bypass, owner,   "" };

    policy_table_add(table, fields);
}

static void test_who_is_exempt(void **state)
{
    static const struct {
        const char *enabled;
        const char *forced;
        const char *bypass;
        const char *owner;
        bool exempt;
    } cases[] = {
        { "0", "0", "0", "0", true },  { "0", "1", "0", "0", true }, { "1", "0", "0", "0", false },
        { "1", "0", "1", "0", true },  { "1", "1", "1", "0", true }, { "1", "0", "0", "1", true },
        { "1", "1", "0", "1", false }, { "1", "1", "1", "1", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_table table = { 0 };
        add_table(&table, cases[i].enabled, cases[i].forced, cases[i].bypass, cases[i].owner);
        assert_int_equal(policy_table_exempt(&table), cases[i].exempt);
        assert_int_equal(table.oid, 16400);
        policy_table_fini(&table);
    }
}

static void test_rows_of_policies(void **state)
{
    const char *const owner[POLICY_LOADER_COLUMNS] = { "1", "P",        "mine",        "1",
                                                       "1", tree_owner, "(owner = …)", "" };
    const char *const check[POLICY_LOADER_COLUMNS] = { "1", "P", "check", "1", "0", "", "", "" };
    const char *const broken[POLICY_LOADER_COLUMNS] = {
        "1", "P", "broken", "0", "1", "{", "x", ""
    };
    struct policy_table table = { 0 };
    struct policy_facts *facts = kit_facts();
    struct policy_program *program = policy_table_compile(&table, facts);

    (void)state;
    assert_int_equal(program->code[0].n,
                     OUTCOME_FALSE); /* a table that is not there shows nothing */
    policy_program_free(program);
    add_table(&table, "1", "0", "0", "0");
    policy_table_add(&table, check);
    policy_table_add(&table, owner);
    policy_table_add(&table, broken);
    assert_int_equal(table.count, 3);
    assert_false(table.rules[0].rule.has_qual);
    assert_true(table.rules[1].rule.permissive);
    assert_false(table.rules[2].rule.permissive);
    program = policy_table_compile(&table, facts);
    assert_int_equal(program->leaf_count, 1);
    assert_string_equal(program->leaves[0].policy, "broken");
    policy_program_free(program);
    policy_table_fini(&table);
    policy_facts_free(facts);
}

static void test_an_image_of_a_row(void **state)
{
    struct policy_cell cells[5] = { 0 };
    struct policy_row row = { 5, cells };
    struct rt_buf out = { 0 };

    (void)state;
    policy_row_set(&row, 1, POLICY_CELL_TEXT, "1", 1);
    policy_row_set(&row, 2, POLICY_CELL_NULL, "", 0);
    policy_row_set(&row, 3, POLICY_CELL_DROPPED, "", 0);
    policy_row_set(&row, 4, POLICY_CELL_TEXT, "a\"b\\,", 5);
    policy_row_set(&row, 5, POLICY_CELL_TEXT, "", 0);
    assert_true(policy_image_write(&out, &row, 5));
    assert_string_equal(rt_buf_cstr(&out), "(\"1\",,\"a\"\"b\\\\,\",\"\")");
    assert_false(policy_image_write(&out, &row, 6));
    policy_row_set(&row, 2, POLICY_CELL_UNCHANGED, "", 0);
    assert_false(policy_image_write(&out, &row, 5));
    rt_buf_fini(&out);
}

static void test_the_fallback(void **state)
{
    const char *const one[POLICY_LOADER_COLUMNS] = {
        "1", "P", "a", "1", "1", tree_owner, "one", ""
    };
    const char *const two[POLICY_LOADER_COLUMNS] = {
        "1", "P", "b", "1", "1", tree_owner, "two", ""
    };
    const char *const check[POLICY_LOADER_COLUMNS] = { "1", "P", "c", "1", "0", "", "", "" };
    const char *const both[POLICY_LOADER_COLUMNS] = {
        "1", "P", "d", "0", "1", tree_owner, "and", ""
    };
    static const char *const images[] = { "(1)", "(it's)" };
    struct policy_table table = { 0 };
    struct policy_identity identity = { "r", NULL, 0 };
    struct policy_question question = { &table, &identity };
    struct policy_verdicts verdicts;
    struct rt_buf sql = { 0 };

    (void)state;
    policy_table_add(&table, one);
    policy_table_add(&table, two);
    policy_table_add(&table, check);
    policy_table_add(&table, both);
    struct policy_batch batch = { "s", "t", images, 2, &question, 1 };
    policy_fallback_sql(&sql, &batch);
    const char *text = rt_buf_cstr(&sql);
    assert_non_null(strstr(text, "WHERE ((two) OR (one)) AND (and);"));
    assert_non_null(strstr(text, "ARRAY['(1)', '(it''s)']::\"s\".\"t\"[]"));
    assert_non_null(strstr(text, "PERFORM pg_catalog.set_config('role', 'r', true);"));
    assert_true(policy_fallback_read(&verdicts, "{5:5:,1,e}", 10, 2));
    assert_string_equal(verdicts.snapshot, "5:5:");
    assert_int_equal(verdicts.verdicts[0], POLICY_VERDICT_YES);
    assert_int_equal(verdicts.verdicts[1], POLICY_VERDICT_ERROR);
    policy_verdicts_fini(&verdicts);
    assert_false(policy_fallback_read(&verdicts, "{5:5:,1}", 8, 2));
    assert_false(policy_fallback_read(&verdicts, "{5:5:,1,1,1}", 12, 2));
    assert_false(policy_fallback_read(&verdicts, "", 0, 0));
    policy_table_fini(&table);
    rt_buf_fini(&sql);
}

static void test_wanted_facts(void **state)
{
    struct policy_facts *facts = policy_facts_new();
    struct policy_arena arena = { 0 };
    struct rt_buf arrays[POLICY_FACTS_PARAMS] = { 0 };

    (void)state;
    assert_true(policy_facts_wanted(
        facts, policy_tree_parse(&arena, tree_owner, strlen(tree_owner)), arrays));
    assert_string_equal(rt_buf_cstr(&arrays[0]), "{2972}");
    assert_string_equal(rt_buf_cstr(&arrays[1]), "{2956,16386}");
    assert_string_equal(rt_buf_cstr(&arrays[3]), "{}");
    assert_true(policy_facts_wanted(
        facts, policy_tree_parse(&arena, tree_regex, strlen(tree_regex)), arrays));
    assert_string_equal(rt_buf_cstr(&arrays[0]), "{2972,641}");
    assert_string_equal(rt_buf_cstr(&arrays[3]), "{100,100,100}");
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        rt_buf_fini(&arrays[i]);
    }
    policy_arena_fini(&arena);
    policy_facts_free(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_question),      cmocka_unit_test(test_the_answer),
        cmocka_unit_test(test_who_is_exempt),     cmocka_unit_test(test_rows_of_policies),
        cmocka_unit_test(test_an_image_of_a_row), cmocka_unit_test(test_the_fallback),
        cmocka_unit_test(test_wanted_facts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
