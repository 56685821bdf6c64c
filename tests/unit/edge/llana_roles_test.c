/* tests/unit/edge/llana_roles_test.c - Llana's permissions from its rows: every level, rules of their own, own records, what changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "edge/llana/roles.h"

static int set_up(void **state)
{
    *state = llana_roles_new("role");
    return 0;
}

static int tear_down(void **state)
{
    llana_roles_free(*state);
    return 0;
}

static void put(struct llana_roles *roles, enum llana_source source, const char *row)
{
    json_t *json = json_loads(row, 0, NULL);

    assert_non_null(json);
    llana_roles_put(roles, source, json, "id");
    json_decref(json);
}

static void take(struct llana_roles *roles, enum llana_source source, const char *row)
{
    json_t *json = json_loads(row, 0, NULL);

    assert_non_null(json);
    llana_roles_remove(roles, source, json, "id");
    json_decref(json);
}

static void check(struct llana_roles *roles, const char *table, const char *sub,
                  enum llana_access access)
{
    assert_int_equal(llana_roles_judge(roles, table, sub).access, access);
}

static void test_nobody_knows_nothing(void **state)
{
    check(*state, "t", "1", LLANA_NOTHING);
    check(*state, "t", NULL, LLANA_NOTHING);
    assert_false(llana_roles_is_public(*state, "t"));
}

static void test_levels(void **state)
{
    static const struct {
        const char *level;
        enum llana_access access;
    } cases[] = {
        { "\"READ\"", LLANA_ALL },     { "\"WRITE\"", LLANA_ALL },    { "\"DELETE\"", LLANA_ALL },
        { "\"NONE\"", LLANA_NOTHING }, { "\"read\"", LLANA_NOTHING }, { "null", LLANA_NOTHING },
        { "true", LLANA_NOTHING },     { "\"\"", LLANA_NOTHING },
    };
    char row[200];

    put(*state, LLANA_USERS, "{\"id\":1,\"role\":\"R\"}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(row, sizeof row, "{\"id\":1,\"custom\":false,\"role\":\"R\",\"records\":%s}",
                       cases[i].level);
        put(*state, LLANA_RULES, row);
        check(*state, "t", "1", cases[i].access);
        check(*state, "t", "2", LLANA_NOTHING);
        (void)snprintf(row, sizeof row, "{\"id\":1,\"table\":\"p\",\"access_level\":%s}",
                       cases[i].level);
        put(*state, LLANA_PUBLIC, row);
        check(*state, "p", NULL, cases[i].access);
    }
}

static void test_a_rule_of_the_table_comes_first(void **state)
{
    struct llana_verdict verdict;

    put(*state, LLANA_USERS, "{\"id\":\"a\",\"role\":\"R\"}");
    put(*state, LLANA_RULES, "{\"id\":1,\"custom\":false,\"role\":\"R\",\"records\":\"DELETE\"}");
    put(*state, LLANA_RULES,
        "{\"id\":2,\"custom\":true,\"table\":\"t\",\"role\":\"R\",\"records\":\"NONE\","
        "\"own_records\":\"READ\",\"identity_column\":\"userId\"}");
    put(*state, LLANA_RULES,
        "{\"id\":3,\"custom\":true,\"table\":\"u\",\"role\":\"R\",\"records\":\"NONE\","
        "\"own_records\":\"WRITE\",\"identity_column\":null}");
    put(*state, LLANA_RULES,
        "{\"id\":4,\"custom\":true,\"table\":\"v\",\"role\":\"R\",\"records\":\"NONE\"}");
    put(*state, LLANA_RULES,
        "{\"id\":5,\"custom\":true,\"table\":\"w\",\"role\":\"S\",\"records\":\"NONE\"}");
    verdict = llana_roles_judge(*state, "t", "a");
    assert_int_equal(verdict.access, LLANA_OWN);
    assert_string_equal(verdict.column, "userId");
    verdict = llana_roles_judge(*state, "u", "a");
    assert_int_equal(verdict.access, LLANA_OWN);
    assert_string_equal(verdict.column, ""); /* the primary key */
    check(*state, "v", "a", LLANA_NOTHING);
    check(*state, "w", "a", LLANA_ALL); /* another role's rule */
    /* A public table is everybody's, whatever the rules say. */
    put(*state, LLANA_PUBLIC, "{\"id\":1,\"table\":\"v\",\"access_level\":\"READ\"}");
    check(*state, "v", "a", LLANA_ALL);
}

