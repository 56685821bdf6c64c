/* tests/unit/edge/engineio_session_test.c - an Engine.IO session without sockets: polls, posts, the upgrade in every order, time, ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/engineio/session.h"
#include "runtime/buf.h"

#define SID "AAAAAABBBBBBBBBBBBBB"
#define OPEN_PACKET                                                                                \
    "0{\"sid\":\"" SID "\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,"                   \
    "\"pingTimeout\":20000,\"maxPayload\":1000000}"

/* What the session did, one line each. */
struct world {
    struct eio_session *session;
    struct eio_settings settings;
    struct rt_buf told;
    rt_usec now;
    rt_usec due;
    unsigned closed_with;
    bool closed_polling;
    int poll; /* its address is a poll */
    int ws;
    int other_ws;
};

static void ws_send(void *owner, void *ws, struct edge_frame *frame)
{
    struct world *w = owner;
    struct rt_span text = edge_frame_payload(frame);

    rt_buf_printf(&w->told, "ws%d %.*s\n", ws == &w->ws ? 1 : 2, (int)text.len,
                  (const char *)text.data);
}

static void ws_close(void *owner, void *ws, unsigned code, const char *reason)
{
    struct world *w = owner;

    (void)reason;
    rt_buf_printf(&w->told, "close ws%d %u\n", ws == &w->ws ? 1 : 2, code);
}

static void answer_poll(void *owner, void *poll, struct rt_span body)
{
    struct world *w = owner;

    assert_ptr_equal(poll, &w->poll);
    rt_buf_puts(&w->told, "poll ");
    for (size_t i = 0; i < body.len; i++) {
        rt_buf_putc(&w->told, body.data[i] == 0x1e ? '|' : (char)body.data[i]);
    }
    rt_buf_putc(&w->told, '\n');
}

static void on_message(void *owner, struct rt_span text)
{
    struct world *w = owner;

    rt_buf_printf(&w->told, "message %.*s\n", (int)text.len, (const char *)text.data);
}

static void closed(void *owner, unsigned code, bool polling, const char *reason)
{
    struct world *w = owner;

    (void)reason;
    w->closed_with = code;
    w->closed_polling = polling;
    rt_buf_puts(&w->told, "closed\n");
}

static void set_timer(void *owner, rt_usec due)
{
    ((struct world *)owner)->due = due;
}

static void flush_later(void *owner)
{
    (void)owner;
}

static rt_usec now(void *owner)
{
    return ((struct world *)owner)->now;
}

static const struct eio_session_ops ops = {
    .ws_send = ws_send,
    .ws_close = ws_close,
    .answer_poll = answer_poll,
    .on_message = on_message,
    .closed = closed,
    .set_timer = set_timer,
    .flush_later = flush_later,
    .now = now,
};

static void check(struct world *w, const char *told)
{
    assert_string_equal(rt_buf_cstr(&w->told), told);
    rt_buf_clear(&w->told);
}

static struct world *world_new(void)
{
    struct world *w = rt_alloc(sizeof *w);

    w->now = 1000 * RT_SEC;
    w->settings = (struct eio_settings){ .ping_interval = 25 * RT_SEC,
                                         .ping_timeout = 20 * RT_SEC,
                                         .upgrade_timeout = 10 * RT_SEC,
                                         .max_payload = 1000000,
                                         .budget = 1000 };
    return w;
}

static int set_up(void **state)
{
    struct world *w = world_new();

    w->session = eio_session_new(&ops, w, &w->settings, SID, NULL);
    assert_int_equal(eio_session_poll(w->session, &w->poll), EIO_TAKEN);
    check(w, "poll " OPEN_PACKET "\n");
    *state = w;
    return 0;
}

static int set_up_ws(void **state)
{
    struct world *w = world_new();

    w->session = eio_session_new(&ops, w, &w->settings, SID, &w->ws);
    rt_buf_clear(&w->told);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    eio_session_free(w->session);
    rt_buf_fini(&w->told);
    free(w);
    return 0;
}

static void poll_it(struct world *w)
{
    assert_int_equal(eio_session_poll(w->session, &w->poll), EIO_TAKEN);
}

static void post(struct world *w, const char *body)
{
    assert_int_equal(eio_session_post_begin(w->session), EIO_TAKEN);
    eio_session_post_end(w->session, (struct rt_span){ (const uint8_t *)body, strlen(body) });
}

