/* tests/unit/edge/row_json_test.c - values beside what to_jsonb() of PostgreSQL 15 gives for them.
 *
 * Each CASE was run through a real server: the text is what the type's output function writes, and the JSON equals
 * to_jsonb(text::type) as jsonb. pair is (a int, b text); outer_pair is (p pair, list pair[], t timestamptz,
 * "odd ""name" numeric).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "row_json_fixture.h"

/* For the shapes see the fixture. */
struct value_case {
    const char *type;
    const char *shape;
    const char *text;
    const char *json;
};
#define CASE(type, shape, text, json)                                                              \
    {                                                                                              \
        type, shape, text, json                                                                    \
    }

static const struct value_case cases[] = {
    CASE("bool", "b", "t", "true"),
    CASE("bool", "b", "f", "false"),
    CASE("int2", "n", "-32768", "-32768"),
    CASE("int8", "n", "9223372036854775807", "9223372036854775807"),
    CASE("numeric", "n", "-123456789012345678901234567890.123456789",
         "-123456789012345678901234567890.123456789"),
    CASE("numeric", "n", "1.10", "1.10"),
    CASE("numeric", "n", "0.00000000000000000001", "0.00000000000000000001"),
    CASE("numeric", "n", "NaN", "\"NaN\""),
    CASE("numeric", "n", "Infinity", "\"Infinity\""),
    CASE("numeric", "n", "-Infinity", "\"-Infinity\""),
    CASE("float8", "n", "0.1", "0.1"),
    CASE("float8", "n", "1e+15", "1000000000000000"),
    CASE("float8", "n", "1.25e-07", "0.000000125"),
    CASE("float8", "n", "-0", "0"),
    CASE("float8", "n", "NaN", "\"NaN\""),
    CASE("float8", "n", "-Infinity", "\"-Infinity\""),
    CASE("float8", "n", "123456789.12345679", "123456789.12345679"),
    CASE("float4", "n", "3.4e+38", "340000000000000000000000000000000000000"),
    CASE("float4", "n", "1e-30", "0.000000000000000000000000000001"),
    CASE("money", "t", "-$1,234.56", "\"-$1,234.56\""),
    CASE("text", "t", "", "\"\""),
    CASE("text", "t", "quote \" backslash \\ slash / tab\t nl\n bell\a del\x7f",
         "\"quote \\\" backslash \\\\ slash / tab\\t nl\\n bell\\u0007 del\x7f\""),
    CASE("text", "t", "naïve 漢字 🐘 \xe2\x80\xa8", "\"naïve 漢字 🐘 \xe2\x80\xa8\""),
    CASE("bytea", "t", "\\x00ff5c22", "\"\\\\x00ff5c22\""),
    CASE("date", "d", "2026-11-21", "\"2026-11-21\""),
    CASE("date", "d", "0044-03-15 BC", "\"0044-03-15 BC\""),
    CASE("date", "d", "5874897-12-31", "\"5874897-12-31\""),
    CASE("date", "d", "-infinity", "\"-infinity\""),
    CASE("timestamp", "s", "2026-11-21 12:34:56.123456", "\"2026-11-21T12:34:56.123456\""),
    CASE("timestamp", "s", "0044-03-15 10:00:00 BC", "\"0044-03-15T10:00:00 BC\""),
    CASE("timestamp", "s", "294276-12-31 23:59:59", "\"294276-12-31T23:59:59\""),
    CASE("timestamp", "s", "infinity", "\"infinity\""),
    CASE("timestamptz", "z", "2026-11-21 07:04:56.5+00", "\"2026-11-21T07:04:56.5+00:00\""),
    CASE("timestamptz", "z", "0044-03-15 10:00:00+00 BC", "\"0044-03-15T10:00:00+00:00 BC\""),
    CASE("timestamptz", "z", "-infinity", "\"-infinity\""),
    CASE("interval", "t", "1 year 2 mons 3 days 04:05:06.789",
         "\"1 year 2 mons 3 days 04:05:06.789\""),
    CASE("json", "j", "{\"b\":  [1, 2.50, {\"x\": null}],\n \"a\": \"t\\u00e9xt , : \"}",
         "{\"b\":[1,2.50,{\"x\":null}],\"a\":\"t\\u00e9xt , : \"}"),
    CASE("json", "j", "  12  ", "12"),
    CASE("jsonb", "j", "{\"a\": {}, \"b\": [], \"c\": \"\\\\ \\\" {\"}",
         "{\"a\":{},\"b\":[],\"c\":\"\\\\ \\\" {\"}"),
    CASE("jsonb", "j", "null", "null"),
    CASE("int4range", "t", "[1,10)", "\"[1,10)\""),
    CASE("int4multirange", "t", "{[1,3),[5,9)}", "\"{[1,3),[5,9)}\""),
    CASE("int4[]", "[n", "{}", "[]"),
    CASE("int4[]", "[n", "{1,NULL,3}", "[1,null,3]"),
    CASE("int4[]", "[n", "{{1,2},{3,4}}", "[[1,2],[3,4]]"),
    CASE("int4[]", "[n", "{{{1},{2}},{{3},{4}}}", "[[[1],[2]],[[3],[4]]]"),
    CASE("int4[]", "[n", "[2:4]={7,8,9}", "[7,8,9]"),
    CASE("int4[]", "[n", "[-1:0][5:5]={{7},{8}}", "[[7],[8]]"),
    CASE("text[]", "[t",
         "{a,\"b,c\",\"with \\\"quotes\\\"\",\"back\\\\slash\",\"\",\"NULL\",NULL,\" space "
         "\",\"{brace}\"}",
         "[\"a\",\"b,c\",\"with \\\"quotes\\\"\",\"back\\\\slash\",\"\",\"NULL\",null,\" space "
         "\",\"{brace}\"]"),
    CASE("bool[]", "[b", "{t,f,NULL}", "[true,false,null]"),
    CASE("numeric[]", "[n", "{1.10,NaN,-5}", "[1.10,\"NaN\",-5]"),
    CASE("timestamptz[]", "[z", "{\"2026-11-21 12:34:56+00\",infinity}",
         "[\"2026-11-21T12:34:56+00:00\",\"infinity\"]"),
    CASE("date[]", "[d", "{2026-11-21,\"0044-03-15 BC\"}", "[\"2026-11-21\",\"0044-03-15 BC\"]"),
    CASE("jsonb[]", "[j", "{\"{\\\"a\\\": 1}\",\"[1, \\\"x\\\"]\",\"null\",NULL}",
         "[{\"a\":1},[1,\"x\"],null,null]"),
    CASE("bytea[]", "[t", "{\"\\\\x00ff\"}", "[\"\\\\x00ff\"]"),
    CASE("box[]", ";t", "{(1,1),(0,0);(3,3),(2,2)}", "[\"(1,1),(0,0)\",\"(3,3),(2,2)\"]"),
    CASE("int2vector", "vn", "1 2 3", "[1,2,3]"),
    CASE("int2vector", "vn", "", "[]"),
    CASE("oidvector", "vt", "16 25", "[\"16\",\"25\"]"),
    CASE("pair", "P", "(1,text)", "{\"a\":1,\"b\":\"text\"}"),
    CASE("pair", "P", "(,)", "{\"a\":null,\"b\":null}"),
    CASE("pair", "P", "(2,\"\")", "{\"a\":2,\"b\":\"\"}"),
    CASE("pair", "P", "(3,\"a \"\"q\"\" , (p) \\\\ b\")",
         "{\"a\":3,\"b\":\"a \\\"q\\\" , (p) \\\\ b\"}"),
    CASE("pair[]", "[P", "{\"(1,x)\",\"(,\\\"a,\\\"\\\"b\\\"\\\"\\\")\",NULL}",
         "[{\"a\":1,\"b\":\"x\"},{\"a\":null,\"b\":\"a,\\\"b\\\"\"},null]"),
    CASE("outer_pair", "O",
         "(\"(1,\"\"in "
         "\"\"\"\"q\"\"\"\"\"\")\",\"{\"\"(2,\\\\\"\"x,y\\\\\"\")\"\",NULL}\",\"2026-11-21 "
         "12:00:00+00\",1.50)",
         "{\"p\":{\"a\":1,\"b\":\"in \\\"q\\\"\"},\"list\":[{\"a\":2,\"b\":\"x,y\"},null],"
         "\"t\":\"2026-11-21T12:00:00+00:00\",\"odd \\\"name\":1.50}"),
    CASE("outer_pair", "O", "(,,,)", "{\"p\":null,\"list\":null,\"t\":null,\"odd \\\"name\":null}"),
};

