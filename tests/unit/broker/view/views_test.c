/* Tests of broker/view/views: what becomes of questions when statements fail, connections go, snapshots are old. */
#include <string.h>

#include "tests/unit/broker/view/views_fakes.h"

static void test_equal_identities_are_asked_about_once(void **state)
{
    struct seen *one = fakes_watch(0, "{\"sub\":1}");
    struct seen *two = fakes_watch(1, "{\"sub\":1}");
    struct seen *other = fakes_watch(2, "{\"sub\":2}");
    struct view_filing filing;

    (void)state;
    assert_int_equal(one->answers, 0); /* never from inside a call */
    fakes_turn();
    fakes_answer(2, "5:5:", ALICE);
    assert_int_equal(one->answers, 1);
    assert_ptr_equal(one->view->identity, two->view->identity);
    assert_ptr_not_equal(one->view->identity, other->view->identity);
    assert_string_equal(view_identity_policy(one->view->identity)->settings[1].value, "1");
    view_filing_init(&filing, one->view);
    assert_int_equal(filing.match.conjunction_count, 1);
    assert_int_equal(filing.match.conjunctions[0].anchors[0].column, 1);
    assert_memory_equal(filing.match.conjunctions[0].anchors[0].values[0].data, ALICE, 36);
    view_filing_fini(&filing);
    assert_memory_equal(one->view->key, other->view->key,
                        sizeof(one->view->key)); /* equal constants */
    fakes_asked(0);
}

static void test_who_spoils_a_batch_is_found_and_refused_alone(void **state)
{
    struct seen *one = fakes_watch(0, "{\"sub\":1}");
    struct seen *other = fakes_watch(1, "{\"sub\":2}");

    (void)state;
    fakes_turn();
    fakes_fail(2, "22021");
    assert_int_equal(one->answers + other->answers, 0);
    fakes_retry();
    fakes_answer(1, "5:5:", ALICE);
    assert_int_equal(one->answers + other->answers, 1);
    struct seen *bad = one->answers == 0 ? one : other; /* the one that is asked about now */
    fakes_fail(1, "22021");
    fakes_retry();
    assert_int_equal(bad->answers, 0);
    fakes_fail(1, "22021");
    assert_int_equal(bad->answers, 1);
    assert_null(bad->view);
    assert_int_equal(bad->code, WIRE_CODE_SUBSCRIPTION_FAILED);
    assert_non_null(strstr(bad->message, "policies"));
    views_refresh(bad->watch, 1); /* and asked again when somebody wants it */
    fakes_turn();
    fakes_retry();
    fakes_answer(1, "5:5:", ALICE);
    assert_non_null(bad->view);
}

static void test_trouble_of_the_moment_ends_with_the_deadline_only(void **state)
{
    struct seen *seen = fakes_watch(0, "{}");

    (void)state;
    fakes_turn();
    for (int i = 0; i < 10; i++) {
        fakes_fail(1, "40P01");
        fakes_retry();
    }
    fakes_lose(1);
    fakes_retry();
    assert_int_equal(seen->answers, 0);
    fakes_trouble("no route to host");
    fakes_tick();
    assert_int_equal(seen->answers, 1);
    assert_non_null(strstr(seen->message, "not reachable"));
    fakes_answer(1, "5:5:", ALICE); /* too late: nobody waits */
    assert_int_equal(seen->answers, 1);
}

static void test_a_lost_connection_takes_its_batch_apart(void **state)
{
    (void)state;
    fakes_watch(0, "{\"sub\":1}");
    fakes_watch(1, "{\"sub\":2}");
    fakes_turn();
    fakes_lose(2);
    fakes_asked(0);
    fakes_retry();
    fakes_answer(1, "5:5:", ALICE);
    fakes_answer(1, "5:5:", ALICE);
    assert_non_null(fakes_seen(0)->view);
    assert_non_null(fakes_seen(1)->view);
}

static void test_a_snapshot_that_is_too_old_does_not_count(void **state)
{
    struct seen *seen = fakes_watch(0, "{}");

    (void)state;
    fakes_turn();
    fakes_answer(1, "100:100:", ALICE);
    struct view *first = view_ref(seen->view);
    views_refresh(seen->watch, 99);
    fakes_turn();
    fakes_asked(0); /* it was seen */
    assert_int_equal(seen->answers, 2);
    assert_ptr_equal(seen->view, first);
    views_refresh(seen->watch, 100);
    views_refresh(seen->watch, 105);
    fakes_turn();
    fakes_answer(1, "100:106:100", ALICE);
    assert_int_equal(seen->answers, 2);
    fakes_retry();
    fakes_answer(1, "106:106:", ALICE);
    assert_int_equal(seen->answers, 3);
    assert_ptr_equal(seen->view, first); /* PostgreSQL said the same */
    views_refresh(seen->watch, 110);
    fakes_turn();
    fakes_answer(1, "111:111:", "22222222-2222-2222-2222-222222222222");
    assert_ptr_not_equal(seen->view, first);
    view_unref(first);
}

