/* consume_test.c - from pgoutput messages to records: tailer/consume.h over real relcache and publish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/tailer/fakes.h"
#include "tests/unit/tailer/wal_builder.h"

enum { USERS = 7, ORDERS = 8, MAX_VALUE = 8 };

struct fixture {
    struct rt_buf buf;
    struct fake_catalog catalog;
    struct fake_sink sink;
    struct fake_counters counters;
    struct consume_counters counter_set;
    struct relcache *relcache;
    struct publish *publish;
    struct consume *consume;
    const char *reason;
};

static int setup(void **state)
{
    struct fixture *f = rt_alloc(sizeof(*f));
    struct facts_source source = fake_source(&f->catalog);
    struct publish_sink sink = fake_sink_of(&f->sink);

    f->catalog.primary = "A";
    f->counter_set = fake_counters_of(&f->counters);
    f->relcache = relcache_new(&source, 1);
    f->publish = publish_new(&sink, 1, 5, 0);
    f->consume = consume_new(&(struct consume_config){ .relcache = f->relcache,
                                                       .publish = f->publish,
                                                       .counters = &f->counter_set,
                                                       .max_value = MAX_VALUE });
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    consume_free(f->consume);
    publish_free(f->publish);
    relcache_free(f->relcache);
    fake_sink_fini(&f->sink);
    rt_buf_fini(&f->buf);
    free(f);
    return 0;
}

static enum consume_result give(struct fixture *f, struct rt_span message)
{
    return consume_message(f->consume, message, false, &f->reason);
}

static void take(struct fixture *f, struct rt_span message)
{
    assert_int_equal(give(f, message), CONSUME_OK);
}

/* What was sent since the last look; everything complete is sent. */
static const char *sent(struct fixture *f)
{
    publish_turn_end(f->publish, 1);
    assert_false(f->sink.broken);
    return fake_sent(&f->sink, 0);
}

static void begin(struct fixture *f, uint64_t lsn)
{
    take(f, wal_begin(&f->buf, lsn, 1));
}

static void commit(struct fixture *f, uint64_t lsn)
{
    take(f, wal_commit(&f->buf, lsn, lsn + 5));
}

/* One transaction that describes USERS (columns A and b) and inserts one row. */
static void seed(struct fixture *f, uint64_t lsn, char identity)
{
    begin(f, lsn);
    take(f, wal_relation(&f->buf, USERS, "users", identity, identity == 'f' ? "AB" : "Ab"));
    take(f, wal_insert(&f->buf, USERS, "1|x"));
    commit(f, lsn);
}

static void test_a_transaction_is_begin_relation_changes_end(void **state)
{
    struct fixture *f = *state;

    seed(f, 100, 'd');

    assert_string_equal(sent(f), "[ B100 R1:users:A3b0 I1.0(->1|x) E1 ]");
    assert_int_equal(f->counters.all[0].value, 1);
    assert_int_equal(f->counters.all[5].value, 1);
}

static void test_changes_are_numbered_in_their_transaction(void **state)
{
    struct fixture *f = *state;
    seed(f, 100, 'd');
    sent(f);

    begin(f, 200);
    take(f, wal_insert(&f->buf, USERS, "2|~"));
    take(f, wal_change(&f->buf, 'U', USERS, 0, NULL, "2|y"));
    take(f, wal_message(&f->buf, 1, 199, "p", "hello"));
    take(f, wal_truncate(&f->buf, 0, (const uint32_t[]){ USERS }, 1));
    commit(f, 200);

    assert_string_equal(sent(f), "[ B200 I1.0(->2|~) U1.1(->2|y) M.2:hello T.3,1 E4 ]");
}

static void test_columns_outside_the_key_are_missing_in_a_key_tuple_not_null(void **state)
{
    struct fixture *f = *state;
    seed(f, 100, 'd');
    sent(f);

    begin(f, 200);
    take(f, wal_change(&f->buf, 'D', USERS, 'K', "1|~", NULL));
    commit(f, 200);

    assert_string_equal(sent(f), "[ B200 D1.0(1|?>-) E1 ]");
}

