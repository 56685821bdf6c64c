/* tests/unit/edge/hub_rows_test.c - snapshots: rows, credit, interruptions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub_fixture.h"

static void accept_snapshot(struct fixture *f, uint64_t sub, uint32_t group, uint64_t lsn)
{
    wire_encode_accept(&f->out, &(struct wire_accept){
                                    sub, group, WIRE_ACCEPT_SNAPSHOT, { EPOCH, lsn, UINT32_MAX } });
    send_frame(f);
}

/* One row with this id. */
static void rows(struct fixture *f, uint32_t group, const char *id, const char *token, bool last)
{
    const char *texts[] = { id, "x" };
    struct wire_tuple row = fake_tuple(2, texts);

    wire_encode_rows(
        &f->out,
        &(struct wire_rows){
            .group = group, .last = last, .token = { token, strlen(token) }, .row_count = 1 },
        &row);
    send_frame(f);
}

/* Ann's subscription 'a', accepted into group 9. */
static uint64_t reading(struct fixture *f, struct person *ann, const char *token)
{
    const char *told = NULL;
    char expected[80];
    struct hub_want want = {
        .snapshot = true,
        .page_rows = 7,
        .token = { (const uint8_t *)token, strlen(token) },
    };

    fake_session(shard(), true);
    assert_int_equal(subscribe_with(f, ann, 'a', want), HUB_OK);
    uint64_t number = announced(&told);
    (void)snprintf(expected, sizeof expected, " table:public.t rows 7 token '%s'\n", token);
    assert_non_null(strstr(told, expected));
    fake_write_group(&f->out, 9, "t");
    accept_snapshot(f, number, 9, 50);
    /* A token may still turn out not to be one. */
    assert_string_equal(heard(ann), token[0] == '\0' ? "accepted a 10/50/-1\n" : "");
    return number;
}

#define PAGE(number, id, token)      "rows a " number " [{\"id\":" id ",\"name\":\"x\"}] '" token "'\n"
#define LAST_PAGE(number, id, token) PAGE(number " last", id, token)

static void test_rows_then_what_they_do_not_show_then_live(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    uint64_t number = reading(f, ann, "");

    rows(f, 9, "1", "t1", false);
    rows(f, 9, "2", "t2", true);
    replayed(f, 9, 40, "3"); /* committed before the subscription, and not seen by the rows */
    replayed(f, 9, 60, "4");
    fake_write_group(&f->out, 5, "t");
    accept_sub(f, number, 5, 60);
    transaction(f, 5, 70, "5");

    assert_string_equal(heard(ann),
                        PAGE("1", "1", "t1") LAST_PAGE("2", "2", "t2") ROW("3") ROW("4") ROW("5"));
    assert_true(fake_metric(f->process, "pgtide_edge_snapshot_rows_total") == 2.0);
    fake_session(shard(), true);
    const char *told = NULL;
    (void)announced(&told);
    assert_non_null(strstr(told, " since 10/70/-1\n"));
}

static void test_credit_is_given_back_when_there_is_room(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;
    char expected[40];
    uint64_t number = reading(f, ann, "");

    rows(f, 9, "1", "t1", false);
    (void)snprintf(expected, sizeof expected, "more %d 1\n", (int)number);
    (void)announced(&told);
    assert_string_equal(told, expected);
    ann->waiting = 4 * 1024 * 1024;
    rows(f, 9, "2", "t2", false);
    rows(f, 9, "3", "t3", false);
    hub_tick(f->hub);
    (void)announced(&told);
    assert_string_equal(told, "");
    ann->waiting = 0;
    hub_tick(f->hub);
    (void)snprintf(expected, sizeof expected, "more %d 2\n", (int)number);
    (void)announced(&told);
    assert_string_equal(told, expected);
    rows(f, 9, "4", "t4", true);
    (void)announced(&told);
    assert_string_equal(told, "");
}

static void test_unsubscribe_while_waiting_for_room(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    reading(f, ann, "");
    ann->waiting = 4 * 1024 * 1024;
    rows(f, 9, "1", "t1", false);
    hub_unsubscribe(ann->subs[0]);
    (void)announced(&told);
    assert_non_null(strstr(told, "unsubscribe "));
    rows(f, 9, "2", "t2", false);
    hub_tick(f->hub);

    assert_string_equal(heard(ann), PAGE("1", "1", "t1"));
}

static void test_interruption_goes_on_by_the_last_token(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    reading(f, ann, "t0");
    rows(f, 9, "1", "t1", false);
    fake_session(shard(), true);
    uint64_t number = announced(&told);
    assert_non_null(strstr(told, " rows 7 token 't1'\n"));
    fake_write_group(&f->out, 4, "t");
    accept_snapshot(f, number, 4, 80);
    replayed(f, 4, 60, "7");
    rows(f, 4, "2", "t2", true);

    assert_string_equal(heard(ann), "accepted a 10/50/-1\n" PAGE("1", "1", "t1") ROW("7")
                                        LAST_PAGE("2", "2", "t2"));
}

static void test_interruption_before_the_first_rows_begins_again(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    reading(f, ann, "");
    fake_session(shard(), true);
    uint64_t number = announced(&told);
    assert_non_null(strstr(told, " rows 7 token ''\n"));
    fake_write_group(&f->out, 4, "t");
    accept_snapshot(f, number, 4, 80);
    rows(f, 4, "1", "t1", true);

    assert_string_equal(heard(ann), LAST_PAGE("1", "1", "t1"));
}

