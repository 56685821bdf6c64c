/* tests/unit/edge/json_out_test.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/json_out.h"

/* In a block of exactly its size, so that a read past the end is seen. */
static char *exact_copy(const char *text, size_t len)
{
    char *copy = calloc(1, len > 0 ? len : 1);

    memcpy(copy, text, len);
    return copy;
}

static void check_string(const char *text, size_t len, const char *expected, size_t replaced)
{
    struct rt_buf out = { 0 };
    char *exact = exact_copy(text, len);

    assert_int_equal(json_out_string(&out, exact, len), replaced);
    assert_string_equal(rt_buf_cstr(&out), expected);
    rt_buf_fini(&out);
    free(exact);
}

static void test_what_json_cannot_hold_is_escaped_as_postgresql_does(void **state)
{
    (void)state;
    check_string("", 0, "\"\"", 0);
    check_string("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"", 0);
    check_string("\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"", 0);
    check_string("\x00\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"", 0);
}

static void test_utf8_passes_unchanged(void **state)
{
    static const char text[] =
        "\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbd \xf0\x90\x80\x80 "
        "\xf4\x8f\xbf\xbf";
    struct rt_buf expected = { 0 };

    (void)state;
    rt_buf_printf(&expected, "\"%s\"", text);
    check_string(text, sizeof text - 1, rt_buf_cstr(&expected), 0);
    rt_buf_fini(&expected);
}

#define FFFD "\xef\xbf\xbd"

static void test_each_broken_piece_of_utf8_becomes_one_replacement(void **state)
{
    (void)state;
    check_string("\x80", 1, "\"" FFFD "\"", 1);
    check_string("\xc3", 1, "\"" FFFD "\"", 1);
    check_string("\xe6\xbc", 2, "\"" FFFD "\"", 1);
    check_string("\xe6\xbcx", 3, "\"" FFFD "x\"", 1);
    check_string("\xc0\xaf", 2, "\"" FFFD FFFD "\"", 2);
    check_string("\xed\xa0\x80", 3, "\"" FFFD FFFD FFFD "\"", 3);
    check_string("\xf4\x90\x80\x80", 4, "\"" FFFD FFFD FFFD FFFD "\"", 4);
    check_string("\xf0\x90\x80\"", 4, "\"" FFFD "\\\"\"", 1);
    check_string("\xff", 1, "\"" FFFD "\"", 1);
}

/* expected NULL: not JSON. */
static void check_compact(const char *text, const char *expected)
{
    struct rt_buf out = { 0 };
    struct rt_buf scratch = { 0 };
    size_t len = strlen(text);
    char *exact = exact_copy(text, len);
    size_t replaced = 0;

    rt_buf_puts(&out, "before");
    bool valid = json_out_compact(&out, exact, len, &scratch, &replaced);
    if (valid != (expected != NULL)) {
        fail_msg("%s: %s", text, valid ? "taken" : "not taken");
    }
    assert_string_equal(rt_buf_cstr(&out) + 6, valid ? expected : "");
    assert_int_equal(replaced, 0);
    rt_buf_fini(&out);
    rt_buf_fini(&scratch);
    free(exact);
}

static void test_white_space_outside_strings_goes(void **state)
{
    (void)state;
    check_compact(" { \"a b\" : [ 1 , { } , [ ] , \"x , y\" ] ,\n\"c\":\tnull } ",
                  "{\"a b\":[1,{},[],\"x , y\"],\"c\":null}");
    check_compact("\r\n true ", "true");
    check_compact("[[[]],{\"a\":{\"b\":[]}}]", "[[[]],{\"a\":{\"b\":[]}}]");
}

static void test_numbers_and_escapes_stay_as_they_are_written(void **state)
{
    (void)state;
    check_compact("[0,-0,1.50,1e5,-1E-2,123456789012345678901234567890]",
                  "[0,-0,1.50,1e5,-1E-2,123456789012345678901234567890]");
    check_compact("\"\\u00e9\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u00e9\\\"\\\\\\/\\b\\f\\n\\r\\t\"");
}

static void test_what_is_not_json_is_not_taken(void **state)
{
    static const char *const texts[] = {
        "",     " ",         "{",           "[",          "]",          "}",          "[1",
        "[1,]", "[,1]",      "{\"a\"}",     "{\"a\":}",   "{\"a\":1,}", "{1:2}",      "{\"a\" 1}",
        "[1}",  "{\"a\":1]", "tru",         "nul",        "truee",      "01",         "1.",
        ".5",   "-",         "+1",          "1e",         "1e+",        "NaN",        "\"a",
        "\"\\", "\"\\x\"",   "\"\\u12g4\"", "\"\\u123\"", "\"\t\"",     "1 2",        "[] []",
        "{} 1", "'a'",       "\"\\u123",    "[1 2]",      "\"\tn\"",    "\"\x01\"\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        check_compact(texts[i], NULL);
    }
}

static void test_nesting_has_no_limit_but_memory(void **state)
{
    enum { DEEP = 200000 };
    char *text = malloc((size_t)2 * DEEP);
    struct rt_buf out = { 0 };
    struct rt_buf scratch = { 0 };
    size_t replaced = 0;

    (void)state;
    memset(text, '[', DEEP);
    memset(text + DEEP, ']', DEEP);
    assert_true(json_out_compact(&out, text, (size_t)2 * DEEP, &scratch, &replaced));
    assert_int_equal(out.len, 2 * DEEP);
    assert_false(json_out_compact(&out, text, (size_t)2 * DEEP - 1, &scratch, &replaced));
    rt_buf_fini(&out);
    rt_buf_fini(&scratch);
    free(text);
}

static void test_broken_utf8_inside_json_is_replaced_and_counted(void **state)
{
    struct rt_buf out = { 0 };
    struct rt_buf scratch = { 0 };
    size_t replaced = 0;

    (void)state;
    assert_true(json_out_compact(&out, "[\"\xe6\xbc\", \"\xc3\xa9\"]", 12, &scratch, &replaced));
    assert_string_equal(rt_buf_cstr(&out), "[\"" FFFD "\",\"\xc3\xa9\"]");
    assert_int_equal(replaced, 1);
    rt_buf_fini(&out);
    rt_buf_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_json_cannot_hold_is_escaped_as_postgresql_does),
        cmocka_unit_test(test_utf8_passes_unchanged),
        cmocka_unit_test(test_each_broken_piece_of_utf8_becomes_one_replacement),
        cmocka_unit_test(test_white_space_outside_strings_goes),
        cmocka_unit_test(test_numbers_and_escapes_stay_as_they_are_written),
        cmocka_unit_test(test_what_is_not_json_is_not_taken),
        cmocka_unit_test(test_nesting_has_no_limit_but_memory),
        cmocka_unit_test(test_broken_utf8_inside_json_is_replaced_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
