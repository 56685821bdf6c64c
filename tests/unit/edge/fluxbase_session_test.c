/* tests/unit/edge/fluxbase_session_test.c - /realtime, message by message: errors, signs of life, rates, tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fluxbase_fixture.h"

/* --- errors -------------------------------------------------------------------------------------------------------- */

static void test_messages_that_are_not_what_the_protocol_says(void **state)
{
    static const struct {
        const char *text;
        const char *code;
        const char *words;
    } cases[] = {
        { "", "SUBSCRIPTION_FAILED", "not valid JSON" },
        { "{\"type\":", "SUBSCRIPTION_FAILED", "not valid JSON: " },
        { "{\"type\":}", "SUBSCRIPTION_FAILED", "line 1, column 9" },
        { "{} x", "SUBSCRIPTION_FAILED", "not valid JSON" },
        { "{\"type\":\"ping\",\"type\":\"ping\"}", "SUBSCRIPTION_FAILED", "duplicate" },
        { "[1]", "SUBSCRIPTION_FAILED", "JSON object" },
        { "\"a\"", "SUBSCRIPTION_FAILED", "JSON object" },
        { "{}", "SUBSCRIPTION_FAILED", "no type" },
        { "{\"type\":5}", "SUBSCRIPTION_FAILED", "type must be a string" },
        { "{\"type\":\"dance\"}", "SUBSCRIPTION_FAILED", "unknown message type \\\"dance\\\"" },
        { "{\"type\":\"broadcast\"}", "SUBSCRIPTION_FAILED", "channel is required for broadcast" },
        { "{\"type\":\"broadcast\",\"channel\":\"table:a.b\"}", "INVALID_CHANNEL",
          "broadcast goes to broadcast:{topic}" },
        { "{\"type\":\"broadcast\",\"channel\":\"broadcast:x\",\"self\":1}", "SUBSCRIPTION_FAILED",
          "self must be true or false" },
        { "{\"type\":\"broadcast\",\"channel\":\"broadcast:x\",\"pay\\u006coad\":1}",
          "SUBSCRIPTION_FAILED", "without escapes in its name" },
        { "{\"type\":\"presence\"}", "SUBSCRIPTION_FAILED", "channel is required for presence" },
        { "{\"type\":\"presence\",\"channel\":\"presence:x\"}", "SUBSCRIPTION_FAILED",
          "invalid presence payload" },
        { "{\"type\":\"presence\",\"channel\":\"presence:x\",\"payload\":{\"key\":\"a\"}}",
          "SUBSCRIPTION_FAILED", "unknown presence event" },
        { "{\"type\":\"presence\",\"channel\":\"presence:x\",\"event\":\"track\",\"payload\":{}}",
          "SUBSCRIPTION_FAILED", "key is required for presence track" },
        { "{\"type\":\"presence\",\"channel\":\"presence:x\",\"payload\":{\"event\":\"untrack\"}}",
          "SUBSCRIPTION_FAILED", "key is required for presence untrack" },
        { "{\"type\":\"presence\",\"channel\":\"presence:x\",\"event\":\"untrack\","
          "\"payload\":{\"key\":\"a\"}}",
          "SUBSCRIPTION_FAILED", "not present in presence:x" },
        { "{\"type\":\"subscribe\"}", "SUBSCRIPTION_FAILED", "channel or table is required" },
        { "{\"type\":\"subscribe\",\"channel\":7}", "SUBSCRIPTION_FAILED",
          "channel must be a string" },
        { "{\"type\":\"subscribe\",\"channel\":\"x\",\"config\":[]}", "SUBSCRIPTION_FAILED",
          "config must be an object" },
        { "{\"type\":\"subscribe\",\"channel\":\"x\",\"config\":{}}", "SUBSCRIPTION_FAILED",
          "table is required" },
        { "{\"type\":\"subscribe\",\"config\":{\"table\":\"t\",\"event\":\"insert\"}}",
          "SUBSCRIPTION_FAILED", "event must be" },
        { "{\"type\":\"subscribe\",\"config\":{\"table\":\"t\",\"filter\":1}}",
          "SUBSCRIPTION_FAILED", "invalid filter: a filter is a string" },
        { "{\"type\":\"subscribe\",\"table\":\"t\",\"filter\":{\"id\":1}}", "SUBSCRIPTION_FAILED",
          "invalid filter: a filter is a string" },
        { "{\"type\":\"subscribe\",\"channel\":\"table:a.b\",\"filter\":false}",
          "SUBSCRIPTION_FAILED", "invalid filter: a filter is a string" },
        { "{\"type\":\"subscribe\",\"filter\":\"a=eq.1\",\"config\":{\"table\":\"t\","
          "\"filter\":\"a=eq.1\"}}",
          "SUBSCRIPTION_FAILED", "filter is given twice" },
        { "{\"type\":\"subscribe\",\"config\":{\"table\":\"t\",\"schema\":\"a.b\"}}",
          "SUBSCRIPTION_FAILED", "without a dot" },
        { "{\"type\":\"subscribe\",\"config\":{\"table\":\"t\\n\"}}", "SUBSCRIPTION_FAILED",
          "control characters" },
        { "{\"type\":\"subscribe\",\"channel\":\"presence:x\",\"snapshot\":true}",
          "SUBSCRIPTION_FAILED", "has no snapshot" },
        { "{\"type\":\"subscribe\",\"channel\":\"broadcast:x\",\"since\":\"1\"}",
          "SUBSCRIPTION_FAILED", "since must be the id of a message" },
        { "{\"type\":\"subscribe\",\"channel\":\"users\"}", "INVALID_CHANNEL",
          "table:{schema}.{table}, presence:{room} or broadcast:{topic}" },
        { "{\"type\":\"subscribe\",\"channel\":\"table:a.b\",\"since\":7}", "SUBSCRIPTION_FAILED",
          "since must be a position such as \\\"7f3a-00000000016b3748-3\\\"" },
        { "{\"type\":\"subscribe\",\"channel\":\"table:a.b\",\"since\":\"7f3a-16b3748-3\"}",
          "SUBSCRIPTION_FAILED", "since must be a position" },
        { "{\"type\":\"subscribe\",\"config\":{\"table\":\"t\",\"since\":\"\"}}",
          "SUBSCRIPTION_FAILED", "since must be a position" },
        { "{\"type\":\"subscribe\",\"since\":\"1-0000000000000001-0\",\"config\":{\"table\":\"t\","
          "\"since\":\"1-0000000000000001-0\"}}",
          "SUBSCRIPTION_FAILED", "since is given twice" },
        { "{\"type\":\"subscribe\",\"channel\":\"table:a.b\",\"snapshot\":true,"
          "\"since\":\"1-0000000000000001-0\"}",
          "SUBSCRIPTION_FAILED", "exclude each other" },
        { "{\"type\":\"subscribe\",\"table\":\"t\",\"snapshot\":1}", "SUBSCRIPTION_FAILED",
          "snapshot must be true or false" },
        { "{\"type\":\"subscribe\",\"table\":\"t\",\"snapshot_token\":\"\"}", "SUBSCRIPTION_FAILED",
          "snapshot_token must be" },
        { "{\"type\":\"subscribe\",\"table\":\"t\",\"page_size\":10001}", "SUBSCRIPTION_FAILED",
          "page_size must be an integer from 1 to 10000" },
        { "{\"type\":\"unsubscribe\"}", "SUBSCRIPTION_FAILED",
          "channel or subscription_id is required" },
        { "{\"type\":\"unsubscribe\",\"channel\":\"table:a.b\"}", "SUBSCRIPTION_FAILED",
          "not subscribed to table:a.b" },
        { "{\"type\":\"access_token\"}", "SUBSCRIPTION_FAILED", "token is required" },
        { "{\"type\":\"access_token\",\"token\":\"bad\"}", "UNAUTHORIZED",
          "Invalid or expired token" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_error(&f->ann, cases[i].text, cases[i].code, cases[i].words);
    }
    assert_true(
        fake_metric(
            f->process,
            "pgtide_edge_client_errors_total{dialect=\"fluxbase\",code=\"INVALID_CHANNEL\"}") ==
        2.0);
}

static void test_error_says_the_same_in_message_and_error_and_names_the_channel(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(say(&f->ann, "{\"type\":\"presence\",\"channel\":\"presence:r\"}"),
                        "{\"type\":\"error\",\"code\":\"SUBSCRIPTION_FAILED\",\"message\":"
                        "\"invalid presence payload\",\"error\":\"invalid presence payload\","
                        "\"channel\":\"presence:r\"}\n");
}

static void test_second_subscribe_of_a_table_channel_is_refused_and_the_first_goes_on(void **state)
{
    struct fixture *f = *state;

    in_force(f, &f->ann);
    check_error(&f->ann, by_channel, "SUBSCRIPTION_FAILED",
                "already subscribed to table:public.users");
    change(f, WIRE_INSERT, false);
    assert_null(strstr(fake_sent(f->ann.conn), "\n{"));
}

static void test_more_subscriptions_than_configured(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++) {
        (void)say(&f->ann,
                  "{\"type\":\"subscribe\",\"channel\":\"r\",\"config\":{\"table\":\"users\"}}");
    }
    check_error(&f->ann, by_channel, "SUBSCRIPTION_FAILED", "may have 3");
}

