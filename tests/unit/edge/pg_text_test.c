/* tests/unit/edge/pg_text_test.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/pg_text.h"

/* In a block of exactly its size, so that a read past the end is seen. */
static char *exact_copy(const char *text, size_t len)
{
    char *copy = calloc(1, len > 0 ? len : 1);

    memcpy(copy, text, len);
    return copy;
}

typedef enum pg_token (*next_fn)(struct pg_cursor *in);

/* All tokens as one text: { } for braces, <item>, NULL, ! for bad, . for the end. */
static void render(struct pg_cursor *in, next_fn next, struct rt_buf *out)
{
    for (int i = 0; i < 100; i++) {
        switch (next(in)) {
        case PG_OPEN:
            rt_buf_putc(out, '{');
            break;
        case PG_CLOSE:
            rt_buf_putc(out, '}');
            break;
        case PG_ITEM:
            rt_buf_printf(out, "<%.*s>", (int)in->item_len, in->item);
            break;
        case PG_NULL:
            rt_buf_puts(out, "NULL");
            break;
        case PG_END:
            rt_buf_putc(out, '.');
            return;
        case PG_BAD:
            rt_buf_putc(out, '!');
            return;
        default:
            fail();
        }
    }
    fail_msg("no end");
}

static void check(const char *kind, const char *text, const char *expected)
{
    struct pg_cursor in;
    struct rt_buf scratch = { 0 };
    struct rt_buf out = { 0 };
    size_t len = strlen(text);
    char *exact = exact_copy(text, len);
    next_fn next = pg_array_next;

    if (strcmp(kind, "record") == 0) {
        pg_record_open(&in, exact, len, &scratch);
        next = pg_record_next;
    } else if (strcmp(kind, "vector") == 0) {
        pg_vector_open(&in, exact, len);
        next = pg_vector_next;
    } else {
        pg_array_open(&in, exact, len, kind[0] == ';' ? ';' : ',', &scratch);
    }
    render(&in, next, &out);
    assert_string_equal(rt_buf_cstr(&out), expected);
    rt_buf_fini(&out);
    rt_buf_fini(&scratch);
    free(exact);
}

static void test_arrays_of_one_and_more_dimensions(void **state)
{
    (void)state;
    check("array", "{}", "{}.");
    check("array", "{1,NULL,3}", "{<1>NULL<3>}.");
    check("array", "{null,nulls}", "{NULL<nulls>}.");
    check("array", "{{1,2},{3,4}}", "{{<1><2>}{<3><4>}}.");
    check("array", "{{{{{{1}}}}}}", "{{{{{{<1>}}}}}}.");
    check(";", "{(1,1),(0,0);(2,2),(1,1)}", "{<(1,1),(0,0)><(2,2),(1,1)>}.");
}

static void test_subscripts_in_front_of_an_array_are_passed_over(void **state)
{
    (void)state;
    check("array", "[2:3]={7,8}", "{<7><8>}.");
    check("array", "[-1:0][5:5]={{7},{8}}", "{{<7>}{<8>}}.");
    check("array", "[2:3={7}", "!");
    check("array", "[2:3]7", "!");
}

static void test_quoted_elements_are_undone(void **state)
{
    (void)state;
    check("array", "{\"a,b\",\"NULL\",\"\",\"q\\\"\\\\\",\" x \"}", "{<a,b><NULL><><q\"\\>< x >}.");
    check("array", "{\"{1}\",b}", "{<{1}><b>}.");
}

static void test_what_no_array_is_ends_as_bad(void **state)
{
    static const char *const texts[] = { "",
                                         "1",
                                         "{",
                                         "{1",
                                         "{1,",
                                         "{,1}",
                                         "{1,}",
                                         "{1}x",
                                         "{1}{",
                                         "{\"a}",
                                         "{\"a",
                                         "{\"\\",
                                         "{a\"b}",
                                         "{\"a\"b}",
                                         "{1,{2}",
                                         "}",
                                         "{{1}2}",
                                         "{\\}",
                                         "{{{{{{{1}}}}}}}",
                                         "{\"a\"\"b\"}" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct pg_cursor in;
        struct rt_buf scratch = { 0 };
        struct rt_buf out = { 0 };
        pg_array_open(&in, texts[i], strlen(texts[i]), ',', &scratch);
        render(&in, pg_array_next, &out);
        if (out.data[out.len - 1] != '!') {
            fail_msg("%s is taken as %s", texts[i], rt_buf_cstr(&out));
        }
        rt_buf_fini(&out);
        rt_buf_fini(&scratch);
    }
}

static void test_composites(void **state)
{
    (void)state;
    check("record", "(1,text)", "<1><text>.");
    check("record", "(,)", "NULLNULL.");
    check("record", "()", "NULL.");
    check("record", "(\"\",x)", "<><x>.");
    check("record", "(\"a \"\"q\"\", \\\\ (p)\",\"{\"\"x,y\"\"}\")",
          "<a \"q\", \\ (p)><{\"x,y\"}>.");
}

static void test_what_no_composite_is_ends_as_bad(void **state)
{
    (void)state;
    check("record", "", "!");
    check("record", ")", "!");
    check("record", "(1", "!");
    check("record", "(1,", "<1>!");
    check("record", "(1)x", "<1>!");
    check("record", "(\"a)", "!");
    check("record", "(\"a\"b)", "!");
    check("record", "(a\"b\")", "!");
    check("record", "1,2", "!");
}

