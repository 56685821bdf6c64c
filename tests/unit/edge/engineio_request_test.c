/* tests/unit/edge/engineio_request_test.c - request heads, arguments and packets: what a request wants, and what it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/engineio/packet.h"
#include "edge/engineio/request.h"

#define SID "AAAAAABBBBBBBBBBBB-_"

static struct rt_span span(const char *text)
{
    return (struct rt_span){ (const uint8_t *)text, strlen(text) };
}

static void test_the_head(void **state)
{
    struct http_request request;
    struct rt_span value;
    char text[16];

    (void)state;
    http_request_read(span("POST /a%20b?x=1&y=a%2Bb+c&z HTTP/1.1\r\nHost: h\r\nCookie: a\r\n"
                           "COOKIE:  b \r\nContent-Length: 12\r\nConnection: foo, Close\r\n\r\n"),
                      &request);
    assert_memory_equal(request.path.data, "/a%20b", request.path.len);
    assert_int_equal(request.body_len, 12);
    assert_false(request.keep_alive || request.strange_body || request.upgrade);
    assert_true(http_request_header(&request, "cookie", 1, &value));
    assert_int_equal(value.len, 1);
    assert_memory_equal(value.data, "b", 1);
    assert_false(http_request_header(&request, "cookie", 2, &value));
    assert_true(http_request_argument(&request, "y", text, sizeof text));
    assert_string_equal(text, "a+b c");
    assert_true(http_request_argument(&request, "z", text, sizeof text));
    assert_string_equal(text, "");
    assert_false(http_request_argument(&request, "w", text, sizeof text));
    assert_false(http_request_argument(&request, "y", text, 5)); /* does not fit */
}

/* Where a body ends must not be a matter of opinion. */
static void test_bodies_of_unknown_length(void **state)
{
    static const char *const lines[] = {
        "Transfer-Encoding: chunked",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: -1",
        "Content-Length: 1x",
        "Content-Length:",
        "Content-Length: 1, 1",
        "Content-Length: 9999999999999999999999",
        "Content-Length: 1\r\nTransfer-Encoding: identity",
    };
    struct http_request request;
    char head[200];

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        (void)snprintf(head, sizeof head, "POST / HTTP/1.1\r\n%s\r\n\r\n", lines[i]);
        http_request_read(span(head), &request);
        assert_true(request.strange_body);
    }
}

static void check(const char *method, const char *query, bool upgrade, enum eio_wish wish,
                  enum eio_code code)
{
    struct http_request request;
    struct eio_request got;
    char head[300];

    (void)snprintf(head, sizeof head, "%s /socket.io/?%s HTTP/1.1\r\n%s\r\n", method, query,
                   upgrade ? "Upgrade: websocket\r\n" : "");
    http_request_read(span(head), &request);
    eio_request_read(&request, &got);
    assert_int_equal(got.wish, wish);
    if (wish == EIO_WISH_BAD) {
        assert_int_equal(got.code, code);
    }
}

static void test_wishes(void **state)
{
    (void)state;
#define POLLING   "EIO=4&transport=polling"
#define WEBSOCKET "EIO=4&transport=websocket"
    check("GET", POLLING, false, EIO_WISH_OPEN, 0);
    check("GET", POLLING "&t=x&b64=1", false, EIO_WISH_OPEN, 0);
    check("GET", POLLING "&sid=", false, EIO_WISH_OPEN, 0);
    check("GET", WEBSOCKET, true, EIO_WISH_OPEN, 0);
    check("GET", POLLING "&sid=" SID, false, EIO_WISH_POLL, 0);
    check("POST", POLLING "&sid=" SID, false, EIO_WISH_POST, 0);
    check("GET", WEBSOCKET "&sid=" SID, true, EIO_WISH_UPGRADE, 0);
    check("OPTIONS", "", false, EIO_WISH_PREFLIGHT, 0);
    check("GET", "", false, EIO_WISH_BAD, EIO_UNKNOWN_TRANSPORT);
    check("GET", "EIO=4&transport=pollin", false, EIO_WISH_BAD, EIO_UNKNOWN_TRANSPORT);
    check("GET", "EIO=4&transport=webtransport", false, EIO_WISH_BAD, EIO_UNKNOWN_TRANSPORT);
    check("GET", POLLING "&sid=x", false, EIO_WISH_BAD, EIO_UNKNOWN_SID);
    check("GET", POLLING "&sid=AAAAAABBBBBBBBBBBBBB%2F", false, EIO_WISH_BAD, EIO_UNKNOWN_SID);
    check("GET", POLLING "&sid=AAAAAABBBBBBBBBBBBBBBBBBBBBBBBB", false, EIO_WISH_BAD,
          EIO_UNKNOWN_SID);
    check("POST", POLLING, false, EIO_WISH_BAD, EIO_BAD_METHOD);
    check("DELETE", POLLING "&sid=" SID, false, EIO_WISH_BAD, EIO_BAD_REQUEST);
    check("GET", WEBSOCKET, false, EIO_WISH_BAD, EIO_BAD_REQUEST);
    check("GET", POLLING, true, EIO_WISH_BAD, EIO_BAD_REQUEST);
    check("GET", WEBSOCKET "&sid=" SID, false, EIO_WISH_BAD, EIO_BAD_REQUEST);
    check("GET", "EIO=3&transport=polling", false, EIO_WISH_BAD, EIO_BAD_VERSION);
    check("GET", "EIO=44&transport=polling", false, EIO_WISH_BAD, EIO_BAD_VERSION);
    check("GET", "transport=polling", false, EIO_WISH_BAD, EIO_BAD_VERSION);
}

static void test_preflights(void **state)
{
    struct http_request request;
    struct rt_buf headers = { 0 };

    (void)state;
    http_request_read(span("OPTIONS / HTTP/1.1\r\nAccess-Control-Request-Headers: a-B,c_1\r\n\r\n"),
                      &request);
    eio_preflight_headers(&request, &headers);
    assert_non_null(strstr(rt_buf_cstr(&headers), "Access-Control-Allow-Headers: a-B,c_1\r\n"));
    rt_buf_clear(&headers);
    http_request_read(span("OPTIONS / HTTP/1.1\r\nAccess-Control-Request-Headers: a:b\r\n\r\n"),
                      &request);
    eio_preflight_headers(&request, &headers);
    assert_null(strstr(rt_buf_cstr(&headers), "Allow-Headers"));
    rt_buf_fini(&headers);
}

static void test_packets(void **state)
{
    struct eio_packet packet;
    struct eio_body body = eio_body_of(span("4a\x1e\x1e"
                                            "3"));
    struct rt_span text;

    (void)state;
    assert_true(eio_packet_read(span("4abc"), &packet));
    assert_int_equal(packet.type, EIO_MESSAGE);
    assert_int_equal(packet.text.len, 3);
    assert_false(eio_packet_read(span(""), &packet));
    assert_false(eio_packet_read(span("7"), &packet));
    assert_false(eio_packet_read(span("bAAA"), &packet));
    assert_true(eio_body_next(&body, &text) && text.len == 2);
    assert_true(eio_body_next(&body, &text) && text.len == 0);
    assert_true(eio_body_next(&body, &text) && text.len == 1);
    assert_false(eio_body_next(&body, &text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_head), cmocka_unit_test(test_bodies_of_unknown_length),
        cmocka_unit_test(test_wishes),   cmocka_unit_test(test_preflights),
        cmocka_unit_test(test_packets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
