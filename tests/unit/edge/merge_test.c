/* Unit tests of edge/merge.h: orders made by hand. */
#include "merge_fixture.h"

static void test_frames_wait_for_every_source_and_come_in_order(void **state)
{
    struct fixture *f = *state;

    push(f->a, "a", 10, 1);
    push(f->a, "a", 10, 3);
    end(f->a, 10);
    push(f->a, "a", 30, 0);
    end(f->a, 30);
    assert_out(f, "");
    push(f->b, "b", 10, 0);
    push(f->b, "b", 10, 2);
    assert_out(f, "");
    end(f->b, 20);
    assert_out(f, "b10.0 a10.1 b10.2 a10.3 =10:4 ");
    end(f->b, 40);
    assert_out(f, "a30.0 =30:1 ");
    end(f->a, 40); /* a transaction without frames has no commit */
    assert_out(f, "");
    assert_int_equal(merge_waiting_bytes(f->merge), 0);
}

static void test_long_transaction_goes_out_before_its_end(void **state)
{
    struct fixture *f = *state;

    push(f->a, "a", 10, 0);
    push(f->a, "a", 10, 5);
    advance(f->a, 10, 5);
    advance(f->b, 10, 3);
    assert_out(f, "a10.0 ");
    push(f->b, "b", 10, 4);
    end(f->b, 10);
    assert_out(f, "b10.4 a10.5 ");
    end(f->a, 10);
    assert_out(f, "=10:3 ");
}

static void test_frames_of_one_position_keep_their_order(void **state)
{
    struct fixture *f = *state;

    push(f->b, "b", 10, 0);
    push(f->a, "x", 10, 0);
    push(f->a, "y", 10, 0);
    end(f->a, 10);
    end(f->b, 10);
    assert_out(f, "x10.0 y10.0 b10.0 =10:3 ");
}

static void test_notes_follow_what_their_source_pushed_and_are_not_counted(void **state)
{
    struct fixture *f = *state;

    note(f->a, "first");
    assert_out(f, "first ");
    push(f->a, "a", 10, 0);
    note(f->a, "second");
    note(f->b, "third");
    push(f->a, "a", 10, 1);
    assert_out(f, "third ");
    end(f->a, 10);
    end(f->b, 10);
    assert_out(f, "a10.0 second a10.1 =10:2 ");
}

static void test_removed_source_holds_nothing_back_and_loses_nothing(void **state)
{
    struct fixture *f = *state;

    push(f->b, "b", 20, 0);
    end(f->b, 20);
    merge_remove(f->b);
    assert_out(f, "");
    push(f->a, "a", 10, 0);
    end(f->a, 10);
    assert_out(f, "a10.0 =10:1 ");
    push(f->a, "a", 30, 0);
    merge_remove(f->a); /* the last one: all goes out */
    assert_out(f, "b20.0 =20:1 a30.0 =30:1 ");
}

static void test_source_added_behind_brings_its_own_in_order(void **state)
{
    struct fixture *f = *state;

    push(f->a, "a", 50, 0);
    end(f->a, 50);
    end(f->b, 50);
    assert_out(f, "a50.0 =50:1 ");
    struct merge_source *replay = add(f, 20);
    push(f->a, "a", 60, 0);
    end(f->a, 60);
    end(f->b, 60);
    assert_out(f, "");
    push(replay, "r", 30, 0);
    end(replay, 30);
    assert_out(f, "r30.0 =30:1 ");
    push(replay, "r", 60, 1);
    end(replay, 60);
    assert_out(f, "a60.0 r60.1 =60:2 ");
}

static void test_source_added_inside_a_transaction_waits_for_its_end(void **state)
{
    struct fixture *f = *state;

    push(f->a, "a", 50, 0);
    advance(f->a, 50, 0);
    advance(f->b, 50, 0);
    assert_out(f, "a50.0 ");
    struct merge_source *replay = add(f, 20);
    struct merge_source *gone = add(f, 20);
    push(replay, "r", 30, 0);
    end(replay, 30);
    merge_remove(gone);
    push(f->b, "b", 50, 1);
    end(f->b, 50);
    end(f->a, 50);
    assert_out(f, "b50.1 =50:2 r30.0 =30:1 ");
    push(f->a, "a", 60, 0);
    end(f->a, 60);
    end(f->b, 60);
    assert_out(f, "");
    end(replay, 60);
    assert_out(f, "a60.0 =60:1 ");
}

