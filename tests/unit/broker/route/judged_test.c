/* Tests of broker/route: views that are judged - who hears of what, as which event, and what waits for whom. */
#include "tests/unit/broker/route/judged_fixture.h"

static void update(struct kit *kit, struct relation *t, uint64_t lsn, const char *row,
                   const char *old)
{
    kit_start(kit, lsn);
    kit_change(kit, t, 0, row, old);
    kit_end(kit, lsn);
}

static void test_nothing_is_in_force_before_its_view_is_there(void **state)
{
    struct kit *kit = *state;
    struct relation *t = start(kit);

    see(kit, 0, 7, "alice");
    allow(kit, "*");
    insert(kit, t, 200, "1,alice");
    kit_expect(kit, 0, "");
    answer(kit, "alice", "alice");
    kit_expect(kit, 0, "group 2 public.t id@0,a@1\naccept 7 group 2 200/end\n");
}

static void test_events_are_as_the_viewer_sees_them(void **state)
{
    struct kit *kit = *state;
    struct relation *t = two(kit);

    insert(kit, t, 200, "1,alice");
    kit_expect(kit, 0, "begin 200\ndeliver 0 2I new=1,alice old=-\nend 200\n");
    update(kit, t, 300, "1,alice", "0,alice");
    kit_expect(kit, 0, "begin 300\ndeliver 0 2U new=1,alice old=0,alice\nend 300\n");
    update(kit, t, 400, "1,bob", "1,alice");
    kit_expect(kit, 0, "begin 400\ndeliver 0 3I 2D new=1,bob old=1,alice\nend 400\n");
    update(kit, t, 500, NULL, "1,bob");
    kit_expect(kit, 0, "begin 500\ndeliver 0 3D new=- old=1,bob\nend 500\n");
    update(kit, t, 600, "1,carol", "2,carol");
    kit_expect(kit, 0, "");
}

static void test_equal_views_share_a_group_on_each_edge(void **state)
{
    struct kit *kit = *state;
    struct relation *t = start(kit);

    see(kit, 0, 7, "x");
    see(kit, 0, 8, "y");
    see(kit, 1, 9, "x");
    allow(kit, "*");
    answer(kit, "x", "alice");
    answer(kit, "y", "alice");
    kit_expect(kit, 0,
               "group 2 public.t id@0,a@1\naccept 7 group 2 100/end\naccept 8 group 2 100/end\n");
    kit_expect(kit, 1, "group 2 public.t id@0,a@1\naccept 9 group 2 100/end\n");
    insert(kit, t, 200, "1,alice");
    kit_expect(kit, 0, "begin 200\ndeliver 0 2I new=1,alice old=-\nend 200\n");
    kit_expect(kit, 1, "begin 200\ndeliver 0 2I new=1,alice old=-\nend 200\n");
}

static void test_a_change_without_an_answer_holds_up_its_own_view_only(void **state)
{
    struct kit *kit = *state;
    struct relation *t = two(kit);

    kit_unsubscribe(kit, 0, 8);
    kit_watch_all(kit, 0, 9);
    kit->views.answer = ASK_PENDING;
    kit_expect(kit, 0, "group 1 public.t id@0,a@1\naccept 9 group 1 100/end\n");
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1,alice", NULL);
    kit_change(kit, t, 1, "2,?", NULL);
    kit_change(kit, t, 2, "3,alice", NULL);
    kit_end(kit, 200);
    /* Before anything else behind 200/0 is said: nobody may think that the view is complete there. */
    kit_expect(kit, 0,
               "begin 200\ndeliver 0 1I new=1,alice old=-\ndeliver 0 2I new=1,alice old=-\n"
               "group 4 public.t id@0,a@1\naccept 7 replay group 4 200/0\n"
               "deliver 1 1I new=2,? old=-\ndeliver 2 1I new=3,alice old=-\nend 200\n");
    (void)route_work(kit->route);
    insert(kit, t, 300, "4,alice");
    (void)route_work(kit->route);
    kit_expect(kit, 0, "begin 300\ndeliver 0 1I new=4,alice old=-\nend 300\n");
    kit->views.answer = ASK_ANSWERED;
    kit->views.verdict = MATCH_YES;
    route_answers(kit->route);
    (void)route_work(kit->route);
    kit_expect(kit, 0,
               "replay 4 200\ndeliver 1 4I new=2,? old=-\ndeliver 2 4I new=3,alice old=-\nend 200\n"
               "replay 4 300\ndeliver 0 4I new=4,alice old=-\nend 300\n"
               "group 2 public.t id@0,a@1\naccept 7 group 2 300/end\n");
}

