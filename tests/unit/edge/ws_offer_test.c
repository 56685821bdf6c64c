/* RFC 7692 7.1 and RFC 6455 9.1: offers as clients make them, and the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "edge/ws_offer.h"

#define AGREED "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

static bool read_line(struct ws_offer *offer, const char *value)
{
    return ws_offer_read(offer, (struct rt_span){ (const uint8_t *)value, strlen(value) });
}

/* The answer's extension, "declined", "none" or "malformed". */
static const char *answer_to(const char *value)
{
    static char text[256];
    static const char head[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    static const char name[] = "Sec-WebSocket-Extensions: ";
    struct ws_offer offer = { .made = false };
    struct rt_buf out = { 0 };

    if (!read_line(&offer, value)) {
        return "malformed";
    }
    if (!offer.taken) {
        return offer.made ? "declined" : "none";
    }
    ws_offer_answer(&offer, (struct rt_span){ (const uint8_t *)head, strlen(head) }, &out);
    const char *line = strstr(rt_buf_cstr(&out), name);
    assert_non_null(line);
    assert_memory_equal(out.data, head, strlen(head) - 2);
    (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(line + strlen(name), "\r"),
                   line + strlen(name));
    assert_string_equal(line + strlen(name) + strlen(text), "\r\n\r\n");
    rt_buf_fini(&out);
    return text;
}

static void test_what_clients_offer_is_taken(void **state)
{
    static const char *const offers[] = {
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits", /* browsers, ws */
        "permessage-deflate;client_max_window_bits=15",
        "permessage-deflate; client_max_window_bits=8",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "  permessage-deflate  ;  client_max_window_bits  =  \"1\\0\"  ",
        ",, permessage-deflate ,",
        "x-webkit-deflate-frame, permessage-deflate",
        "foo; bar=\"baz\"; qux, permessage-deflate",
    };

    (void)state;
    for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
        assert_string_equal(answer_to(offers[i]), AGREED);
    }
}

static void test_a_window_that_is_asked_for_is_named(void **state)
{
    (void)state;
    assert_string_equal(answer_to("permessage-deflate; server_max_window_bits=8"),
                        AGREED "; server_max_window_bits=8");
    assert_string_equal(answer_to("permessage-deflate; server_max_window_bits=\"12\""),
                        AGREED "; server_max_window_bits=12");
    assert_string_equal(
        answer_to("permessage-deflate; client_max_window_bits; server_max_window_bits=15"),
        AGREED "; server_max_window_bits=15");
}

static void test_offers_that_cannot_be_kept_are_declined(void **state)
{
    static const char *const offers[] = {
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=10.0",
        "permessage-deflate; server_max_window_bits=100000000000000000000",
        "permessage-deflate; server_max_window_bits=x",
        "permessage-deflate; client_max_window_bits=0",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=1x",
        "permessage-deflate; server_no_context_takeover=true",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; unknown",
        "permessage-deflate; unknown=1",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; SERVER_MAX_WINDOW_BITS=10",
    };

    (void)state;
    for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
        assert_string_equal(answer_to(offers[i]), "declined");
    }
}

static void test_the_first_offer_that_can_be_kept_is_taken(void **state)
{
    struct ws_offer offer = { .made = false };

    (void)state;
    assert_string_equal(answer_to("permessage-deflate; server_max_window_bits=16, "
                                  "permessage-deflate; server_max_window_bits=10, "
                                  "permessage-deflate"),
                        AGREED "; server_max_window_bits=10");
    assert_string_equal(
        answer_to("permessage-deflate, permessage-deflate; server_max_window_bits=10"), AGREED);
    assert_true(read_line(&offer, "permessage-deflate; nothing"));
    assert_true(read_line(&offer, "permessage-deflate; server_max_window_bits=11"));
    assert_true(read_line(&offer, "permessage-deflate"));
    assert_true(offer.taken && offer.window_limited);
    assert_int_equal(offer.window_bits, 11);
}

static void test_other_extensions_are_nothing_to_us(void **state)
{
    (void)state;
    assert_string_equal(answer_to(""), "none");
    assert_string_equal(answer_to("bbf-usp-protocol; eid=\"doc\""), "none");
    assert_string_equal(answer_to("permessage-bzip2, Permessage-Deflate2"), "none");
}

static void test_what_is_no_list_of_extensions_is_malformed(void **state)
{
    static const char *const values[] = {
        ";",
        "permessage-deflate;",
        "permessage-deflate; ;",
        "permessage-deflate; =1",
        "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits=\"",
        "permessage-deflate; client_max_window_bits=\"\"",
        "permessage-deflate; client_max_window_bits=\"1 0\"",
        "permessage-deflate; client_max_window_bits=\"10\\",
        "permessage-deflate; client_max_window_bits=\"10\"0",
        "permessage-deflate client_max_window_bits",
        "\"permessage-deflate\"",
        "permessage-deflate, @",
        "permessage-deflate; a=b=c",
    };

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_string_equal(answer_to(values[i]), "malformed");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_clients_offer_is_taken),
        cmocka_unit_test(test_a_window_that_is_asked_for_is_named),
        cmocka_unit_test(test_offers_that_cannot_be_kept_are_declined),
        cmocka_unit_test(test_the_first_offer_that_can_be_kept_is_taken),
        cmocka_unit_test(test_other_extensions_are_nothing_to_us),
        cmocka_unit_test(test_what_is_no_list_of_extensions_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
