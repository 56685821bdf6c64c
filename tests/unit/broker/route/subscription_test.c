/* Tests of broker/route: messages of edges and answers about rights in; who is accepted, moved or refused. */
#include "tests/unit/broker/route/route_fixture.h"

static void test_subscription_is_accepted_with_the_last_position(void **state)
{
    struct kit *kit = *state;

    settle(kit, 100);
    kit_identify(kit, 0, 1, "anon");
    kit_subscribe(kit, 0, 7, 1, "table:public.t");
    kit_expect(kit, 0, "");

    kit_allow(kit, "public.t/anon", 10, "*");
    kit_expect(kit, 0, "accept 7 group 1 100/end\n");
}

static void test_group_precedes_accept_when_the_relation_is_known(void **state)
{
    struct kit *kit = *state;

    settle(kit, 100);
    (void)kit_relation(kit, 1, 10, "t", "id a +g");
    kit_identify(kit, 0, 1, "anon");
    kit_subscribe(kit, 0, 7, 1, "table:public.t");
    kit_allow(kit, "public.t/anon", 10, "*");

    kit_expect(kit, 0, "group 1 public.t id@0,a@1 +g\naccept 7 group 1 100/end\n");
}

static void test_generated_columns_are_known_without_the_relation(void **state)
{
    struct kit *kit = *state;

    settle(kit, 100);
    kit_identify(kit, 0, 1, "anon");
    kit_subscribe(kit, 0, 7, 1, "table:public.t");
    kit_allow(kit, "public.t/anon", 10, "* id +g");

    kit_expect(kit, 0, "group 1 public.t  +g\naccept 7 group 1 100/end\n");
}

static void test_subscription_waits_for_the_first_position(void **state)
{
    struct kit *kit = *state;

    kit_identify(kit, 0, 1, "anon");
    kit_subscribe(kit, 0, 7, 1, "table:public.t");
    kit_allow(kit, "public.t/anon", 10, "*");
    kit_expect(kit, 0, "");

    route_progress(kit->route, &(struct wire_progress){ .epoch = KIT_EPOCH, .lsn = 51 }, RT_SEC);
    kit_expect(kit, 0, "accept 7 group 1 50/end\nprogress 51\n");
}

static void test_subscription_without_a_stream_is_refused_after_a_while(void **state)
{
    struct kit *kit = *state;

    kit_identify(kit, 0, 1, "anon");
    kit_subscribe(kit, 0, 7, 1, "table:public.t");
    kit_allow(kit, "public.t/anon", 10, "*");
    route_tick(kit->route, RT_SEC);
    route_tick(kit->route, ROUTE_START_TIMEOUT);
    kit_expect(kit, 0, "");

    route_tick(kit->route, RT_SEC + ROUTE_START_TIMEOUT);
    kit_expect(kit, 0,
               "refuse 7 code 4 the database's change stream is not connected; try again later\n");
}

static void test_inside_a_transaction_a_subscription_waits_for_its_end(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id");

    kit_start(kit, 200);
    kit_identify(kit, 0, 1, "anon");
    kit_subscribe(kit, 0, 7, 1, "table:public.t");
    kit_allow(kit, "public.t/anon", 10, "*");
    kit_change(kit, t, 0, "1", NULL);
    kit_expect(kit, 0, "");

    kit_end(kit, 200);
    kit_expect(kit, 0, "group 1 public.t id@0\naccept 7 group 1 200/end\n");
}

static void test_changed_rights_move_subscriptions_to_another_group(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id secret");

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1,s", NULL);
    kit_allow(kit, "public.t/anon", 10, "id");
    kit_change(kit, t, 1, "2,s", NULL);

    kit_expect(kit, 0,
               "begin 200\ndeliver 0 1I new=1,s old=-\ngroup 2 public.t id@0\n"
               "rights 1 200/0\naccept 1 group 2 200/0\n"
               "deliver 1 2I new=2,? old=-\n");
}

static void test_same_rights_again_say_nothing(void **state)
{
    struct kit *kit = *state;

    settle(kit, 100);
    watch(kit, 0, "anon", "id");

    kit_allow(kit, "public.t/anon", 10, "id");
    kit_expect(kit, 0, "");
}

static void test_lost_rights_end_all_subscriptions_of_the_role(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id");

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    kit_identify(kit, 0, 2, "boss");
    kit_subscribe(kit, 0, 2, 2, "table:public.t");
    kit_allow(kit, "public.t/boss", 10, "*");
    kit_expect(kit, 0, "accept 2 group 1 100/end\n");
    kit_deny(kit, "public.t/anon", WIRE_CODE_FORBIDDEN, "no more");
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1", NULL);

    kit_expect(kit, 0, "refuse 1 code 2 no more\nbegin 200\ndeliver 0 1I new=1 old=-\n");
    kit_deny(kit, "public.t/boss", WIRE_CODE_FORBIDDEN, "no more");
    kit_change(kit, t, 1, "2", NULL);
    kit_expect(kit, 0, "refuse 2 code 2 no more\n");
    assert_int_equal((int)kit->stats.subscriptions->value, 0);
    assert_int_equal((int)kit->stats.groups->value, 0);
    assert_int_equal((int)kit->stats.tables->value, 0);
}

