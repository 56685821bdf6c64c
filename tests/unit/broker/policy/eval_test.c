/* tests/unit/broker/policy/eval_test.c - policies of PostgreSQL's own trees, compiled and judged. */
#include "tests/unit/broker/policy/kit.h"

#define T OUTCOME_TRUE
#define F OUTCOME_FALSE
#define N OUTCOME_NULL
#define E OUTCOME_ERROR
#define M OUTCOME_MISSING

#define ALICE "11111111-1111-1111-1111-111111111111"
#define BOB   "22222222-2222-2222-2222-222222222222"

static void test_owner(void **state)
{
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_owner);
    assert_int_equal(kit.program->leaf_count, 0);
    assert_int_equal(kit.program->fold_count, 1);
    assert_string_equal(kit.program->folds[0].sql, "\"auth\".\"uid\"()");
    kit.constants[0] = policy_value_parse(POLICY_KIND_BYTES, ALICE, 36, NULL);
    kit_set(&kit, 2, ALICE);
    assert_int_equal(kit_eval(&kit), T);
    kit_set(&kit, 2, BOB);
    assert_int_equal(kit_eval(&kit), F);
    kit_set(&kit, 2, NULL);
    assert_int_equal(kit_eval(&kit), N);
    policy_row_set(&kit.row, 2, POLICY_CELL_UNCHANGED, "", 0);
    assert_int_equal(kit_eval(&kit), M);
    policy_row_clear(&kit.row);
    assert_int_equal(kit_eval(&kit), M);
    kit_set(&kit, 2, ALICE);
    kit.constants[0] = policy_value_state(VALUE_ERROR);
    assert_int_equal(kit_eval(&kit), E);
    kit_set(&kit, 2, NULL);
    assert_int_equal(kit_eval(&kit), N | E);
    kit.binding.refused = true;
    assert_int_equal(kit_eval(&kit), E);
    kit_free(&kit);
}

static void test_and_or_not(void **state)
{
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_public);
    kit_set(&kit, 8, "t");
    kit_set(&kit, 4, NULL);
    kit_set(&kit, 3, "x");
    assert_int_equal(kit_eval(&kit), T);
    kit_set(&kit, 8, "f");
    kit_set(&kit, 4, "4");
    assert_int_equal(kit_eval(&kit), F);
    kit_set(&kit, 3, "y");
    assert_int_equal(kit_eval(&kit), T);
    kit_set(&kit, 4, "3");
    assert_int_equal(kit_eval(&kit), F);
    kit_set(&kit, 4, NULL);
    assert_int_equal(kit_eval(&kit), N);
    kit_free(&kit);
}

static void test_lists_with_null(void **state)
{
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_list);
    kit_set(&kit, 4, "2");
    kit_set(&kit, 3, "b c");
    assert_int_equal(kit_eval(&kit), T);
    kit_set(&kit, 4, "3");
    assert_int_equal(kit_eval(&kit), N);
    kit_set(&kit, 4, "1");
    kit_set(&kit, 3, "NULL");
    assert_int_equal(kit_eval(&kit), N);
    kit_free(&kit);
}

static void test_case_and_coalesce(void **state)
{
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_case);
    kit_set(&kit, 4, NULL);
    kit_set(&kit, 5, "1.5");
    kit_set(&kit, 3, "b");
    assert_int_equal(kit_eval(&kit), T);
    kit_set(&kit, 5, "1.49");
    assert_int_equal(kit_eval(&kit), F);
    kit_set(&kit, 4, "1");
    assert_int_equal(kit_eval(&kit), F);
    kit_set(&kit, 3, "ab");
    assert_int_equal(kit_eval(&kit), T);
    kit_set(&kit, 3, NULL);
    assert_int_equal(kit_eval(&kit), F);
    kit.binding.errors = true; /* planning may raise what no row reaches */
    assert_int_equal(kit_eval(&kit), F | E);
    kit_free(&kit);
}

static void test_enums_and_the_clock(void **state)
{
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_enum);
    assert_true(kit.program->uses_clock);
    kit_set(&kit, 6, "ok");
    kit_set(&kit, 9, "2023-11-14 22:13:20.000001+00"); /* now is 2023-11-14 22:13:20 */
    assert_int_equal(kit_eval(&kit), T);
    kit_set(&kit, 9, "2023-11-14 22:13:20+00");
    assert_int_equal(kit_eval(&kit), F);
    kit_set(&kit, 9, "infinity");
    kit_set(&kit, 6, "happy");
    assert_int_equal(kit_eval(&kit), F);
    kit_set(&kit, 6, "new label");
    assert_int_equal(kit_eval(&kit), T | F);
    kit_free(&kit);
}

