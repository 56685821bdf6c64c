/* runtime/seq_rx alone; together with seq_tx it is tested in link_sim_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/seq_rx.h"

#define HOLD ((size_t)8 << 20)

struct receiver {
    struct seq_rx rx;
    uint64_t next; /* expected */
    uint64_t pause_at;
    size_t requests;
    uint64_t from;
    uint64_t to;
    bool deaf; /* requests cannot be sent */
};

static void deliver(void *ctx, uint64_t seq, struct rt_span frame)
{
    struct receiver *r = ctx;
    assert_false(r->rx.paused);
    assert_int_equal(seq, r->next);
    assert_int_equal(frame.len, seq % 5);
    r->next++;
    if (seq == r->pause_at) {
        seq_rx_pause(&r->rx, true);
    }
}

static bool request(void *ctx, uint64_t from, uint64_t to, size_t bytes)
{
    struct receiver *r = ctx;
    assert_true(from <= to && bytes > 0);
    r->requests++;
    r->from = from;
    r->to = to;
    return !r->deaf;
}

static const struct seq_rx_ops rx_ops = { .deliver = deliver, .request = request };

static int start(void **state)
{
    struct receiver *r = test_calloc(1, sizeof(*r));
    seq_rx_init(&r->rx, &rx_ops, r, HOLD);
    seq_rx_start(&r->rx, 1);
    r->next = 1;
    *state = r;
    return 0;
}

static int stop(void **state)
{
    struct receiver *r = *state;
    seq_rx_fini(&r->rx);
    test_free(r);
    return 0;
}

/* Frame n has n % 5 bytes, so that empty ones are among them. */
static void live(struct receiver *r, uint64_t seq)
{
    seq_rx_frame(&r->rx, seq, (struct rt_span){ (const uint8_t *)"1234", seq % 5 }, false, 0);
}

static void replayed(struct receiver *r, uint64_t seq, rt_usec now)
{
    seq_rx_frame(&r->rx, seq, (struct rt_span){ (const uint8_t *)"1234", seq % 5 }, true, now);
}

static bool answered(struct receiver *r, struct seq_rx_answer answer)
{
    return seq_rx_answer(&r->rx, &answer, 0);
}

static void test_frames_in_order_go_straight_on(void **state)
{
    struct receiver *r = *state;

    for (uint64_t seq = 1; seq <= 10000; seq++) {
        live(r, seq);
    }

    assert_int_equal(r->next, 10001);
    assert_int_equal(r->rx.stats.gaps, 0);
}

static void test_nothing_behind_a_hole_is_handed_on_before_it_is_filled(void **state)
{
    struct receiver *r = *state;
    live(r, 1);
    live(r, 4);
    live(r, 5);
    seq_rx_pump(&r->rx, 0);
    assert_int_equal(r->next, 2);
    assert_int_equal(r->from, 2);
    assert_int_equal(r->to, 3);

    replayed(r, 2, 0);
    replayed(r, 3, 0);
    assert_false(seq_rx_drain(&r->rx, 100));

    assert_int_equal(r->next, 6);
    assert_int_equal(r->rx.stats.gaps, 1);
    assert_int_equal(r->rx.stats.replayed, 2);
    assert_int_equal(r->rx.held, 0);
}

static void test_duplicates_are_counted_and_dropped(void **state)
{
    struct receiver *r = *state;
    live(r, 1);
    live(r, 1);
    live(r, 3);
    live(r, 3);

    assert_int_equal(r->next, 2);
    assert_int_equal(r->rx.stats.duplicates, 2);
}

static void test_heartbeat_shows_a_lost_tail(void **state)
{
    struct receiver *r = *state;
    live(r, 1);

    seq_rx_exists(&r->rx, 3);
    seq_rx_pump(&r->rx, 0);

    assert_int_equal(r->requests, 1);
    assert_int_equal(r->from, 2);
    assert_int_equal(r->to, 3);
}

static void test_unanswered_request_is_made_again_ever_more_slowly(void **state)
{
    struct receiver *r = *state;
    r->deaf = true;
    live(r, 2);
    seq_rx_pump(&r->rx, 0);
    assert_int_equal(seq_rx_deadline(&r->rx), SEQ_RX_TIMEOUT);

    seq_rx_pump(&r->rx, SEQ_RX_TIMEOUT - 1);
    assert_int_equal(r->requests, 1);
    seq_rx_pump(&r->rx, SEQ_RX_TIMEOUT);
    assert_int_equal(r->requests, 2);
    assert_int_equal(seq_rx_deadline(&r->rx), 3 * SEQ_RX_TIMEOUT);

    for (rt_usec now = SEQ_RX_TIMEOUT; now < 60 * RT_SEC; now += 100 * RT_MSEC) {
        seq_rx_pump(&r->rx, now);
    }
    assert_in_range(r->requests, 30, 34);
}

static void test_rest_of_a_partial_answer_is_asked_for_at_once(void **state)
{
    struct receiver *r = *state;
    live(r, 11);
    seq_rx_pump(&r->rx, 0);

    assert_true(answered(
        r, (struct seq_rx_answer){ .from = 1, .to = 4, .oldest = 1, .last = 11, .bytes = 100 }));
    seq_rx_pump(&r->rx, 0);

    assert_int_equal(r->requests, 2);
    assert_int_equal(r->from, 5);
    assert_int_equal(r->to, 10);
}