static void say(struct world *w, void *ws, const char *text)
{
    eio_session_ws_text(w->session, ws, (struct rt_span){ (const uint8_t *)text, strlen(text) });
}

static void send_text(struct world *w, const char *text)
{
    struct edge_frame *frame = edge_frame_text(text, strlen(text));

    eio_session_send(w->session, frame);
    edge_frame_unref(frame);
}

/* At the time the session asked for. */
static void fire(struct world *w)
{
    w->now = w->due;
    eio_session_timer(w->session);
}

static void test_what_is_sent_in_one_turn_is_one_answer(void **state)
{
    struct world *w = *state;

    poll_it(w);
    check(w, "");
    send_text(w, "4a");
    send_text(w, "4b");
    eio_session_flush(w->session);
    check(w, "poll 4a|4b\n");
    send_text(w, "4c");
    eio_session_flush(w->session);
    check(w, "");
    poll_it(w);
    check(w, "poll 4c\n");
    assert_int_equal(eio_session_waiting(w->session), 0);
}

static void test_posts(void **state)
{
    struct world *w = *state;

    post(w, "4a\x1e"
            "4b\x1e"
            "3\x1e"
            "5\x1e"
            "6\x1e"
            "4");
    check(w, "message a\nmessage b\nmessage \n");
    post(w, "4a\x1e"
            "9\x1e"
            "4b");
    check(w, "message a\nclosed\n");
    poll_it(w); /* the client learns of it */
    check(w, "poll 1\n");
    assert_true(eio_session_is_over(w->session));
    assert_int_equal(eio_session_poll(w->session, &w->poll), EIO_NOT_NOW);
    assert_int_equal(eio_session_post_begin(w->session), EIO_NOT_NOW);
}

static void test_a_post_that_does_not_come_is_forgotten(void **state)
{
    struct world *w = *state;

    assert_int_equal(eio_session_post_begin(w->session), EIO_TAKEN);
    eio_session_post_end(w->session, (struct rt_span){ NULL, 0 });
    post(w, "4a");
    check(w, "message a\n");
    assert_int_equal(eio_session_post_begin(w->session), EIO_TAKEN);
    assert_int_equal(eio_session_post_begin(w->session), EIO_NOT_NOW);
    check(w, "closed\n");
    assert_false(eio_session_is_over(w->session)); /* the first is still under way */
}

static void test_two_polls(void **state)
{
    struct world *w = *state;

    poll_it(w);
    assert_int_equal(eio_session_poll(w->session, &w->ws), EIO_NOT_NOW);
    check(w, "poll 1\nclosed\n");
}

static void test_a_poll_that_is_given_up(void **state)
{
    struct world *w = *state;

    poll_it(w);
    eio_session_poll_gone(w->session);
    check(w, "closed\n");
    assert_true(eio_session_is_over(w->session));
}

static void test_the_client_goes(void **state)
{
    struct world *w = *state;

    poll_it(w);
    post(w, "1");
    check(w, "poll 6\nclosed\n");
    assert_true(eio_session_is_over(w->session));
}

static void test_the_server_goes(void **state)
{
    struct world *w = *state;

    poll_it(w);
    send_text(w, "4a");
    eio_session_close(w->session, 1001, "bye");
    check(w, "poll 4a|1\nclosed\n");
    eio_session_close(w->session, 1001, "bye");
    send_text(w, "4b");
    check(w, "");
    assert_true(eio_session_is_over(w->session));
}

static void test_a_poll_that_never_comes_is_not_waited_for(void **state)
{
    struct world *w = *state;

    eio_session_close(w->session, 1001, "bye");
    check(w, "closed\n");
    assert_false(eio_session_is_over(w->session));
    fire(w);
    assert_true(eio_session_is_over(w->session));
}

static void test_pings(void **state)
{
    struct world *w = *state;

    assert_int_equal(w->due, w->now + 25 * RT_SEC);
    poll_it(w);
    fire(w);
    eio_session_flush(w->session);
    check(w, "poll 2\n");
    assert_int_equal(w->due, w->now + 20 * RT_SEC);
    post(w, "3");
    assert_int_equal(w->due, w->now + 25 * RT_SEC);
    post(w, "3"); /* one that nobody asked for */
    fire(w);
    poll_it(w);
    check(w, "poll 2\n");
    fire(w);
    check(w, "closed\n");
}

