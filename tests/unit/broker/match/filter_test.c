/* Tests of broker/match/filter: what is understood, what is refused and with which words, and the one text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/match/filter.h"
#include "tests/unit/broker/kit.h"

/* What a filter means, as its canonical text; or "! " and the error. Valid until the next call. */
static const char *read_as(enum filter_dialect dialect, const char *text)
{
    static char out[2 * FILTER_TEXT_MAX];
    struct filter filter;
    struct filter_error error;
    struct rt_buf canonical = { .data = NULL };

    if (!filter_parse(&filter, dialect, (struct wire_span){ text, strlen(text) }, &error)) {
        assert_null(filter.nodes);
        out[0] = '!';
        out[1] = ' ';
        filter_error_text(&error, out + 2, sizeof(out) - 2);
        return out;
    }
    filter_canonical(&filter, &canonical);
    assert_true(canonical.len < sizeof(out));
    (void)snprintf(out, sizeof(out), "%s", rt_buf_cstr(&canonical));
    rt_buf_fini(&canonical);
    filter_fini(&filter);
    return out;
}

static void test_every_operator_is_read(void **state)
{
    (void)state;
    assert_string_equal(read_as(FILTER_LIST, "a=eq.1"), "\"a\".eq.\"1\"");
    assert_string_equal(read_as(FILTER_LIST, "a=not.neq.1"), "\"a\".not.neq.\"1\"");
    assert_string_equal(read_as(FILTER_LIST, "a=gt.-1.5"), "\"a\".gt.\"-1.5\"");
    assert_string_equal(read_as(FILTER_LIST, "a=gte.2026-11-21 09:49:46+00"),
                        "\"a\".gte.\"2026-11-21 09:49:46+00\"");
    assert_string_equal(read_as(FILTER_LIST, "a=lt."), "\"a\".lt.\"\"");
    assert_string_equal(read_as(FILTER_LIST, "a=lte.1"), "\"a\".lte.\"1\"");
    assert_string_equal(read_as(FILTER_LIST, "a=like.*x%"), "\"a\".like.\"*x%\"");
    assert_string_equal(read_as(FILTER_LIST, "a=ilike.x_"), "\"a\".ilike.\"x_\"");
    assert_string_equal(read_as(FILTER_LIST, "a=match.^x$"), "\"a\".match.\"^x$\"");
    assert_string_equal(read_as(FILTER_LIST, "a=imatch.x"), "\"a\".imatch.\"x\"");
    assert_string_equal(read_as(FILTER_LIST, "a=isdistinct.x"), "\"a\".isdistinct.\"x\"");
    assert_string_equal(read_as(FILTER_LIST, "a=is.NULL"), "\"a\".is.null");
    assert_string_equal(read_as(FILTER_LIST, "a=not.is.true"), "\"a\".not.is.true");
    assert_string_equal(read_as(FILTER_LIST, "a=is.false"), "\"a\".is.false");
    assert_string_equal(read_as(FILTER_LIST, "a=is.unknown"), "\"a\".is.unknown");
    assert_string_equal(read_as(FILTER_LIST, "a=in.(b, \"c,d\" ,b,f(x,y))"),
                        "\"a\".in.(\"b\",\"c,d\",\"f(x,y)\")");
    assert_string_equal(read_as(FILTER_LIST, "a=in.( x )"), "\"a\".eq.\"x\"");
}

static void test_dialects_differ_at_the_top(void **state)
{
    (void)state;
    assert_string_equal(read_as(FILTER_PLAIN, "a=eq.x,b=eq.\"y"), "\"a\".eq.\"x,b=eq.\\\"y\"");
    assert_string_equal(read_as(FILTER_LIST, "b=eq.2,a=eq.1"), "\"a\".eq.\"1\",\"b\".eq.\"2\"");
    assert_string_equal(read_as(FILTER_LIST, "a=eq.x&y"), "\"a\".eq.\"x&y\"");
    assert_string_equal(read_as(FILTER_QUERY, "a=eq.1,2&b=like.x*"),
                        "\"a\".eq.\"1,2\",\"b\".like.\"x%\"");
    assert_string_equal(read_as(FILTER_PLAIN, "a=ilike.*x\\**"), "\"a\".ilike.\"%x\\\\*%\"");
    assert_string_equal(read_as(FILTER_PLAIN, "or(a=like.x*,b=eq.\"c,d\")"),
                        "or(\"a\".like.\"x%\",\"b\".eq.\"c,d\")");
    assert_string_equal(read_as(FILTER_PLAIN, ""), "");
}