static void test_answer_that_begins_behind_the_hole_is_a_loss(void **state)
{
    struct receiver *r = *state;
    live(r, 11);
    seq_rx_pump(&r->rx, 0);

    assert_false(answered(
        r, (struct seq_rx_answer){ .from = 1, .to = 10, .oldest = 5, .last = 11, .bytes = 100 }));
}

static void test_answer_to_what_does_not_exist_ends_the_asking(void **state)
{
    struct receiver *r = *state;
    live(r, 1);
    seq_rx_exists(&r->rx, 1000000);
    seq_rx_pump(&r->rx, 0);
    size_t before = r->requests;

    assert_true(answered(
        r, (struct seq_rx_answer){ .from = 2, .to = 1, .oldest = 2, .last = 1, .bytes = 0 }));
    for (rt_usec now = 0; now < 10 * RT_SEC; now += 50 * RT_MSEC) {
        seq_rx_pump(&r->rx, now);
    }
    live(r, 2);

    assert_in_range(r->requests, before, before + SEQ_RX_REQUESTS);
    assert_int_equal(r->next, 3);
    assert_false(seq_rx_full(&r->rx));
}

static void test_pause_in_a_callback_holds_the_rest_until_resumed(void **state)
{
    struct receiver *r = *state;
    r->pause_at = 2;
    live(r, 1);
    live(r, 2);
    live(r, 3);
    live(r, 4);
    assert_int_equal(r->next, 3);
    assert_true(seq_rx_full(&r->rx));

    seq_rx_pause(&r->rx, false);
    assert_true(seq_rx_drain(&r->rx, 1));
    assert_false(seq_rx_drain(&r->rx, 1));

    assert_int_equal(r->next, 5);
    assert_false(seq_rx_full(&r->rx));
}

static void test_held_bytes_stay_within_the_bound(void **state)
{
    struct receiver *r = *state;
    static uint8_t frame[1 << 16];
    for (uint64_t seq = 2; seq < 3000; seq++) {
        seq_rx_frame(&r->rx, seq, (struct rt_span){ frame, sizeof(frame) }, false, 0);
    }

    assert_true(r->rx.held <= HOLD);
    assert_true(seq_rx_full(&r->rx));
    assert_true(r->rx.stats.unheld > 0);
}

static void test_requests_do_not_ask_for_more_than_there_is_room_for(void **state)
{
    struct receiver *r = *state;
    seq_rx_exists(&r->rx, 1000000);

    seq_rx_pump(&r->rx, 0);

    assert_int_equal(r->requests, SEQ_RX_REQUESTS);
    assert_int_equal(r->to, SEQ_RX_REQUESTS * SEQ_RX_REQUEST_MAX);
    assert_true(r->rx.request_bytes * SEQ_RX_REQUESTS <= HOLD);
}

static void test_frames_beyond_the_window_are_asked_for_later(void **state)
{
    struct receiver *r = *state;
    live(r, SEQ_RX_WINDOW + 100);
    assert_true(seq_rx_full(&r->rx));

    rt_usec now = 0;
    while (r->next <= SEQ_RX_WINDOW + 100 && now < 60 * RT_SEC) {
        seq_rx_pump(&r->rx, now);
        replayed(r, r->next, now);
        (void)seq_rx_drain(&r->rx, 100);
        now += RT_MSEC;
    }

    assert_int_equal(r->next, SEQ_RX_WINDOW + 101);
}

static void test_closed_receiver_takes_nothing_and_goes_on_when_opened(void **state)
{
    struct receiver *r = *state;
    live(r, 1);
    live(r, 3);
    seq_rx_close(&r->rx);
    live(r, 2);
    assert_int_equal(r->next, 2);

    seq_rx_reopen(&r->rx);
    live(r, 2);
    (void)seq_rx_drain(&r->rx, 10);

    assert_int_equal(r->next, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_frames_in_order_go_straight_on, start, stop),
        cmocka_unit_test_setup_teardown(test_nothing_behind_a_hole_is_handed_on_before_it_is_filled,
                                        start, stop),
        cmocka_unit_test_setup_teardown(test_duplicates_are_counted_and_dropped, start, stop),
        cmocka_unit_test_setup_teardown(test_heartbeat_shows_a_lost_tail, start, stop),
        cmocka_unit_test_setup_teardown(test_unanswered_request_is_made_again_ever_more_slowly,
                                        start, stop),
        cmocka_unit_test_setup_teardown(test_rest_of_a_partial_answer_is_asked_for_at_once, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_answer_that_begins_behind_the_hole_is_a_loss, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_answer_to_what_does_not_exist_ends_the_asking, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_pause_in_a_callback_holds_the_rest_until_resumed,
                                        start, stop),
        cmocka_unit_test_setup_teardown(test_held_bytes_stay_within_the_bound, start, stop),
        cmocka_unit_test_setup_teardown(test_requests_do_not_ask_for_more_than_there_is_room_for,
                                        start, stop),
        cmocka_unit_test_setup_teardown(test_frames_beyond_the_window_are_asked_for_later, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_closed_receiver_takes_nothing_and_goes_on_when_opened,
                                        start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
