/* Who a token says its bearer is, and everything that must not convince us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jwt.h>

#include "edge/token.h"
#include "runtime/config.h"
#include "runtime/log.h"

/* clang-format off */
#define KEY "0123456789abcdef0123456789abcdef"
/* Signed with KEY, what libjwt's encoder would not write: */
#define DUPLICATE_ROLE "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb2xlIjoiYW5vbiIsInJvbGUiOiJzZXJ2aWNlX3JvbGUifQ.612U9Z-cNqpSVxp5lmWOqLaftW1G_mydXEgGi20Pmhk"
#define ARRAY_CLAIMS "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.WzFd.eUqK182P5IfBOE82cBqE-NjwumkR5AT4cckCf1VjXkg"
#define NUL_CLAIM "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhXHUwMDAwYiJ9.e3w8eS--zpX1e4UCtmwrULVKtZiNNJqy2PKbngFLN24"
#define CRITICAL_EXTENSION "eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiYjY0Il0sImI2NCI6dHJ1ZX0.eyJzdWIiOiJ4In0.pMm_pG2xjP8X-EK4D3BpCfxnyZlpsiqlcMeYh74Oq6s"
#define HUGE_EXP "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjk5OTk5OTk5OTk5OTk5OTk5OTk5fQ.5F-U_IaYprTMVgCqyoQfIalqtEAK_GjN2WzrPGQG7I0"
#define SPACED_CLAIMS "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyAic3ViIiA6ICJ4IiB9Cg.vaKEq9SzuYn3pnfwEyDQOhrWY8z52Vb-SX9VphLpX-U"
/* clang-format on */

static const rt_usec NOW = 1700000000 * RT_SEC;

struct fixture {
    struct rt_config config;
    struct rt_log *log;
    struct token_verifier *verifier;
    struct identity identity;
};

static int setup(void **state)
{
    struct fixture *f = rt_alloc(sizeof(*f));

    f->config.auth_jwt_key = rt_strdup(KEY);
    f->config.auth_algorithms = rt_strdup("HS256,HS384, HS512");
    f->config.auth_roles = rt_strdup("anon,authenticated, service_role");
    f->config.auth_anon_role = rt_strdup("anon");
    f->config.auth_default_role = rt_strdup("authenticated");
    f->config.auth_leeway = 5 * RT_SEC;
    f->log = rt_log_new("test", RT_LOG_ERROR, RT_LOG_KV);
    f->verifier = token_verifier_new(&f->config, f->log);
    *state = f;
    return f->verifier == NULL;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    identity_fini(&f->identity);
    token_verifier_free(f->verifier);
    rt_log_free(f->log);
    free(f->config.auth_jwt_key);
    free(f->config.auth_algorithms);
    free(f->config.auth_roles);
    free(f->config.auth_anon_role);
    free(f->config.auth_default_role);
    free(f);
    return 0;
}

static void set(char **option, const char *value)
{
    free(*option);
    *option = rt_strdup(value);
}

static void renew(struct fixture *f)
{
    token_verifier_free(f->verifier);
    f->verifier = token_verifier_new(&f->config, f->log);
}

static char *sign(jwt_alg_t algorithm, const char *key, const char *claims)
{
    jwt_t *jwt = NULL;
    unsigned char bytes[256] = { 0 };
    size_t len = 0;

    for (; key[len] != '\0'; len++) {
        bytes[len] = (unsigned char)key[len];
    }
    assert_int_equal(jwt_new(&jwt), 0);
    assert_int_equal(jwt_add_grants_json(jwt, claims), 0);
    assert_int_equal(jwt_set_alg(jwt, algorithm, bytes, (int)len), 0);
    char *text = jwt_encode_str(jwt);
    char *copy = rt_strdup(text);
    free(text);
    jwt_free(jwt);
    return copy;
}

static enum token_err verify(struct fixture *f, const char *token)
{
    identity_fini(&f->identity);
    return token_verify(f->verifier, token, strlen(token), NOW, &f->identity);
}

static enum token_err verify_claims(struct fixture *f, const char *claims)
{
    char *token = sign(JWT_ALG_HS256, KEY, claims);
    enum token_err err = verify(f, token);
    free(token);
    return err;
}

static void test_good_token_gives_role_claims_and_expiry(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        verify_claims(f, "{\"sub\":\"u1\",\"role\":\"service_role\",\"exp\":1700000060}"),
        TOKEN_OK);

    assert_string_equal(f->identity.role, "service_role");
    assert_non_null(strstr(f->identity.claims, "\"sub\":\"u1\""));
    assert_int_equal(f->identity.claims_len, strlen(f->identity.claims));
    assert_int_equal(f->identity.expires, 1700000060 * RT_SEC);
}

static void test_claims_are_the_text_of_the_payload(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(verify(f, SPACED_CLAIMS), TOKEN_OK);

    assert_string_equal(f->identity.claims, "{ \"sub\" : \"x\" }\n");
}