static void test_constants_of_the_identity(void **state)
{
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_claim);
    assert_int_equal(kit.program->fold_count, 2);
    assert_string_equal(kit.program->folds[0].sql,
                        "((\"auth\".\"jwt\"() OPERATOR(\"pg_catalog\".->>) CAST('role' AS "
                        "\"pg_catalog\".\"text\")) "
                        "OPERATOR(\"pg_catalog\".=) CAST('admin' AS \"pg_catalog\".\"text\"))");
    assert_string_equal(
        kit.program->folds[1].sql,
        "CAST(\"pg_catalog\".\"current_setting\"(CAST('app.n' AS \"pg_catalog\".\"text\")) AS "
        "\"pg_catalog\".\"int4\")");
    kit.constants[0] = policy_value_parse(POLICY_KIND_BOOL, "true", 4, NULL);
    kit.constants[1] = policy_value_parse(POLICY_KIND_INT, "7", 1, NULL);
    kit_set(&kit, 4, "7");
    assert_int_equal(kit_eval(&kit), T);
    kit.constants[0] = policy_value_state(VALUE_ERROR);
    assert_int_equal(kit_eval(&kit), E);
    kit_set(&kit, 4, "8");
    assert_int_equal(kit_eval(&kit), E); /* what follows cannot make it true */
    kit_free(&kit);
}

static void test_arrays_of_the_row(void **state)
{
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_tags);
    kit_set(&kit, 4, "3");
    kit_set(&kit, 7, "{b,a}");
    assert_int_equal(kit_eval(&kit), T);
    kit_set(&kit, 7, "{b,NULL}");
    assert_int_equal(kit_eval(&kit), N);
    kit_set(&kit, 7, "{}");
    assert_int_equal(kit_eval(&kit), F);
    kit_set(&kit, 7, "{a}");
    kit_set(&kit, 4, "4");
    assert_int_equal(kit_eval(&kit), F);
    kit_free(&kit);
}

static void test_what_is_not_compiled_says_why(void **state)
{
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_regex);
    assert_int_equal(kit.program->leaf_count, 1);
    assert_int_equal(kit.program->leaves[0].kind, POLICY_LEAF_SQL);
    assert_string_equal(kit.program->leaves[0].reason, "operator ~ (641)");
    kit_free(&kit);
}

/* Membership: a set of the identity; EXISTS is never NULL, IN is what it is. */
static void test_membership(void **state)
{
    static const struct {
        const char *tree;
        uint8_t unknown_member;
    } trees[] = { { tree_member, F }, { tree_array, N }, { tree_in, N } };
    static const char sql[] =
        "ARRAY(SELECT DISTINCT pgtide_1.\"team_id\" FROM \"public\".\"memb\" AS pgtide_1 WHERE "
        "true AND "
        "(pgtide_1.\"user_id\" OPERATOR(\"pg_catalog\".=) \"auth\".\"uid\"()))";
    struct policy_value team = policy_value_parse(POLICY_KIND_INT, "7", 1, NULL);
    struct policy_list list = { 1, &team };

    (void)state;
    for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        struct kit kit;
        kit_compile(&kit, trees[i].tree);
        assert_int_equal(kit.program->leaf_count, 0);
        assert_int_equal(kit.program->table_count, 1);
        assert_string_equal(kit.program->folds[0].sql, sql);
        kit.constants[0] = policy_value_parse(POLICY_KIND_ARRAY, "{7}", 3, NULL);
        kit.constants[0].list = &list;
        kit_set(&kit, 4, "7");
        assert_int_equal(kit_eval(&kit), T);
        kit_set(&kit, 4, "8");
        assert_int_equal(kit_eval(&kit), F);
        kit_set(&kit, 4, NULL);
        assert_int_equal(kit_eval(&kit), trees[i].unknown_member);
        kit.constants[0] = policy_value_state(VALUE_ERROR);
        kit_set(&kit, 4, "7");
        assert_int_equal(kit_eval(&kit), E);
        kit_free(&kit);
    }
}

/* One disjunct that is not compiled: the other one may still deny or, if nothing can raise, not decide alone. */
static void test_a_part_that_is_not_compiled(void **state)
{
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_regex);
    kit_set(&kit, 3, "a");
    kit_set(&kit, 8, "t");
    assert_int_equal(outcome_answer(kit_eval(&kit)), POLICY_ASK);
    kit_set(&kit, 8, "f");
    assert_int_equal(kit_eval(&kit), T | E);
    kit_free(&kit);
}

