#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/duration.h"

static void test_every_unit_is_known(void **state)
{
    int64_t seconds = 0;

    (void)state;
    assert_true(cli_duration_parse("90s", &seconds));
    assert_int_equal(seconds, 90);
    assert_true(cli_duration_parse("15m", &seconds));
    assert_int_equal(seconds, 900);
    assert_true(cli_duration_parse("12h", &seconds));
    assert_int_equal(seconds, 43200);
    assert_true(cli_duration_parse("7d", &seconds));
    assert_int_equal(seconds, 604800);
}

static void test_other_texts_are_refused_and_write_nothing(void **state)
{
    static const char *const bad[] = { "",
                                       "h",
                                       "10",
                                       "-1h",
                                       "+1h",
                                       " 1h",
                                       "1.5h",
                                       "1w",
                                       "1hh",
                                       "1h30m",
                                       "1 h",
                                       "0x10s",
                                       "never",
                                       "99999999999999999999s",
                                       "9223372036854775807d" };
    int64_t seconds = 42;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (cli_duration_parse(bad[i], &seconds)) {
            fail_msg("%s was taken", bad[i]);
        }
    }
    assert_int_equal(seconds, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_unit_is_known),
        cmocka_unit_test(test_other_texts_are_refused_and_write_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