/* The shard sends everything since the token again, in an order that need not be that of the positions. */
static void test_changes_since_the_token_are_not_repeated(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    reading(f, ann, "");
    rows(f, 9, "1", "t1", true);
    replayed(f, 9, 60, "2");
    replay(f, 9, 62, false);
    insert(f, 9, 0, "3");
    insert(f, 9, 1, "4");
    send_frame(f);
    fake_session(shard(), true);
    uint64_t number = announced(NULL);
    fake_write_group(&f->out, 4, "t");
    accept_snapshot(f, number, 4, 80);
    replayed(f, 4, 58, "0"); /* not visible the first time */
    replayed(f, 4, 60, "2");
    replay(f, 4, 62, false);
    insert(f, 4, 0, "3");
    insert(f, 4, 1, "4");
    end(f, 62);
    send_frame(f);

    assert_string_equal(heard(ann), LAST_PAGE("1", "1", "t1") ROW("2") MORE("3") ROW("0") ROW("4"));
}

static void test_rows_without_a_token_cannot_be_gone_on_with(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    reading(f, ann, "");
    rows(f, 9, "1", "", false);
    fake_session(shard(), true);
    uint64_t number = announced(&told);
    assert_null(strstr(told, "rows"));
    fake_write_group(&f->out, 4, "t");
    accept_sub(f, number, 4, 80);
    transaction(f, 4, 90, "2");

    assert_string_equal(heard(ann), PAGE("1", "1", "") "gap a 10/50 to 10/80\n" ROW("2"));
}

static void test_token_that_is_gone(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct hub_want want = { .snapshot = true,
                             .page_rows = 7,
                             .token = { (const uint8_t *)"t0", 2 } };

    fake_session(shard(), true);
    assert_int_equal(subscribe_with(f, ann, 'a', want), HUB_OK);
    gone_sub(f, announced(NULL), WIRE_GONE_SNAPSHOT);

    assert_string_equal(heard(ann), "gone a 4 no more since 0/0 of 10/15 to 10/90\n");
    assert_int_equal(hub_client_subs(ann->client), 0);
}

static void test_token_that_turns_out_not_to_be_one(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    uint64_t number = reading(f, ann, "t0");

    gone_sub(f, number, WIRE_GONE_SNAPSHOT);
    assert_string_equal(heard(ann), "gone a 4 no more since 0/0 of 10/15 to 10/90\n");
    assert_int_equal(hub_client_subs(ann->client), 0);
}

static void test_changes_answer_a_token_too(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    uint64_t number = reading(f, ann, "t0");

    replayed(f, 9, 60, "1");
    assert_string_equal(heard(ann), "accepted a 10/50/-1\n" ROW("1"));
    accept_sub(f, number, 5, 60);
    assert_string_equal(heard(ann), "");
}

static void test_snapshot_that_ends_in_the_middle_is_tried_once_more(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;
    uint64_t number = reading(f, ann, "");

    rows(f, 9, "1", "t1", false);
    (void)announced(NULL);
    gone_sub(f, number, WIRE_GONE_SNAPSHOT);
    number = announced(&told);
    assert_non_null(strstr(told, " rows 7 token 't1'\n"));
    gone_sub(f, number, WIRE_GONE_SNAPSHOT);
    number = announced(&told);
    assert_null(strstr(told, "rows"));
    fake_write_group(&f->out, 4, "t");
    accept_sub(f, number, 4, 80);

    assert_string_equal(heard(ann), PAGE("1", "1", "t1") "gap a 10/50 to 10/80\n");
}

static void test_new_identity_in_the_middle_goes_on_by_the_token(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    const char *told = NULL;

    reading(f, ann, "");
    rows(f, 9, "1", "t1", false);
    (void)announced(NULL);
    set_identity(ann, "member");
    uint64_t number = announced(&told);
    assert_non_null(strstr(told, "identify 3 member"));
    assert_non_null(strstr(told, " 3 table:public.t rows 7 token 't1'\n"));
    fake_write_group(&f->out, 4, "t");
    accept_snapshot(f, number, 4, 80);
    rows(f, 4, "2", "t2", true);

    assert_string_equal(heard(ann), PAGE("1", "1", "t1") LAST_PAGE("2", "2", "t2"));
}

static void test_snapshot_has_no_progress_until_it_is_live(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");
    struct wire_position position;
    uint64_t number = reading(f, ann, "");

    rows(f, 9, "1", "t1", true);
    assert_false(hub_progress(ann->client, &position));
    accept_sub(f, number, 5, 60);
    assert_true(hub_progress(ann->client, &position));
    assert_int_equal(position.lsn, 60);
}

static void test_rows_to_a_live_group_are_a_fault(void **state)
{
    struct fixture *f = *state;
    struct person *ann = join(f, 0, "anon");

    in_force(f, ann);
    rows(f, 5, "1", "t1", true);
    hub_tick(f->hub);

    assert_string_equal(heard(ann), "");
    assert_int_not_equal(announced(NULL), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(rows_then_what_they_do_not_show_then_live),
        T(credit_is_given_back_when_there_is_room),
        T(unsubscribe_while_waiting_for_room),
        T(interruption_goes_on_by_the_last_token),
        T(interruption_before_the_first_rows_begins_again),
        T(changes_since_the_token_are_not_repeated),
        T(rows_without_a_token_cannot_be_gone_on_with),
        T(token_that_is_gone),
        T(token_that_turns_out_not_to_be_one),
        T(changes_answer_a_token_too),
        T(snapshot_that_ends_in_the_middle_is_tried_once_more),
        T(new_identity_in_the_middle_goes_on_by_the_token),
        T(snapshot_has_no_progress_until_it_is_live),
        T(rows_to_a_live_group_are_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
