/* Unit tests of runtime/admin.h and runtime/admin_request.h. Connections are socket pairs, so no port
 * is opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/admin.h"
#include "runtime/admin_request.h"
#include "runtime/clock.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

/* --- the parser --- */

static int parse(const char *text, struct rt_admin_request *out)
{
    const char *reason = NULL;
    int status =
        rt_admin_parse((struct rt_span){ (const uint8_t *)text, strlen(text) }, out, &reason);
    assert_true((status == 0 || status == 200) == (reason == NULL));
    return status;
}

static void test_a_get_gives_its_path_without_the_query(void **state)
{
    (void)state;
    struct rt_admin_request request = { 0 };

    assert_int_equal(
        parse("GET /metrics?x=1 HTTP/1.1\r\nHost: a:1\r\nAccept: */*\r\n\r\n", &request), 200);
    assert_false(request.head);
    assert_int_equal(request.path.len, 8);
    assert_memory_equal(request.path.data, "/metrics", 8);
}

static void test_every_part_of_a_request_but_the_whole_needs_more(void **state)
{
    (void)state;
    const char whole[] = "HEAD / HTTP/1.0\r\nUser-Agent: curl/7\r\n\r\n";
    struct rt_admin_request request = { 0 };
    char part[sizeof(whole)];
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        memcpy(part, whole, len);
        part[len] = '\0';
        assert_int_equal(parse(part, &request), 0);
    }

    assert_int_equal(parse(whole, &request), 200);
    assert_true(request.head);
}

