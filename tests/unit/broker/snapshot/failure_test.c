/* Tests of broker/snapshot/failure: what the client is told about an error, and whether it is tried again.
 *
 * libpq offers no way to make a result with an SQLSTATE, so its accessor is replaced. */
#include "broker/snapshot/failure.h"
#include "tests/unit/broker/snapshot/rows.h"

struct error {
    const char *state;
    const char *message;
};
static struct error error;

char *PQresultErrorField(const PGresult *result, int field)
{
    const char *text = field == PG_DIAG_SQLSTATE ? error.state : error.message;
    union {
        const char *from;
        char *to;
    } cast = { text };

    (void)result;
    return cast.to;
}

static struct failure failure(const char *state, enum failure_phase phase)
{
    struct failure out;

    error = (struct error){ state, "permission denied for table t" };
    failure_of(&out, NULL, phase, "anon", "public.t");
    return out;
}

static void test_a_role_that_may_not_be_set_says_what_to_grant(void **state)
{
    struct failure found = failure("42501", FAILURE_ENTERING);

    (void)state;
    assert_int_equal(found.code, WIRE_CODE_FORBIDDEN);
    assert_int_equal(found.kind, SNAPSHOT_FORBIDDEN);
    assert_false(found.again);
    assert_non_null(strstr(found.message, "GRANT \"anon\" TO"));
    found = failure("22023", FAILURE_ENTERING);
    assert_int_equal(found.code, WIRE_CODE_FORBIDDEN);
    assert_string_equal(found.message, "role \"anon\" does not exist in the database");
}

static void test_rights_and_tables_are_told(void **state)
{
    struct failure found = failure("42501", FAILURE_READING);

    (void)state;
    assert_int_equal(found.code, WIRE_CODE_FORBIDDEN);
    assert_string_equal(found.message,
                        "table public.t cannot be read: permission denied for table t");
    found = failure("42P01", FAILURE_READING);
    assert_int_equal(found.kind, SNAPSHOT_TABLE);
    assert_int_equal(found.code, WIRE_CODE_SUBSCRIPTION_FAILED);
    found = failure("22P02", FAILURE_READING);
    assert_int_equal(found.kind, SNAPSHOT_OTHER);
    assert_false(found.again);
}

static void test_what_passes_is_tried_again(void **state)
{
    (void)state;
    assert_true(failure("57P01", FAILURE_READING).again);
    assert_true(failure("40001", FAILURE_READING).again);
    assert_true(failure("57014", FAILURE_READING).again);
    assert_int_equal(failure("57014", FAILURE_READING).kind, SNAPSHOT_TIMEOUT);
    assert_false(failure("XX000", FAILURE_ENTERING).again);
    assert_false(failure(NULL, FAILURE_ENTERING).again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_role_that_may_not_be_set_says_what_to_grant),
        cmocka_unit_test(test_rights_and_tables_are_told),
        cmocka_unit_test(test_what_passes_is_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
