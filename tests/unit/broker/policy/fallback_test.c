/* Tests of the fallback's statements and answers: images, loops, sets; nothing is asked. */
#include "broker/policy/fallback.h"
#include "broker/policy/set.h"
#include "broker/policy/sql.h"
#include "tests/unit/broker/policy/kit.h"

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

/* Two permissive ones, one that only checks, a restrictive one. */
static void fill_table(struct policy_table *table)
{
    static const char *const rows[][3] = { { "a", "1", "one" },
                                           { "b", "1", "two" },
                                           { "d", "0", "and" } };
    const char *const check[POLICY_LOADER_COLUMNS] = { "1", "P", "c", "1", "0", "", "", "" };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *const fields[POLICY_LOADER_COLUMNS] = { "1", "P",        rows[i][0], rows[i][1],
                                                            "1", tree_owner, rows[i][2], "" };
        policy_table_add(table, fields);
    }
    policy_table_add(table, check);
}

static const char *const images[] = { "(1)", "(it's)" };
static const struct policy_setting settings[][1] = { { { "claims", "a'b" } },
                                                     { { "claims", "c" } } };
static const struct policy_identity identities[] = { { "r", settings[0], 1, NULL },
                                                     { "r", settings[1], 1, NULL },
                                                     { "q", settings[1], 1, NULL } };

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;

    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

/* One loop, with one condition, for the identities of a role; another for another role, and for what is planned apart. */
static void test_who_shares_a_plan(void **state)
{
    struct policy_table table = { 0 };
    struct policy_question questions[] = { { &table, &identities[0], NULL, false },
                                           { &table, &identities[1], NULL, false },
                                           { &table, &identities[2], NULL, false } };
    struct policy_batch batch = { .schema = "s",
                                  .table = "t",
                                  .images = images,
                                  .image_count = 1,
                                  .questions = questions,
                                  .question_count = 3 };
    struct rt_buf sql = { 0 };

    (void)state;
    fill_table(&table);
    policy_fallback_sql(&sql, &batch);
    const char *text = rt_buf_cstr(&sql);
    assert_int_equal(count_of(text, "LOOP pgtide_v :="), 2);
    assert_int_equal(count_of(text, "WHERE (((two) OR (one)) OR false) AND ((and) OR false);"), 2);
    assert_non_null(strstr(text, "pgtide_s0 := ARRAY['a''b','c']; "));
    assert_non_null(strstr(text, "set_config('role', 'q', true)"));
    questions[0].apart = true;
    rt_buf_clear(&sql);
    policy_fallback_sql(&sql, &batch);
    assert_int_equal(count_of(rt_buf_cstr(&sql), "LOOP pgtide_v :="), 3);
    policy_table_fini(&table);
    rt_buf_fini(&sql);
}

static void test_a_condition_of_a_filter(void **state)
{
    struct policy_question question = { NULL, &identities[0], "t.a = 'x'", false };
    struct policy_batch batch = { .schema = "s",
                                  .table = "ta\"ble",
                                  .images = images,
                                  .image_count = 2,
                                  .questions = &question,
                                  .question_count = 1,
                                  .timeout_ms = 7 };
    struct rt_buf sql = { 0 };

    (void)state;
    policy_fallback_sql(&sql, &batch);
    const char *text = rt_buf_cstr(&sql);
    assert_non_null(strstr(text, "BEGIN READ ONLY; SET LOCAL statement_timeout = 7; DO $pgtide$"));
    assert_non_null(strstr(text, "ARRAY['(1)', '(it''s)']::\"s\".\"ta\"\"ble\"[]"));
    assert_int_equal(count_of(text, " AS \"t\" WHERE t.a = 'x'"), 2);
    rt_buf_fini(&sql);
}

