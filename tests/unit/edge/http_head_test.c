/* Which request heads get as far as libwebsockets, and what is left of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/http_head.h"
#include "runtime/buf.h"

struct result {
    const char *wrong;
    struct http_head head;
    char left[1024];
};

static struct result check(const char *text, size_t len)
{
    struct result result = { NULL, { .method = HTTP_OTHER }, "" };
    uint8_t *copy = rt_alloc(len);

    memcpy(copy, text, len);
    result.wrong = http_head_check(copy, len, &result.head);
    if (result.wrong == NULL) {
        assert_true(result.head.len <= len && result.head.len < sizeof(result.left));
        memcpy(result.left, copy, result.head.len);
    }
    free(copy);
    return result;
}

static struct result check_text(const char *text)
{
    return check(text, strlen(text));
}

static void assert_refused(const char *text)
{
    if (check_text(text).wrong == NULL) {
        fail_msg("not refused: %s", text);
    }
}

static void test_only_lines_that_matter_are_left(void **state)
{
    (void)state;
    struct result result =
        check_text("GET /realtime?token=t HTTP/1.1\r\n"
                   "Host: example\r\nX: breaks libwebsockets\r\nCookie: a=b\r\n"
                   "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
                   "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: x\r\n"
                   "sec-websocket-key: k\r\nSec-WebSocket-Version: 13\r\n"
                   "Authorization: Bearer t\r\n\r\n");

    assert_null(result.wrong);
    assert_string_equal(result.left, "GET /realtime?token=t HTTP/1.1\r\n"
                                     "Host: example\r\n"
                                     "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
                                     "sec-websocket-key: k\r\nSec-WebSocket-Version: 13\r\n"
                                     "Authorization: Bearer t\r\n\r\n");
    assert_true(result.head.upgrade);
    assert_int_equal(result.head.method, HTTP_GET);
}

static void test_upgrade_to_anything_else_is_a_plain_request(void **state)
{
    (void)state;
    struct result result =
        check_text("GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n");

    assert_null(result.wrong);
    assert_false(result.head.upgrade);
    assert_string_equal(result.left, "GET / HTTP/1.1\r\n\r\n");
}

static void test_methods_are_told_apart(void **state)
{
    (void)state;

    assert_int_equal(check_text("HEAD / HTTP/1.0\r\n\r\n").head.method, HTTP_HEAD);
    assert_int_equal(check_text("POST / HTTP/1.1\r\n\r\n").head.method, HTTP_OTHER);
    assert_int_equal(check_text("get / HTTP/1.1\r\n\r\n").head.method, HTTP_OTHER);
}

static void test_bodies_are_noticed(void **state)
{
    (void)state;

    assert_false(check_text("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").head.has_body);
    assert_true(check_text("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n").head.has_body);
    assert_true(check_text("GET / HTTP/1.1\r\ncontent-length: 0x0\r\n\r\n").head.has_body);
    assert_true(check_text("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").head.has_body);
}

static void test_malformed_heads_are_refused(void **state)
{
    (void)state;

    assert_refused("\r\n\r\n");
    assert_refused("GET\r\n\r\n");
    assert_refused("GET /\r\n\r\n");
    assert_refused("GET  / HTTP/1.1\r\n\r\n");
    assert_refused("GET / HTTP/2.0\r\n\r\n");
    assert_refused("GET / HTTP/1.1 \r\n\r\n");
    assert_refused("GET http://example/ HTTP/1.1\r\n\r\n");
    assert_refused("PRI * HTTP/2.0\r\n\r\n");
    assert_refused("CONNECT example:80 HTTP/1.1\r\n\r\n");
    assert_refused("GET / HTTP/1.1\r\nno colon\r\n\r\n");
    assert_refused("GET / HTTP/1.1\r\nHost : spaced\r\n\r\n");
    assert_refused("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n");
    assert_refused("GET / HTTP/1.1\r\n: nameless\r\n\r\n");
    assert_refused("GET / HTTP/1.1\r\nA: bare\rreturn\r\n\r\n");
    assert_refused("GET / HTTP/1.1\r\nA: bare\nline\r\n\r\n");
    assert_refused("GET /\x01 HTTP/1.1\r\n\r\n");
    static const char nul[] = "GET / HTTP/1.1\r\nA: \0\r\n\r\n";
    assert_non_null(check(nul, sizeof(nul) - 1).wrong);
}

static void test_end_of_a_head_is_found_however_it_arrives(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\nA: b\r\n\r\nrest";
    size_t end = sizeof(text) - 1 - 4;

    for (size_t cut = 0; cut < end; cut++) {
        assert_int_equal(http_head_length((const uint8_t *)text, cut, 0), 0);
        assert_int_equal(http_head_length((const uint8_t *)text, sizeof(text) - 1, cut), end);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_lines_that_matter_are_left),
        cmocka_unit_test(test_upgrade_to_anything_else_is_a_plain_request),
        cmocka_unit_test(test_methods_are_told_apart),
        cmocka_unit_test(test_bodies_are_noticed),
        cmocka_unit_test(test_malformed_heads_are_refused),
        cmocka_unit_test(test_end_of_a_head_is_found_however_it_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
