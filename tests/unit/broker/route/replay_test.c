/* Tests of broker/route: what subscriptions that come back with `since` are given of the past. */
#include "tests/unit/broker/route/replay_fixture.h"

static void test_what_came_in_between_is_replayed_and_then_it_is_live(void **state)
{
    struct kit *kit = *state;
    struct relation *t = prepare(kit);

    back(kit, 7, 200, UINT32_MAX);
    allow(kit, "*");
    kit_expect(kit, 0, "");
    assert_false(route_work(kit->route));
    kit_expect(kit, 0,
               "group 2 public.t id@0,a@1\naccept 7 replay group 2 200/end\n"
               "replay 2 300\ndeliver 0 2I new=2,y old=-\nend 300\n"
               "replay 2 400\ndeliver 0 2I new=3,z old=-\nend 400\n"
               "group 1 public.t id@0,a@1\naccept 7 group 1 400/end\n");
    insert(kit, t, 500, "4,w");
    kit_expect(kit, 0, "begin 500\ndeliver 0 1I new=4,w old=-\nend 500\n");
}

static void test_middle_of_a_transaction_is_a_position_like_others(void **state)
{
    struct kit *kit = *state;
    struct relation *t = prepare(kit);

    kit_start(kit, 500);
    kit_change(kit, t, 0, "1,a", NULL);
    kit_change(kit, t, 3, "2,b", "2,a");
    kit_change(kit, t, 4, NULL, "2,b");
    kit_end(kit, 500);
    back(kit, 7, 500, 0);
    allow(kit, "*");
    (void)route_work(kit->route);
    kit_expect(kit, 0,
               "group 2 public.t id@0,a@1\naccept 7 replay group 2 500/0\nreplay 2 500\n"
               "deliver 3 2U new=2,b old=2,a\ndeliver 4 2D new=- old=2,b\nend 500\n"
               "group 1 public.t id@0,a@1\naccept 7 group 1 500/end\n");
}

static void test_nothing_in_between_is_live_at_once(void **state)
{
    struct kit *kit = *state;

    (void)prepare(kit);
    back(kit, 7, 400, UINT32_MAX);
    allow(kit, "*");
    (void)route_work(kit->route);
    kit_expect(kit, 0,
               "group 2 public.t id@0,a@1\naccept 7 replay group 2 400/end\n"
               "group 1 public.t id@0,a@1\naccept 7 group 1 400/end\n");
}

static void test_those_who_come_together_share_a_replay_from_the_oldest(void **state)
{
    struct kit *kit = *state;

    (void)prepare(kit);
    back(kit, 7, 300, UINT32_MAX);
    back(kit, 8, 300, 0);
    back(kit, 9, 400, UINT32_MAX);
    allow(kit, "*");
    (void)route_work(kit->route);
    kit_expect(kit, 0,
               "group 2 public.t id@0,a@1\naccept 7 replay group 2 300/end\n"
               "accept 8 replay group 2 300/0\naccept 9 replay group 2 400/end\n"
               "replay 2 400\ndeliver 0 2I new=3,z old=-\nend 400\n"
               "group 1 public.t id@0,a@1\naccept 7 group 1 400/end\naccept 8 group 1 400/end\n"
               "accept 9 group 1 400/end\n");
    assert_int_equal(kit->stats.replays->value, 1);
}

static void test_rights_of_now_decide(void **state)
{
    struct kit *kit = *state;

    (void)prepare(kit);
    back(kit, 7, 300, UINT32_MAX);
    allow(kit, "id");
    (void)route_work(kit->route);
    kit_expect(kit, 0,
               "group 2 public.t id@0\naccept 7 replay group 2 300/end\n"
               "replay 2 400\ndeliver 0 2I new=3,? old=-\nend 400\n"
               "group 1 public.t id@0\naccept 7 group 1 400/end\n");
    back(kit, 8, 300, UINT32_MAX);
    kit_deny(kit, "public.t/anon", WIRE_CODE_FORBIDDEN, "no");
    kit_expect(kit, 0, "refuse 8 code 2 no\nrefuse 7 code 2 no\n");
    assert_int_equal((int)kit->stats.subscriptions->value, 0);
}