static void test_each_accepted_algorithm_verifies(void **state)
{
    struct fixture *f = *state;
    static const jwt_alg_t algorithms[] = { JWT_ALG_HS256, JWT_ALG_HS384, JWT_ALG_HS512 };

    for (size_t i = 0; i < 3; i++) {
        char *token = sign(algorithms[i], KEY, "{}");
        assert_int_equal(verify(f, token), TOKEN_OK);
        free(token);
    }
}

static void test_role_follows_configuration(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(verify_claims(f, "{}"), TOKEN_OK);
    assert_string_equal(f->identity.role, "anon");
    assert_int_equal(verify_claims(f, "{\"role\":\"\"}"), TOKEN_OK);
    assert_string_equal(f->identity.role, "anon");
    assert_int_equal(verify_claims(f, "{\"role\":\"admin\"}"), TOKEN_OK);
    assert_string_equal(f->identity.role, "authenticated");
    assert_int_equal(verify_claims(f, "{\"role\":\"service\"}"), TOKEN_OK);
    assert_string_equal(f->identity.role, "authenticated");
    assert_int_equal(verify_claims(f, "{\"role\":\"anon,authenticated\"}"), TOKEN_OK);
    assert_string_equal(f->identity.role, "authenticated");
    assert_int_equal(verify_claims(f, "{\"role\":\"service_role\"}"), TOKEN_OK);
    assert_string_equal(f->identity.role, "service_role");
}

static void test_role_that_is_no_text_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(verify_claims(f, "{\"role\":[\"service_role\"]}"), TOKEN_CLAIMS);
    assert_int_equal(verify_claims(f, "{\"role\":null}"), TOKEN_CLAIMS);
    assert_int_equal(verify_claims(f, "{\"role\":1}"), TOKEN_CLAIMS);
}

static void test_expiry_is_checked_to_the_second_with_leeway(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(verify_claims(f, "{\"exp\":1699999996}"), TOKEN_OK);
    assert_int_equal(verify_claims(f, "{\"exp\":1699999995}"), TOKEN_EXPIRED);
    assert_int_equal(verify_claims(f, "{\"exp\":0}"), TOKEN_EXPIRED);
    assert_int_equal(verify_claims(f, "{\"nbf\":1700000005}"), TOKEN_OK);
    assert_int_equal(verify_claims(f, "{\"nbf\":1700000006}"), TOKEN_NOT_YET);
}

/* Only the times that are named are not looked at; everything else is. */
static void test_leniency_is_about_its_times_only(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *claims;
        unsigned lenient;
        enum token_err expected;
    } cases[] = {
        { "{\"nbf\":1700001800}", TOKEN_ANY_NBF, TOKEN_OK },
        { "{\"nbf\":1700001800}", TOKEN_ANY_EXP, TOKEN_NOT_YET },
        { "{\"exp\":1,\"nbf\":1700001800}", TOKEN_ANY_NBF, TOKEN_EXPIRED },
        { "{\"exp\":1,\"nbf\":1700001800}", TOKEN_ANY_NBF | TOKEN_ANY_EXP, TOKEN_OK },
        { "{\"nbf\":\"soon\"}", TOKEN_ANY_NBF, TOKEN_CLAIMS },
        { "{\"exp\":null}", TOKEN_ANY_EXP, TOKEN_CLAIMS },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct identity identity = { .role = "" };
        char *token = sign(JWT_ALG_HS256, KEY, cases[i].claims);
        assert_int_equal(token_verify_leniently(f->verifier, token, strlen(token), NOW,
                                                cases[i].lenient, &identity),
                         cases[i].expected);
        if (cases[i].expected == TOKEN_OK) {
            assert_int_equal(identity.expires, 0);
            identity_fini(&identity);
        }
        token[strlen(token) - 2] ^= 1;
        assert_int_not_equal(token_verify_leniently(f->verifier, token, strlen(token), NOW,
                                                    cases[i].lenient, &identity),
                             TOKEN_OK);
        free(token);
    }
}

static void test_times_of_another_type_never_pass(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(verify_claims(f, "{\"exp\":1e12}"), TOKEN_CLAIMS);
    assert_int_equal(verify_claims(f, "{\"exp\":1700000060.5}"), TOKEN_CLAIMS);
    assert_int_equal(verify_claims(f, "{\"exp\":\"1700000060\"}"), TOKEN_CLAIMS);
    assert_int_equal(verify_claims(f, "{\"exp\":null}"), TOKEN_CLAIMS);
    assert_int_equal(verify_claims(f, "{\"exp\":true}"), TOKEN_CLAIMS);
    assert_int_equal(verify_claims(f, "{\"exp\":-1}"), TOKEN_CLAIMS);
    assert_int_equal(verify_claims(f, "{\"exp\":1700000060000}"), TOKEN_CLAIMS);
    assert_int_equal(verify_claims(f, "{\"nbf\":\"soon\"}"), TOKEN_CLAIMS);
    assert_int_not_equal(verify(f, HUGE_EXP), TOKEN_OK);
}

static void test_signature_is_checked(void **state)
{
    struct fixture *f = *state;
    char *token = sign(JWT_ALG_HS256, "another key, also of 32 bytes or more", "{}");
    assert_int_equal(verify(f, token), TOKEN_SIGNATURE);
    free(token);

    token = sign(JWT_ALG_HS256, KEY, "{}");
    size_t len = strlen(token);
    token[len - 3] = token[len - 3] == 'A' ? 'B' : 'A';

    assert_int_equal(verify(f, token), TOKEN_SIGNATURE);
    free(token);
}