static void test_commas_split_outside_quotes_and_parentheses(void **state)
{
    (void)state;
    assert_string_equal(read_as(FILTER_LIST, "a=eq.\"x,\\\"y\\\\\",b=eq.2"),
                        "\"a\".eq.\"x,\\\"y\\\\\",\"b\".eq.\"2\"");
    assert_string_equal(read_as(FILTER_LIST, "a=eq.f(x,y),b=eq.2"),
                        "\"a\".eq.\"f(x,y)\",\"b\".eq.\"2\"");
    /* A quote in the middle of a value is a character like others. */
    assert_string_equal(read_as(FILTER_LIST, "a=eq.say \"hi,b=eq.2"),
                        "\"a\".eq.\"say \\\"hi\",\"b\".eq.\"2\"");
}

static void test_groups_nest(void **state)
{
    (void)state;
    assert_string_equal(read_as(FILTER_LIST, "c=eq.3,or(a=eq.1,and(b.eq.2,d.not.in.(1,2)))"),
                        "\"c\".eq.\"3\",or(\"a\".eq.\"1\",and(\"b\".eq.\"2\",\"d\".not.in.(\"1\","
                        "\"2\")))");
    assert_string_equal(read_as(FILTER_QUERY, "not.or=(a.eq.1,b.is.null)"),
                        "not.or(\"a\".eq.\"1\",\"b\".is.null)");
    assert_string_equal(read_as(FILTER_LIST, "or=eq.1,and=eq.2"),
                        "\"and\".eq.\"2\",\"or\".eq.\"1\"");
    assert_string_equal(read_as(FILTER_LIST, "order=gt.1,not=eq.2,android=eq.3"),
                        "\"android\".eq.\"3\",\"not\".eq.\"2\",\"order\".gt.\"1\"");
}

static void test_columns_may_be_quoted_and_have_paths(void **state)
{
    (void)state;
    assert_string_equal(read_as(FILTER_LIST, "or(\"a.b\".eq.1,\"x\\\"=\"=eq.2)"),
                        "or(\"a.b\".eq.\"1\",\"x\\\"=\".eq.\"2\")");
    assert_string_equal(read_as(FILTER_PLAIN, "doc->a->0->>\"b c\"=eq.x"),
                        "\"doc\"->\"a\"->0->>\"b c\".eq.\"x\"");
    assert_string_equal(read_as(FILTER_PLAIN, " größe =eq.x"), "\"größe\".eq.\"x\"");
}

static void test_equal_filters_have_one_text(void **state)
{
    char first[512];

    (void)state;
    (void)snprintf(first, sizeof(first), "%s",
                   read_as(FILTER_LIST, "a=eq.1,or(b=in.(2,3),c=is.null)"));
    assert_string_equal(read_as(FILTER_LIST, "or(c=is.null,\"b\"=in.(3,\"2\",3)),a=eq.1,a=eq.1"),
                        first);
    assert_string_equal(read_as(FILTER_QUERY, "and(and(a=eq.1),or=(or(c.is.null),b.in.(2,3)))"),
                        first);
    assert_string_not_equal(read_as(FILTER_LIST, "a=eq.1,or(b=in.(2,3),c=is.true)"), first);
}

