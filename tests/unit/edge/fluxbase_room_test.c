/* Tests of broadcast and presence on /realtime, from a client's message to the shard and from the shard's records to frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fluxbase_fixture.h"

#define CHAT "broadcast:chat"
#define ROOM "presence:room"

static void send_frame(struct fixture *f)
{
    fake_frame(0, &f->out);
}

static void accept_as(struct fixture *f, uint64_t sub, uint32_t group, const char *channel,
                      uint64_t instance, enum wire_accept_kind kind)
{
    struct wire_place place = { .position = { 1, 0x100, UINT32_MAX } };

    wire_encode_channel(&f->out, &(struct wire_channel){ .group = group,
                                                         .channel = { channel, strlen(channel) },
                                                         .instance = instance,
                                                         .place = place });
    wire_encode_accept(&f->out,
                       &(struct wire_accept){
                           .sub = sub, .group = group, .kind = kind, .position = place.position });
    send_frame(f);
}

static void message(struct fixture *f, uint32_t group, const char *payload, uint64_t lsn,
                    uint64_t stamp, uint64_t sender, bool to_sender)
{
    wire_encode_broadcast(&f->out,
                          &(struct wire_broadcast){ .group = group,
                                                    .event = { "e", 1 },
                                                    .payload = { payload, strlen(payload) },
                                                    .place = { { 1, lsn, 3 }, stamp },
                                                    .sender = sender,
                                                    .to_sender = to_sender });
}

static void presence(struct fixture *f, bool full, bool settled, uint32_t count,
                     const struct wire_present *entries)
{
    wire_encode_presence(&f->out,
                         &(struct wire_presence){
                             .group = 5, .full = full, .settled = settled, .entry_count = count },
                         entries);
    send_frame(f);
}

static void done(struct fixture *f, uint32_t code, const char *text)
{
    wire_encode_done(&f->out, &(struct wire_done){ .reply = fake_reply(0),
                                                   .code = code,
                                                   .message = { text, strlen(text) },
                                                   .place = { { 1, 0x200, 3 }, 0xabc } });
    send_frame(f);
}

/* Without the random id of an acknowledgement. */
static const char *heard(struct client *client)
{
    static char text[4000];

    (void)snprintf(text, sizeof text, "%s", fake_sent(client->conn));
    char *id = strstr(text, "\"subscription_id\":\"");
    if (id != NULL) {
        memmove(id + 19, id + 19 + 36, strlen(id + 19 + 36) + 1);
    }
    return text;
}

static void assert_heard(struct client *client, const char *wanted)
{
    assert_string_equal(heard(client), wanted);
}

static void join(struct fixture *f, struct client *client, const char *channel)
{
    char text[120];

    (void)snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"channel\":\"%s\"}", channel);
    (void)say(client, text);
    accept_as(f, announced(), 5, channel, 77, WIRE_ACCEPT_LIVE);
    assert_non_null(strstr(heard(client), "\"status\":\"subscribed\""));
}

static void test_subscribe_is_acknowledged_with_its_place(void **state)
{
    struct fixture *f = *state;

    (void)say(&f->ann, "{\"type\":\"subscribe\",\"channel\":\"" CHAT "\"}");
    assert_heard(&f->ann, "");
    accept_as(f, announced(), 5, CHAT, 77, WIRE_ACCEPT_LIVE);
    assert_heard(&f->ann, "{\"type\":\"ack\",\"channel\":\"" CHAT
                          "\",\"status\":\"subscribed\",\"payload\":{"
                          "\"subscribed\":true,\"channel\":\"" CHAT "\",\"subscription_id\":\"\","
                          "\"id\":\"1-0000000000000100-ffffffff\",\"resumed\":false}}\n");
    assert_non_null(strstr(say(&f->ann, "{\"type\":\"subscribe\",\"channel\":\"" CHAT "\"}"),
                           "already subscribed"));
    assert_non_null(strstr(say(&f->ann, "{\"type\":\"unsubscribe\",\"channel\":\"" CHAT "\"}"),
                           "\"unsubscribed\""));
    assert_non_null(strstr(fake_told(0), "unsubscribe "));
}

