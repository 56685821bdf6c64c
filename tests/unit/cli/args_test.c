#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/args.h"

static const struct cli_option options[] = {
    { "url", "URL", false, "" },
    { "claim", "NAME=VALUE", true, "" },
    { "once", NULL, false, "" },
    { 0 },
};

struct fixture {
    struct cli_args args;
    struct rt_buf error;
    char words[8][32]; /* what args points into */
};

static int setup(void **state)
{
    *state = rt_alloc(sizeof(struct fixture));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    rt_buf_fini(&f->error);
    free(f);
    return 0;
}

static bool parse(struct fixture *f, int argc, const char *const *words)
{
    char *argv[8];

    for (int i = 0; i < argc; i++) {
        argv[i] = f->words[i];
        snprintf(f->words[i], sizeof f->words[i], "%s", words[i]);
    }
    return cli_args_parse(options, argc, argv, &f->args, &f->error);
}
#define PARSE(f, ...)                                                                              \
    parse((f), (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)),                    \
          (const char *const[]){ __VA_ARGS__ })

static void test_values_come_behind_a_space_or_an_equals_sign(void **state)
{
    struct fixture *f = *state;

    assert_true(PARSE(f, "--url", "a", "--claim=k=v"));

    assert_string_equal(cli_args_value(&f->args, "url"), "a");
    assert_string_equal(cli_args_value(&f->args, "claim"), "k=v");
    assert_false(cli_args_flag(&f->args, "once"));
}

static void test_arguments_and_options_may_be_mixed(void **state)
{
    struct fixture *f = *state;

    assert_true(PARSE(f, "one", "--once", "two", "-"));

    assert_true(cli_args_flag(&f->args, "once"));
    assert_int_equal(f->args.argument_count, 3);
    assert_string_equal(f->args.arguments[1], "two");
    assert_string_equal(f->args.arguments[2], "-");
}

static void test_two_dashes_end_the_options(void **state)
{
    struct fixture *f = *state;

    assert_true(PARSE(f, "--", "--once"));

    assert_false(cli_args_flag(&f->args, "once"));
    assert_string_equal(f->args.arguments[0], "--once");
}

static void test_a_repeating_option_keeps_every_value_in_order(void **state)
{
    struct fixture *f = *state;

    assert_true(PARSE(f, "--claim", "a=1", "--once", "--claim", "b=2"));

    assert_string_equal(cli_args_each(&f->args, "claim", 0), "a=1");
    assert_string_equal(cli_args_each(&f->args, "claim", 1), "b=2");
    assert_null(cli_args_each(&f->args, "claim", 2));
}

static void test_an_option_given_twice_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_false(PARSE(f, "--url", "a", "--url", "b"));
    assert_string_equal(rt_buf_cstr(&f->error), "--url is given twice");
}

static void test_an_unknown_option_is_refused_with_the_nearest_name(void **state)
{
    struct fixture *f = *state;

    assert_false(PARSE(f, "--clam", "a=1"));
    assert_string_equal(rt_buf_cstr(&f->error), "there is no option --clam; did you mean --claim?");
}

static void test_a_missing_value_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_false(PARSE(f, "--url"));
    assert_string_equal(rt_buf_cstr(&f->error), "--url needs a value: --url URL");
}

static void test_a_flag_takes_no_value(void **state)
{
    struct fixture *f = *state;

    assert_false(PARSE(f, "--once=yes"));
    assert_string_equal(rt_buf_cstr(&f->error), "--once takes no value");
}

static void test_short_options_are_refused(void **state)
{
    struct fixture *f = *state;

    assert_false(PARSE(f, "-u"));
}

static void test_the_nearest_word_is_at_most_two_letters_away(void **state)
{
    const char *const words[] = { "init", "token", "tail" };

    (void)state;
    assert_string_equal(cli_nearest("tokn", words, 3), "token");
    assert_string_equal(cli_nearest("tali", words, 3), "tail");
    assert_null(cli_nearest("subscribe", words, 3));
    assert_null(cli_nearest("a word much longer than any option could ever be", words, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values_come_behind_a_space_or_an_equals_sign, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_arguments_and_options_may_be_mixed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_dashes_end_the_options, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_repeating_option_keeps_every_value_in_order, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_an_option_given_twice_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_unknown_option_is_refused_with_the_nearest_name,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_missing_value_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_flag_takes_no_value, setup, teardown),
        cmocka_unit_test_setup_teardown(test_short_options_are_refused, setup, teardown),
        cmocka_unit_test(test_the_nearest_word_is_at_most_two_letters_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
