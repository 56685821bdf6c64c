/* tests/unit/proto/records_test.c - limits that are too long for vectors, lists, and what the
 * encoders refuse. Fields and bytes are the vectors' matter. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/records.h"

/* A record whose only text of interest has `len` bytes, written without the encoder's checks. */
typedef void write_record(struct wire_writer *out, const char *text, size_t len);
typedef enum wire_err read_record(struct wire_reader *in);

static struct wire_span span(const char *text)
{
    return (struct wire_span){ text, strlen(text) };
}

static void write_claims(struct wire_writer *out, const char *text, size_t len)
{
    wire_write_array(out, 5);
    wire_write_u64(out, WIRE_IDENTIFY);
    wire_write_u64(out, 1);
    wire_write_str(out, "anon", 4);
    wire_write_str(out, text, len);
    wire_write_i64(out, 0);
}

static enum wire_err read_claims(struct wire_reader *in)
{
    struct wire_identify record;

    return wire_decode_identify(in, &record);
}

static void write_filter(struct wire_writer *out, const char *text, size_t len)
{
    wire_write_array(out, 10);
    wire_write_u64(out, WIRE_SUBSCRIBE);
    wire_write_u64(out, 1);
    wire_write_u64(out, 1);
    wire_write_str(out, "c", 1);
    wire_write_str(out, text, len);
    wire_write_u64(out, WIRE_FILTER_PLAIN);
    wire_write_nil(out);
    wire_write_bool(out, false);
    wire_write_u64(out, 0);
    wire_write_str(out, "", 0);
}

static enum wire_err read_filter(struct wire_reader *in)
{
    struct wire_subscribe record;

    return wire_decode_subscribe(in, &record);
}

static void write_event(struct wire_writer *out, const char *text, size_t len)
{
    wire_write_array(out, 8);
    wire_write_u64(out, WIRE_PUBLISH);
    wire_write_u64(out, 1);
    wire_write_str(out, "c", 1);
    wire_write_str(out, text, len);
    wire_write_str(out, "{}", 2);
    wire_write_u64(out, 0);
    wire_write_bool(out, true);
    wire_write_u64(out, 0);
}

static void write_payload(struct wire_writer *out, const char *text, size_t len)
{
    wire_write_array(out, 8);
    wire_write_u64(out, WIRE_PUBLISH);
    wire_write_u64(out, 1);
    wire_write_str(out, "c", 1);
    wire_write_str(out, "e", 1);
    wire_write_str(out, text, len);
    wire_write_u64(out, 0);
    wire_write_bool(out, true);
    wire_write_u64(out, 0);
}

static enum wire_err read_publish(struct wire_reader *in)
{
    struct wire_publish record;

    return wire_decode_publish(in, &record);
}

static void write_prefix(struct wire_writer *out, const char *text, size_t len)
{
    wire_write_array(out, 6);
    wire_write_u64(out, WIRE_MESSAGE);
    wire_write_u64(out, 0);
    wire_write_u64(out, 0);
    wire_write_bool(out, false);
    wire_write_str(out, text, len);
    wire_write_str(out, "", 0);
}

static enum wire_err read_message(struct wire_reader *in)
{
    struct wire_message record;

    return wire_decode_message(in, &record);
}

static enum wire_err try_length(write_record *write, read_record *read, size_t len)
{
    struct wire_writer out = { 0 };
    struct wire_reader in;
    enum wire_type type;
    char *text = malloc(len);

    assert_non_null(text);
    memset(text, 'x', len);
    write(&out, text, len);
    wire_reader_init(&in, out.data, out.len);
    assert_int_equal(wire_next_record(&in, &type), WIRE_OK);
    enum wire_err err = read(&in);
    free(text);
    wire_writer_fini(&out);
    return err;
}

static void test_texts_reach_their_limit_and_no_further(void **state)
{
    static const struct {
        write_record *write;
        read_record *read;
        size_t limit;
    } fields[] = {
        { write_claims, read_claims, WIRE_CLAIMS_MAX },
        { write_filter, read_filter, WIRE_FILTER_MAX },
        { write_event, read_publish, WIRE_TEXT_MAX },
        { write_payload, read_publish, WIRE_PAYLOAD_MAX },
        { write_prefix, read_message, WIRE_TEXT_MAX },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        assert_int_equal(try_length(fields[i].write, fields[i].read, fields[i].limit), WIRE_OK);
        assert_int_equal(try_length(fields[i].write, fields[i].read, fields[i].limit + 1),
                         WIRE_ERR_RANGE);
    }
}

