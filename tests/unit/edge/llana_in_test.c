/* tests/unit/edge/llana_in_test.c - what Llana's clients send: packets, who they are, where they come back from, how often they fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "edge/llana/opening.h"
#include "edge/llana/slowdown.h"
#include "edge/llana/socketio.h"

static struct rt_span span(const char *text)
{
    return (struct rt_span){ (const uint8_t *)text, strlen(text) };
}

static void test_packets(void **state)
{
    static const char *const good[] = { "0",     "0{}", "0{\"a\":1}", "0/api,{}",
                                        "0/api", "1",   "1/api,",     "2[\"a\"]",
                                        "2[1]",  "3[]", "212[\"a\"]", "2/x,7[\"a\"]" };
    static const char *const bad[] = { "",
                                       "9",
                                       "0[]",
                                       "0{",
                                       "0\"a\"",
                                       "1{}",
                                       "2",
                                       "2{}",
                                       "2[]",
                                       "2[{}]",
                                       "3",
                                       "4{}",
                                       "51-[]",
                                       "2[\"a\"",
                                       "2[\"a\"]]",
                                       "0{\"a\":1,\"a\":2}",
                                       "2[\"\\u0000\"]",
                                       "21111111111111111111[\"a\"]" };
    struct sio_packet packet;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(sio_packet_read(span(good[i]), &packet));
        assert_int_equal(packet.type, good[i][0]);
        assert_int_equal(sio_is_default_space(&packet), strchr(good[i], '/') == NULL);
        sio_packet_fini(&packet);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(sio_packet_read(span(bad[i]), &packet));
    }
    assert_true(sio_packet_read(span("2/x,7[\"a\"]"), &packet));
    assert_true(packet.wants_ack);
    assert_memory_equal(packet.space.data, "/x", packet.space.len);
    sio_packet_fini(&packet);
}

static void open_with(const char *lines, bool trust_proxy, struct llana_opening *out)
{
    struct http_request request;
    char head[500];

    (void)snprintf(head, sizeof head, "GET /socket.io/ HTTP/1.1\r\n%s\r\n", lines);
    http_request_read(span(head), &request);
    memcpy(request.peer, "10.0.0.1", 9);
    llana_opening_read(&request, trust_proxy, out);
}

static void check_connect(const char *lines, const char *auth, const char *table, const char *token)
{
    struct llana_opening opening;
    struct llana_connect connect;
    json_t *json = auth != NULL ? json_loads(auth, 0, NULL) : NULL;

    open_with(lines, false, &opening);
    llana_connect_read(&opening, json, &connect);
    assert_int_equal(connect.table == NULL, table == NULL);
    assert_int_equal(connect.token == NULL, token == NULL);
    if (table != NULL) {
        assert_string_equal(connect.table, table);
    }
    if (token != NULL) {
        assert_string_equal(connect.token, token);
    }
    json_decref(json);
    llana_opening_fini(&opening);
}

static void test_who_it_is(void **state)
{
    (void)state;
    check_connect("", NULL, NULL, NULL);
    check_connect("X-Llana-Table: t\r\n", NULL, "t", NULL);
    check_connect("x-llana-table: t\r\n", "{\"x-llana-table\":\"u\"}", "u", NULL);
    check_connect("x-llana-table: t\r\n", "{\"x-llana-table\":5}", "t", NULL);
    check_connect("", "{\"token\":\"a\"}", NULL, "a");
    check_connect("", "{\"token\":\"Bearer a\"}", NULL, "a");
    check_connect("Authorization: Bearer h\r\n", "{\"token\":\"a\"}", NULL, "h");
    check_connect("Authorization: bearer h\r\n", "{\"token\":\"a\"}", NULL, "a");
    check_connect("Authorization: Basic h\r\n", NULL, NULL, NULL);
    check_connect("Cookie: accessToken=c\r\n", "{\"token\":\"a\"}", NULL, "a");
    check_connect("Cookie: x=1; accessToken=c; accessToken=d;\r\n", NULL, NULL, "d");
    check_connect("Cookie: accessToken=c\r\nCookie: xaccessToken=e\r\n", NULL, NULL, "c");
}

static void test_addresses(void **state)
{
    static const struct {
        const char *lines;
        bool trust;
        const char *address;
    } cases[] = {
        { "", false, "10.0.0.1" },
        { "X-Real-IP: 1.2.3.4\r\n", false, "10.0.0.1" },
        { "X-Real-IP: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n", true, "1.2.3.4" },
        { "X-Forwarded-For: 9.9.9.9, 5.6.7.8\r\n", true, "5.6.7.8" },
        { "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 5.6.7.8\r\n", true, "5.6.7.8" },
        { "X-Real-IP: ::ffff:1.2.3.4\r\n", true, "1.2.3.4" },
        { "X-Real-IP: 2001:db8::1\r\n", true, "2001:db8::1" },
        { "X-Real-IP: 12345678901234567890123456789012345678901234567890\r\n", true, "10.0.0.1" },
    };
    struct llana_opening opening;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        open_with(cases[i].lines, cases[i].trust, &opening);
        assert_string_equal(opening.address, cases[i].address);
        llana_opening_fini(&opening);
    }
}

static void test_hosts(void **state)
{
    (void)state;
    assert_true(llana_hosts_allow("", "1.2.3.4"));
    assert_true(llana_hosts_allow(" , ", "1.2.3.4"));
    assert_true(llana_hosts_allow("1.2.3.4", "1.2.3.4"));
    assert_true(llana_hosts_allow("::1, ::ffff:1.2.3.4", "1.2.3.4"));
    assert_true(llana_hosts_allow("1.2.3.4", "::ffff:1.2.3.4"));
    assert_false(llana_hosts_allow("1.2.3.4", "1.2.3.40"));
    assert_false(llana_hosts_allow("1.2.3.40", "1.2.3.4"));
    assert_false(llana_hosts_allow("1.2.3.4", ""));
}

static void check_since(const char *auth, bool has, const char *position)
{
    struct llana_opening opening = { 0 };
    struct llana_connect connect;
    char text[WIRE_POSITION_TEXT_SIZE];
    json_t *json = json_loads(auth, 0, NULL);

    assert_non_null(json);
    llana_connect_read(&opening, json, &connect);
    assert_int_equal(connect.has_since, has);
    if (has) {
        wire_position_text(&connect.since, text);
        assert_string_equal(text, position);
    } else {
        assert_string_equal(connect.pid, "");
    }
    json_decref(json);
}

static void test_coming_back(void **state)
{
#define PID "AAAAAAAAAAAAAAAAAAAA.1-0000000000000002-3"
    (void)state;
    check_since("{\"pid\":\"" PID "\"}", true, "1-0000000000000002-3");
    check_since("{\"pid\":\"" PID "\",\"offset\":\"1-0000000000000005-0\"}", true,
                "1-0000000000000005-0");
    check_since("{\"pid\":\"" PID "\",\"offset\":\"x\"}", false, NULL);
    check_since("{\"offset\":\"1-0000000000000005-0\"}", false, NULL);
    check_since("{\"pid\":\"AAAAAAAAAAAAAAAAAAA.1-0000000000000002-3\"}", false, NULL);
    check_since("{\"pid\":\"AAAAAAAAAAAAAAAAAAA\\\".1-0000000000000002-3\"}", false, NULL);
    check_since("{\"pid\":\"AAAAAAAAAAAAAAAAAAAA\"}", false, NULL);
    check_since("{\"pid\":5}", false, NULL);
}

static void test_failures_are_slowed_down(void **state)
{
    struct llana_slowdown *slowdown = rt_alloc(sizeof *slowdown);
    rt_usec now = 1000 * RT_SEC;

    (void)state;
    for (int i = 0; i < LLANA_SLOWDOWN_STEPS; i++) {
        assert_int_equal(llana_slowdown_fail(slowdown, "a", RT_SEC, now), i * RT_SEC);
    }
    assert_int_equal(llana_slowdown_fail(slowdown, "a", RT_SEC, now), 10 * RT_SEC);
    assert_int_equal(llana_slowdown_fail(slowdown, "b", RT_SEC, now), 0);
    assert_int_equal(llana_slowdown_fail(slowdown, "a", RT_SEC, now + 7 * RT_SEC), 3 * RT_SEC);
    assert_int_equal(llana_slowdown_fail(slowdown, "a", RT_SEC, now + 60 * RT_SEC), 0);
    free(slowdown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets),     cmocka_unit_test(test_who_it_is),
        cmocka_unit_test(test_addresses),   cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_coming_back), cmocka_unit_test(test_failures_are_slowed_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
