/* Tests of runtime/json: what is JSON, and what is found in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/json.h"

static struct rt_span span(const char *text)
{
    return (struct rt_span){ (const uint8_t *)text, strlen(text) };
}

static void test_values_of_every_kind_are_json(void **state)
{
    static const char *const good[] = {
        "1",
        " null ",
        "true",
        "false",
        "\"\"",
        "-0.5e+10",
        "0",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        "[1,2]",
        "{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":\"\\u00e9\\n\\\"\"}",
        "\t[\r\n1 ]",
        "\"\xc3\xa9\"",
        "\"\xf0\x9f\x98\x80\"",
        "\"\xc2\x80\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!rt_json_valid(span(good[i]))) {
            fail_msg("%s", good[i]);
        }
    }
}

static void test_what_is_not_json_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "nul",
        "tru",
        "+1",
        "01",
        "1.",
        ".5",
        "1e",
        "-",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "[1}",
        "{\"a\":1]",
        "[",
        "{",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\",
        "\"a\nb\"",
        "1 2",
        "[] x",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xc3\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (rt_json_valid(span(bad[i]))) {
            fail_msg("%s", bad[i]);
        }
    }
    assert_false(rt_json_valid((struct rt_span){ NULL, 0 }));
}

static void test_depth_is_limited(void **state)
{
    char text[2 * RT_JSON_DEPTH + 3];

    (void)state;
    memset(text, '[', RT_JSON_DEPTH);
    memset(text + RT_JSON_DEPTH, ']', RT_JSON_DEPTH);
    assert_true(rt_json_valid((struct rt_span){ (uint8_t *)text, (size_t)2 * RT_JSON_DEPTH }));
    memset(text, '[', RT_JSON_DEPTH + 1);
    memset(text + RT_JSON_DEPTH + 1, ']', RT_JSON_DEPTH + 1);
    assert_false(rt_json_valid((struct rt_span){ (uint8_t *)text, (size_t)2 * RT_JSON_DEPTH + 2 }));
}

static void assert_member(const char *text, const char *name, const char *wanted)
{
    struct rt_span found = { NULL, 0 };

    assert_int_equal(rt_json_member(span(text), name, &found), wanted != NULL);
    if (wanted != NULL) {
        assert_int_equal(found.len, strlen(wanted));
        assert_memory_equal(found.data, wanted, found.len);
    }
}

static void test_members_are_found_as_they_are_written(void **state)
{
    (void)state;
    assert_member("{\"a\":1.10}", "a", "1.10");
    assert_member(" { \"b\" : [ 1 , 2 ] , \"a\" : \"x\" } ", "b", "[ 1 , 2 ]");
    assert_member("{\"b\":{\"a\":1},\"a\":2}", "a", "2");
    assert_member("{\"a\":1,\"a\":2}", "a", "2");
    assert_member("{\"a\":1}", "b", NULL);
    assert_member("{\"\\u0061\":1}", "a", NULL);
    assert_member("{}", "a", NULL);
    assert_member("[1]", "a", NULL);
    assert_member("", "a", NULL);
}

static void test_elements_are_found_by_their_number(void **state)
{
    struct rt_span found = { NULL, 0 };

    (void)state;
    assert_true(rt_json_element(span("[ {\"a\":[1,2]} , 7 ]"), 1, &found));
    assert_memory_equal(found.data, "7", 1);
    assert_true(rt_json_element(span("[ {\"a\":[1,2]} , 7 ]"), 0, &found));
    assert_int_equal(found.len, 11);
    assert_false(rt_json_element(span("[1]"), 1, &found));
    assert_false(rt_json_element(span("[]"), 0, &found));
    assert_false(rt_json_element(span("{}"), 0, &found));
}

static void test_is_compares_strings_numbers_and_elements_of_arrays(void **state)
{
    (void)state;
    assert_true(rt_json_is(span("\"acme\""), span("acme")));
    assert_true(rt_json_is(span("42"), span("42")));
    assert_true(rt_json_is(span("[ 1 , \"acme\" ]"), span("acme")));
    assert_false(rt_json_is(span("\"acme\""), span("acm")));
    assert_false(rt_json_is(span("\"ac\\u006de\""), span("acme")));
    assert_false(rt_json_is(span("true"), span("true")));
    assert_false(rt_json_is(span("null"), span("null")));
    assert_false(rt_json_is(span("[[\"acme\"]]"), span("acme")));
    assert_false(rt_json_is(span("{\"acme\":1}"), span("acme")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_of_every_kind_are_json),
        cmocka_unit_test(test_what_is_not_json_is_refused),
        cmocka_unit_test(test_depth_is_limited),
        cmocka_unit_test(test_members_are_found_as_they_are_written),
        cmocka_unit_test(test_elements_are_found_by_their_number),
        cmocka_unit_test(test_is_compares_strings_numbers_and_elements_of_arrays),
    };

    return cmocka_run_group_tests_name("runtime/json", tests, NULL, NULL);
}
