/* Tests of edge/hub_seat.c: what the shard of a user is told, and what becomes of a client that has no seat. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub_fixture.h"
#include "runtime/shard.h"

static struct rt_span text(const char *of)
{
    return (struct rt_span){ (const uint8_t *)of, strlen(of) };
}

/* The shard of a user. */
static unsigned home(const char *user)
{
    char name[64];
    int len = snprintf(name, sizeof name, "user:%s", user);

    return rt_shard_of(name, (size_t)len, 2);
}

static bool seat(struct person *person, const char *user, uint32_t limit)
{
    return hub_seat_take(person->client, text(user), limit);
}

/* What the shard of "ann" was told of seats since the last call, in one message; the numbers are replaced by #. */
static const char *told(struct fixture *f)
{
    static char out[1000];
    size_t len = 0;

    hub_tick(f->hub);
    for (const char *at = fake_told(home("ann")); *at != '\0' && len < sizeof out - 1; at++) {
        bool digit = *at >= '0' && *at <= '9';
        if (!digit || len == 0 || out[len - 1] != '#') {
            out[len++] = digit ? '#' : *at;
        }
    }
    out[len] = '\0';
    return out;
}

static void unseat(struct fixture *f, uint64_t number)
{
    wire_encode_unseated(&f->out, &(struct wire_unseated){ .seat = number });
    fake_frame(home("ann"), &f->out);
}

static void sessions(void)
{
    fake_session(0, true);
    fake_session(1, true);
}

static void test_a_seat_is_told_once_and_given_back_when_the_client_leaves(void **state)
{
    struct fixture *f = *state;

    sessions();
    struct person *person = join(f, 0, "authenticated");
    assert_true(seat(person, "ann", 5));
    assert_string_equal(told(f), "seat # ann #\n");
    assert_true(seat(person, "ann", 5));
    assert_string_equal(told(f), "");
    leave(person);
    assert_string_equal(told(f), "unseat #\n");
}

static void test_nobody_and_no_limit_take_no_seat(void **state)
{
    struct fixture *f = *state;

    sessions();
    struct person *person = join(f, 0, "authenticated");
    assert_true(seat(person, "", 5));
    assert_true(seat(person, "ann", 0));
    assert_string_equal(told(f), "");
    assert_int_equal(fake_metric(f->process, "pgtide_edge_seats"), 0);
}

static void test_the_limit_of_this_edge_holds_without_asking(void **state)
{
    struct fixture *f = *state;

    sessions();
    struct person *third = join(f, 2, "authenticated");
    assert_true(seat(join(f, 0, "authenticated"), "ann", 2));
    assert_true(seat(join(f, 1, "authenticated"), "ann", 2));
    assert_string_equal(told(f), "seat # ann #\nseat # ann #\n");
    assert_false(seat(third, "ann", 2));
    assert_string_equal(told(f), "");
    assert_true(seat(third, "bob", 2));
    assert_int_equal(fake_metric(f->process, "pgtide_edge_seats_refused_total{by=\"edge\"}"), 1);
    assert_int_equal(fake_metric(f->process, "pgtide_edge_seats"), 3);
}

static void test_a_client_that_has_no_seat_is_ended(void **state)
{
    struct fixture *f = *state;

    sessions();
    struct person *person = join(f, 0, "authenticated");
    (void)in_force(f, person);
    (void)fake_told(home("ann"));
    assert_true(seat(person, "ann", 5));
    hub_tick(f->hub);
    uint64_t number = strtoull(strchr(fake_told(home("ann")), ' '), NULL, 10);
    unseat(f, number + 1000); /* one that is not known */
    assert_string_equal(heard(person), "");
    unseat(f, number);
    assert_string_equal(heard(person), "unseated\n");
    transaction(f, 5, 30, "1");
    assert_string_equal(heard(person), "");
    assert_int_equal(subscribe_as(f, person, 'b', "t", HUB_EVERY_OP), HUB_EXPIRED);
    unseat(f, number);
    (void)fake_told(home("ann"));
    leave(person);
    assert_null(strstr(told(f), "seat")); /* it has gone already */
    assert_int_equal(fake_metric(f->process, "pgtide_edge_seats_refused_total{by=\"shard\"}"), 1);
}

static void test_a_new_shard_is_told_of_those_that_were_there_as_kept(void **state)
{
    struct fixture *f = *state;

    sessions();
    assert_true(seat(join(f, 0, "authenticated"), "ann", 5));
    assert_true(seat(join(f, 1, "authenticated"), "ann", 5));
    (void)told(f);
    fake_down(home("ann"));
    struct person *late = join(f, 2, "authenticated");
    assert_true(seat(late, "ann", 5));
    assert_int_equal(fake_metric(f->process, "pgtide_edge_seats_unasked_total"), 1);
    assert_string_equal(told(f), "");
    fake_session(home("ann"), true);
    assert_string_equal(told(f), "unseat #\nunseat #\nseat # ann # kept\nseat # ann # kept\n"
                                 "seat # ann # kept\n");
    leave(late);
    assert_string_equal(told(f), "unseat #\n");
}

static void test_the_same_shard_is_told_of_those_that_came_meanwhile(void **state)
{
    struct fixture *f = *state;

    sessions();
    assert_true(seat(join(f, 0, "authenticated"), "ann", 5));
    (void)told(f);
    fake_down(home("ann"));
    assert_true(seat(join(f, 1, "authenticated"), "ann", 5));
    fake_session(home("ann"), false);
    assert_string_equal(told(f), "seat # ann # kept\n");
}

static void test_another_user_on_the_same_connection_has_another_seat(void **state)
{
    struct fixture *f = *state;
    struct person *person = join(f, 0, "authenticated");

    sessions();
    assert_true(seat(person, "ann", 5));
    assert_string_equal(told(f), "seat # ann #\n");
    assert_true(seat(person, "bob", 5));
    assert_string_equal(told(f),
                        home("bob") == home("ann") ? "unseat #\nseat # bob #\n" : "unseat #\n");
    assert_int_equal(fake_metric(f->process, "pgtide_edge_seats"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_seat_is_told_once_and_given_back_when_the_client_leaves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_and_no_limit_take_no_seat, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_limit_of_this_edge_holds_without_asking, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_client_that_has_no_seat_is_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_new_shard_is_told_of_those_that_were_there_as_kept,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_same_shard_is_told_of_those_that_came_meanwhile,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_user_on_the_same_connection_has_another_seat,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