static void test_verdicts(void **state)
{
    static const char *const bad[] = {
        "", "5:5:", "5:5: 1", "5:5: 1x", "5:5: 111", " 11", "5:5:11"
    };
    struct policy_verdicts verdicts;

    (void)state;
    assert_true(policy_fallback_read(&verdicts, "5:5: 1e0", 8, 3));
    assert_string_equal(verdicts.snapshot, "5:5:");
    assert_int_equal(verdicts.verdicts[0], POLICY_VERDICT_YES);
    assert_int_equal(verdicts.verdicts[1], POLICY_VERDICT_ERROR);
    assert_int_equal(verdicts.verdicts[2], POLICY_VERDICT_NO);
    policy_verdicts_fini(&verdicts);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(policy_fallback_read(&verdicts, bad[i], strlen(bad[i]), 2));
        assert_null(verdicts.verdicts);
    }
}

/* --- many identities at once ------------------------------------------------------------------ */

static void test_what_can_be_a_set(void **state)
{
    static const struct {
        const char *tree;
        const char *condition;
    } trees[] = {
        { tree_regex, "(((pgtide_row.c3 OPERATOR(\"pg_catalog\".~) CAST('^a' AS "
                      "\"pg_catalog\".\"text\")) OR (pgtide_row.c8 IS NOT TRUE)))" },
        { tree_owner, NULL },  /* is compiled */
        { tree_member, NULL }, /* reads a table */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        struct kit kit;
        kit_compile(&kit, trees[i].tree);
        const struct policy_set *set = &kit.program->asking.set;
        if (trees[i].condition != NULL) {
            assert_non_null(set->condition);
            assert_string_equal(set->condition, trees[i].condition);
        } else {
            assert_null(set->condition);
            assert_non_null(set->reason);
        }
        kit_free(&kit);
    }
}

static void test_a_set(void **state)
{
    static const struct policy_set_constant constant = { 0, "\"pg_catalog\".\"uuid\"", false };
    static const uint32_t columns[] = { 1, 3 };
    struct policy_program program = { .fold_count = 1 };
    struct policy_value values[] = { { .state = VALUE_KNOWN, .text = "a\"'", .len = 3 },
                                     { .state = VALUE_NULL },
                                     { .state = VALUE_ERROR } };
    struct policy_binding bindings[] = { { .count = 1, .values = &values[0] },
                                         { .count = 1, .values = &values[1] },
                                         { .count = 1, .values = &values[2] } };
    const struct policy_binding *const list[] = { &bindings[0], &bindings[1] };
    struct policy_set_batch batch = { .schema = "s",
                                      .table = "t",
                                      .role = "r",
                                      .program = &program,
                                      .columns = columns,
                                      .column_count = 2,
                                      .images = images,
                                      .image_count = 2,
                                      .bindings = list,
                                      .binding_count = 2 };
    struct rt_buf sql = { 0 };

    (void)state;
    program.asking.set =
        (struct policy_set){ .condition = "(COND)", .constants = &constant, .constant_count = 1 };
    assert_true(policy_set_has(&program, &bindings[0]));
    assert_true(policy_set_has(&program, &bindings[1]));
    assert_false(policy_set_has(&program, &bindings[2]));
    policy_set_sql(&sql, &batch);
    const char *text = rt_buf_cstr(&sql);
    assert_non_null(strstr(text, "unnest('{\"a\\\"''\",NULL}'::pg_catalog.text[])"));
    assert_non_null(strstr(text, "CAST(u.k0 AS \"pg_catalog\".\"uuid\") AS k0"));
    assert_non_null(strstr(text, "AS pgtide_row(c1, c3, n), pgtide_who WHERE (COND)"));
    assert_null(strstr(text, "'claims'"));
    assert_null(strstr(text, "EXECUTE"));
    rt_buf_fini(&sql);
}

