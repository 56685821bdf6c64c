/* tests/unit/broker/policy/body_test.c - SQL functions that are constants of an identity, and those that are not. */
#include "broker/policy/body.h"
#include "tests/unit/broker/policy/kit.h"

static bool is_constant(const struct policy_facts *facts, const char *body)
{
    struct policy_function_fact function = { .volatility = 's', .sql = true, .body = body };

    return policy_body_is_constant(facts, &function);
}

static void test_constants(void **state)
{
    static const char *const bodies[] = {
        "select 1",
        " SELECT current_setting('app.x', true)::uuid; ",
        "select coalesce(nullif(current_setting('a', true), ''), (current_setting('b', "
        "true)::jsonb ->> 'sub'))::uuid",
        "select (auth.jwt() ->> 'sub')::uuid",
        "select case when claim.sub ~* '^[0-9a-f]{8}' then claim.sub::pg_catalog.uuid end from "
        "(select "
        "nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb ->> "
        "'sub') as claim (sub)",
        "select (select current_setting('a')) = 'from users'",
    };
    struct policy_facts *facts = kit_facts();

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        assert_true(is_constant(facts, bodies[i]));
    }
    policy_facts_free(facts);
}

static void test_everything_else(void **state)
{
    static const char *const bodies[] = {
        "",
        "insert into t values (1)",
        "select count(*) from users",
        "select 1 from (select 1) a, users",
        "select 1 from (select 1) a join users on true",
        "select 1 from (users) a",
        "select 1 from (select 1 from users) a",
        "select (select x from users)",
        "select exists (select from users)",
        "select x in (table users)",
        "select now()",
        "select current_date",
        "select 'now'::timestamptz",
        "select cast('now' as date)",
        "select nextval('s')",
        "select public.anything()",
        "select my_function()",
        "select \"count\"(1)",
        "select 1; select 2",
        "select $1",
        "select $$a$$",
        "select 1 -- from users",
        "select 1 /* x */",
        "select e'\\'' || 'x'",
        "select 'unended",
        "select (1",
        "select 1)",
        "select 1 union select 2",
        "with x as (select 1) select 1",
        "select 'users'::regclass",
        "select session_user",
    };
    struct policy_facts *facts = kit_facts();

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        assert_false(is_constant(facts, bodies[i]));
    }
    policy_facts_free(facts);
}

static void test_volatile_or_endless(void **state)
{
    struct policy_facts *facts = kit_facts();
    static const char *const loop[] = {
        "f", "17000", "auth", "loop", "s", "0101", "select auth.loop()", ""
    };
    struct policy_function_fact function = { .volatility = 'v', .sql = true, .body = "select 1" };

    (void)state;
    assert_false(policy_body_is_constant(facts, &function));
    policy_facts_add(facts, loop);
    assert_false(is_constant(facts, "select auth.loop()"));
    policy_facts_free(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_everything_else),
        cmocka_unit_test(test_volatile_or_endless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
