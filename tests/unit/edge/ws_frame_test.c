/* RFC 6455 as the receiving half sees it. Everything is written down as an event per line and compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/ws_frame.h"

enum { MAX_MESSAGE = 100000, FIRST_BUFFER = 16 };

struct fixture {
    struct ws_decoder decoder;
    struct rt_buf wire;   /* what the client sends */
    struct rt_buf events; /* what came out */
    bool stop_at_text;
};

static bool note(struct fixture *f, const char *kind, struct rt_span span)
{
    rt_buf_printf(&f->events, "%s:", kind);
    if (span.len > 40) {
        rt_buf_printf(&f->events, "%c*%zu", span.data[0], span.len);
    } else {
        rt_buf_append(&f->events, span.data, span.len);
    }
    rt_buf_putc(&f->events, ' ');
    return true;
}

static bool on_text(void *ctx, struct rt_span text)
{
    struct fixture *f = ctx;
    (void)note(f, "text", text);
    return !f->stop_at_text;
}

static bool on_ping(void *ctx, struct rt_span payload)
{
    return note(ctx, "ping", payload);
}

static bool on_pong(void *ctx, struct rt_span payload)
{
    return note(ctx, "pong", payload);
}

static bool on_close(void *ctx, unsigned code, struct rt_span reason)
{
    char kind[32];
    (void)snprintf(kind, sizeof(kind), "close %u", code);
    (void)note(ctx, kind, reason);
    return false;
}

static const struct ws_sink sink = {
    .on_text = on_text, .on_ping = on_ping, .on_pong = on_pong, .on_close = on_close
};

static int setup(void **state)
{
    struct fixture *f = rt_alloc(sizeof(*f));
    f->decoder.max_message = MAX_MESSAGE;
    f->decoder.first_buffer = FIRST_BUFFER;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    ws_decoder_fini(&f->decoder);
    rt_buf_fini(&f->wire);
    rt_buf_fini(&f->events);
    free(f);
    return 0;
}

/* A masked client frame; `first` is its first byte: FIN, reserved bits and opcode. */
static void put(struct fixture *f, unsigned first, const char *payload, size_t len)
{
    static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

    rt_buf_putc(&f->wire, (char)first);
    if (len < 126) {
        rt_buf_putc(&f->wire, (char)(0x80 | len));
    } else if (len < 65536) {
        rt_buf_putc(&f->wire, (char)0xfe);
        rt_buf_putc(&f->wire, (char)(len >> 8));
        rt_buf_putc(&f->wire, (char)len);
    } else {
        rt_buf_putc(&f->wire, (char)0xff);
        for (int shift = 56; shift >= 0; shift -= 8) {
            rt_buf_putc(&f->wire, (char)((uint64_t)len >> shift));
        }
    }
    rt_buf_append(&f->wire, mask, sizeof(mask));
    for (size_t i = 0; i < len; i++) {
        rt_buf_putc(&f->wire, (char)((uint8_t)payload[i] ^ mask[i % 4]));
    }
}

static void put_text(struct fixture *f, unsigned first, const char *payload)
{
    put(f, first, payload, strlen(payload));
}

static void put_bytes(struct fixture *f, const void *bytes, size_t len)
{
    rt_buf_append(&f->wire, bytes, len);
}

/* Feeds a copy, `piece` bytes at a time. Returns the close code of the fault, or 0. */
static unsigned feed(struct fixture *f, size_t piece)
{
    const struct ws_fault *fault = NULL;

    for (size_t at = 0; at < f->wire.len && fault == NULL; at += piece) {
        size_t len = f->wire.len - at < piece ? f->wire.len - at : piece;
        uint8_t *copy = rt_alloc(len);
        memcpy(copy, f->wire.data + at, len);
        fault = ws_decoder_feed(&f->decoder, copy, len, &sink, f);
        free(copy);
    }
    return fault != NULL ? fault->code : 0;
}

static unsigned feed_all(struct fixture *f)
{
    return feed(f, f->wire.len);
}

static const char *events(struct fixture *f)
{
    return rt_buf_cstr(&f->events);
}

static void assert_fault(struct fixture *f, unsigned code)
{
    assert_int_equal(feed_all(f), code);
    assert_null(f->decoder.under_way);
}

static void test_text_message_comes_out_unmasked(void **state)
{
    struct fixture *f = *state;
    put_text(f, 0x81, "hello");

    assert_int_equal(feed_all(f), 0);

    assert_string_equal(events(f), "text:hello ");
}

static void test_nothing_is_kept_between_messages(void **state)
{
    struct fixture *f = *state;
    put_text(f, 0x01, "a");
    put_text(f, 0x80, "b");
    put_text(f, 0x89, "p");

    assert_int_equal(feed(f, 1), 0);

    assert_null(f->decoder.under_way);
}

