/* tests/unit/edge/fluxbase_subscription_test.c - /realtime, message by message: subscribing, frames, unsubscribing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fluxbase_fixture.h"

/* --- frames ---------------------------------------------------------------------------------------------------- */

static void test_subscribe_by_channel_is_acknowledged_as_documented(void **state)
{
    struct fixture *f = *state;
    char id[37];
    char *ack = subscribed(f, &f->ann, by_channel, id);

    assert_string_equal(
        ack,
        "{\"type\":\"ack\",\"channel\":\"table:public.users\",\"status\":\"subscribed\","
        "\"payload\":{"
        "\"subscribed\":true,\"subscription_id\":\"\",\"schema\":\"public\",\"table\":\"users\","
        "\"event\":\"*\",\"id\":\"7f3a-00000000016b3700-0\"}}\n");
    assert_int_equal(id[14], '4');
    assert_non_null(strchr("89ab", id[19]));
    assert_string_equal(fake_sent(f->bob.conn), "");
    free(ack);
}

#define TAIL                                                                                       \
    "\"commit_timestamp\":\"2026-11-21T09:49:46.123456Z\",\"id\":\"7f3a-00000000016b3748-3\"}}\n"
#define HEAD(op)                                                                                   \
    "{\"type\":\"broadcast\",\"channel\":\"table:public.users\",\"payload\":{\"type\":\"" op       \
    "\",\"schema\":\"public\",\"table\":\"users\","

static void test_changes_are_framed_as_the_seed_shows_them(void **state)
{
    struct fixture *f = *state;

    in_force(f, &f->ann);
    change(f, WIRE_INSERT, false);
    assert_string_equal(fake_sent(f->ann.conn),
                        HEAD("INSERT") "\"record\":{\"id\":123,\"name\":\"John Doe\"}," TAIL);
}

static void test_update_frame_has_both_records(void **state)
{
    struct fixture *f = *state;

    in_force(f, &f->ann);
    change(f, WIRE_UPDATE, true);
    assert_string_equal(fake_sent(f->ann.conn),
                        HEAD("UPDATE") "\"old_record\":{\"id\":123,\"name\":\"John\"},"
                                       "\"record\":{\"id\":123,\"name\":\"John Doe\"}," TAIL);
}

static void test_second_change_is_not_mistaken_for_the_first(void **state)
{
    struct fixture *f = *state;

    in_force(f, &f->ann);
    change(f, WIRE_UPDATE, true);
    (void)fake_sent(f->ann.conn);
    change(f, WIRE_DELETE, true);
    assert_string_equal(fake_sent(f->ann.conn),
                        HEAD("DELETE") "\"old_record\":{\"id\":123,\"name\":\"John\"},"
                                       "\"commit_timestamp\":\"2026-11-21T09:49:46.123456Z\","
                                       "\"id\":\"7f3a-00000000016b3748-4\"}}\n");
}

static void test_unchanged_columns_are_named(void **state)
{
    struct fixture *f = *state;
    struct wire_writer tuple = { 0 };

    in_force(f, &f->ann);
    wire_write_array(&tuple, 2);
    wire_write_value(&tuple,
                     &(struct wire_value){ .kind = WIRE_VALUE_TEXT, .text = "1", .len = 1 });
    wire_write_value(&tuple, &(struct wire_value){ .kind = WIRE_VALUE_UNCHANGED });
    wire_encode_begin(&f->out, &(struct wire_begin){ .epoch = 0x7f3a, .commit_lsn = 0x16b3748 });
    wire_encode_deliver(
        &f->out, &(struct wire_deliver){ .group_count = 1, .new_row = { tuple.data, tuple.len } },
        &(struct wire_delivery){ 5, WIRE_UPDATE });
    fake_frame(0, &f->out);

    assert_non_null(strstr(fake_sent(f->ann.conn),
                           "\"old_record\":{\"id\":1},\"record\":{\"id\":1},\"commit_timestamp\":"
                           "\"1970-01-01T00:00:00.000000Z\","
                           "\"id\":\"7f3a-00000000016b3748-0\",\"unchanged\":[\"name\"]}}"));
    wire_writer_fini(&tuple);
}

static void test_config_and_older_form_get_postgres_changes_on_their_own_channel(void **state)
{
    struct fixture *f = *state;
    char id[37];
    char *ack = subscribed(
        f, &f->ann,
        "{\"type\":\"subscribe\",\"channel\":\"my \\\"room\\\"\",\"config\":{\"event\":\"UPDATE\","
        "\"schema\":\"public\",\"table\":\"users\"}}",
        id);

    assert_non_null(strstr(ack, "\"channel\":\"my \\\"room\\\"\""));
    assert_non_null(strstr(ack, "\"event\":\"UPDATE\""));
    free(ack);
    const char *second =
        say(&f->ann,
            "{\"type\":\"subscribe\",\"table\":\"users\",\"event\":\"INSERT\",\"schema\":null}");
    assert_non_null(strstr(second, "\"channel\":\"table:public.users\""));
    change(f, WIRE_UPDATE, true);
    const char *frames = fake_sent(f->ann.conn);
    assert_int_equal(
        strncmp(frames, "{\"type\":\"postgres_changes\",\"channel\":\"my \\\"room\\\"\",", 46), 0);
    assert_null(strstr(frames, "\n{"));
}

