/* Tests of broker/route: the stream in; which edge gets which records of it. */
#include "tests/unit/broker/route/route_fixture.h"

static void test_change_goes_once_to_each_edge_with_members(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id a");

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    watch(kit, 1, "anon", "*");
    kit_subscribe(kit, 0, 2, 1, "table:public.t");
    kit_expect(kit, 0, "accept 2 group 1 100/end\n");
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1,x", NULL);
    kit_change(kit, t, 2, "1,y", "1,x");
    kit_change(kit, t, 3, NULL, "1,y");
    kit_end(kit, 200);

    const char *lines = "begin 200\ndeliver 0 1I new=1,x old=-\ndeliver 2 1U new=1,y old=1,x\n"
                        "deliver 3 1D new=- old=1,y\nend 200\n";
    kit_expect(kit, 0, lines);
    kit_expect(kit, 1, lines);
    kit_expect(kit, 2, "");
    assert_int_equal(kit->stats.matched->value, 3);
    assert_int_equal(kit->stats.deliveries->value, 6);
}

static void test_change_of_another_table_goes_nowhere(void **state)
{
    struct kit *kit = *state;
    struct relation *other = kit_relation(kit, 2, 20, "other", "id");

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    kit_start(kit, 200);
    kit_change(kit, other, 0, "1", NULL);
    kit_end(kit, 200);

    kit_expect(kit, 0, "");
}

static void test_later_frame_of_a_transaction_says_that_it_continues(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id");

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1", NULL);
    kit_expect(kit, 0, "begin 200\ndeliver 0 1I new=1 old=-\n");
    kit_start(kit, 200);
    kit_change(kit, t, 1, "2", NULL);
    kit_expect(kit, 0, "begin 200 again\ndeliver 1 1I new=2 old=-\n");

    kit_end(kit, 200);
    kit_expect(kit, 0, "begin 200 again\nend 200\n");
}

static void test_roles_with_the_same_columns_share_a_group(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id a secret");

    settle(kit, 100);
    watch(kit, 0, "anon", "id a");
    kit_identify(kit, 0, 2, "guest");
    kit_subscribe(kit, 0, 2, 2, "table:public.t");
    kit_allow(kit, "public.t/guest", 10, "a id");
    kit_expect(kit, 0, "accept 2 group 1 100/end\n");
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1,x,s", NULL);

    kit_expect(kit, 0, "begin 200\ndeliver 0 1I new=1,x,? old=-\n");
    assert_int_equal((int)kit->stats.groups->value, 1);
}

static void test_hidden_columns_are_missing_in_both_rows(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id a secret");

    settle(kit, 100);
    kit_identify(kit, 0, 1, "anon");
    kit_subscribe(kit, 0, 1, 1, "table:public.t");
    kit_allow(kit, "public.t/anon", 10, "a id");
    kit_expect(kit, 0, "group 1 public.t id@0,a@1\naccept 1 group 1 100/end\n");
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1,y,s2", "1,x,s1");

    kit_expect(kit, 0, "begin 200\ndeliver 0 1U new=1,y,? old=1,x,?\n");
}

static void test_edge_gets_the_union_of_what_its_groups_see(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id a secret");

    settle(kit, 100);
    watch(kit, 0, "anon", "id a");
    kit_identify(kit, 0, 2, "boss");
    kit_subscribe(kit, 0, 2, 2, "table:public.t");
    kit_allow(kit, "public.t/boss", 10, "*");
    watch(kit, 1, "anon", "id a");
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1,x,s", NULL);

    kit_expect(kit, 0, "begin 200\ndeliver 0 1I 2I new=1,x,s old=-\n");
    kit_expect(kit, 1, "begin 200\ndeliver 0 1I new=1,x,? old=-\n");
}

static void test_row_that_does_not_fit_its_relation_is_withheld_from_a_column_group(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id a secret");

    settle(kit, 100);
    watch(kit, 0, "anon", "id a");
    kit_start(kit, 200);
    kit_change(kit, t, 0, "s,1", NULL);

    kit_expect(kit, 0, "");
    assert_int_equal(kit->stats.withheld->value, 1);
}

