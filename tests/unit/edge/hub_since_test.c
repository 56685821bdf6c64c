/* tests/unit/edge/hub_since_test.c - clients that go on from a position, and which change is a transaction's last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub_fixture.h"

/* --- since ------------------------------------------------------------------------------------------------------- */

/* Ann's subscription 'a', since 20, in a replay as group 9. */
static uint64_t resuming(struct fixture *f, struct person *ann)
{
    const char *told = NULL;

    fake_session(shard(), true);
    subscribe_since(f, ann, 'a', 20);
    uint64_t number = announced(&told);
    assert_non_null(strstr(told, " since 10/20/-1\n"));
    assert_string_equal(heard(ann), "");
    fake_write_group(&f->out, 9, "t");
    accept_replay(f, number, 9, 20);
    assert_string_equal(heard(ann), "resumed a 10/20/-1\n");
    return number;
}

static void test_client_goes_on_from_its_position_and_then_live(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    uint64_t number = resuming(f, ann);

    replayed(f, 9, 10, "0"); /* for somebody that was further behind: Ann has it */
    replayed(f, 9, 30, "1");
    fake_write_group(&f->out, 5, "t");
    accept_sub(f, number, 5, 40);
    transaction(f, 5, 50, "2");

    assert_string_equal(heard(ann), ROW("1") ROW("2"));
    assert_true(fake_metric(f->process, "pgtide_edge_resumed_total") == 1.0);
}

static void test_nothing_to_replay(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    fake_session(shard(), true);
    subscribe_since(f, ann, 'a', 20);
    fake_write_group(&f->out, 5, "t");
    accept_sub(f, announced(NULL), 5, 20);

    assert_string_equal(heard(ann), "resumed a 10/20/-1\n");
}

static void test_beginning_later_than_asked_is_not_called_resumed(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    fake_session(shard(), true);
    subscribe_since(f, ann, 'a', 20);
    fake_write_group(&f->out, 5, "t");
    accept_sub(f, announced(NULL), 5, 25);

    assert_string_equal(heard(ann), "accepted a 10/25/-1\n");
}

static void test_caught_up_subscription_joins_the_shared_one(void **state)
{
    struct fixture *f = *state;
    struct person *bob = join(f, 1, "anon");
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;
    char expected[64];

    in_force(f, bob);
    subscribe_since(f, ann, 'a', 10);
    uint64_t number = announced(&told);
    assert_non_null(strstr(told, " since 10/10/-1\n"));
    fake_write_group(&f->out, 9, "t");
    accept_replay(f, number, 9, 10);
    transaction(f, 5, 30, "3");
    replayed(f, 9, 15, "1");
    replayed(f, 9, 30, "3");
    assert_true(fake_metric(f->process, "pgtide_edge_upward_subscriptions") == 2.0);
    accept_sub(f, number, 5, 30);
    (void)announced(&told);
    (void)snprintf(expected, sizeof expected, "unsubscribe %d\n", (int)number);
    assert_string_equal(told, expected);
    assert_true(fake_metric(f->process, "pgtide_edge_upward_subscriptions") == 1.0);
    transaction(f, 5, 40, "4");

    assert_string_equal(heard(bob), ROW("3") ROW("4"));
    assert_string_equal(heard(ann), "resumed a 10/10/-1\n" ROW("1") ROW("3") ROW("4"));
    assert_ptr_equal(ann->last, bob->last);
    leave(bob);
    transaction(f, 5, 50, "5");
    assert_string_equal(heard(ann), ROW("5"));
}

static void test_caught_up_subscription_becomes_the_shared_one(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");
    uint64_t number = resuming(f, ann);

    fake_write_group(&f->out, 5, "t");
    accept_sub(f, number, 5, 40);
    subscribe(f, bob, 'a');

    assert_int_equal(announced(NULL), 0);
    assert_string_equal(heard(bob), "accepted a 10/40/-1\n");
}

