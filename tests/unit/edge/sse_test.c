/* The bytes of an event stream, byte for byte: what a client's parser needs, and what hostile texts must not add. And the
 * stream as a connection over a socket pair: events in order, the budget, the end, a client that is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge/conn_internal.h"
#include "edge/sse/sse.h"
#include "runtime/config.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "runtime/process.h"

static struct rt_span span(const char *text)
{
    return (struct rt_span){ (const uint8_t *)text, strlen(text) };
}

static void assert_frame(struct edge_frame *frame, const char *expected)
{
    assert_int_equal(frame->len, strlen(expected));
    assert_memory_equal(frame->bytes, expected, frame->len);
    edge_frame_unref(frame);
}

static void test_events(void **state)
{
    (void)state;
    assert_frame(sse_event(span(""), span("{\"a\":1}")), "data: {\"a\":1}\n\n");
    assert_frame(sse_event(span("1-2-3"), span("x")), "id: 1-2-3\ndata: x\n\n");
    assert_frame(sse_event(span(""), span("")), "data: \n\n");
}

static void test_line_ends_cannot_begin_another_field(void **state)
{
    (void)state;
    assert_frame(sse_event(span(""), span("a\nevent: b\rid: c\r\nretry: 0\n\nd")),
                 "data: a\ndata: event: b\ndata: id: c\ndata: retry: 0\ndata: \ndata: d\n\n");
    assert_frame(sse_comment("a\n\ndata: b"), ": a  data: b\n\n");
    assert_frame(sse_ending(4008, "slow\ndata: x"), ": closed: 4008 slow data: x\n\n");
}

static void test_an_event_without_its_id(void **state)
{
    (void)state;
    struct edge_frame *with = sse_event(span("1-2-3"), span("id: x\ny"));
    struct edge_frame *without = sse_without_id(with);
    struct edge_frame *same = sse_without_id(without);

    assert_ptr_equal(same, without);
    edge_frame_unref(same);
    assert_frame(without, "data: id: x\ndata: y\n\n");
    edge_frame_unref(with);
}

static void test_the_end_says_when_to_come_back(void **state)
{
    (void)state;
    assert_frame(sse_ending(1001, "server is shutting down; retry_ms=1234"),
                 "retry: 1234\n: closed: 1001 server is shutting down; retry_ms=1234\n\n");
    assert_frame(sse_ending(1008, "x; retry_ms=-"), ": closed: 1008 x; retry_ms=-\n\n");
}

static void test_the_head_is_an_answer_without_an_end(void **state)
{
    (void)state;
    struct edge_frame *head = sse_head(span("Vary: Origin\r\n"));
    char text[512] = "";

    assert_in_range(head->len, 1, sizeof text - 1);
    memcpy(text, head->bytes, head->len);
    assert_ptr_equal(strstr(text, "HTTP/1.1 200 OK\r\n"), text);
    assert_non_null(strstr(text, "\r\nContent-Type: text/event-stream\r\n"));
    assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
    assert_null(strstr(text, "Content-Length"));
    assert_null(strstr(text, "Transfer-Encoding"));
    assert_string_equal(text + head->len - 16, "Vary: Origin\r\n\r\n");
    edge_frame_unref(head);
}

/* --- as a connection ------------------------------------------------------------------------------------------------ */

struct fixture {
    struct rt_process process;
    struct rt_config *config;
    struct edge_carrier carrier;
    struct edge_conn *conn;
    struct rt_gauge *gauge;
    int peer;
    unsigned texts;
    unsigned closed;
    unsigned heartbeats;
    struct rt_buf got;
    size_t wanted; /* run until so many bytes came, or on_close, or the end of the stream */
    bool ended;
};

static void *on_open(void *dialect, struct edge_conn *conn, enum token_err err,
                     struct identity *identity)
{
    (void)conn;
    (void)err;
    (void)identity;
    return dialect;
}

static void on_text(void *session, struct edge_conn *conn, struct rt_span text)
{
    struct fixture *f = session;

    (void)conn;
    (void)text;
    f->texts++;
}

static void on_close(void *session, struct edge_conn *conn)
{
    struct fixture *f = session;

    (void)conn;
    f->closed++;
}

static void on_heartbeat(void *session, struct edge_conn *conn)
{
    struct fixture *f = session;

    (void)conn;
    f->heartbeats++;
}

static void on_freed(void *owner)
{
    struct fixture *f = owner;

    f->conn = NULL;
    rt_loop_stop(f->process.loop);
}

static const struct edge_dialect dialect = {
    .name = "test",
    .path = "/test",
    .on_open = on_open,
    .on_text = on_text,
    .on_close = on_close,
    .on_heartbeat = on_heartbeat,
};

