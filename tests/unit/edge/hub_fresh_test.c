/* tests/unit/edge/hub_fresh_test.c - how far clients are, and how fresh that is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub_fixture.h"
#include "runtime/health.h"

/* --- progress ---------------------------------------------------------------------------------------------------- */

/* "none", or LSN/INDEX of it. */
static const char *progress(const struct person *person)
{
    static char text[40];
    struct wire_position position;

    if (!hub_progress(person->client, &position)) {
        return "none";
    }
    assert_int_equal(position.epoch, EPOCH);
    (void)snprintf(text, sizeof text, "%d/%d", (int)position.lsn, (int)position.index);
    return text;
}

static void write_progress(struct fixture *f, uint64_t lsn)
{
    wire_encode_progress(&f->out, &(struct wire_progress){ EPOCH, lsn + 1, 0 });
}

static void test_progress_is_known_once_everything_is_answered(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    assert_string_equal(progress(ann), "none");
    in_force(f, ann);
    assert_string_equal(progress(ann), "20/-1");
    subscribe_to(f, ann, 'b', "table:public.u");
    assert_string_equal(progress(ann), "none");
    hub_unsubscribe(ann->subs[1]);
    transaction(f, 5, 30, "1");
    assert_string_equal(progress(ann), "30/-1");
    write_progress(f, 45);
    send_frame(f);
    assert_string_equal(progress(ann), "45/-1");
}

static void test_transaction_under_way_does_not_count(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    write_progress(f, 29);
    begin(f, 30, false);
    insert(f, 5, 0, "1");
    insert(f, 5, 1, "2");
    send_frame(f);
    assert_string_equal(progress(ann), "29/-1");
    begin(f, 30, true);
    end(f, 30);
    send_frame(f);
    assert_string_equal(progress(ann), "30/-1");
}

static void write_replayed(struct fixture *f, uint32_t group, uint64_t lsn, uint32_t index)
{
    wire_encode_replayed(&f->out, &(struct wire_replayed){ group, { EPOCH, lsn, index } });
    send_frame(f);
}

static void test_no_progress_while_interrupted(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    fake_session(shard(), true);
    assert_string_equal(progress(ann), "none");
    accept_sub(f, announced(NULL), 6, 40);
    assert_string_equal(progress(ann), "40/-1");
}

/* As group 9, from 20 on; a link that is down for a while changes nothing. */
static uint64_t in_replay(struct fixture *f, struct person *ann)
{
    uint64_t number = in_force(f, ann);

    fake_write_group(&f->out, 9, "t");
    accept_replay(f, number, 9, 20);
    return number;
}

static void test_replay_is_as_far_as_it_was_told(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    uint64_t number = in_replay(f, ann);

    assert_string_equal(progress(ann), "20/-1");
    write_progress(f, 60);
    send_frame(f);
    assert_string_equal(progress(ann), "20/-1"); /* the live stream's is not its own */
    replayed(f, 9, 30, "1");
    assert_string_equal(progress(ann), "30/-1");
    write_replayed(f, 9, 45, UINT32_MAX);
    assert_string_equal(progress(ann), "45/-1");
    write_replayed(f, 9, 40, UINT32_MAX);
    assert_string_equal(progress(ann), "45/-1");
    accept_sub(f, number, 5, 70);
    assert_string_equal(progress(ann), "70/-1");
    assert_string_equal(heard(ann), ROW("1"));
}

static void test_replayed_transaction_under_way_does_not_count(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_replay(f, ann);
    replay(f, 9, 30, false);
    insert(f, 9, 4, "1");
    send_frame(f);
    assert_string_equal(progress(ann), "20/-1");
    write_replayed(f, 9, 29, UINT32_MAX);
    assert_string_equal(progress(ann), "20/-1");
    replay(f, 9, 30, true);
    end(f, 30);
    send_frame(f);
    assert_string_equal(progress(ann), "30/-1");
    assert_string_equal(heard(ann), ROW("1"));
}

/* Its END had left the window; what was held back for it must be out before the position says so. */
static void test_replayed_transaction_without_an_end_is_over_when_passed(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_replay(f, ann);
    replay(f, 9, 30, false);
    insert(f, 9, 4, "1");
    send_frame(f);
    assert_string_equal(heard(ann), "");
    write_replayed(f, 9, 50, UINT32_MAX);
    assert_string_equal(heard(ann), MORE("1"));
    assert_string_equal(progress(ann), "50/-1");
}

/* It left the live stream inside of a transaction, and its view is asked for. */
static void test_who_waits_stays_where_it_was(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    uint64_t number = in_force(f, ann);

    begin(f, 30, false);
    insert(f, 5, 0, "1");
    insert(f, 5, 1, "2");
    send_frame(f);
    accept_replay_within(f, number, UINT32_MAX, 30, 1);
    begin(f, 30, true);
    end(f, 30);
    write_progress(f, 60);
    send_frame(f);
    assert_string_equal(progress(ann), "30/1");
    assert_string_equal(heard(ann), MORE("1") MORE("2"));
    fake_write_group(&f->out, 9, "t");
    accept_replay_within(f, number, 9, 30, 1);
    assert_string_equal(progress(ann), "30/1");
    write_replayed(f, 9, 50, UINT32_MAX);
    assert_string_equal(progress(ann), "50/-1");
}

