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
        "\"event\":\"*\",\"id\":\"7f3a-00000000016b3700-0\",\"resumed\":false}}\n");
    assert_int_equal(id[14], '4');
    assert_non_null(strchr("89ab", id[19]));
    assert_string_equal(fake_sent(f->bob.conn), "");
    free(ack);
}

#define TAIL                                                                                       \
    "\"commit_timestamp\":\"2026-11-21T09:49:46.123456Z\",\"id\":\"7f3a-00000000016b3748-3\","     \
    "\"last\":true }}\n"
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
                                       "\"id\":\"7f3a-00000000016b3749-4\",\"last\":true }}\n");
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
    wire_encode_end(&f->out, &(struct wire_end){ .commit_lsn = 0x16b3748, .count = 1 });
    fake_frame(0, &f->out);

    assert_non_null(
        strstr(fake_sent(f->ann.conn),
               "\"old_record\":{\"id\":1},\"record\":{\"id\":1},\"commit_timestamp\":"
               "\"1970-01-01T00:00:00.000000Z\","
               "\"id\":\"7f3a-00000000016b3748-0\",\"unchanged\":[\"name\"],\"last\":true }}"));
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

/* --- going on --------------------------------------------------------------------------------------------------- */

static void test_since_is_passed_on_and_acknowledged(void **state)
{
    static const char *const forms[] = {
        "{\"type\":\"subscribe\",\"channel\":\"table:public.users\","
        "\"since\":\"7f3a-00000000016b3700-ffffffff\"}",
        "{\"type\":\"subscribe\",\"channel\":\"r\",\"since\":\"7f3a-00000000016b3700-ffffffff\","
        "\"config\":{\"table\":\"users\"}}",
        "{\"type\":\"subscribe\",\"channel\":\"r\","
        "\"config\":{\"table\":\"users\",\"since\":\"7f3a-00000000016b3700-ffffffff\"}}",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        assert_string_equal(say(&f->ann, forms[i]), "");
        const char *told = fake_told(0);
        const char *at = strstr(told, "subscribe ");
        assert_non_null(strstr(at, " table:public.users since 32570/23803648/-1\n"));
        wire_encode_accept(&f->out, &(struct wire_accept){ strtoull(at + 10, NULL, 10),
                                                           9,
                                                           WIRE_ACCEPT_REPLAY,
                                                           { 0x7f3a, 0x16b3700, UINT32_MAX } });
        fake_frame(0, &f->out);
        assert_non_null(strstr(fake_sent(f->ann.conn),
                               "\"id\":\"7f3a-00000000016b3700-ffffffff\",\"resumed\":true}}"));
    }
}

static void test_snapshot_frames(void **state)
{
    static const char *const row[] = { "1", "a" };
    struct fixture *f = *state;
    struct wire_tuple tuple = fake_tuple(2, row);
    char id[37];

    (void)say(&f->ann, "{\"type\":\"subscribe\",\"channel\":\"table:public.users\","
                       "\"snapshot\":true,\"page_size\":2}");
    const char *told = fake_told(0);
    const char *at = strstr(told, "subscribe ");
    assert_non_null(strstr(at, " rows 2 token ''\n"));
    uint64_t number = strtoull(at + 10, NULL, 10);
    fake_write_group(&f->out, 9, "users");
    wire_encode_accept(&f->out, &(struct wire_accept){
                                    number, 9, WIRE_ACCEPT_SNAPSHOT, { 0x7f3a, 0x16b3700, 0 } });
    fake_frame(0, &f->out);
    assert_non_null(strstr(fake_sent(f->ann.conn), "\"resumed\":false}}"));
    fake_conn_fill(f->ann.conn, 4 * 1024 * 1024);
    wire_encode_rows(
        &f->out, &(struct wire_rows){ .group = 9, .token = { "tok", 3 }, .row_count = 1 }, &tuple);
    wire_encode_rows(&f->out, &(struct wire_rows){ .group = 9, .last = true }, NULL);
    fake_frame(0, &f->out);
    char *frames = rt_strdup(fake_sent(f->ann.conn));
    take_id(frames, id);
    char *second = strchr(frames, '\n') + 1;
    take_id(second, id);
    assert_string_equal(
        frames, "{\"type\":\"snapshot\",\"channel\":\"table:public.users\",\"payload\":{"
                "\"subscription_id\":\"\",\"schema\":\"public\",\"table\":\"users\",\"rows\":["
                "{\"id\":1,\"name\":\"a\"}],\"page\":1,\"last\":false,\"token\":\"tok\"}}\n"
                "{\"type\":\"snapshot\",\"channel\":\"table:public.users\",\"payload\":{"
                "\"subscription_id\":\"\",\"schema\":\"public\",\"table\":\"users\",\"rows\":["
                "],\"page\":2,\"last\":true,\"token\":null}}\n");
    free(frames);
    assert_string_equal(fake_told(0), ""); /* a quarter of the budget waits: no credit */
    fake_conn_fill(f->ann.conn, 0);
}

