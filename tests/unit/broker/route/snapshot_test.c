/* Tests of broker/route: subscriptions that want rows first, with a job that the test plays. */
#include "tests/unit/broker/route/replay_fixture.h"

static void ask(struct kit *kit, uint64_t sub, const char *token)
{
    struct wire_writer out = { 0 };

    wire_encode_subscribe(&out, &(struct wire_subscribe){ .sub = sub,
                                                          .identity = 1,
                                                          .channel = kit_text("table:public.t"),
                                                          .filter = kit_text(""),
                                                          .snapshot = true,
                                                          .page_rows = 50,
                                                          .token = kit_text(token) });
    assert_null(kit_message(kit, 0, &out));
}

static void expect_jobs(struct kit *kit, const char *lines)
{
    assert_string_equal(rt_buf_cstr(&kit->jobs), lines);
    rt_buf_clear(&kit->jobs);
}

static void rows(struct kit *kit, const char *a, const char *b, const char *token, bool last)
{
    struct wire_writer out[2] = { { 0 }, { 0 } };
    struct wire_tuple tuples[2];

    kit_write_row(&out[0], a);
    kit_write_row(&out[1], b);
    for (int i = 0; i < 2; i++) {
        tuples[i] = (struct wire_tuple){ out[i].data, out[i].len };
    }
    route_snapshot_rows(kit->handle, tuples, 2, kit_text(token), last);
    wire_writer_fini(&out[0]);
    wire_writer_fini(&out[1]);
}

static bool catch_up(struct kit *kit, const char *from, const char *to, uint64_t until)
{
    struct xid_snapshot snapshots[2] = { { 0 }, { 0 } };

    assert_true(xid_snapshot_parse(&snapshots[0], from, strlen(from)));
    if (to != NULL) {
        assert_true(xid_snapshot_parse(&snapshots[1], to, strlen(to)));
    }
    bool reached = route_snapshot_catch_up(kit->handle, &snapshots[0],
                                           to == NULL ? NULL : &snapshots[1], until);
    xid_snapshot_fini(&snapshots[0]);
    xid_snapshot_fini(&snapshots[1]);
    return reached;
}

/* Sub 7 has its job; transaction numbers are LSNs here. */
static struct relation *begin(struct kit *kit)
{
    struct relation *t = prepare(kit);

    ask(kit, 7, "");
    allow(kit, "*");
    kit_expect(kit, 0, "group 2 public.t id@0,a@1\naccept 7 snapshot group 2 400/end\n");
    expect_jobs(kit, "job public.t role anon columns 2 page 50 token \n");
    return t;
}

static void test_rows_then_what_they_do_not_show_then_live(void **state)
{
    struct kit *kit = *state;
    struct relation *t = begin(kit);

    rows(kit, "1,x", "2,y", "tok", false);
    rows(kit, "3,z", "4,w", "", true);
    kit_expect(kit, 0, "rows 2 1,x 2,y token tok\nrows 2 3,z 4,w last\n");
    /* 300 had not become visible when the rows were read, 400 had. */
    assert_true(catch_up(kit, "300:401:300", NULL, 501));
    (void)route_work(kit->route);
    kit_expect(kit, 0, "replay 2 300\ndeliver 0 2I new=2,y old=-\nend 300\n");
    expect_jobs(kit, "");
    insert(kit, t, 500, "5,v");
    kit_expect(kit, 0,
               "replay 2 500\ndeliver 0 2I new=5,v old=-\nend 500\n"
               "group 1 public.t id@0,a@1\naccept 7 group 1 500/end\n");
    expect_jobs(kit, "live\n");
    insert(kit, t, 600, "6,u");
    kit_expect(kit, 0, "begin 600\ndeliver 0 1I new=6,u old=-\nend 600\n");
    kit_unsubscribe(kit, 0, 7);
    expect_jobs(kit, "");
}

static void test_quiet_stream_reaches_the_end_by_progress(void **state)
{
    struct kit *kit = *state;

    (void)begin(kit);
    rows(kit, "1,x", "2,y", "", true);
    assert_true(catch_up(kit, "500:500:", NULL, 450));
    (void)route_work(kit->route);
    expect_jobs(kit, "");
    route_progress(kit->route, &(struct wire_progress){ .epoch = KIT_EPOCH, .lsn = 450 }, RT_SEC);
    expect_jobs(kit, "live\n");
}

