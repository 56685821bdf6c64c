/* tests/unit/broker/policy/rules_test.c - many questions loaded at once; what says the same is the same object. */
#include "broker/policy/rules.h"
#include "tests/unit/broker/policy/kit.h"

/* What a catalog says about two questions: one with a policy, one of an exempt role. */
static struct policy_load *load(const char *name, const char *tree, const char *sql)
{
    const char *const table[POLICY_LOADER_COLUMNS] = { "1", "T", "16400", "1", "0", "0", "0", "" };
    const char *const policy[POLICY_LOADER_COLUMNS] = { "1", "P", name, "1", "1", tree, sql, "" };
    const char *const owner[POLICY_LOADER_COLUMNS] = { "2", "T", "16400", "1", "0", "0", "1", "" };
    const char *const stray[POLICY_LOADER_COLUMNS] = { "9", "T", "16400", "1", "0", "0", "1", "" };
    struct policy_load *made = policy_load_new(3);

    policy_load_row(made, table);
    policy_load_row(made, policy);
    policy_load_row(made, owner);
    policy_load_row(made, stray);
    return made;
}

static struct policy_rules *rules(const char *name, const char *tree, const char *sql, bool facts)
{
    struct policy_load *made = load(name, tree, sql);
    struct policy_rules *out = NULL;

    for (size_t i = 0; facts && kit_fact(i) != NULL; i++) {
        policy_load_fact(made, kit_fact(i));
    }
    assert_int_equal(policy_load_take(made, 0, 5, &out), POLICY_LOAD_RULES);
    policy_load_free(made);
    return out;
}

static void test_one_answer_for_each_question(void **state)
{
    struct policy_load *made = load("mine", tree_owner, "(owner = auth.uid())");
    struct rt_buf arrays[POLICY_FACTS_PARAMS] = { { .data = NULL } };
    struct policy_rules *out = NULL;

    (void)state;
    assert_true(policy_load_wants(made, arrays));
    assert_string_equal(rt_buf_cstr(&arrays[0]), "{2972}");
    assert_int_equal(policy_load_take(made, 1, 1, &out), POLICY_LOAD_EXEMPT);
    assert_null(out);
    assert_int_equal(policy_load_take(made, 2, 2, &out), POLICY_LOAD_UNKNOWN);
    assert_int_equal(policy_load_take(made, 0, 3, &out), POLICY_LOAD_RULES);
    policy_load_free(made);
    assert_int_equal(out->serial, 3); /* and lives on without the load */
    assert_int_equal(out->table.oid, 16400);
    assert_string_equal(out->table.rules[0].sql, "(owner = auth.uid())");
    assert_true(out->program->leaf_count > 0); /* no fact came: nothing is certain */
    policy_rules_unref(policy_rules_ref(out));
    policy_rules_unref(out);
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        rt_buf_fini(&arrays[i]);
    }
}

static void assert_kept(const char *name, const char *tree, const char *sql, bool facts, bool kept)
{
    struct policy_rules *old = rules("mine", tree_owner, "sql", true);
    struct policy_rules *fresh = rules(name, tree, sql, facts);
    struct policy_rules *chosen = policy_rules_keep(old, fresh);

    assert_ptr_equal(chosen, kept ? old : fresh);
    policy_rules_unref(chosen);
    policy_rules_unref(old);
}

static void test_what_says_the_same_is_kept(void **state)
{
    struct policy_rules *first = rules("mine", tree_owner, "sql", true);

    (void)state;
    assert_kept("mine", tree_owner, "sql", true, true);
    assert_kept("yours", tree_owner, "sql", true, false);
    assert_kept("mine", tree_owner, "other sql", true, false);
    assert_kept("mine", tree_regex, "sql", true, false);
    assert_kept("mine", tree_owner, "sql", false, false); /* it compiles to something else */
    assert_ptr_equal(policy_rules_keep(NULL, first), first);
    policy_rules_unref(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_answer_for_each_question),
        cmocka_unit_test(test_what_says_the_same_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
