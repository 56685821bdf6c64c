/* Tests of broker/route: what edges are told of how far replays are, which show nothing of what they read. */
#include "tests/unit/broker/route/judged_fixture.h"

static void answered_up_to(struct kit *kit, uint64_t lsn, enum match_verdict verdict)
{
    kit->views.answer = ASK_ANSWERED;
    kit->views.verdict = verdict;
    kit->views.pending_from = lsn + 1;
    route_answers(kit->route);
    (void)route_work(kit->route);
}

static void tell(struct kit *kit, rt_usec now)
{
    (void)route_tell(kit->route, now);
}

/* `alice` at edge 0 as group 2, which has left the live stream at 200 for an answer: it is fed as group 4. */
static struct relation *following(struct kit *kit)
{
    struct relation *t = two(kit);

    kit_unsubscribe(kit, 0, 8);
    tell(kit, RT_SEC);
    answered_up_to(kit, 199, MATCH_NO);
    insert(kit, t, 200, "1,?");
    kit_expect(kit, 0,
               "progress 101\ngroup 4 public.t id@0,a@1\naccept 7 replay group 4 199/end\n");
    return t;
}

static void test_edge_is_told_how_far_a_replay_is_that_shows_nothing(void **state)
{
    struct kit *kit = *state;
    struct relation *t = following(kit);

    insert(kit, t, 300, "2,bob");
    insert(kit, t, 400, "3,?");
    tell(kit, 2 * RT_SEC);
    kit_expect(kit, 0, "progress 401\n"); /* 199 was told with the replay */
    answered_up_to(kit, 300, MATCH_NO);
    kit_expect(kit, 0, "");
    /* 300 was read to its end, but nobody has looked whether there is more of it. */
    tell(kit, 3 * RT_SEC);
    kit_expect(kit, 0, "replayed 4 299/end\nprogress 401\n");
    tell(kit, 4 * RT_SEC);
    kit_expect(kit, 0, "progress 401\n");
    answered_up_to(kit, 400, MATCH_NO);
    kit_expect(kit, 0, "group 2 public.t id@0,a@1\naccept 7 group 2 400/end\n");
    tell(kit, 5 * RT_SEC);
    kit_expect(kit, 0, "progress 401\n");
}

static void test_edge_is_told_once_in_a_while(void **state)
{
    struct kit *kit = *state;
    struct relation *t = following(kit);
    rt_usec now = 2 * RT_SEC;

    insert(kit, t, 300, "2,?");
    insert(kit, t, 400, "3,?");
    insert(kit, t, 500, "4,?");
    tell(kit, now);
    kit_expect(kit, 0, "progress 501\n");
    answered_up_to(kit, 300, MATCH_NO);
    tell(kit, now + ROUTE_REPLAYED_PAUSE - 1);
    kit_expect(kit, 0, "");
    answered_up_to(kit, 400, MATCH_NO);
    tell(kit, now + ROUTE_REPLAYED_PAUSE);
    kit_expect(kit, 0, "replayed 4 399/end\nprogress 501\n");
}

static void test_end_of_what_is_shown_says_as_much(void **state)
{
    struct kit *kit = *state;
    struct relation *t = following(kit);

    insert(kit, t, 300, "2,?");
    insert(kit, t, 400, "3,?");
    answered_up_to(kit, 300, MATCH_YES);
    kit_expect(kit, 0,
               "replay 4 200\ndeliver 0 4I new=1,? old=-\nend 200\n"
               "replay 4 300\ndeliver 0 4I new=2,? old=-\nend 300\n");
    tell(kit, 2 * RT_SEC);
    kit_expect(kit, 0, "progress 401\n");
}

/* Inside a transaction that is being replayed, and inside one that the stream brings: whole ones only. */
static void test_transaction_under_way_does_not_count(void **state)
{
    struct kit *kit = *state;
    struct relation *t = following(kit);

    kit_start(kit, 300);
    kit_change(kit, t, 0, "2,bob", NULL);
    kit_change(kit, t, 1, "3,?", NULL);
    kit_change(kit, t, 2, "4,bob", NULL);
    answered_up_to(kit, 200, MATCH_NO);
    tell(kit, 2 * RT_SEC);
    kit_expect(kit, 0, "replayed 4 299/end\nprogress 201\n");
    answered_up_to(kit, 300, MATCH_NO);
    tell(kit, 3 * RT_SEC);
    kit_expect(kit, 0, "progress 201\n");
    kit_end(kit, 300);
    kit_expect(kit, 0, "group 2 public.t id@0,a@1\naccept 7 group 2 300/end\n");
}

/* Who waits for another view is told where it stopped, and nothing else before it goes on. */
static void test_who_is_asked_for_again_stays_where_it_was(void **state)
{
    struct kit *kit = *state;
    struct relation *t = following(kit);

    insert(kit, t, 300, "2,?");
    answered_up_to(kit, 200, MATCH_NO);
    allow(kit, "id");
    kit_expect(kit, 0, "accept 7 replay group " NOWHERE " 200/0\n");
    insert(kit, t, 400, "3,bob");
    tell(kit, 2 * RT_SEC);
    kit_expect(kit, 0, "progress 401\n");
    answer(kit, "alice", "bob");
    route_flush(kit->route);
    kit->views.pending_from = 300;
    (void)route_work(kit->route);
    route_flush(kit->route);
    assert_non_null(
        strstr(rt_buf_cstr(&kit->sent[0]), "rights 7 200/0\naccept 7 replay group 7 200/0\n"));
}

/* Two names for one view, replayed together: one is given another view, the other's replay goes on. */
static void test_who_leaves_a_replay_that_goes_on_is_told_at_once(void **state)
{
    struct kit *kit = *state;
    struct relation *t = start(kit);

    see(kit, 0, 7, "x");
    see(kit, 0, 8, "y");
    allow(kit, "*");
    answer(kit, "x", "alice");
    answer(kit, "y", "alice");
    answered_up_to(kit, 199, MATCH_NO);
    insert(kit, t, 200, "1,?");
    insert(kit, t, 300, "2,?");
    route_flush(kit->route);
    rt_buf_clear(&kit->sent[0]);
    answered_up_to(kit, 200, MATCH_YES);
    kit_expect(kit, 0, "replay 3 200\ndeliver 0 3I new=1,? old=-\nend 200\n");
    answer(kit, "x", "bob");
    kit_expect(kit, 0, "rights 7 200/0\naccept 7 replay group " NOWHERE " 200/0\n");
    answered_up_to(kit, 300, MATCH_YES);
    route_flush(kit->route);
    const char *sent = rt_buf_cstr(&kit->sent[0]);
    assert_non_null(strstr(sent, "deliver 0 3I new=2,? old=-\n"));
    assert_non_null(strstr(sent, "accept 8 group 2 300/end\n"));
    assert_non_null(strstr(sent, "accept 7 replay group 5 200/0\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_edge_is_told_how_far_a_replay_is_that_shows_nothing),
        TEST(test_edge_is_told_once_in_a_while),
        TEST(test_end_of_what_is_shown_says_as_much),
        TEST(test_transaction_under_way_does_not_count),
        TEST(test_who_is_asked_for_again_stays_where_it_was),
        TEST(test_who_leaves_a_replay_that_goes_on_is_told_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
