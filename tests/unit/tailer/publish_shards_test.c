/* publish_shards_test.c - shards that are left behind, come back, or are given up: tailer/publish.h. */
#include "tests/unit/tailer/publish_fixture.h"

/* The end of a turn: what both shards have, they acknowledge. */
static void settle(struct fixture *f)
{
    publish_turn_end(f->publish, f->now);
    fake_ack(&f->sink, 0);
    fake_ack(&f->sink, 1);
    sent(f, 0);
    sent(f, 1);
}

/* As the tailer does it: the stream is another one from here on. */
static void leave(struct fixture *f, uint32_t shard)
{
    publish_leave(f->publish, shard);
    f->sink.sent[shard] = 0;
    f->sink.acked[shard] = 0;
    f->sink.acked_tag[shard] = 0;
    sent(f, shard);
}

static uint64_t come_back(struct fixture *f, uint32_t shard)
{
    publish_fresh(f->publish, shard);
    assert_true(publish_returning(f->publish));
    publish_break(f->publish, 0);
    uint64_t from = publish_resume(f->publish);
    assert_false(publish_returning(f->publish));
    return from;
}

static uint64_t confirmable(struct fixture *f)
{
    return publish_confirmable(f->publish, UINT64_MAX);
}

/* What PostgreSQL sends again: only what a shard wants is given to it. */
static void again(struct fixture *f, uint64_t lsn, uint32_t shard)
{
    begin(f, lsn);
    if (publish_wants(f->publish, &f->relations[shard], 0)) {
        change(f, shard, 0, "x");
    }
    end(f, lsn, 1);
}

static void test_a_shard_left_behind_holds_back_the_slot_and_nobody_else(void **state)
{
    struct fixture *f = *state;
    transaction(f, 100, 0);
    settle(f);
    transaction(f, 200, 0);
    publish_turn_end(f->publish, f->now);

    leave(f, 0);
    again(f, 300, 0);
    again(f, 400, 1);
    publish_turn_end(f->publish, f->now);
    publish_position(f->publish, 900, 0);
    publish_tick(f->publish, f->now);

    assert_string_equal(sent(f, 0), "");
    assert_string_equal(sent(f, 1), "[ B400 R2:t:A0 I2.0(->x) E1 ][ P900 ]");
    fake_ack(&f->sink, 1);
    assert_int_equal(confirmable(f), 105);
}

static void test_it_gets_what_it_missed_and_nobody_anything_twice(void **state)
{
    struct fixture *f = *state;
    transaction(f, 100, 0);
    settle(f);
    transaction(f, 200, 0);
    publish_turn_end(f->publish, f->now);
    leave(f, 0);
    again(f, 300, 0);
    again(f, 400, 1);
    publish_turn_end(f->publish, f->now);
    sent(f, 1);
    fake_ack(&f->sink, 1);

    assert_int_equal(come_back(f, 0), 105);
    again(f, 100, 0);
    again(f, 200, 0);
    again(f, 300, 0);
    again(f, 400, 1);
    again(f, 500, 1);
    publish_turn_end(f->publish, f->now);

    assert_string_equal(sent(f, 0), "[ B200 R1:t:A0 I1.0(->x) E1 B300 I1.0(->x) E1 ]");
    assert_string_equal(sent(f, 1), "[ B500 I2.0(->x) E1 ]");
    assert_int_equal(confirmable(f), 105);
    fake_ack(&f->sink, 0);
    fake_ack(&f->sink, 1);
    assert_int_equal(confirmable(f), 505);
}

static void test_positions_on_the_way_are_the_shards_own(void **state)
{
    struct fixture *f = *state;
    transaction(f, 100, 0);
    settle(f);
    leave(f, 0);
    again(f, 200, 0);
    again(f, 300, 1);
    settle(f);
    come_back(f, 0);

    again(f, 200, 0);
    publish_turn_end(f->publish, f->now);
    assert_int_equal(f->sink.tag[0], 205);
    fake_ack(&f->sink, 0);
    sent(f, 0);
    assert_int_equal(confirmable(f), 205);
    publish_position(f->publish, 250, 0);
    publish_tick(f->publish, f->now);
    assert_string_equal(sent(f, 0), "[ P250 ]");
    assert_string_equal(sent(f, 1), "[ P305 ]");
    assert_int_equal(publish_position_now(f->publish), 305);
}

static void test_one_that_is_left_inside_a_transaction_gets_it_whole(void **state)
{
    struct fixture *f = *state;

    begin(f, 100);
    change(f, 0, 0, "x");
    change(f, 1, 1, "y");
    leave(f, 0);
    assert_false(publish_wants(f->publish, &f->relations[0], 2));
    publish_break(f->publish, 2);
    assert_string_equal(sent(f, 1), "[ B100 R2:t:A0 I2.1(->y) ]");

    come_back(f, 0);
    begin(f, 50);
    end(f, 50, 0);
    begin(f, 100);
    assert_true(publish_wants(f->publish, &f->relations[0], 0));
    assert_false(publish_wants(f->publish, &f->relations[1], 1));
    change(f, 0, 0, "x");
    change(f, 1, 2, "z");
    end(f, 100, 3);
    publish_turn_end(f->publish, f->now);

    assert_string_equal(sent(f, 0), "[ B100 R1:t:A0 I1.0(->x) E3 ]");
    assert_string_equal(sent(f, 1), "[ b100 I2.2(->z) E3 ]");
}

