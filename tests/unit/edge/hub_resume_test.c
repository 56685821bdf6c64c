/* tests/unit/edge/hub_resume_test.c - the hub when shards come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub_fixture.h"

/* --- tests: interruptions ------------------------------------------------------------------------------------ */

/* One that goes on where it was hears nothing of it. */
static void test_new_session_goes_on_from_where_it_was(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;
    uint64_t first = in_force(f, ann);

    transaction(f, 5, 30, "1");
    (void)heard(ann);
    fake_down(shard());
    fake_session(shard(), true);
    uint64_t second = announced(&told);
    assert_true(second > first);
    assert_non_null(strstr(told, "identify 1 anon"));
    assert_non_null(strstr(told, "table:public.t since 10/30/-1\n"));
    transaction(f, 5, 40, "2"); /* of a group that is not this session's */
    assert_string_equal(heard(ann), "");

    fake_write_group(&f->out, 9, "t");
    accept_replay(f, second, 9, 30);
    replayed(f, 9, 40, "2");
    transaction(f, 8, 55, "another's");
    replayed(f, 9, 50, "3");
    fake_write_group(&f->out, 10, "t");
    accept_sub(f, second, 10, 55);
    transaction(f, 10, 60, "4");
    assert_string_equal(heard(ann), ROW("2") ROW("3") ROW("4"));
    assert_true(fake_metric(f->process, "pgtide_edge_gaps_total") == 0.0);
}

static void test_shard_that_goes_on_later_tells_the_gap(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    fake_session(shard(), true);
    fake_write_group(&f->out, 9, "t");
    accept_sub(f, announced(NULL), 9, 50);
    transaction(f, 9, 60, "3");
    assert_string_equal(heard(ann), "gap a 10/20 to 10/50\n" ROW("3"));
}

static void test_position_that_is_gone_is_a_gap_and_a_new_beginning(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    in_force(f, ann);
    fake_session(shard(), true);
    gone_sub(f, announced(NULL), WIRE_GONE_TOO_OLD);
    assert_string_equal(heard(ann), "");
    uint64_t again = announced(&told);
    assert_null(strstr(told, "since"));
    fake_write_group(&f->out, 9, "t");
    accept_sub(f, again, 9, 50);

    assert_string_equal(heard(ann), "gap a 10/20 to 10/50\n");
}

/* Restored from a backup: what comes after the position it has now is new, although its positions are not. */
static void test_database_that_went_back_is_a_gap_and_nothing_is_left_out(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    fake_session(shard(), true);
    gone_sub(f, announced(NULL), WIRE_GONE_AHEAD);
    fake_write_group(&f->out, 9, "t");
    accept_sub(f, announced(NULL), 9, 12);
    transaction(f, 9, 15, "1");

    assert_string_equal(heard(ann), "gap a 10/20 to 10/12\n" ROW("1"));
}

/* The broker sends what the earliest of them misses; whoever is further leaves out what it has. */
static void test_members_that_are_further_leave_out_what_they_have(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");

    in_force(f, ann);
    begin(f, 30, false);
    insert(f, 5, 0, "1");
    insert(f, 5, 1, "2");
    send_frame(f);
    subscribe(f, bob, 'a');
    assert_string_equal(heard(bob), "accepted a 10/30/1\n");
    assert_string_equal(heard(ann), MORE("1"));
    fake_session(shard(), true);
    const char *told = NULL;
    uint64_t number = announced(&told);
    assert_non_null(strstr(told, " since 10/30/0\n"));
    fake_write_group(&f->out, 9, "t");
    accept_replay_within(f, number, 9, 30, 0);
    replay(f, 9, 30, false);
    insert(f, 9, 0, "1");
    insert(f, 9, 1, "2");
    insert(f, 9, 2, "3");
    end(f, 30);
    send_frame(f);

    assert_string_equal(heard(ann), MORE("2") ROW("3"));
    assert_string_equal(heard(bob), ROW("3"));
}

static void test_second_interruption_goes_on_from_where_the_replay_was(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    in_force(f, ann);
    fake_session(shard(), true);
    fake_session(shard(), true);
    uint64_t number = announced(&told);
    assert_non_null(strstr(told, " since 10/20/-1\n"));
    fake_write_group(&f->out, 9, "t");
    accept_replay(f, number, 9, 20);
    replayed(f, 9, 30, "1");
    replay(f, 9, 40, false);
    insert(f, 9, 0, "2");
    insert(f, 9, 1, "3");
    send_frame(f);
    assert_string_equal(heard(ann), ROW("1") MORE("2"));
    fake_session(shard(), true);
    number = announced(&told);
    assert_non_null(strstr(told, " since 10/40/0\n"));
    fake_write_group(&f->out, 4, "t");
    accept_replay_within(f, number, 4, 40, 0);
    replay(f, 4, 40, false);
    insert(f, 4, 1, "3");
    end(f, 40);
    send_frame(f);

    assert_string_equal(heard(ann), ROW("3"));
}

