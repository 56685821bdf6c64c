/* Frames and the queue of them: what is peeked is what was pushed, in order, whatever the socket takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/conn_queue.h"
#include "runtime/buf.h"

/* Sends everything in writes of at most `step` bytes, and returns it. */
static void drain(struct conn_queue *queue, size_t step, struct rt_buf *out)
{
    struct iovec iov[3];

    while (queue->count > 0) {
        int pieces = conn_queue_peek(queue, iov, 3, SIZE_MAX);
        size_t left = step;
        size_t taken = 0;
        for (int i = 0; i < pieces && left > 0; i++) {
            size_t len = iov[i].iov_len < left ? iov[i].iov_len : left;
            rt_buf_append(out, iov[i].iov_base, len);
            left -= len;
            taken += len;
        }
        (void)conn_queue_sent(queue, taken);
    }
}

static void push_text(struct conn_queue *queue, const char *text)
{
    conn_queue_push(queue, edge_frame_raw(text, strlen(text)));
}

static void test_frames_leave_in_order_whatever_each_write_takes(void **state)
{
    (void)state;
    struct conn_queue queue = { 0 };
    struct rt_buf expected = { 0 };
    struct rt_buf sent = { 0 };

    for (size_t step = 1; step < 30; step++) {
        rt_buf_clear(&expected);
        rt_buf_clear(&sent);
        for (int i = 0; i < 100; i++) {
            char text[32];
            (void)snprintf(text, sizeof(text), "<%d>", i * i);
            rt_buf_puts(&expected, text);
            push_text(&queue, text);
        }
        assert_int_equal(queue.bytes, expected.len);

        drain(&queue, step, &sent);

        assert_int_equal(sent.len, expected.len);
        assert_memory_equal(sent.data, expected.data, sent.len);
        assert_int_equal(queue.bytes, 0);
    }
    rt_buf_fini(&expected);
    rt_buf_fini(&sent);
}

static void test_pushing_while_sending_keeps_the_order(void **state)
{
    (void)state;
    struct conn_queue queue = { 0 };
    struct rt_buf expected = { 0 };
    struct rt_buf sent = { 0 };
    uint32_t seed = 1;

    for (int round = 0; round < 5000; round++) {
        seed = seed * 1664525 + 1013904223;
        if (seed >> 28 < 8) {
            char text[32];
            (void)snprintf(text, sizeof(text), "[%d]", round);
            rt_buf_puts(&expected, text);
            push_text(&queue, text);
        } else if (queue.count > 0) {
            struct iovec iov[2];
            (void)conn_queue_peek(&queue, iov, 2, SIZE_MAX);
            size_t len = iov[0].iov_len > 2 ? iov[0].iov_len - (seed >> 20) % 2 : 1;
            rt_buf_append(&sent, iov[0].iov_base, len);
            (void)conn_queue_sent(&queue, len);
        }
    }
    drain(&queue, 7, &sent);

    assert_int_equal(sent.len, expected.len);
    assert_memory_equal(sent.data, expected.data, sent.len);
    rt_buf_fini(&expected);
    rt_buf_fini(&sent);
}

static void test_few_frames_need_no_memory_and_an_empty_queue_keeps_none(void **state)
{
    (void)state;
    struct conn_queue queue = { 0 };
    struct rt_buf sent = { 0 };

    for (int i = 0; i < CONN_QUEUE_INLINE; i++) {
        push_text(&queue, "x");
    }
    assert_null(queue.heap);
    push_text(&queue, "x");
    assert_non_null(queue.heap);

    drain(&queue, 100, &sent);

    assert_null(queue.heap);
    rt_buf_fini(&sent);
}

static void test_peek_stops_at_the_budget_and_at_the_number_of_pieces(void **state)
{
    (void)state;
    struct conn_queue queue = { 0 };
    struct iovec iov[64];

    for (int i = 0; i < 20; i++) {
        push_text(&queue, "0123456789");
    }

    assert_int_equal(conn_queue_peek(&queue, iov, 64, SIZE_MAX), 20);
    assert_int_equal(conn_queue_peek(&queue, iov, 5, SIZE_MAX), 5);
    assert_int_equal(conn_queue_peek(&queue, iov, 64, 21), 3);
    assert_int_equal(conn_queue_peek(&queue, iov, 64, 1), 1);
    conn_queue_fini(&queue);
}