static void test_refusal_of_the_shard_reaches_the_client_with_its_code(void **state)
{
    struct fixture *f = *state;

    (void)say(&f->ann, by_channel);
    wire_encode_refuse(&f->out, &(struct wire_refuse){
                                    announced(), WIRE_CODE_FORBIDDEN, { "not \"yours\"", 11 } });
    fake_frame(0, &f->out);
    assert_string_equal(fake_sent(f->ann.conn),
                        "{\"type\":\"error\",\"code\":\"FORBIDDEN\",\"message\":\"not "
                        "\\\"yours\\\"\",\"error\":\"not "
                        "\\\"yours\\\"\",\"channel\":\"table:public.users\"}\n");
    assert_string_equal(say(&f->ann, by_channel), "");
}

/* --- signs of life, rates, tokens ------------------------------------------------------------------------------------- */

static void test_ping_is_answered_and_heartbeat_is_not(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(say(&f->ann, "{\"type\":\"ping\"}"), "{\"type\":\"pong\"}\n");
    assert_string_equal(say(&f->ann, "{\"type\":\"heartbeat\"}"), "");
    fluxbase_dialect.on_heartbeat(f->ann.session, f->ann.conn);
    fluxbase_dialect.on_heartbeat(f->bob.session, f->bob.conn);
    assert_string_equal(fake_sent(f->ann.conn), "{\"type\":\"heartbeat\"}\n");
    assert_ptr_equal(fake_last_frame(f->ann.conn), fake_last_frame(f->bob.conn));
}

