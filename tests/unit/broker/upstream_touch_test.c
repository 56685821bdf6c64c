/* Tests of broker/upstream_touch: tables of interest that a transaction touches are told before its first change is routed, none is
 * missed when it comes in parts, again, or with holes, nothing without interest; their changes are handed over before, each once. */
#include "broker/upstream.h"
#include "tests/unit/broker/kit.h"

enum { T = 10, M = 11, N = 12 }; /* OIDs; rel 1, 2, 3 */

struct fixture {
    struct kit kit;
    struct upstream *up;
    struct wire_writer out;
    struct rt_buf told;
    uint64_t changes; /* counted when the last transaction began */
    /* of the last event */
    uint64_t last_lsn;
    bool last_whole;
    unsigned last_set; /* bit oid - T */
    /* of the transaction at hand */
    uint32_t handed; /* bit index */
    bool missed;     /* anything may have changed */
};

static void on_need(void *ctx, uint32_t rel)
{
    struct fixture *f = ctx;

    rt_buf_printf(&f->told, "need %" PRIu32 "\n", rel);
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
    struct fixture *f = ctx;

    (void)why;
    rt_buf_puts(&f->told, "malformed\n");
}

/* Also how many changes of the transaction were processed before. */
static void on_touches(void *ctx, const uint32_t *oids, uint32_t count, bool whole, uint32_t xid,
                       uint64_t lsn)
{
    struct fixture *f = ctx;
    unsigned set = 0;

    for (uint32_t i = 0; i < count; i++) {
        assert_in_range(oids[i], T, N);
        assert_int_equal(set & (1U << (oids[i] - T)), 0);
        set |= 1U << (oids[i] - T);
    }
    f->last_set = set;
    f->last_lsn = lsn;
    f->last_whole = whole;
    rt_buf_printf(&f->told, "%s%s%s%s xid %" PRIu32 " at %" PRIu64 " after %" PRIu64 "\n",
                  whole ? "whole" : "part", (set & 1) != 0 ? " t" : "", (set & 2) != 0 ? " m" : "",
                  (set & 4) != 0 ? " n" : "", xid, lsn, f->kit.stats.changes->value - f->changes);
}

/* Only of tables of interest; indexes go up. */
static void on_touching(void *ctx, struct relation *relation, const struct wire_change *change,
                        uint32_t xid)
{
    struct fixture *f = ctx;

    if (relation == NULL) {
        f->missed = true;
    } else if (change == NULL) {
        rt_buf_printf(&f->told, "truncate %s xid %" PRIu32 "\n", relation->table, xid);
    } else {
        assert_in_range(relation->oid, M, N);
        assert_int_equal(f->handed >> change->index, 0);
        f->handed |= 1U << change->index;
    }
}

static void expect_handed(struct fixture *f, uint32_t handed, bool missed)
{
    assert_int_equal(f->handed, handed);
    assert_int_equal(f->missed, missed);
    f->handed = 0;
    f->missed = false;
}

