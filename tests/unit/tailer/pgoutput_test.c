/* pgoutput_test.c - the decoder of tailer/pgoutput.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tailer/pgoutput.h"
#include "tests/unit/tailer/wal_builder.h"

struct fixture {
    struct rt_buf buf;
    struct pgoutput_rows rows;
    struct pgoutput_message message;
};

static int setup(void **state)
{
    *state = rt_alloc(sizeof(struct fixture));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    rt_buf_fini(&f->buf);
    free(f);
    return 0;
}

/* From an exact heap block, so that a read past the end is found. */
static enum pgoutput_err decode(struct fixture *f, struct rt_span bytes)
{
    uint8_t *copy = malloc(bytes.len + (bytes.len == 0));

    assert_non_null(copy);
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    enum pgoutput_err err = pgoutput_decode(copy, bytes.len, &f->rows, &f->message);
    free(copy);
    return err;
}

static enum pgoutput_err decode_here(struct fixture *f, struct rt_span bytes)
{
    return pgoutput_decode(bytes.data, bytes.len, &f->rows, &f->message);
}

static void test_begin_carries_commit_lsn_time_and_xid(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(decode(f, wal_begin(&f->buf, 0x1122334455667788, 99)), PGOUTPUT_OK);

    assert_int_equal(f->message.kind, PGOUTPUT_BEGIN);
    assert_int_equal(f->message.begin.commit_lsn, 0x1122334455667788);
    assert_int_equal(f->message.begin.xid, 99);
    assert_int_equal(f->message.begin.commit_time, PGOUTPUT_EPOCH_USEC + 1000000);
}

static void test_commit_carries_where_the_transaction_ends(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(decode(f, wal_commit(&f->buf, 100, 140)), PGOUTPUT_OK);

    assert_int_equal(f->message.commit.commit_lsn, 100);
    assert_int_equal(f->message.commit.end_lsn, 140);
}

static void test_relation_lists_its_columns(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(decode_here(f, wal_relation(&f->buf, 7, "users", 'd', "Ab")), PGOUTPUT_OK);

    struct pgoutput_relation *relation = &f->message.relation;
    assert_int_equal(relation->oid, 7);
    assert_memory_equal(relation->table.data, "users", relation->table.len);
    assert_int_equal(relation->column_count, 2);
    struct pgoutput_column first = pgoutput_next_column(&relation->columns);
    struct pgoutput_column second = pgoutput_next_column(&relation->columns);
    assert_true(first.key);
    assert_memory_equal(first.name.data, "A", first.name.len);
    assert_false(second.key);
    assert_int_equal(second.type_oid, 23);
    assert_int_equal(second.typmod, -1);
}

static void test_insert_gives_null_text_and_unchanged_values(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(decode_here(f, wal_insert(&f->buf, 7, "~|hello|^|")), PGOUTPUT_OK);

    assert_int_equal(f->message.change.new_count, 4);
    assert_int_equal(f->rows.new_row[0].kind, PGOUTPUT_NULL);
    assert_int_equal(f->rows.new_row[1].kind, PGOUTPUT_TEXT);
    assert_memory_equal(f->rows.new_row[1].data, "hello", 5);
    assert_int_equal(f->rows.new_row[2].kind, PGOUTPUT_UNCHANGED);
    assert_int_equal(f->rows.new_row[3].len, 0);
}

static void test_update_has_old_and_new_row(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(decode_here(f, wal_change(&f->buf, 'U', 7, 'K', "1|~", "2|x")), PGOUTPUT_OK);

    assert_int_equal(f->message.change.old_kind, 'K');
    assert_memory_equal(f->rows.old_row[0].data, "1", 1);
    assert_memory_equal(f->rows.new_row[0].data, "2", 1);
}

static void test_delete_has_an_old_row_only(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(decode(f, wal_change(&f->buf, 'D', 7, 'O', "1|2", NULL)), PGOUTPUT_OK);

    assert_int_equal(f->message.change.new_count, 0);
    assert_int_equal(f->message.change.old_count, 2);
}

static void test_truncate_lists_its_tables(void **state)
{
    struct fixture *f = *state;
    const uint32_t oids[] = { 7, 8 };

    assert_int_equal(decode_here(f, wal_truncate(&f->buf, 3, oids, 2)), PGOUTPUT_OK);

    assert_int_equal(f->message.truncate.flags, 3);
    assert_int_equal(f->message.truncate.count, 2);
    assert_int_equal(pgoutput_next_oid(&f->message.truncate.oids), 7);
    assert_int_equal(pgoutput_next_oid(&f->message.truncate.oids), 8);
}