static void test_a_message_is_one_frame_for_all_and_another_for_its_sender(void **state)
{
    struct fixture *f = *state;

    join(f, &f->ann, CHAT);
    join(f, &f->bob, CHAT);
    (void)say(&f->ann, "{\"type\":\"broadcast\",\"channel\":\"" CHAT
                       "\",\"event\":\"e\",\"payload\":{\"x\": 1.10},\"messageId\":\"m1\"}");
    assert_non_null(strstr(fake_told(0), "publish " CHAT " e {\"x\": 1.10}\n"));
    message(f, 5, "{\"x\": 1.10}", 0x200, 0xabc, fake_sender(0), true);
    send_frame(f);
    done(f, 0, "");
    assert_heard(&f->ann,
                 "{\"type\":\"broadcast\",\"channel\":\"" CHAT "\",\"payload\":{\"x\": 1.10},"
                 "\"event\":\"e\",\"broadcast\":{\"event\":\"e\",\"payload\":{\"x\": 1.10},"
                 "\"self\":true},\"id\":\"1-0000000000000200-3.abc\"}\n"
                 "{\"type\":\"ack\",\"channel\":\"" CHAT "\",\"messageId\":\"m1\","
                 "\"status\":\"ok\",\"id\":\"1-0000000000000200-3.abc\"}\n");
    assert_heard(&f->bob,
                 "{\"type\":\"broadcast\",\"channel\":\"" CHAT "\",\"payload\":{\"x\": 1.10},"
                 "\"event\":\"e\",\"broadcast\":{\"event\":\"e\",\"payload\":{\"x\": 1.10}},"
                 "\"id\":\"1-0000000000000200-3.abc\"}\n");
    message(f, 5, "2", 0x200, 0xabd, fake_sender(0), false);
    send_frame(f);
    assert_heard(&f->ann, "");
    assert_non_null(strstr(heard(&f->bob), "\"payload\":2"));
    message(f, 5, "3", 0x200, 0xabe, 0, true);
    send_frame(f);
    assert_ptr_equal(fake_last_frame(f->ann.conn), fake_last_frame(f->bob.conn));
}

static void test_a_refused_message_is_an_error_and_a_lost_shard_answers_what_waits(void **state)
{
    struct fixture *f = *state;

    (void)say(&f->ann, "{\"type\":\"broadcast\",\"channel\":\"" CHAT "\",\"payload\":1}");
    done(f, WIRE_CODE_FORBIDDEN, "not allowed");
    assert_non_null(strstr(heard(&f->ann), "\"code\":\"FORBIDDEN\",\"message\":\"not allowed\""));
    (void)say(&f->ann, "{\"type\":\"broadcast\",\"channel\":\"" CHAT "\",\"payload\":2}");
    fake_session(0, true);
    assert_non_null(strstr(heard(&f->ann), "may not have been done"));
    fake_down(0);
    assert_non_null(strstr(say(&f->bob, "{\"type\":\"broadcast\",\"channel\":\"" CHAT "\"}"),
                           "cannot be reached"));
    fake_session(0, false);
}

