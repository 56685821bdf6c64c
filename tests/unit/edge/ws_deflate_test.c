/* RFC 7692 7.2: the examples of 7.2.3, and what they leave open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/ws_deflate.h"

enum { LIMIT = 100000 };

struct fixture {
    struct ws_deflater *deflater;
    struct ws_inflater *inflater;
    struct rt_buf packed;
    struct rt_buf plain;
};

static int setup(void **state)
{
    struct fixture *f = rt_alloc(sizeof(*f));
    f->deflater = ws_deflater_new(1);
    f->inflater = ws_inflater_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    ws_deflater_free(f->deflater);
    ws_inflater_free(f->inflater);
    rt_buf_fini(&f->packed);
    rt_buf_fini(&f->plain);
    free(f);
    return 0;
}

static enum ws_inflated inflate_within(struct fixture *f, const void *data, size_t len,
                                       size_t limit)
{
    rt_buf_fini(&f->plain);
    return ws_inflate(f->inflater, (struct rt_span){ data, len }, limit, &f->plain);
}

static void assert_inflates(struct fixture *f, const char *bytes, size_t len, const char *text)
{
    assert_int_equal(inflate_within(f, bytes, len, LIMIT), WS_INFLATED);
    assert_string_equal(rt_buf_cstr(&f->plain), text);
}

#define INFLATES(f, bytes, text) assert_inflates(f, bytes, sizeof(bytes) - 1, text)

static void test_examples_of_the_rfc(void **state)
{
    struct fixture *f = *state;

    INFLATES(f, "\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello");                         /* 7.2.3.1 */
    INFLATES(f, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello");         /* 7.2.3.3 */
    INFLATES(f, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello");                     /* 7.2.3.4 */
    INFLATES(f, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello"); /* 7.2.3.5 */
    INFLATES(f, "\x00", "");                                                      /* 7.2.3.6 */
}

static void test_a_context_of_the_message_before_is_not_there(void **state)
{
    struct fixture *f = *state;

    INFLATES(f, "\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello");
    /* 7.2.3.2: the same word again, as a reference to the first */
    assert_int_equal(inflate_within(f, "\xf2\x00\x11\x00\x00", 5, LIMIT), WS_INFLATE_DAMAGED);
    INFLATES(f, "\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello");
}

static void test_a_last_block_may_be_followed_by_more(void **state)
{
    struct fixture *f = *state;

    /* A last block without the octet that 7.2.3.4 wants behind it; and one with another stream behind it. */
    INFLATES(f, "\xf3\x48\xcd\xc9\xc9\x07\x00", "Hello");
    INFLATES(f, "\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00", "HelloHello");
    /* The second stream looks back at the first. */
    INFLATES(f, "\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00", "HelloHello");
    INFLATES(f, "", "");
}

static void test_damage_is_found(void **state)
{
    struct fixture *f = *state;
    static const char *const damaged[] = {
        "\x07",                             /* a block of the reserved type */
        "\xf2\x48\xcd\xc9",                 /* cut */
        "\xf2\x48\xcd\xc9\xc9\x07",         /* cut by one byte */
        "\xff\xff\xff\xff",                 /* */
        "\x01\x05",                         /* cut in a length */
        "\x02\x05\xff\xfa\x01Hello",        /* lengths that do not agree */
        "\xf2\x48\xcd\xc9\xc9\x07\x01\x01", /* something behind the end */
    };

    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        assert_int_equal(inflate_within(f, damaged[i], strlen(damaged[i]), LIMIT),
                         WS_INFLATE_DAMAGED);
        INFLATES(f, "\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello");
    }
}

static void pack_zeros(struct fixture *f, size_t len)
{
    uint8_t *zeros = rt_alloc(len);

    assert_true(ws_deflate(f->deflater, (struct rt_span){ zeros, len }, &f->packed));
    free(zeros);
}

static void test_a_bomb_stops_at_the_limit(void **state)
{
    struct fixture *f = *state;

    pack_zeros(f, 16 << 20);
    assert_true(f->packed.len < 100000);
    assert_int_equal(inflate_within(f, f->packed.data, f->packed.len, 4096), WS_INFLATE_TOO_LONG);
    assert_int_equal(f->plain.len, 4097);
    assert_true(f->plain.cap <= 16384);
}

static void test_the_limit_itself_is_allowed(void **state)
{
    struct fixture *f = *state;

    for (size_t len = 1020; len < 1030; len++) {
        pack_zeros(f, len);
        assert_int_equal(inflate_within(f, f->packed.data, f->packed.len, len), WS_INFLATED);
        assert_int_equal(f->plain.len, len);
        assert_int_equal(inflate_within(f, f->packed.data, f->packed.len, len - 1),
                         WS_INFLATE_TOO_LONG);
    }
}

static void test_only_what_becomes_smaller_is_compressed(void **state)
{
    struct fixture *f = *state;
    uint8_t noise[3000];
    uint64_t random = 1;

    for (size_t i = 0; i < sizeof noise; i++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        noise[i] = (uint8_t)(random >> 56);
    }
    for (size_t len = 0; len <= sizeof noise; len += 100) {
        assert_false(ws_deflate(f->deflater, (struct rt_span){ noise, len }, &f->packed));
        assert_int_equal(f->packed.len, 0);
    }
    assert_false(
        ws_deflate(f->deflater, (struct rt_span){ (const uint8_t *)"abc", 3 }, &f->packed));
}

static void test_what_is_compressed_comes_back(void **state)
{
    struct fixture *f = *state;
    struct rt_buf text = { 0 };

    for (int line = 0; line < 5000; line++) {
        rt_buf_printf(&text, "{\"line\":%d,\"square\":%d}", line, line * line);
        if (line % 250 != 0) {
            continue;
        }
        bool smaller = ws_deflate(f->deflater, rt_buf_span(&text), &f->packed);
        assert_true(smaller || line == 0);
        if (smaller) {
            assert_int_equal(inflate_within(f, f->packed.data, f->packed.len, text.len),
                             WS_INFLATED);
            assert_int_equal(f->plain.len, text.len);
            assert_memory_equal(f->plain.data, text.data, text.len);
        }
    }
    rt_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_examples_of_the_rfc, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_context_of_the_message_before_is_not_there, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_last_block_may_be_followed_by_more, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_bomb_stops_at_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_limit_itself_is_allowed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_what_becomes_smaller_is_compressed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_is_compressed_comes_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