static void test_truncate_of_more_tables_than_there_are_bytes_is_refused(void **state)
{
    struct fixture *f = *state;

    rt_buf_putc(&f->buf, 'T');
    wal_number(&f->buf, UINT32_MAX, 4);
    wal_number(&f->buf, 0, 5);
    assert_int_equal(decode(f, rt_buf_span(&f->buf)), PGOUTPUT_ERR_SHORT);
}

static void test_message_tells_whether_it_is_transactional(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(decode_here(f, wal_message(&f->buf, 1, 55, "p", "content")), PGOUTPUT_OK);
    assert_true(f->message.message.transactional);
    assert_int_equal(f->message.message.lsn, 55);
    assert_memory_equal(f->message.message.content.data, "content", 7);

    assert_int_equal(decode(f, wal_message(&f->buf, 0, 55, "p", "")), PGOUTPUT_OK);
    assert_false(f->message.message.transactional);
}

/* Every message above, by number; false past the last. */
static bool build(struct fixture *f, int number)
{
    static const uint32_t oids[] = { 7, 8 };

    switch (number) {
    case 0:
        wal_begin(&f->buf, 1, 2);
        return true;
    case 1:
        wal_commit(&f->buf, 1, 2);
        return true;
    case 2:
        wal_relation(&f->buf, 7, "users", 'f', "ABc");
        return true;
    case 3:
        wal_insert(&f->buf, 7, "~|hello|^|x");
        return true;
    case 4:
        wal_change(&f->buf, 'U', 7, 'O', "1|2", "3|4");
        return true;
    case 5:
        wal_change(&f->buf, 'D', 7, 'K', "1|~", NULL);
        return true;
    case 6:
        wal_truncate(&f->buf, 0, oids, 2);
        return true;
    case 7:
        wal_message(&f->buf, 1, 2, "prefix", "content");
        return true;
    default:
        return false;
    }
}

static void test_no_prefix_of_a_message_is_a_message(void **state)
{
    struct fixture *f = *state;

    for (int number = 0; build(f, number); number++) {
        for (size_t len = 0; len < f->buf.len; len++) {
            assert_int_not_equal(decode(f, (struct rt_span){ f->buf.data, len }), PGOUTPUT_OK);
        }
    }
}

static void test_bytes_behind_a_message_are_refused(void **state)
{
    struct fixture *f = *state;

    for (int number = 0; build(f, number); number++) {
        rt_buf_putc(&f->buf, 0);
        assert_int_equal(decode(f, rt_buf_span(&f->buf)), PGOUTPUT_ERR_TRAILING);
    }
}

static void test_binary_values_and_unknown_kinds_are_refused(void **state)
{
    struct fixture *f = *state;

    wal_insert(&f->buf, 7, "x");
    f->buf.data[8] = 'b';
    assert_int_equal(decode(f, rt_buf_span(&f->buf)), PGOUTPUT_ERR_KIND);
    f->buf.data[0] = 'S'; /* of protocol version 2 */
    assert_int_equal(decode(f, rt_buf_span(&f->buf)), PGOUTPUT_ERR_KIND);
    wal_relation(&f->buf, 7, "t", 'z', "A");
    assert_int_equal(decode(f, rt_buf_span(&f->buf)), PGOUTPUT_ERR_KIND);
}

static void test_an_insert_with_an_old_row_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(decode(f, wal_change(&f->buf, 'I', 7, 'O', "1", "2")), PGOUTPUT_ERR_KIND);
}

static void test_more_columns_than_postgresql_allows_are_refused(void **state)
{
    struct fixture *f = *state;

    rt_buf_putc(&f->buf, 'I');
    wal_number(&f->buf, 7, 4);
    rt_buf_putc(&f->buf, 'N');
    wal_number(&f->buf, PGOUTPUT_COLUMNS_MAX + 1, 2);
    for (uint32_t i = 0; i <= PGOUTPUT_COLUMNS_MAX; i++) {
        rt_buf_putc(&f->buf, 'n');
    }
    assert_int_equal(decode(f, rt_buf_span(&f->buf)), PGOUTPUT_ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_begin_carries_commit_lsn_time_and_xid),
        TEST(test_commit_carries_where_the_transaction_ends),
        TEST(test_relation_lists_its_columns),
        TEST(test_insert_gives_null_text_and_unchanged_values),
        TEST(test_update_has_old_and_new_row),
        TEST(test_delete_has_an_old_row_only),
        TEST(test_truncate_lists_its_tables),
        TEST(test_truncate_of_more_tables_than_there_are_bytes_is_refused),
        TEST(test_message_tells_whether_it_is_transactional),
        TEST(test_no_prefix_of_a_message_is_a_message),
        TEST(test_bytes_behind_a_message_are_refused),
        TEST(test_binary_values_and_unknown_kinds_are_refused),
        TEST(test_an_insert_with_an_old_row_is_refused),
        TEST(test_more_columns_than_postgresql_allows_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