static void test_rights_that_change_during_a_replay_start_it_again(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    fake_session(shard(), true);
    uint64_t number = announced(NULL);
    fake_write_group(&f->out, 9, "t");
    accept_replay(f, number, 9, 20);
    replayed(f, 9, 30, "1");
    fake_write_group(&f->out, 11, "t");
    accept_replay(f, number, 11, 20);
    replayed(f, 11, 30, "1");
    replayed(f, 11, 40, "2");
    accept_sub(f, number, 12, 40);

    assert_string_equal(heard(ann), ROW("1") ROW("2"));
}

static void test_shard_that_is_behind_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    fake_session(shard(), true);
    uint64_t number = announced(NULL);
    fake_clock_add(2 * HUB_RESUME_TIMEOUT);
    hub_tick(f->hub);
    assert_string_equal(heard(ann), "");
    fake_write_group(&f->out, 9, "t");
    accept_sub(f, number, 9, 20);
    transaction(f, 9, 30, "1");

    assert_string_equal(heard(ann), ROW("1"));
}

static void test_client_that_joins_during_a_replay_gets_it_too(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");

    in_force(f, ann);
    fake_session(shard(), true);
    uint64_t number = announced(NULL);
    fake_write_group(&f->out, 9, "t");
    accept_replay(f, number, 9, 20);
    replayed(f, 9, 30, "1");
    subscribe(f, bob, 'a');
    replayed(f, 9, 40, "2");

    assert_string_equal(heard(ann), ROW("1") ROW("2"));
    assert_string_equal(heard(bob), "accepted a 10/30/-1\n" ROW("2"));
}

static void test_shard_that_goes_back_repeats_nothing_and_leaves_no_gap(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    begin(f, 30, false);
    insert(f, 5, 0, "1");
    insert(f, 5, 1, "2");
    insert(f, 5, 2, "3");
    send_frame(f); /* and dies within the transaction */
    assert_string_equal(heard(ann), MORE("1") MORE("2"));
    fake_session(shard(), true);
    fake_write_group(&f->out, 1, "t");
    accept_sub(f, announced(NULL), 1, 25);
    begin(f, 30, false);
    insert(f, 1, 0, "1");
    insert(f, 1, 1, "2");
    insert(f, 1, 2, "3");
    end(f, 30);
    send_frame(f);

    assert_string_equal(heard(ann), ROW("3"));
    assert_true(fake_metric(f->process, "pgtide_edge_repeated_changes_total") == 2.0);
}

static void test_refusal_after_an_interruption_ends_the_subscription(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    fake_session(shard(), true);
    refuse_sub(f, announced(NULL));

    assert_string_equal(heard(ann), "refused a 2 no\n");
    assert_int_equal(hub_client_subs(ann->client), 0);
}

static void test_same_session_goes_on_and_hears_what_it_missed(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "bob");
    struct person *cid = join(f, 2, "cid");
    const char *told = NULL;
    uint64_t number = in_force(f, ann);
    char expected[64];

    subscribe(f, bob, 'a');
    uint64_t bobs = announced(NULL);
    fake_down(shard());
    hub_unsubscribe(bob->subs[0]);
    subscribe(f, cid, 'a');
    fake_session(shard(), false);

    (void)announced(&told);
    (void)snprintf(expected, sizeof expected, "unsubscribe %d\nidentify ", (int)bobs);
    assert_non_null(strstr(told, expected));
    assert_non_null(strstr(told, "subscribe "));
    (void)snprintf(expected, sizeof expected, "subscribe %d ", (int)number);
    assert_null(strstr(told, expected));
    transaction(f, 5, 30, "1");
    assert_string_equal(heard(ann), ROW("1"));
}

static void test_gap_of_the_database_is_told_to_everybody_in_force(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "bob");

    in_force(f, ann);
    subscribe(f, bob, 'a');
    wire_encode_gap(&f->out,
                    &(struct wire_gap){ { EPOCH, 30, 0 }, { EPOCH + 1, 5, 0 }, { "new slot", 8 } });
    send_frame(f);

    assert_string_equal(heard(ann), "gap a 10/30 to 11/5\n");
    assert_string_equal(heard(bob), "");
    assert_true(fake_metric(f->process, "pgtide_edge_gaps_total") == 1.0);
}