static void test_changed_definition_is_announced_before_its_first_row(void **state)
{
    struct kit *kit = *state;

    (void)kit_relation(kit, 1, 10, "t", "id");
    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    struct relation *next = kit_relation(kit, 2, 10, "t", "id extra");
    kit_start(kit, 200);
    kit_change(kit, next, 0, "1,e", NULL);

    kit_expect(kit, 0, "group 1 public.t id@0,extra@1\nbegin 200\ndeliver 0 1I new=1,e old=-\n");
}

static void test_rights_to_a_table_do_not_hold_for_another_of_its_name(void **state)
{
    struct kit *kit = *state;

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    struct relation *again = kit_relation(kit, 2, 11, "t", "id");
    kit_start(kit, 200);
    kit_change(kit, again, 0, "1", NULL);

    kit_expect(kit, 0, "");
}

static void test_unsubscribed_edge_gets_nothing_more(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id");

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    watch(kit, 1, "anon", "*");
    kit_unsubscribe(kit, 0, 1);
    kit_unsubscribe(kit, 0, 1); /* twice is nothing */
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1", NULL);
    kit_end(kit, 200);

    kit_expect(kit, 0, "");
    kit_expect(kit, 1, "begin 200\ndeliver 0 1I new=1 old=-\nend 200\n");
}

static void test_edge_that_leaves_in_a_transaction_harms_no_other(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id");

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    watch(kit, 1, "anon", "*");
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1", NULL);
    route_edge_free(kit->edges[0]);
    kit_change(kit, t, 1, "2", NULL);
    kit_end(kit, 200);

    kit_expect(kit, 0, "");
    kit_expect(kit, 1, "begin 200\ndeliver 0 1I new=1 old=-\ndeliver 1 1I new=2 old=-\nend 200\n");
}

static void test_edge_that_joins_or_leaves_counts_from_the_next_change(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id");

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1", NULL);
    kit_end(kit, 200);
    watch(kit, 1, "anon", "*");
    kit_start(kit, 300);
    kit_change(kit, t, 0, "2", NULL);
    kit_unsubscribe(kit, 0, 1);
    kit_change(kit, t, 1, "3", NULL);
    kit_end(kit, 300);

    kit_expect(kit, 0, "begin 300\ndeliver 0 1I new=2 old=-\nend 300\n");
    kit_expect(kit, 1, "begin 300\ndeliver 0 1I new=2 old=-\ndeliver 1 1I new=3 old=-\nend 300\n");
}

static void test_truncate_names_the_groups_of_all_its_tables(void **state)
{
    struct kit *kit = *state;
    struct relation *tables[2];

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    kit_subscribe(kit, 0, 2, 1, "table:public.u");
    kit_allow(kit, "public.u/anon", 20, "*");
    kit_expect(kit, 0, "accept 2 group 2 100/end\n");
    tables[0] = kit_relation(kit, 1, 10, "t", "id");
    tables[1] = kit_relation(kit, 2, 20, "u", "id");
    kit_start(kit, 200);
    route_truncate(kit->route, tables, 2, &(struct wire_truncate){ .index = 4 });
    kit_end(kit, 200);

    kit_expect(
        kit, 0,
        "group 1 public.t id@0\ngroup 2 public.u id@0\nbegin 200\ntruncate 4 1 2\nend 200\n");
    kit_expect(kit, 1, "");
}

static void test_gap_goes_to_every_edge_and_ends_the_transaction(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id");
    struct wire_gap gap = { .from = { KIT_EPOCH, 200, 0 },
                            .to = { 8, 500, UINT32_MAX },
                            .reason = kit_text("lost") };

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1", NULL);
    kit_subscribe(kit, 0, 2, 1, "table:public.t");
    route_gap(kit->route, &gap);

    kit_expect(
        kit, 0,
        "begin 200\ndeliver 0 1I new=1 old=-\ngap 200/0 to 500/end\naccept 2 group 1 500/end\n");
    kit_expect(kit, 1, "gap 200/0 to 500/end\n");
}

