/* Tests of broker/snapshot/job: every way through a snapshot, with a pool and an owner played by hand. */
#include "tests/unit/broker/snapshot/job_fakes.h"

#define FIRST_PAGE "ask SELECT \"id\", \"v\" FROM ONLY \"my schema\" by row\n"

static const struct fake_options plain = { .page_rows = 2 };

/* Pages are at least 500 rows; parts are two. */
static void read_until_owing(void)
{
    fake_expect("wait\n");
    fake_enter("5:5:", "0/63", true);
    fake_expect(FIRST_PAGE);
    fake_rows(1, 8);
    fake_expect("rows 1 2 token\nrows 3 4 token\nrows 5 6 token\nrows 7 8 token\n");
}

static void test_a_small_table_is_read_and_joins_the_stream(void **state)
{
    (void)state;
    fake_start(&plain);
    fake_expect("wait\n");
    fake_enter("5:5:", "0/63", true);
    fake_expect(FIRST_PAGE);
    fake_rows(1, 3);
    fake_page_end();
    fake_expect("rows 1 2 token\nrows 3 last token\ngive back\ncatch up 5:5 at 63\n");
    assert_int_equal(fake.metrics.rows->value, 3);
    fake_stop();
}

static void test_an_empty_table_says_so(void **state)
{
    (void)state;
    fake_start(&plain);
    fake_expect("wait\n");
    fake_enter("5:5:", "0/63", true);
    fake_expect(FIRST_PAGE);
    fake_page_end();
    fake_expect("rows last token\ngive back\ncatch up 5:5 at 63\n");
    fake_stop();
}

static void test_a_page_that_is_full_is_followed_by_another(void **state)
{
    (void)state;
    fake_start(&(struct fake_options){ .page_rows = 500 });
    fake_expect("wait\n");
    fake_enter("5:5:", "0/63", true);
    fake_expect(FIRST_PAGE);
    fake_rows(1, 500);
    rt_buf_clear(&fake.said);
    fake_page_end();
    fake_expect("ask SELECT \"id\", \"v\" FROM ONLY \"my schema\" $1=500 by row\n");
    fake_page_end();
    fake_expect("rows last token\ngive back\ncatch up 5:5 at 63\n");
    fake_stop();
}

static void test_without_credit_reading_stops_and_goes_on(void **state)
{
    (void)state;
    fake_start(&plain);
    read_until_owing();
    fake_rows(9, 2);
    fake_expect("pause\n");
    job_more(fake.job, 2);
    fake_wake();
    fake_expect("rows 9 10 token\nresume\n");
    fake_rows(11, 1);
    fake_page_end();
    fake_expect("rows 11 last token\ngive back\ncatch up 5:5 at 63\n");
    fake_stop();
}

static void test_a_slow_client_costs_no_connection(void **state)
{
    (void)state;
    fake_start(&plain);
    read_until_owing();
    fake_rows(9, 2);
    fake_expect("pause\n");
    fake_timer();
    fake_expect("give back\n");
    job_more(fake.job, 1);
    fake_wake();
    fake_expect("rows 9 10 token\n");
    job_more(fake.job, 1);
    fake_wake();
    fake_expect("wait\n");
    fake_enter("6:9:", "0/99", true);
    fake_expect("catch up 5:5 to 6:9 at 99\n");
    job_caught_up(fake.job);
    fake_wake();
    fake_expect("ask SELECT \"id\", \"v\" FROM ONLY \"my schema\" $1=10 by row\n");
    fake_page_end();
    fake_expect("rows last token\ngive back\ncatch up 6:9 at 99\n");
    fake_stop();
}

static void test_the_last_part_can_be_owed_too(void **state)
{
    (void)state;
    fake_start(&plain);
    read_until_owing();
    fake_page_end();
    fake_expect("");
    fake_lost();
    fake_expect("give back\n");
    job_more(fake.job, 1);
    fake_wake();
    fake_expect("rows last token\ncatch up 5:5 at 63\n");
    fake_stop();
}

static void test_a_long_snapshot_rolls(void **state)
{
    (void)state;
    fake_start(&(struct fake_options){ .page_rows = 500, .roll_after = 1 });
    fake_expect("wait\n");
    fake_enter("5:5:", "0/63", true);
    fake_expect(FIRST_PAGE);
    fake_rows(1, 500);
    rt_buf_clear(&fake.said);
    fake_page_end();
    fake_expect("give back\nwait\n");
    fake_enter("6:6:", "0/64", true);
    fake_expect("catch up 5:5 to 6:6 at 64\n");
    job_caught_up(fake.job);
    fake_wake();
    fake_expect("ask SELECT \"id\", \"v\" FROM ONLY \"my schema\" $1=500 by row\n");
    fake_stop();
}

