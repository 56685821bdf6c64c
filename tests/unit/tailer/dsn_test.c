/* dsn_test.c - connection parameters: tailer/dsn.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tailer/dsn.h"

/* The value that wins: libpq takes the last one. */
static const char *value(const struct dsn *dsn, const char *key)
{
    const char *found = NULL;

    for (size_t i = 0; dsn->keys[i] != NULL; i++) {
        if (strcmp(dsn->keys[i], key) == 0) {
            found = dsn->values[i];
        }
    }
    return found;
}

static void test_both_connections_pin_the_form_of_values(void **state)
{
    static const enum dsn_kind kinds[] = { DSN_SQL, DSN_REPLICATION };
    static const char *const pinned[] = { "datestyle=ISO", "timezone=UTC", "intervalstyle=postgres",
                                          "extra_float_digits=3", "bytea_output=hex" };
    struct dsn dsn;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_true(dsn_init(&dsn, "postgresql://host/db", kinds[i], RT_SEC));
        for (size_t j = 0; j < sizeof(pinned) / sizeof(pinned[0]); j++) {
            assert_non_null(strstr(value(&dsn, "options"), pinned[j]));
        }
        assert_string_equal(value(&dsn, "client_encoding"), "UTF8");
        assert_string_equal(value(&dsn, "application_name"), "pgtide-tailer");
        dsn_fini(&dsn);
    }
}

static void test_only_one_connection_is_for_replication(void **state)
{
    struct dsn dsn;

    (void)state;
    assert_true(dsn_init(&dsn, "host=h", DSN_REPLICATION, RT_SEC));
    assert_string_equal(value(&dsn, "replication"), "database");
    assert_null(strstr(value(&dsn, "options"), "statement_timeout"));
    dsn_fini(&dsn);
    assert_true(dsn_init(&dsn, "host=h", DSN_SQL, 1500 * RT_MSEC));
    assert_null(value(&dsn, "replication"));
    assert_non_null(strstr(value(&dsn, "options"), "statement_timeout=1500"));
    assert_string_equal(value(&dsn, "connect_timeout"), "2");
    dsn_fini(&dsn);
}

static void test_options_of_the_url_stay_but_come_first(void **state)
{
    struct dsn dsn;

    (void)state;
    assert_true(dsn_init(&dsn,
                         "host=h options='-c datestyle=German -c work_mem=1MB' keepalives_idle=99",
                         DSN_SQL, RT_SEC));
    const char *options = value(&dsn, "options");
    assert_non_null(strstr(options, "work_mem=1MB"));
    assert_true(strstr(options, "datestyle=German") < strstr(options, "datestyle=ISO"));
    assert_null(value(&dsn, "keepalives_idle"));
    assert_string_equal(value(&dsn, "keepalives_count"), "3");
    dsn_fini(&dsn);
}

static void test_only_a_single_name_is_looked_up(void **state)
{
    static const char *const others[] = {
        "host=/run/x",          "host=10.0.0.1", "host=a,b", "dbname=d", "host=a hostaddr=10.0.0.1",
        "postgresql://[::1]/d", "nonsense=1"
    };
    struct dsn dsn;

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_null(dsn_name(others[i]));
    }
    char *name = dsn_name("postgresql://u:p@db.example/d");
    assert_string_equal(name, "db.example");
    free(name);
    assert_true(dsn_init(&dsn, "host=h", DSN_REPLICATION, RT_SEC));
    dsn_locate(&dsn, "h,h", "10.0.0.1,::1");
    assert_string_equal(value(&dsn, "host"), "h,h");
    assert_string_equal(value(&dsn, "hostaddr"), "10.0.0.1,::1");
    dsn_fini(&dsn);
}

static void test_what_is_no_connection_string_is_refused(void **state)
{
    struct dsn dsn;

    (void)state;
    assert_false(dsn_init(&dsn, "host=h nonsense=1", DSN_SQL, RT_SEC));
    assert_false(dsn_init(&dsn, "postgresql://h:port:1/%zz", DSN_SQL, RT_SEC));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_connections_pin_the_form_of_values),
        cmocka_unit_test(test_only_one_connection_is_for_replication),
        cmocka_unit_test(test_options_of_the_url_stay_but_come_first),
        cmocka_unit_test(test_only_a_single_name_is_looked_up),
        cmocka_unit_test(test_what_is_no_connection_string_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
