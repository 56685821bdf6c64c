/* tests/unit/edge/hub_merge_test.c - clients that want whole transactions, over two shards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub_fixture.h"

static void send_to_other(struct fixture *f)
{
    fake_frame(1 - shard(), &f->out);
}

/* Ann's 'a' in group 5 of the shard, her 'b' in group 6 of the other one, both from 20 on. */
static uint64_t in_force_on_both(struct fixture *f, struct person *ann)
{
    uint64_t first = in_force(f, ann);

    subscribe_to(f, ann, 'b', of_the_other_shard());
    uint64_t number = number_in(fake_told(1 - shard()));
    fake_write_group(&f->out, 6, "u");
    wire_encode_accept(
        &f->out, &(struct wire_accept){ number, 6, WIRE_ACCEPT_LIVE, { EPOCH, 20, UINT32_MAX } });
    send_to_other(f);
    assert_string_equal(heard(ann), "accepted b 10/20/-1\n");
    return first;
}

static void write_progress(struct fixture *f, uint64_t lsn)
{
    wire_encode_progress(&f->out, &(struct wire_progress){ EPOCH, lsn + 1, 0 });
}

#define OTHER(id) "1 t insert u new {\"id\":" id ",\"name\":\"x\"}.\n"

static void test_one_transaction_of_two_shards_is_committed_once(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");

    in_force_on_both(f, ann);
    begin(f, 30, false);
    insert(f, 6, 1, "2");
    end(f, 30);
    send_to_other(f);
    assert_string_equal(heard(ann), "");
    transaction(f, 5, 30, "1");

    assert_string_equal(heard(ann), ROW("1") OTHER("2") "commit 30/-1 2\n");
}

static void test_shard_that_is_behind_holds_the_others_back(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");
    struct person *bob = join(f, 1, "anon");

    in_force_on_both(f, ann);
    subscribe(f, bob, 'a');
    (void)heard(bob);
    transaction(f, 5, 30, "1");
    transaction(f, 5, 40, "2");
    assert_string_equal(heard(ann), "");
    assert_string_equal(heard(bob), ROW("1") ROW("2"));
    write_progress(f, 35);
    send_to_other(f);
    assert_string_equal(heard(ann), ROW("1") "commit 30/-1 1\n");
    write_progress(f, 45);
    send_to_other(f);
    assert_string_equal(heard(ann), ROW("2") "commit 40/-1 1\n");
}

static void test_long_transaction_goes_out_before_its_end(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");

    in_force(f, ann);
    begin(f, 30, false);
    insert(f, 5, 0, "1");
    insert(f, 5, 1, "2");
    send_frame(f);
    assert_string_equal(heard(ann), MORE("1"));
    begin(f, 30, true);
    insert(f, 5, 2, "3");
    end(f, 30);
    send_frame(f);
    assert_string_equal(heard(ann), MORE("2") ROW("3") "commit 30/-1 3\n");
}

static void test_interrupted_shard_holds_the_others_until_it_has_caught_up(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");

    in_force_on_both(f, ann);
    fake_session(shard(), true);
    begin(f, 40, false);
    insert(f, 6, 0, "2");
    end(f, 40);
    send_to_other(f);
    uint64_t number = announced(NULL);
    fake_write_group(&f->out, 9, "t");
    accept_replay(f, number, 9, 20);
    replayed(f, 9, 30, "1");
    assert_string_equal(heard(ann), ROW("1") "commit 30/-1 1\n");
    fake_write_group(&f->out, 5, "t");
    accept_sub(f, number, 5, 50);

    assert_string_equal(heard(ann), OTHER("2") "commit 40/-1 1\n");
}

/* Ann's 'a' goes on from 10, and 'b' of the other shard has a change that waits for it. */
static uint64_t one_waits_for_the_other(struct fixture *f, struct person *ann)
{
    fake_session(0, true);
    fake_session(1, true);
    subscribe_to(f, ann, 'b', of_the_other_shard());
    uint64_t others = number_in(fake_told(1 - shard()));
    subscribe_since(f, ann, 'a', 10);
    fake_write_group(&f->out, 6, "u");
    wire_encode_accept(
        &f->out, &(struct wire_accept){ others, 6, WIRE_ACCEPT_LIVE, { EPOCH, 20, UINT32_MAX } });
    begin(f, 30, false);
    insert(f, 6, 1, "2");
    end(f, 30);
    send_to_other(f);
    assert_string_equal(heard(ann), "accepted b 10/20/-1\n");
    return announced(NULL);
}

static void test_since_holds_others_back_from_the_start(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");
    uint64_t number = one_waits_for_the_other(f, ann);

    fake_write_group(&f->out, 9, "t");
    accept_replay(f, number, 9, 10);
    replayed(f, 9, 15, "0");
    replayed(f, 9, 30, "1");

    assert_string_equal(heard(ann), "resumed a 10/10/-1\n" ROW("0") "commit 15/-1 1\n" ROW("1")
                                        OTHER("2") "commit 30/-1 2\n");
}

/* Who hears the commit first takes the transaction for whole. */
static void test_what_is_gone_is_told_before_what_lacks_it(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");

    gone_sub(f, one_waits_for_the_other(f, ann), WIRE_GONE_TOO_OLD);
    assert_string_equal(heard(ann), "gone a 2 no more since 10/10 of 10/15 to 10/90\n" OTHER(
                                        "2") "commit 30/-1 1\n");
}