static void test_a_lost_connection_is_gone_on_from_the_last_row(void **state)
{
    (void)state;
    fake_start(&plain);
    fake_expect("wait\n");
    fake_enter("5:5:", "0/63", true);
    fake_rows(1, 3);
    fake_expect(FIRST_PAGE "rows 1 2 token\n");
    fake_lost();
    fake_expect("give back\n");
    fake_timer();
    fake_expect("wait\n");
    fake_enter("6:6:", "0/64", true);
    fake_expect("catch up 5:5 to 6:6 at 64\n");
    fake_lost();
    job_caught_up(fake.job);
    fake_wake();
    fake_expect("give back\nwait\n");
    fake_enter("7:7:", "0/65", true);
    fake_expect("catch up 6:6 to 7:7 at 65\n");
    job_caught_up(fake.job);
    fake_wake();
    fake_expect(
        "ask SELECT \"id\", \"v\" FROM ONLY \"my schema\" $1=2 by row\n"); /* row 3 was not sent */
    fake_stop();
}

static void test_losses_without_progress_come_to_an_end(void **state)
{
    (void)state;
    fake_start(&plain);
    fake_expect("wait\n");
    for (int i = 0; i < 6; i++) {
        fake_lost();
        fake_timer();
        fake_expect("give back\nwait\n");
    }
    fake_lost();
    fake_expect("give back\nrefuse the connection to the database was lost while table my schema.t "
                "was read\n");
    assert_null(fake.job);
    fake_stop();
}

static void test_without_a_key_there_is_one_cursor_and_no_token(void **state)
{
    (void)state;
    fake_start(&plain);
    fake_expect("wait\n");
    fake_enter("5:5:", "0/63", false);
    fake_expect("ask DECLARE pgtide_rows NO SCROLL CURSOR F\n");
    fake_done();
    fake_expect("ask FETCH FORWARD 500 FROM pgtide_rows by row\n");
    fake_rows(1, 2);
    fake_expect("rows 1 2\n");
    fake_lost();
    fake_expect("give back\nrefuse the connection to the database was lost while table my schema.t "
                "was read\n");
    fake_stop();
}

static void test_without_a_key_nothing_sent_means_from_the_start(void **state)
{
    (void)state;
    fake_start(&plain);
    fake_expect("wait\n");
    fake_enter("5:5:", "0/63", false);
    fake_done();
    fake_rows(1, 1);
    rt_buf_clear(&fake.said);
    fake_lost();
    fake_timer();
    fake_expect("give back\nwait\n");
    fake_enter("6:6:", "0/64", false);
    fake_expect("ask DECLARE pgtide_rows NO SCROLL CURSOR F\n");
    fake_done();
    fake_rows(1, 1);
    fake_page_end();
    fake_expect("ask FETCH FORWARD 500 FROM pgtide_rows by row\nrows 1 last token\ngive back\n"
                "catch up 6:6 at 64\n");
    fake_stop();
}

static void test_a_token_goes_on_in_another_session(void **state)
{
    char token[WIRE_TOKEN_MAX + 1];

    (void)state;
    fake_start(&plain);
    fake_expect("wait\n");
    fake_enter("5:5:", "0/63", true);
    fake_rows(1, 2);
    memcpy(token, fake.token, sizeof(token));
    fake_stop();
    fake_start(&(struct fake_options){ .page_rows = 2, .token = token });
    fake_expect("wait\n");
    fake_enter("6:6:", "0/64", true);
    fake_expect("catch up 5:5 to 6:6 at 64\n");
    job_caught_up(fake.job);
    fake_wake();
    fake_expect("ask SELECT \"id\", \"v\" FROM ONLY \"my schema\" $1=2 by row\n");
    fake_page_end();
    fake_expect("rows last token\ngive back\ncatch up 6:6 at 64\n");
    memcpy(token, fake.token, sizeof(token));
    fake_stop();
    fake_start(&(struct fake_options){ .page_rows = 2, .token = token });
    fake_expect("catch up 6:6 at 64\n");
    fake_stop();
}

