/* slot_fsm_test.c - the states of the replication connection: tailer/slot_fsm.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tailer/slot_fsm.h"

static enum slot_state run(enum slot_state state, const enum slot_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(slot_fsm_next(state, events[i], &state));
    }
    return state;
}

#define RUN(from, ...)                                                                             \
    run((from), (const enum slot_event[]){ __VA_ARGS__ },                                          \
        sizeof((const enum slot_event[]){ __VA_ARGS__ }) / sizeof(enum slot_event))

static void test_a_new_slot_is_created_and_streamed(void **state)
{
    (void)state;
    assert_int_equal(RUN(SLOT_DOWN, SLOT_EV_RETRY, SLOT_EV_RESOLVED, SLOT_EV_CONNECTED,
                         SLOT_EV_DONE, SLOT_EV_ABSENT, SLOT_EV_DONE, SLOT_EV_DONE),
                     SLOT_STREAMING);
}

static void test_a_spoilt_slot_is_dropped_before_it_is_created(void **state)
{
    (void)state;
    assert_int_equal(RUN(SLOT_CHECKING, SLOT_EV_SPOILT), SLOT_DROPPING);
    assert_int_equal(RUN(SLOT_DROPPING, SLOT_EV_DONE), SLOT_CREATING);
}

static void test_a_busy_slot_means_standby_until_it_looks_free(void **state)
{
    (void)state;
    assert_int_equal(RUN(SLOT_CHECKING, SLOT_EV_BUSY), SLOT_STANDBY);
    assert_int_equal(RUN(SLOT_STARTING, SLOT_EV_BUSY), SLOT_STANDBY);
    assert_int_equal(RUN(SLOT_STANDBY, SLOT_EV_RETRY), SLOT_RESOLVING);
}

static void test_every_state_with_a_connection_can_lose_it(void **state)
{
    (void)state;
    for (enum slot_state from = SLOT_DIALING; from <= SLOT_STREAMING; from++) {
        assert_int_equal(RUN(from, SLOT_EV_LOST), SLOT_DOWN);
    }
    assert_int_equal(RUN(SLOT_RESOLVING, SLOT_EV_LOST), SLOT_DOWN);
}

static void test_every_state_can_be_stopped_and_stays_so(void **state)
{
    enum slot_state next = SLOT_DOWN;

    (void)state;
    for (enum slot_state from = SLOT_DOWN; from < SLOT_STATE_COUNT; from++) {
        assert_int_equal(RUN(from, SLOT_EV_STOP), SLOT_STOPPED);
    }
    for (enum slot_event event = SLOT_EV_RETRY; event < SLOT_EV_STOP; event++) {
        assert_false(slot_fsm_next(SLOT_STOPPED, event, &next));
    }
}

static void test_an_illegal_pair_changes_nothing(void **state)
{
    enum slot_state next = SLOT_DIALING;

    (void)state;
    assert_false(slot_fsm_next(SLOT_STREAMING, SLOT_EV_RETRY, &next));
    assert_false(slot_fsm_next(SLOT_DOWN, SLOT_EV_LOST, &next));
    assert_false(slot_fsm_next(SLOT_CREATING, SLOT_EV_BUSY, &next));
    assert_int_equal(next, SLOT_DIALING);
}

static void test_every_state_and_event_has_a_name(void **state)
{
    (void)state;
    for (enum slot_state at = SLOT_DOWN; at < SLOT_STATE_COUNT; at++) {
        assert_true(strlen(slot_state_name(at)) > 0);
    }
    for (enum slot_event event = SLOT_EV_RETRY; event < SLOT_EVENT_COUNT; event++) {
        assert_true(strlen(slot_event_name(event)) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_slot_is_created_and_streamed),
        cmocka_unit_test(test_a_spoilt_slot_is_dropped_before_it_is_created),
        cmocka_unit_test(test_a_busy_slot_means_standby_until_it_looks_free),
        cmocka_unit_test(test_every_state_with_a_connection_can_lose_it),
        cmocka_unit_test(test_every_state_can_be_stopped_and_stays_so),
        cmocka_unit_test(test_an_illegal_pair_changes_nothing),
        cmocka_unit_test(test_every_state_and_event_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
