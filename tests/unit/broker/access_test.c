/* Tests of broker/access: which columns, and when two answers are the same view. */
#include "broker/access.h"
#include "tests/unit/broker/kit.h"

static bool same(const char *left, uint32_t left_oid, const char *right, uint32_t right_oid)
{
    struct access *a = kit_columns(left_oid, left);
    struct access *b = kit_columns(right_oid, right);
    bool result = access_same_view(a, b);

    access_unref(a);
    access_unref(b);
    return result;
}

static void test_only_listed_columns_are_readable(void **state)
{
    struct access *access = kit_columns(1, "c a b");

    (void)state;
    assert_true(access_reads(access, kit_text("a")));
    assert_true(access_reads(access, kit_text("b")));
    assert_true(access_reads(access, kit_text("c")));
    assert_false(access_reads(access, kit_text("d")));
    assert_false(access_reads(access, kit_text("")));
    assert_false(access_reads(access, kit_text("ab")));
    access_unref(access);
}

static void test_name_too_long_for_a_column_is_not_readable(void **state)
{
    struct access *access = kit_columns(1, "a");
    char name[WIRE_NAME_MAX + 2];

    (void)state;
    memset(name, 'a', sizeof(name));
    assert_false(access_reads(access, (struct wire_span){ name, sizeof(name) }));
    access_unref(access);
}

static void test_whole_table_includes_columns_not_known_yet(void **state)
{
    struct access *access = kit_columns(1, "* a");

    (void)state;
    assert_true(access_reads(access, kit_text("new")));
    access_unref(access);
}

static void test_view_is_table_and_columns_in_any_order(void **state)
{
    (void)state;
    assert_true(same("a b", 1, "b a", 1));
    assert_true(same("* a b", 1, "*", 1));
    assert_false(same("a b", 1, "a", 1));
    assert_false(same("a b", 1, "a c", 1));
    assert_false(same("*", 1, "a", 1));
    assert_false(same("a", 1, "a", 2));
    assert_false(same("*", 1, "*", 2));
}

static void test_refusal_carries_code_and_text(void **state)
{
    struct access *access = access_refuse(WIRE_CODE_FORBIDDEN, "not %s", "you");

    (void)state;
    assert_int_equal(access->code, WIRE_CODE_FORBIDDEN);
    assert_string_equal(access->message, "not you");
    assert_false(access_reads(access, kit_text("a")));
    access_unref(access_ref(access));
    access_unref(access);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_listed_columns_are_readable),
        cmocka_unit_test(test_name_too_long_for_a_column_is_not_readable),
        cmocka_unit_test(test_whole_table_includes_columns_not_known_yet),
        cmocka_unit_test(test_view_is_table_and_columns_in_any_order),
        cmocka_unit_test(test_refusal_carries_code_and_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
