/* tests/unit/edge/hub_identity_test.c - the hub when identities change or expire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub_fixture.h"

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
    transaction(f, 5, 30, "1");
    refuse_sub(f, old);
    const char *told = NULL;
    uint64_t resumed = announced(&told);
    assert_true(resumed > number);
    assert_non_null(strstr(told, " since 10/30/-1\n"));
    fake_write_group(&f->out, 6, "t");
    accept_replay(f, resumed, 6, 30);
    replayed(f, 6, 50, "2");

    assert_string_equal(heard(ann), ROW("1") ROW("2"));
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