static void test_vectors(void **state)
{
    (void)state;
    check("vector", "", ".");
    check("vector", "1", "<1>.");
    check("vector", "1 -2 30", "<1><-2><30>.");
    check("vector", " 1", "!");
    check("vector", "1 ", "<1>!");
    check("vector", "1  2", "<1>!");
}

/* expected NULL: no number. */
static void check_number(const char *text, const char *expected)
{
    struct rt_buf out = { 0 };
    bool is = pg_number(&out, text, strlen(text));

    if (is != (expected != NULL)) {
        fail_msg("%s: %s", text, is ? "taken" : "not taken");
    }
    assert_string_equal(rt_buf_cstr(&out), is ? expected : "");
    rt_buf_fini(&out);
}

static void test_numbers_are_written_as_numeric_writes_them(void **state)
{
    (void)state;
    check_number("0", "0");
    check_number("-32768", "-32768");
    check_number("1.10", "1.10");
    check_number("-0.00", "0.00");
    check_number("-0", "0");
    check_number("1e+15", "1000000000000000");
    check_number("-1.5e+03", "-1500");
    check_number("1.2345e+02", "123.45");
    check_number("12.5e-1", "1.25");
    check_number("1e-05", "0.00001");
    check_number("-1.25e-07", "-0.000000125");
    check_number("0e+10", "0");
    check_number("123456789012345678901234567890.5", "123456789012345678901234567890.5");
}

static void test_what_is_no_number_is_not_written(void **state)
{
    static const char *const texts[] = {
        "",    "-",   "+1",       ".5", "1.", "01",  "1e",    "1e+",           "1e5x",
        "0x1", "NaN", "Infinity", " 1", "1 ", "--1", "1e401", "1e99999999999", "1.2.3"
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        check_number(texts[i], NULL);
    }
    assert_true(pg_number_is_special("NaN", 3));
    assert_true(pg_number_is_special("-Infinity", 9));
    assert_false(pg_number_is_special("nan", 3));
}

static void check_timestamp(const char *text, bool zone, const char *expected)
{
    struct rt_buf out = { 0 };
    bool is = pg_timestamp(&out, text, strlen(text), zone);

    if (is != (expected != NULL)) {
        fail_msg("%s: %s", text, is ? "taken" : "not taken");
    }
    assert_string_equal(rt_buf_cstr(&out), is ? expected : "");
    rt_buf_fini(&out);
}

static void test_timestamps_get_a_t_and_whole_zones(void **state)
{
    (void)state;
    check_timestamp("2026-11-21 12:34:56", false, "2026-11-21T12:34:56");
    check_timestamp("2026-11-21 12:34:56.5", false, "2026-11-21T12:34:56.5");
    check_timestamp("0044-03-15 10:00:00 BC", false, "0044-03-15T10:00:00 BC");
    check_timestamp("294276-12-31 23:59:59", false, "294276-12-31T23:59:59");
    check_timestamp("infinity", false, "infinity");
    check_timestamp("2026-11-21 12:34:56+00", true, "2026-11-21T12:34:56+00:00");
    check_timestamp("2026-11-21 12:34:56.123456-03:30", true, "2026-11-21T12:34:56.123456-03:30");
    check_timestamp("1883-11-18 12:00:00+00:17:30", true, "1883-11-18T12:00:00+00:17:30");
    check_timestamp("0044-03-15 10:00:00+00 BC", true, "0044-03-15T10:00:00+00:00 BC");
    check_timestamp("-infinity", true, "-infinity");
}

static void test_other_timestamps_are_not_written(void **state)
{
    (void)state;
    check_timestamp("", false, NULL);
    check_timestamp("2026-11-21", false, NULL);
    check_timestamp("2026-11-21 ", false, NULL);
    check_timestamp("2026-11-21 12:34", false, NULL);
    check_timestamp("2026-11-21 12:34:56.", false, NULL);
    check_timestamp("2026-11-21 12:34:56+00", false, NULL);
    check_timestamp("2026-11-21 12:34:56", true, NULL);
    check_timestamp("2026-11-21 12:34:56+0", true, NULL);
    check_timestamp("2026-11-21 12:34:56+00:", true, NULL);
    check_timestamp("21/11/2026 12:34:56", false, NULL);
    check_timestamp("2026-11-21 12:34:56\"", false, NULL);
}

static void test_dates(void **state)
{
    static const char *const dates[] = { "2026-11-21", "0044-03-15 BC", "5874897-12-31", "infinity",
                                         "-infinity" };
    static const char *const others[] = {
        "", "BC", " BC", "2026-11", "2026-11-21 12:00:00", "26-11-21", "2026-1-21"
    };

    (void)state;
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        assert_true(pg_is_date(dates[i], strlen(dates[i])));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(pg_is_date(others[i], strlen(others[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays_of_one_and_more_dimensions),
        cmocka_unit_test(test_subscripts_in_front_of_an_array_are_passed_over),
        cmocka_unit_test(test_quoted_elements_are_undone),
        cmocka_unit_test(test_what_no_array_is_ends_as_bad),
        cmocka_unit_test(test_composites),
        cmocka_unit_test(test_what_no_composite_is_ends_as_bad),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_numbers_are_written_as_numeric_writes_them),
        cmocka_unit_test(test_what_is_no_number_is_not_written),
        cmocka_unit_test(test_timestamps_get_a_t_and_whole_zones),
        cmocka_unit_test(test_other_timestamps_are_not_written),
        cmocka_unit_test(test_dates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
