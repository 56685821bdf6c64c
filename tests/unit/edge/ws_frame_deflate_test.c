/* Compressed and binary messages as the receiving half sees them. Client frames are masked with zeros here: what masking does is
 * ws_frame_test.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/ws_frame.h"

enum { MAX_MESSAGE = 4096 };
enum { FIN = 0x80, RSV1 = 0x40, RSV2 = 0x20, CONTINUE = 0, TEXT = 1, BINARY = 2, PING = 9 };
#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00" /* RFC 7692 7.2.3.1 */

struct fixture {
    struct ws_decoder decoder;
    struct ws_inflater *inflater;
    struct rt_buf wire;
    struct rt_buf events;
};

static bool note(struct fixture *f, const char *kind, struct rt_span span)
{
    rt_buf_printf(&f->events, "%s:", kind);
    if (span.len > 40) {
        rt_buf_printf(&f->events, "*%zu", span.len);
    } else {
        rt_buf_append(&f->events, span.data, span.len);
    }
    rt_buf_putc(&f->events, ' ');
    return true;
}

static bool on_text(void *ctx, struct rt_span text)
{
    return note(ctx, "text", text);
}

static bool on_binary(void *ctx, struct rt_span data)
{
    return note(ctx, "binary", data);
}

static void on_inflated(void *ctx, enum ws_inflated result, size_t from, size_t to)
{
    struct fixture *f = ctx;
    rt_buf_printf(&f->events, "inflated %d %zu-%zu ", result, from, to);
}

static bool on_ping(void *ctx, struct rt_span payload)
{
    return note(ctx, "ping", payload);
}

static const struct ws_sink sink = {
    .on_text = on_text, .on_binary = on_binary, .on_inflated = on_inflated, .on_ping = on_ping
};

static int setup(void **state)
{
    struct fixture *f = rt_alloc(sizeof(*f));
    f->inflater = ws_inflater_new();
    f->decoder.max_message = MAX_MESSAGE;
    f->decoder.first_buffer = 16;
    f->decoder.inflater = f->inflater;
    f->decoder.binary = true;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    ws_decoder_fini(&f->decoder);
    ws_inflater_free(f->inflater);
    rt_buf_fini(&f->wire);
    rt_buf_fini(&f->events);
    free(f);
    return 0;
}

static void put(struct fixture *f, unsigned first, const void *payload, size_t len)
{
    rt_buf_putc(&f->wire, (char)first);
    if (len < 126) {
        rt_buf_putc(&f->wire, (char)(0x80 | len));
    } else {
        rt_buf_putc(&f->wire, (char)0xfe);
        rt_buf_putc(&f->wire, (char)(len >> 8));
        rt_buf_putc(&f->wire, (char)len);
    }
    rt_buf_append(&f->wire, "\0\0\0\0", 4);
    rt_buf_append(&f->wire, payload, len);
}

/* What comes of it, `piece` bytes at a time. Returns the close code, or 0. */
static unsigned feed(struct fixture *f, size_t piece)
{
    const struct ws_fault *fault = NULL;

    rt_buf_clear(&f->events);
    for (size_t at = 0; at < f->wire.len && fault == NULL; at += piece) {
        size_t len = f->wire.len - at < piece ? f->wire.len - at : piece;
        uint8_t *copy = rt_alloc(len);
        memcpy(copy, f->wire.data + at, len);
        fault = ws_decoder_feed(&f->decoder, copy, len, &sink, f);
        free(copy);
    }
    assert_null(f->decoder.under_way);
    return fault != NULL ? fault->code : 0;
}

/* The same at once and in every size of piece. */
static void assert_comes(struct fixture *f, unsigned code, const char *events)
{
    size_t most = f->wire.len < 40 ? f->wire.len : 40;

    assert_int_equal(feed(f, f->wire.len), code);
    assert_string_equal(rt_buf_cstr(&f->events), events);
    for (size_t piece = 1; piece < most; piece++) {
        assert_int_equal(feed(f, piece), code);
        assert_string_equal(rt_buf_cstr(&f->events), events);
    }
    rt_buf_clear(&f->wire);
}

static void test_a_compressed_message(void **state)
{
    struct fixture *f = *state;

    put(f, FIN | RSV1 | TEXT, HELLO, 7);
    put(f, FIN | RSV1 | BINARY, HELLO, 7);
    put(f, FIN | TEXT, "plain", 5);
    put(f, FIN | RSV1 | TEXT, "", 1);
    assert_comes(f, 0,
                 "inflated 0 7-5 text:Hello inflated 0 7-5 binary:Hello text:plain "
                 "inflated 0 1-0 text: ");
}

static void test_fragments_with_a_ping_between_them(void **state)
{
    struct fixture *f = *state;

    put(f, RSV1 | TEXT, HELLO, 3);
    put(f, FIN | PING, "there", 5);
    put(f, CONTINUE, &HELLO[3], 2);
    put(f, CONTINUE, "", 0);
    put(f, FIN | CONTINUE, &HELLO[5], 2);
    put(f, TEXT, "a", 1);
    put(f, FIN | CONTINUE, "b", 1);
    assert_comes(f, 0, "ping:there inflated 0 7-5 text:Hello text:ab ");
}

