/* What ws_utf8 takes for UTF-8, whole and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "edge/ws_utf8.h"

static bool valid(const char *text)
{
    return ws_utf8_valid((const uint8_t *)text, strlen(text));
}

static void test_text_of_every_length_of_character_is_valid(void **state)
{
    (void)state;
    assert_true(valid(""));
    assert_true(valid("plain ascii, longer than one word of eight"));
    assert_true(valid("\xc2\x80 \xdf\xbf"));
    assert_true(valid("\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf"));
    assert_true(valid("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));
}

static void test_overlong_forms_are_refused(void **state)
{
    (void)state;
    assert_false(valid("\xc0\x80"));
    assert_false(valid("\xc1\xbf"));
    assert_false(valid("\xe0\x9f\xbf"));
    assert_false(valid("\xf0\x8f\xbf\xbf"));
}

static void test_surrogates_and_values_past_unicode_are_refused(void **state)
{
    (void)state;
    assert_false(valid("\xed\xa0\x80"));
    assert_false(valid("\xed\xbf\xbf"));
    assert_false(valid("\xf4\x90\x80\x80"));
    assert_false(valid("\xf5\x80\x80\x80"));
}

static void test_stray_and_missing_continuations_are_refused(void **state)
{
    (void)state;
    assert_false(valid("\x80"));
    assert_false(valid("a\xbfz"));
    assert_false(valid("\xe2\x82"));
    assert_false(valid("\xe2\x82z"));
    assert_false(valid("\xff"));
}

static void test_wrong_byte_behind_a_long_ascii_run_is_found(void **state)
{
    (void)state;
    assert_false(valid("0123456789abcdef0123456789abcdef\xff"));
    assert_false(valid("0123456\xff"));
}

static void test_character_may_be_cut_anywhere(void **state)
{
    (void)state;
    const uint8_t text[] = "a\xe2\x82\xac\xf0\x9f\x98\x80z";
    size_t len = sizeof(text) - 1;

    for (size_t cut = 0; cut <= len; cut++) {
        struct ws_utf8 utf8 = { 0 };
        assert_true(ws_utf8_feed(&utf8, text, cut));
        assert_true(ws_utf8_feed(&utf8, text + cut, len - cut));
        assert_true(ws_utf8_complete(&utf8));
    }
}

static void test_text_cut_inside_a_character_is_incomplete(void **state)
{
    (void)state;
    struct ws_utf8 utf8 = { 0 };

    assert_true(ws_utf8_feed(&utf8, (const uint8_t *)"\xe2\x82", 2));

    assert_false(ws_utf8_complete(&utf8));
}

/* Every sequence of up to four bytes from the interesting ones, against the definition. */
static bool by_definition(const uint8_t *data, size_t len)
{
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };

    while (len > 0) {
        size_t size = data[0] < 0x80 ? 1 : (data[0] >> 5 == 6 ? 2 : (data[0] >> 4 == 14 ? 3 : 4));
        uint32_t value = size == 1 ? data[0] : data[0] & (0x7fU >> size);
        if (size == 4 && data[0] >> 3 != 30) {
            return false;
        }
        if (size > len) {
            return false;
        }
        for (size_t i = 1; i < size; i++) {
            if (data[i] >> 6 != 2) {
                return false;
            }
            value = value << 6 | (data[i] & 0x3f);
        }
        if (value < least[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
            return false;
        }
        data += size;
        len -= size;
    }
    return true;
}

static void compare_with_definition(const uint8_t *text, size_t len)
{
    if (ws_utf8_valid(text, len) != by_definition(text, len)) {
        fail_msg("the first %zu of %02x %02x %02x %02x: ours says %d", len, text[0], text[1],
                 text[2], text[3], ws_utf8_valid(text, len));
    }
}

static void test_agrees_with_the_definition_on_all_borders(void **state)
{
    (void)state;
    static const uint8_t borders[] = { 0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                       0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                       0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff };
    enum { N = sizeof(borders) };

    for (size_t i = 0; i < (size_t)N * N * N * N; i++) {
        uint8_t text[4] = { borders[i % N], borders[i / N % N], borders[i / N / N % N],
                            borders[i / N / N / N] };
        for (size_t len = 1; len <= 4; len++) {
            compare_with_definition(text, len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_of_every_length_of_character_is_valid),
        cmocka_unit_test(test_overlong_forms_are_refused),
        cmocka_unit_test(test_surrogates_and_values_past_unicode_are_refused),
        cmocka_unit_test(test_stray_and_missing_continuations_are_refused),
        cmocka_unit_test(test_wrong_byte_behind_a_long_ascii_run_is_found),
        cmocka_unit_test(test_character_may_be_cut_anywhere),
        cmocka_unit_test(test_text_cut_inside_a_character_is_incomplete),
        cmocka_unit_test(test_agrees_with_the_definition_on_all_borders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