static void test_what_cannot_be_judged_is_a_gap_for_its_subscriber(void **state)
{
    struct kit *kit = *state;
    struct relation *t = two(kit);

    kit->views.answer = ASK_FAILED;
    kit_unsubscribe(kit, 0, 8);
    insert(kit, t, 200, "1,?");
    (void)route_work(kit->route);
    route_flush(kit->route);
    assert_non_null(strstr(rt_buf_cstr(&kit->sent[0]), "gone 7"));
    assert_int_equal(kit->stats.unjudged->value, 1);
}

static void test_other_rights_are_told_and_nothing_is_missed(void **state)
{
    struct kit *kit = *state;
    struct relation *t = two(kit);

    kit_unsubscribe(kit, 0, 8);
    insert(kit, t, 200, "1,alice");
    kit_expect(kit, 0, "begin 200\ndeliver 0 2I new=1,alice old=-\nend 200\n");
    allow(kit, "id");
    assert_int_equal(kit->views.reconsidered, 1);
    insert(kit, t, 300, "2,bob");
    kit_expect(kit, 0, "accept 7 replay group " NOWHERE " 200/end\n");
    answer(kit, "alice", "bob");
    (void)route_work(kit->route);
    route_flush(kit->route);
    const char *sent = rt_buf_cstr(&kit->sent[0]);
    const char *told = strstr(sent, "rights 7 200/");
    const char *change = strstr(sent, "I new=2,bob");
    assert_non_null(told);
    assert_non_null(change);
    assert_true(told < change);
    assert_non_null(strstr(sent, "accept 7 group"));
}

static void test_truncate_is_told_to_everybody(void **state)
{
    struct kit *kit = *state;
    struct relation *t = two(kit);
    struct relation *tables[] = { t };

    kit_start(kit, 200);
    route_truncate(kit->route, tables, 1, &(struct wire_truncate){ .index = 0 });
    kit_end(kit, 200);
    route_flush(kit->route);
    assert_non_null(strstr(rt_buf_cstr(&kit->sent[0]), "truncate 0"));
}

static void test_refused_views_end_their_subscriptions_alone(void **state)
{
    struct kit *kit = *state;
    struct relation *t = two(kit);

    see(kit, 0, 9, "nonsense");
    route_view(kit_viewer(&kit->views, "nonsense/"), NULL, WIRE_CODE_SUBSCRIPTION_FAILED, "no");
    kit_expect(kit, 0, "refuse 9 code 4 no\n");
    insert(kit, t, 200, "1,alice");
    kit_expect(kit, 0, "begin 200\ndeliver 0 2I new=1,alice old=-\nend 200\n");
}

/* --- policies that read another table (77) ----------------------------------------------------------- */

enum { MEMBERS = 77 };

static struct access *member_access(struct kit *kit)
{
    struct access *access = kit_columns(10, "*");

    access->rules = kit_rules(&kit->views, MEMBERS);
    return access;
}

static struct relation *member_of(struct kit *kit)
{
    struct relation *t = start(kit);
    struct access *access = member_access(kit);

    kit_subscribe(kit, 0, 7, 1, "table:public.t");
    route_access(kit_audience(kit, "public.t/anon"), access);
    assert_int_equal(kit->views.interest, 1);
    kit_show(kit, "/{}", access, "alice");
    access_unref(access);
    kit_expect(kit, 0, "group 1 public.t id@0,a@1\naccept 7 group 1 100/end\n");
    return t;
}