/* Rights changed: it goes on in another replay, from where it was; the one that it left goes on for others. */
static void test_replay_that_was_left_says_nothing(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    uint64_t number = in_replay(f, ann);

    write_replayed(f, 9, 40, UINT32_MAX);
    accept_replay(f, number, UINT32_MAX, 45);
    write_replayed(f, 9, 60, UINT32_MAX);
    assert_string_equal(progress(ann), "45/-1");
    fake_write_group(&f->out, 10, "t");
    accept_replay(f, number, 10, 45);
    assert_string_equal(progress(ann), "45/-1");
    replayed(f, 10, 50, "1");
    assert_string_equal(progress(ann), "50/-1");
    assert_string_equal(heard(ann), ROW("1"));
}

/* Bob comes back since 25 to what Ann is in since 20. */
static void test_who_joins_a_replay_later_is_further(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");

    in_replay(f, ann);
    subscribe_since(f, bob, 'a', 25);
    assert_string_equal(progress(bob), "none");
    accept_replay(f, announced(NULL), 9, 25);
    assert_string_equal(progress(bob), "25/-1");
    write_replayed(f, 9, 22, UINT32_MAX);
    assert_string_equal(progress(ann), "22/-1");
    assert_string_equal(progress(bob), "25/-1");
    write_replayed(f, 9, 30, UINT32_MAX);
    assert_string_equal(progress(ann), "30/-1");
    assert_string_equal(progress(bob), "30/-1");
}

/* Two subscriptions of a client in two replays, and a live one. */
static void test_slowest_subscription_counts(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_replay(f, ann);
    subscribe_since(f, ann, 'b', 20);
    fake_write_group(&f->out, 10, "t");
    accept_replay(f, announced(NULL), 10, 20);
    subscribe_since(f, ann, 'c', 50);
    accept_sub(f, announced(NULL), 5, 50);
    write_replayed(f, 9, 40, UINT32_MAX);
    assert_string_equal(progress(ann), "20/-1");
    write_replayed(f, 10, 60, UINT32_MAX);
    assert_string_equal(progress(ann), "40/-1");
    write_replayed(f, 9, 60, UINT32_MAX);
    assert_string_equal(progress(ann), "50/-1");
}

/* One that comes to what is followed by others is complete from where these are. */
static void test_who_comes_to_a_replay_that_is_shared_begins_there(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");

    in_replay(f, ann);
    write_replayed(f, 9, 40, UINT32_MAX);
    subscribe(f, bob, 'a');
    assert_string_equal(heard(bob), "accepted a 10/40/-1\n");
    assert_string_equal(progress(bob), "40/-1");
}

static void test_who_was_further_stays_so_after_an_interruption(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");

    in_force(f, ann);
    transaction(f, 5, 40, "1");
    subscribe_since(f, bob, 'a', 30);
    accept_replay(f, announced(NULL), 9, 30);
    fake_session(shard(), true);
    assert_string_equal(progress(ann), "none");
    assert_string_equal(progress(bob), "none");
    uint64_t number = announced(NULL);
    fake_write_group(&f->out, 9, "t");
    accept_replay(f, number - 1, 9, 35); /* the shard knows it better */
    assert_string_equal(progress(ann), "40/-1");
    accept_replay(f, number, 9, 30);
    assert_string_equal(progress(bob), "30/-1");
}

static void test_another_identity_is_as_far_as_the_old_one_until_it_counts(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    set_identity(ann, "member");
    uint64_t number = announced(NULL);
    transaction(f, 5, 30, "1");
    assert_string_equal(progress(ann), "30/-1");
    fake_write_group(&f->out, 9, "t");
    accept_replay(f, number, 9, 30);
    write_progress(f, 60);
    send_frame(f);
    assert_string_equal(progress(ann), "30/-1");
    write_replayed(f, 9, 50, UINT32_MAX);
    assert_string_equal(progress(ann), "50/-1");
}

static void test_progress_of_a_replay_for_a_live_group_is_a_fault(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    write_replayed(f, 77, 50, UINT32_MAX); /* whoever it was for has left */
    assert_string_equal(progress(ann), "20/-1");
    write_replayed(f, 5, 50, UINT32_MAX);
    assert_string_equal(progress(ann), "20/-1");
    hub_tick(f->hub);
    assert_string_equal(progress(ann), "none");
    assert_int_not_equal(announced(NULL), 0);
}

