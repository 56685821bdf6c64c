/* publish_test.c - frames, progress, gaps and what may be confirmed: tailer/publish.h. */
#include "tests/unit/tailer/publish_fixture.h"

static void test_transactions_of_one_turn_share_a_frame(void **state)
{
    struct fixture *f = *state;

    transaction(f, 100, 0);
    transaction(f, 200, 0);
    assert_string_equal(sent(f, 0), "");
    publish_turn_end(f->publish, f->now);

    assert_string_equal(sent(f, 0), "[ B100 R1:t:A0 I1.0(->x) E1 B200 I1.0(->x) E1 ]");
    assert_string_equal(sent(f, 1), "");
    assert_int_equal(f->sink.tag[0], 205);
}

static void test_a_transaction_of_two_shards_ends_on_both(void **state)
{
    struct fixture *f = *state;

    begin(f, 100);
    change(f, 0, 0, "x");
    change(f, 1, 1, "y");
    end(f, 100, 2);
    publish_turn_end(f->publish, f->now);

    assert_string_equal(sent(f, 0), "[ B100 R1:t:A0 I1.0(->x) E2 ]");
    assert_string_equal(sent(f, 1), "[ B100 R2:t:A0 I2.1(->y) E2 ]");
}

static void test_a_huge_transaction_goes_in_parts_that_confirm_nothing(void **state)
{
    struct fixture *f = *state;
    transaction(f, 100, 0);
    publish_turn_end(f->publish, f->now);
    sent(f, 0);

    begin(f, 200);
    for (uint32_t i = 0; i < 4; i++) {
        change(f, 0, i, f->big);
    }
    assert_int_equal(f->sink.sent[0], 2);
    assert_int_equal(f->sink.tag[0], 105);
    change(f, 0, 4, "last");
    sent(f, 0);
    end(f, 200, 5);
    publish_turn_end(f->publish, f->now);

    assert_string_equal(sent(f, 0), "[ b200 I1.4(->last) E5 ]");
    assert_int_equal(f->sink.tag[0], 205);
}

static void test_a_complete_transaction_does_not_wait_long_for_an_open_one(void **state)
{
    struct fixture *f = *state;

    transaction(f, 100, 0);
    begin(f, 200);
    change(f, 0, 0, "y");
    publish_turn_end(f->publish, f->now);
    assert_string_equal(sent(f, 0), "");
    publish_turn_end(f->publish, f->now + PUBLISH_BATCH_AGE);
    assert_string_equal(sent(f, 0), "[ B100 R1:t:A0 I1.0(->x) E1 B200 I1.0(->y) ]");
}

static void test_progress_comes_when_the_position_moved(void **state)
{
    struct fixture *f = *state;

    transaction(f, 100, 0);
    publish_turn_end(f->publish, f->now);
    sent(f, 0);
    publish_tick(f->publish, f->now);

    assert_string_equal(sent(f, 1), "[ P105 ]");
    assert_int_equal(f->sink.tag[1], 105);
}

static void test_progress_is_not_repeated_while_the_last_one_is_not_acknowledged(void **state)
{
    struct fixture *f = *state;

    publish_position(f->publish, 100, 0);
    publish_tick(f->publish, f->now);
    assert_string_equal(sent(f, 0), "[ P100 ]");
    publish_position(f->publish, 200, 0);
    publish_tick(f->publish, f->now + 10 * RT_SEC);
    assert_string_equal(sent(f, 0), "");
    fake_ack(&f->sink, 0);
    publish_tick(f->publish, f->now + 10 * RT_SEC);
    assert_string_equal(sent(f, 0), "[ P200 ]");
}

static void test_progress_comes_now_and_then_when_nothing_moves(void **state)
{
    struct fixture *f = *state;

    publish_position(f->publish, 100, 0);
    publish_tick(f->publish, f->now);
    sent(f, 0);
    fake_ack(&f->sink, 0);
    publish_tick(f->publish, f->now + PUBLISH_PROGRESS_IDLE - 1);
    assert_string_equal(sent(f, 0), "");
    publish_tick(f->publish, f->now + PUBLISH_PROGRESS_IDLE);
    assert_string_equal(sent(f, 0), "[ P100 ]");
}

static void test_no_progress_inside_an_open_transaction_of_the_shard(void **state)
{
    struct fixture *f = *state;

    publish_position(f->publish, 100, 0);
    begin(f, 200);
    change(f, 0, 0, "x");
    publish_turn_end(f->publish, f->now);
    publish_turn_end(f->publish, f->now + PUBLISH_BATCH_AGE);
    sent(f, 0);
    publish_tick(f->publish, f->now + RT_SEC);

    assert_string_equal(sent(f, 0), "");
    assert_string_equal(sent(f, 1), "[ P100 ]");
}