static void test_reserved_bits_elsewhere(void **state)
{
    struct fixture *f = *state;

    put(f, FIN | RSV1 | PING, "", 0);
    assert_comes(f, 1002, "");
    put(f, RSV1 | TEXT, HELLO, 3);
    put(f, FIN | RSV1 | CONTINUE, &HELLO[3], 4);
    assert_comes(f, 1002, "");
    put(f, FIN | RSV1 | RSV2 | TEXT, HELLO, 7);
    assert_comes(f, 1002, "");
    put(f, FIN | RSV2 | TEXT, HELLO, 7);
    assert_comes(f, 1002, "");
    put(f, FIN | RSV1 | 3, HELLO, 7);
    assert_comes(f, 1002, "");
    f->decoder.inflater = NULL;
    put(f, FIN | RSV1 | TEXT, HELLO, 7);
    assert_comes(f, 1002, "");
}

static void test_binary_is_refused_where_it_is_not_wanted(void **state)
{
    struct fixture *f = *state;

    put(f, FIN | BINARY, "\xff\x00", 2);
    assert_comes(f, 0, (const char[]){ "binary:\xff" });
    f->decoder.binary = false;
    put(f, FIN | BINARY, "x", 1);
    assert_comes(f, 1003, "");
    put(f, FIN | RSV1 | BINARY, HELLO, 7);
    assert_comes(f, 1003, "");
}

static void test_text_is_looked_at_when_it_is_decompressed(void **state)
{
    struct fixture *f = *state;

    put(f, FIN | RSV1 | TEXT, "\x00\x02\x00\xfd\xff\xc3\xa4\x00", 8);
    assert_comes(f, 0, "inflated 0 8-2 text:\xc3\xa4 ");
    put(f, FIN | RSV1 | TEXT, "\x00\x01\x00\xfe\xff\xc3\x00", 7);
    assert_comes(f, 1007, "inflated 0 7-1 ");
    put(f, FIN | RSV1 | BINARY, "\x00\x01\x00\xfe\xff\xc3\x00", 7);
    assert_comes(f, 0, "inflated 0 7-1 binary:\xc3 ");
    put(f, FIN | RSV1 | TEXT, HELLO, 6);
    put(f, FIN | TEXT, "never", 5);
    assert_comes(f, 1007, "inflated 1 6-5 ");
}

static void put_zeros(struct fixture *f, size_t len)
{
    struct ws_deflater *deflater = ws_deflater_new(9);
    struct rt_buf packed = { 0 };
    uint8_t *zeros = rt_alloc(len);

    assert_true(ws_deflate(deflater, (struct rt_span){ zeros, len }, &packed));
    put(f, FIN | RSV1 | TEXT, packed.data, packed.len);
    free(zeros);
    rt_buf_fini(&packed);
    ws_deflater_free(deflater);
}

static void test_the_limit_is_that_of_the_decompressed_message(void **state)
{
    struct fixture *f = *state;
    char noise[MAX_MESSAGE + 20];

    put_zeros(f, MAX_MESSAGE);
    assert_int_equal(feed(f, f->wire.len), 0);
    assert_non_null(strstr(rt_buf_cstr(&f->events), "-4096 text:*4096 "));
    rt_buf_clear(&f->wire);
    put_zeros(f, MAX_MESSAGE + 1);
    assert_int_equal(feed(f, f->wire.len), 1009);
    rt_buf_clear(&f->wire);
    put_zeros(f, 100000);
    assert_int_equal(feed(f, f->wire.len), 1009);
    assert_non_null(strstr(rt_buf_cstr(&f->events), "-4097 "));
    rt_buf_clear(&f->wire);

    /* A stored block is longer than what is in it. */
    memset(noise, 'x', sizeof noise);
    memcpy(noise, "\x00\x00\x10\xff\xef", 5);
    noise[5 + MAX_MESSAGE] = 0;
    put(f, FIN | RSV1 | TEXT, noise, 5 + MAX_MESSAGE + 1);
    assert_int_equal(feed(f, f->wire.len), 0);
    assert_string_equal(rt_buf_cstr(&f->events), "inflated 0 4102-4096 text:*4096 ");
}

static void test_too_much_is_known_from_the_header(void **state)
{
    struct fixture *f = *state;

    rt_buf_append(&f->wire, "\xc1\xfe\x15\x01\0\0\0\0",
                  8); /* 5377: a quarter and 256 more, and one */
    assert_comes(f, 1009, "");
    rt_buf_append(&f->wire, "\xc1\xfe\x15\x00\0\0\0\0", 8);
    uint8_t copy[8];
    memcpy(copy, f->wire.data, sizeof copy);
    assert_null(ws_decoder_feed(&f->decoder, copy, sizeof copy, &sink, f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_compressed_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fragments_with_a_ping_between_them, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reserved_bits_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_binary_is_refused_where_it_is_not_wanted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_text_is_looked_at_when_it_is_decompressed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_limit_is_that_of_the_decompressed_message, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_too_much_is_known_from_the_header, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