static void test_what_is_wrong_gets_its_own_status(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        { "POST / HTTP/1.1\r\n\r\n", 405 },
        { "GET / HTTP/2.0\r\n\r\n", 505 },
        { "GET / HTTP/1.1 \r\n\r\n", 505 },
        { "GET /\r\n\r\n", 400 },
        { "GET\r\n\r\n", 400 },
        { "\r\n\r\n", 400 },
        { "GET  / HTTP/1.1\r\n\r\n", 400 },
        { "GET livez HTTP/1.1\r\n\r\n", 400 },
        { "GET http://a/livez HTTP/1.1\r\n\r\n", 400 },
        { "GET /a\tb HTTP/1.1\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nnocolon\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n: empty\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 413 },
        { "GET / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\n\r\n", 413 },
        { "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 200 },
        { "\x16\x03\x01\x02\n\n", 400 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rt_admin_request request = { 0 };
        if (parse(cases[i].text, &request) != cases[i].status) {
            fail_msg("case %zu: %s", i, cases[i].text);
        }
        assert_int_equal(request.path.len, cases[i].status == 200 ? 1 : 0);
    }
}

static void test_a_request_over_the_limit_is_refused_before_its_end(void **state)
{
    (void)state;
    char text[RT_ADMIN_REQUEST_MAX + 1];
    memset(text, 'a', sizeof(text));
    memcpy(text, "GET /", 5);
    struct rt_admin_request request = { 0 };

    text[RT_ADMIN_REQUEST_MAX - 1] = '\0';
    assert_int_equal(parse(text, &request), 0);
    text[RT_ADMIN_REQUEST_MAX - 1] = 'a';
    text[RT_ADMIN_REQUEST_MAX] = '\0';
    assert_int_equal(parse(text, &request), 431);
}

/* --- the port --- */

struct fixture {
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_metrics *metrics;
    struct rt_health *health;
    struct rt_condition *condition;
    struct rt_admin *admin;
    struct rt_timer *guard;
    bool guarded;
    size_t len;
    char answer[16384];
};

static void on_guard(void *ctx)
{
    struct fixture *f = ctx;
    f->guarded = true;
    rt_loop_stop(f->loop);
}

static int setup(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    struct fixture *f = &fixture;
    f->loop = rt_loop_new();
    f->log = rt_log_new("test", RT_LOG_ERROR, RT_LOG_KV);
    f->metrics = rt_metrics_new();
    f->health = rt_health_new();
    f->condition = rt_condition_new(f->health, "slot");
    f->admin = rt_admin_new(&(struct rt_admin_config){
        .loop = f->loop, .log = f->log, .metrics = f->metrics, .health = f->health });
    f->guard = rt_timer_new(f->loop, on_guard, f);
    rt_timer_set(f->guard, 20 * RT_SEC, 0);
    *state = f;
    return f->admin != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    rt_admin_free(f->admin);
    rt_timer_free(f->guard);
    rt_health_free(f->health);
    rt_metrics_free(f->metrics);
    rt_log_free(f->log);
    rt_loop_free(f->loop);
    return 0;
}

/* Returns our end of a connection. */
static int open_connection(struct fixture *f)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_true(rt_admin_adopt(f->admin, pair[1]));
    return pair[0];
}

static void on_client(void *ctx, int fd, int events)
{
    (void)events;
    struct fixture *f = ctx;
    ssize_t got = recv(fd, f->answer + f->len, sizeof(f->answer) - 1 - f->len, MSG_DONTWAIT);
    if (got > 0) {
        f->len += (size_t)got;
    } else {
        rt_loop_stop(f->loop);
    }
}

/* Reads until the other side ends, and closes. */
static const char *read_answer(struct fixture *f, int client)
{
    f->len = 0;
    struct rt_io *io = rt_io_new(f->loop, client, on_client, f);
    rt_io_want(io, RT_READ);
    rt_loop_run(f->loop);
    rt_io_free(io);
    close(client);
    assert_false(f->guarded);
    f->answer[f->len] = '\0';
    return f->answer;
}

static const char *ask(struct fixture *f, const char *request)
{
    int client = open_connection(f);
    assert_int_equal(send(client, request, strlen(request), 0), strlen(request));
    return read_answer(f, client);
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void assert_status(const char *answer, int status)
{
    char start[32];
    int len = snprintf(start, sizeof(start), "HTTP/1.1 %d ", status);
    if (strncmp(answer, start, (size_t)len) != 0) {
        fail_msg("expected %d, got: %.200s", status, answer);
    }
}

static void test_livez_answers_whatever_the_conditions(void **state)
{
    struct fixture *f = *state;
    const char *answer = ask(f, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");

    assert_status(answer, 200);
    assert_string_equal(body_of(answer), "ok\n");
    assert_non_null(strstr(answer, "Content-Length: 3\r\n"));
    assert_non_null(strstr(answer, "Connection: close\r\n"));
}

static void test_readyz_is_503_with_reasons_until_all_conditions_are_met(void **state)
{
    struct fixture *f = *state;
    rt_condition_set(f->condition, false, "waiting for the slot");
    const char *answer = ask(f, "GET /readyz HTTP/1.1\r\n\r\n");
    assert_status(answer, 503);
    assert_string_equal(body_of(answer), "fail slot waiting for the slot\n");

    rt_condition_set(f->condition, true, "streaming");
    answer = ask(f, "GET /readyz HTTP/1.1\r\n\r\n");
    assert_status(answer, 200);
    assert_string_equal(body_of(answer), "ok   slot streaming\n");
}

static void test_metrics_are_served_as_prometheus_text(void **state)
{
    struct fixture *f = *state;
    rt_counter_add(rt_counter_new(f->metrics, "pgtide_test_total", NULL, "Test."), 5);
    const char *answer = ask(f, "GET /metrics HTTP/1.1\r\n\r\n");

    assert_status(answer, 200);
    assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(body_of(answer), "pgtide_test_total 5\n"));
}

static void test_head_gives_the_header_only(void **state)
{
    struct fixture *f = *state;
    const char *answer = ask(f, "HEAD /livez HTTP/1.1\r\n\r\n");

    assert_status(answer, 200);
    assert_non_null(strstr(answer, "Content-Length: 3\r\n"));
    assert_string_equal(body_of(answer), "");
}

static void render_status(void *ctx, struct rt_buf *out)
{
    rt_buf_printf(out, "{\"n\":%d}", *(const int *)ctx);
}

static void test_added_pages_are_listed_and_served(void **state)
{
    struct fixture *f = *state;
    int number = 7;
    rt_admin_page(f->admin, "/status", "application/json", render_status, &number);

    const char *list = body_of(ask(f, "GET / HTTP/1.1\r\n\r\n"));
    assert_non_null(strstr(list, "/livez"));
    assert_non_null(strstr(list, "/status\n"));
    const char *answer = ask(f, "GET /status HTTP/1.1\r\n\r\n");
    assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
    assert_string_equal(body_of(answer), "{\"n\":7}");
}

static void test_an_unknown_path_is_told_what_there_is(void **state)
{
    struct fixture *f = *state;
    const char *answer = ask(f, "GET /livez2 HTTP/1.1\r\n\r\n");

    assert_status(answer, 404);
    assert_non_null(strstr(body_of(answer), "/readyz"));
}

static void test_a_bad_request_is_told_what_is_wrong_and_its_rest_is_swallowed(void **state)
{
    struct fixture *f = *state;
    const char *answer = ask(f, "POST /livez HTTP/1.1\r\n\r\n0123456789");

    assert_status(answer, 405);
    assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
    assert_string_equal(body_of(answer), "only GET and HEAD are answered here\n");
}

static void test_a_request_in_pieces_is_answered_when_complete(void **state)
{
    struct fixture *f = *state;
    int client = open_connection(f);
    static const char *const pieces[] = { "GET /li", "vez HTTP/1.1\r", "\n\r", "\n" };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(send(client, pieces[i], strlen(pieces[i]), 0), strlen(pieces[i]));
        struct rt_timer *step = rt_timer_new(f->loop, on_guard, f);
        rt_timer_set(step, RT_MSEC, 0);
        rt_loop_run(f->loop);
        rt_timer_free(step);
    }
    f->guarded = false;

    assert_status(read_answer(f, client), 200);
}

static void test_connections_over_the_limit_are_closed_and_others_work_on(void **state)
{
    struct fixture *f = *state;
    int clients[32];
    for (int i = 0; i < 32; i++) {
        clients[i] = open_connection(f);
    }
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_false(rt_admin_adopt(f->admin, pair[1]));
    char c = 0;
    assert_int_equal(recv(pair[0], &c, 1, 0), 0);
    close(pair[0]);

    assert_int_equal(send(clients[31], "GET /livez HTTP/1.1\r\n\r\n", 23, 0), 23);
    assert_status(read_answer(f, clients[31]), 200);
    for (int i = 0; i < 31; i++) {
        close(clients[i]);
    }
}

static void test_an_answer_larger_than_the_socket_buffer_arrives_whole(void **state)
{
    struct fixture *f = *state;
    int pair[2];
    const int small = 2048;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    assert_true(rt_admin_adopt(f->admin, pair[1]));
    for (int i = 0; i < 200; i++) {
        char labels[16];
        (void)snprintf(labels, sizeof(labels), "i=\"%d\"", i);
        rt_counter_new(f->metrics, "pgtide_many_series_total", labels, "Many.");
    }
    assert_int_equal(send(pair[0], "GET /metrics HTTP/1.1\r\n\r\n", 25, 0), 25);

    const char *answer = read_answer(f, pair[0]);
    const char *field = strstr(answer, "Content-Length: ");
    assert_non_null(field);
    size_t length = strtoul(field + strlen("Content-Length: "), NULL, 10);
    assert_true(length > 6000);
    assert_int_equal(strlen(body_of(answer)), length);
}

#define ADMIN_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_get_gives_its_path_without_the_query),
        cmocka_unit_test(test_every_part_of_a_request_but_the_whole_needs_more),
        cmocka_unit_test(test_what_is_wrong_gets_its_own_status),
        cmocka_unit_test(test_a_request_over_the_limit_is_refused_before_its_end),
        ADMIN_TEST(test_livez_answers_whatever_the_conditions),
        ADMIN_TEST(test_readyz_is_503_with_reasons_until_all_conditions_are_met),
        ADMIN_TEST(test_metrics_are_served_as_prometheus_text),
        ADMIN_TEST(test_head_gives_the_header_only),
        ADMIN_TEST(test_added_pages_are_listed_and_served),
        ADMIN_TEST(test_an_unknown_path_is_told_what_there_is),
        ADMIN_TEST(test_a_bad_request_is_told_what_is_wrong_and_its_rest_is_swallowed),
        ADMIN_TEST(test_a_request_in_pieces_is_answered_when_complete),
        ADMIN_TEST(test_connections_over_the_limit_are_closed_and_others_work_on),
        ADMIN_TEST(test_an_answer_larger_than_the_socket_buffer_arrives_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
