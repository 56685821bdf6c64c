/* tests/unit/broker/policy/anchor_test.c - which values a row must have to be looked at. */
#include "broker/policy/anchor.h"
#include "tests/unit/broker/policy/kit.h"

#define ALICE "11111111-1111-1111-1111-111111111111"

static struct policy_anchors find(struct kit *kit, const char *tree)
{
    struct policy_anchors anchors;

    kit_compile(kit, tree);
    for (uint32_t i = 0; i < kit->program->fold_count; i++) {
        enum policy_kind kind = kit->program->folds[i].shape.kind;
        const char *text = kind == POLICY_KIND_BYTES ? ALICE : kind == POLICY_KIND_BOOL ? "t" : "7";
        kit->constants[i] = policy_value_parse(kind, text, strlen(text), NULL);
    }
    policy_anchors_find(kit->program, &kit->binding, &anchors);
    return anchors;
}

static void test_an_equality(void **state)
{
    struct kit kit;
    struct policy_anchors anchors = find(&kit, tree_owner);

    (void)state;
    assert_false(anchors.all);
    assert_int_equal(anchors.count, 1);
    assert_int_equal(anchors.list[0].column, 2);
    assert_memory_equal(anchors.list[0].value->text, ALICE, 36);
    kit_set(&kit, 2, ALICE);
    assert_true(policy_anchors_admit(&anchors, kit.program, &kit.row));
    kit_set(&kit, 2, "22222222-2222-2222-2222-222222222222");
    assert_false(policy_anchors_admit(&anchors, kit.program, &kit.row));
    kit_set(&kit, 2, NULL);
    assert_false(policy_anchors_admit(&anchors, kit.program, &kit.row));
    kit_free(&kit);
}

static void test_a_constant_that_is_nothing(void **state)
{
    static const uint8_t states[] = { VALUE_NULL, VALUE_ERROR };
    struct policy_anchors anchors;
    struct kit kit;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        (void)find(&kit, tree_owner);
        kit.constants[0] = policy_value_state(states[i]);
        policy_anchors_find(kit.program, &kit.binding, &anchors);
        assert_false(anchors.all);
        assert_int_equal(anchors.count, 0);
        kit_free(&kit);
    }
    (void)find(&kit, tree_owner);
    kit.binding.refused = true;
    policy_anchors_find(kit.program, &kit.binding, &anchors);
    assert_true(!anchors.all && anchors.count == 0);
    kit_free(&kit);
}

static void test_conjunctions_take_the_smaller_side(void **state)
{
    struct kit kit;
    struct policy_anchors anchors =
        find(&kit, tree_list); /* level in (1, 2, null) and title = any (…) */

    (void)state;
    assert_false(anchors.all);
    assert_int_equal(anchors.count, 2);
    kit_free(&kit);
    anchors = find(&kit, tree_claim); /* 'admin' and level = 7 */
    assert_int_equal(anchors.count, 1);
    assert_int_equal(anchors.list[0].column, 4);
    kit.constants[0] = policy_value_parse(POLICY_KIND_BOOL, "f", 1, NULL);
    policy_anchors_find(kit.program, &kit.binding, &anchors);
    assert_true(!anchors.all && anchors.count == 0);
    kit_free(&kit);
}

/* EXISTS says IS TRUE of the set. */
static void test_a_membership_is_the_values_of_its_set(void **state)
{
    static const char *const trees[] = { tree_member, tree_array, tree_in };
    struct policy_value teams[] = { policy_value_parse(POLICY_KIND_INT, "7", 1, NULL),
                                    policy_value_parse(POLICY_KIND_INT, "9", 1, NULL) };
    struct policy_list list = { 2, teams };

    (void)state;
    for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        struct policy_anchors anchors;
        struct kit kit;
        kit_compile(&kit, trees[i]);
        kit.constants[0] = policy_value_parse(POLICY_KIND_ARRAY, "{7,9}", 5, NULL);
        kit.constants[0].list = &list;
        policy_anchors_find(kit.program, &kit.binding, &anchors);
        assert_false(anchors.all);
        assert_int_equal(anchors.count, 2);
        assert_int_equal(anchors.list[1].column, 4);
        kit_set(&kit, 4, "9");
        assert_true(policy_anchors_admit(&anchors, kit.program, &kit.row));
        kit_set(&kit, 4, "8");
        assert_false(policy_anchors_admit(&anchors, kit.program, &kit.row));
        kit_free(&kit);
    }
}

static void test_without_equality_every_row_is_a_candidate(void **state)
{
    static const char *const trees[] = { tree_public, tree_case, tree_enum, tree_regex,
                                         tree_member };

    (void)state;
    for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        struct kit kit;
        struct policy_anchors anchors = find(&kit, trees[i]);
        assert_true(anchors.all);
        assert_true(policy_anchors_admit(&anchors, kit.program, &kit.row));
        kit_free(&kit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_equality),
        cmocka_unit_test(test_a_constant_that_is_nothing),
        cmocka_unit_test(test_conjunctions_take_the_smaller_side),
        cmocka_unit_test(test_a_membership_is_the_values_of_its_set),
        cmocka_unit_test(test_without_equality_every_row_is_a_candidate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