static void test_messages_are_repeated_to_the_one_that_was_away_only(void **state)
{
    struct fixture *f = *state;
    const struct wire_message note = { .lsn = 150, .prefix = { "p", 1 }, .content = { "m", 1 } };
    transaction(f, 100, 0);
    settle(f);
    leave(f, 0);
    assert_true(publish_message(f->publish, &note));
    assert_string_equal(sent(f, 0), "");
    assert_string_equal(sent(f, 1), "[ M.0:m ]");

    come_back(f, 0);
    assert_true(publish_message(f->publish, &note));
    assert_string_equal(sent(f, 0), "[ M.0:m ]");
    assert_string_equal(sent(f, 1), "");
    assert_false(publish_message(f->publish, &note));
}

static void test_one_that_is_given_up_does_not_hold_back_the_slot(void **state)
{
    struct fixture *f = *state;
    transaction(f, 100, 0);
    settle(f);
    leave(f, 0);
    again(f, 200, 0);
    again(f, 300, 1);
    settle(f);
    assert_int_equal(confirmable(f), 105);

    publish_give_up(f->publish, 0);
    assert_int_equal(confirmable(f), 305);
    again(f, 400, 0);

    assert_int_equal(come_back(f, 0), 305);
    assert_string_equal(sent(f, 0), "[ G5 ]");
    again(f, 400, 0);
    publish_turn_end(f->publish, f->now);
    assert_string_equal(sent(f, 0), "[ B400 R1:t:A0 I1.0(->x) E1 ]");
    assert_string_equal(sent(f, 1), "");
}

static void test_a_window_makes_its_gap_smaller(void **state)
{
    struct fixture *f = *state;
    transaction(f, 100, 0);
    settle(f);
    leave(f, 0);
    again(f, 200, 0);
    again(f, 300, 0);
    publish_give_up(f->publish, 0);
    assert_int_equal(publish_confirmable(f->publish, 205), 205);

    assert_int_equal(come_back(f, 0), 205);
    sent(f, 0);
    again(f, 300, 0);
    publish_turn_end(f->publish, f->now);
    assert_string_equal(sent(f, 0), "[ B300 R1:t:A0 I1.0(->x) E1 ]");
}

static void test_a_new_history_takes_everybody_along(void **state)
{
    struct fixture *f = *state;
    transaction(f, 1000, 0);
    settle(f);
    leave(f, 0);

    publish_gap(f->publish, &(struct wire_gap){ .to = { .epoch = 9 }, .reason = { "r", 1 } }, 10);

    assert_string_equal(sent(f, 0), "[ G9 ]");
    assert_string_equal(sent(f, 1), "[ G9 ]");
    transaction(f, 20, 0);
    publish_turn_end(f->publish, f->now);
    assert_string_equal(sent(f, 0), "[ B20 I1.0(->x) E1 ]");
}

static void test_a_table_that_policies_read_goes_to_every_shard(void **state)
{
    struct fixture *f = *state;

    f->relations[0].everywhere = true;
    begin(f, 100);
    change(f, 0, 0, "x");
    change(f, 1, 1, "y");
    end(f, 100, 2);
    begin(f, 200);
    publish_truncate(f->publish, &(struct relation *){ &f->relations[0] }, 1, 0, 0);
    end(f, 200, 1);
    publish_turn_end(f->publish, f->now);

    assert_string_equal(sent(f, 0), "[ B100 R1:t:A0 I1.0(->x) E2 B200 T.0,1 E1 ]");
    assert_string_equal(sent(f, 1),
                        "[ B100 R1:t:A0 I1.0(->x) R2:t:A0 I2.1(->y) E2 B200 T.0,1 E1 ]");
}

static void test_a_shard_that_had_a_change_of_such_a_table_is_not_given_it_again(void **state)
{
    struct fixture *f = *state;

    f->relations[0].everywhere = true;
    leave(f, 1);
    transaction(f, 100, 0);
    publish_turn_end(f->publish, f->now);
    assert_string_equal(sent(f, 0), "[ B100 R1:t:A0 I1.0(->x) E1 ]");
    assert_string_equal(sent(f, 1), "");

    come_back(f, 1);
    begin(f, 100);
    assert_true(publish_wants(f->publish, &f->relations[0], 0));
    change(f, 0, 0, "x");
    end(f, 100, 1);
    publish_turn_end(f->publish, f->now);
    assert_string_equal(sent(f, 0), "");
    assert_string_equal(sent(f, 1), "[ B100 R1:t:A0 I1.0(->x) E1 ]");
    begin(f, 100);
    assert_false(publish_wants(f->publish, &f->relations[0], 0));
    end(f, 100, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, publish_setup, publish_teardown)
        TEST(test_a_shard_left_behind_holds_back_the_slot_and_nobody_else),
        TEST(test_it_gets_what_it_missed_and_nobody_anything_twice),
        TEST(test_positions_on_the_way_are_the_shards_own),
        TEST(test_one_that_is_left_inside_a_transaction_gets_it_whole),
        TEST(test_messages_are_repeated_to_the_one_that_was_away_only),
        TEST(test_one_that_is_given_up_does_not_hold_back_the_slot),
        TEST(test_a_window_makes_its_gap_smaller),
        TEST(test_a_new_history_takes_everybody_along),
        TEST(test_a_table_that_policies_read_goes_to_every_shard),
        TEST(test_a_shard_that_had_a_change_of_such_a_table_is_not_given_it_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