static void expect(struct fixture *f, const char *lines)
{
    assert_string_equal(rt_buf_cstr(&f->told), lines);
    rt_buf_clear(&f->told);
    f->changes = f->kit.stats.changes->value;
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

static void insert(struct fixture *f, uint32_t rel, uint32_t index)
{
    kit_write_change(&f->out, rel, index, "1", NULL);
}

static void relations(struct fixture *f)
{
    kit_write_relation(&f->out, 1, T, "t", "id");
    kit_write_relation(&f->out, 2, M, "m", "id");
    kit_write_relation(&f->out, 3, N, "n", "id");
}

static int setup(void **state)
{
    static const struct upstream_events events = { .need = on_need,
                                                   .fence = on_fence,
                                                   .new_epoch = on_epoch,
                                                   .touches = on_touches,
                                                   .touching = on_touching,
                                                   .malformed = on_malformed };
    struct fixture *f = rt_alloc(sizeof(*f));

    kit_init(&f->kit);
    struct upstream_config config = { .route = f->kit.route,
                                      .window = f->kit.window,
                                      .relations = f->kit.relations,
                                      .stats = &f->kit.stats,
                                      .events = &events,
                                      .ctx = f };
    f->up = upstream_new(&config);
    begin(f, 100, false);
    relations(f);
    end(f, 100);
    assert_true(feed(f));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    upstream_free(f->up);
    kit_fini(&f->kit);
    wire_writer_fini(&f->out);
    rt_buf_fini(&f->told);
    free(f);
    return 0;
}

static void test_without_interest_nothing_is_told(void **state)
{
    struct fixture *f = *state;

    upstream_interest(f->up, M, 1);
    upstream_interest(f->up, M, 1);
    upstream_interest(f->up, M, -1);
    upstream_interest(f->up, M, -1);
    upstream_interest(f->up, N, -1);
    begin(f, 200, false);
    insert(f, 2, 0);
    end(f, 200);
    begin(f, 300, false);
    insert(f, 2, 0);

    assert_true(feed(f));
    expect(f, "");
}

static void test_what_is_touched_is_told_before_the_first_change(void **state)
{
    struct fixture *f = *state;
    uint32_t rels[] = { 3, 2 };

    upstream_interest(f->up, M, 1);
    upstream_interest(f->up, N, 1);
    begin(f, 200, false);
    insert(f, 1, 0);
    insert(f, 2, 1);
    insert(f, 2, 2);
    end(f, 200);
    assert_true(feed(f));
    expect(f, "whole m xid 200 at 200 after 0\n");
    expect_handed(f, 6, false);

    begin(f, 300, false);
    insert(f, 1, 0);
    end(f, 300);
    begin(f, 400, false);
    wire_encode_truncate(&f->out, 0, 0, rels, 2);
    end(f, 400);
    assert_true(feed(f));
    expect(f, "truncate n xid 400\ntruncate m xid 400\nwhole m n xid 400 at 400 after 1\n");
    expect_handed(f, 0, false);
}

static void test_a_relation_described_in_the_same_frame_is_known(void **state)
{
    struct fixture *f = *state;

    upstream_restart(f->up);
    upstream_interest(f->up, M, 1);
    begin(f, 200, false);
    insert(f, 1, 0); /* unknown: the look ahead ends here */
    relations(f);
    end(f, 200);
    assert_false(feed(f));
    expect(f, "part xid 200 at 200 after 0\nneed 1\n");
    relations(f);
    upstream_message(f->up, (struct wire_span){ (const char *)f->out.data, f->out.len });
    wire_writer_clear(&f->out);
    assert_true(upstream_continue(f->up, RT_SEC));
    expect(f, "whole xid 200 at 200 after 1\n");

    upstream_restart(f->up);
    begin(f, 300, false);
    relations(f);
    insert(f, 1, 0);
    insert(f, 2, 1);
    end(f, 300);
    assert_true(feed(f));
    expect(f, "whole m xid 300 at 300 after 0\n");
    expect_handed(f, 2, false);
}

static void test_one_in_parts_is_told_at_once_and_at_its_end(void **state)
{
    struct fixture *f = *state;

    upstream_interest(f->up, M, 1);
    upstream_interest(f->up, N, 1);
    begin(f, 200, false);
    insert(f, 2, 0);
    insert(f, 1, 1);
    assert_true(feed(f));
    expect(f, "part m xid 200 at 200 after 0\n");
    begin(f, 200, true);
    insert(f, 1, 2);
    assert_true(feed(f));
    begin(f, 200, true);
    insert(f, 3, 3);
    end(f, 200);
    assert_true(feed(f));
    expect(f, "whole m n xid 200 at 200 after 2\n");
    expect_handed(f, 9, false);

    begin(f, 300, false);
    insert(f, 1, 0);
    assert_true(feed(f));
    begin(f, 300, true);
    end(f, 300);
    assert_true(feed(f));
    expect(f, "part xid 300 at 300 after 0\nwhole xid 300 at 300 after 1\n");
}

static void test_interest_that_comes_in_the_middle_takes_everything_as_touched(void **state)
{
    struct fixture *f = *state;

    begin(f, 200, false);
    insert(f, 2, 0);
    assert_true(feed(f));
    upstream_interest(f->up, M, 1);
    begin(f, 200, true);
    insert(f, 1, 1);
    assert_true(feed(f));
    expect(f, "part m xid 200 at 200 after 1\n");
    begin(f, 200, true);
    end(f, 200);
    assert_true(feed(f));
    expect(f, "whole m xid 200 at 200 after 0\n");
    expect_handed(f, 0, true);
}

static void test_one_that_comes_again_keeps_what_it_touched(void **state)
{
    struct fixture *f = *state;

    upstream_interest(f->up, M, 1);
    upstream_interest(f->up, N, 1);
    begin(f, 200, false);
    insert(f, 2, 0);
    assert_true(feed(f));
    upstream_restart(f->up);
    begin(f, 200, false);
    relations(f);
    insert(f, 2, 0);
    insert(f, 3, 1);
    end(f, 200);
    assert_true(feed(f));
    expect(f, "part m xid 200 at 200 after 0\nwhole m n xid 200 at 200 after 1\n");
    expect_handed(f, 3, false);

    begin(f, 200, false);
    insert(f, 2, 0);
    end(f, 200);
    assert_true(feed(f));
    expect(f, ""); /* known: nothing new in it */
}

static void test_one_that_was_handed_over_ahead_is_not_again(void **state)
{
    struct fixture *f = *state;

    upstream_interest(f->up, M, 1);
    begin(f, 200, false);
    insert(f, 2, 0);
    insert(f, 9, 1); /* its definition never comes, but another link */
    end(f, 200);
    assert_false(feed(f));
    expect(f, "part m xid 200 at 200 after 0\nneed 9\n");
    expect_handed(f, 1, false);
    upstream_restart(f->up);
    begin(f, 200, false);
    relations(f);
    insert(f, 2, 0);
    insert(f, 2, 1);
    end(f, 200);
    assert_true(feed(f));
    expect_handed(f, 2, false);
}

static void test_holes_touch_everything(void **state)
{
    struct fixture *f = *state;

    upstream_interest(f->up, M, 1);
    upstream_interest(f->up, N, 1);
    begin(f, 200, false);
    insert(f, 1, 0);
    assert_true(feed(f));
    upstream_lost(f->up);
    begin(f, 200, true);
    insert(f, 1, 5);
    assert_true(feed(f));
    expect(f, "part xid 200 at 200 after 0\nwhole m n xid 0 at 200 after 1\n"
              "part m n xid 200 at 200 after 1\n");
    expect_handed(f, 0, true);
    wire_encode_gap(&f->out, &(struct wire_gap){ .from = { KIT_EPOCH, 200, UINT32_MAX },
                                                 .to = { KIT_EPOCH, 250, UINT32_MAX },
                                                 .reason = kit_text("slot lost") });
    begin(f, 300, false);
    insert(f, 1, 0);
    end(f, 300);
    assert_true(feed(f));
    expect(f, "whole m n xid 0 at 250 after 0\n");

    begin(f, 400, false);
    insert(f, 9, 0);
    end(f, 400);
    assert_false(feed(f));
    upstream_tick(f->up, RT_SEC + UPSTREAM_NEED_TIMEOUT);
    assert_true(upstream_continue(f->up, 20 * RT_SEC));
    expect(f, "part xid 400 at 400 after 0\nneed 9\nwhole m n xid 400 at 400 after 0\n");
}

static void test_a_frame_that_breaks_off_is_no_whole_transaction(void **state)
{
    struct fixture *f = *state;

    upstream_interest(f->up, M, 1);
    begin(f, 200, false);
    insert(f, 1, 0);
    wire_write_raw(&f->out, "\xc1", 1);
    end(f, 200);
    assert_true(feed(f));
    expect(f, "part xid 200 at 200 after 0\nmalformed\n");
    begin(f, 300, false);
    begin(f, 400, false);
    end(f, 400);
    assert_true(feed(f));
    expect(f, "whole m xid 0 at 299 after 0\npart xid 300 at 300 after 0\n");
}

/* --- any division of any stream ------------------------------------------------------------------- */

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 16;
}

