/* What libwebsockets makes of a request: the RFC's own example, tokens, and what it must not accept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge/handshake.h"
#include "runtime/log.h"

#define HOST       "Host: example\r\n"
#define UPGRADE    "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
#define KEY        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION_13 "Sec-WebSocket-Version: 13\r\n"

struct fixture {
    struct rt_log *log;
    struct handshake *hs;
};

static int setup(void **state)
{
    struct fixture *f = rt_alloc(sizeof(*f));

    f->log = rt_log_new("test", RT_LOG_ERROR, RT_LOG_KV);
    f->hs = handshake_new(f->log);
    *state = f;
    return f->hs == NULL;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    handshake_free(f->hs);
    rt_log_free(f->log);
    free(f);
    return 0;
}

static const struct handshake_request *run(struct fixture *f, const char *line, const char *headers)
{
    struct http_head head = { .method = HTTP_OTHER };
    char text[20000];
    int len = snprintf(text, sizeof(text), "%s HTTP/1.1\r\n%s\r\n", line, headers);

    assert_null(http_head_check((uint8_t *)text, (size_t)len, &head));
    return handshake_run(f->hs, &head, (const uint8_t *)text);
}

static void test_handshake_of_the_rfc_gets_the_answer_of_the_rfc(void **state)
{
    struct fixture *f = *state;

    const struct handshake_request *request = run(f, "GET /realtime", HOST UPGRADE KEY VERSION_13);

    assert_non_null(request);
    assert_true(request->established);
    assert_true(request->version_13);
    assert_string_equal(request->path, "/realtime");
    assert_memory_equal(request->response.data, "HTTP/1.1 101 ", 13);
    assert_non_null(memmem(request->response.data, request->response.len,
                           "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", 52));
    assert_memory_equal(request->response.data + request->response.len - 4, "\r\n\r\n", 4);
}

static void test_offered_subprotocols_and_extensions_are_ignored(void **state)
{
    struct fixture *f = *state;

    const struct handshake_request *request =
        run(f, "GET /realtime",
            HOST UPGRADE KEY VERSION_13 "Sec-WebSocket-Protocol: a, b\r\n"
                                        "Sec-WebSocket-Extensions: permessage-deflate\r\n");

    assert_true(request->established);
    assert_null(
        memmem(request->response.data, request->response.len, "Sec-WebSocket-Protocol", 22));
    assert_null(
        memmem(request->response.data, request->response.len, "Sec-WebSocket-Extensions", 24));
}

static void test_incomplete_handshakes_are_not_established(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[] = {
        UPGRADE KEY VERSION_13,                       /* no Host */
        HOST "Upgrade: websocket\r\n" KEY VERSION_13, /* no Connection */
        HOST "Upgrade: websocket\r\nConnection: close\r\n" KEY VERSION_13,
        HOST UPGRADE VERSION_13, /* no key */
        HOST UPGRADE VERSION_13 "Sec-WebSocket-Key: c2hvcnQ=\r\n",
        HOST UPGRADE VERSION_13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=!\r\n",
        HOST UPGRADE KEY, /* no version */
        HOST UPGRADE KEY "Sec-WebSocket-Version: 8\r\n",
        HOST UPGRADE KEY "Sec-WebSocket-Version: 130\r\n",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const struct handshake_request *request = run(f, "GET /realtime", wrong[i]);
        if (request != NULL && request->established) {
            fail_msg("established: %s", wrong[i]);
        }
    }
}

static void test_other_version_is_known_as_such(void **state)
{
    struct fixture *f = *state;

    const struct handshake_request *request =
        run(f, "GET /realtime", HOST UPGRADE KEY "Sec-WebSocket-Version: 8\r\n");

    assert_non_null(request);
    assert_false(request->version_13);
}

static void test_plain_requests_are_parsed_and_not_answered(void **state)
{
    struct fixture *f = *state;

    const struct handshake_request *request = run(f, "HEAD /a%20b?x=1", HOST);

    assert_non_null(request);
    assert_string_equal(request->path, "/a b");
    assert_false(request->established);
    assert_int_equal(request->response.len, 0);
}