static void test_frame_lives_as_long_as_its_slowest_receiver(void **state)
{
    (void)state;
    struct edge_frame *frame = edge_frame_text("shared", 6);
    struct conn_queue fast = { 0 };
    struct conn_queue slow = { 0 };
    conn_queue_push(&fast, edge_frame_ref(frame));
    conn_queue_push(&slow, edge_frame_ref(frame));
    edge_frame_unref(frame);

    assert_int_equal(conn_queue_sent(&fast, frame->len), 1);
    assert_int_equal(frame->refs, 1);
    assert_int_equal(conn_queue_sent(&slow, 3), 0);
    assert_int_equal(conn_queue_sent(&slow, frame->len - 3), 1);
}

static void test_dropping_keeps_the_frame_that_is_half_sent(void **state)
{
    (void)state;
    struct conn_queue queue = { 0 };
    struct rt_buf sent = { 0 };
    push_text(&queue, "first");
    push_text(&queue, "second");
    push_text(&queue, "third");
    (void)conn_queue_sent(&queue, 2);

    conn_queue_drop_unsent(&queue);
    push_text(&queue, "close");
    assert_int_equal(queue.bytes, 8);
    drain(&queue, 100, &sent);

    assert_string_equal(rt_buf_cstr(&sent), "rstclose");
    rt_buf_fini(&sent);
}

static void test_dropping_between_frames_drops_all(void **state)
{
    (void)state;
    struct conn_queue queue = { 0 };
    push_text(&queue, "first");
    push_text(&queue, "second");
    (void)conn_queue_sent(&queue, 5);

    conn_queue_drop_unsent(&queue);

    assert_int_equal(queue.count, 0);
    assert_int_equal(queue.bytes, 0);
}

static void test_frame_headers_use_the_shortest_length(void **state)
{
    (void)state;
    char *payload = rt_alloc(65536);
    struct edge_frame *frame = edge_frame_text(payload, 125);
    assert_int_equal(frame->len, 127);
    assert_memory_equal(frame->bytes, "\x81\x7d", 2);
    edge_frame_unref(frame);

    frame = edge_frame_text(payload, 126);
    assert_memory_equal(frame->bytes, "\x81\x7e\x00\x7e", 4);
    edge_frame_unref(frame);

    frame = edge_frame_text(payload, 65535);
    assert_memory_equal(frame->bytes, "\x81\x7e\xff\xff", 4);
    edge_frame_unref(frame);

    frame = edge_frame_text(payload, 65536);
    assert_int_equal(frame->len, 65546);
    assert_memory_equal(frame->bytes, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10);
    edge_frame_unref(frame);

    frame = edge_frame_control(9, payload, 125);
    assert_memory_equal(frame->bytes, "\x89\x7d", 2);
    edge_frame_unref(frame);
    free(payload);
}

static void test_close_reason_is_cut_between_characters(void **state)
{
    (void)state;
    char reason[200];
    memset(reason, 'r', sizeof(reason));
    memcpy(reason + 121, "\xe2\x82\xac...", 7); /* bytes 121 to 123 are one character */

    struct edge_frame *frame = edge_frame_close(1008, reason);
    assert_int_equal(frame->len, 2 + 2 + 121);
    assert_memory_equal(frame->bytes, "\x88\x7b\x03\xf0rr", 6);
    edge_frame_unref(frame);

    frame = edge_frame_close(1005, "never sent");
    assert_int_equal(frame->len, 2);
    edge_frame_unref(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_leave_in_order_whatever_each_write_takes),
        cmocka_unit_test(test_pushing_while_sending_keeps_the_order),
        cmocka_unit_test(test_few_frames_need_no_memory_and_an_empty_queue_keeps_none),
        cmocka_unit_test(test_peek_stops_at_the_budget_and_at_the_number_of_pieces),
        cmocka_unit_test(test_frame_lives_as_long_as_its_slowest_receiver),
        cmocka_unit_test(test_dropping_keeps_the_frame_that_is_half_sent),
        cmocka_unit_test(test_dropping_between_frames_drops_all),
        cmocka_unit_test(test_frame_headers_use_the_shortest_length),
        cmocka_unit_test(test_close_reason_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