/* A shard that reads its window again is behind what this edge has seen: what it sends is new to those who asked for it. */
static void test_position_behind_what_others_have_seen(void **state)
{
    struct fixture *f = *state;
    struct person *bob = join(f, 1, "bob");
    struct person *ann = join(f, 0, "anon");

    in_force(f, bob);
    transaction(f, 5, 100, "9");
    fake_session(shard(), true);
    uint64_t bobs = announced(NULL);
    subscribe_since(f, ann, 'a', 70);
    uint64_t anns = announced(NULL);
    fake_write_group(&f->out, 6, "t");
    accept_sub(f, anns, 6, 70);
    transaction(f, 6, 80, "8");
    transaction(f, 6, 100, "9");
    accept_sub(f, bobs, 6, 100);
    transaction(f, 6, 110, "10");

    assert_string_equal(heard(ann), "resumed a 10/70/-1\n" ROW("8") ROW("9") ROW("10"));
    assert_string_equal(heard(bob), ROW("9") ROW("10"));
    (void)announced(NULL);
    fake_session(shard(), true);
    const char *told = NULL;
    (void)announced(&told);
    assert_non_null(strstr(told, " since 10/110/-1\n"));
}

static void test_position_that_is_gone(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    fake_session(shard(), true);
    subscribe_since(f, ann, 'a', 12);
    gone_sub(f, announced(NULL), WIRE_GONE_TOO_OLD);

    assert_string_equal(heard(ann), "gone a 2 no more since 10/12 of 10/15 to 10/90\n");
    assert_int_equal(hub_client_subs(ann->client), 0);
    assert_int_equal(announced(NULL), 0);
    assert_true(fake_metric(f->process, "pgtide_edge_resume_gone_total") == 1.0);
    assert_true(fake_metric(f->process, "pgtide_edge_upward_subscriptions") == 0.0);
}

static void test_window_that_overtakes_a_replay_is_a_gap(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    uint64_t number = resuming(f, ann);

    replayed(f, 9, 30, "1");
    gone_sub(f, number, WIRE_GONE_TOO_OLD);
    fake_write_group(&f->out, 5, "t");
    accept_sub(f, announced(NULL), 5, 95);

    assert_string_equal(heard(ann), ROW("1") "gap a 10/30 to 10/95\n");
}

static void test_answer_to_a_position_may_take_longer(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    fake_session(shard(), true);
    subscribe_since(f, ann, 'a', 20);
    fake_clock_add(HUB_RESUME_TIMEOUT - 1);
    hub_tick(f->hub);
    assert_string_equal(heard(ann), "");
    fake_clock_add(1);
    hub_tick(f->hub);

    assert_non_null(strstr(heard(ann), "did not answer"));
}

static void test_interruption_before_the_answer_keeps_the_position(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    subscribe_since(f, ann, 'a', 20);
    fake_session(shard(), true);
    (void)announced(NULL);
    fake_session(shard(), true);
    uint64_t number = announced(&told);
    assert_non_null(strstr(told, " since 10/20/-1\n"));
    fake_write_group(&f->out, 9, "t");
    accept_replay(f, number, 9, 20);

    assert_string_equal(heard(ann), "resumed a 10/20/-1\n");
}

static void test_new_identity_during_a_replay_goes_on_from_where_it_was(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;
    uint64_t number = resuming(f, ann);

    replayed(f, 9, 30, "1");
    set_identity(ann, "member");
    uint64_t again = announced(&told);
    assert_true(again > number);
    assert_non_null(strstr(told, " since 10/30/-1\n"));
    replayed(f, 9, 40, "2");
    fake_write_group(&f->out, 7, "t");
    accept_replay(f, again, 7, 30);
    replayed(f, 7, 40, "2");

    assert_string_equal(heard(ann), ROW("1") ROW("2"));
}

static void test_heir_of_one_that_is_interrupted(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    in_force(f, ann);
    set_identity(ann, "member");
    (void)announced(NULL);
    fake_session(shard(), true);
    uint64_t number = announced(&told);
    const char *first = strstr(told, "\nsubscribe ");
    assert_non_null(strstr(first, " since 10/20/-1\n"));
    assert_null(strstr(first + 1, "\nsubscribe "));
    fake_write_group(&f->out, 9, "t");
    accept_replay(f, number, 9, 20);
    replayed(f, 9, 30, "1");

    assert_string_equal(heard(ann), ROW("1"));
}