static void test_another_history_waits_for_nothing_of_the_last_one(void **state)
{
    struct seen *seen = fakes_watch(0, "{}");

    (void)state;
    fakes_turn();
    fakes_answer(1, "100:100:", ALICE);
    views_refresh(seen->watch, 500);
    fakes_turn();
    views_new_epoch(fakes_views());
    fakes_answer(1, "101:101:", ALICE);
    assert_int_equal(seen->answers, 2);
    views_new_epoch(fakes_views());
    views_refresh(seen->watch, 50); /* nothing of before is believed to see it */
    fakes_turn();
    fakes_answer(1, "102:102:", ALICE);
    assert_int_equal(seen->answers, 3);
}

static void test_another_history_is_one_for_all_identities_and_rules(void **state)
{
    static const char *const claims[] = { "{}", "{\"sub\":\"a\"}", "{\"sub\":\"b\"}" };
    enum { IDENTITIES = 3, ALL = 2 * IDENTITIES };

    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        if (i == IDENTITIES) {
            fakes_use(fakes_access(2));
        }
        (void)fakes_watch(i, claims[i % IDENTITIES]);
    }
    fakes_turn();
    fakes_answer(ALL, "100:100:", ALICE);
    views_new_epoch(fakes_views());
    for (size_t i = 0; i < ALL; i++) {
        views_refresh(fakes_seen(i)->watch, 50);
    }
    fakes_turn();
    fakes_answer(ALL, "102:102:", ALICE);
    for (size_t i = 0; i < ALL; i++) {
        assert_int_equal(fakes_seen(i)->answers, 2);
    }
}

static void test_other_rules_are_folded_anew_and_the_old_ones_forgotten(void **state)
{
    struct seen *seen = fakes_watch(0, "{}");
    struct access *next = fakes_access(2);

    (void)state;
    fakes_turn();
    views_access(seen->watch, next); /* while the first is asked */
    fakes_turn();
    fakes_answer(1, "5:5:", ALICE);
    assert_int_equal(seen->answers, 0); /* those were the first ones */
    fakes_answer(1, "5:5:", ALICE);
    assert_int_equal(seen->answers, 1);
    assert_ptr_equal(seen->view->access, next);
    access_unref(next);
}

static void test_watches_end_at_any_time(void **state)
{
    struct seen *queued = fakes_watch(0, "{\"sub\":1}");
    struct seen *flying = fakes_watch(1, "{\"sub\":2}");
    struct seen *inside = fakes_watch(2, "{\"sub\":3}");

    (void)state;
    views_unwatch(queued->watch);
    fakes_turn();
    views_unwatch(flying->watch);
    inside->unwatch = true;
    fakes_answer(2, "5:5:", ALICE);
    assert_int_equal(queued->answers + flying->answers, 0);
    assert_int_equal(inside->answers, 1);
    fakes_watch(3, "{\"sub\":4}");
    fakes_turn();
    fakes_asked(1); /* teardown ends it */
}

static void test_claims_that_cannot_be_given(void **state)
{
    struct seen *seen = fakes_watch(0, "[1]");

    (void)state;
    fakes_turn();
    assert_int_equal(seen->code, WIRE_CODE_FORBIDDEN);
    fakes_asked(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_equal_identities_are_asked_about_once, fakes_setup,
                                        fakes_teardown),
        cmocka_unit_test_setup_teardown(test_who_spoils_a_batch_is_found_and_refused_alone,
                                        fakes_setup, fakes_teardown),
        cmocka_unit_test_setup_teardown(test_trouble_of_the_moment_ends_with_the_deadline_only,
                                        fakes_setup, fakes_teardown),
        cmocka_unit_test_setup_teardown(test_a_lost_connection_takes_its_batch_apart, fakes_setup,
                                        fakes_teardown),
        cmocka_unit_test_setup_teardown(test_a_snapshot_that_is_too_old_does_not_count, fakes_setup,
                                        fakes_teardown),
        cmocka_unit_test_setup_teardown(test_another_history_waits_for_nothing_of_the_last_one,
                                        fakes_setup, fakes_teardown),
        cmocka_unit_test_setup_teardown(test_another_history_is_one_for_all_identities_and_rules,
                                        fakes_setup, fakes_teardown),
        cmocka_unit_test_setup_teardown(test_other_rules_are_folded_anew_and_the_old_ones_forgotten,
                                        fakes_setup, fakes_teardown),
        cmocka_unit_test_setup_teardown(test_watches_end_at_any_time, fakes_setup, fakes_teardown),
        cmocka_unit_test_setup_teardown(test_claims_that_cannot_be_given, fakes_setup,
                                        fakes_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