static void test_a_deliver_reaches_its_limit_of_groups(void **state)
{
    struct wire_delivery *groups = calloc(WIRE_GROUPS_MAX, sizeof(*groups));
    struct wire_deliver head = { .index = 1,
                                 .group_count = WIRE_GROUPS_MAX,
                                 .new_row = { (const uint8_t *)"\x90", 1 } };
    struct wire_writer out = { 0 };
    struct wire_reader in;
    struct wire_deliver deliver;
    struct wire_delivery delivery;
    enum wire_type type;

    (void)state;
    assert_non_null(groups);
    for (uint32_t i = 0; i < WIRE_GROUPS_MAX; i++) {
        groups[i] = (struct wire_delivery){ .group = i, .op = WIRE_UPDATE };
    }
    wire_encode_deliver(&out, &head, groups);
    wire_reader_init(&in, out.data, out.len);
    assert_int_equal(wire_next_record(&in, &type), WIRE_OK);
    assert_int_equal(wire_decode_deliver(&in, &deliver), WIRE_OK);
    assert_int_equal(deliver.group_count, WIRE_GROUPS_MAX);
    for (uint32_t i = 0; i < WIRE_GROUPS_MAX; i++) {
        assert_int_equal(wire_next_delivery(&deliver.groups, &delivery), WIRE_OK);
        assert_int_equal(delivery.group, i);
    }
    assert_int_equal(wire_reader_finish(&deliver.groups), WIRE_OK);
    wire_writer_fini(&out);
    free(groups);
}

static void test_the_end_of_a_message_is_no_failure(void **state)
{
    struct wire_reader in;
    enum wire_type type = WIRE_BEGIN;

    (void)state;
    wire_reader_init(&in, NULL, 0);
    assert_int_equal(wire_next_record(&in, &type), WIRE_ERR_END);
    assert_int_equal(wire_next_record(&in, &type), WIRE_ERR_END);
    assert_int_equal(wire_reader_finish(&in), WIRE_OK);
    assert_int_equal(type, WIRE_BEGIN);
}

static void test_nothing_is_read_behind_a_bad_record(void **state)
{
    static const uint8_t bytes[] = { 0x92, 99, 1, 0x92, WIRE_FORGET, 1 };
    struct wire_reader in;
    enum wire_type type = WIRE_BEGIN;

    (void)state;
    wire_reader_init(&in, bytes, sizeof(bytes));
    assert_int_equal(wire_next_record(&in, &type), WIRE_ERR_UNKNOWN);
    assert_int_equal(wire_next_record(&in, &type), WIRE_ERR_UNKNOWN);
    assert_int_equal(type, WIRE_BEGIN);
}

static void test_a_list_ends_where_its_record_says(void **state)
{
    const uint32_t rels[] = { 1, 2, 3 };
    struct wire_writer out = { 0 };
    struct wire_reader in;
    struct wire_truncate truncate;
    enum wire_type type;

    (void)state;
    wire_encode_truncate(&out, 0, 0, rels, 3);
    wire_encode_need(&out, &(struct wire_need){ .rel = 77 });
    wire_reader_init(&in, out.data, out.len);
    assert_int_equal(wire_next_record(&in, &type), WIRE_OK);
    assert_int_equal(wire_decode_truncate(&in, &truncate), WIRE_OK);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(wire_read_u32(&truncate.rels), rels[i]);
    }
    assert_int_equal(wire_read_u32(&truncate.rels), 0);
    assert_int_equal(truncate.rels.err, WIRE_ERR_SHORT);
    assert_int_equal(wire_next_record(&in, &type), WIRE_OK);
    assert_int_equal(type, WIRE_NEED);
    wire_writer_fini(&out);
}

static void test_tuples_pass_through_byte_for_byte(void **state)
{
    static const uint8_t row[] = { 0xdc, 0, 2, 0xc4, 1, 'a', 0xcc, 1 }; /* not the shortest form */
    struct wire_change change = { .rel = 1,
                                  .op = WIRE_UPDATE,
                                  .old_kind = WIRE_OLD_FULL,
                                  .new_row = { row, sizeof(row) },
                                  .old_row = { row, sizeof(row) } };
    struct wire_writer out = { 0 };
    struct wire_reader in;
    enum wire_type type;

    (void)state;
    wire_encode_change(&out, &change);
    memset(&change, 0, sizeof(change));
    wire_reader_init(&in, out.data, out.len);
    assert_int_equal(wire_next_record(&in, &type), WIRE_OK);
    assert_int_equal(wire_decode_change(&in, &change), WIRE_OK);
    assert_int_equal(change.new_row.len, sizeof(row));
    assert_memory_equal(change.new_row.data, row, sizeof(row));
    assert_int_equal(change.old_row.len, sizeof(row));
    assert_memory_equal(change.old_row.data, row, sizeof(row));
    wire_writer_fini(&out);
}