static void test_empty_message_is_a_message(void **state)
{
    struct fixture *f = *state;
    put_text(f, 0x81, "");
    put_text(f, 0x01, "");
    put_text(f, 0x80, "");

    assert_int_equal(feed_all(f), 0);

    assert_string_equal(events(f), "text: text: ");
}

static void test_fragments_are_joined_with_control_frames_between(void **state)
{
    struct fixture *f = *state;
    put_text(f, 0x01, "one ");
    put_text(f, 0x89, "are you there");
    put_text(f, 0x00, "two ");
    put_text(f, 0x8a, "");
    put_text(f, 0x80, "three");
    put_text(f, 0x81, "next");

    assert_int_equal(feed_all(f), 0);

    assert_string_equal(events(f), "ping:are you there pong: text:one two three text:next ");
}

static void test_every_way_to_cut_the_stream_gives_the_same_events(void **state)
{
    struct fixture *f = *state;
    char *large = rt_alloc(70001);
    memset(large, 'L', 70000);
    put_text(f, 0x01, "caf\xc3");
    put_text(f, 0x89, "p");
    put_text(f, 0x80, "\xa9");
    put(f, 0x81, large, 200);
    put(f, 0x81, large, 70000);
    put_text(f, 0x88,
             "\x03\xe8"
             "bye");

    for (size_t piece = 1; piece < 40; piece++) {
        rt_buf_clear(&f->events);
        assert_int_equal(feed(f, piece), 0);
        assert_string_equal(events(f),
                            "ping:p text:caf\xc3\xa9 text:L*200 text:L*70000 close 1000:bye ");
    }
    free(large);
}

static void test_message_of_the_largest_size_passes_and_one_byte_more_does_not(void **state)
{
    struct fixture *f = *state;
    char *large = rt_alloc(MAX_MESSAGE + 1);
    memset(large, 'x', MAX_MESSAGE + 1);
    put(f, 0x81, large, MAX_MESSAGE);
    assert_int_equal(feed_all(f), 0);
    assert_string_equal(events(f), "text:x*100000 ");
    rt_buf_clear(&f->wire);

    put(f, 0x81, large, MAX_MESSAGE + 1);
    f->wire.len = 14; /* the header alone is enough */
    free(large);

    assert_fault(f, 1009);
}

static void test_fragments_that_are_too_long_together_are_refused(void **state)
{
    struct fixture *f = *state;
    char *part = rt_alloc(60000);
    memset(part, 'x', 60000);
    put(f, 0x01, part, 60000);
    put(f, 0x80, part, 60000);
    free(part);

    assert_fault(f, 1009);
    assert_string_equal(events(f), "");
}

static void test_limit_that_falls_below_what_has_come_is_kept(void **state)
{
    struct fixture *f = *state;
    char part[1000] = "";
    memset(part, 'x', sizeof(part));
    put(f, 0x01, part, sizeof(part));
    assert_int_equal(feed_all(f), 0);
    rt_buf_clear(&f->wire);

    f->decoder.max_message = 500;
    put_text(f, 0x80, "x");
    assert_fault(f, 1009);
    assert_string_equal(events(f), "");
}

static void test_promised_length_is_not_allocated(void **state)
{
    struct fixture *f = *state;
    put_bytes(f, "\x81\xff\x00\x00\x00\x00\x00\x01\x80\x00mask", 14);
    put_bytes(f, "x", 1);

    assert_int_equal(feed_all(f), 0); /* 98304 bytes promised, one came */

    assert_non_null(f->decoder.under_way);
}

static void test_unmasked_frame_is_refused(void **state)
{
    struct fixture *f = *state;
    put_bytes(f, "\x81\x02hi", 4);

    assert_fault(f, 1002);
}

static void test_reserved_bits_are_refused(void **state)
{
    struct fixture *f = *state;

    for (unsigned bit = 0x10; bit <= 0x40; bit <<= 1) {
        rt_buf_clear(&f->wire);
        put_text(f, 0x81 | bit, "x");
        assert_fault(f, 1002);
    }
}

static void test_reserved_opcodes_are_refused(void **state)
{
    struct fixture *f = *state;

    for (unsigned opcode = 3; opcode < 16; opcode++) {
        if (opcode < 8 || opcode > 10) {
            rt_buf_clear(&f->wire);
            put_text(f, 0x80 | opcode, "x");
            assert_fault(f, 1002);
        }
    }
}

static void test_binary_is_refused_with_its_own_code(void **state)
{
    struct fixture *f = *state;
    put_text(f, 0x82, "x");

    assert_fault(f, 1003);
}

