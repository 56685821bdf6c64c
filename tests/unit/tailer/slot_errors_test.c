/* slot_errors_test.c - what PostgreSQL's errors mean for the slot: tailer/slot_errors.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tailer/slot_errors.h"

static struct slot_error of(const char *sqlstate, const char *message)
{
    return slot_error_classify(sqlstate, message, "pgtide", "pgtide_policies");
}

static void assert_advice(const char *sqlstate, const char *message, const char *word)
{
    assert_int_equal(of(sqlstate, message).kind, SLOT_ERROR_OTHER);
    assert_non_null(strstr(of(sqlstate, message).advice, word));
}

static void test_a_slot_in_use_means_standby(void **state)
{
    (void)state;
    assert_int_equal(of("55006", "replication slot \"pgtide\" is active for PID 7").kind,
                     SLOT_ERROR_BUSY);
}

static void test_an_invalidated_slot_is_spoilt(void **state)
{
    (void)state;
    assert_int_equal(of("55000",
                        "cannot read from logical replication slot \"pgtide\": This slot has been "
                        "invalidated because it exceeded the maximum reserved size.")
                         .kind,
                     SLOT_ERROR_SPOILT);
    assert_int_equal(of("55000", "can no longer get changes from replication slot \"pgtide\"").kind,
                     SLOT_ERROR_SPOILT);
}

static void test_a_slot_that_does_not_know_its_publication_is_spoilt(void **state)
{
    (void)state;
    assert_int_equal(of("42704", "publication \"pgtide\" does not exist").kind, SLOT_ERROR_SPOILT);
    assert_int_equal(of("42704", "publication \"other\" does not exist").kind, SLOT_ERROR_OTHER);
    assert_int_equal(of("42704", "replication slot \"pgtide\" does not exist").kind,
                     SLOT_ERROR_OTHER);
}

static void test_a_slot_older_than_the_policies_publication_goes_on_without(void **state)
{
    static const char message[] = "publication \"rows_too\" does not exist";

    (void)state;
    assert_int_equal(of("42704", "publication \"pgtide_policies\" does not exist").kind,
                     SLOT_ERROR_POLICIES);
    assert_int_equal(slot_error_classify("42704", message, "rows_too", "rows").kind,
                     SLOT_ERROR_SPOILT);
    assert_int_equal(slot_error_classify("42704", message, "rows", "rows_too").kind,
                     SLOT_ERROR_POLICIES);
}

static void test_what_an_operator_can_mend_comes_with_advice(void **state)
{
    (void)state;
    assert_advice("55000", "logical decoding requires wal_level >= logical", "wal_level = logical");
    assert_advice("53400", "all replication slots are in use", "max_replication_slots");
    assert_advice(NULL, "FATAL:  number of requested standby connections exceeds max_wal_senders",
                  "max_wal_senders");
    assert_advice(NULL, "FATAL:  must be superuser or replication role to start walsender",
                  "REPLICATION");
    assert_advice(NULL, "FATAL:  permission denied to start WAL sender", "REPLICATION");
    assert_advice(NULL, "failed: Connection refused", "start PostgreSQL");
    assert_advice(NULL, "FATAL:  password authentication failed for user \"x\"", "password");
    assert_advice("54000", "out of memory", "pg_replication_slot_advance");
}

static void test_anything_else_is_tried_again_without_advice(void **state)
{
    (void)state;
    assert_int_equal(of("XX000", "something").kind, SLOT_ERROR_OTHER);
    assert_string_equal(of("XX000", "something").advice, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_slot_in_use_means_standby),
        cmocka_unit_test(test_an_invalidated_slot_is_spoilt),
        cmocka_unit_test(test_a_slot_that_does_not_know_its_publication_is_spoilt),
        cmocka_unit_test(test_a_slot_older_than_the_policies_publication_goes_on_without),
        cmocka_unit_test(test_what_an_operator_can_mend_comes_with_advice),
        cmocka_unit_test(test_anything_else_is_tried_again_without_advice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