static void shows_now(struct kit *kit, const char *owner)
{
    struct access *access = member_access(kit);

    kit_show(kit, "/{}", access, owner);
    access_unref(access);
    (void)route_work(kit->route);
}

static void test_a_transaction_that_touches_members_is_judged_by_what_it_leaves(void **state)
{
    struct kit *kit = *state;
    struct relation *t = member_of(kit);
    uint32_t touched = MEMBERS;

    insert(kit, t, 200, "1,alice");
    route_touched(kit->route, &touched, 1, true, 31, 300);
    assert_int_equal(kit->views.refreshed, 31);
    kit_start(kit, 300);
    kit_change(kit, t, 0, "2,alice", NULL);
    kit_change(kit, t, 1, "3,bob", NULL);
    kit_end(kit, 300);
    kit_expect(kit, 0,
               "begin 200\ndeliver 0 1I new=1,alice old=-\nend 200\n"
               "accept 7 replay group " NOWHERE " 299/end\n");
    shows_now(kit, "bob");
    route_flush(kit->route);
    const char *sent = rt_buf_cstr(&kit->sent[0]);
    assert_non_null(strstr(sent, "rights 7 299/"));
    assert_non_null(strstr(sent, "new=3,bob"));
    assert_null(strstr(sent, "new=2,alice"));
}

static void test_one_that_is_not_whole_is_judged_at_its_end(void **state)
{
    struct kit *kit = *state;
    struct relation *t = member_of(kit);

    route_touched(kit->route, NULL, 0, false, 31, 300);
    kit_start(kit, 300);
    kit_change(kit, t, 0, "2,alice", NULL);
    kit_expect(kit, 0, "accept 7 replay group " NOWHERE " 299/end\n");
    route_touched(kit->route, NULL, 0, true, 31, 300);
    kit_end(kit, 300);
    (void)route_work(kit->route);
    kit_expect(kit, 0,
               "group 2 public.t id@0,a@1\naccept 7 replay group 2 299/end\n"
               "replay 2 300\ndeliver 0 2I new=2,alice old=-\nend 300\n"
               "group 1 public.t id@0,a@1\naccept 7 group 1 300/end\n");
}

static void test_one_that_touches_them_at_its_end_is_judged_by_what_it_leaves(void **state)
{
    struct kit *kit = *state;
    struct relation *t = member_of(kit);
    uint32_t touched = MEMBERS;

    route_touched(kit->route, NULL, 0, false, 31, 300);
    kit_start(kit, 300);
    kit_change(kit, t, 0, "2,alice", NULL);
    route_touched(kit->route, &touched, 1, true, 31, 300);
    kit_end(kit, 300);
    (void)route_work(kit->route);
    assert_int_equal(kit->views.refreshed, 31);
    kit_expect(kit, 0, "accept 7 replay group " NOWHERE " 299/end\n");
    shows_now(kit, "bob");
    route_flush(kit->route);
    assert_null(strstr(rt_buf_cstr(&kit->sent[0]), "new=2,alice"));
    assert_non_null(strstr(rt_buf_cstr(&kit->sent[0]), "accept 7 group"));
}

/* Membership ends in 300, and the answer takes its time; 400 comes in parts and touches nothing of it. */
static void test_an_answer_that_is_due_is_waited_for_across_transactions(void **state)
{
    struct kit *kit = *state;
    struct relation *t = member_of(kit);
    uint32_t touched = MEMBERS;

    route_touched(kit->route, &touched, 1, true, 31, 300);
    kit_start(kit, 300);
    kit_end(kit, 300);
    route_touched(kit->route, NULL, 0, false, 32, 400);
    kit_start(kit, 400);
    kit_change(kit, t, 0, "2,alice", NULL);
    route_touched(kit->route, NULL, 0, true, 32, 400);
    kit_end(kit, 400);
    (void)route_work(kit->route);
    kit_expect(kit, 0, "accept 7 replay group " NOWHERE " 299/end\n");
    shows_now(kit, "bob");
    route_flush(kit->route);
    assert_null(strstr(rt_buf_cstr(&kit->sent[0]), "new=2,alice"));
    assert_non_null(strstr(rt_buf_cstr(&kit->sent[0]), "accept 7 group"));
}

