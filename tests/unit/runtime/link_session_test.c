/* Sessions of a link, one behaviour each, over the network of link_world.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/runtime/link_world.h"

static void test_loss_of_the_last_frame_is_noticed_within_two_heartbeats(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);

    w->faults.stream_loss = 1000;
    world_publish(w);
    w->faults.stream_loss = 0;
    world_run(w, 2 * HEARTBEAT);

    assert_int_equal(w->subs[0].frames, 1);
    world_free(w);
}

static void test_a_dead_stream_connection_is_replaced_by_replay(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);

    w->faults.stream_loss = 1000;
    for (int i = 0; i < 50; i++) {
        world_publish(w);
        world_run(w, 20 * RT_MSEC);
        world_set_paused(&w->subs[0], false);
    }
    world_run(w, RT_SEC);

    assert_true(w->subs[0].frames >= 45);
    world_free(w);
}

static void test_restarted_publisher_has_a_session_well_within_half_a_second(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);

    world_pub_stop(w);
    world_run(w, 100 * RT_MSEC);
    world_pub_start(w);
    world_run(w, 150 * RT_MSEC);

    assert_int_equal(w->subs[0].fresh, 2);
    assert_int_equal(w->subs[0].downs, 0);
    world_free(w);
}

static void test_restarted_subscriber_gets_all_that_nobody_acknowledged(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);
    w->ack = false;
    for (int i = 0; i < 10; i++) {
        world_publish(w);
    }
    world_run(w, 100 * RT_MSEC);
    world_set_paused(&w->subs[0], false);
    world_run(w, 100 * RT_MSEC);
    link_rx_ack(&w->subs[0].rx, 4, w->now);
    world_run(w, 100 * RT_MSEC);
    assert_int_equal(w->acked, 4);

    world_sub_stop(w, 0);
    world_sub_start(w, 0);
    world_run(w, 300 * RT_MSEC);
    world_set_paused(&w->subs[0], false);
    world_run(w, 300 * RT_MSEC);

    assert_int_equal(w->subs[0].frames, 6);
    assert_int_equal(w->subs[0].expected, 11);
    world_free(w);
}

static void test_restarted_subscriber_gets_what_is_kept_and_disturbs_no_flow_control(void **state)
{
    (void)state;
    struct world *w = world_new(1, RT_RING_HOLD);
    w->retain = true;
    world_pub_start(w);
    world_sub_start(w, 0);
    world_run(w, 200 * RT_MSEC);
    for (int i = 0; i < 10; i++) {
        world_publish(w);
    }
    for (int i = 0; i < 400; i++) {
        world_set_paused(&w->subs[0], false);
        world_step(w);
    }
    link_rx_ack(&w->subs[0].rx, 10, w->now);
    world_run(w, 20 * RT_MSEC);
    assert_int_equal(w->done, 10);
    assert_int_equal(rt_stream_pending_bytes(w->stream), 0);

    world_sub_stop(w, 0);
    w->ack = false;
    world_sub_start(w, 0);
    world_run(w, 200 * RT_MSEC);
    assert_int_equal(rt_stream_acked_seq(w->stream), 0);
    assert_int_equal(rt_stream_pending_bytes(w->stream), 0);
    world_run(w, 2 * KEEP_TIME);
    for (int i = 0; i < 400; i++) {
        world_set_paused(&w->subs[0], false);
        world_step(w);
    }
    assert_int_equal(w->subs[0].frames, 10);
    assert_int_equal(rt_stream_first_seq(w->stream), 1);

    link_rx_ack(&w->subs[0].rx, 10, w->now);
    world_run(w, 100 * RT_MSEC);
    assert_int_equal(rt_stream_first_seq(w->stream), 11);
    world_free(w);
}

static void test_short_partition_resumes_without_a_fresh_session(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);

    w->partitioned = true;
    for (int i = 0; i < 5; i++) {
        world_publish(w);
    }
    world_run(w, 2 * LEASE);
    w->partitioned = false;
    world_run(w, 400 * RT_MSEC);
    world_set_paused(&w->subs[0], false);
    world_run(w, 100 * RT_MSEC);

    assert_int_equal(w->subs[0].downs, 1);
    assert_int_equal(w->silents, 1);
    assert_int_equal(w->subs[0].sessions, 2);
    assert_int_equal(w->subs[0].fresh, 1);
    assert_int_equal(w->hellos_resumed, 1);
    assert_int_equal(w->subs[0].expected, 6);
    world_free(w);
}

static void test_lost_message_makes_the_session_fresh(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);
    struct sub *sub = &w->subs[0];
    uint32_t text[2] = { sub->instance, 1 };

    w->faults.control_loss = 1000;
    assert_true(link_rx_message(&sub->rx, (struct rt_span){ (uint8_t *)text, sizeof(text) }));
    w->faults.control_loss = 0;
    world_run(w, 500 * RT_MSEC);

    assert_int_equal(sub->fresh, 2);
    assert_int_equal(w->hellos_fresh, 2);
    assert_int_equal(w->subs[0].lost, 0);
    world_free(w);
}

static void test_message_of_the_publisher_that_cannot_be_sent_makes_the_session_fresh(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);

    w->faults.refuse_send = 1000;
    assert_false(rt_stream_message(w->stream, (struct rt_span){ (const uint8_t *)"x", 1 }));
    w->faults.refuse_send = 0;
    assert_false(rt_stream_connected(w->stream));
    world_run(w, HEARTBEAT + 20 * RT_MSEC);

    assert_int_equal(w->hellos_fresh, 2);
    assert_int_equal(w->subs[0].fresh, 2);
    world_free(w);
}

static void test_message_of_the_subscriber_that_cannot_be_sent_makes_the_session_fresh(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);

    w->faults.refuse_send = 1000;
    assert_false(link_rx_message(&w->subs[0].rx, (struct rt_span){ (const uint8_t *)"x", 1 }));
    w->faults.refuse_send = 0;
    world_run(w, 20 * RT_MSEC);

    assert_int_equal(w->hellos_fresh, 2);
    assert_int_equal(w->subs[0].fresh, 2);
    world_free(w);
}

static void test_hole_in_the_messages_is_noticed_by_the_next_message(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);
    uint32_t text[2] = { w->tx_instance, 1 };
    struct rt_span message = { (uint8_t *)text, sizeof(text) };
    world_run(w, HEARTBEAT - (w->now - RT_SEC) % HEARTBEAT + 10 * RT_MSEC);
    w->subs[0].rx.keepalive_due = w->now + RT_SEC; /* nothing else may tell */

    w->faults.control_loss = 1000;
    assert_true(rt_stream_message(w->stream, message));
    w->faults.control_loss = 0;
    assert_true(rt_stream_message(w->stream, message));
    world_run(w, 20 * RT_MSEC);
    assert_int_equal(w->subs[0].fresh, 2);

    w->subs[0].rx.keepalive_due = w->now + RT_SEC;
    w->faults.control_loss = 1000;
    assert_true(link_rx_message(&w->subs[0].rx, message));
    w->faults.control_loss = 0;
    assert_true(link_rx_message(&w->subs[0].rx, message));
    world_run(w, 20 * RT_MSEC);
    assert_int_equal(w->subs[0].fresh, 3);
    world_free(w);
}

