/* Tests of broker/route: which positions can be had, who has to wait, and for whom it is too late. */
#include "tests/unit/broker/route/replay_fixture.h"

static void test_positions_that_cannot_be_had_are_gone_with_the_reason(void **state)
{
    struct kit *kit = *state;
    struct wire_writer out = { 0 };

    (void)prepare(kit);
    back(kit, 1, 98, UINT32_MAX);
    back(kit, 2, 99, UINT32_MAX - 1);
    wire_encode_subscribe(&out, &(struct wire_subscribe){ .sub = 3,
                                                          .identity = 1,
                                                          .channel = kit_text("table:public.t"),
                                                          .filter = kit_text(""),
                                                          .token = kit_text(""),
                                                          .has_since = true,
                                                          .since = { 6, 300, 0 } });
    assert_null(kit_message(kit, 0, &out));
    back(kit, 4, 99, UINT32_MAX);
    allow(kit, "*");
    kit_expect(kit, 0,
               "gone 3 reason 1 99/end to 400/end\ngone 2 reason 2 99/end to 400/end\n"
               "gone 1 reason 2 99/end to 400/end\n");
    (void)route_work(kit->route);
    assert_non_null(strstr((route_flush(kit->route), rt_buf_cstr(&kit->sent[0])),
                           "accept 4 replay group 2 99/end\nreplay 2 200\n"));
    assert_int_equal(kit->stats.gone[WIRE_GONE_TOO_OLD]->value, 2);
    assert_int_equal((int)kit->stats.subscriptions->value, 1);
}

static void test_position_ahead_waits_for_the_stream(void **state)
{
    struct kit *kit = *state;
    struct relation *t = prepare(kit);

    back(kit, 7, 600, UINT32_MAX);
    back(kit, 8, 500, UINT32_MAX);
    back(kit, 9, 900, UINT32_MAX);
    allow(kit, "*");
    (void)route_work(kit->route);
    kit_expect(kit, 0, "");
    insert(kit, t, 500, "4,w");
    kit_expect(kit, 0,
               "group 2 public.t id@0,a@1\naccept 8 replay group 2 500/end\n"
               "group 1 public.t id@0,a@1\naccept 8 group 1 500/end\n");
    insert(kit, t, 700, "5,v");
    kit_expect(kit, 0,
               "begin 700\ndeliver 0 1I new=5,v old=-\nend 700\n"
               "group 3 public.t id@0,a@1\naccept 7 replay group 3 600/end\n"
               "replay 3 700\ndeliver 0 3I new=5,v old=-\nend 700\naccept 7 group 1 700/end\n");
    route_tick(kit->route, RT_SEC);
    route_tick(kit->route, RT_SEC + ROUTE_AHEAD_TIMEOUT - 1);
    kit_expect(kit, 0, "");
    route_tick(kit->route, RT_SEC + ROUTE_AHEAD_TIMEOUT);
    kit_expect(kit, 0, "gone 9 reason 3 99/end to 700/end\n");
}

static void test_many_who_are_ahead_come_in_their_order(void **state)
{
    struct kit *kit = *state;
    struct relation *t = prepare(kit);
    unsigned accepted = 0;

    for (uint64_t i = 0; i < 100; i++) {
        back(kit, 1000 + i, 500 + (i * 37 % 100), UINT32_MAX);
    }
    allow(kit, "*");
    for (uint64_t i = 0; i < 100; i += 2) {
        kit_unsubscribe(kit, 0, 1000 + i);
    }
    for (uint64_t lsn = 500; lsn < 600; lsn += 10) {
        settle(kit, lsn);
        route_flush(kit->route);
        (void)route_work(kit->route);
        for (char *at = strstr(rt_buf_cstr(&kit->sent[0]), "replay group"); at != NULL;
             at = strstr(at + 1, "replay group")) {
            uint64_t since = 0;
            assert_int_equal(sscanf(at, "replay group %*u %" SCNu64 "/end", &since), 1);
            assert_in_range(since, lsn - 9, lsn);
            accepted++;
        }
        rt_buf_clear(&kit->sent[0]);
    }
    settle(kit, 700);
    route_flush(kit->route);
    for (char *at = strstr(rt_buf_cstr(&kit->sent[0]), "replay group"); at != NULL;
         at = strstr(at + 1, "replay group")) {
        accepted++;
    }
    assert_int_equal(accepted, 50);
    (void)t;
}