/* Who is kept does not leave the live stream: what it sees is another thing before the transaction begins. */
static void test_one_that_is_kept_sees_by_its_new_view_at_once(void **state)
{
    struct kit *kit = *state;
    kit->views.kept = true;
    struct relation *t = member_of(kit);
    uint32_t touched = MEMBERS;

    kit->views.refreshed = 0;
    insert(kit, t, 200, "1,alice");
    shows_now(kit, "bob");
    route_touched(kit->route, &touched, 1, true, 31, 300);
    kit_start(kit, 300);
    kit_change(kit, t, 0, "2,alice", NULL);
    kit_change(kit, t, 1, "3,bob", NULL);
    kit_end(kit, 300);
    kit_expect(kit, 0,
               "begin 200\ndeliver 0 1I new=1,alice old=-\nend 200\n"
               "group 2 public.t id@0,a@1\nrights 7 200/end\naccept 7 group 2 200/end\n"
               "begin 300\ndeliver 1 2I new=3,bob old=-\nend 300\n");
    route_touched(kit->route, &touched, 1, true, 32, 400);
    insert(kit, t, 400, "4,bob");
    kit_expect(kit, 0, "begin 400\ndeliver 0 2I new=4,bob old=-\nend 400\n"); /* not its set */
    assert_int_equal(kit->views.refreshed, 0);
}

static void test_one_that_is_kept_waits_for_the_end_of_what_comes_in_parts(void **state)
{
    struct kit *kit = *state;
    kit->views.kept = true;
    struct relation *t = member_of(kit);
    uint32_t touched = MEMBERS;

    route_touched(kit->route, NULL, 0, false, 31, 300);
    kit_start(kit, 300);
    kit_change(kit, t, 0, "2,alice", NULL);
    kit_change(kit, t, 1, "3,bob", NULL);
    kit_end(kit, 300);
    kit_expect(kit, 0, "accept 7 replay group " NOWHERE " 299/end\n");
    shows_now(kit, "bob");
    route_touched(kit->route, &touched, 1, true, 31, 300);
    (void)route_work(kit->route);
    route_flush(kit->route);
    const char *sent = rt_buf_cstr(&kit->sent[0]);
    assert_non_null(strstr(sent, "rights 7 299/"));
    assert_non_null(strstr(sent, "new=3,bob"));
    assert_null(strstr(sent, "new=2,alice"));
}

/* Who comes in the middle of one, and wants the past as well, has a view from before it. */
static void test_one_that_is_kept_and_new_waits_for_the_end_of_what_comes_in_parts(void **state)
{
    struct kit *kit = *state;
    kit->views.kept = true;
    struct relation *t = member_of(kit);
    struct access *access = member_access(kit);
    struct wire_writer out = { 0 };
    uint32_t touched = MEMBERS;

    route_touched(kit->route, NULL, 0, false, 31, 300);
    kit_start(kit, 300);
    kit_change(kit, t, 0, "2,alice", NULL);
    wire_encode_subscribe(&out, &(struct wire_subscribe){ .sub = 8,
                                                          .identity = 1,
                                                          .channel = kit_text("table:public.t"),
                                                          .filter = kit_text("new"),
                                                          .token = kit_text(""),
                                                          .has_since = true,
                                                          .since = { KIT_EPOCH, 200, 0 } });
    assert_null(kit_message(kit, 0, &out));
    kit_show(kit, "new/{}", access, "alice");
    kit_end(kit, 300);
    kit_show(kit, "/{}", access, "bob");
    kit_show(kit, "new/{}", access, "bob");
    route_touched(kit->route, &touched, 1, true, 31, 300);
    (void)route_work(kit->route);
    route_flush(kit->route);
    const char *sent = rt_buf_cstr(&kit->sent[0]);
    assert_non_null(strstr(sent, "accept 8 "));
    assert_null(strstr(strstr(sent, "accept 8 "), "alice"));
    access_unref(access);
}