static void test_replay_waits_for_room_and_the_live_stream_does_not(void **state)
{
    struct kit *kit = *state;
    struct relation *t = prepare(kit);

    kit_subscribe(kit, 0, 1, 1, "table:public.t");
    allow(kit, "*");
    kit_expect(kit, 0, "group 1 public.t id@0,a@1\naccept 1 group 1 400/end\n");
    back(kit, 7, 300, UINT32_MAX);
    kit->full[0] = true;
    (void)route_work(kit->route);
    kit_expect(kit, 0, "group 2 public.t id@0,a@1\naccept 7 replay group 2 300/end\n");
    insert(kit, t, 500, "4,w");
    kit_expect(kit, 0, "begin 500\ndeliver 0 1I new=4,w old=-\nend 500\n");
    kit->full[0] = false;
    (void)route_work(kit->route);
    kit_expect(kit, 0,
               "replay 2 400\ndeliver 0 2I new=3,z old=-\nend 400\n"
               "replay 2 500\ndeliver 0 2I new=4,w old=-\nend 500\naccept 7 group 1 500/end\n");
}

static void test_large_transactions_are_replayed_in_turns(void **state)
{
    struct kit *kit = *state;
    struct relation *t = prepare(kit);
    char *value = rt_alloc(30000 + 1);
    unsigned turns = 0;
    unsigned seen = 0;

    memset(value, 'x', 30000);
    memcpy(value, "1,", 2);
    kit_start(kit, 500);
    for (uint32_t i = 0; i < 30; i++) {
        kit_change(kit, t, i, value, NULL);
    }
    kit_end(kit, 500);
    back(kit, 7, 400, UINT32_MAX);
    allow(kit, "*");
    while (route_work(kit->route)) {
        turns++;
    }
    assert_in_range(turns, 3, 4);
    route_flush(kit->route);
    for (char *at = strstr(rt_buf_cstr(&kit->sent[0]), "deliver"); at != NULL;
         at = strstr(at + 1, "deliver")) {
        seen++;
    }
    assert_int_equal(seen, 30);
    assert_non_null(strstr(rt_buf_cstr(&kit->sent[0]), "replay 2 500\n"));
    assert_non_null(strstr(rt_buf_cstr(&kit->sent[0]), "replay 2 500 again\n"));
    assert_non_null(strstr(rt_buf_cstr(&kit->sent[0]),
                           "end 500\ngroup 1 public.t id@0,a@1\naccept 7 group 1 500/end\n"));
    free(value);
}

static void test_replay_ends_between_transactions_under_constant_load(void **state)
{
    struct kit *kit = *state;
    struct relation *t = prepare(kit);

    kit_start(kit, 500);
    kit_change(kit, t, 0, "4,w", NULL);
    back(kit, 7, 300, UINT32_MAX);
    allow(kit, "*");
    (void)route_work(kit->route);
    kit_expect(kit, 0, "");
    kit_end(kit, 500); /* here it begins, and there is time for it */
    kit_start(kit, 600);
    kit_change(kit, t, 0, "5,v", NULL);
    kit_expect(kit, 0,
               "group 2 public.t id@0,a@1\naccept 7 replay group 2 300/end\n"
               "replay 2 400\ndeliver 0 2I new=3,z old=-\nend 400\n"
               "replay 2 500\ndeliver 0 2I new=4,w old=-\nend 500\n"
               "group 1 public.t id@0,a@1\naccept 7 group 1 500/end\n"
               "begin 600\ndeliver 0 1I new=5,v old=-\n");
}