static void test_the_upgrade(void **state)
{
    struct world *w = *state;

    poll_it(w);
    assert_int_equal(eio_session_ws_open(w->session, &w->ws), EIO_TAKEN);
    assert_int_equal(eio_session_ws_open(w->session, &w->other_ws), EIO_NOT_NOW);
    check(w, "");
    say(w, &w->ws, "2probe");
    check(w, "ws1 3probe\npoll 6\n");
    post(w, "4a"); /* may still come */
    send_text(w, "4b");
    poll_it(w); /* so may a poll: it is answered at once */
    check(w, "message a\npoll 4b\n");
    send_text(w, "4c");
    say(w, &w->ws, "5");
    check(w, "ws1 4c\n");
    assert_true(eio_session_is_upgraded(w->session));
    send_text(w, "4d");
    say(w, &w->ws, "4e");
    check(w, "ws1 4d\nmessage e\n");
    assert_int_equal(eio_session_poll(w->session, &w->poll), EIO_NOT_NOW);
    assert_int_equal(eio_session_post_begin(w->session), EIO_NOT_NOW);
    assert_int_equal(eio_session_ws_open(w->session, &w->other_ws), EIO_NOT_NOW);
    eio_session_ws_gone(w->session, &w->ws);
    check(w, "closed\n");
    assert_false(w->closed_polling); /* its WebSocket has been counted */
}

static void test_an_upgrade_that_fails(void **state)
{
    struct world *w = *state;
    const char *const wrong[] = { "5", "2prob", "4a", "", "2probe!" };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(eio_session_ws_open(w->session, &w->ws), EIO_TAKEN);
        say(w, &w->ws, wrong[i]);
        check(w, "close ws1 1002\n");
        eio_session_ws_gone(w->session, &w->ws);
    }
    assert_int_equal(eio_session_ws_open(w->session, &w->ws), EIO_TAKEN);
    say(w, &w->ws, "2probe");
    say(w, &w->ws, "2probe");
    check(w, "ws1 3probe\nclose ws1 1002\n");
    assert_int_equal(eio_session_ws_open(w->session, &w->ws), EIO_TAKEN);
    say(w, &w->ws, "2probe");
    eio_session_ws_gone(w->session, &w->ws);
    rt_buf_clear(&w->told);
    assert_int_equal(eio_session_ws_open(w->session, &w->ws), EIO_TAKEN);
    fire(w); /* too late */
    check(w, "close ws1 1008\n");
    poll_it(w);
    send_text(w, "4a");
    eio_session_flush(w->session);
    check(w, "poll 4a\n");
}

static void test_a_websocket_from_the_start(void **state)
{
    struct world *w = *state;

    say(w, &w->ws, "4a");
    send_text(w, "4b");
    say(w, &w->other_ws, "4x"); /* of somebody else */
    check(w, "message a\nws1 4b\n");
    fire(w);
    check(w, "ws1 2\n");
    say(w, &w->ws, "2");
    check(w, "close ws1 1002\nclosed\n");
    assert_true(eio_session_is_over(w->session));
}

static void test_the_budget(void **state)
{
    struct world *w = *state;
    char text[600];

    memset(text, '4', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    send_text(w, text);
    check(w, "");
    send_text(w, text);
    check(w, "closed\n");
    assert_int_equal(w->closed_with, 4008);
    assert_true(w->closed_polling);
    poll_it(w);
    check(w, "poll 1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        TEST(test_what_is_sent_in_one_turn_is_one_answer),
        TEST(test_posts),
        TEST(test_a_post_that_does_not_come_is_forgotten),
        TEST(test_two_polls),
        TEST(test_a_poll_that_is_given_up),
        TEST(test_the_client_goes),
        TEST(test_the_server_goes),
        TEST(test_a_poll_that_never_comes_is_not_waited_for),
        TEST(test_pings),
        TEST(test_the_upgrade),
        TEST(test_an_upgrade_that_fails),
        TEST(test_the_budget),
        cmocka_unit_test_setup_teardown(test_a_websocket_from_the_start, set_up_ws, tear_down),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
