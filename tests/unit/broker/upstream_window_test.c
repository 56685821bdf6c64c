/* Tests of broker/upstream: what of the tailer's stream gets into the window. */
#include "broker/upstream.h"
#include "tests/unit/broker/kit.h"

struct fixture {
    struct kit kit;
    struct upstream *up;
    struct wire_writer out; /* the next frame */
};

static void on_need(void *ctx, uint32_t rel)
{
    (void)ctx;
    (void)rel;
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
    assert_non_null(why);
}

static int setup(void **state)
{
    static const struct upstream_events events = {
        .need = on_need, .fence = on_fence, .new_epoch = on_epoch, .malformed = on_malformed
    };
    struct fixture *f = rt_alloc(sizeof(*f));

    kit_init(&f->kit);
    f->up = upstream_new(&(struct upstream_config){ .route = f->kit.route,
                                                    .window = f->kit.window,
                                                    .relations = f->kit.relations,
                                                    .stats = &f->kit.stats,
                                                    .events = &events,
                                                    .ctx = f });
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    upstream_free(f->up);
    kit_fini(&f->kit);
    wire_writer_fini(&f->out);
    free(f);
    return 0;
}

static bool feed(struct fixture *f)
{
    bool done =
        upstream_frame(f->up, (struct wire_span){ (const char *)f->out.data, f->out.len }, RT_SEC);

    memset(f->out.data, 0xc1, f->out.len);
    wire_writer_clear(&f->out);
    return done;
}

static void begin(struct fixture *f, uint64_t lsn, bool continued)
{
    struct wire_begin record = kit_begin(lsn);

    record.continued = continued;
    wire_encode_begin(&f->out, &record);
}

static void end(struct fixture *f, uint64_t lsn)
{
    wire_encode_end(&f->out,
                    &(struct wire_end){ .commit_lsn = lsn, .end_lsn = lsn + 8, .count = 1 });
}

static void define(struct fixture *f)
{
    kit_write_relation(&f->out, 1, 10, "t", "id");
}

static void insert(struct fixture *f, uint32_t index)
{
    kit_write_change(&f->out, 1, index, "1", NULL);
}

/* "lsn/index" of everything kept of public.t, and the floor. */
static void expect(struct fixture *f, const char *text)
{
    struct wire_position at = { KIT_EPOCH, 0, 0 };
    struct window_cursor cursor;
    const struct window_entry *entry = NULL;
    struct rt_buf out = { 0 };

    if (window_seek(f->kit.window, "public", "t", &at, &cursor)) {
        while ((entry = window_next(&cursor)) != NULL) {
            rt_buf_printf(&out, "%" PRIu64 "/%" PRIu32 " ", entry->transaction->lsn, entry->index);
        }
    }
    rt_buf_puts(&out, "floor ");
    if (window_floor(f->kit.window, &at)) {
        kit_print_position(&out, &at);
    } else {
        rt_buf_puts(&out, "?");
    }
    assert_string_equal(rt_buf_cstr(&out), text);
    rt_buf_fini(&out);
}

static void test_changes_are_kept_though_nobody_watches(void **state)
{
    struct fixture *f = *state;
    uint32_t rels[1] = { 1 };
    struct wire_position after = { KIT_EPOCH, 200, 0 };
    struct window_cursor cursor;

    begin(f, 200, false);
    define(f);
    insert(f, 0);
    wire_encode_truncate(&f->out, 1, WIRE_TRUNCATE_CASCADE, rels, 1);
    end(f, 200);
    assert_true(feed(f));

    expect(f, "200/0 200/1 floor 199/end");
    assert_true(window_seek(f->kit.window, "public", "t", &after, &cursor));
    const struct window_entry *entry = window_next(&cursor);
    assert_int_equal(entry->kind, WINDOW_TRUNCATE);
    uint32_t flags = WIRE_TRUNCATE_CASCADE;
    assert_memory_equal(window_record(entry).data, &flags, sizeof(flags));
}

