/* tests/unit/edge/hub_test.c - subscribing, waiting, and the way of a change to its members. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub_fixture.h"
#include "runtime/health.h"

/* --- tests: subscribing -------------------------------------------------------------------------------------- */

static void test_identity_goes_ahead_of_the_subscription_and_both_are_answered_once(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon|{}");
    const char *told = NULL;

    fake_session(shard(), true);
    subscribe(f, ann, 'a');
    uint64_t number = announced(&told);
    assert_non_null(strstr(told, "identify 1 anon {}\nsubscribe "));
    assert_string_equal(heard(ann), "");

    accept_sub(f, number, 5, 20);
    assert_string_equal(heard(ann), "accepted a 10/20/-1 undefined\n");
    assert_int_equal(fake_acked(shard()), 1);
}

static void test_equal_identities_share_one_upward_subscription(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon|{}");
    struct person *bob = join(f, 1, "anon|{}");
    const char *told = NULL;

    in_force(f, ann);
    subscribe(f, bob, 'a');

    assert_int_equal(announced(&told), 0);
    assert_string_equal(told, "");
    assert_string_equal(heard(bob), "accepted a 10/20/-1\n");
}

static void test_other_claims_are_another_upward_subscription(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon|{}");
    struct person *bob = join(f, 1, "anon|{\"sub\":\"bob\"}");

    in_force(f, ann);
    subscribe(f, bob, 'a');

    assert_int_not_equal(announced(NULL), 0);
    assert_string_equal(heard(bob), "");
}

static void test_late_joiner_is_complete_from_the_last_change(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");

    in_force(f, ann);
    transaction(f, 5, 30, "1");
    subscribe(f, bob, 'a');

    assert_string_equal(heard(bob), "accepted a 10/30/-1\n");
}

static void test_more_subscriptions_than_configured_are_not_taken(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    subscribe(f, ann, 'a');
    subscribe(f, ann, 'b');
    subscribe(f, ann, 'c');

    assert_int_equal(subscribe_as(f, ann, 'd', "t", HUB_EVERY_OP), HUB_TOO_MANY);
    hub_unsubscribe(ann->subs[0]);
    assert_int_equal(subscribe_as(f, ann, 'd', "t", HUB_EVERY_OP), HUB_OK);
}

static void test_refused_subscription_is_over_and_may_be_tried_again(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    fake_session(shard(), true);
    subscribe(f, ann, 'a');
    refuse_sub(f, announced(NULL));
    assert_string_equal(heard(ann), "refused a 2 no\n");
    assert_int_equal(hub_client_subs(ann->client), 0);
    assert_true(fake_metric(f->process, "pgtide_edge_refusals_total{code=\"FORBIDDEN\"}") == 1.0);

    subscribe(f, ann, 'b');
    assert_int_not_equal(announced(NULL), 0);
}

static void test_unsubscribe_before_the_answer_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;
    char expected[64];

    fake_session(shard(), true);
    subscribe(f, ann, 'a');
    uint64_t number = announced(NULL);
    hub_unsubscribe(ann->subs[0]);
    (void)announced(&told);
    (void)snprintf(expected, sizeof expected, "unsubscribe %d\n", (int)number);
    assert_string_equal(told, expected);

    accept_sub(f, number, 5, 20);
    transaction(f, 5, 30, "1");
    assert_string_equal(heard(ann), "");
}

static void test_client_that_leaves_before_the_answer_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    fake_session(shard(), true);
    subscribe(f, ann, 'a');
    uint64_t number = announced(NULL);
    leave(ann);

    (void)announced(&told);
    assert_non_null(strstr(told, "unsubscribe "));
    assert_non_null(strstr(told, "forget 1\n"));
    accept_sub(f, number, 5, 20);
    assert_string_equal(heard(ann), "");
}

static void test_last_of_several_clients_takes_the_upward_subscription_along(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");
    const char *told = NULL;

    in_force(f, ann);
    subscribe(f, bob, 'a');
    leave(ann);
    (void)announced(&told);
    assert_string_equal(told, "");

    leave(bob);
    (void)announced(&told);
    assert_non_null(strstr(told, "unsubscribe "));
}

