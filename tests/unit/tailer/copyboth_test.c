/* copyboth_test.c - what walsender and client say to each other: tailer/copyboth.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tailer/copyboth.h"

static void test_wal_data_is_taken_apart(void **state)
{
    const uint8_t data[] = "w\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3body";

    (void)state;
    struct copyboth_message message = copyboth_decode(data, sizeof(data) - 1);

    assert_int_equal(message.kind, COPYBOTH_DATA);
    assert_int_equal(message.wal_start, 1);
    assert_int_equal(message.wal_end, 2);
    assert_int_equal(message.server_time, 946684800000003);
    assert_int_equal(message.body.len, 4);
    assert_memory_equal(message.body.data, "body", 4);
}

static void test_a_keepalive_may_want_a_reply(void **state)
{
    const uint8_t data[] = "k\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\3\1";

    (void)state;
    struct copyboth_message message = copyboth_decode(data, sizeof(data) - 1);

    assert_int_equal(message.kind, COPYBOTH_KEEPALIVE);
    assert_int_equal(message.wal_end, 7);
    assert_true(message.reply_now);
}

static void test_everything_else_is_bad(void **state)
{
    const uint8_t data[] = "w\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3";
    const uint8_t keepalive[] = "k\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\3\1";
    const uint8_t other[] = "x\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\3\1";

    (void)state;
    for (size_t len = 0; len < sizeof(data) - 1; len++) {
        assert_int_equal(copyboth_decode(data, len).kind, COPYBOTH_BAD);
    }
    for (size_t len = 0; len < sizeof(keepalive) - 1; len++) {
        assert_int_equal(copyboth_decode(keepalive, len).kind, COPYBOTH_BAD);
    }
    assert_int_equal(copyboth_decode(keepalive, sizeof(keepalive)).kind, COPYBOTH_BAD);
    assert_int_equal(copyboth_decode(other, sizeof(other) - 1).kind, COPYBOTH_BAD);
}

static void test_a_status_reports_what_is_written_and_what_is_done(void **state)
{
    uint8_t out[COPYBOTH_STATUS_BYTES];

    (void)state;
    copyboth_encode_status(9, 5, 946684800000003, out);

    assert_memory_equal(out, "r\0\0\0\0\0\0\0\11\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\3\0",
                        sizeof(out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_data_is_taken_apart),
        cmocka_unit_test(test_a_keepalive_may_want_a_reply),
        cmocka_unit_test(test_everything_else_is_bad),
        cmocka_unit_test(test_a_status_reports_what_is_written_and_what_is_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