static void test_unsubscribe_while_waiting_answers_nobody(void **state)
{
    struct kit *kit = *state;

    kit_start(kit, 200);
    kit_identify(kit, 0, 1, "anon");
    kit_subscribe(kit, 0, 1, 1, "table:public.t");
    kit_subscribe(kit, 0, 2, 1, "table:public.t");
    kit_subscribe(kit, 0, 3, 1, "table:public.t");
    kit_unsubscribe(kit, 0, 3);
    kit_allow(kit, "public.t/anon", 10, "*");
    kit_unsubscribe(kit, 0, 1);
    kit_end(kit, 200);

    kit_expect(kit, 0, "accept 2 group 1 200/end\n");
}

static void test_channels_that_cannot_be_served_are_refused(void **state)
{
    struct kit *kit = *state;

    kit_identify(kit, 0, 1, "anon");
    kit_subscribe(kit, 0, 1, 1, "presence:room");
    kit_subscribe(kit, 0, 2, 9, "table:public.t");

    kit_expect(kit, 0,
               "refuse 1 code 3 channel must be table:SCHEMA.TABLE\n"
               "refuse 2 code 1 the identity of this subscription is not known; connect again\n");
    assert_int_equal(kit->stats.refused[WIRE_CODE_INVALID_CHANNEL]->value, 1);
    assert_int_equal((int)kit->stats.subscriptions->value, 0);
}

static void test_number_used_twice_ends_both_subscriptions(void **state)
{
    struct kit *kit = *state;

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    kit_subscribe(kit, 0, 1, 1, "table:public.t");

    kit_expect(kit, 0, "refuse 1 code 4 the number of this subscription was used twice\n");
    assert_int_equal((int)kit->stats.subscriptions->value, 0);
}

static void test_forgotten_identity_takes_its_subscriptions_along(void **state)
{
    struct kit *kit = *state;
    struct wire_writer out = { 0 };

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    wire_encode_forget(&out, &(struct wire_forget){ .identity = 1 });
    assert_null(kit_message(kit, 0, &out));

    assert_int_equal((int)kit->stats.subscriptions->value, 0);
    assert_int_equal((int)kit->stats.identities->value, 0);
    assert_null(kit_audience(kit, "public.t/anon"));
}

static void test_role_that_is_no_name_is_asked_for_as_the_empty_one(void **state)
{
    struct kit *kit = *state;

    kit_identify(kit, 0, 1, "an\xffon");
    kit_subscribe(kit, 0, 1, 1, "table:public.t");

    assert_non_null(kit_audience(kit, "public.t/"));
}

static void test_identity_may_come_again_but_not_as_another_role(void **state)
{
    struct kit *kit = *state;
    struct wire_writer out = { 0 };

    kit_identify(kit, 0, 1, "anon");
    kit_identify(kit, 0, 1, "anon");
    wire_encode_identify(
        &out,
        &(struct wire_identify){ .identity = 1, .role = kit_text("boss"), .claims = kit_text("") });

    assert_string_equal(kit_message(kit, 0, &out), "an identity changed its role or its claims");
}

static void test_malformed_message_says_why(void **state)
{
    struct kit *kit = *state;
    struct wire_writer out = { 0 };

    wire_encode_progress(&out, &(struct wire_progress){ .epoch = 1, .lsn = 1 });
    assert_non_null(kit_message(kit, 0, &out));
    assert_non_null(route_edge_message(kit->edges[0], (struct wire_span){ "\xc1", 1 }));
    assert_null(route_edge_message(kit->edges[0], (struct wire_span){ "", 0 }));
}

static void test_channel_of_another_shard_is_refused(void **state)
{
    struct kit *kit = *state;
    unsigned refused = 0;

    for (uint32_t shard = 0; shard < 2; shard++) {
        struct route_config config = { .shard = shard,
                                       .shards = 2,
                                       .relations = kit->relations,
                                       .window = kit->window,
                                       .stats = &kit->stats,
                                       .events = kit_events(),
                                       .ctx = kit };
        struct route *route = route_new(&config);
        struct route_edge *mine = kit->edges[0];
        kit->edges[0] = route_edge_new(route, &kit->indexes[0]);
        kit_identify(kit, 0, 1, "anon");
        kit_subscribe(kit, 0, 1, 1, "table:public.t");
        route_flush(route);
        refused +=
            strstr(rt_buf_cstr(&kit->sent[0]), "refuse 1 code 4 this channel belongs") != NULL;
        rt_buf_clear(&kit->sent[0]);
        kit->edges[0] = mine;
        route_free(route);
    }
    assert_int_equal(refused, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_subscription_is_accepted_with_the_last_position),
        TEST(test_group_precedes_accept_when_the_relation_is_known),
        TEST(test_generated_columns_are_known_without_the_relation),
        TEST(test_subscription_waits_for_the_first_position),
        TEST(test_subscription_without_a_stream_is_refused_after_a_while),
        TEST(test_inside_a_transaction_a_subscription_waits_for_its_end),
        TEST(test_changed_rights_move_subscriptions_to_another_group),
        TEST(test_same_rights_again_say_nothing),
        TEST(test_lost_rights_end_all_subscriptions_of_the_role),
        TEST(test_unsubscribe_while_waiting_answers_nobody),
        TEST(test_channels_that_cannot_be_served_are_refused),
        TEST(test_number_used_twice_ends_both_subscriptions),
        TEST(test_forgotten_identity_takes_its_subscriptions_along),
        TEST(test_role_that_is_no_name_is_asked_for_as_the_empty_one),
        TEST(test_identity_may_come_again_but_not_as_another_role),
        TEST(test_malformed_message_says_why),
        TEST(test_channel_of_another_shard_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