static void test_open_transaction_is_replayed_as_it_comes(void **state)
{
    struct kit *kit = *state;
    struct relation *t = prepare(kit);

    back(kit, 7, 400, UINT32_MAX);
    allow(kit, "*");
    kit->full[0] = true;
    (void)route_work(kit->route);
    kit_expect(kit, 0, "group 2 public.t id@0,a@1\naccept 7 replay group 2 400/end\n");
    kit->full[0] = false;
    kit_start(kit, 500);
    kit_change(kit, t, 0, "4,w", NULL);
    (void)route_work(kit->route);
    kit_expect(kit, 0, "replay 2 500\ndeliver 0 2I new=4,w old=-\n");
    kit_change(kit, t, 1, "5,v", NULL);
    kit_end(kit, 500);
    kit_expect(kit, 0,
               "replay 2 500 again\ndeliver 1 2I new=5,v old=-\nend 500\n"
               "group 1 public.t id@0,a@1\naccept 7 group 1 500/end\n");
}

static void test_definition_that_changed_in_between_is_announced_at_its_place(void **state)
{
    struct kit *kit = *state;

    (void)prepare(kit);
    struct relation *next = kit_relation(kit, 2, 10, "t", "id a b");
    insert(kit, next, 500, "4,w,new");
    back(kit, 7, 300, UINT32_MAX);
    allow(kit, "*");
    (void)route_work(kit->route);
    kit_expect(kit, 0,
               "group 2 public.t id@0,a@1,b@2\naccept 7 replay group 2 300/end\n"
               "group 2 public.t id@0,a@1\nreplay 2 400\ndeliver 0 2I new=3,z old=-\nend 400\n"
               "group 2 public.t id@0,a@1,b@2\nreplay 2 500\ndeliver 0 2I new=4,w,new old=-\n"
               "end 500\ngroup 1 public.t id@0,a@1,b@2\naccept 7 group 1 500/end\n");
}

static void test_truncate_is_replayed(void **state)
{
    struct kit *kit = *state;
    struct relation *t = prepare(kit);
    uint32_t flags = WIRE_TRUNCATE_CASCADE;

    kit_start(kit, 500);
    window_add(kit->window, t, WINDOW_TRUNCATE, 2,
               (struct wire_span){ (const char *)&flags, sizeof(flags) });
    kit_end(kit, 500);
    back(kit, 7, 400, UINT32_MAX);
    allow(kit, "*");
    (void)route_work(kit->route);
    kit_expect(kit, 0,
               "group 2 public.t id@0,a@1\naccept 7 replay group 2 400/end\n"
               "replay 2 500\ntruncate 2 2\nend 500\n"
               "group 1 public.t id@0,a@1\naccept 7 group 1 500/end\n");
}

static void test_changed_rights_begin_it_anew_from_where_it_is(void **state)
{
    struct kit *kit = *state;
    struct relation *t = prepare(kit);

    back(kit, 7, 300, UINT32_MAX);
    allow(kit, "*");
    kit->full[0] = true;
    (void)route_work(kit->route);
    kit_expect(kit, 0, "group 2 public.t id@0,a@1\naccept 7 replay group 2 300/end\n");
    kit->full[0] = false;
    kit_start(kit, 500);
    kit_change(kit, t, 0, "4,w", NULL);
    (void)route_work(kit->route);
    kit_expect(kit, 0,
               "replay 2 400\ndeliver 0 2I new=3,z old=-\nend 400\n"
               "replay 2 500\ndeliver 0 2I new=4,w old=-\n");
    allow(kit, "id");
    kit_change(kit, t, 1, "5,v", NULL);
    kit_end(kit, 500);
    /* At once, before it has a place to go on: the replay could go on for others. */
    kit_expect(kit, 0,
               "rights 7 500/0\naccept 7 replay group 4294967295 500/0\n"
               "group 4 public.t id@0\naccept 7 replay group 4 500/0\n"
               "replay 4 500\ndeliver 1 4I new=5,? old=-\nend 500\n"
               "group 3 public.t id@0\naccept 7 group 3 500/end\n");
}