static int set_up(void **state)
{
    static const char *const sets[] = { "realtime.heartbeat_interval=100ms",
                                        "realtime.connection_timeout=200ms",
                                        "realtime.client_budget=64KiB", NULL };
    struct fixture *f = rt_alloc(sizeof *f);
    struct identity nobody = { .role = "" };
    struct rt_buf errors = { 0 };
    int pair[2];

    f->process.loop = rt_loop_new();
    f->process.log = rt_log_new("test", RT_LOG_ERROR + 1, RT_LOG_KV);
    f->process.metrics = rt_metrics_new();
    f->config = rt_config_load(NULL, sets, &errors);
    assert_non_null(f->config);
    rt_buf_fini(&errors);
    f->process.config = f->config;
    edge_carrier_init(&f->carrier, &f->process);
    f->carrier.on_conn_freed = on_freed;
    f->carrier.owner = f;
    f->gauge = rt_gauge_new(f->process.metrics, "test_open", NULL, "test");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    f->peer = pair[1];
    f->conn = edge_conn_new(&f->carrier, pair[0], &sse_transport, &dialect, f->gauge);
    edge_conn_open(f->conn, f, TOKEN_OK, &nobody);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    if (f->conn != NULL) {
        edge_conn_abort(f->conn);
    }
    (void)close(f->peer);
    rt_buf_fini(&f->got);
    edge_carrier_fini(&f->carrier);
    rt_metrics_free(f->process.metrics);
    rt_config_free(f->config);
    rt_log_free(f->process.log);
    rt_loop_free(f->process.loop);
    free(f);
    return 0;
}

static void on_bytes(void *ctx, int fd, int events)
{
    struct fixture *f = ctx;
    char bytes[4096];
    ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);

    (void)events;
    if (got > 0) {
        rt_buf_append(&f->got, bytes, (size_t)got);
    }
    f->ended = got == 0;
    if (f->got.len >= f->wanted || f->ended) {
        rt_loop_stop(f->process.loop);
    }
}

/* Reads until `wanted` bytes are there, or the stream ends. */
static const char *read_stream(struct fixture *f, size_t wanted)
{
    struct rt_io *io = rt_io_new(f->process.loop, f->peer, on_bytes, f);

    f->wanted = wanted;
    rt_io_want(io, RT_READ);
    rt_loop_run(f->process.loop);
    rt_io_free(io);
    return rt_buf_cstr(&f->got);
}

static void test_texts_are_events_and_silence_is_filled(void **state)
{
    struct fixture *f = *state;

    edge_conn_send_text(f->conn, "one", 3);
    edge_conn_send_text(f->conn, "two", 3);
    assert_true(edge_conn_is_stream(f->conn));
    assert_string_equal(read_stream(f, 22), "data: one\n\ndata: two\n\n");
    rt_buf_clear(&f->got);
    /* Four heartbeats: twice the time after which a mute WebSocket would be closed. */
    const char *comments = read_stream(f, 4 * strlen(": keep-alive\n\n"));
    assert_string_equal(comments,
                        ": keep-alive\n\n: keep-alive\n\n: keep-alive\n\n: keep-alive\n\n");
    assert_int_equal(f->heartbeats, 4);
    assert_int_equal(f->closed, 0);
}

static void test_what_a_client_says_on_its_stream_is_no_message(void **state)
{
    struct fixture *f = *state;
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";

    assert_int_equal(write(f->peer, request, sizeof request - 1), sizeof request - 1);
    edge_conn_send_text(f->conn, "x", 1);
    (void)read_stream(f, 9 + strlen(": keep-alive\n\n"));
    assert_int_equal(f->texts, 0);
    assert_int_equal(f->closed, 0);
}

static void test_a_close_ends_the_stream_behind_what_waited(void **state)
{
    struct fixture *f = *state;

    edge_conn_send_text(f->conn, "last", 4);
    edge_conn_close(f->conn, EDGE_CLOSE_POLICY, "why");
    edge_conn_send_text(f->conn, "too late", 8);
    assert_string_equal(read_stream(f, SIZE_MAX), "data: last\n\n: closed: 1008 why\n\n");
    assert_true(f->ended);
    assert_int_equal(f->closed, 1);
    (void)shutdown(f->peer, SHUT_WR);
    rt_loop_run(f->process.loop);
    assert_null(f->conn);
}

static void test_a_client_that_is_gone_is_noticed(void **state)
{
    struct fixture *f = *state;

    (void)shutdown(f->peer, SHUT_WR);
    rt_loop_run(f->process.loop);
    assert_null(f->conn);
    assert_int_equal(f->closed, 1);
}

static void test_a_client_that_does_not_read_is_sent_away(void **state)
{
    struct fixture *f = *state;
    char text[8192];
    unsigned sent = 0;

    memset(text, 'x', sizeof text);
    while (edge_conn_is_open(f->conn) && sent < 1000) {
        edge_conn_send_text(f->conn, text, sizeof text);
        sent++;
    }
    assert_in_range(sent, 8, 9);
    const char *all = read_stream(f, SIZE_MAX);
    assert_non_null(strstr(all, "retry: "));
    assert_non_null(strstr(all, ": closed: 4008 client reads too slowly; retry_ms="));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_line_ends_cannot_begin_another_field),
        cmocka_unit_test(test_an_event_without_its_id),
        cmocka_unit_test(test_the_end_says_when_to_come_back),
        cmocka_unit_test(test_the_head_is_an_answer_without_an_end),
        cmocka_unit_test_setup_teardown(test_texts_are_events_and_silence_is_filled, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_a_client_says_on_its_stream_is_no_message, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_close_ends_the_stream_behind_what_waited, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_client_that_is_gone_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_client_that_does_not_read_is_sent_away, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