static void test_errors_name_the_character(void **state)
{
    (void)state;
    assert_string_equal(read_as(FILTER_LIST, "a"),
                        "! character 2: expected = behind the column, as in column=operator.value, "
                        "found the end of the filter");
    assert_string_equal(read_as(FILTER_LIST, "ä=foo.1"),
                        "! character 3: expected an operator (eq, neq, gt, gte, lt, lte, like, "
                        "ilike, is, in, match, imatch, isdistinct), found foo.1");
    assert_string_equal(read_as(FILTER_LIST, "a=eq"),
                        "! character 5: expected . and a value, found the end of the filter");
    assert_string_equal(read_as(FILTER_LIST, "a=not.not.eq.1") + 2 + strlen("character "),
                        "7: expected an operator (eq, neq, gt, gte, lt, lte, like, ilike, is, in, "
                        "match, imatch, isdistinct), found not.eq.1");
    assert_string_equal(read_as(FILTER_LIST, "=eq.1"),
                        "! character 1: expected column=operator.value, found =eq.1");
    assert_string_equal(read_as(FILTER_LIST, "a=eq.\"x"),
                        "! character 6: this quote is not closed");
    assert_string_equal(read_as(FILTER_LIST, "a=eq.\"x\"y"),
                        "! character 9: expected , or the end of the filter, found y");
    assert_string_equal(read_as(FILTER_LIST, "a=in.1"),
                        "! character 6: expected ( and a list of values, found 1");
    assert_string_equal(read_as(FILTER_LIST, "a=in.()"),
                        "! character 7: expected a value of the list (\"\" is the empty text), "
                        "found )");
    assert_string_equal(read_as(FILTER_LIST, "a=in.(1"),
                        "! character 8: expected , or ) in a list of values, found the end of the "
                        "filter");
    assert_string_equal(read_as(FILTER_LIST, "or(a=eq.1"),
                        "! character 10: expected , or ) in a group, found the end of the filter");
    assert_string_equal(read_as(FILTER_PLAIN, "or(a=eq.1),b=eq.2"),
                        "! character 11: expected the end of the filter, found ,b=eq.2");
    assert_string_equal(read_as(FILTER_LIST, "a=is.maybe"),
                        "! character 6: expected null, true, false or unknown, found maybe");
    assert_string_equal(read_as(FILTER_LIST, "a=like.x\\"),
                        "! character 8: the pattern ends with an escape; write \\\\ for a "
                        "backslash");
    assert_string_equal(read_as(FILTER_PLAIN, "a->>b->c=eq.1"),
                        "! character 6: expected an operator: ->> gives text and ends a path, "
                        "found ->c=eq.1");
    assert_string_equal(read_as(FILTER_LIST, "a=eq.1\n"),
                        "! a filter is at most 4096 bytes of UTF-8 without control characters");
}

static void assert_says(const char *text, const char *part)
{
    assert_non_null(strstr(read_as(FILTER_LIST, text), part));
}

static void test_what_is_too_much_is_refused(void **state)
{
    char text[FILTER_TEXT_MAX + 2];
    size_t used = 0;

    (void)state;
    for (unsigned i = 0; i <= FILTER_DEPTH_MAX; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "or(");
    }
    assert_says(text, "character 25: groups nest at most 8 deep");
    used = (size_t)snprintf(text, sizeof(text), "a=in.(0");
    for (unsigned i = 1; i <= FILTER_IN_MAX; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, ",%u", i);
    }
    assert_says(text, "a list has at most 100 values");
    used = 0;
    for (unsigned i = 0; i < FILTER_NODES_MAX; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "a=eq.%u,", i);
    }
    assert_says(text, "a filter has at most 99 tests and groups");
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_says(text, "at most 4096 bytes");
    text[64] = '=';
    text[80] = '\0';
    assert_says(text, "a column's name has 1 to 63 bytes");
}

static void test_a_cast_forgives_spelling(void **state)
{
    struct filter filter;
    struct filter_error error;
    struct rt_buf text = { .data = NULL };
    struct wire_span texts[] = { { "1", 1 }, { "1", 1 }, { "t", 1 } };
    uint32_t oids[] = { 23, 23, 16 };

    (void)state;
    assert_true(filter_parse(&filter, FILTER_LIST,
                             (struct wire_span){ "a=in.(01,+1),b=eq.yes", 21 }, &error));
    filter_cast(&filter, texts, oids);
    filter_canonical(&filter, &text);

    assert_string_equal(rt_buf_cstr(&text), "\"a\".eq.\"1\",\"b\".eq.\"t\"");
    assert_int_equal(filter.values[2].type_oid, 16);
    rt_buf_fini(&text);
    filter_fini(&filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operator_is_read),
        cmocka_unit_test(test_dialects_differ_at_the_top),
        cmocka_unit_test(test_commas_split_outside_quotes_and_parentheses),
        cmocka_unit_test(test_groups_nest),
        cmocka_unit_test(test_columns_may_be_quoted_and_have_paths),
        cmocka_unit_test(test_equal_filters_have_one_text),
        cmocka_unit_test(test_errors_name_the_character),
        cmocka_unit_test(test_what_is_too_much_is_refused),
        cmocka_unit_test(test_a_cast_forgives_spelling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