static void test_replay_that_is_overtaken_is_gone(void **state)
{
    struct kit *kit = *state;

    (void)prepare(kit);
    back(kit, 7, 300, UINT32_MAX);
    allow(kit, "*");
    kit->full[0] = true;
    (void)route_work(kit->route);
    kit_expect(kit, 0, "group 2 public.t id@0,a@1\naccept 7 replay group 2 300/end\n");
    window_tick(kit->window, 1000 * RT_SEC);
    kit->full[0] = false;
    (void)route_work(kit->route);
    kit_expect(kit, 0, "gone 7 reason 2 400/end to 400/end\n");
    assert_int_equal((int)kit->stats.replays_running->value, 0);
}

static void test_one_that_waits_for_its_turn_too_long_is_gone_alone(void **state)
{
    struct kit *kit = *state;
    struct relation *t = prepare(kit);

    back(kit, 7, 300, UINT32_MAX);
    back(kit, 8, 400, UINT32_MAX);
    allow(kit, "*");
    window_tick(kit->window, 1000 * RT_SEC); /* to 400 */
    insert(kit, t, 500, "4,w");
    kit_expect(kit, 0,
               "gone 7 reason 2 400/end to 500/end\n"
               "group 2 public.t id@0,a@1\naccept 8 replay group 2 400/end\n"
               "replay 2 500\ndeliver 0 2I new=4,w old=-\nend 500\n"
               "group 1 public.t id@0,a@1\naccept 8 group 1 500/end\n");
}

static void test_gap_ends_replays_and_judges_anew_who_is_ahead(void **state)
{
    struct kit *kit = *state;
    struct wire_gap gap = { .from = { KIT_EPOCH, 400, UINT32_MAX },
                            .to = { KIT_EPOCH + 1, 50, UINT32_MAX },
                            .reason = kit_text("restored") };

    (void)prepare(kit);
    back(kit, 7, 300, UINT32_MAX);
    back(kit, 8, 900, UINT32_MAX);
    allow(kit, "*");
    kit->full[0] = true;
    (void)route_work(kit->route);
    route_flush(kit->route);
    rt_buf_clear(&kit->sent[0]);
    window_clear(kit->window, &gap.to);
    route_gap(kit->route, &gap);
    kit_expect(kit, 0,
               "gap 400/end to 50/end\ngone 7 reason 2 50/end to 50/end\n"
               "gone 8 reason 1 50/end to 50/end\n");
}

static void test_definition_is_asked_for_and_announced_when_it_comes(void **state)
{
    struct kit *kit = *state;

    settle(kit, 100);
    kit_identify(kit, 0, 1, "anon");
    kit_subscribe(kit, 0, 7, 1, "table:public.t");
    kit_allow(kit, "public.t/anon", 10, "*");
    kit_expect(kit, 0, "accept 7 group 1 100/end\n");
    assert_int_equal(kit->described, 10);
    route_relation(kit->route, kit_relation(kit, 1, 10, "t", "id a"));
    kit_expect(kit, 0, "group 1 public.t id@0,a@1\n");
}

static void test_table_that_was_another_one_is_gone(void **state)
{
    struct kit *kit = *state;

    (void)prepare(kit);
    struct relation *again = kit_relation(kit, 2, 11, "t", "id");
    insert(kit, again, 500, "4");
    back(kit, 7, 300, UINT32_MAX);
    kit_allow(kit, "public.t/anon", 11, "*");
    (void)route_work(kit->route);
    kit_expect(kit, 0,
               "group 2 public.t id@0\naccept 7 replay group 2 300/end\n"
               "gone 7 reason 2 99/end to 500/end\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_positions_that_cannot_be_had_are_gone_with_the_reason),
        TEST(test_position_ahead_waits_for_the_stream),
        TEST(test_many_who_are_ahead_come_in_their_order),
        TEST(test_replay_that_is_overtaken_is_gone),
        TEST(test_one_that_waits_for_its_turn_too_long_is_gone_alone),
        TEST(test_gap_ends_replays_and_judges_anew_who_is_ahead),
        TEST(test_definition_is_asked_for_and_announced_when_it_comes),
        TEST(test_table_that_was_another_one_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