static void test_a_token_that_does_not_fit_is_gone(void **state)
{
    char token[WIRE_TOKEN_MAX + 1];

    (void)state;
    fake_start(&(struct fake_options){ .token = "nonsense" });
    fake_expect("gone this is not the token of a snapshot\n");
    fake_stop();
    fake_start(&plain);
    rt_buf_clear(&fake.said);
    fake_enter("5:5:", "0/63", true);
    fake_rows(1, 2);
    memcpy(token, fake.token, sizeof(token));
    fake_stop();
    fake_start(&(struct fake_options){ .token = token });
    rt_buf_clear(&fake.said);
    fake_enter("6:6:", "0/64", false);
    fake_expect("gone the table has another primary key now, or this is another filter; start a "
                "new snapshot\ngive back\n");
    fake_stop();
    fake_start(&(struct fake_options){ .token = token, .condition = "((t.id = '1') IS TRUE)" });
    rt_buf_clear(&fake.said);
    fake_enter("6:6:", "0/64", true);
    fake_expect("gone the table has another primary key now, or this is another filter; start a "
                "new snapshot\ngive back\n");
    fake_stop();
    fake_start(&(struct fake_options){ .token = token });
    rt_buf_clear(&fake.said);
    fake_enter("6:6:", "0/64", true);
    job_caught_up(fake.job);
    fake_wake();
    rt_buf_clear(&fake.said);
    fake_state = "22P02";
    fake_error();
    fake_expect("gone table my schema.t cannot be read: it failed\ngive back\n");
    fake_stop();
}

static void test_the_window_says_no(void **state)
{
    (void)state;
    fake_start(&plain);
    fake_expect("wait\n");
    fake_enter("5:5:", "0/63", true);
    fake.refuse_catch_up = true;
    fake_page_end();
    fake_expect(FIRST_PAGE "rows last token\ngive back\ncatch up 5:5 at 63\n");
    assert_null(fake.job);
    fake_stop();
}

static void test_commits_that_nobody_sees_yet_are_waited_for(void **state)
{
    (void)state;
    fake_start(&plain);
    fake_expect("wait\n");
    fake.unseen = 2;
    fake_enter("5:9:7", "0/63", true);
    fake_expect("give back\n");
    fake_timer();
    fake_expect("wait\n");
    fake_enter("5:9:7", "0/63", true);
    fake_timer();
    fake_expect("give back\nwait\n");
    fake_enter("9:9:", "0/64", true);
    fake_expect(FIRST_PAGE);
    fake_stop();
}

static void test_errors_reach_the_client(void **state)
{
    (void)state;
    fake_start(&plain);
    fake_expect("wait\n");
    fake_ready();
    fake_done();
    rt_buf_clear(&fake.said);
    fake_state = "42501";
    fake_error();
    fake_expect("refuse pgtide may not read as role \"anon\": let an administrator GRANT \"anon\" "
                "TO the database user of the broker\ngive back\n");
    assert_int_equal(fake.metrics.failed[SNAPSHOT_FORBIDDEN]->value, 1);
    fake_stop();
    fake_start(&plain);
    fake_expect("wait\n");
    fake_enter("5:5:", "0/63", true);
    fake_expect(FIRST_PAGE);
    fake_state = "57014";
    fake_error();
    fake_expect("refuse reading table my schema.t took longer than snapshot.timeout\ngive back\n");
    fake_stop();
    fake_start(&plain);
    fake_expect("wait\n");
    fake_timer();
    fake.trouble = "no route to host";
    fake_timer();
    fake_expect("refuse the database cannot be reached\ngive back\n");
    fake_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_small_table_is_read_and_joins_the_stream),
        cmocka_unit_test(test_an_empty_table_says_so),
        cmocka_unit_test(test_a_page_that_is_full_is_followed_by_another),
        cmocka_unit_test(test_without_credit_reading_stops_and_goes_on),
        cmocka_unit_test(test_a_slow_client_costs_no_connection),
        cmocka_unit_test(test_the_last_part_can_be_owed_too),
        cmocka_unit_test(test_a_long_snapshot_rolls),
        cmocka_unit_test(test_a_lost_connection_is_gone_on_from_the_last_row),
        cmocka_unit_test(test_losses_without_progress_come_to_an_end),
        cmocka_unit_test(test_without_a_key_there_is_one_cursor_and_no_token),
        cmocka_unit_test(test_without_a_key_nothing_sent_means_from_the_start),
        cmocka_unit_test(test_a_token_goes_on_in_another_session),
        cmocka_unit_test(test_a_token_that_does_not_fit_is_gone),
        cmocka_unit_test(test_the_window_says_no),
        cmocka_unit_test(test_commits_that_nobody_sees_yet_are_waited_for),
        cmocka_unit_test(test_errors_reach_the_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