static void check_value(struct fixture *f, const struct value_case *value)
{
    struct column column = { "v", value->shape, 0 };
    struct wire_value text = text_value(value->text);
    struct row_def *def = make_def(&column, 1);
    struct rt_buf expected = { 0 };

    rt_buf_printf(&expected, "{\"v\":%s}", value->json);
    read_values(&f->row, &f->tuples[0], &text, 1);
    assert_string_equal(encode(f, def, false, 0), rt_buf_cstr(&expected));
    rt_buf_fini(&expected);
    row_def_unref(def);
}

static void test_values_are_those_of_to_jsonb(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_value(f, &cases[i]);
    }
    assert_int_equal(f->encoder.as_text, 0);
    assert_int_equal(f->encoder.bad_utf8, 0);
}

static void test_text_that_is_not_as_its_shape_says_becomes_a_string_and_is_counted(void **state)
{
    static const struct value_case wrong[] = {
        { NULL, "n", "twelve", "\"twelve\"" },
        { NULL, "n", "", "\"\"" },
        { NULL, "b", "true", "\"true\"" },
        { NULL, "d", "21.11.2026", "\"21.11.2026\"" },
        { NULL, "s", "noon", "\"noon\"" },
        { NULL, "z", "2026-11-21 12:00:00", "\"2026-11-21 12:00:00\"" },
        { NULL, "j", "{\"a\": }", "\"{\\\"a\\\": }\"" },
        { NULL, "[n", "{1,two}", "\"{1,two}\"" },
        { NULL, "[n", "{1,{2}", "\"{1,{2}\"" },
        { NULL, "[n", "5", "\"5\"" },
        { NULL, "P", "(1)", "\"(1)\"" },
        { NULL, "P", "(1,a,b)", "\"(1,a,b)\"" },
        { NULL, "P", "(x,a)", "\"(x,a)\"" },
        { NULL, "P", "", "\"\"" },
        { NULL, "0", "(1)", "\"(1)\"" },
        { NULL, "vn", "1  2", "\"1  2\"" },
        { NULL, "[P", "{\"(1,x)\",\"(1\"}", "\"{\\\"(1,x)\\\",\\\"(1\\\"}\"" },
    };
    struct fixture *f = *state;
    size_t count = sizeof wrong / sizeof wrong[0];

    for (size_t i = 0; i < count; i++) {
        check_value(f, &wrong[i]);
        assert_int_equal(f->encoder.as_text, i + 1);
    }
}

