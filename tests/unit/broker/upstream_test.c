/* Tests of broker/upstream: duplicates, holes, unknown relations and gaps in the tailer's stream. */
#include "tests/unit/broker/upstream_kit.h"

static void test_transaction_is_routed(void **state)
{
    struct fixture *f = *state;

    begin(f, 200);
    insert(f, 1, 0, "1");
    end(f, 200);

    assert_true(feed(f));
    kit_expect(&f->kit, 0, "begin 200\ndeliver 0 1I new=1 old=-\nend 200\n");
}

static void test_transaction_that_comes_again_is_dropped(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++) {
        begin(f, 200);
        insert(f, 1, 0, "1");
        insert(f, 1, 1, "2");
        end(f, 200);
        assert_true(feed(f));
    }

    kit_expect(&f->kit, 0,
               "begin 200\ndeliver 0 1I new=1 old=-\ndeliver 1 1I new=2 old=-\nend 200\n");
    assert_int_equal(f->kit.stats.duplicates->value, 2);
}

static void test_older_transaction_after_a_restart_is_dropped(void **state)
{
    struct fixture *f = *state;

    begin(f, 200);
    end(f, 200);
    assert_true(feed(f));
    upstream_restart(f->up);
    begin(f, 150);
    kit_write_relation(&f->out, 1, 10, "t", "id");
    insert(f, 1, 0, "1");
    end(f, 150);

    assert_true(feed(f));
    kit_expect(&f->kit, 0, "");
}

static void test_half_a_transaction_is_completed_after_a_restart(void **state)
{
    struct fixture *f = *state;

    begin(f, 200);
    insert(f, 1, 0, "1");
    assert_true(feed(f));
    kit_expect(&f->kit, 0, "begin 200\ndeliver 0 1I new=1 old=-\n");
    upstream_restart(f->up);
    kit_subscribe(&f->kit, 0, 2, 1, "table:public.t");
    kit_expect(&f->kit, 0, "");
    begin(f, 200);
    kit_write_relation(&f->out, 1, 10, "t", "id");
    insert(f, 1, 0, "1");
    insert(f, 1, 1, "2");
    end(f, 200);

    assert_true(feed(f));
    kit_expect(&f->kit, 0,
               "group 1 public.t id@0\nbegin 200 again\ndeliver 1 1I new=2 old=-\nend 200\n"
               "accept 2 group 1 200/end\n");
}

static void test_unknown_relation_is_asked_for_and_the_frame_goes_on(void **state)
{
    struct fixture *f = *state;

    upstream_restart(f->up);
    begin(f, 200);
    insert(f, 5, 0, "1");
    end(f, 200);
    assert_false(feed(f));
    assert_int_equal(upstream_waits(f->up), UPSTREAM_WAIT_RELATION);
    assert_false(upstream_continue(f->up, RT_SEC));
    expect_asked(f, "need 5\n");

    kit_write_relation(&f->out, 5, 10, "t", "id");
    upstream_message(f->up, (struct wire_span){ (const char *)f->out.data, f->out.len });
    assert_true(upstream_continue(f->up, RT_SEC));
    kit_expect(&f->kit, 0, "group 1 public.t id@0\nbegin 200\ndeliver 0 1I new=1 old=-\nend 200\n");
    expect_asked(f, "fence t xid 200 at 200\n");
}

static void test_unknown_relation_is_asked_for_again_and_given_up_as_a_gap(void **state)
{
    struct fixture *f = *state;

    begin(f, 200);
    insert(f, 5, 0, "1");
    insert(f, 1, 1, "2");
    end(f, 200);
    assert_false(feed(f));
    upstream_tick(f->up, RT_SEC + UPSTREAM_NEED_REPEAT);
    expect_asked(f, "need 5\nneed 5\n");
    upstream_tick(f->up, RT_SEC + UPSTREAM_NEED_TIMEOUT);

    assert_true(upstream_continue(f->up, 20 * RT_SEC));
    kit_expect(&f->kit, 0, "gap 100/end to 200/0\nbegin 200\ndeliver 1 1I new=2 old=-\nend 200\n");
}

static void test_relation_of_a_duplicate_is_not_needed(void **state)
{
    struct fixture *f = *state;

    upstream_restart(f->up);
    begin(f, 100);
    insert(f, 5, 0, "1");
    end(f, 100);

    assert_true(feed(f));
    expect_asked(f, "");
}

static void test_numbers_of_another_tailer_are_not_trusted(void **state)
{
    struct fixture *f = *state;

    upstream_restart(f->up);
    begin(f, 200);
    insert(f, 1, 0, "1");

    assert_false(feed(f));
    expect_asked(f, "need 1\n");
    kit_expect(&f->kit, 0, "");
}

static void test_gap_of_the_tailer_is_passed_on_and_positions_start_anew(void **state)
{
    struct fixture *f = *state;

    wire_encode_gap(&f->out, &(struct wire_gap){ .from = { KIT_EPOCH, 100, UINT32_MAX },
                                                 .to = { KIT_EPOCH, 50, UINT32_MAX },
                                                 .reason = kit_text("slot lost") });
    begin(f, 60);
    insert(f, 1, 0, "1");
    end(f, 60);

    assert_true(feed(f));
    kit_expect(&f->kit, 0, "gap 100/end to 50/end\nbegin 60\ndeliver 0 1I new=1 old=-\nend 60\n");
    expect_asked(f, "epoch 7\nfence all xid 0 at 0\n");
}