static void test_session_with_a_missing_message_is_not_resumed(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);
    uint32_t text[2] = { w->subs[0].instance, 1 };

    w->partitioned = true;
    assert_true(link_rx_message(&w->subs[0].rx, (struct rt_span){ (uint8_t *)text, sizeof(text) }));
    world_run(w, 2 * LEASE);
    w->partitioned = false;
    world_run(w, 300 * RT_MSEC);

    assert_int_equal(w->hellos_resumed, 0);
    assert_int_equal(w->subs[0].fresh, 2);
    world_free(w);
}

static void test_publisher_message_lost_in_a_partition_is_noticed_by_the_welcome(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);
    uint32_t text[2] = { w->tx_instance, 1 };

    w->partitioned = true;
    assert_true(rt_stream_message(w->stream, (struct rt_span){ (uint8_t *)text, sizeof(text) }));
    world_run(w, 2 * LEASE);
    w->partitioned = false;
    world_run(w, 300 * RT_MSEC);

    assert_int_equal(w->subs[0].sessions, 2);
    assert_int_equal(w->subs[0].fresh, 2);
    world_free(w);
}

static void test_welcome_to_an_old_hello_changes_nothing(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);
    struct sub *sub = &w->subs[0];
    struct rt_buf bytes = { 0 };
    struct link_control old = { .type = LINK_WELCOME,
                                .epoch = 99,
                                .session = sub->rx.session,
                                .nonce = sub->rx.welcome_nonce,
                                .seq = 1 };
    link_control_encode(&old, &bytes);

    link_rx_control(&sub->rx, rt_buf_span(&bytes), w->now);

    assert_int_equal(sub->sessions, 1);
    rt_buf_fini(&bytes);
    world_free(w);
}