/* In every form; the broker's reason comes back as it is. */
static void test_filters_are_passed_on_and_refused_by_the_broker(void **state)
{
    static const struct {
        const char *message;
        const char *told;
    } cases[] = {
        { "{\"type\":\"subscribe\",\"channel\":\"table:public.users\",\"filter\":\"id=eq.1\"}",
          "filter 0 'id=eq.1'\n" },
        { "{\"type\":\"subscribe\",\"channel\":\"x\",\"config\":{\"table\":\"users\","
          "\"filter\":\"id=eq.2\"}}",
          "filter 0 'id=eq.2'\n" },
        { "{\"type\":\"subscribe\",\"table\":\"users\",\"filter\":\"name=like.*a,b*\"}",
          "filter 0 'name=like.*a,b*'\n" },
    };
    static const char reason[] = "invalid filter: character 4: expected an operator";
    struct fixture *f = *state;
    uint64_t number = 0;

    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(say(&f->ann, cases[i].message), "");
        const char *told = fake_told(0);
        assert_non_null(strstr(told, cases[i].told));
        number = strtoull(strstr(told, "subscribe ") + 10, NULL, 10);
    }
    wire_encode_refuse(&f->out, &(struct wire_refuse){ number,
                                                       WIRE_CODE_SUBSCRIPTION_FAILED,
                                                       { reason, sizeof reason - 1 } });
    fake_frame(0, &f->out);
    const char *error = fake_sent(f->ann.conn);
    assert_non_null(strstr(error, "\"code\":\"SUBSCRIPTION_FAILED\""));
    assert_non_null(strstr(error, reason));
    (void)say(&f->bob, "{\"type\":\"subscribe\",\"table\":\"users\",\"filter\":\"\"}");
    assert_null(strstr(fake_told(0), "filter"));
    (void)say(&f->bob, "{\"type\":\"subscribe\",\"table\":\"users\",\"filter\":null}");
    assert_null(strstr(fake_told(0), "filter"));
}

static void test_commit_follows_a_whole_transaction(void **state)
{
    struct fixture *f = *state;
    struct client cid = { 0 };

    open_client_for_transactions(f, &cid, "authenticated|{\"sub\":\"ann\"}");
    in_force(f, &cid);
    change(f, WIRE_INSERT, false);
    const char *frames = fake_sent(cid.conn);
    assert_non_null(strstr(frames, "\"last\":true }}\n{\"type\":\"commit\",\"payload\":{"
                                   "\"id\":\"7f3a-00000000016b3748-ffffffff\",\"changes\":1}}\n"));
    assert_non_null(
        strstr(say(&cid, "{\"type\":\"unsubscribe\",\"channel\":\"table:public.users\"}"),
               "unsubscribed"));
    close_client(&cid);
}

static void test_since_that_is_gone(void **state)
{
    struct fixture *f = *state;

    (void)say(&f->ann, "{\"type\":\"subscribe\",\"channel\":\"table:public.users\","
                       "\"since\":\"7f3a-0000000000000010-0\"}");
    wire_encode_gone(&f->out, &(struct wire_gone){ announced(),
                                                   WIRE_GONE_TOO_OLD,
                                                   { "too old", 7 },
                                                   { 0x7f3a, 0x20, UINT32_MAX },
                                                   { 0x7f3a, 0x30, UINT32_MAX } });
    fake_frame(0, &f->out);
    char *frame = rt_strdup(fake_sent(f->ann.conn));
    char id[37];
    take_id(frame, id);
    assert_string_equal(frame,
                        "{\"type\":\"error\",\"code\":\"RESUME_GONE\",\"message\":\"too old\","
                        "\"error\":\"too old\",\"channel\":\"table:public.users\",\"payload\":{"
                        "\"subscription_id\":\"\",\"reason\":\"too_old\","
                        "\"since\":\"7f3a-0000000000000010-0\","
                        "\"oldest\":\"7f3a-0000000000000020-ffffffff\","
                        "\"newest\":\"7f3a-0000000000000030-ffffffff\"}}\n");
    free(frame);
    assert_string_equal(say(&f->ann, by_channel), "");
}

static void test_change_that_is_not_the_last_of_its_transaction(void **state)
{
    static const char *const row[] = { "1", "a" };
    struct fixture *f = *state;

    in_force(f, &f->ann);
    wire_encode_begin(&f->out, &(struct wire_begin){ .epoch = 0x7f3a, .commit_lsn = 0x16b3748 });
    for (uint32_t i = 0; i < 2; i++) {
        wire_encode_deliver(
            &f->out,
            &(struct wire_deliver){ .index = i, .group_count = 1, .new_row = fake_tuple(2, row) },
            &(struct wire_delivery){ 5, WIRE_INSERT });
    }
    fake_frame(0, &f->out);
    const char *first = fake_sent(f->ann.conn);
    assert_non_null(strstr(first, "-0\",\"last\":false}}\n"));
    assert_null(strstr(first, "\n{"));
    wire_encode_begin(&f->out, &(struct wire_begin){
                                   .epoch = 0x7f3a, .commit_lsn = 0x16b3748, .continued = true });
    wire_encode_end(&f->out, &(struct wire_end){ .commit_lsn = 0x16b3748, .count = 2 });
    fake_frame(0, &f->out);
    assert_non_null(strstr(fake_sent(f->ann.conn), "-1\",\"last\":true }}\n"));
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
        T(since_is_passed_on_and_acknowledged),
        T(snapshot_frames),
        T(filters_are_passed_on_and_refused_by_the_broker),
        T(commit_follows_a_whole_transaction),
        T(since_that_is_gone),
        T(change_that_is_not_the_last_of_its_transaction),
        T(unsubscribe_by_channel_and_by_id),
        T(unsubscribe_by_channel_ends_all_its_config_subscriptions),
        T(unsubscribe_before_the_answer),
        T(close_before_the_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
