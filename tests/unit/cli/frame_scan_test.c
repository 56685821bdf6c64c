#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/frame_scan.h"
#include "runtime/buf.h"

/* From an exact heap block, so that a sanitizer sees one byte too many. */
static bool find(const char *frame, const char *name, char *out, size_t out_size)
{
    size_t len = strlen(frame);
    char *exact = rt_alloc(len > 0 ? len : 1);

    for (size_t i = 0; i < len; i++) {
        exact[i] = frame[i];
    }
    bool found = cli_frame_text(exact, len, name, out, out_size);
    free(exact);
    return found;
}

static void test_a_member_is_found_wherever_it_stands(void **state)
{
    char out[32];

    (void)state;
    assert_true(find("{\"type\":\"ack\",\"channel\":\"a\"}", "type", out, sizeof out));
    assert_string_equal(out, "ack");
    assert_true(find(" {\"n\": 1e400, \"payload\":{\"type\":\"INSERT\",\"a\":[{\"type\":\"x\"}]},\n"
                     "\"type\" : \"broadcast\" }",
                     "type", out, sizeof out));
    assert_string_equal(out, "broadcast");
}

static void test_quotes_and_braces_inside_strings_mean_nothing(void **state)
{
    char out[32];

    (void)state;
    assert_true(find("{\"a\":\"\\\"}{,\\\\\",\"b\":[\"]\",\"\\\"\"],\"type\":\"error\"}", "type",
                     out, sizeof out));
    assert_string_equal(out, "error");
}

static void test_only_the_top_level_counts(void **state)
{
    char out[32];

    (void)state;
    assert_false(find("{\"payload\":{\"type\":\"INSERT\"}}", "type", out, sizeof out));
    assert_string_equal(out, "");
}

static void test_a_member_that_is_no_string_is_not_found(void **state)
{
    char out[32];

    (void)state;
    assert_false(find("{\"type\":7}", "type", out, sizeof out));
    assert_false(find("{\"type\":null}", "type", out, sizeof out));
}

static void test_long_texts_are_cut_to_the_buffer(void **state)
{
    char out[4];

    (void)state;
    assert_true(find("{\"type\":\"broadcast\"}", "type", out, sizeof out));
    assert_string_equal(out, "bro");
}

static void test_no_prefix_of_a_frame_is_read_past_its_end(void **state)
{
    static const char frame[] = "{\"a\":{\"b\":[1,\"\\\\\"]},\"c\":\"\\\"\",\"type\":\"x\"}";
    char out[32];

    (void)state;
    for (size_t len = 0; len < sizeof frame - 2; len++) {
        char *cut = rt_strndup(frame, len);
        assert_false(find(cut, "type", out, sizeof out) && len < sizeof frame - 2);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_member_is_found_wherever_it_stands),
        cmocka_unit_test(test_quotes_and_braces_inside_strings_mean_nothing),
        cmocka_unit_test(test_only_the_top_level_counts),
        cmocka_unit_test(test_a_member_that_is_no_string_is_not_found),
        cmocka_unit_test(test_long_texts_are_cut_to_the_buffer),
        cmocka_unit_test(test_no_prefix_of_a_frame_is_read_past_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
