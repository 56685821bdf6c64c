/* Tests of broker/channels: what edges are told, record by record, without a route and without a clock of its own.
 */
#include "broker/channels/channels.h"
#include "runtime/buf.h"
#include "runtime/metrics.h"
#include "tests/unit/broker/channels/told.h"
#include "tests/unit/broker/kit.h"

struct edge {
    struct channels_edge *guest;
    struct wire_writer out;
    bool full; /* no room for replays */
};

struct fixture {
    struct channels *channels;
    struct rt_metrics *metrics;
    struct edge edges[2];
    bool known;
    struct wire_position at;
    struct wire_position floor;
    rt_usec now;
    struct rt_buf said;
};

static struct fixture *the; /* the clock has no context */

static struct wire_writer *on_out(void *ctx, void *user, bool in_transaction)
{
    (void)ctx;
    (void)in_transaction;
    return &((struct edge *)user)->out;
}

static void on_written(void *ctx, void *user)
{
    (void)ctx;
    (void)user;
}

static bool on_room(void *ctx, void *user)
{
    (void)ctx;
    return !((struct edge *)user)->full;
}

static bool on_position(void *ctx, struct wire_position *out)
{
    const struct fixture *f = ctx;

    *out = f->at;
    return f->known;
}

static bool on_floor(void *ctx, struct wire_position *out)
{
    const struct fixture *f = ctx;

    *out = f->floor;
    return f->known;
}

static rt_usec now(void)
{
    return the->now;
}