/* One transaction of `count` changes, cut anywhere, with restarts of the link: what was told last is the truth. */
static void run_transaction(struct fixture *f, uint64_t lsn, uint32_t *seed)
{
    uint32_t rels[12];
    uint32_t count = next(seed) % 12;
    uint32_t at = 0;
    unsigned truth = 0;
    uint32_t of_interest = 0;
    bool continued = false;

    for (uint32_t i = 0; i < count; i++) {
        rels[i] = 1 + next(seed) % 8 % 3;
        truth |= rels[i] > 1 ? 1U << (rels[i] - 1) : 0;
        of_interest |= rels[i] > 1 ? 1U << i : 0;
    }
    f->last_lsn = 0;
    f->handed = 0;
    f->missed = false;
    for (;;) {
        bool again = next(seed) % 16 == 0;
        if (again) {
            upstream_restart(f->up);
            at = 0;
            continued = false;
        }
        begin(f, lsn, continued);
        if (again) {
            relations(f);
        }
        uint32_t until = at + next(seed) % 6;
        for (; at < count && at < until; at++) {
            insert(f, rels[at], at);
        }
        bool over = at == count && next(seed) % 2 == 0;
        if (over) {
            end(f, lsn);
        }
        assert_true(feed(f));
        /* Whatever was processed was told before. */
        for (uint32_t i = 0; i < at; i++) {
            bool told = f->last_lsn == lsn &&
                        (!f->last_whole || (f->last_set & (1U << (rels[i] - 1))) != 0);
            assert_true(rels[i] == 1 || told);
        }
        continued = true;
        if (over) {
            break;
        }
    }
    if (truth != 0 || f->last_lsn == lsn) {
        assert_int_equal(f->last_lsn, lsn);
        assert_true(f->last_whole);
        assert_int_equal(f->last_set, truth);
    }
    assert_int_equal(f->handed, of_interest);
    assert_false(f->missed);
}

static void test_however_a_stream_is_cut_the_last_word_is_the_truth(void **state)
{
    struct fixture *f = *state;
    uint32_t seed = 4;

    upstream_interest(f->up, M, 1);
    upstream_interest(f->up, N, 1);
    for (uint64_t lsn = 200; lsn < 200 + 10 * 2000; lsn += 10) {
        run_transaction(f, lsn, &seed);
        rt_buf_clear(&f->told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_without_interest_nothing_is_told),
        TEST(test_what_is_touched_is_told_before_the_first_change),
        TEST(test_a_relation_described_in_the_same_frame_is_known),
        TEST(test_one_in_parts_is_told_at_once_and_at_its_end),
        TEST(test_interest_that_comes_in_the_middle_takes_everything_as_touched),
        TEST(test_one_that_comes_again_keeps_what_it_touched),
        TEST(test_one_that_was_handed_over_ahead_is_not_again),
        TEST(test_holes_touch_everything),
        TEST(test_a_frame_that_breaks_off_is_no_whole_transaction),
        TEST(test_however_a_stream_is_cut_the_last_word_is_the_truth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