static void test_bad_record_makes_everything_start_over_at_the_next_tick(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    begin(f, 30, false);
    wire_write_u64(&f->out, 1);
    insert(f, 5, 0, "1");
    send_frame(f);
    transaction(f, 5, 40, "2"); /* behind what could not be read: not for anybody */
    assert_string_equal(heard(ann), "");
    const char *told = NULL;
    assert_int_equal(announced(NULL), 0);
    hub_tick(f->hub);

    uint64_t number = announced(&told);
    assert_non_null(strstr(told, " since 10/20/-1\n"));
    fake_write_group(&f->out, 7, "t");
    accept_replay(f, number, 7, 20);
    assert_string_equal(heard(ann), "");
    assert_true(fake_metric(f->process, "pgtide_edge_encode_errors_total") == 1.0);
}

static void test_record_that_stays_bad_is_a_gap_at_last(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    in_force(f, ann);
    for (int i = 0; i < 2; i++) {
        (void)announced(NULL);
        wire_write_u64(&f->out, 1);
        send_frame(f);
        fake_clock_add(RT_SEC);
        hub_tick(f->hub);
    }
    uint64_t number = announced(&told);
    assert_null(strstr(told, "since"));
    fake_write_group(&f->out, 7, "t");
    accept_sub(f, number, 7, 40);
    assert_string_equal(heard(ann), "gap a 10/20 to 10/40\n");
}

static void test_change_for_a_group_that_nobody_described_is_a_fault(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    fake_session(shard(), true);
    subscribe(f, ann, 'a');
    accept_sub(f, announced(NULL), 5, 20);
    (void)heard(ann);
    transaction(f, 5, 30, "1");
    hub_tick(f->hub);

    assert_int_not_equal(announced(NULL), 0);
}

static void test_row_shorter_than_its_description_is_a_fault(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *row[] = { "1" };

    in_force(f, ann);
    begin(f, 30, false);
    wire_encode_deliver(&f->out,
                        &(struct wire_deliver){ .group_count = 1, .new_row = fake_tuple(1, row) },
                        &(struct wire_delivery){ 5, WIRE_INSERT });
    send_frame(f);
    hub_tick(f->hub);

    assert_string_equal(heard(ann), "");
    assert_int_not_equal(announced(NULL), 0);
}

static void test_announcement_that_cannot_be_sent_is_repeated(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    fake_session(shard(), true);
    fake_fail_next_message(shard());
    subscribe(f, ann, 'a');
    assert_int_equal(announced(NULL), 0);
    hub_tick(f->hub);

    assert_int_not_equal(announced(NULL), 0);
}

static void test_group_is_kept_while_used_and_freed_a_while_later(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    fake_clock_add(200 * RT_SEC);
    hub_tick(f->hub);
    assert_true(fake_metric(f->process, "pgtide_edge_groups") == 1.0);
    hub_unsubscribe(ann->subs[0]);
    hub_tick(f->hub);
    assert_true(fake_metric(f->process, "pgtide_edge_groups") == 1.0);
    fake_clock_add(200 * RT_SEC);
    hub_tick(f->hub);

    assert_true(fake_metric(f->process, "pgtide_edge_groups") == 0.0);
    assert_true(fake_metric(f->process, "pgtide_edge_subscriptions") == 0.0);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(new_session_goes_on_from_where_it_was),
        T(shard_that_goes_on_later_tells_the_gap),
        T(position_that_is_gone_is_a_gap_and_a_new_beginning),
        T(database_that_went_back_is_a_gap_and_nothing_is_left_out),
        T(members_that_are_further_leave_out_what_they_have),
        T(second_interruption_goes_on_from_where_the_replay_was),
        T(rights_that_change_during_a_replay_start_it_again),
        T(shard_that_is_behind_is_waited_for),
        T(client_that_joins_during_a_replay_gets_it_too),
        T(shard_that_goes_back_repeats_nothing_and_leaves_no_gap),
        T(refusal_after_an_interruption_ends_the_subscription),
        T(same_session_goes_on_and_hears_what_it_missed),
        T(gap_of_the_database_is_told_to_everybody_in_force),
        T(bad_record_makes_everything_start_over_at_the_next_tick),
        T(record_that_stays_bad_is_a_gap_at_last),
        T(change_for_a_group_that_nobody_described_is_a_fault),
        T(row_shorter_than_its_description_is_a_fault),
        T(announcement_that_cannot_be_sent_is_repeated),
        T(group_is_kept_while_used_and_freed_a_while_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