/* --- tests: waiting ---------------------------------------------------------------------------------------- */

static void test_subscribe_waits_for_an_unreachable_shard_but_not_for_ever(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    subscribe(f, ann, 'a');
    fake_clock_add(HUB_SUBSCRIBE_TIMEOUT - 1);
    hub_tick(f->hub);
    assert_string_equal(heard(ann), "");
    fake_clock_add(1);
    hub_tick(f->hub);

    const char *text = heard(ann);
    assert_non_null(strstr(text, "refused a 4 the server is not ready: shard "));
    assert_non_null(strstr(text, "cannot be reached"));
    fake_session(shard(), true);
    assert_int_equal(announced(NULL), 0);
}

static void test_subscribe_is_sent_when_the_shard_comes_in_time(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    subscribe(f, ann, 'a');
    fake_clock_add(9 * RT_SEC);
    hub_tick(f->hub);
    fake_session(shard(), true);
    uint64_t number = announced(NULL);
    fake_clock_add(2 * RT_SEC);
    hub_tick(f->hub);
    assert_string_equal(heard(ann), "");

    accept_sub(f, number, 5, 20);
    assert_string_equal(heard(ann), "accepted a 10/20/-1 undefined\n");
}

static void test_shard_that_never_answers_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    fake_session(shard(), true);
    subscribe(f, ann, 'a');
    fake_clock_add(HUB_ANSWER_TIMEOUT);
    hub_tick(f->hub);

    assert_non_null(strstr(heard(ann), "did not answer"));
    assert_string_not_equal(fake_told(shard()), "");
}

static void test_readiness_names_the_shard_that_is_missing(void **state)
{
    struct fixture *f = *state;
    struct rt_buf text = { 0 };

    fake_session(0, true);
    rt_health_render(f->process->health, &text);
    assert_non_null(strstr(rt_buf_cstr(&text), "shard 1: not connected"));
    assert_false(rt_health_ready(f->process->health));
    fake_session(1, true);
    assert_true(rt_health_ready(f->process->health));
    fake_down(0);
    assert_false(rt_health_ready(f->process->health));
    rt_buf_fini(&text);
}

/* --- tests: changes ---------------------------------------------------------------------------------------- */

static void test_change_is_encoded_once_and_shared_by_its_audience(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");

    in_force(f, ann);
    subscribe(f, bob, 'a');
    (void)heard(bob);
    transaction(f, 5, 30, "1");

    assert_string_equal(heard(ann), ROW("1"));
    assert_string_equal(heard(bob), ROW("1"));
    assert_ptr_equal(ann->last, bob->last);
    assert_int_equal(f->encoded, 1);
    assert_true(fake_metric(f->process, "pgtide_edge_frames_encoded_total") == 1.0);
    assert_true(fake_metric(f->process, "pgtide_edge_frames_queued_total") == 2.0);
    assert_true(fake_metric(f->process, "pgtide_edge_commit_delay_seconds_count") == 1.0);
}

static void test_other_channel_texts_are_other_frames_around_the_same_content(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    assert_int_equal(subscribe_as(f, ann, 'b', "room", HUB_EVERY_OP), HUB_OK);
    (void)heard(ann);
    transaction(f, 5, 30, "1");

    assert_string_equal(heard(ann), ROW("1") "1 room insert t new {\"id\":1,\"name\":\"x\"}.\n");
    assert_int_equal(f->encoded, 2);
    assert_int_equal(f->content, 1);
}

static void test_members_get_only_the_events_they_asked_for(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");

    in_force(f, ann);
    assert_int_equal(subscribe_as(f, bob, 'a', "t", HUB_DELETE), HUB_OK);
    (void)heard(bob);
    transaction(f, 5, 30, "1");
    assert_string_equal(heard(bob), "");
    assert_string_equal(heard(ann), ROW("1"));

    leave(ann);
    f->encoded = 0;
    transaction(f, 5, 40, "2");
    assert_int_equal(f->encoded, 0);
}