static void test_live_stream_and_replays_interleave(void **state)
{
    struct fixture *f = *state;
    struct person *bob = join(f, 1, "bob");
    struct person *ann = join(f, 0, "anon");

    in_force(f, bob);
    subscribe_since(f, ann, 'a', 10);
    fake_write_group(&f->out, 9, "t");
    accept_replay(f, announced(NULL), 9, 10);
    (void)heard(ann);
    begin(f, 40, false);
    insert(f, 5, 0, "4");
    send_frame(f);
    replay(f, 9, 20, false);
    insert(f, 9, 0, "1");
    send_frame(f);
    replay(f, 9, 20, true);
    insert(f, 9, 1, "2");
    end(f, 20);
    send_frame(f);
    begin(f, 40, true);
    insert(f, 5, 1, "5");
    end(f, 40);
    send_frame(f);

    assert_string_equal(heard(ann), MORE("1") ROW("2"));
    assert_string_equal(heard(bob), MORE("4") ROW("5"));
}

static void test_replay_to_a_live_group_is_a_fault(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    replayed(f, 5, 30, "1");
    hub_tick(f->hub);

    assert_string_equal(heard(ann), "");
    assert_int_not_equal(announced(NULL), 0);
}

/* --- the last of a transaction ----------------------------------------------------------------------------------------- */

static void test_last_is_the_last_of_the_events_that_are_wanted(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");
    const char *row[] = { "1", "x" };

    in_force(f, ann);
    assert_int_equal(subscribe_as(f, bob, 'a', "t", HUB_INSERT), HUB_OK);
    (void)heard(bob);
    begin(f, 30, false);
    insert(f, 5, 0, "1");
    wire_encode_deliver(&f->out,
                        &(struct wire_deliver){ .index = 1,
                                                .group_count = 1,
                                                .old_kind = WIRE_OLD_FULL,
                                                .old_row = fake_tuple(2, row) },
                        &(struct wire_delivery){ 5, WIRE_DELETE });
    end(f, 30);
    send_frame(f);

    assert_string_equal(heard(bob), ROW("1"));
    assert_string_equal(heard(ann), MORE("1") "1 t delete t old {\"id\":1,\"name\":\"x\"}.\n");
}

static void test_transaction_without_an_end_holds_nothing_back(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    begin(f, 30, false);
    insert(f, 5, 0, "1");
    send_frame(f);
    assert_string_equal(heard(ann), "");
    begin(f, 40, false);
    send_frame(f);

    assert_string_equal(heard(ann), MORE("1"));
}

static void test_gap_comes_behind_what_was_held_back(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    begin(f, 30, false);
    insert(f, 5, 0, "1");
    wire_encode_gap(&f->out,
                    &(struct wire_gap){ { EPOCH, 30, 0 }, { EPOCH + 1, 5, 0 }, { "new slot", 8 } });
    send_frame(f);

    assert_string_equal(heard(ann), MORE("1") "gap a 10/30 to 11/5\n");
}

static void test_regroup_within_a_transaction_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    uint64_t number = in_force(f, ann);

    begin(f, 30, false);
    insert(f, 5, 0, "1");
    send_frame(f);
    fake_write_group(&f->out, 6, "t");
    accept_sub(f, number, 6, 25);
    begin(f, 30, true);
    insert(f, 6, 1, "2");
    end(f, 30);
    send_frame(f);

    assert_string_equal(heard(ann), MORE("1") ROW("2"));
}

static void test_leaving_with_a_frame_held_back(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");

    in_force(f, ann);
    subscribe(f, bob, 'a');
    (void)heard(bob);
    begin(f, 30, false);
    insert(f, 5, 0, "1");
    send_frame(f);
    leave(ann);
    leave(bob);
    end(f, 30);
    send_frame(f);

    assert_string_equal(heard(bob), "");
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(client_goes_on_from_its_position_and_then_live),
        T(nothing_to_replay),
        T(beginning_later_than_asked_is_not_called_resumed),
        T(caught_up_subscription_joins_the_shared_one),
        T(caught_up_subscription_becomes_the_shared_one),
        T(position_behind_what_others_have_seen),
        T(position_that_is_gone),
        T(window_that_overtakes_a_replay_is_a_gap),
        T(answer_to_a_position_may_take_longer),
        T(interruption_before_the_answer_keeps_the_position),
        T(new_identity_during_a_replay_goes_on_from_where_it_was),
        T(heir_of_one_that_is_interrupted),
        T(live_stream_and_replays_interleave),
        T(replay_to_a_live_group_is_a_fault),
        T(last_is_the_last_of_the_events_that_are_wanted),
        T(transaction_without_an_end_holds_nothing_back),
        T(gap_comes_behind_what_was_held_back),
        T(regroup_within_a_transaction_loses_nothing),
        T(leaving_with_a_frame_held_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