static void test_rules_combine(void **state)
{
    struct policy_facts *facts = kit_facts();
    struct policy_arena arena = { 0 };
    const struct policy_tree *open = policy_tree_parse(&arena, tree_public, strlen(tree_public));
    const struct policy_tree *claim = policy_tree_parse(&arena, tree_owner, strlen(tree_owner));
    struct policy_rule rules[] = { { "check", true, false, NULL },
                                   { "open", true, true, open },
                                   { "mine", false, true, claim },
                                   { "broken", true, true, NULL } };
    struct policy_cell cells[KIT_COLUMNS] = { 0 };
    struct policy_row row = { KIT_COLUMNS, cells };
    struct policy_value constant = policy_value_parse(POLICY_KIND_BYTES, ALICE, 36, NULL);
    struct policy_binding binding = { .values = &constant, .count = 1 };
    static const struct {
        uint32_t from;
        uint32_t count;
        bool exempt;
        uint8_t set;
    } cases[] = { { 0, 0, false, F },          { 0, 0, true, T },  { 0, 1, false, F },
                  { 0, 2, false, T },          { 1, 2, false, F }, { 2, 1, false, F },
                  { 3, 1, false, OUTCOME_ANY } };

    (void)state;
    policy_row_set(&row, 2, POLICY_CELL_TEXT, BOB, 36);
    policy_row_set(&row, 3, POLICY_CELL_TEXT, "x", 1);
    policy_row_set(&row, 4, POLICY_CELL_TEXT, "1", 1);
    policy_row_set(&row, 8, POLICY_CELL_TEXT, "t", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_program *program =
            policy_compile(facts, cases[i].exempt, rules + cases[i].from, cases[i].count);
        assert_int_equal(policy_eval(program, &binding, &row, 0), cases[i].set);
        policy_program_free(program);
    }
    policy_arena_fini(&arena);
    policy_facts_free(facts);
}

/* CASE with more arms than the stack has room for. */
static void test_too_large_is_anything(void **state)
{
    struct rt_buf text = { 0 };
    struct kit kit;

    (void)state;
    rt_buf_puts(&text, "{CASEEXPR :casetype 16 :arg <> :args (");
    for (int i = 0; i < 200; i++) {
        rt_buf_puts(&text, "{CASEWHEN :expr {VAR :varlevelsup 0 :varattno 8 :vartype 16} :result "
                           "{VAR :varlevelsup 0 "
                           ":varattno 8 :vartype 16}}");
    }
    rt_buf_puts(&text, ") :defresult {VAR :varlevelsup 0 :varattno 8 :vartype 16}}");
    kit_compile(&kit, rt_buf_cstr(&text));
    assert_int_equal(kit.program->count, 1);
    assert_int_equal(kit_eval(&kit), OUTCOME_ANY);
    kit_free(&kit);
    rt_buf_fini(&text);
}

/* --- shortcuts ---------------------------------------------------------------------------------- */

enum { SAMPLES = 11, LONGEST = 3 };

static void make_samples(struct policy_value out[SAMPLES])
{
    out[0] = policy_value_parse(POLICY_KIND_INT, "1", 1, NULL);
    out[1] = policy_value_parse(POLICY_KIND_INT, "2", 1, NULL);
    out[2] = policy_value_parse(POLICY_KIND_TEXT, "1", 1, NULL);
    out[3] = policy_value_parse(POLICY_KIND_TEXT, "2", 1, NULL);
    out[4] = policy_value_parse(POLICY_KIND_NUMERIC, "1.0", 3, NULL);
    out[5] = policy_value_state(VALUE_NULL);
    out[6] = policy_value_state(VALUE_FREE);
    out[7] = policy_value_state(VALUE_ERROR);
    out[8] = policy_value_state(VALUE_MISSING);
    out[9] = policy_value_state(VALUE_FREE | VALUE_NULL | VALUE_ERROR);
    out[10] = policy_value_parse(POLICY_KIND_INT, "x", 1, NULL);
}

/* Element by element, by the rules of sets of outcomes alone. */
static uint8_t expected_any(const struct policy_value *a, const struct policy_list *list)
{
    uint8_t set = OUTCOME_FALSE;

    for (uint32_t i = 0; i < list->count && set != OUTCOME_TRUE; i++) {
        set = outcome_or(set, eval_compare(POLICY_EQ, a, &list->values[i]));
    }
    return set | (a->state & (VALUE_ERROR | VALUE_MISSING));
}

