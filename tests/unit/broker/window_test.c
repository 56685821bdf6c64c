/* Tests of broker/window: what is kept, what goes, and what a reader is told. */
#include "broker/window.h"
#include "tests/unit/broker/kit.h"

enum { SMALL = 65536 };

struct fixture {
    struct kit kit;
    struct window *window;
    struct relation *t;
    struct relation *u;
};

static int setup(void **state)
{
    struct fixture *f = rt_alloc(sizeof(*f));

    kit_init(&f->kit);
    f->window = window_new(SMALL, 100 * RT_SEC);
    f->t = kit_relation(&f->kit, 1, 10, "t", "id");
    f->u = kit_relation(&f->kit, 2, 20, "u", "id");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    window_free(f->window);
    kit_fini(&f->kit);
    free(f);
    return 0;
}

static void begin(struct fixture *f, uint64_t lsn)
{
    struct wire_begin record = kit_begin(lsn);

    window_begin(f->window, &record);
}

static void add(struct fixture *f, struct relation *relation, uint32_t index, const char *record)
{
    window_add(f->window, relation, WINDOW_CHANGE, index, kit_text(record));
}

static void end(struct fixture *f, uint64_t lsn, rt_usec now)
{
    window_end(f->window, &(struct wire_end){ .commit_lsn = lsn, .end_lsn = lsn + 8, .count = 1 },
               now);
}

static void whole(struct fixture *f, uint64_t lsn, const char *record, rt_usec now)
{
    begin(f, lsn);
    add(f, f->t, 0, record);
    end(f, lsn, now);
}

/* "lsn/index=record" of everything of a table behind a position. */
static void expect(struct fixture *f, const char *table, uint64_t lsn, uint32_t index,
                   const char *text)
{
    struct wire_position after = { KIT_EPOCH, lsn, index };
    struct window_cursor cursor;
    const struct window_entry *entry = NULL;
    struct rt_buf out = { 0 };

    if (window_seek(f->window, "public", table, &after, &cursor)) {
        while ((entry = window_next(&cursor)) != NULL) {
            struct wire_span record = window_record(entry);
            rt_buf_printf(&out, "%" PRIu64 "/%" PRIu32 "=%.*s ", entry->transaction->lsn,
                          entry->index, (int)record.len, record.data);
        }
    }
    assert_string_equal(rt_buf_cstr(&out), text);
    rt_buf_fini(&out);
}

static void expect_floor(struct fixture *f, uint64_t lsn)
{
    struct wire_position floor;

    assert_true(window_floor(f->window, &floor));
    assert_int_equal(floor.lsn, lsn);
    assert_int_equal(floor.index, UINT32_MAX);
}

static void test_entries_are_found_behind_a_position(void **state)
{
    struct fixture *f = *state;
    struct wire_position floor;

    assert_false(window_floor(f->window, &floor));
    begin(f, 100);
    add(f, f->t, 0, "a");
    add(f, f->u, 1, "b");
    add(f, f->t, 2, "c");
    end(f, 100, 1);
    whole(f, 200, "d", 2);

    expect(f, "t", 50, 0, "100/0=a 100/2=c 200/0=d ");
    expect(f, "t", 100, 0, "100/2=c 200/0=d ");
    expect(f, "t", 100, UINT32_MAX, "200/0=d ");
    expect(f, "t", 200, 0, "");
    expect(f, "u", 0, 0, "100/1=b ");
    expect(f, "nobody", 0, 0, "");
    expect_floor(f, 99);
    assert_int_equal(window_entries(f->window), 4);
}

static void test_open_transaction_is_seen_as_such(void **state)
{
    struct fixture *f = *state;
    struct wire_position after = { KIT_EPOCH, 100, UINT32_MAX };
    struct window_cursor cursor;

    whole(f, 100, "a", 1);
    begin(f, 200);
    add(f, f->t, 0, "b");
    expect(f, "t", 0, 0, "100/0=a 200/0=b ");
    assert_true(window_seek(f->window, "public", "t", &after, &cursor));
    assert_false(window_next(&cursor)->transaction->complete);
    begin(f, 200); /* its next frame, or the tailer says it again */
    add(f, f->t, 1, "c");
    end(f, 200, 2);
    expect(f, "t", 0, 0, "100/0=a 200/0=b 200/1=c ");
}

