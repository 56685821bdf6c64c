/* Tests of broker/channels/rules: which rule decides, what it asks for, and what a refusal says. */
#include "broker/channels/rules.h"
#include "tests/unit/broker/kit.h"

static char why[400];

static bool allowed(const char *text, enum rules_act act, const char *channel, const char *role,
                    const char *claims)
{
    struct rules *rules = rules_parse(text, why, sizeof(why));
    struct rules_who who = { .role = role,
                             .authenticated = claims[0] != '\0',
                             .claims = kit_text(claims) };

    assert_non_null(rules);
    why[0] = '\0';
    bool result = rules_allow(rules, act, kit_text(channel), &who, why, sizeof(why));
    rules_free(rules);
    return result;
}

static void test_without_a_rule_a_token_is_enough(void **state)
{
    (void)state;
    assert_true(allowed("", RULES_JOIN, "broadcast:a", "authenticated", "{}"));
    assert_true(allowed(" ; ;", RULES_SEND, "presence:a", "authenticated", "{}"));
    assert_false(allowed("", RULES_JOIN, "broadcast:a", "anon", ""));
    assert_string_equal(why, "not allowed to join this channel: rule \"default\" asks for a token");
    /* What a rule does not say is as without it. */
    assert_false(allowed("broadcast:a join=anyone", RULES_SEND, "broadcast:a", "anon", ""));
    assert_true(allowed("broadcast:a join=anyone", RULES_JOIN, "broadcast:a", "anon", ""));
}

static void test_the_longest_prefix_decides(void **state)
{
    static const char rules[] =
        "broadcast: join=nobody; broadcast:a: join=anyone; broadcast:a:b join=nobody";

    (void)state;
    assert_false(allowed(rules, RULES_JOIN, "broadcast:x", "authenticated", "{}"));
    assert_true(allowed(rules, RULES_JOIN, "broadcast:a:x", "anon", ""));
    assert_false(allowed(rules, RULES_JOIN, "broadcast:a:bc", "authenticated", "{}"));
    assert_true(allowed(rules, RULES_JOIN, "presence:a", "authenticated", "{}"));
    assert_true(allowed(rules, RULES_JOIN, "broadcast:x", "service_role", "{}"));
    assert_false(allowed(rules, RULES_JOIN, "broadcast:x", "service_role", ""));
}

static void test_a_role_and_a_claim(void **state)
{
    static const char rules[] = "presence:org: join=claim:org=2 send=role:admin";

    (void)state;
    assert_true(allowed(rules, RULES_JOIN, "presence:org:7:room", "x", "{\"org\":\"7\"}"));
    assert_true(allowed(rules, RULES_JOIN, "presence:org:7", "x", "{\"org\":7}"));
    assert_true(allowed(rules, RULES_JOIN, "presence:org:7", "x", "{\"org\":[\"6\",\"7\"]}"));
    assert_false(allowed(rules, RULES_JOIN, "presence:org:7", "x", "{\"org\":\"77\"}"));
    assert_false(allowed(rules, RULES_JOIN, "presence:org:", "x", "{\"org\":\"\"}"));
    assert_false(allowed(rules, RULES_JOIN, "presence:org:7", "x", "{}"));
    assert_false(allowed(rules, RULES_JOIN, "presence:org:7", "x", ""));
    assert_non_null(
        strstr(why, "rule \"presence:org:\" asks for a token whose claim org is part 2"));
    assert_true(allowed(rules, RULES_SEND, "presence:org:7", "admin", "{}"));
    assert_false(allowed(rules, RULES_SEND, "presence:org:7", "authenticated", "{}"));
}

static void test_what_is_not_a_rule_is_refused_with_what_to_write(void **state)
{
    static const char *const bad[] = {
        "table:a join=anyone",         "broadcast:a join",
        "broadcast:a join=everybody",  "broadcast:a join=role:",
        "broadcast:a join=claim:x",    "broadcast:a join=claim:=1",
        "broadcast:a join=claim:x=64", "broadcast:a join=claim:x=1y",
        "broadcast:a joins=anyone",    "chat join=anyone",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        why[0] = '\0';
        assert_null(rules_parse(bad[i], why, sizeof(why)));
        assert_true(why[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_rule_a_token_is_enough),
        cmocka_unit_test(test_the_longest_prefix_decides),
        cmocka_unit_test(test_a_role_and_a_claim),
        cmocka_unit_test(test_what_is_not_a_rule_is_refused_with_what_to_write),
    };

    return cmocka_run_group_tests_name("broker/channels/rules", tests, NULL, NULL);
}