static void test_an_implicit_subscription_is_silent_until_somebody_subscribes(void **state)
{
    struct fixture *f = *state;

    (void)say(&f->ann, "{\"type\":\"broadcast\",\"channel\":\"" CHAT "\",\"payload\":1}");
    uint64_t sub = announced();
    accept_as(f, sub, 5, CHAT, 77, WIRE_ACCEPT_LIVE);
    assert_heard(&f->ann, "");
    message(f, 5, "1", 0x200, 1, 0, true);
    send_frame(f);
    assert_non_null(strstr(heard(&f->ann), "\"payload\":1"));
    assert_non_null(strstr(say(&f->ann, "{\"type\":\"subscribe\",\"channel\":\"" CHAT "\"}"),
                           "\"subscribed\""));
    (void)say(&f->bob, "{\"type\":\"broadcast\",\"channel\":\"" CHAT "\",\"payload\":1}");
    wire_encode_refuse(&f->out, &(struct wire_refuse){ .sub = announced(),
                                                       .code = WIRE_CODE_FORBIDDEN,
                                                       .message = { "no", 2 } });
    send_frame(f);
    assert_heard(&f->bob, "");
}

static void test_a_message_from_sql_comes_behind_the_changes_before_it(void **state)
{
    struct fixture *f = *state;

    in_force(f, &f->ann);
    (void)say(&f->ann, "{\"type\":\"subscribe\",\"channel\":\"" CHAT "\"}");
    accept_as(f, announced(), 6, CHAT, 77, WIRE_ACCEPT_LIVE);
    (void)fake_sent(f->ann.conn);
    const char *row[] = { "1", "x" };
    struct wire_deliver deliver = { .group_count = 1, .new_row = fake_tuple(2, row) };
    const struct wire_delivery to = { 5, WIRE_INSERT };
    wire_encode_begin(&f->out, &(struct wire_begin){ .epoch = 0x7f3a, .commit_lsn = 0x16b3800 });
    deliver.index = 0;
    wire_encode_deliver(&f->out, &deliver, &to);
    wire_encode_broadcast(&f->out,
                          &(struct wire_broadcast){ .group = 6,
                                                    .event = { "e", 1 },
                                                    .payload = { "\"between\"", 9 },
                                                    .place = { { 0x7f3a, 0x16b3800, 1 }, 0 },
                                                    .to_sender = true });
    deliver.index = 2;
    wire_encode_deliver(&f->out, &deliver, &to);
    wire_encode_end(
        &f->out, &(struct wire_end){ .commit_lsn = 0x16b3800, .end_lsn = 0x16b3900, .count = 3 });
    send_frame(f);
    const char *text = fake_sent(f->ann.conn);
    const char *first = strstr(text, "16b3800-0\"");
    const char *between = strstr(text, "between");
    const char *last = strstr(text, "16b3800-2\",\"last\":true");
    assert_non_null(first);
    assert_non_null(last);
    assert_true(first < between && between < last);
}

static const struct wire_present ann = { 1, { "ann", 3 }, { "{\"a\":1}", 7 } };
static const struct wire_present bob = { 2, { "bob", 3 }, { "2", 1 } };
static const struct wire_present ann_too = { 3, { "ann", 3 }, { "3", 1 } };
static const struct wire_present gone_ann = { 1, { "ann", 3 }, { NULL, 0 } };
static const struct wire_present gone_bob = { 2, { "bob", 3 }, { NULL, 0 } };

#define PRESENCE(rest)                                                                             \
    "{\"type\":\"presence\",\"channel\":\"" ROOM "\",\"payload\":{\"presence\":{\"event\":" rest   \
    "}}}\n"

