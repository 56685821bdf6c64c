/* tests/unit/edge/fluxbase_test.c - /realtime, message by message, over a hub with fake shards and connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/fluxbase/channel.h"
#include "edge/fluxbase/fluxbase.h"
#include "hub_fakes.h"
#include "runtime/shard.h"

struct client {
    struct edge_conn *conn;
    void *session;
};

struct fixture {
    struct rt_process *process;
    struct hub *hub;
    struct fluxbase *fluxbase;
    struct client ann;
    struct client bob;
    struct wire_writer out;
    uint32_t index; /* of the next change */
};

static void open_client(struct fixture *f, struct client *client, const char *token)
{
    struct identity identity = { 0 };
    bool bad = strcmp(token, "bad") == 0;

    if (!bad) {
        identity = fake_identity(token);
    }
    client->conn = fake_conn_new();
    client->session = fluxbase_dialect.on_open(f->fluxbase, client->conn,
                                               bad ? TOKEN_SIGNATURE : TOKEN_OK, &identity);
}

static void close_client(struct client *client)
{
    if (client->conn != NULL) {
        fluxbase_dialect.on_close(client->session, client->conn);
        fake_conn_free(client->conn);
        client->conn = NULL;
    }
}

static int set_up_with(void **state, const char *const *sets)
{
    struct fixture *f = rt_alloc(sizeof *f);

    fakes_reset();
    f->process = fake_process_new(sets);
    f->hub = hub_new(
        &(struct hub_config){ .process = f->process, .now = fake_now, .wall_now = fake_wall_now });
    f->fluxbase = fluxbase_new(&(struct fluxbase_config){
        .process = f->process,
        .hub = f->hub,
        .now = fake_now,
        .wall_now = fake_wall_now,
    });
    f->index = 3;
    fake_session(0, true);
    open_client(f, &f->ann, "authenticated|{\"sub\":\"ann\"}");
    open_client(f, &f->bob, "authenticated|{\"sub\":\"bob\"}");
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    static const char *const sets[] = { "realtime.message_rate_limit=0",
                                        "realtime.max_subscriptions_per_connection=3", NULL };

    return set_up_with(state, sets);
}

static int set_up_limited(void **state)
{
    static const char *const sets[] = { "realtime.message_rate_limit=3",
                                        "realtime.unauthorized_delay=2s", NULL };

    return set_up_with(state, sets);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close_client(&f->ann);
    close_client(&f->bob);
    hub_free(f->hub);
    fluxbase_free(f->fluxbase);
    fake_process_free(f->process);
    wire_writer_fini(&f->out);
    fakes_reset();
    free(f);
    return 0;
}

/* In a block of exactly its size, so that a read past the end is seen. */
static char *exact_copy(const char *text, size_t len)
{
    char *copy = calloc(1, len > 0 ? len : 1);

    memcpy(copy, text, len);
    return copy;
}

/* Sends a text and returns what came back. */
static const char *say(struct client *client, const char *text)
{
    size_t len = strlen(text);
    char *exact = exact_copy(text, len);

    fluxbase_dialect.on_text(client->session, client->conn,
                             (struct rt_span){ (const uint8_t *)exact, len });
    free(exact);
    return fake_sent(client->conn);
}

static void check_error(struct client *client, const char *text, const char *code,
                        const char *words)
{
    char start[80];
    const char *answer = say(client, text);

    (void)snprintf(start, sizeof start, "{\"type\":\"error\",\"code\":\"%s\",\"message\":\"", code);
    if (strncmp(answer, start, strlen(start)) != 0 || strstr(answer, words) == NULL) {
        fail_msg("%s: %s", text, answer);
    }
    assert_null(strstr(answer, "\n{"));
    assert_int_equal(fake_close_code(client->conn), 0);
}

static uint64_t announced(void)
{
    const char *told = fake_told(0);
    const char *at = strncmp(told, "subscribe ", 10) == 0 ? told : strstr(told, "\nsubscribe ");

    return at != NULL ? strtoull(strchr(at, ' '), NULL, 10) : 0;
}