static void test_an_unchanged_value_comes_from_the_full_old_row(void **state)
{
    struct fixture *f = *state;
    seed(f, 100, 'f');
    sent(f);

    begin(f, 200);
    take(f, wal_change(&f->buf, 'U', USERS, 'O', "1|big", "2|^"));
    commit(f, 200);

    assert_string_equal(sent(f), "[ B200 U1.0(1|big>2|big) E1 ]");
}

static void test_an_unchanged_value_without_old_row_is_marked(void **state)
{
    struct fixture *f = *state;
    seed(f, 100, 'd');
    sent(f);

    begin(f, 200);
    take(f, wal_change(&f->buf, 'U', USERS, 'K', "1|~", "2|^"));
    take(f, wal_insert(&f->buf, USERS, "3|^"));
    commit(f, 200);

    assert_string_equal(sent(f), "[ B200 U1.0(1|?>2|^) I1.1(->3|^) E2 ]");
}

static void test_values_over_the_limit_are_marked_in_both_rows_and_counted(void **state)
{
    struct fixture *f = *state;
    seed(f, 100, 'f');
    sent(f);

    begin(f, 200);
    take(f, wal_change(&f->buf, 'U', USERS, 'O', "1|123456789", "12345678|^"));
    commit(f, 200);

    assert_string_equal(sent(f), "[ B200 U1.0(1|!>12345678|!) E1 ]");
    assert_int_equal(f->counters.all[7].value, 2);
}

static void test_a_table_that_changes_shape_gets_a_new_number(void **state)
{
    struct fixture *f = *state;
    seed(f, 100, 'd');
    sent(f);

    begin(f, 200);
    take(f, wal_insert(&f->buf, USERS, "1|x"));
    take(f, wal_relation(&f->buf, USERS, "users", 'd', "Abc"));
    take(f, wal_insert(&f->buf, USERS, "1|x|y"));
    commit(f, 200);

    assert_string_equal(sent(f), "[ B200 I1.0(->1|x) R2:users:A3b0c0 I2.1(->1|x|y) E2 ]");
}

static void test_a_table_described_again_unchanged_is_told_again_with_its_number(void **state)
{
    struct fixture *f = *state;
    seed(f, 100, 'd');
    sent(f);

    take(f, wal_begin(&f->buf, 300, 2));
    take(f, wal_relation(&f->buf, USERS, "users", 'd', "Ab"));
    take(f, wal_insert(&f->buf, USERS, "1|x"));
    commit(f, 300);

    assert_string_equal(sent(f), "[ B300 R1:users:A3b0 I1.0(->1|x) E1 ]");
}

static void test_a_ddl_message_makes_tables_be_told_again(void **state)
{
    struct fixture *f = *state;
    seed(f, 100, 'd');
    sent(f);

    begin(f, 200);
    take(f, wal_message(&f->buf, 1, 199, "pgtide.ddl", "{}"));
    take(f, wal_insert(&f->buf, USERS, "1|x"));
    commit(f, 200);

    assert_string_equal(sent(f), "[ B200 M.0:{} R1:users:A3b0 I1.1(->1|x) E2 ]");
}

static void test_a_transaction_without_changes_of_a_shard_is_not_sent(void **state)
{
    struct fixture *f = *state;

    begin(f, 100);
    commit(f, 100);

    assert_string_equal(sent(f), "");
    assert_int_equal(publish_position_now(f->publish), 105);
}

static void test_a_message_outside_of_transactions_is_sent_at_once_and_once(void **state)
{
    struct fixture *f = *state;

    take(f, wal_message(&f->buf, 0, 50, "p", "now"));
    assert_string_equal(fake_sent(&f->sink, 0), "[ M.0:now ]");

    consume_break(f->consume);
    take(f, wal_message(&f->buf, 0, 50, "p", "now"));
    assert_string_equal(sent(f), "");
}