/* The same program by its instructions, and by the way for programs of one instruction. */
static uint8_t both_ways(struct policy_program *program, const struct policy_binding *binding)
{
    struct policy_row row = { 0, NULL };

    program->single = false;
    uint8_t set = policy_eval(program, binding, &row, 0);
    program->single = true;
    assert_int_equal(policy_eval(program, binding, &row, 0), set);
    return set;
}

static void test_a_list_is_what_its_elements_are_one_by_one(void **state)
{
    static const struct policy_shape shape = { .kind = POLICY_KIND_ARRAY,
                                               .element = POLICY_KIND_INT };
    const struct policy_instruction code = { .code = POLICY_IN_ARRAY,
                                             .compare = POLICY_EQ,
                                             .a = { POLICY_REF_FOLD, 0 },
                                             .b = { POLICY_REF_FOLD, 1 },
                                             .shape = &shape };
    struct policy_program program = { .code = &code, .count = 1 };
    struct policy_value samples[SAMPLES];
    struct policy_value elements[LONGEST];
    struct policy_list list = { .values = elements };
    struct policy_value constants[2];
    const struct policy_binding binding = { .values = constants, .count = 2 };
    uint32_t all = SAMPLES * SAMPLES * SAMPLES;

    (void)state;
    make_samples(samples);
    constants[1] = (struct policy_value){
        .state = VALUE_KNOWN, .kind = POLICY_KIND_ARRAY, .text = "", .list = &list
    };
    for (uint32_t i = 0; i < SAMPLES * all * (LONGEST + 1); i++) {
        uint32_t of_list = i / SAMPLES;
        constants[0] = samples[i % SAMPLES];
        list.count = of_list / all;
        elements[0] = samples[of_list % SAMPLES];
        elements[1] = samples[of_list / SAMPLES % SAMPLES];
        elements[2] = samples[of_list / (SAMPLES * SAMPLES) % SAMPLES];
        assert_int_equal(both_ways(&program, &binding), expected_any(&constants[0], &list));
    }
}

static void test_one_comparison_is_the_same_without_a_stack(void **state)
{
    struct policy_instruction code[2] = {
        { .code = POLICY_COMPARE, .a = { POLICY_REF_FOLD, 0 }, .b = { POLICY_REF_FOLD, 1 } },
        { .code = POLICY_TEST }
    };
    struct policy_program program = { .code = code };
    struct policy_value constants[2];
    const struct policy_binding binding = { .values = constants, .count = 2 };
    struct policy_value samples[SAMPLES];

    (void)state;
    make_samples(samples);
    for (uint32_t i = 0; i < SAMPLES * SAMPLES; i++) {
        constants[0] = samples[i % SAMPLES];
        constants[1] = samples[i / SAMPLES];
        for (uint8_t compare = POLICY_EQ; compare <= POLICY_GE; compare++) {
            code[0].compare = compare;
            program.count = 1;
            assert_int_equal(
                both_ways(&program, &binding),
                eval_compare((enum policy_compare)compare, &constants[0], &constants[1]));
            program.count = 2;
            for (code[1].n = 0; code[1].n < 6; code[1].n++) {
                (void)both_ways(&program, &binding);
            }
        }
    }
}

static void test_programs_of_one_instruction_are_known(void **state)
{
    struct kit kit;

    (void)state;
    kit_compile(&kit, tree_owner);
    assert_true(kit.program->single);
    kit_free(&kit);
    kit_compile(&kit, tree_public);
    assert_false(kit.program->single);
    kit_free(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_a_list_is_what_its_elements_are_one_by_one),
        cmocka_unit_test(test_one_comparison_is_the_same_without_a_stack),
        cmocka_unit_test(test_programs_of_one_instruction_are_known),
        cmocka_unit_test(test_and_or_not),
        cmocka_unit_test(test_lists_with_null),
        cmocka_unit_test(test_case_and_coalesce),
        cmocka_unit_test(test_enums_and_the_clock),
        cmocka_unit_test(test_constants_of_the_identity),
        cmocka_unit_test(test_arrays_of_the_row),
        cmocka_unit_test(test_what_is_not_compiled_says_why),
        cmocka_unit_test(test_membership),
        cmocka_unit_test(test_a_part_that_is_not_compiled),
        cmocka_unit_test(test_rules_combine),
        cmocka_unit_test(test_too_large_is_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