static void test_one_that_is_kept_and_in_doubt_is_asked_for(void **state)
{
    struct kit *kit = *state;
    kit->views.kept = true;
    struct relation *t = member_of(kit);
    uint32_t touched = MEMBERS;

    route_doubt(kit_viewer(&kit->views, "/{}"), 31, 300);
    route_touched(kit->route, &touched, 1, true, 31, 300);
    assert_int_equal(kit->views.refreshed, 31);
    /* One that comes in parts meanwhile does not make the old answer the new one. */
    insert(kit, t, 300, "2,alice");
    route_touched(kit->route, NULL, 0, false, 32, 400);
    insert(kit, t, 400, "3,alice");
    route_touched(kit->route, NULL, 0, true, 32, 400);
    (void)route_work(kit->route);
    kit_expect(kit, 0, "accept 7 replay group " NOWHERE " 299/end\n");
    shows_now(kit, "bob");
    route_flush(kit->route);
    assert_null(strstr(rt_buf_cstr(&kit->sent[0]), "alice"));
}

/* The claims of an identity come to matter with the first policy: its views are of another viewer then. */
static void test_filtered_view_of_an_open_table_ends_with_its_first_policy(void **state)
{
    struct kit *kit = *state;
    struct relation *t = start(kit);
    struct access *access = member_access(kit);

    see(kit, 0, 7, "alice");
    allow(kit, "*");
    answer(kit, "alice", "alice");
    insert(kit, t, 200, "1,alice");
    kit_expect(kit, 0,
               "group 2 public.t id@0,a@1\naccept 7 group 2 100/end\n"
               "begin 200\ndeliver 0 2I new=1,alice old=-\nend 200\n");
    route_access(kit_audience(kit, "public.t/anon"), access);
    insert(kit, t, 300, "2,alice");
    kit_expect(kit, 0, "accept 7 replay group " NOWHERE " 200/end\n");
    kit_show(kit, "alice/{}", access, "bob");
    access_unref(access);
    (void)route_work(kit->route);
    route_flush(kit->route);
    assert_non_null(strstr(rt_buf_cstr(&kit->sent[0]), "accept 7 group"));
    assert_null(strstr(rt_buf_cstr(&kit->sent[0]), "new=2,alice"));
}

static void test_interest_ends_with_the_last_viewer(void **state)
{
    struct kit *kit = *state;

    (void)member_of(kit);
    kit_unsubscribe(kit, 0, 7);
    assert_int_equal(kit->views.interest, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_in_force_before_its_view_is_there),
        TEST(test_events_are_as_the_viewer_sees_them),
        TEST(test_equal_views_share_a_group_on_each_edge),
        TEST(test_a_change_without_an_answer_holds_up_its_own_view_only),
        TEST(test_what_cannot_be_judged_is_a_gap_for_its_subscriber),
        TEST(test_other_rights_are_told_and_nothing_is_missed),
        TEST(test_truncate_is_told_to_everybody),
        TEST(test_refused_views_end_their_subscriptions_alone),
        TEST(test_a_transaction_that_touches_members_is_judged_by_what_it_leaves),
        TEST(test_one_that_is_not_whole_is_judged_at_its_end),
        TEST(test_one_that_touches_them_at_its_end_is_judged_by_what_it_leaves),
        TEST(test_an_answer_that_is_due_is_waited_for_across_transactions),
        TEST(test_one_that_is_kept_sees_by_its_new_view_at_once),
        TEST(test_one_that_is_kept_waits_for_the_end_of_what_comes_in_parts),
        TEST(test_one_that_is_kept_and_new_waits_for_the_end_of_what_comes_in_parts),
        TEST(test_one_that_is_kept_and_in_doubt_is_asked_for),
        TEST(test_filtered_view_of_an_open_table_ends_with_its_first_policy),
        TEST(test_interest_ends_with_the_last_viewer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
