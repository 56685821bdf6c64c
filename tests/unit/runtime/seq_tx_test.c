/* runtime/seq_tx alone; together with seq_rx it is tested in link_sim_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/seq_tx.h"

static void push(struct seq_tx *tx, size_t len, uint64_t tag)
{
    struct seq_frame *frame = seq_frame_new(len);
    memset(frame->data, 0, len);
    frame->tag = tag;
    (void)seq_tx_push(tx, frame);
}

static struct seq_tx ring_of(uint64_t frames, size_t len)
{
    struct seq_tx tx;
    seq_tx_init(&tx);
    for (uint64_t i = 1; i <= frames; i++) {
        push(&tx, len, i * 10);
    }
    return tx;
}

static void test_ring_counts_bytes_and_keeps_every_frame_while_it_grows(void **state)
{
    (void)state;
    struct seq_tx tx = ring_of(1000, 10);

    assert_int_equal(tx.bytes, 10000);
    for (uint64_t seq = 1; seq <= 1000; seq++) {
        assert_int_equal(seq_tx_get(&tx, seq)->tag, seq * 10);
    }
    assert_null(seq_tx_get(&tx, 0));
    assert_null(seq_tx_get(&tx, 1001));
    seq_tx_fini(&tx);
}

static void test_ack_gives_the_tag_and_lets_go_of_its_frames(void **state)
{
    (void)state;
    struct seq_tx tx = ring_of(100, 10);
    uint64_t tag = 0;

    assert_true(seq_tx_ack(&tx, 60, &tag));

    assert_int_equal(tag, 600);
    assert_int_equal(tx.pending, 400);
    assert_int_equal(tx.bytes, 1000);
    seq_tx_trim(&tx, 0, 0);
    assert_int_equal(tx.bytes, 400);
    assert_int_equal(tx.first, 61);
    seq_tx_fini(&tx);
}

static void test_acknowledged_frames_are_kept_within_bytes_and_time(void **state)
{
    (void)state;
    struct seq_tx tx = ring_of(100, 10);
    uint64_t tag = 0;
    for (uint64_t seq = 1; seq <= 100; seq++) {
        seq_tx_get(&tx, seq)->at = (rt_usec)seq;
    }
    assert_true(seq_tx_ack(&tx, 60, &tag));

    seq_tx_trim(&tx, 250, 0);
    assert_int_equal(tx.first, 36);
    seq_tx_trim(&tx, 250, 50);
    assert_int_equal(tx.first, 50);
    seq_tx_trim(&tx, 250, 1000);
    assert_int_equal(tx.first, 61);
    assert_int_equal(tx.pending, 400);
    seq_tx_fini(&tx);
}

static void test_a_new_subscriber_finds_what_follows_its_first_frame(void **state)
{
    (void)state;
    struct seq_tx tx = ring_of(100, 10);
    uint64_t tag = 0;
    assert_true(seq_tx_ack(&tx, 60, &tag));
    seq_tx_trim(&tx, 300, 0);
    assert_int_equal(tx.first, 31);

    seq_tx_serve(&tx, 31);
    assert_int_equal(tx.done_tag, 300);
    seq_tx_trim(&tx, 0, 1000);
    assert_int_equal(tx.first, 31);

    assert_true(seq_tx_ack(&tx, 40, &tag));
    assert_int_equal(tag, 400);
    assert_int_equal(tx.acked, 60);
    assert_int_equal(tx.pending, 400);
    seq_tx_trim(&tx, 0, 1000);
    assert_int_equal(tx.first, 41);
    seq_tx_serve(&tx, 55);
    assert_int_equal(tx.done, 40);

    assert_true(seq_tx_ack(&tx, 70, &tag));
    assert_int_equal(tx.acked, 70);
    assert_int_equal(tx.pending, 300);
    seq_tx_fini(&tx);
}

static void test_a_subscriber_that_begins_inside_the_ring_has_the_tag_before_it(void **state)
{
    (void)state;
    struct seq_tx tx = ring_of(10, 10);
    uint64_t tag = 0;
    assert_true(seq_tx_ack(&tx, 10, &tag));

    seq_tx_serve(&tx, 4);
    assert_int_equal(tx.done, 3);
    assert_int_equal(tx.done_tag, 30);
    seq_tx_serve(&tx, 1);
    assert_int_equal(tx.done, 0);
    assert_int_equal(tx.done_tag, 0);
    seq_tx_fini(&tx);
}

static void test_old_and_impossible_acks_change_nothing(void **state)
{
    (void)state;
    struct seq_tx tx = ring_of(10, 10);
    uint64_t tag = 0;
    assert_true(seq_tx_ack(&tx, 5, &tag));

    assert_false(seq_tx_ack(&tx, 5, &tag));
    assert_false(seq_tx_ack(&tx, 4, &tag));
    assert_false(seq_tx_ack(&tx, 0, &tag));
    assert_false(seq_tx_ack(&tx, 11, &tag));
    assert_false(seq_tx_ack(&tx, UINT64_MAX, &tag));

    assert_int_equal(tx.pending, 50);
    seq_tx_fini(&tx);
}

static void test_eviction_drops_the_oldest_and_never_the_newest(void **state)
{
    (void)state;
    struct seq_tx tx = ring_of(10, 100);

    assert_int_equal(seq_tx_evict(&tx, 350), 7);
    assert_int_equal(tx.first, 8);
    assert_int_equal(seq_tx_evict(&tx, 0), 2);
    assert_int_equal(tx.first, 10);
    assert_int_equal(tx.bytes, 100);
    assert_int_equal(tx.pending, 100);
    seq_tx_fini(&tx);
}

static void test_frame_lives_as_long_as_somebody_sends_it(void **state)
{
    (void)state;
    struct seq_tx tx = ring_of(1, 4);
    struct seq_frame *sending = seq_frame_ref(seq_tx_get(&tx, 1));
    uint64_t tag = 0;

    assert_true(seq_tx_ack(&tx, 1, &tag));
    seq_tx_trim(&tx, 0, 0);

    assert_int_equal(sending->len, 4);
    assert_int_equal(sending->data[3], 0);
    seq_frame_unref(sending);
    seq_tx_fini(&tx);
}

static void test_answer_is_bounded_by_bytes_and_frames_but_has_one_frame(void **state)
{
    (void)state;
    struct seq_tx tx = ring_of(20, 100);

    struct seq_answer few = seq_tx_answer(&tx, 3, 20, 250, 100);
    struct seq_answer counted = seq_tx_answer(&tx, 3, 20, 10000, 5);
    struct seq_answer large = seq_tx_answer(&tx, 3, 20, 1, 5);

    assert_int_equal(few.to, 4);
    assert_int_equal(few.bytes, 200);
    assert_int_equal(counted.to, 7);
    assert_int_equal(large.to, 3);
    seq_tx_fini(&tx);
}

static void test_answer_begins_where_the_ring_begins_and_may_be_empty(void **state)
{
    (void)state;
    struct seq_tx tx = ring_of(20, 100);
    uint64_t tag = 0;
    assert_true(seq_tx_ack(&tx, 10, &tag));
    seq_tx_trim(&tx, 0, 0);

    struct seq_answer cut = seq_tx_answer(&tx, 5, 12, 10000, 100);
    struct seq_answer gone = seq_tx_answer(&tx, 5, 8, 10000, 100);
    struct seq_answer never = seq_tx_answer(&tx, 21, 30, 10000, 100);

    assert_int_equal(cut.from, 11);
    assert_int_equal(cut.to, 12);
    assert_int_equal(gone.to, gone.from - 1);
    assert_int_equal(never.to, 20);
    assert_int_equal(never.bytes, 0);
    seq_tx_fini(&tx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_counts_bytes_and_keeps_every_frame_while_it_grows),
        cmocka_unit_test(test_ack_gives_the_tag_and_lets_go_of_its_frames),
        cmocka_unit_test(test_acknowledged_frames_are_kept_within_bytes_and_time),
        cmocka_unit_test(test_a_new_subscriber_finds_what_follows_its_first_frame),
        cmocka_unit_test(test_a_subscriber_that_begins_inside_the_ring_has_the_tag_before_it),
        cmocka_unit_test(test_old_and_impossible_acks_change_nothing),
        cmocka_unit_test(test_eviction_drops_the_oldest_and_never_the_newest),
        cmocka_unit_test(test_frame_lives_as_long_as_somebody_sends_it),
        cmocka_unit_test(test_answer_is_bounded_by_bytes_and_frames_but_has_one_frame),
        cmocka_unit_test(test_answer_begins_where_the_ring_begins_and_may_be_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