static void test_heartbeat_says_how_far_the_client_is(void **state)
{
    struct fixture *f = *state;
    struct client twin = { 0 };

    in_force(f, &f->ann);
    open_client(f, &twin, "authenticated|{\"sub\":\"ann\"}");
    (void)say(&twin, by_channel);
    fluxbase_dialect.on_heartbeat(f->ann.session, f->ann.conn);
    fluxbase_dialect.on_heartbeat(twin.session, twin.conn);
    assert_string_equal(
        fake_sent(f->ann.conn),
        "{\"type\":\"heartbeat\",\"payload\":{\"id\":\"7f3a-00000000016b3700-0\"}}\n");
    assert_ptr_equal(fake_last_frame(f->ann.conn), fake_last_frame(twin.conn));
    change(f, WIRE_INSERT, false);
    (void)fake_sent(f->ann.conn);
    fluxbase_dialect.on_heartbeat(f->ann.session, f->ann.conn);
    assert_non_null(strstr(fake_sent(f->ann.conn), "\"7f3a-00000000016b3748-ffffffff\""));
    close_client(&twin);
}

static void test_stale_and_fresh(void **state)
{
    struct fixture *f = *state;

    in_force(f, &f->ann);
    fake_clock_add(12 * RT_SEC);
    hub_tick(f->hub);
    assert_string_equal(fake_sent(f->ann.conn),
                        "{\"type\":\"stale\",\"payload\":{\"seconds\":12}}\n");
    wire_encode_fresh(&f->out, &(struct wire_fresh){ 1, 1, fake_wall_now() });
    fake_frame(0, &f->out);
    assert_string_equal(fake_sent(f->ann.conn), "{\"type\":\"fresh\"}\n");
}

static void test_message_rate_is_a_bucket_that_fills_over_a_minute(void **state)
{
    static const char nothing[] = "{\"type\":\"unsubscribe\",\"channel\":\"x\"}";
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++) {
        check_error(&f->ann, nothing, "SUBSCRIPTION_FAILED", "not subscribed");
    }
    check_error(&f->ann, nothing, "RATE_LIMITED", "more than 3 messages per minute");
    check_error(&f->ann, "not JSON", "RATE_LIMITED", "more than 3");
    assert_string_equal(say(&f->ann, "{\"type\":\"ping\"}"), "{\"type\":\"pong\"}\n");
    assert_non_null(
        strstr(say(&f->ann, "{\"type\":\"access_token\",\"token\":\"anon\"}"), "updated"));
    check_error(&f->bob, nothing, "SUBSCRIPTION_FAILED", "not subscribed");

    fake_clock_add(20 * RT_SEC);
    check_error(&f->ann, nothing, "SUBSCRIPTION_FAILED", "not subscribed");
    check_error(&f->ann, nothing, "RATE_LIMITED", "more than 3");
}