static void test_client_is_live_when_all_its_subscriptions_are(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    uint64_t number = in_replay(f, ann);

    assert_false(hub_is_live(ann->client));
    accept_sub(f, number, 5, 30);
    assert_true(hub_is_live(ann->client));
    subscribe_since(f, ann, 'b', 20);
    assert_false(hub_is_live(ann->client));
    accept_replay(f, announced(NULL), 9, 20);
    assert_false(hub_is_live(ann->client));
}

static void test_slowest_shard_counts(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    unsigned other = 1 - shard();

    in_force(f, ann);
    subscribe_to(f, ann, 'b', of_the_other_shard());
    uint64_t number = number_in(fake_told(other));
    wire_encode_accept(
        &f->out, &(struct wire_accept){ number, 3, WIRE_ACCEPT_LIVE, { EPOCH, 25, UINT32_MAX } });
    fake_frame(other, &f->out);
    assert_string_equal(progress(ann), "20/-1");
    write_progress(f, 40);
    send_frame(f);
    assert_string_equal(progress(ann), "25/-1");
}

/* --- freshness ----------------------------------------------------------------------------------------------------- */

static void marker(struct fixture *f, unsigned at)
{
    wire_encode_fresh(&f->out, &(struct wire_fresh){ EPOCH, 1, fake_wall_now() - 250 * RT_MSEC });
    fake_frame(at, &f->out);
}

static void pass(struct fixture *f, int seconds)
{
    fake_clock_add(seconds * RT_SEC);
    hub_tick(f->hub);
}

static void test_client_hears_once_that_it_is_stale_and_once_that_it_is_over(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");

    in_force(f, ann);
    pass(f, 5);
    marker(f, shard());
    pass(f, 9);
    assert_string_equal(heard(ann), "");
    pass(f, 1);
    pass(f, 1);
    assert_string_equal(heard(ann), "stale 10\n");
    marker(f, 1 - shard());
    assert_string_equal(heard(ann), "");
    marker(f, shard());
    pass(f, 1);
    assert_string_equal(heard(ann), "fresh\n");
    assert_string_equal(heard(bob), "");
    assert_true(fake_metric(f->process, "pgtide_edge_fresh_delay_seconds_count") == 3.0);
}

static void test_client_that_subscribes_later_hears_of_it_too(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");

    in_force(f, ann);
    pass(f, 10);
    assert_string_equal(heard(ann), "stale 10\n");
    subscribe(f, bob, 'a');
    pass(f, 2);
    assert_string_equal(heard(bob), "accepted a 10/20/-1\nstale 12\n");
    hub_unsubscribe(bob->subs[0]);
    pass(f, 1);
    assert_string_equal(heard(bob), "fresh\n");
    leave(ann);
    pass(f, 1);
}

static void test_readiness_names_the_shard_that_is_stale(void **state)
{
    struct fixture *f = *state;
    struct rt_buf text = { 0 };

    fake_session(0, true);
    fake_session(1, true);
    assert_true(rt_health_ready(f->process->health));
    pass(f, 9);
    marker(f, 0);
    pass(f, 1);
    rt_health_render(f->process->health, &text);
    assert_non_null(strstr(rt_buf_cstr(&text), "shard 1: no freshness marker for 10 s"));
    assert_false(rt_health_ready(f->process->health));
    assert_true(fake_metric(f->process, "pgtide_edge_fresh_age_seconds{shard=\"0\"}") == 1.0);
    assert_true(fake_metric(f->process, "pgtide_edge_fresh_age_seconds{shard=\"1\"}") == 10.0);
    marker(f, 1);
    assert_true(rt_health_ready(f->process->health));
    rt_buf_fini(&text);
}

static void test_threshold_of_nothing_watches_nothing(void **state)
{
    struct fixture *f = *state;

    fake_session(0, true);
    fake_session(1, true);
    pass(f, 1000);
    assert_true(rt_health_ready(f->process->health));
}

#define T(name)       cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
#define T_FRESH(name) cmocka_unit_test_setup_teardown(test_##name, set_up_fresh, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(progress_is_known_once_everything_is_answered),
        T(transaction_under_way_does_not_count),
        T(no_progress_while_interrupted),
        T(replay_is_as_far_as_it_was_told),
        T(replayed_transaction_under_way_does_not_count),
        T(replayed_transaction_without_an_end_is_over_when_passed),
        T(who_waits_stays_where_it_was),
        T(replay_that_was_left_says_nothing),
        T(who_joins_a_replay_later_is_further),
        T(slowest_subscription_counts),
        T(who_comes_to_a_replay_that_is_shared_begins_there),
        T(who_was_further_stays_so_after_an_interruption),
        T(another_identity_is_as_far_as_the_old_one_until_it_counts),
        T(progress_of_a_replay_for_a_live_group_is_a_fault),
        T(client_is_live_when_all_its_subscriptions_are),
        T(slowest_shard_counts),
        T_FRESH(client_hears_once_that_it_is_stale_and_once_that_it_is_over),
        T_FRESH(client_that_subscribes_later_hears_of_it_too),
        T_FRESH(readiness_names_the_shard_that_is_stale),
        T(threshold_of_nothing_watches_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