static void test_rolling_delivers_what_the_second_shows_and_the_first_does_not(void **state)
{
    struct kit *kit = *state;
    struct relation *t = begin(kit);

    rows(kit, "1,x", "2,y", "tok", false);
    insert(kit, t, 500, "5,v");
    insert(kit, t, 600, "6,u");
    rt_buf_clear(&kit->sent[0]);
    assert_true(catch_up(kit, "450:450:", "550:550:", 601));
    (void)route_work(kit->route);
    kit_expect(kit, 0, "replay 2 500\ndeliver 0 2I new=5,v old=-\nend 500\n");
    expect_jobs(kit, "caught up\n");
    rows(kit, "5,v", "5,v", "", true);
    assert_true(catch_up(kit, "550:550:", NULL, 601));
    (void)route_work(kit->route);
    kit_expect(kit, 0,
               "rows 2 5,v 5,v last\nreplay 2 600\ndeliver 0 2I new=6,u old=-\nend 600\n"
               "group 1 public.t id@0,a@1\naccept 7 group 1 600/end\n");
    expect_jobs(kit, "live\n");
}

static void test_window_that_does_not_reach_back_is_gone(void **state)
{
    struct kit *kit = *state;

    (void)begin(kit);
    window_tick(kit->window, 1000 * RT_SEC);
    assert_false(catch_up(kit, "300:401:300", NULL, 401));
    expect_jobs(kit, "cancel\n");
    kit_expect(kit, 0, "gone 7 reason 4 400/end to 400/end\n");
    assert_int_equal((int)kit->stats.subscriptions->value, 0);
}

static void test_window_that_moves_past_the_feed_is_gone(void **state)
{
    struct kit *kit = *state;

    (void)begin(kit);
    kit->full[0] = true;
    assert_true(catch_up(kit, "300:401:300", NULL, 401));
    (void)route_work(kit->route);
    window_tick(kit->window, 1000 * RT_SEC);
    kit->full[0] = false;
    (void)route_work(kit->route);
    expect_jobs(kit, "cancel\n");
    kit_expect(kit, 0, "gone 7 reason 4 400/end to 400/end\n");
}

static void test_credit_and_token_go_to_the_job(void **state)
{
    struct kit *kit = *state;
    struct wire_writer out = { 0 };

    (void)prepare(kit);
    ask(kit, 7, "where it was");
    allow(kit, "*");
    expect_jobs(kit, "job public.t role anon columns 2 page 50 token where it was\n");
    wire_encode_more(&out, &(struct wire_more){ .sub = 7, .parts = 3 });
    wire_encode_more(&out, &(struct wire_more){ .sub = 99, .parts = 3 });
    assert_null(kit_message(kit, 0, &out));
    expect_jobs(kit, "more 3\n");
    kit_unsubscribe(kit, 0, 7);
    expect_jobs(kit, "cancel\n");
}

static void test_job_can_end_it(void **state)
{
    struct kit *kit = *state;

    (void)begin(kit);
    route_snapshot_refuse(kit->handle, WIRE_CODE_FORBIDDEN, "no rows for you");
    kit_expect(kit, 0, "refuse 7 code 2 no rows for you\n");
    ask(kit, 8, "");
    allow(kit, "*");
    rt_buf_clear(&kit->jobs);
    route_flush(kit->route);
    rt_buf_clear(&kit->sent[0]);
    route_snapshot_gone(kit->handle, "bad token");
    kit_expect(kit, 0, "gone 8 reason 4 99/end to 400/end\n");
    expect_jobs(kit, "");
    kit->no_jobs = true;
    ask(kit, 9, "");
    allow(kit, "*");
    kit_expect(kit, 0, "refuse 9 code 4 too many snapshots are being read; try again later\n");
}