static void test_broken_utf8_never_leaves(void **state)
{
    struct fixture *f = *state;

    check_value(f, &(struct value_case){ NULL, "t", "a\xc3", "\"a\xef\xbf\xbd\"" });
    check_value(f, &(struct value_case){ NULL, "[t", "{\xff}", "[\"\xef\xbf\xbd\"]" });
    check_value(f, &(struct value_case){ NULL, "j", "\"\xff\"", "\"\xef\xbf\xbd\"" });
    assert_int_equal(f->encoder.bad_utf8, 3);
}

static void test_composite_without_attributes(void **state)
{
    check_value(*state, &(struct value_case){ NULL, "0", "()", "{}" });
}

static const struct column three[] = {
    { "id", "n", WIRE_COLUMN_IDENTITY | WIRE_COLUMN_PRIMARY },
    { "the \"body\"", "t", 0 },
    { "n", "n", 0 },
};

static void test_values_that_are_not_there_are_left_out_and_named(void **state)
{
    struct fixture *f = *state;
    struct row_def *def = make_def(three, 3);
    struct wire_value row[] = { text_value("1"),
                                { .kind = WIRE_VALUE_UNCHANGED },
                                { .kind = WIRE_VALUE_TOO_LARGE } };

    read_values(&f->row, &f->tuples[0], row, 3);
    assert_string_equal(encode(f, def, false, 0), "{\"id\":1}");
    assert_string_equal(marked(f, def, ROW_MARK_UNCHANGED), "[\"the \\\"body\\\"\"]");
    assert_string_equal(marked(f, def, ROW_MARK_TOO_LARGE), "[\"n\"]");

    row[1].kind = WIRE_VALUE_MISSING;
    row[2].kind = WIRE_VALUE_NULL;
    read_values(&f->row, &f->tuples[0], row, 3);
    assert_string_equal(encode(f, def, false, 0), "{\"id\":1,\"n\":null}");
    assert_string_equal(marked(f, def, ROW_MARK_UNCHANGED), "");
    row_def_unref(def);
}