static void test_new_session_hears_at_once_of_frames_sent_before_it(void **state)
{
    (void)state;
    struct world *w = world_new(1, RT_RING_HOLD);
    world_pub_start(w);
    for (int i = 0; i < 5; i++) {
        world_publish(w);
    }
    world_sub_start(w, 0);
    w->subs[0].subscribed_at = 0;  /* the subscription was there before the session, */
    w->tick_due = w->now + RT_SEC; /* and no heartbeat is due */

    world_run(w, 30 * RT_MSEC);

    assert_int_equal(w->subs[0].frames, 5);
    world_free(w);
}

static void test_newest_peer_wins_and_the_replaced_one_stays_away(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);

    world_sub_start(w, 1);
    world_run(w, 4 * RT_SEC);

    assert_true(w->subs[0].final);
    assert_non_null(strstr(w->subs[0].reason, "stream s"));
    char peer[17];
    snprintf(peer, sizeof(peer), "%016llx", (unsigned long long)w->subs[1].peer);
    assert_non_null(strstr(w->subs[0].reason, peer));
    assert_int_equal(w->subs[1].sessions, 1);
    assert_int_equal(w->subs[1].refused, 0);
    world_free(w);
}

static void test_replaced_peer_that_missed_the_news_does_not_take_the_stream_back(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);
    struct sub *old = &w->subs[0];

    world_sub_start(w, 1);
    for (int i = 0; i < 400; i++) {
        /* Nothing reaches the old one until the new one is in. */
        for (size_t p = 0; p < w->packet_count; p++) {
            if (w->packets[p].channel == TO_SUB && w->packets[p].sub == 0) {
                w->packets[p].life = 99;
            }
        }
        world_step(w);
    }
    assert_int_equal(old->refused, 0);
    world_run(w, 2 * RT_SEC);

    assert_true(old->final);
    assert_int_equal(w->subs[1].refused, 0);
    assert_int_equal(w->subs[1].sessions, 1);
    world_free(w);
}

static void test_other_version_is_refused_with_both_versions_and_tried_again(void **state)
{
    (void)state;
    struct world *w = world_new(1, RT_RING_HOLD);
    w->app_version = APP_VERSION + 1;
    world_pub_start(w);
    world_sub_start(w, 0);

    world_run(w, RT_SEC);
    assert_in_range(w->subs[0].refused, 1, 2);
    assert_false(w->subs[0].final);
    assert_non_null(strstr(w->subs[0].reason, "version 8"));
    assert_non_null(strstr(w->subs[0].reason, "7"));

    world_pub_stop(w);
    w->app_version = APP_VERSION;
    world_pub_start(w);
    world_run(w, RT_SEC);
    assert_int_equal(w->subs[0].sessions, 1);
    world_free(w);
}

static void test_refused_stream_is_asked_for_again(void **state)
{
    (void)state;
    struct world *w = world_new(1, RT_RING_HOLD);
    w->refuse_all = true;
    world_pub_start(w);
    world_sub_start(w, 0);
    world_run(w, RT_SEC);
    assert_string_equal(w->subs[0].reason, "not now");
    assert_false(w->subs[0].final);

    w->refuse_all = false;
    world_run(w, LINK_REFUSED_RETRY);

    assert_int_equal(w->subs[0].sessions, 1);
    world_free(w);
}

