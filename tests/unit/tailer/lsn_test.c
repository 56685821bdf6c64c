/* lsn_test.c - positions as text and epochs: tailer/lsn.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tailer/lsn.h"

static void test_an_lsn_reads_and_writes_as_postgresql_does(void **state)
{
    uint64_t lsn = 0;
    char text[LSN_TEXT_SIZE];

    (void)state;
    assert_true(lsn_parse("16/B374D848", &lsn));
    assert_int_equal(lsn, 0x16B374D848);
    lsn_text(lsn, text);
    assert_string_equal(text, "16/B374D848");
    assert_true(lsn_parse("0/0", &lsn));
    assert_true(lsn_parse("FFFFFFFF/FFFFFFFF", &lsn));
    assert_true(lsn == UINT64_MAX);
}

static void test_other_texts_are_no_lsn(void **state)
{
    static const char *const texts[] = { "",     "/",    "1",           "1/",         "/1",
                                         "1/2x", "1x/2", "100000000/0", "0/100000000" };
    uint64_t lsn = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(lsn_parse(texts[i], &lsn));
        assert_int_equal(lsn, 0);
    }
}

static void test_an_epoch_changes_with_each_of_its_parts(void **state)
{
    uint64_t epoch = lsn_epoch("7123", 1, "pgtide", 42);

    (void)state;
    assert_int_equal(lsn_epoch("7123", 1, "pgtide", 42), epoch);
    assert_true(epoch > 0 && epoch <= UINT32_MAX);
    assert_int_not_equal(lsn_epoch("7124", 1, "pgtide", 42), epoch);
    assert_int_not_equal(lsn_epoch("7123", 2, "pgtide", 42), epoch);
    assert_int_not_equal(lsn_epoch("7123", 1, "pgtide2", 42), epoch);
    assert_int_not_equal(lsn_epoch("7123", 1, "pgtide", 43), epoch);
}

static void test_slot_names_are_what_postgresql_takes(void **state)
{
    char name[65];

    (void)state;
    memset(name, 'a', 64);
    name[64] = '\0';
    assert_false(lsn_slot_name_ok(name));
    name[63] = '\0';
    assert_true(lsn_slot_name_ok(name));
    assert_true(lsn_slot_name_ok("pg_tide_2"));
    assert_false(lsn_slot_name_ok(""));
    assert_false(lsn_slot_name_ok("Pgtide"));
    assert_false(lsn_slot_name_ok("a\" b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_lsn_reads_and_writes_as_postgresql_does),
        cmocka_unit_test(test_other_texts_are_no_lsn),
        cmocka_unit_test(test_an_epoch_changes_with_each_of_its_parts),
        cmocka_unit_test(test_slot_names_are_what_postgresql_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
