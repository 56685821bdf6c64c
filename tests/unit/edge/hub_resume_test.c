/* tests/unit/edge/hub_resume_test.c - the hub when shards come back and identities change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub_fixture.h"

/* --- tests: interruptions ------------------------------------------------------------------------------------ */

static void test_new_session_announces_again_and_tells_the_gap(void **state)
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
    transaction(f, 5, 40, "2"); /* of a group that is not this session's */
    assert_string_equal(heard(ann), "");

    fake_write_group(&f->out, 9, "t");
    accept_sub(f, second, 9, 50);
    transaction(f, 9, 60, "3");
    assert_string_equal(heard(ann), "gap a 10/30 to 10/50\n" ROW("3"));
}

static void test_shard_that_goes_back_repeats_nothing_and_leaves_no_gap(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    begin(f, 30, false);
    insert(f, 5, 0, "1");
    insert(f, 5, 1, "2");
    send_frame(f); /* and dies within the transaction */
    (void)heard(ann);
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
    assert_string_equal(heard(ann), "");
    assert_int_equal(announced(NULL), 0);
    hub_tick(f->hub);

    fake_write_group(&f->out, 7, "t");
    accept_sub(f, announced(NULL), 7, 40);
    assert_string_equal(heard(ann), "gap a 10/20 to 10/40\n");
    assert_true(fake_metric(f->process, "pgtide_edge_encode_errors_total") == 1.0);
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

/* --- tests: identities --------------------------------------------------------------------------------------- */

static void test_new_identity_takes_over_without_a_gap(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    in_force(f, ann);
    set_identity(ann, "member");
    uint64_t number = announced(&told);
    assert_null(strstr(told, "unsubscribe"));
    transaction(f, 5, 30, "1");
    fake_write_group(&f->out, 6, "t");
    accept_sub(f, number, 6, 30);
    (void)announced(&told);
    assert_non_null(strstr(told, "unsubscribe "));
    assert_non_null(strstr(told, "forget 1\n"));
    transaction(f, 5, 40, "2");
    transaction(f, 6, 50, "3");

    assert_string_equal(heard(ann), ROW("1") ROW("3"));
    hub_unsubscribe(ann->subs[0]);
    assert_int_equal(hub_client_subs(ann->client), 0);
}

static void test_new_identity_that_is_refused_ends_the_subscription(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    set_identity(ann, "member");
    refuse_sub(f, announced(NULL));
    transaction(f, 5, 30, "1");

    assert_string_equal(heard(ann), "refused a 2 no\n");
    assert_int_equal(hub_client_subs(ann->client), 0);
}

static void test_unsubscribe_while_a_new_identity_is_not_answered(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    set_identity(ann, "member");
    uint64_t number = announced(NULL);
    hub_unsubscribe(ann->subs[0]);
    accept_sub(f, number, 5, 30);
    transaction(f, 5, 40, "1");

    assert_string_equal(heard(ann), "");
    assert_true(fake_metric(f->process, "pgtide_edge_upward_subscriptions") == 0.0);
}

static void test_old_identity_refused_while_the_new_one_waits(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    uint64_t old = in_force(f, ann);

    set_identity(ann, "member");
    uint64_t number = announced(NULL);
    refuse_sub(f, old);
    assert_string_equal(heard(ann), "");
    fake_write_group(&f->out, 6, "t");
    accept_sub(f, number, 6, 40);
    transaction(f, 6, 50, "1");

    assert_string_equal(heard(ann), "gap a 10/20 to 10/40\n" ROW("1"));
}

static void test_identity_swapped_twice_before_an_answer(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    set_identity(ann, "member");
    set_identity(ann, "admin");
    accept_sub(f, announced(NULL), 5, 30);
    transaction(f, 5, 40, "1");
    set_identity(ann, "anon");
    set_identity(ann, "admin");
    transaction(f, 5, 50, "2");

    assert_string_equal(heard(ann), ROW("1") ROW("2"));
    assert_true(fake_metric(f->process, "pgtide_edge_upward_subscriptions") == 1.0);
    assert_true(fake_metric(f->process, "pgtide_edge_identities") == 1.0);
}

static void test_new_identity_before_the_first_answer(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    fake_session(shard(), true);
    subscribe(f, ann, 'a');
    uint64_t old = announced(NULL);
    set_identity(ann, "member");
    uint64_t number = announced(NULL);
    accept_sub(f, old, 5, 20);
    assert_string_equal(heard(ann), "");
    accept_sub(f, number, 5, 20);

    assert_string_equal(heard(ann), "accepted a 10/20/-1 undefined\n");
}

static void test_expired_token_ends_everything_after_the_leeway(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon|{}|60");
    struct person *bob = join(f, 1, "anon");

    in_force(f, ann);
    subscribe(f, bob, 'a');
    (void)announced(NULL);
    fake_clock_add(64 * RT_SEC);
    hub_tick(f->hub);
    assert_string_equal(heard(ann), "");
    fake_clock_add(1 * RT_SEC);
    hub_tick(f->hub);
    hub_tick(f->hub);

    assert_string_equal(heard(ann), "expired\n");
    assert_int_equal(subscribe_as(f, ann, 'b', "t", HUB_EVERY_OP), HUB_EXPIRED);
    transaction(f, 5, 70, "1");
    assert_string_equal(heard(ann), "");
}

static void test_renewed_token_does_not_expire_with_the_old_one(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon|{}|60");

    in_force(f, ann);
    set_identity(ann, "anon|{ }|600");
    fake_clock_add(100 * RT_SEC);
    hub_tick(f->hub);
    assert_null(strstr(heard(ann), "expired"));
    fake_clock_add(600 * RT_SEC);
    hub_tick(f->hub);

    assert_non_null(strstr(heard(ann), "expired"));
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(new_session_announces_again_and_tells_the_gap),
        T(shard_that_goes_back_repeats_nothing_and_leaves_no_gap),
        T(refusal_after_an_interruption_ends_the_subscription),
        T(same_session_goes_on_and_hears_what_it_missed),
        T(gap_of_the_database_is_told_to_everybody_in_force),
        T(bad_record_makes_everything_start_over_at_the_next_tick),
        T(change_for_a_group_that_nobody_described_is_a_fault),
        T(row_shorter_than_its_description_is_a_fault),
        T(announcement_that_cannot_be_sent_is_repeated),
        T(group_is_kept_while_used_and_freed_a_while_later),
        T(new_identity_takes_over_without_a_gap),
        T(new_identity_that_is_refused_ends_the_subscription),
        T(unsubscribe_while_a_new_identity_is_not_answered),
        T(old_identity_refused_while_the_new_one_waits),
        T(identity_swapped_twice_before_an_answer),
        T(new_identity_before_the_first_answer),
        T(expired_token_ends_everything_after_the_leeway),
        T(renewed_token_does_not_expire_with_the_old_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
