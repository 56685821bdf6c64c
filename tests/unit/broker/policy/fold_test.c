/* tests/unit/broker/policy/fold_test.c - constants asked of PostgreSQL, and policies read from its catalog. */
#include <stdlib.h>

#include "broker/policy/fold.h"
#include "broker/policy/loader.h"
#include "tests/unit/broker/policy/kit.h"

#define OTHERS                                                                                     \
    "EXCEPTION WHEN transaction_rollback OR insufficient_resources OR lock_not_available THEN "    \
    "RAISE; WHEN OTHERS THEN pgtide_r := "
#define MESSAGE                                                                                    \
    "('e'::pg_catalog.text OPERATOR(pg_catalog.||) "                                               \
    "pg_catalog.\"left\"(pg_catalog.split_part(SQLERRM, ': \"'::pg_catalog.text, 1), 200))"
#define APPEND OTHERS "pgtide_r OPERATOR(pg_catalog.||) " MESSAGE "; END; "

static void test_the_question(void **state)
{
    static const struct policy_setting settings[] = { { "request.jwt.claims",
                                                        "{\"a\":\"it's $pgtide$\"}" } };
    struct policy_identity identity = { .role = "we\"ird",
                                        .settings = settings,
                                        .setting_count = 1 };
    struct rt_buf sql = { 0 };
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_owner);
    const struct policy_fold fold = { kit.program, &identity, "pub\"lic", "p't" };
    policy_fold_sql(&sql, &fold, 1);
    assert_string_equal(
        rt_buf_cstr(&sql),
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; DO $pgtide0$\n#variable_conflict "
        "use_column\nDECLARE pgtide_a "
        "pg_catalog.text[] := ARRAY[pg_catalog.pg_current_snapshot()::pg_catalog.text]; pgtide_r "
        "pg_catalog.text[]; pgtide_v pg_catalog.text; BEGIN pgtide_r := '{}'; BEGIN PERFORM "
        "pg_catalog.set_config('role', 'we\"ird', true), "
        "pg_catalog.set_config('request.jwt.claims', '{\"a\":\"it''s $pgtide$\"}', true); BEGIN "
        "EXECUTE 'EXPLAIN SELECT 1 FROM \"pub\"\"lic\".\"p''t\"'; pgtide_r := pgtide_r "
        "OPERATOR(pg_catalog.||) 'v'::pg_catalog.text; " APPEND
        "BEGIN pgtide_v := (\"auth\".\"uid\"())::pg_catalog.text; pgtide_r := pgtide_r "
        "OPERATOR(pg_catalog.||) coalesce('v'::pg_catalog.text OPERATOR(pg_catalog.||) pgtide_v, "
        "'n'::pg_catalog.text); " APPEND OTHERS "pg_catalog.array_fill(" MESSAGE
        ", ARRAY[2]); END; "
        "pgtide_a := pgtide_a OPERATOR(pg_catalog.||) pgtide_r::pg_catalog.text; PERFORM "
        "pg_catalog.set_config('search_path', '', true); PERFORM "
        "pg_catalog.set_config('pgtide.fold', pgtide_a::pg_catalog.text, true); END$pgtide0$; "
        "SELECT pg_catalog.current_setting('pgtide.fold'); COMMIT");
    rt_buf_clear(&sql);
    const struct policy_fold again = { kit.program, &identity, "public", "$pgtide0$" };
    policy_fold_sql(&sql, &again, 1); /* cannot end the block */
    assert_non_null(strstr(rt_buf_cstr(&sql), "DO $pgtide1$"));
    rt_buf_fini(&sql);
    kit_free(&kit);
}

static void test_answers_in_one_text(void **state)
{
    static const char text[] = "{5:9:6,7,\"{v,\\\"v a,b\\\"}\",\"{v,n}\"}";
    static const char quoted[] = "{\"5:9:6,7\",\"{v,\\\"v a\\\"}\",\"{v,n}\"}";
    static const char *const bad[] = { "", "{5:5:}", "{5:5:,a}", "{5:5:,a,b,c}", "{5:5:,a,NULL}" };
    struct policy_answers answers;

    (void)state;
    assert_false(policy_answers_read(&answers, text, strlen(text), 2)); /* 6,7: three elements */
    assert_true(policy_answers_read(&answers, text, strlen(text), 3));
    policy_answers_fini(&answers);
    assert_true(policy_answers_read(&answers, quoted, strlen(quoted), 2));
    assert_int_equal(answers.snapshot_len, 7);
    assert_memory_equal(answers.snapshot, "5:9:6,7", 7);
    assert_int_equal(answers.texts[0].len, 9);
    assert_memory_equal(answers.texts[0].text, "{v,\"v a\"}", 9);
    assert_memory_equal(answers.texts[1].text, "{v,n}", 5);
    policy_answers_fini(&answers);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(policy_answers_read(&answers, bad[i], strlen(bad[i]), 2));
        assert_null(answers.bytes);
    }
}

