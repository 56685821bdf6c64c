/* tests/unit/broker/policy/settings_test.c - claims as settings, and who says which role. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/policy/settings.h"

static const char *const entries[] = { "request.jwt.claims", "request.jwt.claim.role=role",
                                       "app.org=org" };

static void gives(const char *claims, const char *whole, const char *role, const char *org)
{
    struct policy_setting *list =
        policy_settings_make(entries, 3, "a \"role\"", claims, strlen(claims));

    assert_non_null(list);
    assert_string_equal(list[0].name, "request.jwt.claims");
    assert_string_equal(list[1].name, "request.jwt.claim.role");
    assert_string_equal(list[2].name, "app.org");
    assert_string_equal(list[0].value, whole);
    assert_string_equal(list[1].value, role);
    assert_string_equal(list[2].value, org);
    free(list);
}

static void test_claims_with_a_role_stay_as_they_are(void **state)
{
    static const char text[] = " { \"role\" : \"lead\", \"org\": [1, {\"a\":2}],\"n\":1.0 }";

    (void)state;
    gives(text, text, "lead", "[1,{\"a\":2}]");
    gives("{\"role\":\"\",\"org\":\"x\"}", "{\"role\":\"\",\"org\":\"x\"}", "", "x");
}

static void test_claims_without_a_role_are_given_that_of_the_database(void **state)
{
    (void)state;
    gives("", "{\"role\":\"a \\\"role\\\"\"}", "a \"role\"", "");
    gives(" { } ", "{\"role\":\"a \\\"role\\\"\"}", "a \"role\"", "");
    gives("{\"n\":1.0, \"org\":null }", "{\"role\":\"a \\\"role\\\"\",\"n\":1.0, \"org\":null }",
          "a \"role\"", "");
}

static void test_what_no_token_has(void **state)
{
    static const char *const bad[] = { "[1]", "1", "{", "{}x", "null" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_null(policy_settings_make(entries, 3, "r", bad[i], strlen(bad[i])));
    }
    assert_null(policy_settings_make(entries, 3, "r", "{}\0", 3));
    assert_null(policy_settings_make(entries, 3, "\xff", "{}", 2));
}

static void test_no_settings_at_all(void **state)
{
    struct policy_setting *list = policy_settings_make(entries, 0, "r", "", 0);

    (void)state;
    assert_non_null(list);
    free(list);
}

static void test_names_of_settings(void **state)
{
    static const char *const good[] = { "a.b", "request.jwt.claims", "request.jwt.claim.sub=sub",
                                        "_x.y1.z$=https://claims" };
    static const char *const bad[] = { "",     "role",  "search_path=sub", ".a",   "a.",
                                       "a..b", "a.1b",  "a.b c",           "a.b=", "a-b.c",
                                       "=x",   "a.=sub" };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(policy_setting_is_good(good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(policy_setting_is_good(bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims_with_a_role_stay_as_they_are),
        cmocka_unit_test(test_claims_without_a_role_are_given_that_of_the_database),
        cmocka_unit_test(test_what_no_token_has),
        cmocka_unit_test(test_no_settings_at_all),
        cmocka_unit_test(test_names_of_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