/* own_records of a general rule is no right to anything: it names no table. */
static void test_general_own_records(void **state)
{
    put(*state, LLANA_USERS, "{\"id\":1,\"role\":\"R\"}");
    put(*state, LLANA_RULES,
        "{\"id\":1,\"custom\":false,\"role\":\"R\",\"records\":\"NONE\",\"own_records\":\"READ\"}");
    check(*state, "t", "1", LLANA_NOTHING);
}

static void test_changes(void **state)
{
    put(*state, LLANA_USERS, "{\"id\":1,\"role\":\"R\"}");
    put(*state, LLANA_RULES, "{\"id\":1,\"custom\":0,\"role\":\"R\",\"records\":\"READ\"}");
    check(*state, "t", "1", LLANA_ALL);
    uint64_t generation = llana_roles_generation(*state);
    put(*state, LLANA_USERS, "{\"id\":1,\"role\":\"R\",\"name\":\"x\"}");
    assert_int_equal(llana_roles_generation(*state), generation); /* nothing that matters */
    put(*state, LLANA_USERS, "{\"id\":1,\"role\":\"S\"}");
    assert_int_not_equal(llana_roles_generation(*state), generation);
    check(*state, "t", "1", LLANA_NOTHING);
    put(*state, LLANA_USERS, "{\"id\":1,\"role\":\"R\"}");
    put(*state, LLANA_USERS, "{\"id\":1}"); /* the role is not known any more */
    check(*state, "t", "1", LLANA_NOTHING);
    put(*state, LLANA_USERS, "{\"id\":1,\"role\":\"R\"}");
    take(*state, LLANA_RULES, "{\"id\":1}");
    check(*state, "t", "1", LLANA_NOTHING);
    put(*state, LLANA_RULES, "{\"id\":1,\"custom\":false,\"role\":\"R\",\"records\":\"READ\"}");
    take(*state, LLANA_USERS, "{\"id\":1}");
    check(*state, "t", "1", LLANA_NOTHING);
    put(*state, LLANA_USERS, "{\"id\":1,\"role\":\"R\"}");
    llana_roles_clear(*state, LLANA_RULES);
    check(*state, "t", "1", LLANA_NOTHING);
    put(*state, LLANA_RULES, "{\"role\":\"R\",\"records\":\"READ\"}"); /* without a key */
    check(*state, "t", "1", LLANA_NOTHING);
}

static void count(void *ctx, const char *column)
{
    (void)column;
    (*(int *)ctx)++;
}

static void test_columns_of_a_table(void **state)
{
    int found = 0;

    put(*state, LLANA_RULES,
        "{\"id\":1,\"custom\":true,\"table\":\"t\",\"role\":\"R\",\"own_records\":\"READ\"}");
    put(*state, LLANA_RULES,
        "{\"id\":2,\"custom\":true,\"table\":\"t\",\"role\":\"S\",\"records\":\"READ\"}");
    put(*state, LLANA_RULES,
        "{\"id\":3,\"custom\":true,\"table\":\"u\",\"role\":\"R\",\"own_records\":\"READ\"}");
    llana_roles_each_own_column(*state, "t", count, &found);
    assert_int_equal(found, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        TEST(test_nobody_knows_nothing),
        TEST(test_levels),
        TEST(test_a_rule_of_the_table_comes_first),
        TEST(test_general_own_records),
        TEST(test_changes),
        TEST(test_columns_of_a_table),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