static int set_up(void **state)
{
    static const struct channels_events events = { on_out, on_written, on_room, on_position,
                                                   on_floor };
    struct fixture *f = rt_alloc(sizeof(*f));
    char why[200];

    the = f;
    f->metrics = rt_metrics_new();
    f->known = true;
    f->at = (struct wire_position){ 7, 100, UINT32_MAX };
    f->floor = (struct wire_position){ 7, 50, UINT32_MAX };
    f->now = 1000;
    f->channels = channels_new(&(struct channels_config){
        .shards = 1,
        .topic_bytes = 1000,
        .replay_bytes = 1500,
        .replay_time = RT_SEC,
        .topics_max = 4,
        .room_max = 3,
        .meta_max = 20,
        .metas_max = 60,
        .grace = 100,
        .rules = rules_parse("broadcast:closed join=nobody send=nobody", why, sizeof(why)),
        .metrics = f->metrics,
        .now = now,
        .wall_now = now,
        .events = &events,
        .ctx = f,
    });
    for (int i = 0; i < 2; i++) {
        f->edges[i].guest = channels_edge_new(f->channels, &f->edges[i]);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    channels_free(f->channels);
    rt_metrics_free(f->metrics);
    wire_writer_fini(&f->edges[0].out);
    wire_writer_fini(&f->edges[1].out);
    rt_buf_fini(&f->said);
    free(f);
    return 0;
}

/* Since the last call. */
static const char *told(struct fixture *f, unsigned edge)
{
    struct wire_reader in;
    enum wire_type type = WIRE_DONE;

    rt_buf_clear(&f->said);
    wire_reader_init(&in, f->edges[edge].out.data, f->edges[edge].out.len);
    while (f->edges[edge].out.len > 0 && wire_next_record(&in, &type) == WIRE_OK) {
        say_record(&f->said, type, &in);
    }
    wire_writer_clear(&f->edges[edge].out);
    return rt_buf_cstr(&f->said);
}

static const struct channels_who somebody = {
    .identity = 1,
    .rights = { .role = "authenticated", .authenticated = true, .claims = { "{}", 2 } }
};

static void subscribe_since(struct fixture *f, unsigned edge, uint64_t sub, const char *channel,
                            uint64_t lsn, const char *stamp)
{
    channels_subscribe(f->edges[edge].guest,
                       &(struct wire_subscribe){ .sub = sub,
                                                 .identity = 1,
                                                 .channel = kit_text(channel),
                                                 .filter = { "", 0 },
                                                 .has_since = lsn != 0,
                                                 .since = { 7, lsn, UINT32_MAX },
                                                 .token = kit_text(stamp) },
                       &somebody);
}

static void subscribe(struct fixture *f, unsigned edge, uint64_t sub, const char *channel)
{
    subscribe_since(f, edge, sub, channel, 0, "");
}

static void publish(struct fixture *f, unsigned edge, const char *channel, const char *payload,
                    uint64_t reply)
{
    channels_publish(f->edges[edge].guest,
                     &(struct wire_publish){ .identity = 1,
                                             .channel = kit_text(channel),
                                             .event = kit_text("e"),
                                             .payload = kit_text(payload),
                                             .sender = 9,
                                             .to_sender = false,
                                             .reply = reply },
                     &somebody);
}

static void sql(struct fixture *f, uint64_t lsn, const char *content)
{
    f->at = (struct wire_position){ 7, lsn, 0 };
    channels_sql(f->channels, &f->at, kit_text(content));
    f->at.index = UINT32_MAX;
}

static void track(struct fixture *f, unsigned edge, uint64_t ref, const char *key, const char *meta,
                  uint64_t reply)
{
    channels_track(f->edges[edge].guest,
                   &(struct wire_track){ .identity = 1,
                                         .channel = kit_text("presence:r"),
                                         .ref = ref,
                                         .key = kit_text(key),
                                         .meta = kit_text(meta),
                                         .reply = reply },
                   &somebody);
}

static void untrack(struct fixture *f, unsigned edge, uint64_t ref)
{
    channels_untrack(f->edges[edge].guest,
                     &(struct wire_untrack){ .channel = kit_text("presence:r"), .ref = ref });
}

static void settle(struct fixture *f)
{
    f->now += 100;
    channels_tick(f->channels);
    (void)told(f, 0);
    (void)told(f, 1);
}

static void test_a_message_goes_once_to_each_edge_with_members(void **state)
{
    struct fixture *f = *state;

    subscribe(f, 0, 1, "broadcast:a");
    subscribe(f, 0, 2, "broadcast:a");
    subscribe(f, 1, 3, "broadcast:a");
    assert_string_equal(told(f, 0), "channel 1 broadcast:a 100/0\naccept 1 1 live\n"
                                    "presence 1 full unsettled\n"
                                    "channel 1 broadcast:a 100/0\naccept 2 1 live\n");
    (void)told(f, 1);
    publish(f, 0, "broadcast:a", "1", 5);
    assert_string_equal(told(f, 0), "message 1 e 1 100/1001 sender 9 not to it\ndone 5 0\n");
    assert_string_equal(told(f, 1), "message 1 e 1 100/1001\n");
    assert_true(channels_unsubscribe(f->edges[1].guest, 3));
    assert_false(channels_unsubscribe(f->edges[1].guest, 3));
    publish(f, 1, "broadcast:a", "2", 0);
    assert_string_equal(told(f, 1), "");
    assert_string_equal(told(f, 0), "message 1 e 2 100/1002\n");
}

static void test_what_may_not_be_is_answered(void **state)
{
    struct fixture *f = *state;

    subscribe(f, 0, 1, "broadcast:closed");
    subscribe(f, 0, 2, "table:a.b");
    subscribe(f, 0, 3, "broadcast:a");
    subscribe(f, 0, 3, "broadcast:b");
    (void)told(f, 1);
    assert_string_equal(told(f, 0),
                        "refuse 1 2\nrefuse 2 3\nchannel 1 broadcast:a 100/0\naccept 3 1 live\n"
                        "presence 1 full unsettled\nrefuse 3 4\n");
    publish(f, 0, "broadcast:closed", "1", 4);
    publish(f, 0, "broadcast:a", "{", 5);
    assert_string_equal(told(f, 0), "done 4 2\ndone 5 4\n");
    const char *names[] = { "broadcast:1", "broadcast:2", "broadcast:3", "broadcast:4" };
    for (size_t i = 0; i < 4; i++) {
        subscribe(f, 0, 10 + i, names[i]);
    }
    assert_non_null(strstr(told(f, 0), "refuse 13 4\n"));
}

static void test_messages_from_sql_have_their_own_place_and_bad_ones_are_ignored(void **state)
{
    struct fixture *f = *state;

    subscribe(f, 0, 1, "broadcast:a");
    (void)told(f, 0);
    publish(f, 1, "broadcast:a", "1", 0);
    sql(f, 200, "broadcast:a\nmade\n{\"n\":1}");
    sql(f, 210, "broadcast:a\nmade\n{\"n\":");
    sql(f, 220, "broadcast:a\nmade");
    sql(f, 230, "table:a.b\nmade\n1");
    sql(f, 240, "");
    publish(f, 1, "broadcast:a", "2", 0);
    assert_string_equal(told(f, 0), "message 1 e 1 100/1001\nmessage 1 made {\"n\":1} 200/0\n"
                                    "message 1 e 2 240/1002\n");
}

static void test_since_gives_what_came_after_it_and_then_what_comes(void **state)
{
    struct fixture *f = *state;

    publish(f, 1, "broadcast:a", "1", 0);
    publish(f, 1, "broadcast:a", "2", 0);
    sql(f, 200, "broadcast:a\ns\n3");
    subscribe_since(f, 0, 1, "broadcast:a", 100, "3e9"); /* 1001 */
    assert_string_equal(told(f, 0), "channel 2 broadcast:a 100/1001\naccept 1 2 replay\n"
                                    "message 2 e 2 100/1002\nmessage 2 s 3 200/0\n"
                                    "channel 1 broadcast:a 200/0\naccept 1 1 live\n"
                                    "presence 1 full unsettled\n");
    subscribe_since(f, 1, 2, "broadcast:a", 200, "");
    assert_string_equal(told(f, 1), "channel 3 broadcast:a 200/0\naccept 2 3 replay\n"
                                    "channel 1 broadcast:a 200/0\naccept 2 1 live\n"
                                    "presence 1 full unsettled\n");
}

static void test_since_that_is_not_there_yet_waits_and_one_that_is_not_kept_is_gone(void **state)
{
    struct fixture *f = *state;

    subscribe_since(f, 0, 1, "broadcast:a", 300, "");
    subscribe_since(f, 0, 2, "broadcast:a", 40, "");
    assert_string_equal(told(f, 0), "gone 2 2\n");
    sql(f, 250, "broadcast:a\ns\n1");
    sql(f, 350, "broadcast:a\ns\n2");
    f->edges[0].full = true;
    channels_tick(f->channels);
    assert_string_equal(told(f, 0), "");
    f->edges[0].full = false;
    channels_tick(f->channels);
    assert_string_equal(told(f, 0), "channel 2 broadcast:a 300/0\naccept 1 2 replay\n"
                                    "message 2 s 2 350/0\nchannel 1 broadcast:a 350/0\n"
                                    "accept 1 1 live\npresence 1 full unsettled\n");
    subscribe_since(f, 0, 3, "broadcast:a", 900, "");
    f->now += CHANNELS_AHEAD_TIMEOUT;
    channels_tick(f->channels);
    assert_non_null(strstr(told(f, 0), "gone 3 3\n"));
    subscribe_since(f, 0, 4, "broadcast:a", 350, "xyz");
    assert_string_equal(told(f, 0), "refuse 4 4\n");
}

static void test_messages_are_kept_by_bytes_and_time(void **state)
{
    struct fixture *f = *state;
    char text[500];

    memset(text, '1', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    publish(f, 1, "broadcast:a", "1", 0);
    publish(f, 1, "broadcast:a", text, 0);
    publish(f, 1, "broadcast:a", text, 0); /* the first one does not fit any more */
    subscribe_since(f, 0, 1, "broadcast:a", 100, "3e8");
    assert_string_equal(told(f, 0), "gone 1 2\n");
    f->now += RT_SEC;
    channels_tick(f->channels);
    subscribe_since(f, 0, 2, "broadcast:a", 100, "3e9");
    assert_string_equal(told(f, 0), "gone 2 2\n");
    /* The channel was forgotten with its messages; that they were there is not. */
    subscribe_since(f, 0, 3, "broadcast:a", 100, "3eb");
    assert_non_null(strstr(told(f, 0), "accept 3 "));
}

static void test_who_comes_and_goes_is_told_once_a_tick(void **state)
{
    struct fixture *f = *state;

    settle(f);
    subscribe(f, 0, 1, "presence:r");
    subscribe(f, 1, 2, "presence:r");
    (void)told(f, 1);
    assert_string_equal(told(f, 0),
                        "channel 1 presence:r 100/0\naccept 1 1 live\npresence 1 full\n");
    track(f, 1, 11, "ann", "1", 5);
    track(f, 1, 12, "bob", "2", 0);
    track(f, 1, 13, "eve", "3", 0);
    untrack(f, 1, 13);
    assert_string_equal(told(f, 1), "done 5 0\n");
    channels_tick(f->channels);
    assert_string_equal(told(f, 0), "presence 1 changes 11:ann=1 12:bob=2\n");
    assert_string_equal(told(f, 1), "presence 1 changes 11:ann=1 12:bob=2\n");
    track(f, 1, 11, "ann", "1", 0); /* nothing new */
    track(f, 1, 12, "bob", "7", 0);
    untrack(f, 0, 11); /* another edge's */
    channels_tick(f->channels);
    assert_string_equal(told(f, 0), "presence 1 changes 12:bob=7\n");
    untrack(f, 1, 11);
    channels_edge_free(f->edges[1].guest, false);
    f->edges[1].guest = channels_edge_new(f->channels, &f->edges[1]);
    channels_tick(f->channels);
    assert_string_equal(told(f, 0), "presence 1 changes 11:ann=gone 12:bob=gone\n");
    channels_tick(f->channels);
    assert_string_equal(told(f, 0), "");
}

static void test_an_edge_that_starts_over_has_the_grace_to_say_its_presences_again(void **state)
{
    struct fixture *f = *state;

    settle(f);
    subscribe(f, 0, 1, "presence:r");
    track(f, 1, 11, "ann", "1", 0);
    track(f, 1, 12, "bob", "2", 0);
    channels_tick(f->channels);
    (void)told(f, 0);
    channels_edge_free(f->edges[1].guest, true);
    f->edges[1].guest = channels_edge_new(f->channels, &f->edges[1]);
    channels_tick(f->channels);
    assert_string_equal(told(f, 0), "");
    track(f, 1, 11, "ann", "1", 0);
    f->now += 100;
    channels_tick(f->channels);
    assert_string_equal(told(f, 0), "presence 1 changes 12:bob=gone\n");
}

static void test_a_room_settles_after_the_grace(void **state)
{
    struct fixture *f = *state;

    track(f, 1, 11, "ann", "1", 0);
    subscribe(f, 0, 1, "presence:r");
    assert_non_null(strstr(told(f, 0), "presence 1 full unsettled 11:ann=1\n"));
    channels_tick(f->channels);
    assert_string_equal(told(f, 0), "presence 1 changes unsettled 11:ann=1\n");
    f->now += 100;
    channels_tick(f->channels);
    assert_string_equal(told(f, 0), "presence 1 full 11:ann=1\n");
}

static void test_presences_are_bounded_and_end_with_their_identity(void **state)
{
    struct fixture *f = *state;

    settle(f);
    subscribe(f, 0, 1, "presence:r");
    (void)told(f, 0);
    track(f, 1, 1, "a", "\"123456789012345678\"", 1);
    track(f, 1, 2, "b", "\"1234567890123456789\"", 2); /* too large */
    track(f, 1, 3, "", "1", 3);
    track(f, 1, 4, "c", "{", 4);
    track(f, 1, 5, "d", "\"123456789012345678\"", 5);
    track(f, 1, 6, "e", "\"123456789012345678\"", 6); /* too many bytes */
    track(f, 1, 7, "f", "1", 7);
    track(f, 1, 8, "g", "1", 8); /* too many */
    track(f, 1, 7, "x", "1", 9); /* another key */
    assert_string_equal(told(f, 1), "done 1 0\ndone 2 4\ndone 3 4\ndone 4 4\ndone 5 0\ndone 6 4\n"
                                    "done 7 0\ndone 8 4\ndone 9 4\n");
    channels_tick(f->channels);
    (void)told(f, 0);
    channels_forget(f->edges[1].guest, 1);
    channels_tick(f->channels);
    assert_string_equal(told(f, 0), "presence 1 changes 1:a=gone 5:d=gone 7:f=gone\n");
    channels_forget(f->edges[0].guest, 1);
    publish(f, 1, "presence:r", "1", 0);
    assert_string_equal(told(f, 0), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_message_goes_once_to_each_edge_with_members),
        TEST(test_what_may_not_be_is_answered),
        TEST(test_messages_from_sql_have_their_own_place_and_bad_ones_are_ignored),
        TEST(test_since_gives_what_came_after_it_and_then_what_comes),
        TEST(test_since_that_is_not_there_yet_waits_and_one_that_is_not_kept_is_gone),
        TEST(test_messages_are_kept_by_bytes_and_time),
        TEST(test_who_comes_and_goes_is_told_once_a_tick),
        TEST(test_an_edge_that_starts_over_has_the_grace_to_say_its_presences_again),
        TEST(test_a_room_settles_after_the_grace),
        TEST(test_presences_are_bounded_and_end_with_their_identity),
    };

    return cmocka_run_group_tests_name("broker/channels", tests, NULL, NULL);
}