static struct wire_position in(uint64_t epoch, uint64_t lsn, uint32_t index)
{
    return (struct wire_position){ epoch, lsn, index };
}

static void test_new_epoch_flushes_the_old_one_first(void **state)
{
    struct fixture *f = *state;

    push(f->a, "a", 900, 0);
    struct wire_position to = in(3, 5, UINT32_MAX);
    assert_true(push_at(f->a, "a", in(3, 5, 0)));
    merge_advance(f->a, &to);
    assert_out(f, ""); /* b is in the old one still */
    push(f->b, "b", 800, 0);
    end(f->b, 800);
    assert_out(f, "b800.0 =800:1 ");
    push(f->b, "b", 950, 0);
    assert_out(f, "");
    merge_advance(f->b, &to);
    assert_out(f, "a900.0 =900:1 b950.0 =950:1 ea5.0 e3=5:1 ");
}

static void test_epochs_met_in_different_orders_neither_lose_nor_stall(void **state)
{
    struct fixture *f = *state;

    assert_true(push_at(f->a, "a", in(2, 10, 0)));
    assert_true(push_at(f->b, "b", in(3, 10, 0)));
    assert_true(push_at(f->b, "b", in(2, 11, 0)));
    assert_true(push_at(f->a, "a", in(3, 11, 0)));
    assert_true(push_at(f->b, "b", in(3, 12, 0)));
    struct wire_position to = in(3, 20, UINT32_MAX);
    merge_advance(f->a, &to);
    merge_advance(f->b, &to);
    const char *out = rt_buf_cstr(&f->out);
    static const char *const all[] = { "ea10.0 ", "eb10.0 ", "eb11.0 ", "ea11.0 ", "eb12.0 " };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_non_null(strstr(out, all[i]));
    }
    assert_int_equal(merge_waiting_bytes(f->merge), 0);
}

static void test_budget_is_reported_and_what_waits_is_freed(void **state)
{
    struct fixture *f = *state;
    char big[20000] = "";
    struct edge_frame *frame = edge_frame_raw(big, sizeof(big));
    struct wire_position at = position(10, 0);

    for (uint32_t i = 0; i < 4; i++, at.index++) {
        assert_true(merge_push(f->a, &at, frame));
    }
    assert_false(merge_push(f->a, &at, frame));
    assert_true(merge_waiting_bytes(f->merge) > BUDGET);
    assert_int_equal(frame->refs, 6);
    merge_free(f->merge);
    f->merge = NULL;
    assert_int_equal(frame->refs, 1);
    edge_frame_unref(frame);
}

static void test_going_back_is_harmless(void **state)
{
    struct fixture *f = *state;

    end(f->a, 50);
    end(f->a, 40);
    end(f->b, 50);
    push(f->a, "a", 30, 0);
    push(f->a, "a", 60, 1);
    push(f->a, "a", 60, 0);
    end(f->a, 60);
    end(f->b, 60);
    assert_out(f, "a30.0 =50:1 a60.1 a60.0 =60:2 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MERGE_TEST(test_frames_wait_for_every_source_and_come_in_order),
        MERGE_TEST(test_long_transaction_goes_out_before_its_end),
        MERGE_TEST(test_frames_of_one_position_keep_their_order),
        MERGE_TEST(test_notes_follow_what_their_source_pushed_and_are_not_counted),
        MERGE_TEST(test_removed_source_holds_nothing_back_and_loses_nothing),
        MERGE_TEST(test_source_added_behind_brings_its_own_in_order),
        MERGE_TEST(test_source_added_inside_a_transaction_waits_for_its_end),
        MERGE_TEST(test_new_epoch_flushes_the_old_one_first),
        MERGE_TEST(test_epochs_met_in_different_orders_neither_lose_nor_stall),
        MERGE_TEST(test_budget_is_reported_and_what_waits_is_freed),
        MERGE_TEST(test_going_back_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