static void test_transaction_that_is_followed_by_another_leaves_no_trace(void **state)
{
    struct fixture *f = *state;

    for (unsigned round = 0; round < 3; round++) {
        size_t bytes = window_bytes(f->window);
        begin(f, 200);
        for (uint32_t i = 0; i < 500; i++) {
            add(f, i % 2 == 0 ? f->t : f->u, i, "xxxxxxxxxxxxxxx");
        }
        begin(f, 300);
        assert_int_equal(window_bytes(f->window), bytes);
        end(f, 300, 1);
        whole(f, 400 + round, "y", 1);
        expect(f, "u", 0, 0, "");
    }
    expect(f, "t", 0, 0, "400/0=y 401/0=y 402/0=y ");
}

static void test_only_an_evicted_start_before_a_dropped_transaction_empties_the_log(void **state)
{
    struct fixture *f = *state;

    whole(f, 100, "a", 1);
    begin(f, 200);
    add(f, f->t, 0, "b");
    window_tick(f->window, 1000 * RT_SEC); /* 100 goes, 200 is open */
    begin(f, 300);
    assert_int_equal(window_bytes(f->window), 0);
    end(f, 300, 1);
    window_tick(f->window, 2000 * RT_SEC);
    expect_floor(f, 100);
}

static void test_beginning_that_was_never_seen_does_not_count(void **state)
{
    struct fixture *f = *state;
    struct wire_begin record = kit_begin(100);
    struct wire_position floor;

    record.continued = true;
    window_begin(f->window, &record);
    add(f, f->t, 5, "half");
    assert_false(window_floor(f->window, &floor));
    end(f, 100, 1);
    expect_floor(f, 100);
    expect(f, "t", 0, 0, "");

    whole(f, 200, "a", 1);
    expect(f, "t", 100, UINT32_MAX, "200/0=a ");
    expect_floor(f, 100);
}

static void test_bytes_are_bounded_and_the_oldest_goes(void **state)
{
    struct fixture *f = *state;
    char value[1000] = "";

    memset(value, 'v', sizeof(value) - 1);
    for (uint64_t lsn = 1; lsn <= 1000; lsn++) {
        whole(f, lsn * 10, value, 1);
        assert_true(window_bytes(f->window) <= SMALL);
    }
    struct wire_position floor;
    assert_true(window_floor(f->window, &floor));
    assert_int_equal(floor.lsn, (1000 - window_entries(f->window)) * 10);
    assert_in_range(window_entries(f->window), 40, 64);
    assert_true(window_covers(f->window, &floor));
    floor.index--;
    assert_false(window_covers(f->window, &floor));
}

static void test_time_moves_the_floor(void **state)
{
    struct fixture *f = *state;

    whole(f, 100, "a", 1 * RT_SEC);
    whole(f, 200, "b", 50 * RT_SEC);
    assert_int_equal(window_age(f->window, 60 * RT_SEC), 59 * RT_SEC);
    window_tick(f->window, 101 * RT_SEC - 1);
    expect_floor(f, 99);
    window_tick(f->window, 101 * RT_SEC);
    expect_floor(f, 100);
    expect(f, "t", 100, UINT32_MAX, "200/0=b ");
    window_tick(f->window, 1000 * RT_SEC);
    expect_floor(f, 200);
    assert_int_equal(window_entries(f->window), 0);
    assert_int_equal(window_bytes(f->window), 0);
}

static void test_transaction_larger_than_the_window_moves_the_floor_behind_itself(void **state)
{
    struct fixture *f = *state;
    char value[1000] = "";
    struct xid_snapshot snapshot;

    memset(value, 'v', sizeof(value) - 1);
    whole(f, 100, "a", 1);
    begin(f, 200);
    for (uint32_t i = 0; i < 200; i++) {
        add(f, f->t, i, value);
        assert_true(window_bytes(f->window) <= SMALL);
    }
    end(f, 200, 1);
    expect_floor(f, 200);
    expect(f, "t", 0, 0, "");
    assert_true(xid_snapshot_parse(&snapshot, "150:150:", 8));
    assert_true(window_evicted_unseen(f->window, &snapshot));
    xid_snapshot_fini(&snapshot);
    whole(f, 300, "b", 1);
    expect(f, "t", 200, UINT32_MAX, "300/0=b ");
}

static void test_gap_clears(void **state)
{
    struct fixture *f = *state;
    struct wire_position to = { KIT_EPOCH + 1, 50, UINT32_MAX };
    struct wire_position floor;

    whole(f, 100, "a", 1);
    begin(f, 200);
    add(f, f->t, 0, "b");
    window_clear(f->window, &to);
    expect(f, "t", 0, 0, "");
    assert_true(window_floor(f->window, &floor));
    assert_int_equal(floor.epoch, KIT_EPOCH + 1);
    assert_int_equal(floor.lsn, 50);
    assert_int_equal(window_bytes(f->window), 0);
}