static void test_who_leaves_during_a_replay_is_no_more(void **state)
{
    struct kit *kit = *state;
    struct wire_writer out = { 0 };

    (void)prepare(kit);
    back(kit, 7, 300, UINT32_MAX);
    back(kit, 8, 300, UINT32_MAX);
    allow(kit, "*");
    kit->full[0] = true;
    (void)route_work(kit->route);
    kit_unsubscribe(kit, 0, 7);
    rt_buf_clear(&kit->sent[0]);
    wire_encode_forget(&out, &(struct wire_forget){ .identity = 1 });
    assert_null(kit_message(kit, 0, &out));
    kit->full[0] = false;
    (void)route_work(kit->route);
    route_flush(kit->route);
    assert_int_equal((int)kit->stats.replays_running->value, 0);
    assert_int_equal((int)kit->stats.subscriptions->value, 0);

    kit_identify(kit, 0, 1, "anon");
    back(kit, 9, 300, UINT32_MAX);
    allow(kit, "*");
    route_edge_free(kit->edges[0]);
    (void)route_work(kit->route);
    assert_int_equal((int)kit->stats.subscriptions->value, 0);
    kit->edges[0] = route_edge_new(kit->route, &kit->indexes[0]);
}

static void test_only_so_many_replays_run_at_a_time(void **state)
{
    struct kit *kit = *state;
    char who[64];
    char channel[64];

    (void)prepare(kit);
    kit->full[0] = true;
    for (uint32_t i = 0; i < ROUTE_REPLAYS_MAX + 2; i++) {
        (void)snprintf(channel, sizeof(channel), "table:public.t%" PRIu32, i);
        (void)snprintf(who, sizeof(who), "public.t%" PRIu32 "/anon", i);
        kit_resume(kit, 0, 100 + i, 1, channel, 200, UINT32_MAX);
        kit_allow(kit, who, 100 + i, "*");
    }
    (void)route_work(kit->route);
    assert_int_equal((int)kit->stats.replays_running->value, ROUTE_REPLAYS_MAX);
    kit->full[0] = false;
    (void)route_work(kit->route);
    assert_int_equal((int)kit->stats.replays_running->value, 0);
    (void)route_work(kit->route);
    assert_int_equal(kit->stats.replays->value, ROUTE_REPLAYS_MAX + 2);
}

static void test_full_edge_does_not_keep_others_from_theirs(void **state)
{
    struct kit *kit = *state;
    char who[64];
    char channel[64];

    (void)prepare(kit);
    kit->full[0] = true;
    for (uint32_t i = 0; i < ROUTE_REPLAYS_MAX + 2; i++) {
        (void)snprintf(channel, sizeof(channel), "table:public.t%" PRIu32, i);
        (void)snprintf(who, sizeof(who), "public.t%" PRIu32 "/anon", i);
        kit_resume(kit, 0, 100 + i, 1, channel, 200, UINT32_MAX);
        kit_allow(kit, who, 100 + i, "*");
    }
    (void)route_work(kit->route);
    kit_identify(kit, 1, 1, "anon");
    kit_resume(kit, 1, 7, 1, "table:public.t", 400, UINT32_MAX);
    allow(kit, "*");
    (void)route_work(kit->route);
    route_flush(kit->route);
    assert_non_null(strstr(rt_buf_cstr(&kit->sent[1]), "accept 7 group "));
    assert_int_equal((int)kit->stats.replays_running->value, ROUTE_REPLAYS_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_what_came_in_between_is_replayed_and_then_it_is_live),
        TEST(test_middle_of_a_transaction_is_a_position_like_others),
        TEST(test_nothing_in_between_is_live_at_once),
        TEST(test_those_who_come_together_share_a_replay_from_the_oldest),
        TEST(test_rights_of_now_decide),
        TEST(test_replay_waits_for_room_and_the_live_stream_does_not),
        TEST(test_large_transactions_are_replayed_in_turns),
        TEST(test_replay_ends_between_transactions_under_constant_load),
        TEST(test_open_transaction_is_replayed_as_it_comes),
        TEST(test_definition_that_changed_in_between_is_announced_at_its_place),
        TEST(test_truncate_is_replayed),
        TEST(test_changed_rights_begin_it_anew_from_where_it_is),
        TEST(test_who_leaves_during_a_replay_is_no_more),
        TEST(test_only_so_many_replays_run_at_a_time),
        TEST(test_full_edge_does_not_keep_others_from_theirs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