static void test_edge_that_is_behind_is_told_soon_and_another_rarely(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id");
    struct wire_progress progress = { .epoch = KIT_EPOCH, .lsn = 301 };
    rt_usec now = 10 * RT_SEC;

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    route_progress(kit->route, &progress, now);
    kit_expect(kit, 0, "progress 301\n");
    kit_expect(kit, 1, "progress 301\n");
    kit_start(kit, 400);
    kit_change(kit, t, 0, "1", NULL);
    now += ROUTE_PROGRESS_QUICK;
    assert_false(route_tell(kit->route, now)); /* nothing is complete behind 300 */
    kit_end(kit, 400);
    kit_expect(kit, 0, "begin 400\ndeliver 0 1I new=1 old=-\nend 400\n");
    kit_expect(kit, 1, "");
    assert_false(route_tell(kit->route, now));
    kit_expect(kit, 0, ""); /* the END said it */
    kit_expect(kit, 1, "progress 401\n");

    settle(kit, 500);
    assert_true(route_tell(kit->route, now + ROUTE_PROGRESS_QUICK - 1));
    kit_expect(kit, 1, "");
    assert_false(route_tell(kit->route, now + ROUTE_PROGRESS_QUICK));
    kit_expect(kit, 0, "progress 501\n");
    kit_expect(kit, 1, "progress 501\n");
    now += ROUTE_PROGRESS_QUICK;
    assert_false(route_tell(kit->route, now + ROUTE_PROGRESS_IDLE - 1));
    kit_expect(kit, 1, "");
    assert_false(route_tell(kit->route, now + ROUTE_PROGRESS_IDLE));
    kit_expect(kit, 1, "progress 501\n");
}

static void test_edge_inside_a_transaction_of_its_own_is_told_by_its_end(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id");

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1", NULL);
    assert_false(route_tell(kit->route, RT_SEC));
    kit_expect(kit, 0, "begin 200\ndeliver 0 1I new=1 old=-\n");
    kit_expect(kit, 1, "progress 101\n");
}

static void test_freshness_marker_goes_to_every_edge_in_no_transaction(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id");

    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    kit->frames[0] = 0;
    kit_start(kit, 200);
    kit_change(kit, t, 0, "1", NULL);
    route_fresh(kit->route, &(struct wire_fresh){ KIT_EPOCH, 150, 1234567 });
    kit_change(kit, t, 1, "2", NULL);
    kit_end(kit, 200);

    kit_expect(kit, 0,
               "begin 200\ndeliver 0 1I new=1 old=-\nfresh 150 written 1234567\n"
               "begin 200 again\ndeliver 1 1I new=2 old=-\nend 200\n");
    kit_expect(kit, 2, "fresh 150 written 1234567\n");
    assert_int_equal(kit->frames[0], 2);
}

static void test_large_output_is_cut_into_frames_that_stand_alone(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id");
    char *value = rt_alloc(ROUTE_FRAME_BYTES / 2 + 1);

    memset(value, 'x', ROUTE_FRAME_BYTES / 2);
    settle(kit, 100);
    watch(kit, 0, "anon", "*");
    kit->frames[0] = 0;
    kit_start(kit, 200);
    for (uint32_t i = 0; i < 4; i++) {
        kit_change(kit, t, i, value, NULL);
    }
    kit_end(kit, 200);
    route_flush(kit->route);

    assert_int_equal(kit->frames[0], 3);
    assert_non_null(strstr(rt_buf_cstr(&kit->sent[0]), "begin 200 again\ndeliver 2"));
    free(value);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_change_goes_once_to_each_edge_with_members),
        TEST(test_change_of_another_table_goes_nowhere),
        TEST(test_later_frame_of_a_transaction_says_that_it_continues),
        TEST(test_roles_with_the_same_columns_share_a_group),
        TEST(test_hidden_columns_are_missing_in_both_rows),
        TEST(test_edge_gets_the_union_of_what_its_groups_see),
        TEST(test_row_that_does_not_fit_its_relation_is_withheld_from_a_column_group),
        TEST(test_changed_definition_is_announced_before_its_first_row),
        TEST(test_rights_to_a_table_do_not_hold_for_another_of_its_name),
        TEST(test_unsubscribed_edge_gets_nothing_more),
        TEST(test_edge_that_leaves_in_a_transaction_harms_no_other),
        TEST(test_edge_that_joins_or_leaves_counts_from_the_next_change),
        TEST(test_truncate_names_the_groups_of_all_its_tables),
        TEST(test_gap_goes_to_every_edge_and_ends_the_transaction),
        TEST(test_edge_that_is_behind_is_told_soon_and_another_rarely),
        TEST(test_edge_inside_a_transaction_of_its_own_is_told_by_its_end),
        TEST(test_freshness_marker_goes_to_every_edge_in_no_transaction),
        TEST(test_large_output_is_cut_into_frames_that_stand_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
