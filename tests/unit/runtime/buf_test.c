/* Unit tests of runtime/buf.h and runtime/clock.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/buf.h"
#include "runtime/clock.h"

static void test_appends_keep_all_bytes_in_order(void **state)
{
    (void)state;
    struct rt_buf buf = { 0 };
    for (unsigned i = 0; i < 10000; i++) {
        rt_buf_putc(&buf, (char)('a' + i % 26));
    }
    rt_buf_append(&buf, "\0end", 4);

    assert_int_equal(buf.len, 10004);
    for (unsigned i = 0; i < 10000; i++) {
        assert_int_equal(buf.data[i], 'a' + i % 26);
    }
    assert_memory_equal(buf.data + 10000, "\0end", 4);
    rt_buf_fini(&buf);
}

static void test_clear_keeps_the_capacity(void **state)
{
    (void)state;
    struct rt_buf buf = { 0 };
    (void)rt_buf_reserve(&buf, 5000);
    const uint8_t *before = buf.data;
    rt_buf_puts(&buf, "x");

    rt_buf_clear(&buf);
    (void)rt_buf_reserve(&buf, 5000);

    assert_ptr_equal(buf.data, before);
    assert_int_equal(buf.len, 0);
    rt_buf_fini(&buf);
}

static void test_reserve_gives_room_without_changing_the_length(void **state)
{
    (void)state;
    struct rt_buf buf = { 0 };
    rt_buf_puts(&buf, "head");

    memset(rt_buf_reserve(&buf, 100000), 'z', 100000);

    assert_int_equal(buf.len, 4);
    assert_memory_equal(buf.data, "head", 4);
    assert_true(buf.cap >= 100004);
    rt_buf_fini(&buf);
}

static void test_printf_appends_and_leaves_the_nul_outside(void **state)
{
    (void)state;
    struct rt_buf buf = { 0 };
    rt_buf_puts(&buf, "a=");
    rt_buf_printf(&buf, "%d %s", 42, "forty-two");
    rt_buf_printf(&buf, "%s", "");

    assert_int_equal(buf.len, 14);
    assert_string_equal(rt_buf_cstr(&buf), "a=42 forty-two");
    rt_buf_fini(&buf);
}

static void test_cstr_of_an_empty_buffer_is_an_empty_text(void **state)
{
    (void)state;
    struct rt_buf buf = { 0 };

    assert_string_equal(rt_buf_cstr(&buf), "");
    assert_int_equal(buf.len, 0);
    rt_buf_fini(&buf);
    assert_null(buf.data);
}

static void test_span_of_a_buffer_is_its_content(void **state)
{
    (void)state;
    struct rt_buf buf = { 0 };
    rt_buf_puts(&buf, "tide");

    struct rt_span span = rt_buf_span(&buf);

    assert_int_equal(span.len, 4);
    assert_memory_equal(span.data, "tide", 4);
    rt_buf_fini(&buf);
}

static void test_alloc_of_nothing_is_still_a_pointer_and_memory_is_zeroed(void **state)
{
    (void)state;
    void *nothing = rt_alloc(0);
    uint8_t *bytes = rt_alloc(64);

    assert_non_null(nothing);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(bytes[i], 0);
    }
    free(nothing);
    free(bytes);
}

static void test_strndup_stops_at_the_length_or_the_nul(void **state)
{
    (void)state;
    char *cut = rt_strndup("abcdef", 3);
    char *whole = rt_strndup("ab\0cdef", 7);

    assert_string_equal(cut, "abc");
    assert_string_equal(whole, "ab");
    free(cut);
    free(whole);
}

static void test_time_is_written_in_utc_with_microseconds(void **state)
{
    (void)state;
    char text[RT_TIME_TEXT_SIZE];

    rt_time_text(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
    rt_time_text(INT64_C(1795254586123456), text);
    assert_string_equal(text, "2026-11-21T09:49:46.123456Z");
    rt_time_text(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
}

static void test_monotonic_time_does_not_go_back(void **state)
{
    (void)state;
    rt_usec last = rt_now();
    for (int i = 0; i < 1000; i++) {
        rt_usec now = rt_now();
        assert_true(now >= last);
        last = now;
    }
}

static void test_random_numbers_differ(void **state)
{
    (void)state;
    assert_true(rt_random64() != rt_random64());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends_keep_all_bytes_in_order),
        cmocka_unit_test(test_clear_keeps_the_capacity),
        cmocka_unit_test(test_reserve_gives_room_without_changing_the_length),
        cmocka_unit_test(test_printf_appends_and_leaves_the_nul_outside),
        cmocka_unit_test(test_cstr_of_an_empty_buffer_is_an_empty_text),
        cmocka_unit_test(test_span_of_a_buffer_is_its_content),
        cmocka_unit_test(test_alloc_of_nothing_is_still_a_pointer_and_memory_is_zeroed),
        cmocka_unit_test(test_strndup_stops_at_the_length_or_the_nul),
        cmocka_unit_test(test_time_is_written_in_utc_with_microseconds),
        cmocka_unit_test(test_monotonic_time_does_not_go_back),
        cmocka_unit_test(test_random_numbers_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
