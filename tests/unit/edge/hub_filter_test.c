/* tests/unit/edge/hub_filter_test.c - the hub with filters: one upward subscription for each (identity, channel, filter), which stays
 * with its filter whatever happens to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub_fixture.h"

static struct hub_want filtered(const char *text, enum wire_filter_kind kind)
{
    return (struct hub_want){ .filter = { (const uint8_t *)text, strlen(text) },
                              .filter_kind = kind };
}

/* Subscribes and is accepted in a group of its own. */
static uint64_t with_filter(struct fixture *f, struct person *person, char name, const char *text,
                            uint32_t group)
{
    assert_int_equal(subscribe_with(f, person, name, filtered(text, WIRE_FILTER_PLAIN)), HUB_OK);
    uint64_t number = announced(NULL);
    assert_int_not_equal(number, 0);
    fake_write_group(&f->out, group, "t");
    accept_sub(f, number, group, 20);
    return number;
}

static void test_two_filters_on_one_channel_are_two_upward_subscriptions(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    fake_session(0, true);
    fake_session(1, true);
    uint64_t first = with_filter(f, ann, 'a', "id=eq.1", 5);
    uint64_t second = with_filter(f, ann, 'b', "id=eq.2", 6);
    assert_int_not_equal(first, second);
    (void)heard(ann);

    transaction(f, 5, 30, "1");
    assert_string_equal(heard(ann), ROW("1"));
    transaction(f, 6, 40, "2");
    assert_string_equal(heard(ann), ROW("2"));

    const char *told = NULL;
    char expected[64];
    hub_unsubscribe(ann->subs[0]);
    (void)announced(&told);
    (void)snprintf(expected, sizeof expected, "unsubscribe %d\n", (int)first);
    assert_string_equal(told, expected);
    transaction(f, 5, 50, "1");
    transaction(f, 6, 60, "2");
    assert_string_equal(heard(ann), ROW("2"));
}

static void test_the_filter_goes_up_as_it_was_written(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    fake_session(shard(), true);
    assert_int_equal(subscribe_with(f, ann, 'a', filtered("a=eq.1 & \"x\"", WIRE_FILTER_QUERY)),
                     HUB_OK);
    (void)announced(&told);
    assert_non_null(strstr(told, "table:public.t filter 2 'a=eq.1 & \"x\"'\n"));
    /* Without a text its kind means nothing. */
    assert_int_equal(subscribe_with(f, ann, 'b', filtered("", WIRE_FILTER_LIST)), HUB_OK);
    (void)announced(&told);
    assert_non_null(strstr(told, "table:public.t\n"));
}

static void test_equal_filters_are_shared_and_the_same_text_of_another_kind_is_not(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");

    fake_session(shard(), true);
    (void)with_filter(f, ann, 'a', "t=eq.a,b", 5);
    assert_int_equal(subscribe_with(f, bob, 'a', filtered("t=eq.a,b", WIRE_FILTER_PLAIN)), HUB_OK);
    assert_int_equal(announced(NULL), 0);
    assert_string_equal(heard(bob), "accepted a 10/20/-1\n");
    assert_int_equal(subscribe_with(f, bob, 'b', filtered("t=eq.a,b", WIRE_FILTER_LIST)), HUB_OK);
    assert_int_not_equal(announced(NULL), 0);
    subscribe(f, bob, 'c');
    assert_int_not_equal(announced(NULL), 0);
}

static void test_a_refused_filter_leaves_the_others_alone(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    fake_session(shard(), true);
    (void)with_filter(f, ann, 'a', "id=eq.1", 5);
    (void)heard(ann);
    assert_int_equal(subscribe_with(f, ann, 'b', filtered("id=eq.x", WIRE_FILTER_PLAIN)), HUB_OK);
    refuse_sub(f, announced(NULL));
    assert_string_equal(heard(ann), "refused b 2 no\n");
    transaction(f, 5, 30, "1");
    assert_string_equal(heard(ann), ROW("1"));
}

static void test_an_interrupted_filter_is_announced_again_with_its_filter(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    fake_session(shard(), true);
    (void)with_filter(f, ann, 'a', "id=eq.1", 5);
    (void)with_filter(f, ann, 'b', "id=eq.2", 6);
    (void)announced(NULL);
    fake_session(shard(), false);
    fake_session(shard(), true);
    (void)announced(&told);
    assert_non_null(strstr(told, " filter 0 'id=eq.1' since 10/20/-1\n"));
    assert_non_null(strstr(told, " filter 0 'id=eq.2' since 10/20/-1\n"));
}

static void test_a_new_identity_keeps_the_filter(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    fake_session(shard(), true);
    (void)with_filter(f, ann, 'a', "id=eq.1", 5);
    (void)heard(ann);
    (void)announced(NULL);
    set_identity(ann, "member");
    uint64_t number = announced(&told);
    assert_non_null(strstr(told, "table:public.t filter 0 'id=eq.1'\n"));
    fake_write_group(&f->out, 7, "t");
    accept_sub(f, number, 7, 20);
    transaction(f, 7, 30, "1");
    assert_string_equal(heard(ann), ROW("1"));
}

static void test_one_that_has_caught_up_joins_those_with_its_filter_only(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");
    struct hub_want want = filtered("id=eq.1", WIRE_FILTER_PLAIN);

    fake_session(shard(), true);
    (void)with_filter(f, ann, 'a', "id=eq.2", 6);
    want.has_since = true;
    want.since = (struct wire_position){ EPOCH, 10, UINT32_MAX };
    assert_int_equal(subscribe_with(f, bob, 'a', want), HUB_OK);
    uint64_t number = announced(NULL);
    fake_write_group(&f->out, 9, "t");
    accept_replay(f, number, 9, 10);
    replayed(f, 9, 15, "1");
    fake_write_group(&f->out, 5, "t");
    accept_sub(f, number, 5, 20);
    (void)heard(bob);
    transaction(f, 6, 30, "2");
    assert_string_equal(heard(bob), "");
    /* It is the shared one of its filter now. */
    assert_int_equal(subscribe_with(f, ann, 'b', filtered("id=eq.1", WIRE_FILTER_PLAIN)), HUB_OK);
    assert_int_equal(announced(NULL), 0);
    (void)heard(ann);
    transaction(f, 5, 40, "1");
    assert_string_equal(heard(bob), ROW("1"));
    assert_string_equal(heard(ann), ROW("1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_two_filters_on_one_channel_are_two_upward_subscriptions),
        TEST(test_the_filter_goes_up_as_it_was_written),
        TEST(test_equal_filters_are_shared_and_the_same_text_of_another_kind_is_not),
        TEST(test_a_refused_filter_leaves_the_others_alone),
        TEST(test_an_interrupted_filter_is_announced_again_with_its_filter),
        TEST(test_a_new_identity_keeps_the_filter),
        TEST(test_one_that_has_caught_up_joins_those_with_its_filter_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