static void test_none_and_foreign_algorithms_are_refused_unseen(void **state)
{
    struct fixture *f = *state;

    /* {"alg":"none"}, {"alg":"nOnE"}, {"alg":"RS256"}, {}, {"alg":1} */
    assert_int_equal(verify(f, "eyJhbGciOiJub25lIn0.e30."), TOKEN_ALGORITHM);
    assert_int_equal(verify(f, "eyJhbGciOiJuT25FIn0.e30."), TOKEN_ALGORITHM);
    assert_int_equal(verify(f, "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"), TOKEN_ALGORITHM);
    assert_int_equal(verify(f, "e30.e30.AAAA"), TOKEN_ALGORITHM);
    assert_int_equal(verify(f, "eyJhbGciOjF9.e30.AAAA"), TOKEN_ALGORITHM);
}

static void test_algorithm_that_is_not_configured_is_refused(void **state)
{
    struct fixture *f = *state;
    set(&f->config.auth_algorithms, "HS512");
    renew(f);
    char *token = sign(JWT_ALG_HS256, KEY, "{}");

    assert_int_equal(verify(f, token), TOKEN_ALGORITHM);
    free(token);
}

static void test_duplicate_claims_and_odd_payloads_are_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_not_equal(verify(f, DUPLICATE_ROLE), TOKEN_OK);
    assert_int_not_equal(verify(f, ARRAY_CLAIMS), TOKEN_OK);
    assert_int_not_equal(verify(f, NUL_CLAIM), TOKEN_OK);
    assert_int_not_equal(verify(f, CRITICAL_EXTENSION), TOKEN_OK);
}

static void test_malformed_tokens_are_told_from_forged_ones(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = { "",
                                         ".",
                                         "..",
                                         "a.b",
                                         "a.b.c.d",
                                         "a..c",
                                         ".b.c",
                                         "e30.e30.A A",
                                         "e30=.e30.AAAA",
                                         "!.e30.AAAA",
                                         "W10.e30.AAAA",
                                         "e.e30.AAAA" };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (verify(f, texts[i]) != TOKEN_MALFORMED) {
            fail_msg("\"%s\" is not called malformed", texts[i]);
        }
    }
}

static void test_token_past_the_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    char *claims = rt_alloc(9000);
    (void)snprintf(claims, 9000, "{\"x\":\"%08000d\"}", 0);

    assert_int_equal(verify_claims(f, claims), TOKEN_MALFORMED);
    free(claims);
}

static void test_failure_leaves_the_identity_alone(void **state)
{
    struct fixture *f = *state;
    struct identity before = { .role = "untouched", .expires = 7 };
    struct identity out = before;

    assert_int_not_equal(token_verify(f->verifier, ARRAY_CLAIMS, strlen(ARRAY_CLAIMS), NOW, &out),
                         TOKEN_OK);

    assert_memory_equal(&out, &before, sizeof(out));
}

static void test_without_a_key_every_token_is_refused(void **state)
{
    struct fixture *f = *state;
    set(&f->config.auth_jwt_key, "");
    renew(f);

    assert_non_null(f->verifier);
    assert_int_equal(verify_claims(f, "{}"), TOKEN_NO_KEY);
}

static void test_configuration_that_cannot_work_is_refused(void **state)
{
    struct fixture *f = *state;

    set(&f->config.auth_jwt_key, "short");
    renew(f);
    assert_null(f->verifier);
    set(&f->config.auth_jwt_key, KEY);
    set(&f->config.auth_algorithms, "HS256,RS256");
    renew(f);
    assert_null(f->verifier);
    set(&f->config.auth_algorithms, "");
    renew(f);
    assert_null(f->verifier);
    set(&f->config.auth_algorithms, "HS256");
    set(&f->config.auth_anon_role,
        "a_role_name_that_is_longer_than_postgresql_allows_for_a_role_name");
    renew(f);
    assert_null(f->verifier);
}

static void test_anonymous_identity_has_the_configured_role_and_no_claims(void **state)
{
    struct fixture *f = *state;

    identity_anonymous(f->verifier, &f->identity);

    assert_string_equal(f->identity.role, "anon");
    assert_string_equal(f->identity.claims, "");
    assert_int_equal(f->identity.expires, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good_token_gives_role_claims_and_expiry, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_claims_are_the_text_of_the_payload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_accepted_algorithm_verifies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_role_follows_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_role_that_is_no_text_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expiry_is_checked_to_the_second_with_leeway, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_leniency_is_about_its_times_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_times_of_another_type_never_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signature_is_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_none_and_foreign_algorithms_are_refused_unseen, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_algorithm_that_is_not_configured_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_duplicate_claims_and_odd_payloads_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_malformed_tokens_are_told_from_forged_ones, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_token_past_the_limit_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_leaves_the_identity_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_key_every_token_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_configuration_that_cannot_work_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_anonymous_identity_has_the_configured_role_and_no_claims, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