static void test_clients_with_the_same_form_and_channel_share_a_frame(void **state)
{
    struct fixture *f = *state;
    struct client twin = { 0 };

    in_force(f, &f->ann);
    open_client(f, &twin, "authenticated|{\"sub\":\"ann\"}");
    assert_non_null(strstr(say(&twin, by_channel), "\"status\":\"subscribed\""));
    change(f, WIRE_INSERT, false);

    assert_ptr_equal(fake_last_frame(f->ann.conn), fake_last_frame(twin.conn));
    close_client(&twin);
}

static void test_gap_frame(void **state)
{
    struct fixture *f = *state;

    in_force(f, &f->ann);
    fake_session(0, true);
    uint64_t sub = announced();
    fake_write_group(&f->out, 6, "users");
    wire_encode_accept(&f->out,
                       &(struct wire_accept){ sub, 6, WIRE_ACCEPT_LIVE, { 0x7f3a, 0x16b3800, 0 } });
    fake_frame(0, &f->out);

    const char *gap = fake_sent(f->ann.conn);
    assert_non_null(
        strstr(gap, "{\"type\":\"gap\",\"channel\":\"table:public.users\",\"payload\":{"
                    "\"after\":\"7f3a-00000000016b3700-0\",\"id\":\"7f3a-00000000016b3800-0\","));
    assert_non_null(strstr(gap, "\"reason\":\""));
}

/* --- unsubscribing ----------------------------------------------------------------------------------------------- */

static void test_unsubscribe_by_channel_and_by_id(void **state)
{
    struct fixture *f = *state;
    char id[37];
    char text[200];

    free(subscribed(f, &f->ann, by_channel, id));
    char *gone =
        rt_strdup(say(&f->ann, "{\"type\":\"unsubscribe\",\"channel\":\"table:public.users\"}"));
    char gone_id[37];
    take_id(gone, gone_id);
    assert_string_equal(gone, "{\"type\":\"ack\",\"channel\":\"table:public.users\",\"status\":"
                              "\"unsubscribed\",\"payload\":"
                              "{\"unsubscribed\":true,\"subscription_id\":\"\"}}\n");
    assert_string_equal(gone_id, id);
    free(gone);

    free(subscribed(f, &f->ann, by_channel, id));
    (void)snprintf(text, sizeof text,
                   "{\"type\":\"unsubscribe\",\"channel\":\"x\",\"subscription_id\":\"%s\"}", id);
    assert_non_null(strstr(say(&f->ann, text), "\"status\":\"unsubscribed\""));
    check_error(&f->ann, text, "SUBSCRIPTION_FAILED", "no such subscription_id");
}

static void test_unsubscribe_by_channel_ends_all_its_config_subscriptions(void **state)
{
    static const char by_config[] =
        "{\"type\":\"subscribe\",\"channel\":\"r\",\"config\":{\"table\":\"users\"}}";
    struct fixture *f = *state;
    char id[37];

    free(subscribed(f, &f->ann, by_config, id));
    assert_non_null(strstr(say(&f->ann, by_config), "\"subscribed\":true"));
    const char *acks = say(&f->ann, "{\"type\":\"unsubscribe\",\"channel\":\"r\"}");
    assert_non_null(strstr(acks, "\n{\"type\":\"ack\""));
    change(f, WIRE_INSERT, false);
    assert_string_equal(fake_sent(f->ann.conn), "");
}

static void test_unsubscribe_before_the_answer(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(say(&f->ann, by_channel), "");
    uint64_t sub = announced();
    assert_non_null(
        strstr(say(&f->ann, "{\"type\":\"unsubscribe\",\"channel\":\"table:public.users\"}"),
               "unsubscribed"));
    accept_subscription(f, sub);
    assert_string_equal(fake_sent(f->ann.conn), "");
}

static void test_close_before_the_answer(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(say(&f->ann, by_channel), "");
    uint64_t sub = announced();
    close_client(&f->ann);
    accept_subscription(f, sub);
    assert_string_equal(fake_sent(f->bob.conn), "");
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(subscribe_by_channel_is_acknowledged_as_documented),
        T(changes_are_framed_as_the_seed_shows_them),
        T(update_frame_has_both_records),
        T(second_change_is_not_mistaken_for_the_first),
        T(unchanged_columns_are_named),
        T(config_and_older_form_get_postgres_changes_on_their_own_channel),
        T(clients_with_the_same_form_and_channel_share_a_frame),
        T(gap_frame),
        T(unsubscribe_by_channel_and_by_id),
        T(unsubscribe_by_channel_ends_all_its_config_subscriptions),
        T(unsubscribe_before_the_answer),
        T(close_before_the_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