static void test_unchanged_value_is_taken_from_the_old_row(void **state)
{
    struct fixture *f = *state;
    struct row_def *def = make_def(three, 3);
    struct wire_value row[] = { text_value("1"),
                                { .kind = WIRE_VALUE_UNCHANGED },
                                text_value("2") };
    struct wire_value old[] = { text_value("0"), text_value("long"), text_value("1") };

    read_values(&f->row, &f->tuples[0], row, 3);
    read_values(&f->old, &f->tuples[1], old, 3);
    assert_string_equal(encode(f, def, true, 0),
                        "{\"id\":1,\"the \\\"body\\\"\":\"long\",\"n\":2}");
    assert_string_equal(marked(f, def, ROW_MARK_UNCHANGED), "");

    old[1].kind = WIRE_VALUE_TOO_LARGE;
    read_values(&f->old, &f->tuples[1], old, 3);
    assert_string_equal(encode(f, def, true, 0), "{\"id\":1,\"n\":2}");
    assert_string_equal(marked(f, def, ROW_MARK_TOO_LARGE), "[\"the \\\"body\\\"\"]");
    row_def_unref(def);
}

static void test_only_columns_with_a_flag(void **state)
{
    struct fixture *f = *state;
    struct row_def *def = make_def(three, 3);
    struct wire_value row[] = { text_value("1"), text_value("x"), text_value("2") };

    read_values(&f->row, &f->tuples[0], row, 3);
    assert_string_equal(encode(f, def, false, WIRE_COLUMN_IDENTITY), "{\"id\":1}");
    assert_true(def->has_identity);
    row_def_unref(def);
}

static void test_tuple_shorter_than_its_description_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct row_def *def = make_def(three, 3);
    struct wire_value row[] = { text_value("1"), text_value("x") };

    read_values(&f->row, &f->tuples[0], row, 2);
    row_encoder_begin(&f->encoder, def);
    rt_buf_puts(&f->out, "before");
    assert_int_equal(row_json(&f->encoder, def, &f->row, NULL, 0, &f->out), WIRE_ERR_RANGE);
    assert_int_equal(f->out.len, 6);
    row_def_unref(def);
}

static void test_generated_columns_are_named_as_json(void **state)
{
    struct row_def *def = make_def(three, 3);

    (void)state;
    assert_string_equal(rt_buf_cstr(&def->not_streamed), "[\"twice\",\"so \\\"odd\"]");
    row_def_unref(def);
}

static void check_bad_shape(const void *bytes, size_t len)
{
    struct wire_writer shape = { 0 };
    enum wire_err err = WIRE_OK;

    wire_write_raw(&shape, bytes, len);
    struct row_def *def = def_from_bytes(&shape, three, 1, &err);
    assert_null(def);
    assert_int_not_equal(err, WIRE_OK);
    wire_writer_fini(&shape);
}

static void test_shapes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    check_bad_shape("\x07", 1);                  /* an array that is no array */
    check_bad_shape("\x0a", 1);                  /* a kind that does not exist */
    check_bad_shape("\x93\x07\xa0\x01", 4);      /* no delimiter */
    check_bad_shape("\x92\x07\xa1,", 4);         /* no element */
    check_bad_shape("\x92\x08\x01", 3);          /* a field that is no pair */
    check_bad_shape("\x91\x01", 2);              /* a plain kind in an array */
    check_bad_shape("\x94\x07\xa1,\x01\x01", 6); /* one too many */
    check_bad_shape("\xc0", 1);
}

static void test_shape_nested_too_deep_is_refused(void **state)
{
    struct rt_buf shape = { 0 };

    (void)state;
    for (unsigned i = 0; i < WIRE_SHAPE_DEPTH + 1; i++) {
        rt_buf_append(&shape, "\x93\x07\xa1,", 4);
    }
    rt_buf_putc(&shape, 1);
    check_bad_shape(shape.data, shape.len);
    rt_buf_fini(&shape);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(values_are_those_of_to_jsonb),
        T(text_that_is_not_as_its_shape_says_becomes_a_string_and_is_counted),
        T(broken_utf8_never_leaves),
        T(composite_without_attributes),
        T(values_that_are_not_there_are_left_out_and_named),
        T(unchanged_value_is_taken_from_the_old_row),
        T(only_columns_with_a_flag),
        T(tuple_shorter_than_its_description_is_an_error),
        T(generated_columns_are_named_as_json),
        T(shapes_that_cannot_be_are_refused),
        T(shape_nested_too_deep_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
