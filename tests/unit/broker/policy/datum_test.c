/* tests/unit/broker/policy/datum_test.c - constants as the server's memory holds them. */
#include "broker/policy/datum.h"
#include "tests/unit/broker/policy/kit.h"

/* The text of a constant, or NULL when it is refused. */
static const char *text_of(struct policy_arena *arena, const struct policy_facts *facts,
                           const char *fields)
{
    struct rt_buf node = { 0 };
    struct policy_datum datum;

    rt_buf_printf(&node, "{CONST %s}", fields);
    const char *text = policy_arena_copy(arena, (const char *)node.data, node.len);
    const struct policy_tree *tree = policy_tree_parse(arena, text, node.len);
    rt_buf_fini(&node);
    return tree != NULL && policy_datum_read(arena, facts, tree, &datum)
               ? datum.is_null ? "NULL" : datum.text
               : NULL;
}

#define CONST_OF(type, value) ":consttype " #type " :constisnull false :constvalue " value

static void test_values(void **state)
{
    static const struct {
        const char *fields;
        const char *text;
    } cases[] = {
        { CONST_OF(16, "1 [ 1 0 0 0 0 0 0 0 ]"), "t" },
        { CONST_OF(21, "2 [ -1 -1 -1 -1 -1 -1 -1 -1 ]"), "-1" },
        { CONST_OF(23, "4 [ 3 0 0 0 0 0 0 0 ]"), "3" },
        { CONST_OF(23, "4 [ 0 0 0 -128 -1 -1 -1 -1 ]"), "-2147483648" },
        { CONST_OF(26, "4 [ -1 -1 -1 -1 0 0 0 0 ]"), "4294967295" },
        { CONST_OF(25, "5 [ 20 0 0 0 120 ]"), "x" },
        { CONST_OF(25, "4 [ 16 0 0 0 ]"), "" },
        { CONST_OF(1700, "10 [ 40 0 0 0 0 -127 1 0 -120 19 ]"), "1.50" },
        { CONST_OF(1700, "6 [ 24 0 0 0 0 -64 ]"), "NaN" },
        { CONST_OF(1700, "8 [ 32 0 0 0 -1 -94 -12 1 ]"), "-0.05000" },
        { CONST_OF(1082, "4 [ 0 0 0 0 0 0 0 0 ]"), "2000-01-01" },
        { CONST_OF(1082, "4 [ -1 -1 -1 127 0 0 0 0 ]"), "infinity" },
        { CONST_OF(1184, "8 [ 1 0 0 0 0 0 0 0 ]"), "2000-01-01 00:00:00.000001+00" },
        { CONST_OF(1114, "8 [ -1 -1 -1 -1 -1 -1 -1 -1 ]"), "1999-12-31 23:59:59.999999" },
        { CONST_OF(2950, "16 [ 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 -1 ]"),
          "11111111-1111-1111-1111-1111111111ff" },
        { CONST_OF(16388, "4 [ 8 64 0 0 0 0 0 0 ]"), "ok" },
        { CONST_OF(1009, "48 [ -64 0 0 0 1 0 0 0 32 0 0 0 25 0 0 0 3 0 0 0 1 0 0 0 3 0 0 0 0 0 0 0 "
                         "20 0 0 0 97 "
                         "0 0 0 20 0 0 0 98 0 0 0 ]"),
          "{\"a\",\"b\",NULL}" },
        { CONST_OF(1009, "16 [ 64 0 0 0 0 0 0 0 0 0 0 0 25 0 0 0 ]"), "{}" },
        { ":consttype 23 :constisnull true :constvalue <>", "NULL" },
    };
    struct policy_facts *facts = kit_facts();
    struct policy_arena arena = { 0 };
    static const char *const types[][POLICY_FACTS_COLUMNS] = {
        { "t", "21", "pg_catalog", "int2", "b", "0", "", "" },
        { "t", "26", "pg_catalog", "oid", "b", "0", "", "" },
        { "t", "1082", "pg_catalog", "date", "b", "0", "", "" },
        { "t", "1114", "pg_catalog", "timestamp", "b", "0", "", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        policy_facts_add(facts, types[i]);
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = text_of(&arena, facts, cases[i].fields);
        assert_non_null(text);
        assert_string_equal(text, cases[i].text);
    }
    policy_arena_fini(&arena);
    policy_facts_free(facts);
}

static void test_what_is_refused(void **state)
{
    static const char *const cases[] = {
        CONST_OF(23, "4 [ 3 0 0 ]"),               /* too few bytes */
        CONST_OF(23, "4 3"),                       /* no bytes */
        CONST_OF(23, "8 [ 3 0 0 0 0 0 0 0 ]"),     /* of another length */
        CONST_OF(25, "5 [ 24 0 0 0 120 ]"),        /* a header that says more */
        CONST_OF(25, "5 [ 22 0 0 0 120 ]"),        /* compressed */
        CONST_OF(25, "2 [ 5 120 ]"),               /* a short header */
        CONST_OF(25, "5 [ 20 0 0 0 0 ]"),          /* a NUL */
        CONST_OF(23, "4 [ 300 0 0 0 0 0 0 0 ]"),   /* not a byte */
        CONST_OF(3802, "5 [ 20 0 0 0 120 ]"),      /* jsonb */
        CONST_OF(99999, "4 [ 3 0 0 0 0 0 0 0 ]"),  /* of no known type */
        CONST_OF(16388, "4 [ 9 64 0 0 0 0 0 0 ]"), /* no such label */
        CONST_OF(1009, "24 [ 96 0 0 0 1 0 0 0 0 0 0 0 25 0 0 0 -1 -1 -1 127 1 0 0 0 ]"),
        CONST_OF(1009, "24 [ 96 0 0 0 1 0 0 0 -1 0 0 0 25 0 0 0 1 0 0 0 1 0 0 0 ]"),
        CONST_OF(1009, "16 [ 64 0 0 0 2 0 0 0 0 0 0 0 25 0 0 0 ]"),
        CONST_OF(1009, "16 [ 64 0 0 0 0 0 0 0 0 0 0 0 23 0 0 0 ]"),
        ":constisnull false :constvalue 1 [ 1 ]",
    };
    struct policy_facts *facts = kit_facts();
    struct policy_arena arena = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_null(text_of(&arena, facts, cases[i]));
    }
    policy_arena_fini(&arena);
    policy_facts_free(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