static void test_definition_is_waited_for(void **state)
{
    struct kit *kit = *state;

    settle(kit, 100);
    kit_identify(kit, 0, 1, "anon");
    ask(kit, 7, "");
    ask(kit, 8, "");
    allow(kit, "*");
    kit_expect(kit, 0, "");
    assert_int_equal(kit->described, 10);
    kit->described = 0;
    kit_unsubscribe(kit, 0, 8);
    route_tick(kit->route, RT_SEC);
    assert_int_equal(kit->described, 10);
    route_relation(kit->route, kit_relation(kit, 1, 10, "t", "id a"));
    kit_expect(kit, 0, "group 2 public.t id@0,a@1\naccept 7 snapshot group 2 100/end\n");
    relations_clear(kit->relations);
    ask(kit, 9, "");
    route_tick(kit->route, 2 * RT_SEC);
    route_tick(kit->route, 2 * RT_SEC + ROUTE_DESCRIBE_TIMEOUT);
    kit_expect(kit, 0,
               "refuse 9 code 4 the definition of the table could not be had; try again later\n");
}

static void test_changed_rights_and_gaps_end_it(void **state)
{
    struct kit *kit = *state;
    struct wire_gap gap = { .from = { KIT_EPOCH, 400, UINT32_MAX },
                            .to = { KIT_EPOCH, 900, UINT32_MAX },
                            .reason = kit_text("given up") };

    (void)begin(kit);
    allow(kit, "id");
    kit_expect(kit, 0, "gone 7 reason 4 99/end to 400/end\n");
    expect_jobs(kit, "cancel\n");
    ask(kit, 8, "");
    allow(kit, "id");
    rt_buf_clear(&kit->jobs);
    route_flush(kit->route);
    rt_buf_clear(&kit->sent[0]);
    window_clear(kit->window, &gap.to);
    route_gap(kit->route, &gap);
    kit_expect(kit, 0, "gap 400/end to 900/end\ngone 8 reason 4 900/end to 900/end\n");
    expect_jobs(kit, "cancel\n");
}

static void test_edge_that_leaves_cancels_its_job(void **state)
{
    struct kit *kit = *state;

    (void)begin(kit);
    assert_true(catch_up(kit, "300:401:300", NULL, 501));
    route_edge_free(kit->edges[0]);
    expect_jobs(kit, "cancel\n");
    (void)route_work(kit->route);
    kit->edges[0] = route_edge_new(kit->route, &kit->indexes[0]);
}

static void test_rows_keep_the_definition_that_they_were_read_by(void **state)
{
    struct kit *kit = *state;

    (void)begin(kit);
    struct relation *next = kit_relation(kit, 2, 10, "t", "id a b");
    insert(kit, next, 500, "5,v,b");
    assert_true(catch_up(kit, "450:450:", "550:550:", 501));
    (void)route_work(kit->route);
    rows(kit, "1,x", "2,y", "tok", false);
    kit_expect(
        kit, 0,
        "group 2 public.t id@0,a@1,b@2\nreplay 2 500\ndeliver 0 2I new=5,v,b old=-\nend 500\n"
        "group 2 public.t id@0,a@1\nrows 2 1,x 2,y token tok\n");
}

static void test_evicted_transactions_that_a_snapshot_does_not_see_are_told(void **state)
{
    struct kit *kit = *state;
    struct xid_snapshot snapshot;

    (void)prepare(kit);
    assert_true(xid_snapshot_parse(&snapshot, "300:401:300", 11));
    assert_false(route_evicted_unseen(kit->route, &snapshot));
    window_tick(kit->window, 1000 * RT_SEC);
    assert_true(route_evicted_unseen(kit->route, &snapshot));
    xid_snapshot_fini(&snapshot);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_rows_then_what_they_do_not_show_then_live),
        TEST(test_quiet_stream_reaches_the_end_by_progress),
        TEST(test_rolling_delivers_what_the_second_shows_and_the_first_does_not),
        TEST(test_window_that_does_not_reach_back_is_gone),
        TEST(test_window_that_moves_past_the_feed_is_gone),
        TEST(test_credit_and_token_go_to_the_job),
        TEST(test_job_can_end_it),
        TEST(test_definition_is_waited_for),
        TEST(test_changed_rights_and_gaps_end_it),
        TEST(test_edge_that_leaves_cancels_its_job),
        TEST(test_rows_keep_the_definition_that_they_were_read_by),
        TEST(test_evicted_transactions_that_a_snapshot_does_not_see_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