static void test_stream_made_again_under_its_name_is_a_new_epoch(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);
    world_publish(w);
    world_run(w, 100 * RT_MSEC);
    world_set_paused(&w->subs[0], false);

    rt_stream_free(w->stream);
    w->acked = 0;
    w->done = 0;
    w->stream = link_stream_new(&w->tx, "s", NULL);
    world_publish(w);
    world_run(w, 300 * RT_MSEC);

    assert_int_equal(w->subs[0].fresh, 2);
    assert_int_equal(w->subs[0].frames, 2);
    world_free(w);
}

static void test_nothing_comes_while_paused_and_memory_stays_bounded(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);
    world_set_paused(&w->subs[0], true);

    for (int i = 0; i < 300; i++) {
        world_publish(w);
        world_step(w);
    }
    world_run(w, 3 * LEASE);
    assert_int_equal(w->subs[0].frames, 0);
    assert_int_equal(w->subs[0].downs, 0);
    for (int i = 0; i < 3000 && w->subs[0].frames < 300; i++) {
        world_set_paused(&w->subs[0], false);
        world_step(w);
    }

    assert_int_equal(w->subs[0].frames, 300);
    assert_int_equal(w->subs[0].lost, 0);
    world_free(w);
}

static void test_garbage_is_counted_and_changes_nothing(void **state)
{
    (void)state;
    struct world *w = world_connected(1, RT_RING_HOLD);
    struct sub *sub = &w->subs[0];
    const uint8_t junk[] = { LINK_ACK, 1, 2, 3 };
    struct rt_span routing = { (uint8_t *)&sub->peer, 8 };

    link_tx_control(&w->tx, routing, (struct rt_span){ junk, sizeof(junk) }, w->now);
    link_tx_control(&w->tx, routing, (struct rt_span){ junk, 0 }, w->now);
    link_rx_control(&sub->rx, (struct rt_span){ junk, sizeof(junk) }, w->now);
    link_rx_stream(&sub->rx, (struct rt_span){ junk, sizeof(junk) }, w->now);
    world_run(w, 200 * RT_MSEC);

    assert_int_equal(w->tx.stats.malformed, 2);
    assert_int_equal(sub->rx.stats.malformed, 2);
    assert_int_equal(sub->sessions, 1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_of_the_last_frame_is_noticed_within_two_heartbeats),
        cmocka_unit_test(test_a_dead_stream_connection_is_replaced_by_replay),
        cmocka_unit_test(test_restarted_publisher_has_a_session_well_within_half_a_second),
        cmocka_unit_test(test_restarted_subscriber_gets_all_that_nobody_acknowledged),
        cmocka_unit_test(test_restarted_subscriber_gets_what_is_kept_and_disturbs_no_flow_control),
        cmocka_unit_test(test_short_partition_resumes_without_a_fresh_session),
        cmocka_unit_test(test_lost_message_makes_the_session_fresh),
        cmocka_unit_test(test_message_of_the_publisher_that_cannot_be_sent_makes_the_session_fresh),
        cmocka_unit_test(
            test_message_of_the_subscriber_that_cannot_be_sent_makes_the_session_fresh),
        cmocka_unit_test(test_hole_in_the_messages_is_noticed_by_the_next_message),
        cmocka_unit_test(test_session_with_a_missing_message_is_not_resumed),
        cmocka_unit_test(test_publisher_message_lost_in_a_partition_is_noticed_by_the_welcome),
        cmocka_unit_test(test_welcome_to_an_old_hello_changes_nothing),
        cmocka_unit_test(test_new_session_hears_at_once_of_frames_sent_before_it),
        cmocka_unit_test(test_newest_peer_wins_and_the_replaced_one_stays_away),
        cmocka_unit_test(test_replaced_peer_that_missed_the_news_does_not_take_the_stream_back),
        cmocka_unit_test(test_other_version_is_refused_with_both_versions_and_tried_again),
        cmocka_unit_test(test_refused_stream_is_asked_for_again),
        cmocka_unit_test(test_stream_made_again_under_its_name_is_a_new_epoch),
        cmocka_unit_test(test_nothing_comes_while_paused_and_memory_stays_bounded),
        cmocka_unit_test(test_garbage_is_counted_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