static void test_update_without_an_old_row_shows_the_old_key_from_the_new_row(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *row[] = { "1", NULL };

    in_force(f, ann);
    begin(f, 30, false);
    wire_encode_deliver(&f->out,
                        &(struct wire_deliver){ .group_count = 1, .new_row = fake_tuple(2, row) },
                        &(struct wire_delivery){ 5, WIRE_UPDATE });
    end(f, 30);
    send_frame(f);

    assert_string_equal(heard(ann), "1 t update t new {\"id\":1,\"name\":null} old {\"id\":1}.\n");
}

static void test_delete_and_truncate(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *row[] = { "1", "y" };

    in_force(f, ann);
    begin(f, 30, false);
    wire_encode_deliver(&f->out,
                        &(struct wire_deliver){ .group_count = 1,
                                                .old_kind = WIRE_OLD_FULL,
                                                .old_row = fake_tuple(2, row) },
                        &(struct wire_delivery){ 5, WIRE_DELETE });
    wire_encode_deliver_truncate(&f->out, 1, 0, (const uint32_t[]){ 5 }, 1);
    end(f, 30);
    send_frame(f);

    assert_string_equal(heard(ann),
                        "1 t delete t old {\"id\":1,\"name\":\"y\"}+\n1 t truncate t.\n");
}

static void test_members_that_left_get_nothing_and_others_still_do(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");
    struct person *cid = join(f, 2, "anon");

    in_force(f, ann);
    subscribe(f, bob, 'a');
    subscribe(f, cid, 'a');
    hub_unsubscribe(ann->subs[0]);
    transaction(f, 5, 30, "1");
    leave(cid);
    transaction(f, 5, 40, "2");

    assert_string_equal(heard(ann), "");
    assert_string_equal(heard(bob), "accepted a 10/20/-1\n" ROW("1") ROW("2"));
    assert_string_equal(heard(cid), "accepted a 10/20/-1\n" ROW("1"));
}

static void test_new_group_takes_the_members_along(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    uint64_t number = in_force(f, ann);

    fake_write_group(&f->out, 6, "t");
    accept_sub(f, number, 6, 25);
    transaction(f, 5, 30, "1");
    transaction(f, 6, 40, "2");

    assert_string_equal(heard(ann), ROW("2"));
}

static void test_transaction_in_several_frames(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    begin(f, 30, false);
    insert(f, 5, 0, "1");
    send_frame(f);
    begin(f, 30, true);
    insert(f, 5, 1, "2");
    end(f, 30);
    send_frame(f);

    assert_string_equal(heard(ann), MORE("1") ROW("2"));
    assert_true(fake_metric(f->process, "pgtide_edge_commit_delay_seconds_count") == 1.0);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(identity_goes_ahead_of_the_subscription_and_both_are_answered_once),
        T(equal_identities_share_one_upward_subscription),
        T(other_claims_are_another_upward_subscription),
        T(late_joiner_is_complete_from_the_last_change),
        T(more_subscriptions_than_configured_are_not_taken),
        T(refused_subscription_is_over_and_may_be_tried_again),
        T(unsubscribe_before_the_answer_leaves_nothing_behind),
        T(client_that_leaves_before_the_answer_is_forgotten),
        T(last_of_several_clients_takes_the_upward_subscription_along),
        T(subscribe_waits_for_an_unreachable_shard_but_not_for_ever),
        T(subscribe_is_sent_when_the_shard_comes_in_time),
        T(shard_that_never_answers_is_given_up),
        T(readiness_names_the_shard_that_is_missing),
        T(change_is_encoded_once_and_shared_by_its_audience),
        T(other_channel_texts_are_other_frames_around_the_same_content),
        T(members_get_only_the_events_they_asked_for),
        T(update_without_an_old_row_shows_the_old_key_from_the_new_row),
        T(delete_and_truncate),
        T(members_that_left_get_nothing_and_others_still_do),
        T(new_group_takes_the_members_along),
        T(transaction_in_several_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