static void test_control_frame_must_be_whole_and_short(void **state)
{
    struct fixture *f = *state;
    char payload[126];
    memset(payload, 'p', sizeof(payload));
    put(f, 0x89, payload, 125);
    assert_int_equal(feed_all(f), 0);
    rt_buf_clear(&f->wire);
    put(f, 0x89, payload, 126);
    assert_fault(f, 1002);
    rt_buf_clear(&f->wire);

    put_text(f, 0x09, "p");

    assert_fault(f, 1002);
}

static void test_lengths_must_have_their_shortest_form(void **state)
{
    struct fixture *f = *state;
    put_bytes(f, "\x81\xfe\x00\x7dmask", 8);
    assert_fault(f, 1002);
    rt_buf_clear(&f->wire);

    put_bytes(f, "\x81\xff\x00\x00\x00\x00\x00\x00\xff\xffmask", 14);

    assert_fault(f, 1002);
}

static void test_length_past_63_bits_is_a_protocol_error(void **state)
{
    struct fixture *f = *state;
    put_bytes(f, "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00mask", 14);
    assert_fault(f, 1002);
    rt_buf_clear(&f->wire);

    put_bytes(f, "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask", 14);

    assert_fault(f, 1009);
}

static void test_order_of_fragments_is_checked(void **state)
{
    struct fixture *f = *state;
    put_text(f, 0x80, "continues nothing");
    assert_fault(f, 1002);
    rt_buf_clear(&f->wire);

    put_text(f, 0x01, "begins");
    put_text(f, 0x81, "begins again");

    assert_fault(f, 1002);
}

static void test_text_must_be_utf8(void **state)
{
    struct fixture *f = *state;
    put_text(f, 0x81, "ok \xff");
    assert_fault(f, 1007);
    rt_buf_clear(&f->wire);
    put_text(f, 0x81, "cut \xe2\x82");
    assert_fault(f, 1007);
    rt_buf_clear(&f->wire);

    put_text(f, 0x01, "\xed\xa0\x80"); /* said before the message ends */

    assert_fault(f, 1007);
}

static void test_utf8_state_does_not_leak_into_the_next_message(void **state)
{
    struct fixture *f = *state;
    put_text(f, 0x01, "\xe2\x82");
    put_text(f, 0x80, "\xac");
    put_text(f, 0x01, "a");
    put_text(f, 0x80, "b");

    assert_int_equal(feed(f, 3), 0);

    assert_string_equal(events(f), "text:\xe2\x82\xac text:ab ");
}

static void test_close_without_a_code_is_a_close(void **state)
{
    struct fixture *f = *state;
    put_text(f, 0x88, "");
    put_text(f, 0x81, "ignored");

    assert_int_equal(feed_all(f), 0);

    assert_string_equal(events(f), "close 1005: ");
}

static void test_close_frame_contents_are_checked(void **state)
{
    struct fixture *f = *state;
    put_text(f, 0x88, "\x03");
    assert_fault(f, 1002);
    rt_buf_clear(&f->wire);
    put_text(f, 0x88, "\x03\xed"); /* 1005 is never sent */
    assert_fault(f, 1002);
    rt_buf_clear(&f->wire);

    put_text(f, 0x88, "\x03\xe8\xff");

    assert_fault(f, 1007);
}

static void test_close_codes_are_those_of_the_register(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 66000; code++) {
        bool known =
            (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
            (code >= 3000 && code < 5000);
        assert_int_equal(ws_close_code_valid(code), known);
    }
}

static void test_receiver_may_stop_in_the_middle_of_the_input(void **state)
{
    struct fixture *f = *state;
    f->stop_at_text = true;
    put_text(f, 0x81, "first");
    put_text(f, 0x81, "second");

    assert_int_equal(feed_all(f), 0);

    assert_string_equal(events(f), "text:first ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text_message_comes_out_unmasked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_kept_between_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty_message_is_a_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fragments_are_joined_with_control_frames_between,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_way_to_cut_the_stream_gives_the_same_events,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_message_of_the_largest_size_passes_and_one_byte_more_does_not, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit_that_falls_below_what_has_come_is_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_fragments_that_are_too_long_together_are_refused,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_promised_length_is_not_allocated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unmasked_frame_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reserved_bits_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reserved_opcodes_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_binary_is_refused_with_its_own_code, setup, teardown),
        cmocka_unit_test_setup_teardown(test_control_frame_must_be_whole_and_short, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_lengths_must_have_their_shortest_form, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_length_past_63_bits_is_a_protocol_error, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_order_of_fragments_is_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_must_be_utf8, setup, teardown),
        cmocka_unit_test_setup_teardown(test_utf8_state_does_not_leak_into_the_next_message, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_close_without_a_code_is_a_close, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_frame_contents_are_checked, setup, teardown),
        cmocka_unit_test(test_close_codes_are_those_of_the_register),
        cmocka_unit_test_setup_teardown(test_receiver_may_stop_in_the_middle_of_the_input, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