static void test_joins_leaves_and_states(void **state)
{
    struct fixture *f = *state;

    join(f, &f->ann, ROOM);
    presence(f, true, true, 0, NULL);
    assert_heard(&f->ann, "");
    presence(f, false, true, 2, (struct wire_present[]){ ann, bob });
    assert_heard(&f->ann, PRESENCE("\"join\",\"key\":\"ann\",\"newPresences\":[{\"a\":1}],"
                                   "\"currentPresences\":{\"ann\":[{\"a\":1}],\"bob\":[2]}")
                              PRESENCE("\"join\",\"key\":\"bob\",\"newPresences\":[2],"
                                       "\"currentPresences\":{\"ann\":[{\"a\":1}],\"bob\":[2]}"));
    presence(f, false, true, 1, &ann_too);
    assert_heard(&f->ann,
                 PRESENCE("\"sync\",\"currentPresences\":{\"ann\":[{\"a\":1},3],\"bob\":[2]}"));
    presence(f, false, true, 2, (struct wire_present[]){ gone_ann, gone_bob });
    assert_heard(&f->ann, PRESENCE("\"leave\",\"key\":\"bob\",\"leftPresences\":[2],"
                                   "\"currentPresences\":{\"ann\":[3]}")
                              PRESENCE("\"sync\",\"currentPresences\":{\"ann\":[3]}"));
    presence(f, false, true, 1, &gone_bob); /* nobody knows it */
    assert_heard(&f->ann, "");
    /* The key goes and comes in one record: a page that was loaded again. */
    presence(f, false, true, 2,
             (struct wire_present[]){ { 3, { "ann", 3 }, { NULL, 0 } },
                                      { 4, { "ann", 3 }, { "4", 1 } } });
    assert_heard(&f->ann, PRESENCE("\"sync\",\"currentPresences\":{\"ann\":[4]}"));
    /* Who comes later is given what is known. */
    (void)say(&f->bob, "{\"type\":\"subscribe\",\"channel\":\"" ROOM "\"}");
    accept_as(f, announced(), 5, ROOM, 77, WIRE_ACCEPT_LIVE);
    assert_non_null(
        strstr(heard(&f->bob), PRESENCE("\"sync\",\"currentPresences\":{\"ann\":[4]}")));
    assert_heard(&f->ann, "");
}

static void test_many_at_once_are_one_sync(void **state)
{
    struct fixture *f = *state;
    struct wire_present many[33];
    char keys[33][4];

    join(f, &f->ann, ROOM);
    presence(f, true, true, 0, NULL);
    for (unsigned i = 0; i < 33; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%u", i);
        many[i] = (struct wire_present){ i + 1, { keys[i], strlen(keys[i]) }, { "0", 1 } };
    }
    presence(f, false, true, 33, many);
    const char *text = heard(&f->ann);
    assert_non_null(strstr(text, "\"sync\""));
    assert_null(strstr(text, "\"join\""));
}

static void test_a_new_shard_makes_nobody_leave_and_come(void **state)
{
    struct fixture *f = *state;

    join(f, &f->ann, ROOM);
    (void)say(&f->ann, "{\"type\":\"presence\",\"channel\":\"" ROOM
                       "\",\"event\":\"track\",\"payload\":{\"key\":\"ann\",\"state\":{\"a\":1}}}");
    presence(f, true, true, 2, (struct wire_present[]){ ann, bob });
    (void)fake_sent(f->ann.conn);
    (void)fake_told(0);
    uint64_t ref = fake_ref(0);

    fake_session(0, true);
    const char *told = fake_told(0);
    assert_non_null(strstr(told, "track " ROOM " ann={\"a\":1}\n"));
    assert_int_equal(fake_ref(0), ref);
    const char *subscribe = strstr(told, "\nsubscribe ");
    assert_non_null(subscribe);
    accept_as(f, strtoull(subscribe + 11, NULL, 10), 5, ROOM, 78, WIRE_ACCEPT_LIVE);
    presence(f, true, false, 0, NULL);
    presence(f, false, false, 1, &ann);
    assert_heard(&f->ann, "");
    presence(f, true, true, 1, &ann); /* it has settled: Bob is not there any more */
    assert_heard(&f->ann, PRESENCE("\"leave\",\"key\":\"bob\",\"leftPresences\":[2],"
                                   "\"currentPresences\":{\"ann\":[{\"a\":1}]}"));
    (void)say(&f->ann, "{\"type\":\"unsubscribe\",\"channel\":\"" ROOM "\"}");
    assert_non_null(strstr(fake_told(0), "untrack " ROOM " the last\n"));
}