static void test_refusal_is_told_before_what_lacks_it(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");

    refuse_sub(f, one_waits_for_the_other(f, ann));
    assert_string_equal(heard(ann), "refused a 2 no\n" OTHER("2") "commit 30/-1 1\n");
}

static void test_frame_of_the_dialect_keeps_its_place(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");
    struct edge_frame *note = edge_frame_text("note", 4);

    in_force_on_both(f, ann);
    transaction(f, 5, 30, "1");
    hub_sub_send(ann->subs[0], note);
    assert_string_equal(heard(ann), "");
    write_progress(f, 30);
    send_to_other(f);
    assert_string_equal(heard(ann), ROW("1") "note\ncommit 30/-1 1\n");
    hub_sub_send(ann->subs[0], note);
    assert_string_equal(heard(ann), "note\n");
    edge_frame_unref(note);
}

static void test_gap_lets_the_source_begin_anew(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");

    in_force(f, ann);
    transaction(f, 5, 30, "1");
    (void)heard(ann);
    fake_session(shard(), true);
    gone_sub(f, announced(NULL), WIRE_GONE_AHEAD);
    fake_write_group(&f->out, 9, "t");
    accept_sub(f, announced(NULL), 9, 12);
    transaction(f, 9, 15, "2");

    assert_string_equal(heard(ann), "gap a 10/30 to 10/12\n" ROW("2") "commit 15/-1 1\n");
}

/* The other table is further than the shard that lost its place: commits do not go back. */
static void test_gap_ends_where_the_client_is(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");

    in_force(f, ann);
    transaction(f, 5, 30, "1");
    (void)heard(ann);
    fake_session(shard(), true);
    gone_sub(f, announced(NULL), WIRE_GONE_TOO_OLD);
    fake_write_group(&f->out, 9, "t");
    accept_sub(f, announced(NULL), 9, 12);
    transaction(f, 9, 15, "2");
    transaction(f, 9, 31, "3");

    assert_string_equal(heard(ann), "gap a 10/30 to 10/30\n" ROW("3") "commit 31/-1 1\n");
}

static void test_subscription_that_ends_holds_nothing_back(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");

    in_force_on_both(f, ann);
    transaction(f, 5, 30, "1");
    hub_unsubscribe(ann->subs[1]);

    assert_string_equal(heard(ann), ROW("1") "commit 30/-1 1\n");
}

static void test_too_much_that_waits_closes_the_client(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");

    in_force_on_both(f, ann);
    transaction(f, 5, 30, "1");
    assert_string_equal(heard(ann), "");
    ann->waiting = 16 * 1024 * 1024;
    transaction(f, 5, 40, "2");
    transaction(f, 5, 50, "3");
    assert_string_equal(heard(ann), "overflow\n");
    leave(ann);
}

static void test_changes_of_a_snapshot_pass_by(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");

    fake_session(shard(), true);
    assert_int_equal(
        subscribe_with(f, ann, 'a', (struct hub_want){ .snapshot = true, .page_rows = 1 }), HUB_OK);
    uint64_t number = announced(NULL);
    fake_write_group(&f->out, 9, "t");
    wire_encode_accept(&f->out, &(struct wire_accept){
                                    number, 9, WIRE_ACCEPT_SNAPSHOT, { EPOCH, 50, UINT32_MAX } });
    send_frame(f);
    replayed(f, 9, 60, "1");
    replayed(f, 9, 40, "2");
    fake_write_group(&f->out, 5, "t");
    accept_sub(f, number, 5, 60);
    transaction(f, 5, 70, "3");

    assert_string_equal(heard(ann),
                        "accepted a 10/50/-1\n" ROW("1") ROW("2") ROW("3") "commit 70/-1 1\n");
}

/* Nobody hears of a position before what is older has gone out. */
static void test_replay_that_shows_nothing_lets_the_others_go_on(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join_for_transactions(f, 0, "anon");
    struct wire_position position;

    accept_replay(f, in_force_on_both(f, ann), 9, 20);
    begin(f, 30, false);
    insert(f, 6, 1, "2");
    end(f, 30);
    send_to_other(f);
    assert_true(hub_progress(ann->client, &position) && position.lsn == 20);
    assert_string_equal(heard(ann), "");
    wire_encode_replayed(&f->out, &(struct wire_replayed){ 9, { EPOCH, 40, UINT32_MAX } });
    send_frame(f);
    assert_string_equal(heard(ann), OTHER("2") "commit 30/-1 1\n");
    assert_true(hub_progress(ann->client, &position) && position.lsn == 30);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_transaction_of_two_shards_is_committed_once),
        T(shard_that_is_behind_holds_the_others_back),
        T(long_transaction_goes_out_before_its_end),
        T(interrupted_shard_holds_the_others_until_it_has_caught_up),
        T(since_holds_others_back_from_the_start),
        T(what_is_gone_is_told_before_what_lacks_it),
        T(refusal_is_told_before_what_lacks_it),
        T(frame_of_the_dialect_keeps_its_place),
        T(gap_lets_the_source_begin_anew),
        T(gap_ends_where_the_client_is),
        T(subscription_that_ends_holds_nothing_back),
        T(too_much_that_waits_closes_the_client),
        T(changes_of_a_snapshot_pass_by),
        T(replay_that_shows_nothing_lets_the_others_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
