/* Tests of looking ahead (broker/upstream_records, broker/route/live): whatever is read before its turn, edges are told the same as
 * when every transaction comes in a frame of its own, and nothing of a frame is used when the frame is gone. */
#include "broker/upstream.h"
#include "tests/unit/broker/kit.h"

enum { TRANSACTIONS = 120, FRAME_MOST = 40 };

struct fixture {
    struct kit kit;
    struct upstream *up;
    struct wire_writer out;
};

static void on_need(void *ctx, uint32_t rel)
{
    (void)ctx;
    fail_msg("relation %" PRIu32 " is needed", rel);
}

static bool on_fence(void *ctx, const struct relation *relation, uint32_t xid, uint64_t lsn)
{
    (void)ctx;
    (void)relation;
    (void)xid;
    (void)lsn;
    return false;
}

static void on_epoch(void *ctx, uint64_t epoch)
{
    (void)ctx;
    (void)epoch;
}

static void on_malformed(void *ctx, const char *why)
{
    (void)ctx;
    fail_msg("%s", why);
}

/* The bytes are overwritten behind it. */
static void feed(struct fixture *f)
{
    assert_true(
        upstream_frame(f->up, (struct wire_span){ (const char *)f->out.data, f->out.len }, RT_SEC));
    memset(f->out.data, 0xc1, f->out.len);
    wire_writer_clear(&f->out);
    route_flush(f->kit.route);
}

/* `alice` and `bob`, judged, at edge 0; public.u is nobody's. */
static void start(struct fixture *f)
{
    static const struct upstream_events events = {
        .need = on_need, .fence = on_fence, .new_epoch = on_epoch, .malformed = on_malformed
    };
    static const char *const owners[] = { "alice", "bob" };
    struct wire_begin begin = kit_begin(100);
    struct access *access = kit_columns(10, "*");

    memset(f, 0, sizeof(*f));
    kit_init(&f->kit);
    f->up = upstream_new(&(struct upstream_config){ .route = f->kit.route,
                                                    .window = f->kit.window,
                                                    .relations = f->kit.relations,
                                                    .stats = &f->kit.stats,
                                                    .events = &events,
                                                    .ctx = f });
    wire_encode_begin(&f->out, &begin);
    kit_write_relation(&f->out, 1, 10, "t", "id a");
    kit_write_relation(&f->out, 2, 11, "u", "id");
    wire_encode_end(&f->out, &(struct wire_end){ .commit_lsn = 100, .end_lsn = 108, .count = 0 });
    feed(f);
    kit_identify(&f->kit, 0, 1, "anon");
    for (uint64_t i = 0; i < 2; i++) {
        struct wire_writer out = { 0 };
        wire_encode_subscribe(&out, &(struct wire_subscribe){ .sub = i + 7,
                                                              .identity = 1,
                                                              .channel = kit_text("table:public.t"),
                                                              .filter = kit_text(owners[i]) });
        assert_null(kit_message(&f->kit, 0, &out));
    }
    kit_allow(&f->kit, "public.t/anon", 10, "*");
    kit_show(&f->kit, "alice/", access, "alice");
    kit_show(&f->kit, "bob/", access, "bob");
    access_unref(access);
    route_flush(f->kit.route);
    rt_buf_clear(&f->kit.sent[0]);
}

static void finish(struct fixture *f)
{
    upstream_free(f->up);
    kit_fini(&f->kit);
    wire_writer_fini(&f->out);
}

/* Rows of alice, of bob, of others, that move between them, that are deleted, of the other table; definitions between them.
 * The same for the same number. */
static void write_transaction(struct fixture *f, unsigned number)
{
    static const char *const rows[] = { "1,alice", "2,bob", "3,carol", "4,alice", NULL };
    uint64_t lsn = 200 + UINT64_C(100) * number;
    struct wire_begin begin = kit_begin(lsn);
    uint32_t index = 0;

    if (number % 17 == 16) {
        kit_write_relation(&f->out, 1, 10, "t", "id a");
    }
    wire_encode_begin(&f->out, &begin);
    for (; index < number % 4; index++) {
        unsigned pick = number * 7 + index * 3;
        if (pick % 6 == 5) {
            kit_write_change(&f->out, 2, index, "1", NULL);
        } else {
            const char *old = rows[(pick / 5) % 5];
            const char *new_row = old == NULL ? rows[pick % 4] : rows[pick % 5];
            kit_write_change(&f->out, 1, index, new_row, old);
        }
    }
    wire_encode_end(&f->out,
                    &(struct wire_end){ .commit_lsn = lsn, .end_lsn = lsn + 8, .count = index });
}

static void test_many_in_a_frame_are_as_each_in_its_own(void **state)
{
    struct fixture alone;
    struct fixture many;
    unsigned in_frame = 0;

    (void)state;
    start(&alone);
    start(&many);
    for (unsigned i = 0; i < TRANSACTIONS; i++) {
        write_transaction(&alone, i);
        feed(&alone);
        write_transaction(&many, i);
        if (++in_frame == 1 + i % FRAME_MOST || i == TRANSACTIONS - 1) {
            feed(&many);
            in_frame = 0;
        }
    }
    assert_true(alone.kit.sent[0].len > 1000);
    assert_int_equal(alone.kit.stats.judged->value, many.kit.stats.judged->value);
    assert_string_equal(rt_buf_cstr(&many.kit.sent[0]), rt_buf_cstr(&alone.kit.sent[0]));
    finish(&alone);
    finish(&many);
}

/* What was processed before is decoded ahead with the rest, and left out when its turn comes. */
static void test_what_comes_again_in_the_middle_is_left_out(void **state)
{
    static const unsigned order[] = { 10, 5, 2, 11, 3, 12, 13, 14, 15 };
    struct fixture alone;
    struct fixture many;

    (void)state;
    start(&alone);
    start(&many);
    for (unsigned i = 0; i < 16; i++) {
        write_transaction(&alone, i);
        feed(&alone);
    }
    for (unsigned i = 0; i < 10; i++) {
        write_transaction(&many, i);
    }
    feed(&many);
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        write_transaction(&many, order[i]);
    }
    feed(&many);
    assert_true(many.kit.stats.duplicates->value > 0);
    assert_string_equal(rt_buf_cstr(&many.kit.sent[0]), rt_buf_cstr(&alone.kit.sent[0]));
    finish(&alone);
    finish(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_in_a_frame_are_as_each_in_its_own),
        cmocka_unit_test(test_what_comes_again_in_the_middle_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