static void test_since_is_answered_with_what_came_after_it_or_gone(void **state)
{
    struct fixture *f = *state;

    (void)say(&f->ann, "{\"type\":\"subscribe\",\"channel\":\"" CHAT
                       "\",\"since\":\"1-0000000000000100-ffffffff.3e9\"}");
    const char *told = fake_told(0);
    assert_non_null(strstr(told, CHAT));
    uint64_t sub = strtoull(strstr(told, "subscribe ") + 10, NULL, 10);
    accept_as(f, sub, 9, CHAT, 77, WIRE_ACCEPT_REPLAY);
    assert_non_null(
        strstr(heard(&f->ann), "\"id\":\"1-0000000000000100-ffffffff.3e9\",\"resumed\":true"));
    message(f, 9, "1", 0x200, 1, 0, true);
    send_frame(f);
    assert_non_null(strstr(heard(&f->ann), "\"payload\":1"));
    accept_as(f, sub, 5, CHAT, 77, WIRE_ACCEPT_LIVE);
    message(f, 5, "2", 0x300, 1, 0, true);
    send_frame(f);
    assert_non_null(strstr(heard(&f->ann), "\"payload\":2"));
    (void)say(&f->bob, "{\"type\":\"subscribe\",\"channel\":\"" CHAT
                       "\",\"since\":\"1-0000000000000100-0\"}");
    wire_encode_gone(&f->out, &(struct wire_gone){ .sub = announced(),
                                                   .reason = WIRE_GONE_TOO_OLD,
                                                   .message = { "old", 3 } });
    send_frame(f);
    assert_non_null(strstr(heard(&f->bob), "\"code\":\"RESUME_GONE\",\"message\":\"old\""));
}

static void test_a_new_identity_is_judged_while_the_old_one_goes_on(void **state)
{
    struct fixture *f = *state;

    join(f, &f->ann, CHAT);
    (void)say(&f->ann,
              "{\"type\":\"access_token\",\"token\":\"authenticated|{\\\"sub\\\":\\\"eve\\\"}\"}");
    uint64_t sub = announced();
    assert_true(sub != 0);
    message(f, 5, "1", 0x200, 1, 0, true);
    send_frame(f);
    assert_non_null(strstr(heard(&f->ann), "\"payload\":1"));
    accept_as(f, sub, 5, CHAT, 77, WIRE_ACCEPT_LIVE);
    message(f, 5, "2", 0x300, 1, 0, true);
    send_frame(f);
    assert_non_null(strstr(heard(&f->ann), "\"payload\":2"));
    (void)say(&f->ann,
              "{\"type\":\"access_token\",\"token\":\"authenticated|{\\\"sub\\\":\\\"mal\\\"}\"}");
    wire_encode_refuse(&f->out, &(struct wire_refuse){ .sub = announced(),
                                                       .code = WIRE_CODE_FORBIDDEN,
                                                       .message = { "no", 2 } });
    send_frame(f);
    assert_non_null(strstr(heard(&f->ann), "\"code\":\"FORBIDDEN\""));
    message(f, 5, "3", 0x400, 1, 0, true);
    send_frame(f);
    assert_heard(&f->ann, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_subscribe_is_acknowledged_with_its_place),
        TEST(test_a_message_is_one_frame_for_all_and_another_for_its_sender),
        TEST(test_a_refused_message_is_an_error_and_a_lost_shard_answers_what_waits),
        TEST(test_an_implicit_subscription_is_silent_until_somebody_subscribes),
        TEST(test_a_message_from_sql_comes_behind_the_changes_before_it),
        TEST(test_joins_leaves_and_states),
        TEST(test_many_at_once_are_one_sync),
        TEST(test_a_new_shard_makes_nobody_leave_and_come),
        TEST(test_since_is_answered_with_what_came_after_it_or_gone),
        TEST(test_a_new_identity_is_judged_while_the_old_one_goes_on),
    };

    return cmocka_run_group_tests_name("edge/fluxbase_room", tests, NULL, NULL);
}