static void accept(struct fixture *f, uint64_t sub)
{
    fake_write_group(&f->out, 5, "users");
    wire_encode_accept(&f->out, &(struct wire_accept){ sub, 5, { 0x7f3a, 0x16b3700, 0 } });
    fake_frame(0, &f->out);
}

/* Takes the subscription_id out of an acknowledgement, since it is random. */
static void take_id(char *text, char out[37])
{
    char *at = strstr(text, "\"subscription_id\":\"");

    assert_non_null(at);
    memcpy(out, at + 19, 36);
    out[36] = '\0';
    memmove(at + 19, at + 19 + 36, strlen(at + 19 + 36) + 1);
}

/* Subscribes and returns the acknowledgement without its id. */
static char *subscribed(struct fixture *f, struct client *client, const char *text, char id[37])
{
    assert_string_equal(say(client, text), "");
    accept(f, announced());
    char *ack = rt_strdup(fake_sent(client->conn));
    take_id(ack, id);
    return ack;
}

static const char by_channel[] = "{\"type\":\"subscribe\",\"channel\":\"table:public.users\"}";

static void in_force(struct fixture *f, struct client *client)
{
    char id[37];

    free(subscribed(f, client, by_channel, id));
}

static void change(struct fixture *f, enum wire_op op, bool with_old)
{
    static const char *const old[] = { "123", "John" };
    static const char *const new[] = { "123", "John Doe" };
    struct wire_deliver head = { .index = f->index++, .group_count = 1 };

    if (op != WIRE_DELETE) {
        head.new_row = fake_tuple(2, new);
    }
    if (with_old) {
        head.old_row = fake_tuple(2, old);
        head.old_kind = WIRE_OLD_FULL;
    }
    wire_encode_begin(&f->out, &(struct wire_begin){
                                   .epoch = 0x7f3a,
                                   .commit_lsn = 0x16b3748,
                                   .commit_time = INT64_C(1795254586123456),
                               });
    wire_encode_deliver(&f->out, &head, &(struct wire_delivery){ 5, op });
    fake_frame(0, &f->out);
}

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
    wire_encode_accept(&f->out, &(struct wire_accept){ sub, 6, { 0x7f3a, 0x16b3800, 0 } });
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
    accept(f, sub);
    assert_string_equal(fake_sent(f->ann.conn), "");
}

static void test_close_before_the_answer(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(say(&f->ann, by_channel), "");
    uint64_t sub = announced();
    close_client(&f->ann);
    accept(f, sub);
    assert_string_equal(fake_sent(f->bob.conn), "");
}

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
        { "{\"type\":\"broadcast\",\"channel\":\"broadcast:x\"}", "SUBSCRIPTION_FAILED",
          "broadcast is not available" },
        { "{\"type\":\"presence\"}", "SUBSCRIPTION_FAILED", "presence is not available" },
        { "{\"type\":\"subscribe\"}", "SUBSCRIPTION_FAILED", "channel or table is required" },
        { "{\"type\":\"subscribe\",\"channel\":7}", "SUBSCRIPTION_FAILED",
          "channel must be a string" },
        { "{\"type\":\"subscribe\",\"channel\":\"x\",\"config\":[]}", "SUBSCRIPTION_FAILED",
          "config must be an object" },
        { "{\"type\":\"subscribe\",\"channel\":\"x\",\"config\":{}}", "SUBSCRIPTION_FAILED",
          "table is required" },
        { "{\"type\":\"subscribe\",\"config\":{\"table\":\"t\",\"event\":\"insert\"}}",
          "SUBSCRIPTION_FAILED", "event must be" },
        { "{\"type\":\"subscribe\",\"config\":{\"table\":\"t\",\"filter\":\"id=eq.1\"}}",
          "SUBSCRIPTION_FAILED", "filters are not" },
        { "{\"type\":\"subscribe\",\"table\":\"t\",\"filter\":\"id=eq.1\"}", "SUBSCRIPTION_FAILED",
          "filters are not" },
        { "{\"type\":\"subscribe\",\"channel\":\"table:a.b\",\"filter\":\"x\"}",
          "SUBSCRIPTION_FAILED", "filters are not" },
        { "{\"type\":\"subscribe\",\"config\":{\"table\":\"t\",\"schema\":\"a.b\"}}",
          "SUBSCRIPTION_FAILED", "without a dot" },
        { "{\"type\":\"subscribe\",\"config\":{\"table\":\"t\\n\"}}", "SUBSCRIPTION_FAILED",
          "control characters" },
        { "{\"type\":\"subscribe\",\"channel\":\"presence:x\"}", "SUBSCRIPTION_FAILED",
          "presence channels are not available" },
        { "{\"type\":\"subscribe\",\"channel\":\"broadcast:x\"}", "SUBSCRIPTION_FAILED",
          "broadcast channels are not available" },
        { "{\"type\":\"subscribe\",\"channel\":\"users\"}", "INVALID_CHANNEL",
          "table:{schema}.{table}, presence:{room} or broadcast:{topic}" },
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
        1.0);
}