/* Constants whose text means the same for ever are written as what they are; the images come later. */
static void test_a_set_that_is_kept(void **state)
{
    static const struct policy_set_constant constant = { 0, "\"pg_catalog\".\"uuid\"", true };
    static const uint32_t columns[] = { 1 };
    struct policy_program program = { .fold_count = 1 };
    struct policy_value value = { .state = VALUE_KNOWN, .text = "a", .len = 1 };
    struct policy_binding binding = { .count = 1, .values = &value };
    const struct policy_binding *const list[] = { &binding };
    struct policy_set_session session = {
        .reset = true, .answer = "a0", .drop = "DEALLOCATE s1; ", .name = "s2", .prepare = true
    };
    struct policy_set_batch batch = { .schema = "s",
                                      .table = "t",
                                      .role = "r\"",
                                      .program = &program,
                                      .columns = columns,
                                      .column_count = 1,
                                      .images = images,
                                      .image_count = 2,
                                      .bindings = list,
                                      .binding_count = 1,
                                      .session = &session };
    struct rt_buf sql = { 0 };

    (void)state;
    program.asking.set =
        (struct policy_set){ .condition = "(COND)", .constants = &constant, .constant_count = 1 };
    policy_set_sql(&sql, &batch);
    const char *text = rt_buf_cstr(&sql);
    const char *reset = strstr(text, "DEALLOCATE ALL; PREPARE a0(pg_catalog.text) AS ");
    const char *drop = strstr(text, "DEALLOCATE s1; SET LOCAL jit = off; SET LOCAL ROLE \"r\"\"\"");
    const char *prepare = strstr(text, "PREPARE s2(\"s\".\"t\"[], pg_catalog.int8) AS ");
    const char *execute = strstr(text, "EXECUTE s2(ARRAY[");
    const char *answer = strstr(text, "; EXECUTE a0('\"s\".\"t\"'); COMMIT");
    assert_true(reset != NULL && drop > reset && prepare > drop && execute > prepare);
    assert_true(answer > execute);
    assert_non_null(strstr(text, "unnest('{\"a\"}'::\"pg_catalog\".\"uuid\"[])"));
    assert_non_null(strstr(text, "unnest($1) WITH ORDINALITY AS pgtide_row(c1, n), ROWS FROM ("));
    assert_null(strstr(text, "CAST("));

    session.reset = session.prepare = false;
    session.drop = NULL;
    rt_buf_clear(&sql);
    policy_set_sql(&sql, &batch);
    text = rt_buf_cstr(&sql);
    assert_null(strstr(text, "PREPARE"));
    assert_null(strstr(text, "DEALLOCATE"));
    assert_null(strstr(text, "uuid"));
    assert_non_null(strstr(text, "EXECUTE s2(ARRAY["));
    rt_buf_fini(&sql);
}

static void test_pairs(void **state)
{
    static const char *const bad[] = {
        "",        "5:5:",   "5:5: 4",   "5:5: 0,",
        "5:5: ,0", "5:5: x", "5:5: 0 1", "5:5: 99999999999999999999"
    };
    struct policy_verdicts verdicts;

    (void)state;
    assert_true(policy_set_read(&verdicts, "5:5: ", 5, 4));
    assert_int_equal(verdicts.verdicts[3], POLICY_VERDICT_NO);
    policy_verdicts_fini(&verdicts);
    assert_true(policy_set_read(&verdicts, "5:5: 3,0", 8, 4));
    assert_int_equal(verdicts.verdicts[0], POLICY_VERDICT_YES);
    assert_int_equal(verdicts.verdicts[1], POLICY_VERDICT_NO);
    assert_int_equal(verdicts.verdicts[3], POLICY_VERDICT_YES);
    policy_verdicts_fini(&verdicts);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(policy_set_read(&verdicts, bad[i], strlen(bad[i]), 4));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_image_of_a_row),       cmocka_unit_test(test_who_shares_a_plan),
        cmocka_unit_test(test_a_condition_of_a_filter), cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_what_can_be_a_set),       cmocka_unit_test(test_a_set),
        cmocka_unit_test(test_a_set_that_is_kept),      cmocka_unit_test(test_pairs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