static void test_kept_record_is_the_record_that_came(void **state)
{
    struct fixture *f = *state;
    struct wire_position after = { KIT_EPOCH, 0, 0 };
    struct window_cursor cursor;
    struct wire_reader in;
    struct wire_change change;
    enum wire_type type = WIRE_BEGIN;

    begin(f, 200, false);
    define(f);
    insert(f, 5);
    end(f, 200);
    assert_true(feed(f));
    assert_true(window_seek(f->kit.window, "public", "t", &after, &cursor));
    struct wire_span record = window_record(window_next(&cursor));
    wire_reader_init(&in, record.data, record.len);
    assert_int_equal(wire_next_record(&in, &type), WIRE_OK);
    assert_int_equal(type, WIRE_CHANGE);
    assert_int_equal(wire_decode_change(&in, &change), WIRE_OK);
    assert_int_equal(change.index, 5);
    assert_ptr_equal(in.at, in.end);
}

static void test_fresh_broker_does_not_count_what_it_did_not_see_begin(void **state)
{
    struct fixture *f = *state;

    begin(f, 200, true);
    define(f);
    insert(f, 7);
    assert_true(feed(f));
    expect(f, "floor ?");
    begin(f, 200, true);
    insert(f, 8);
    end(f, 200);
    begin(f, 300, false);
    insert(f, 0);
    end(f, 300);
    assert_true(feed(f));
    expect(f, "300/0 floor 200/end");
}

static void test_fresh_broker_without_traffic_starts_at_its_first_progress(void **state)
{
    struct fixture *f = *state;

    wire_encode_progress(&f->out, &(struct wire_progress){ .epoch = KIT_EPOCH, .lsn = 101 });
    begin(f, 200, false);
    define(f);
    insert(f, 0);
    end(f, 200);
    assert_true(feed(f));
    expect(f, "200/0 floor 100/end");
}

static void test_restarted_tailer_leaves_the_window_and_completes_it(void **state)
{
    struct fixture *f = *state;

    begin(f, 200, false);
    define(f);
    insert(f, 0);
    end(f, 200);
    begin(f, 300, false);
    insert(f, 0);
    assert_true(feed(f));
    upstream_restart(f->up);
    begin(f, 200, false);
    define(f);
    insert(f, 0);
    end(f, 200);
    begin(f, 300, false);
    insert(f, 0);
    insert(f, 1);
    end(f, 300);
    assert_true(feed(f));
    expect(f, "200/0 300/0 300/1 floor 199/end");
}

static void test_hole_clears_the_window(void **state)
{
    struct fixture *f = *state;

    begin(f, 200, false);
    define(f);
    insert(f, 0);
    end(f, 200);
    assert_true(feed(f));
    upstream_lost(f->up);
    begin(f, 300, false);
    insert(f, 0);
    end(f, 300);
    assert_true(feed(f));
    expect(f, "300/0 floor 299/end");

    wire_encode_gap(&f->out, &(struct wire_gap){ .from = { KIT_EPOCH, 300, UINT32_MAX },
                                                 .to = { KIT_EPOCH, 400, UINT32_MAX },
                                                 .reason = kit_text("given up") });
    assert_true(feed(f));
    expect(f, "floor 400/end");
}

static void test_hole_inside_a_transaction_takes_it_along(void **state)
{
    struct fixture *f = *state;

    begin(f, 200, false);
    define(f);
    insert(f, 0);
    assert_true(feed(f));
    upstream_lost(f->up);
    begin(f, 200, true);
    insert(f, 9);
    end(f, 200);
    assert_true(feed(f));
    expect(f, "floor 200/end");
    kit_expect(&f->kit, 0, "gap 200/0 to 200/end\n");
}

static void test_change_that_is_given_up_takes_its_transaction_along(void **state)
{
    struct fixture *f = *state;

    begin(f, 200, false);
    define(f);
    insert(f, 0);
    kit_write_change(&f->out, 9, 1, "1", NULL);
    insert(f, 2);
    end(f, 200);
    assert_false(feed(f));
    upstream_tick(f->up, RT_SEC + UPSTREAM_NEED_TIMEOUT);
    assert_true(upstream_continue(f->up, 20 * RT_SEC));
    expect(f, "floor 200/end");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_changes_are_kept_though_nobody_watches),
        TEST(test_kept_record_is_the_record_that_came),
        TEST(test_fresh_broker_does_not_count_what_it_did_not_see_begin),
        TEST(test_fresh_broker_without_traffic_starts_at_its_first_progress),
        TEST(test_restarted_tailer_leaves_the_window_and_completes_it),
        TEST(test_hole_clears_the_window),
        TEST(test_hole_inside_a_transaction_takes_it_along),
        TEST(test_change_that_is_given_up_takes_its_transaction_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