static void test_a_message_over_the_limits_is_left_out_but_keeps_its_number(void **state)
{
    struct fixture *f = *state;
    seed(f, 100, 'd');
    sent(f);

    begin(f, 200);
    take(f, wal_message(&f->buf, 1, 199, "p", "123456789"));
    take(f, wal_insert(&f->buf, USERS, "1|x"));
    commit(f, 200);

    assert_string_equal(sent(f), "[ B200 I1.1(->1|x) E2 ]");
}

static void test_what_was_published_before_a_reconnect_is_not_published_again(void **state)
{
    struct fixture *f = *state;
    seed(f, 100, 'd');
    sent(f);

    consume_break(f->consume);
    assert_int_equal(publish_resume(f->publish), 105);
    seed(f, 100, 'd');
    assert_string_equal(sent(f), "");
    seed(f, 200, 'd');
    assert_string_equal(sent(f), "[ B200 R2:users:A3b0 I2.0(->1|x) E1 ]");
}

static void test_a_transaction_cut_by_a_reconnect_goes_on_where_it_was(void **state)
{
    struct fixture *f = *state;

    begin(f, 100);
    take(f, wal_relation(&f->buf, USERS, "users", 'd', "Ab"));
    take(f, wal_insert(&f->buf, USERS, "1|x"));
    consume_break(f->consume);
    assert_string_equal(sent(f), "[ B100 R1:users:A3b0 I1.0(->1|x) ]");
    assert_int_equal(publish_resume(f->publish), 0);

    begin(f, 100);
    take(f, wal_relation(&f->buf, USERS, "users", 'd', "Ab"));
    take(f, wal_insert(&f->buf, USERS, "1|x"));
    take(f, wal_insert(&f->buf, USERS, "2|y"));
    commit(f, 100);
    assert_string_equal(sent(f), "[ b100 R2:users:A3b0 I2.1(->2|y) E2 ]");
}

static void test_two_cuts_at_different_places_publish_nothing_twice(void **state)
{
    struct fixture *f = *state;

    begin(f, 100);
    take(f, wal_relation(&f->buf, USERS, "users", 'd', "Ab"));
    take(f, wal_insert(&f->buf, USERS, "1|x"));
    take(f, wal_insert(&f->buf, USERS, "2|y"));
    consume_break(f->consume);
    begin(f, 100);
    take(f, wal_relation(&f->buf, USERS, "users", 'd', "Ab"));
    take(f, wal_insert(&f->buf, USERS, "1|x"));
    consume_break(f->consume);
    sent(f);

    begin(f, 100);
    take(f, wal_relation(&f->buf, USERS, "users", 'd', "Ab"));
    take(f, wal_insert(&f->buf, USERS, "1|x"));
    take(f, wal_insert(&f->buf, USERS, "2|y"));
    commit(f, 100);
    assert_string_equal(sent(f), "[ b100 E2 ]");
}

static void test_a_new_epoch_forgets_what_was_published(void **state)
{
    struct fixture *f = *state;
    seed(f, 100, 'd');
    sent(f);

    consume_break(f->consume);
    publish_gap(f->publish, &(struct wire_gap){ .to = { .epoch = 6 }, .reason = { "r", 1 } }, 40);
    seed(f, 50, 'd');

    assert_string_equal(sent(f), "[ G6 ][ B50 R2:users:A3b0 I2.0(->1|x) E1 ]");
}

static void test_a_table_not_visible_yet_is_waited_for_without_effect(void **state)
{
    struct fixture *f = *state;
    f->catalog.invisible = 1;

    begin(f, 100);
    take(f, wal_relation(&f->buf, USERS, "users", 'd', "Ab"));
    assert_int_equal(give(f, wal_insert(&f->buf, USERS, "1|x")), CONSUME_WAIT);
    assert_int_equal(give(f, wal_insert(&f->buf, USERS, "1|x")), CONSUME_WAIT);
    f->catalog.invisible = 0;
    take(f, wal_insert(&f->buf, USERS, "1|x"));
    commit(f, 100);

    assert_string_equal(sent(f), "[ B100 R1:users:A3b0 I1.0(->1|x) E1 ]");
}

