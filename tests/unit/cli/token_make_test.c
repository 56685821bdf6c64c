#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <jwt.h>

#include "cli/token_make.h"

static const char KEY[] = "0123456789abcdef0123456789abcdef";
enum { NOW = 1700000000 };

static const struct cli_option options[] = { CLI_TOKEN_OPTIONS, { 0 } };

/* The claims of the options as sorted JSON text, or the error; the caller's. */
static char *claims_of(int argc, const char *const *words)
{
    char copies[16][64];
    char *argv[16];
    struct cli_args args;
    struct rt_buf error = { 0 };

    for (int i = 0; i < argc; i++) {
        argv[i] = copies[i];
        snprintf(copies[i], sizeof copies[i], "%s", words[i]);
    }
    assert_true(cli_args_parse(options, argc, argv, &args, &error));
    json_t *claims = cli_token_claims(&args, NOW, &error);
    char *text = claims != NULL ? json_dumps(claims, JSON_COMPACT | JSON_SORT_KEYS)
                                : rt_strdup(rt_buf_cstr(&error));
    json_decref(claims);
    rt_buf_fini(&error);
    return text;
}
#define ASSERT_CLAIMS(expected, ...)                                                               \
    do {                                                                                           \
        char *text = claims_of((int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)),    \
                               (const char *const[]){ __VA_ARGS__ });                              \
        assert_string_equal(text, expected);                                                       \
        free(text);                                                                                \
    } while (0)

static void test_role_sub_and_times_are_claims(void **state)
{
    (void)state;
    ASSERT_CLAIMS("{\"exp\":1700000900,\"iat\":1700000000,\"role\":\"anon\",\"sub\":\"u1\"}",
                  "--role", "anon", "--sub", "u1", "--ttl", "15m");
}

static void test_without_options_a_token_is_for_authenticated_and_an_hour(void **state)
{
    (void)state;
    char *text = claims_of(0, NULL);
    assert_string_equal(text, "{\"exp\":1700003600,\"iat\":1700000000,\"role\":\"authenticated\"}");
    free(text);
}

static void test_a_claim_that_is_json_is_json_and_any_other_is_text(void **state)
{
    (void)state;
    ASSERT_CLAIMS(
        "{\"a\":12,\"b\":[\"x\",null],\"c\":\"12\",\"d\":\"some text\",\"e\":\"\",\"f\":\"k=v\","
        "\"iat\":1700000000,\"role\":\"authenticated\"}",
        "--ttl", "never", "--claim", "a=12", "--claim", "b=[\"x\",null]", "--claim", "c=\"12\"",
        "--claim", "d=some text", "--claim", "e=", "--claim", "f=k=v");
}

static void test_a_claim_wins_over_what_is_set_by_default(void **state)
{
    (void)state;
    ASSERT_CLAIMS("{\"exp\":1,\"iat\":1700000000,\"role\":\"x\"}", "--claim", "exp=1", "--claim",
                  "role=x");
}

static void test_bad_options_are_refused_with_an_example(void **state)
{
    (void)state;
    ASSERT_CLAIMS("--claim org is not NAME=VALUE, e.g. --claim org=12", "--claim", "org");
    ASSERT_CLAIMS("--claim =1 is not NAME=VALUE, e.g. --claim org=12", "--claim", "=1");
    ASSERT_CLAIMS("--ttl soon is not a length of time; write e.g. 15m, 12h, 7d, or never", "--ttl",
                  "soon");
    ASSERT_CLAIMS("--sub is not UTF-8 text", "--sub", "\xff");
    ASSERT_CLAIMS("--claim a=\xff is neither JSON nor UTF-8 text", "--claim", "a=\xff");
}

static void test_a_signed_token_verifies_with_the_key_and_only_with_it(void **state)
{
    struct rt_buf error = { 0 };
    json_t *claims = json_pack("{s:s,s:[i]}", "role", "anon", "teams", 7);
    char *token = cli_token_sign(claims, KEY, &error);
    jwt_t *jwt = NULL;

    (void)state;
    assert_non_null(token);
    assert_int_equal(jwt_decode(&jwt, token, (const unsigned char *)KEY, (int)strlen(KEY)), 0);
    assert_int_equal(jwt_get_alg(jwt), JWT_ALG_HS256);
    assert_string_equal(jwt_get_grant(jwt, "role"), "anon");
    jwt_free(jwt);
    jwt = NULL;
    assert_int_not_equal(
        jwt_decode(&jwt, token, (const unsigned char *)"another key another key another!", 32), 0);
    jwt_free(jwt);
    free(token);
    json_decref(claims);
    rt_buf_fini(&error);
}

static void test_a_short_key_is_refused(void **state)
{
    struct rt_buf error = { 0 };
    json_t *claims = json_object();

    (void)state;
    assert_null(cli_token_sign(claims, "short", &error));
    assert_string_equal(rt_buf_cstr(&error), "the signing key has 5 bytes; at least 32 are needed");
    json_decref(claims);
    rt_buf_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_role_sub_and_times_are_claims),
        cmocka_unit_test(test_without_options_a_token_is_for_authenticated_and_an_hour),
        cmocka_unit_test(test_a_claim_that_is_json_is_json_and_any_other_is_text),
        cmocka_unit_test(test_a_claim_wins_over_what_is_set_by_default),
        cmocka_unit_test(test_bad_options_are_refused_with_an_example),
        cmocka_unit_test(test_a_signed_token_verifies_with_the_key_and_only_with_it),
        cmocka_unit_test(test_a_short_key_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