static void test_bad_token_gets_a_frame_and_a_late_close(void **state)
{
    struct fixture *f = *state;
    struct client mallory = { 0 };

    open_client(f, &mallory, "bad");
    assert_string_equal(
        fake_sent(mallory.conn),
        "{\"type\":\"error\",\"code\":\"UNAUTHORIZED\",\"message\":\"Invalid or expired "
        "token\",\"error\":\"Invalid or expired token\"}\n");
    assert_int_equal(fake_close_code(mallory.conn), 1008);
    assert_int_equal(fake_close_delay(mallory.conn), 2 * RT_SEC);
    assert_string_equal(say(&mallory, by_channel), "");
    assert_int_equal(announced(), 0);
    close_client(&mallory);
}

static void test_new_token_is_acknowledged_and_swaps_the_identity(void **state)
{
    struct fixture *f = *state;

    in_force(f, &f->ann);
    assert_string_equal(
        say(&f->ann, "{\"type\":\"access_token\",\"token\":\"service_role|{}\"}"),
        "{\"type\":\"ack\",\"payload\":{\"type\":\"access_token\",\"updated\":true}}\n");
    const char *told = fake_told(0);
    assert_non_null(strstr(told, "service_role {}"));
    uint64_t sub = strtoull(strstr(told, "\nsubscribe ") + 11, NULL, 10);
    wire_encode_refuse(&f->out, &(struct wire_refuse){ sub, WIRE_CODE_FORBIDDEN, { "no", 2 } });
    fake_frame(0, &f->out);
    assert_non_null(strstr(fake_sent(f->ann.conn), "\"code\":\"FORBIDDEN\""));
}

static void test_expired_token_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    struct client cid = { 0 };

    open_client(f, &cid, "anon|{}|10");
    (void)say(&cid, by_channel);
    fake_clock_add(16 * RT_SEC);
    hub_tick(f->hub);

    assert_non_null(strstr(fake_sent(cid.conn), "\"code\":\"UNAUTHORIZED\""));
    assert_int_equal(fake_close_code(cid.conn), 1008);
    assert_int_equal(fake_close_code(f->ann.conn), 0);
    assert_string_equal(say(&cid, by_channel), "");
    close_client(&cid);
}

static void test_too_many_connections_frame(void **state)
{
    struct fixture *f = *state;
    struct edge_frame *frame = fluxbase_dialect.frame_too_many(f->fluxbase);
    struct rt_span text = fake_payload(frame);

    assert_memory_equal(
        text.data,
        "{\"type\":\"error\",\"code\":\"RATE_LIMITED\",\"message\":\"Too many connections\"", 70);
    edge_frame_unref(frame);
}

/* --- seats --------------------------------------------------------------------------------------------------------- */

/* What the shard was told of seats since the last call, without their numbers. */
static const char *seats(struct fixture *f)
{
    static char out[1000];
    size_t len = 0;

    hub_tick(f->hub);
    const char *told = fake_told(0);
    for (const char *at = strstr(told, "seat "); at != NULL; at = strstr(at, "seat ")) {
        bool given_back = at > told && at[-1] == 'n';
        const char *user = at + 5 + strspn(at + 5, "0123456789");
        int size = snprintf(out + len, sizeof out - len, "%s%.*s;", given_back ? "-" : "",
                            (int)strcspn(user, "\n"), user);
        len += (size_t)size;
        at = user;
    }
    out[len] = '\0';
    return out;
}

static void test_user_is_sub_or_else_user_id(void **state)
{
    static const struct {
        const char *token;
        const char *told;
    } cases[] = {
        { "authenticated|{\"sub\":\"cid\",\"user_id\":\"dan\"}", " cid 10;" },
        { "authenticated|{\"user_id\":\"dan\"}", " dan 10;" },
        { "authenticated|{\"sub\":\"\",\"user_id\":\"dan\"}", " dan 10;" },
        { "authenticated|{\"sub\":4711}", " 4711 10;" },
        { "authenticated|{\"sub\":null}", "" },
        { "authenticated|{\"sub\":{\"a\":1},\"user_id\":[]}", "" },
        { "service_role|{}", "" },
        { "anon", "" },
    };
    struct fixture *f = *state;

    assert_string_equal(seats(f), " ann 10; bob 10;");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct client client = { 0 };
        open_client(f, &client, cases[i].token);
        assert_string_equal(seats(f), cases[i].told);
        close_client(&client);
        assert_string_equal(seats(f), cases[i].told[0] == '\0' ? "" : "-;");
    }
}

