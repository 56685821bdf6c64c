/* Tests of broker/match/filter_sql: the statement, what its errors mean, and the values that come back. */
#include <stdio.h>
#include <string.h>

#include "broker/match/filter_sql.h"
#include "tests/unit/broker/kit.h"

static const struct filter_table table = { { "public", 6 }, { "od\"d", 4 } };

struct asked {
    struct filter filter;
    struct filter_sql sql;
};

static void ask(struct asked *out, const char *text)
{
    struct filter_error error;

    assert_true(
        filter_parse(&out->filter, FILTER_LIST, (struct wire_span){ text, strlen(text) }, &error));
    filter_sql_init(&out->sql, &out->filter, &table);
}

static void done(struct asked *asked)
{
    filter_sql_fini(&asked->sql);
    filter_fini(&asked->filter);
}

static void test_the_question_infers_types_and_returns_values(void **state)
{
    struct asked asked;

    (void)state;
    ask(&asked, "a=eq.1,or(b=not.in.(x,y),c=is.null,d=match.^x)");
    assert_string_equal(
        (const char *)asked.sql.text.data,
        "SELECT ((t.\"a\" = $1) AND (NOT (t.\"b\" IN ($2, $3)) OR (t.\"c\" IS NULL) "
        "OR (t.\"d\" ~ $4))), $1, $2, $3, $4, coalesce(t.\"d\", $4) ~ $4 FROM "
        "unnest(ARRAY[NULL::\"public\".\"od\"\"d\"]) AS t");
    assert_int_equal(asked.sql.param_count, 4);
    assert_string_equal(asked.sql.params[2], "y");
    done(&asked);
}

static void test_paths_and_quotes_stay_inside_quotes(void **state)
{
    struct asked asked;
    struct rt_buf out = { .data = NULL };

    (void)state;
    ask(&asked, "\"a\\\"b\"->\"it's\"->0->>\"x\\\\\"=neq.'; DROP");
    filter_sql_condition(&asked.filter, "t", 0, &out);
    assert_string_equal(rt_buf_cstr(&out),
                        "(((t.\"a\"\"b\" -> 'it''s' -> 0 ->> E'x\\\\') <> '''; DROP'))");
    rt_buf_clear(&out);
    filter_sql_judge(&asked.filter, &table, &out);
    assert_string_equal(
        rt_buf_cstr(&out),
        "SELECT ((((t.\"a\"\"b\" -> 'it''s' -> 0 ->> E'x\\\\') <> $2))) IS TRUE FROM "
        "unnest(ARRAY[$1::\"public\".\"od\"\"d\"]) AS t");
    rt_buf_fini(&out);
    done(&asked);
}

static const char *explain(struct asked *asked, struct filter_complaint complaint)
{
    static char line[FILTER_ERROR_MAX + 32];
    struct filter_error error;

    filter_sql_explain(&asked->filter, &asked->sql, &complaint, &error);
    filter_error_text(&error, line, sizeof(line));
    return line;
}

static void test_errors_name_the_column_and_the_character(void **state)
{
    struct asked asked;
    char position[16];

    (void)state;
    ask(&asked, "größe=eq.1,j=gt.2,b=in.(x,y)");
    const char *where = strstr((const char *)asked.sql.text.data, "> $2");
    size_t characters = (size_t)(where - (const char *)asked.sql.text.data) - 2 + 1; /* ö and ß */
    (void)snprintf(position, sizeof(position), "%zu", characters);
    assert_string_equal(
        explain(&asked,
                (struct filter_complaint){ "42883", "operator does not exist: json > unknown",
                                           position, NULL }),
        "character 12: column \"j\", operator gt: operator does not exist: json > "
        "unknown");
    assert_string_equal(
        explain(&asked,
                (struct filter_complaint){ "22P02", "invalid input value for enum mood: \"y\"",
                                           NULL, "unnamed portal parameter $4 = '...'" }),
        "character 19: column \"b\", operator in: invalid input value for enum mood: "
        "\"y\"");
    assert_string_equal(explain(&asked, (struct filter_complaint){ "42703",
                                                                   "column t.größe does not "
                                                                   "exist",
                                                                   "10", NULL }),
                        "character 1: column \"größe\" does not exist");
    assert_string_equal(
        explain(&asked, (struct filter_complaint){ "2201B", "bad expression", NULL, NULL }),
        "bad expression");
    assert_string_equal(
        explain(&asked, (struct filter_complaint){ "22P02", "bad", "99999", "parameter $77" }),
        "character 19: column \"b\", operator in: bad");
    done(&asked);
}

static PGresult *answer(const char *const *values, const Oid *types, int count)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[4];
    char name[] = "c";

    memset(columns, 0, sizeof(columns));
    for (int i = 0; i < count; i++) {
        columns[i].name = name;
        columns[i].typid = types[i];
    }
    assert_int_equal(PQsetResultAttrs(result, count, columns), 1);
    for (int i = 0; i < count; i++) {
        char copy[64];
        (void)snprintf(copy, sizeof(copy), "%s", values[i]);
        assert_int_equal(PQsetvalue(result, 0, i, copy, (int)strlen(copy)), 1);
    }
    return result;
}

static void test_values_come_back_cast(void **state)
{
    static const char *const values[] = { "", "1", "t" };
    static const Oid types[] = { 16, 23, 16 };
    struct asked asked;
    struct filter_error error;
    bool retry = true;
    struct rt_buf text = { .data = NULL };

    (void)state;
    ask(&asked, "a=eq.01,b=eq.yes");
    PGresult *result = answer(values, types, 3);
    assert_true(filter_sql_answer(&asked.filter, &asked.sql, result, &error, &retry));
    filter_canonical(&asked.filter, &text);
    assert_string_equal(rt_buf_cstr(&text), "\"a\".eq.\"1\",\"b\".eq.\"t\"");
    assert_int_equal(asked.filter.values[1].type_oid, 16);
    PQclear(result);
    rt_buf_fini(&text);
    done(&asked);
}

static void test_an_answer_about_nothing_is_tried_again(void **state)
{
    static const char *const values[] = { "" };
    static const Oid types[] = { 16 };
    struct asked asked;
    struct filter_error error;
    bool retry = false;

    (void)state;
    ask(&asked, "a=eq.01");
    PGresult *result = answer(values, types, 1);
    assert_false(filter_sql_answer(&asked.filter, &asked.sql, result, &error, &retry));
    assert_true(retry);
    assert_int_equal(asked.filter.values[0].type_oid, 0);
    PQclear(result);
    done(&asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_question_infers_types_and_returns_values),
        cmocka_unit_test(test_paths_and_quotes_stay_inside_quotes),
        cmocka_unit_test(test_errors_name_the_column_and_the_character),
        cmocka_unit_test(test_values_come_back_cast),
        cmocka_unit_test(test_an_answer_about_nothing_is_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