/* Whether this aborts. In a child, since it must. */
static bool aborts(void (*encode)(struct wire_writer *out))
{
    int status = 0;

    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct wire_writer out = { 0 };
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO); /* what it says before it aborts */
        encode(&out);
        _exit(0);
    }
    assert_true(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static const struct wire_tuple a_row = { (const uint8_t *)"\x90", 1 };

static void encode_long_role(struct wire_writer *out)
{
    char role[WIRE_NAME_MAX + 2] = { 0 };

    memset(role, 'r', WIRE_NAME_MAX + 1);
    wire_encode_identify(out, &(struct wire_identify){ .role = span(role), .claims = span("") });
}

static void encode_insert_without_row(struct wire_writer *out)
{
    wire_encode_change(out, &(struct wire_change){ .op = WIRE_INSERT });
}

static void encode_insert_with_old_row(struct wire_writer *out)
{
    wire_encode_change(out, &(struct wire_change){ .op = WIRE_INSERT,
                                                   .old_kind = WIRE_OLD_FULL,
                                                   .new_row = a_row,
                                                   .old_row = a_row });
}

static void encode_delete_without_old_row(struct wire_writer *out)
{
    wire_encode_change(out, &(struct wire_change){ .op = WIRE_DELETE });
}

static void encode_change_without_operation(struct wire_writer *out)
{
    wire_encode_change(out, &(struct wire_change){ .new_row = a_row });
}

static void encode_delivery_without_row(struct wire_writer *out)
{
    wire_encode_deliver(out, &(struct wire_deliver){ .group_count = 1 },
                        &(struct wire_delivery){ .group = 1, .op = WIRE_UPDATE });
}

static void encode_delivered_delete_without_row(struct wire_writer *out)
{
    wire_encode_deliver(out, &(struct wire_deliver){ .group_count = 1, .new_row = a_row },
                        &(struct wire_delivery){ .group = 1, .op = WIRE_DELETE });
}

static void encode_too_many_groups(struct wire_writer *out)
{
    wire_encode_deliver_truncate(out, 0, 0, NULL, WIRE_GROUPS_MAX + 1);
}

static void encode_unknown_flag(struct wire_writer *out)
{
    wire_encode_truncate(out, 0, 4, NULL, 0);
}

static void encode_unknown_code(struct wire_writer *out)
{
    wire_encode_refuse(out, &(struct wire_refuse){ .message = span("") });
}

static void encode_column_without_shape(struct wire_writer *out)
{
    struct wire_relation head = {
        .schema = span("s"), .table = span("t"), .identity = 'd', .column_count = 1
    };

    wire_encode_relation(out, &head, &(struct wire_column){ .name = span("c") }, NULL);
}

static void encode_unknown_identity(struct wire_writer *out)
{
    wire_encode_relation(out, &(struct wire_relation){ .schema = span("s"), .table = span("t") },
                         NULL, NULL);
}

static void encode_column_past_the_last(struct wire_writer *out)
{
    struct wire_group head = { .schema = span("s"), .table = span("t"), .column_count = 1 };

    wire_encode_group(out, &head,
                      &(struct wire_group_column){
                          .at = WIRE_COLUMNS_MAX, .name = span("c"), .shape = { "\0", 1 } },
                      NULL);
}

static void encode_what_is_allowed(struct wire_writer *out)
{
    wire_encode_change(out, &(struct wire_change){ .op = WIRE_INSERT, .new_row = a_row });
    wire_writer_fini(out);
}

static void test_encoders_refuse_what_a_decoder_would(void **state)
{
    (void)state;
    assert_false(aborts(encode_what_is_allowed));
    assert_true(aborts(encode_long_role));
    assert_true(aborts(encode_insert_without_row));
    assert_true(aborts(encode_insert_with_old_row));
    assert_true(aborts(encode_delete_without_old_row));
    assert_true(aborts(encode_change_without_operation));
    assert_true(aborts(encode_delivery_without_row));
    assert_true(aborts(encode_delivered_delete_without_row));
    assert_true(aborts(encode_too_many_groups));
    assert_true(aborts(encode_unknown_flag));
    assert_true(aborts(encode_unknown_code));
    assert_true(aborts(encode_column_without_shape));
    assert_true(aborts(encode_unknown_identity));
    assert_true(aborts(encode_column_past_the_last));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_reach_their_limit_and_no_further),
        cmocka_unit_test(test_a_deliver_reaches_its_limit_of_groups),
        cmocka_unit_test(test_the_end_of_a_message_is_no_failure),
        cmocka_unit_test(test_nothing_is_read_behind_a_bad_record),
        cmocka_unit_test(test_a_list_ends_where_its_record_says),
        cmocka_unit_test(test_tuples_pass_through_byte_for_byte),
        cmocka_unit_test(test_encoders_refuse_what_a_decoder_would),
    };

    return cmocka_run_group_tests_name("proto/records", tests, NULL, NULL);
}