static void test_other_epoch_without_a_word_is_a_gap(void **state)
{
    struct fixture *f = *state;

    wire_encode_begin(&f->out, &(struct wire_begin){ .epoch = 8, .commit_lsn = 20, .xid = 5 });
    insert(f, 1, 0, "1");
    end(f, 20);

    assert_true(feed(f));
    kit_expect(&f->kit, 0, "gap 100/end to 19/end\nbegin 20\ndeliver 0 1I new=1 old=-\nend 20\n");
    expect_asked(f, "epoch 8\nfence all xid 0 at 0\n");
}

static void test_lost_frames_are_a_gap_and_a_fence(void **state)
{
    struct fixture *f = *state;

    upstream_lost(f->up);
    kit_expect(&f->kit, 0, "");
    wire_encode_progress(&f->out, &(struct wire_progress){ .epoch = KIT_EPOCH, .lsn = 301 });

    assert_true(feed(f));
    kit_expect(&f->kit, 0, "gap 100/end to 300/end\nprogress 301\n");
    expect_asked(f, "fence all xid 0 at 0\n");
}

static void test_unreadable_frame_is_a_gap_not_silence(void **state)
{
    struct fixture *f = *state;

    begin(f, 200);
    wire_write_raw(&f->out, "\xc1", 1);
    assert_true(feed(f));
    begin(f, 300);
    insert(f, 1, 0, "1");
    end(f, 300);
    assert_true(feed(f));

    kit_expect(&f->kit, 0,
               "gap 100/end to 299/end\nbegin 300\ndeliver 0 1I new=1 old=-\nend 300\n");
    expect_asked(f, "malformed\nfence all xid 0 at 0\n");
    assert_int_equal(f->kit.stats.malformed_tailer->value, 1);
}

static void test_change_outside_a_transaction_is_refused(void **state)
{
    struct fixture *f = *state;

    insert(f, 1, 0, "1");

    assert_true(feed(f));
    expect_asked(f, "malformed\n");
    kit_expect(&f->kit, 0, "");
}

static void test_progress_does_not_swallow_a_commit_at_its_own_position(void **state)
{
    struct fixture *f = *state;

    wire_encode_progress(&f->out, &(struct wire_progress){ .epoch = KIT_EPOCH, .lsn = 200 });
    begin(f, 200);
    insert(f, 1, 0, "1");
    end(f, 200);

    assert_true(feed(f));
    kit_expect(&f->kit, 0, "progress 200\nbegin 200\ndeliver 0 1I new=1 old=-\nend 200\n");
}

static void test_truncate_waits_for_all_its_relations(void **state)
{
    struct fixture *f = *state;
    uint32_t rels[2] = { 1, 6 };

    begin(f, 200);
    wire_encode_truncate(&f->out, 0, 0, rels, 2);
    end(f, 200);
    assert_false(feed(f));
    expect_asked(f, "need 6\n");
    kit_write_relation(&f->out, 6, 60, "u", "id");
    upstream_message(f->up, (struct wire_span){ (const char *)f->out.data, f->out.len });

    assert_true(upstream_continue(f->up, RT_SEC));
    kit_expect(&f->kit, 0, "begin 200\ntruncate 0 1\nend 200\n");
}

static void test_marker_in_the_stream_goes_to_the_edges_or_is_counted(void **state)
{
    struct fixture *f = *state;
    static const char *const contents[] = { "1700000000000001", "", "12x", "99999999999999999999" };

    for (int i = 0; i < 4; i++) {
        wire_encode_message(&f->out, &(struct wire_message){ .lsn = 150,
                                                             .prefix = kit_text("pgtide.fresh"),
                                                             .content = kit_text(contents[i]) });
    }
    assert_true(feed(f));
    kit_expect(&f->kit, 0, "fresh 150 written 1700000000000001\n");
    assert_int_equal(f->kit.stats.bad_markers->value, 3);
    expect_asked(f, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_transaction_is_routed),
        TEST(test_transaction_that_comes_again_is_dropped),
        TEST(test_older_transaction_after_a_restart_is_dropped),
        TEST(test_half_a_transaction_is_completed_after_a_restart),
        TEST(test_unknown_relation_is_asked_for_and_the_frame_goes_on),
        TEST(test_unknown_relation_is_asked_for_again_and_given_up_as_a_gap),
        TEST(test_relation_of_a_duplicate_is_not_needed),
        TEST(test_numbers_of_another_tailer_are_not_trusted),
        TEST(test_gap_of_the_tailer_is_passed_on_and_positions_start_anew),
        TEST(test_other_epoch_without_a_word_is_a_gap),
        TEST(test_lost_frames_are_a_gap_and_a_fence),
        TEST(test_unreadable_frame_is_a_gap_not_silence),
        TEST(test_change_outside_a_transaction_is_refused),
        TEST(test_progress_does_not_swallow_a_commit_at_its_own_position),
        TEST(test_truncate_waits_for_all_its_relations),
        TEST(test_marker_in_the_stream_goes_to_the_edges_or_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