static void test_error_says_the_same_in_message_and_error_and_names_the_channel(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(say(&f->ann, "{\"type\":\"presence\",\"channel\":\"presence:r\"}"),
                        "{\"type\":\"error\",\"code\":\"SUBSCRIPTION_FAILED\",\"message\":"
                        "\"presence is not available in this "
                        "release\",\"error\":\"presence is not available in this "
                        "release\",\"channel\":\"presence:r\"}\n");
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

/* --- channels ------------------------------------------------------------------------------------------------------------ */

static enum fluxbase_channel_kind kind_of(const char *text)
{
    return fluxbase_channel_parse((struct rt_span){ (const uint8_t *)text, strlen(text) }).kind;
}

static void test_channel_grammar(void **state)
{
    char longest[80] = "table:s.";
    struct fluxbase_channel channel;

    (void)state;
    assert_int_equal(kind_of("presence:x"), FLUXBASE_PRESENCE);
    assert_int_equal(kind_of("broadcast:x y"), FLUXBASE_BROADCAST);
    assert_int_equal(kind_of("table:public.Mixed Case"), FLUXBASE_TABLE);
    static const char *const bad[] = {
        "",          "table",      "table:",     "table:t",     "table:.t",
        "table:s.",  "table:.",    "Table:s.t",  "table:s.t\n", "table:s\x7f.t",
        "presence:", "broadcast:", "realtime:x", "users"
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(kind_of(bad[i]), FLUXBASE_NO_CHANNEL);
    }
    memset(longest + 8, 'x', 63);
    assert_int_equal(kind_of(longest), FLUXBASE_TABLE);
    longest[8 + 63] = 'x';
    assert_int_equal(kind_of(longest), FLUXBASE_NO_CHANNEL);
    channel = fluxbase_channel_parse((struct rt_span){ (const uint8_t *)"table:a.b.c", 11 });
    assert_int_equal(channel.schema.len, 1);
    assert_memory_equal(channel.table.data, "b.c", 3);
    assert_int_equal(channel.table.len, 3);
}

#define T(name)         cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
#define T_LIMITED(name) cmocka_unit_test_setup_teardown(test_##name, set_up_limited, tear_down)

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
        T(messages_that_are_not_what_the_protocol_says),
        T(error_says_the_same_in_message_and_error_and_names_the_channel),
        T(second_subscribe_of_a_table_channel_is_refused_and_the_first_goes_on),
        T(more_subscriptions_than_configured),
        T(refusal_of_the_shard_reaches_the_client_with_its_code),
        T(ping_is_answered_and_heartbeat_is_not),
        T_LIMITED(message_rate_is_a_bucket_that_fills_over_a_minute),
        T_LIMITED(bad_token_gets_a_frame_and_a_late_close),
        T(new_token_is_acknowledged_and_swaps_the_identity),
        T(expired_token_ends_the_connection),
        T(too_many_connections_frame),
        cmocka_unit_test(test_channel_grammar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