static void test_progress_names_the_floor_once(void **state)
{
    struct fixture *f = *state;

    window_start(f->window, &(struct wire_position){ KIT_EPOCH, 70, UINT32_MAX });
    window_start(f->window, &(struct wire_position){ KIT_EPOCH, 80, UINT32_MAX });
    expect_floor(f, 70);
    whole(f, 100, "a", 1);
    expect_floor(f, 70);
}

static void test_generations_live_as_long_as_entries_name_them(void **state)
{
    struct fixture *f = *state;
    struct wire_position after = { KIT_EPOCH, 0, 0 };
    struct window_cursor cursor;

    whole(f, 100, "a", 1);
    f->t = kit_relation(&f->kit, 3, 10, "t", "id extra");
    whole(f, 200, "b", 1);
    relations_clear(f->kit.relations);
    assert_true(window_seek(f->window, "public", "t", &after, &cursor));
    assert_int_equal(window_next(&cursor)->relation->column_count, 1);
    assert_int_equal(window_next(&cursor)->relation->column_count, 2);
    assert_null(window_next(&cursor));
}

static void test_evicted_transactions_are_remembered_by_number(void **state)
{
    struct fixture *f = *state;
    struct xid_snapshot sees;
    struct xid_snapshot waits;

    whole(f, 100, "a", 1);
    whole(f, 102, "b", 1);
    assert_true(xid_snapshot_parse(&sees, "103:103:", 8));
    assert_true(xid_snapshot_parse(&waits, "100:103:102", 11));
    assert_false(window_evicted_unseen(f->window, &waits));
    window_tick(f->window, 200 * RT_SEC);
    assert_false(window_evicted_unseen(f->window, &sees));
    assert_true(window_evicted_unseen(f->window, &waits));
    xid_snapshot_fini(&sees);
    xid_snapshot_fini(&waits);
}

/* Many tables, transactions of every size, both bounds: the index and the log agree all the time. */
static void test_random_streams_keep_log_and_indexes_in_step(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 88172645463325252u;
    char value[3000];
    struct relation *tables[3] = { f->t, f->u, kit_relation(&f->kit, 3, 30, "v", "id") };
    const char *names[3] = { "t", "u", "v" };

    memset(value, 'r', sizeof(value));
    for (uint64_t lsn = 10; lsn < 30000; lsn += 10) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        uint32_t count = (uint32_t)(seed % 9);
        begin(f, lsn);
        for (uint32_t i = 0; i < count; i++) {
            window_add(f->window, tables[(seed >> (8 + i)) % 3], WINDOW_CHANGE, i,
                       (struct wire_span){ value, (size_t)(seed >> (20 + i)) % sizeof(value) });
        }
        if ((seed >> 40) % 5 != 0) { /* else the next one drops it */
            end(f, lsn, (rt_usec)lsn * RT_MSEC);
        }
        window_tick(f->window, (rt_usec)lsn * RT_MSEC);
        if ((seed >> 50) % 97 == 0) {
            window_clear(f->window, &(struct wire_position){ KIT_EPOCH, lsn, UINT32_MAX });
        }
        if (lsn % 500 == 0) {
            struct wire_position floor;
            size_t seen = 0;
            (void)window_floor(f->window, &floor);
            for (int i = 0; i < 3; i++) {
                struct window_cursor cursor;
                struct wire_position last = floor;
                const struct window_entry *entry = NULL;
                if (!window_seek(f->window, "public", names[i], &floor, &cursor)) {
                    continue;
                }
                while ((entry = window_next(&cursor)) != NULL) {
                    struct wire_position at = { KIT_EPOCH, entry->transaction->lsn, entry->index };
                    assert_true(wire_position_cmp(&at, &last) > 0);
                    assert_ptr_equal(entry->relation, tables[i]);
                    last = at;
                    seen++;
                }
            }
            assert_int_equal(window_entries(f->window), seen);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_entries_are_found_behind_a_position),
        TEST(test_open_transaction_is_seen_as_such),
        TEST(test_transaction_that_is_followed_by_another_leaves_no_trace),
        TEST(test_only_an_evicted_start_before_a_dropped_transaction_empties_the_log),
        TEST(test_beginning_that_was_never_seen_does_not_count),
        TEST(test_bytes_are_bounded_and_the_oldest_goes),
        TEST(test_time_moves_the_floor),
        TEST(test_transaction_larger_than_the_window_moves_the_floor_behind_itself),
        TEST(test_gap_clears),
        TEST(test_progress_names_the_floor_once),
        TEST(test_generations_live_as_long_as_entries_name_them),
        TEST(test_evicted_transactions_are_remembered_by_number),
        TEST(test_random_streams_keep_log_and_indexes_in_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