static void test_whole_transactions_are_asked_for_in_the_query(void **state)
{
    struct fixture *f = *state;
    static const char *const with[] = { "GET /realtime?transactions=true",
                                        "GET /realtime?a=1&token=x&transactions=true&b",
                                        "GET /realtime?&&transactions=%74rue" };
    static const char *const without[] = { "GET /realtime", "GET /realtime?transactions=false",
                                           "GET /realtime?transactions=true1&xtransactions=true",
                                           "GET /transactions=true?transactions" };

    for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
        assert_true(run(f, with[i], HOST UPGRADE KEY VERSION_13)->transactions);
    }
    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        assert_false(run(f, without[i], HOST UPGRADE KEY VERSION_13)->transactions);
    }
    const struct handshake_request *request =
        run(f, "GET /realtime?transactions=true&token=query", HOST UPGRADE KEY VERSION_13);
    assert_true(request->transactions);
    assert_string_equal(request->token, "query");
    request = run(f, "GET /realtime?transactions=true", HOST UPGRADE KEY VERSION_13);
    assert_false(request->has_token);
    assert_string_equal(request->token, "");
}

static void test_token_comes_from_the_header_before_the_query(void **state)
{
    struct fixture *f = *state;

    const struct handshake_request *request =
        run(f, "GET /realtime?token=query", HOST "Authorization: bearer  header\r\n");

    assert_true(request->has_token);
    assert_string_equal(request->token, "header");
    assert_int_equal(request->token_len, 6);
}

static void test_token_comes_from_the_query_decoded(void **state)
{
    struct fixture *f = *state;

    const struct handshake_request *request =
        run(f, "GET /realtime?a=1&token=x%2Ey&token=second", HOST);
    assert_true(request->has_token);
    assert_string_equal(request->token, "x.y");

    request = run(f, "GET /realtime?token=q", HOST "Authorization: Basic dTpw\r\n");
    assert_string_equal(request->token, "q");
}

static void test_empty_token_in_the_query_is_no_token(void **state)
{
    struct fixture *f = *state;

    assert_false(run(f, "GET /realtime?token=", HOST)->has_token);
}

static void test_request_without_a_token_has_none(void **state)
{
    struct fixture *f = *state;
    (void)run(f, "GET /realtime?token=earlier", HOST);

    const struct handshake_request *request = run(f, "GET /realtime?xtoken=1", HOST);

    assert_false(request->has_token);
    assert_string_equal(request->token, "");
}

static void test_largest_head_is_parsed_whole(void **state)
{
    struct fixture *f = *state;
    char line[16200];
    (void)snprintf(line, sizeof(line), "GET /realtime?token=%016000d", 0);

    const struct handshake_request *request = run(f, line, HOST UPGRADE KEY VERSION_13);

    assert_true(request->established);
    assert_int_equal(request->token_len, 16000);
}

static int lowest_free_descriptor(void)
{
    int fd = dup(0);
    (void)close(fd);
    return fd;
}

static void test_handshakes_leave_no_descriptor_behind(void **state)
{
    struct fixture *f = *state;
    int before = lowest_free_descriptor();

    for (int i = 0; i < 100; i++) {
        (void)run(f, "GET /realtime", HOST UPGRADE KEY VERSION_13);
        (void)run(f, "GET /", HOST);
        (void)run(f, "GET /realtime", HOST UPGRADE VERSION_13);
    }

    assert_int_equal(lowest_free_descriptor(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_handshake_of_the_rfc_gets_the_answer_of_the_rfc, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_offered_subprotocols_and_extensions_are_ignored, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_incomplete_handshakes_are_not_established, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_other_version_is_known_as_such, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plain_requests_are_parsed_and_not_answered, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_whole_transactions_are_asked_for_in_the_query, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_token_comes_from_the_header_before_the_query, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_token_comes_from_the_query_decoded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty_token_in_the_query_is_no_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_request_without_a_token_has_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_largest_head_is_parsed_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_handshakes_leave_no_descriptor_behind, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