static void test_a_fresh_subscriber_is_told_the_table_again(void **state)
{
    struct fixture *f = *state;
    transaction(f, 100, 0);
    publish_turn_end(f->publish, f->now);
    sent(f, 0);

    publish_fresh(f->publish, 0);
    transaction(f, 200, 0);
    publish_turn_end(f->publish, f->now);

    assert_string_equal(sent(f, 0), "[ B200 R1:t:A0 I1.0(->x) E1 ]");
}

static void test_nothing_is_confirmable_that_a_shard_has_not_acknowledged(void **state)
{
    struct fixture *f = *state;

    publish_position(f->publish, 50, 0);
    assert_int_equal(publish_confirmable(f->publish, UINT64_MAX), 50);
    transaction(f, 100, 0);
    assert_int_equal(publish_confirmable(f->publish, UINT64_MAX), 50); /* still in the batch */
    publish_turn_end(f->publish, f->now);
    assert_int_equal(publish_confirmable(f->publish, UINT64_MAX), 50);
    fake_ack(&f->sink, 0);
    assert_int_equal(publish_confirmable(f->publish, UINT64_MAX), 105);
}

static void test_a_shard_that_never_connected_holds_its_transactions_back(void **state)
{
    struct fixture *f = *state;

    transaction(f, 100, 1);
    transaction(f, 200, 0);
    publish_turn_end(f->publish, f->now);
    fake_ack(&f->sink, 0);

    assert_int_equal(publish_confirmable(f->publish, UINT64_MAX), 0);
}

static void test_a_new_process_of_a_shard_holds_back_what_it_does_not_have_yet(void **state)
{
    struct fixture *f = *state;
    transaction(f, 100, 0);
    publish_turn_end(f->publish, f->now);
    transaction(f, 200, 0);
    publish_turn_end(f->publish, f->now);
    f->sink.acked[0] = 1;
    f->sink.acked_tag[0] = 105;

    assert_int_equal(publish_confirmable(f->publish, UINT64_MAX), 105);
    fake_ack(&f->sink, 0);
    f->sink.kept[0] = 2;
    assert_int_equal(publish_fences(f->publish)[0].first_seq, 1);
    assert_int_equal(publish_confirmable(f->publish, UINT64_MAX), 205);
    transaction(f, 300, 0);
    publish_turn_end(f->publish, f->now);
    fake_ack(&f->sink, 0);
    f->sink.acked[0] = 2;
    f->sink.acked_tag[0] = 205;
    assert_int_equal(publish_confirmable(f->publish, UINT64_MAX), 205);
}

static void test_a_gap_starts_positions_over(void **state)
{
    struct fixture *f = *state;
    transaction(f, 1000, 0);
    publish_turn_end(f->publish, f->now);
    sent(f, 0);

    publish_gap(f->publish,
                &(struct wire_gap){ .to = { .epoch = 9, .lsn = 10 }, .reason = { "r", 1 } }, 10);
    assert_string_equal(sent(f, 0), "[ G9 ]");
    assert_string_equal(sent(f, 1), "[ G9 ]");

    /* An acknowledgement of a frame of the old epoch says nothing about the new one. */
    f->sink.acked[0] = 1;
    f->sink.acked_tag[0] = 1005;
    assert_int_equal(publish_confirmable(f->publish, UINT64_MAX), 0);
    fake_ack(&f->sink, 0);
    fake_ack(&f->sink, 1);
    assert_int_equal(publish_confirmable(f->publish, UINT64_MAX), 10);
}

static void test_truncate_goes_to_each_shard_with_its_tables(void **state)
{
    struct fixture *f = *state;
    struct relation *both[] = { &f->relations[0], &f->relations[1] };

    begin(f, 100);
    publish_truncate(f->publish, both, 2, 0, 0);
    end(f, 100, 1);
    publish_turn_end(f->publish, f->now);

    assert_string_equal(sent(f, 0), "[ B100 R1:t:A0 T.0,1 E1 ]");
    assert_string_equal(sent(f, 1), "[ B100 R2:t:A0 T.0,2 E1 ]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, publish_setup, publish_teardown)
        TEST(test_transactions_of_one_turn_share_a_frame),
        TEST(test_a_transaction_of_two_shards_ends_on_both),
        TEST(test_a_huge_transaction_goes_in_parts_that_confirm_nothing),
        TEST(test_a_complete_transaction_does_not_wait_long_for_an_open_one),
        TEST(test_progress_comes_when_the_position_moved),
        TEST(test_progress_is_not_repeated_while_the_last_one_is_not_acknowledged),
        TEST(test_progress_comes_now_and_then_when_nothing_moves),
        TEST(test_no_progress_inside_an_open_transaction_of_the_shard),
        TEST(test_a_fresh_subscriber_is_told_the_table_again),
        TEST(test_nothing_is_confirmable_that_a_shard_has_not_acknowledged),
        TEST(test_a_shard_that_never_connected_holds_its_transactions_back),
        TEST(test_a_new_process_of_a_shard_holds_back_what_it_does_not_have_yet),
        TEST(test_a_gap_starts_positions_over),
        TEST(test_truncate_goes_to_each_shard_with_its_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