static void test_insisting_ends_the_wait(void **state)
{
    struct fixture *f = *state;
    f->catalog.invisible = 1;

    begin(f, 100);
    take(f, wal_relation(&f->buf, USERS, "users", 'd', "Ab"));
    assert_int_equal(
        consume_message(f->consume, wal_insert(&f->buf, USERS, "1|x"), true, &f->reason),
        CONSUME_OK);
}

static void test_a_silent_catalog_holds_the_stream_however_insistent(void **state)
{
    struct fixture *f = *state;
    f->catalog.down = true;

    begin(f, 100);
    take(f, wal_relation(&f->buf, USERS, "users", 'd', "Ab"));
    assert_int_equal(
        consume_message(f->consume, wal_insert(&f->buf, USERS, "1|x"), true, &f->reason),
        CONSUME_DOWN);
}

static void test_nonsense_is_refused_with_a_reason_and_without_effect(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(give(f, wal_insert(&f->buf, USERS, "1")), CONSUME_BAD);
    begin(f, 100);
    assert_int_equal(give(f, wal_begin(&f->buf, 100, 1)), CONSUME_BAD);
    assert_int_equal(give(f, wal_insert(&f->buf, ORDERS, "1")), CONSUME_BAD);
    assert_string_equal(f->reason, "a change of a table that was not described before");
    take(f, wal_relation(&f->buf, USERS, "users", 'd', "Ab"));
    assert_int_equal(give(f, wal_insert(&f->buf, USERS, "1")), CONSUME_BAD);
    assert_int_equal(give(f, wal_insert(&f->buf, USERS, "1|2|3")), CONSUME_BAD);
    assert_int_equal(give(f, wal_message(&f->buf, 0, 1, "p", "x")), CONSUME_BAD);
    assert_int_equal(give(f, wal_commit(&f->buf, 101, 102)), CONSUME_BAD);
    assert_int_equal(give(f, (struct rt_span){ (const uint8_t *)"Zz", 2 }), CONSUME_BAD);
    assert_string_equal(sent(f), "");
}

static void test_positions_inside_a_transaction_are_not_believed(void **state)
{
    struct fixture *f = *state;

    consume_position(f->consume, 90, 0);
    begin(f, 100);
    consume_position(f->consume, 500, 0);
    assert_int_equal(publish_position_now(f->publish), 90);
    commit(f, 100);
    consume_position(f->consume, 500, 0);
    assert_int_equal(publish_position_now(f->publish), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_a_transaction_is_begin_relation_changes_end),
        TEST(test_changes_are_numbered_in_their_transaction),
        TEST(test_columns_outside_the_key_are_missing_in_a_key_tuple_not_null),
        TEST(test_an_unchanged_value_comes_from_the_full_old_row),
        TEST(test_an_unchanged_value_without_old_row_is_marked),
        TEST(test_values_over_the_limit_are_marked_in_both_rows_and_counted),
        TEST(test_a_table_that_changes_shape_gets_a_new_number),
        TEST(test_a_table_described_again_unchanged_is_told_again_with_its_number),
        TEST(test_a_ddl_message_makes_tables_be_told_again),
        TEST(test_a_transaction_without_changes_of_a_shard_is_not_sent),
        TEST(test_a_message_outside_of_transactions_is_sent_at_once_and_once),
        TEST(test_a_message_over_the_limits_is_left_out_but_keeps_its_number),
        TEST(test_what_was_published_before_a_reconnect_is_not_published_again),
        TEST(test_a_transaction_cut_by_a_reconnect_goes_on_where_it_was),
        TEST(test_two_cuts_at_different_places_publish_nothing_twice),
        TEST(test_a_new_epoch_forgets_what_was_published),
        TEST(test_a_table_not_visible_yet_is_waited_for_without_effect),
        TEST(test_insisting_ends_the_wait),
        TEST(test_a_silent_catalog_holds_the_stream_however_insistent),
        TEST(test_nonsense_is_refused_with_a_reason_and_without_effect),
        TEST(test_positions_inside_a_transaction_are_not_believed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
