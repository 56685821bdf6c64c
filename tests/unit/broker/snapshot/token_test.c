/* Tests of broker/snapshot/token: what is written is read back, and nothing else. */
#include "broker/snapshot/token.h"
#include "tests/unit/broker/snapshot/rows.h"

static char seen[] = "740:750:742,747";
static char key_a[] = "2024-01-01 00:00:00.123456+00";
static char key_b[] = "";

static struct token sample(void)
{
    return (struct token){ .epoch = UINT64_MAX,
                           .oid = 16384,
                           .key_print = 77,
                           .lsn = 0x1016B3748u,
                           .seen = seen,
                           .keys = { key_a, key_b },
                           .key_count = 2 };
}

static void test_a_token_comes_back(void **state)
{
    struct token in = sample();
    struct token out;
    struct rt_buf text = { 0 };

    (void)state;
    assert_true(token_encode(&text, &in));
    assert_true(token_decode((struct wire_span){ rt_buf_cstr(&text), text.len }, &out));
    assert_true(out.epoch == UINT64_MAX);
    assert_int_equal(out.oid, 16384);
    assert_int_equal(out.key_print, 77);
    assert_int_equal(out.lsn, 0x1016B3748u);
    assert_false(out.done);
    assert_string_equal(out.seen, seen);
    assert_int_equal(out.snapshot.xip_count, 2);
    assert_int_equal(out.key_count, 2);
    assert_string_equal(out.keys[0], key_a);
    assert_string_equal(out.keys[1], "");
    token_fini(&out);
    rt_buf_fini(&text);
}

static void test_what_is_too_long_has_no_token(void **state)
{
    char key[4000];
    struct token in = sample();
    struct rt_buf text = { 0 };

    (void)state;
    memset(key, 'x', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    in.keys[1] = key;
    assert_false(token_encode(&text, &in));
    assert_int_equal(text.len, 0);
    key[2900] = '\0';
    assert_true(token_encode(&text, &in));
    assert_true(text.len <= WIRE_TOKEN_MAX);
    rt_buf_fini(&text);
}

static void test_every_change_of_a_byte_is_refused_or_another_token(void **state)
{
    struct token in = sample();
    struct token out;
    struct rt_buf text = { 0 };
    struct rt_buf again = { 0 };

    (void)state;
    assert_true(token_encode(&text, &in));
    for (size_t i = 0; i < text.len; i++) {
        char *copy = rt_strndup((const char *)text.data, text.len);
        copy[i] = copy[i] == 'A' ? 'B' : 'A';
        if (token_decode((struct wire_span){ copy, text.len }, &out)) {
            rt_buf_clear(&again);
            assert_true(token_encode(&again, &out));
            assert_true(again.len <= text.len); /* a number may have been written longer */
            token_fini(&out);
        }
        assert_false(token_decode((struct wire_span){ copy, i }, &out));
        free(copy);
    }
    rt_buf_fini(&text);
    rt_buf_fini(&again);
}

static void test_other_texts_are_refused(void **state)
{
    static const char *const texts[] = { "", "=", "AAAA", "not a token", "mAHPAAA", "-_-_" };
    struct token out;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(token_decode((struct wire_span){ texts[i], strlen(texts[i]) }, &out));
        assert_null(out.seen);
    }
}

static void test_done_means_no_keys(void **state)
{
    struct token in = sample();
    struct token out;
    struct rt_buf text = { 0 };

    (void)state;
    in.done = true;
    assert_true(token_encode(&text, &in));
    assert_false(token_decode((struct wire_span){ rt_buf_cstr(&text), text.len }, &out));
    rt_buf_clear(&text);
    in.key_count = 0;
    assert_true(token_encode(&text, &in));
    assert_true(token_decode((struct wire_span){ rt_buf_cstr(&text), text.len }, &out));
    assert_true(out.done);
    token_fini(&out);
    rt_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_comes_back),
        cmocka_unit_test(test_what_is_too_long_has_no_token),
        cmocka_unit_test(test_every_change_of_a_byte_is_refused_or_another_token),
        cmocka_unit_test(test_other_texts_are_refused),
        cmocka_unit_test(test_done_means_no_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