static struct policy_constants answer(const struct kit *kit, const char *text, bool good)
{
    struct policy_constants constants;

    assert_int_equal(policy_fold_read(&constants, kit->program, text, strlen(text)), good);
    return constants;
}

static void assert_same_value(const struct policy_value *a, const struct policy_value *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->len, b->len);
    assert_int_equal(a->text == NULL, b->text == NULL);
    if (a->text != NULL) {
        assert_memory_equal(a->text, b->text, a->len);
        assert_ptr_not_equal(a->text, b->text);
    }
}

/* Nothing of the copy is outside of its memory, or of what it was copied from. */
static void check_packed(const struct kit *kit, const char *text, bool good)
{
    struct policy_constants read = answer(kit, text, good);
    size_t room = policy_constants_room(&read);
    void *memory = rt_alloc(room + 1);
    struct policy_constants packed;

    policy_constants_pack(&packed, memory, &read);
    assert_int_equal(packed.binding.count, read.binding.count);
    assert_int_equal(packed.binding.refused, read.binding.refused);
    assert_int_equal(packed.binding.errors, read.binding.errors);
    for (uint32_t i = 0; i < read.binding.count; i++) {
        const struct policy_value *from = &read.binding.values[i];
        const struct policy_value *to = &packed.binding.values[i];
        assert_same_value(to, from);
        if (from->kind != POLICY_KIND_ARRAY || from->state != VALUE_KNOWN) {
            continue;
        }
        assert_int_equal(to->list->count, from->list->count);
        for (uint32_t j = 0; j < from->list->count; j++) {
            assert_same_value(&to->list->values[j], &from->list->values[j]);
        }
    }
    if (read.error == NULL) {
        assert_null(packed.error);
    } else {
        assert_string_equal(packed.error, read.error);
    }
    policy_constants_fini(&read);
    uint64_t sum = 0; /* the address sanitizer looks on: nothing points back */
    for (uint32_t i = 0; i < packed.binding.count; i++) {
        const struct policy_value *value = &packed.binding.values[i];
        sum += value->text == NULL ? 0 : (uint64_t)value->text[value->len];
    }
    assert_int_equal(sum, 0);
    policy_constants_fini(&packed);
    free(memory);
}

static void test_a_packed_copy_says_the_same(void **state)
{
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_owner);
    check_packed(&kit, "{v,v11111111-1111-1111-1111-111111111111}", true);
    check_packed(&kit, "{v,n}", true);
    check_packed(&kit, "{v,ewhy}", true);
    check_packed(&kit, "{ewhy,n}", true);
    check_packed(&kit, "{v,v1,v2}", false);
    kit_free(&kit);
    kit_compile(&kit, tree_member);
    check_packed(&kit, "{v,\"v{1,22,NULL}\"}", true);
    check_packed(&kit, "{v,\"v{}\"}", true);
    check_packed(&kit, "{v,\"v{\\\"1\\\",2}\"}", true);
    check_packed(&kit, "{v,\"v{1,\"}", true);
    kit_free(&kit);
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
    constants = answer(&kit, "{ewhy,n}", true);
    assert_true(constants.binding.refused);
    assert_string_equal(constants.error, "why");
    policy_constants_fini(&constants);
    constants = answer(&kit, "{v,e}", true);
    assert_null(constants.error);
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
        cmocka_unit_test(test_the_question),
        cmocka_unit_test(test_the_answer),
        cmocka_unit_test(test_a_packed_copy_says_the_same),
        cmocka_unit_test(test_who_is_exempt),
        cmocka_unit_test(test_rows_of_policies),

        cmocka_unit_test(test_wanted_facts),
        cmocka_unit_test(test_answers_in_one_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