static void check_sent_away(struct client *client)
{
    assert_string_equal(
        fake_sent(client->conn),
        "{\"type\":\"error\",\"code\":\"RATE_LIMITED\",\"message\":\"Too many "
        "connections: a user may have 10\",\"error\":\"Too many connections: a user "
        "may have 10\"}\n");
    assert_int_equal(fake_close_code(client->conn), 1013);
    assert_int_equal(fake_close_delay(client->conn), 2 * RT_SEC);
    assert_non_null(strstr(fake_close_reason(client->conn), "; retry_ms="));
    assert_string_equal(say(client, by_channel), "");
}

static void test_the_eleventh_connection_of_a_user_is_sent_away(void **state)
{
    struct fixture *f = *state;
    struct client more[10] = { { 0 } };

    for (int i = 0; i < 10; i++) {
        open_client(f, &more[i], "authenticated|{\"sub\":\"ann\"}");
    }
    assert_string_equal(fake_sent(more[8].conn), "");
    check_sent_away(&more[9]);
    close_client(&more[9]);
    close_client(&more[0]);
    open_client(f, &more[9], "authenticated|{\"sub\":\"ann\"}");
    assert_string_equal(fake_sent(more[9].conn), "");
    for (int i = 1; i < 10; i++) {
        close_client(&more[i]);
    }
}

static void test_a_connection_that_the_shard_refuses_is_sent_away(void **state)
{
    struct fixture *f = *state;

    hub_tick(f->hub);
    uint64_t number = strtoull(strstr(fake_told(0), "seat ") + 5, NULL, 10);
    in_force(f, &f->ann);
    wire_encode_unseated(&f->out, &(struct wire_unseated){ .seat = number });
    fake_frame(0, &f->out);
    check_sent_away(&f->ann);
    change(f, WIRE_INSERT, false);
    assert_string_equal(fake_sent(f->ann.conn), "");
    assert_int_equal(fake_close_code(f->bob.conn), 0);
}

static void test_a_new_token_takes_the_seat_of_its_user(void **state)
{
    struct fixture *f = *state;

    (void)seats(f);
    (void)say(&f->ann, "{\"type\":\"access_token\",\"token\":\"authenticated|{\\\"sub\\\":"
                       "\\\"ann\\\",\\\"fresh\\\":1}\"}");
    assert_string_equal(seats(f), "");
    assert_non_null(
        strstr(say(&f->ann, "{\"type\":\"access_token\",\"token\":\"authenticated|{\\\"sub\\\":"
                            "\\\"eve\\\"}\"}"),
               "\"updated\":true"));
    assert_string_equal(seats(f), "-; eve 10;");
}

static void test_a_new_token_of_a_user_who_has_enough_is_refused(void **state)
{
    struct fixture *f = *state;
    struct client more[10] = { { 0 } };

    for (int i = 0; i < 10; i++) {
        open_client(f, &more[i], "authenticated|{\"sub\":\"eve\"}");
    }
    (void)fake_sent(f->ann.conn);
    in_force(f, &f->ann);
    const char *answer = say(&f->ann, "{\"type\":\"access_token\",\"token\":\"authenticated|{"
                                      "\\\"sub\\\":\\\"eve\\\"}\"}");
    assert_non_null(strstr(answer, "\"RATE_LIMITED\""));
    assert_null(strstr(answer, "updated"));
    assert_int_equal(fake_close_code(f->ann.conn), 1013);
    change(f, WIRE_INSERT, false);
    assert_string_equal(fake_sent(f->ann.conn), "");
    for (int i = 0; i < 10; i++) {
        close_client(&more[i]);
    }
}

#define T(name)         cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
#define T_LIMITED(name) cmocka_unit_test_setup_teardown(test_##name, set_up_limited, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(messages_that_are_not_what_the_protocol_says),
        T(error_says_the_same_in_message_and_error_and_names_the_channel),
        T(second_subscribe_of_a_table_channel_is_refused_and_the_first_goes_on),
        T(more_subscriptions_than_configured),
        T(refusal_of_the_shard_reaches_the_client_with_its_code),
        T(ping_is_answered_and_heartbeat_is_not),
        T(heartbeat_says_how_far_the_client_is),
        T(stale_and_fresh),
        T_LIMITED(message_rate_is_a_bucket_that_fills_over_a_minute),
        T_LIMITED(bad_token_gets_a_frame_and_a_late_close),
        T(new_token_is_acknowledged_and_swaps_the_identity),
        T(expired_token_ends_the_connection),
        T(too_many_connections_frame),
        T(user_is_sub_or_else_user_id),
        T_LIMITED(the_eleventh_connection_of_a_user_is_sent_away),
        T_LIMITED(a_connection_that_the_shard_refuses_is_sent_away),
        T(a_new_token_takes_the_seat_of_its_user),
        T(a_new_token_of_a_user_who_has_enough_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
