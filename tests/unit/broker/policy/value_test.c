/* tests/unit/broker/policy/value_test.c - texts of PostgreSQL as values, and their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "broker/policy/value.h"

static struct policy_value value(enum policy_kind kind, const char *text)
{
    return policy_value_parse(kind, text, strlen(text), NULL);
}

/* Each text is less than the next. */
static void must_ascend(enum policy_kind kind, const char *const *texts)
{
    for (size_t i = 0; texts[i] != NULL; i++) {
        struct policy_value a = value(kind, texts[i]);
        assert_int_equal(a.state, VALUE_KNOWN);
        for (size_t j = 0; texts[j] != NULL; j++) {
            struct policy_value b = value(kind, texts[j]);
            int order = policy_value_compare(&a, &b);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

static void must_be_equal(enum policy_kind kind, const char *a, const char *b)
{
    struct policy_value left = value(kind, a);
    struct policy_value right = value(kind, b);

    assert_int_equal(policy_value_compare(&left, &right), 0);
}

static void test_order(void **state)
{
    static const char *const ints[] = { "-9223372036854775808", "-1", "0", "9", "10",
                                        "9223372036854775807",  NULL };
    static const char *const numerics[] = { "-Infinity",
                                            "-10.5",
                                            "-10",
                                            "-0.01",
                                            "0.00",
                                            "0.001",
                                            "0.01",
                                            "1.5",
                                            "9.99",
                                            "10.01",
                                            "123456789012345678901",
                                            "Infinity",
                                            "NaN",
                                            NULL };
    static const char *const floats[] = { "-Infinity", "-3e-300",  "0",   "1.5",
                                          "1e+300",    "Infinity", "NaN", NULL };
    static const char *const dates[] = { "-infinity",     "0044-03-15 BC", "0001-01-01",
                                         "1999-12-31",    "2024-02-29",    "2024-03-01",
                                         "5874897-12-31", "infinity",      NULL };
    static const char *const stamps[] = { "-infinity",
                                          "0044-03-15 00:00:00 BC",
                                          "1999-12-31 23:59:59.999999",
                                          "2000-01-01 00:00:00",
                                          "2000-01-01 00:00:00.000001",
                                          "12024-01-01 00:00:00",
                                          "infinity",
                                          NULL };
    static const char *const zoned[] = { "2024-01-01 00:00:00+00", "2024-01-01 00:00:00.5+00",
                                         NULL };

    (void)state;
    must_ascend(POLICY_KIND_INT, ints);
    must_ascend(POLICY_KIND_NUMERIC, numerics);
    must_ascend(POLICY_KIND_FLOAT8, floats);
    must_ascend(POLICY_KIND_DATE, dates);
    must_ascend(POLICY_KIND_STAMP, stamps);
    must_ascend(POLICY_KIND_STAMP, zoned);
}

static void test_equal_values_with_different_texts(void **state)
{
    (void)state;
    must_be_equal(POLICY_KIND_NUMERIC, "1", "1.00");
    must_be_equal(POLICY_KIND_NUMERIC, "0.00", "0");
    must_be_equal(POLICY_KIND_NUMERIC, "NaN", "NaN");
    must_be_equal(POLICY_KIND_FLOAT8, "-0", "0");
    must_be_equal(POLICY_KIND_FLOAT8, "NaN", "NaN");
    must_be_equal(POLICY_KIND_BOOL, "t", "true");
    assert_int_equal(policy_numeric_compare("3", 1, "3.0", 3), 0);
}

static void test_what_cannot_be_read_is_free(void **state)
{
    static const struct {
        enum policy_kind kind;
        const char *text;
    } texts[] = {
        { POLICY_KIND_INT, "" },
        { POLICY_KIND_INT, "-" },
        { POLICY_KIND_INT, "1x" },
        { POLICY_KIND_INT, "9223372036854775808" },
        { POLICY_KIND_INT, "+1" },
        { POLICY_KIND_BOOL, "yes" },
        { POLICY_KIND_FLOAT8, "0x10" },
        { POLICY_KIND_FLOAT8, "inf" },
        { POLICY_KIND_NUMERIC, "1e3" },
        { POLICY_KIND_NUMERIC, "." },
        { POLICY_KIND_NUMERIC, "1." },
        { POLICY_KIND_DATE, "now" },
        { POLICY_KIND_DATE, "2024-13-01" },
        { POLICY_KIND_STAMP, "2024-01-01 00:00:00+02" },
        { POLICY_KIND_STAMP, "2024-01-01" },
        { POLICY_KIND_ENUM, "unknown" },
        { POLICY_KIND_NONE, "anything" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(value(texts[i].kind, texts[i].text).state, VALUE_FREE);
    }
}

static void test_elements_of_arrays(void **state)
{
    static const char text[] = "{a,\"b c\",NULL,\"NULL\",\"q\\\"\\\\\",{x,y}}";
    static const char *const expected[] = { "a", "b c", NULL, "NULL", "q\"\\", "x", "y" };
    char scratch[sizeof(text)];
    struct policy_array array;
    const char *element = NULL;
    size_t len = 0;
    bool is_null = false;

    (void)state;
    policy_array_open(&array, text, strlen(text));
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_true(policy_array_next(&array, scratch, &element, &len, &is_null));
        assert_int_equal(is_null, expected[i] == NULL);
        if (expected[i] != NULL) {
            assert_int_equal(len, strlen(expected[i]));
            assert_memory_equal(element, expected[i], len);
        }
    }
    assert_false(policy_array_next(&array, scratch, &element, &len, &is_null));
    assert_false(array.bad);
}

static void test_what_is_no_array(void **state)
{
    static const char *const texts[] = {
        "", "a", "{", "{a", "{\"a}", "}", "{a}}", "[1:2]", "{\"a\\"
    };
    char scratch[32];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct policy_array array;
        const char *element = NULL;
        size_t len = 0;
        bool is_null = false;
        policy_array_open(&array, texts[i], strlen(texts[i]));
        while (policy_array_next(&array, scratch, &element, &len, &is_null)) {
        }
        assert_true(array.bad);
    }
}

static enum policy_match like(const char *text, const char *pattern)
{
    return policy_like(text, strlen(text), pattern, strlen(pattern));
}

static void test_like(void **state)
{
    (void)state;
    assert_int_equal(like("abc", "a%"), POLICY_MATCH_YES);
    assert_int_equal(like("abc", "%c"), POLICY_MATCH_YES);
    assert_int_equal(like("abc", "%b%"), POLICY_MATCH_YES);
    assert_int_equal(like("abc", "a_c"), POLICY_MATCH_YES);
    assert_int_equal(like("abc", "a_"), POLICY_MATCH_NO);
    assert_int_equal(like("", ""), POLICY_MATCH_YES);
    assert_int_equal(like("", "%"), POLICY_MATCH_YES);
    assert_int_equal(like("", "_"), POLICY_MATCH_NO);
    assert_int_equal(like("a_b", "a\\_b"), POLICY_MATCH_YES);
    assert_int_equal(like("axb", "a\\_b"), POLICY_MATCH_NO);
    assert_int_equal(like("\xe6\x97\xa5\xe6\x9c\xac", "__"), POLICY_MATCH_YES);
    assert_int_equal(like("\xe6\x97\xa5\xe6\x9c\xac", "_"), POLICY_MATCH_NO);
    assert_int_equal(like("aXbXc", "%X_"), POLICY_MATCH_YES);
    assert_int_equal(like("a", "a\\"), POLICY_MATCH_BAD);
    assert_int_equal(like("a\\", "a\\\\"), POLICY_MATCH_YES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_equal_values_with_different_texts),
        cmocka_unit_test(test_what_cannot_be_read_is_free),
        cmocka_unit_test(test_elements_of_arrays),
        cmocka_unit_test(test_what_is_no_array),
        cmocka_unit_test(test_like),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
