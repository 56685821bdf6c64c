/* Tests of broker/match/value: equal values have equal bytes, and ranks keep the order of the type. */
#include <string.h>

#include "broker/match/value.h"
#include "tests/unit/broker/kit.h"

static struct wire_span span(const char *text)
{
    return (struct wire_span){ text, strlen(text) };
}

static void assert_same(enum match_form form, const char *a, const char *b, bool same)
{
    struct wire_span left = match_bytes(form, span(a));
    struct wire_span right = match_bytes(form, span(b));

    assert_true(same == (left.len == right.len && memcmp(left.data, right.data, left.len) == 0));
}

static void test_equal_values_have_equal_bytes(void **state)
{
    (void)state;
    assert_same(MATCH_FORM_BYTES, "a ", "a", false);
    assert_same(MATCH_FORM_TRIMMED, "a  ", "a", true);
    assert_same(MATCH_FORM_TRIMMED, "   ", "", true);
    assert_same(MATCH_FORM_DECIMAL, "1.00", "1", true);
    assert_same(MATCH_FORM_DECIMAL, "1.50", "1.5", true);
    assert_same(MATCH_FORM_DECIMAL, "0.00", "0", true);
    assert_same(MATCH_FORM_DECIMAL, "-0", "0", true);
    assert_same(MATCH_FORM_DECIMAL, "100", "1", false);
    assert_same(MATCH_FORM_DECIMAL, "100", "100.000", true);
    assert_same(MATCH_FORM_DECIMAL, "1.5e+300", "1.5e+30", false);
    assert_same(MATCH_FORM_DECIMAL, ".", "", true);
    assert_same(MATCH_FORM_DECIMAL, "", "", true);
}

static void assert_order(enum match_order order, const char *const *texts, size_t count)
{
    double before = 0;

    for (size_t i = 0; i < count; i++) {
        double rank = 0;
        assert_true(match_rank(order, span(texts[i]), &rank));
        assert_true(i == 0 || before <= rank);
        before = rank;
    }
}

static void assert_rank(enum match_order order, const char *text, double expected)
{
    double rank = 0;

    assert_true(match_rank(order, span(text), &rank));
    assert_true(rank <= expected && rank >= expected);
}

static void test_numbers_keep_their_order(void **state)
{
    static const char *const texts[] = {
        "-Infinity",
        "-1e+300",
        "-9223372036854775808",
        "-1.5",
        "-1.4999999999999999999999",
        "-0",
        "0",
        "1e-300",
        "0.000001",
        "1",
        "1.00000000000001",
        "9007199254740993",
        "9223372036854775807",
        "1e+300",
        "Infinity",
        "NaN",
    };
    char longest[1000];

    (void)state;
    assert_order(MATCH_ORDER_NUMBER, texts, sizeof(texts) / sizeof(texts[0]));
    memset(longest, '9', sizeof(longest));
    longest[999] = '\0';
    const char *const long_ones[] = { "1e+308", longest, "Infinity" };
    assert_order(MATCH_ORDER_NUMBER, long_ones, 3);
    longest[1] = '.';
    const char *const fractions[] = { "9.9", longest, "10" };
    assert_order(MATCH_ORDER_NUMBER, fractions, 3);
}

static void test_times_keep_their_order(void **state)
{
    static const char *const texts[] = {
        "-infinity",
        "4713-01-01 00:00:00+00 BC",
        "0044-03-15 BC",
        "0001-12-31 23:59:59 BC",
        "0001-01-01",
        "1970-01-01 00:00:00+00",
        "2026-11-21 09:49:46+05:30",
        "2026-11-21 09:49:46+00",
        "2026-11-21 09:49:46.000001+00",
        "2026-11-21 09:49:46.5+00",
        "2026-11-21 09:49:46.50-00:30",
        "294276-12-31 23:59:59.999999+00",
        "5874897-12-31",
        "infinity",
    };

    (void)state;
    assert_order(MATCH_ORDER_TIME, texts, sizeof(texts) / sizeof(texts[0]));
    assert_rank(MATCH_ORDER_TIME, "1970-01-01", 0);
    assert_rank(MATCH_ORDER_TIME, "1970-01-01 00:00:01.5", 1500000);
    assert_rank(MATCH_ORDER_TIME, "1970-01-01 01:00:00+01", 0);
    assert_rank(MATCH_ORDER_TIME, "2000-03-01", 951868800e6);
    assert_rank(MATCH_ORDER_TIME, "1969-12-31 23:59:59", -1000000);
}

static void test_other_texts_have_no_rank(void **state)
{
    static const char *const numbers[] = { "", "-", "a", "1a", "0x10", "nan", "1e", "1.2.3", " 1" };
    static const char *const times[] = { "",
                                         "2026",
                                         "2026-13-01",
                                         "2026-11-21x",
                                         "2026-11-21 9:",
                                         "2026-11-21 09:00:00.1234567",
                                         "Infinity",
                                         "11/21/2026" };
    double rank = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_false(match_rank(MATCH_ORDER_NUMBER, span(numbers[i]), &rank));
    }
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        assert_false(match_rank(MATCH_ORDER_TIME, span(times[i]), &rank));
    }
    assert_false(match_rank(MATCH_ORDER_NONE, span("1"), &rank));
    assert_true(rank >= 7 && rank <= 7);
}

static void test_types_whose_texts_vary_have_no_form(void **state)
{
    (void)state;
    assert_int_equal(match_type_of(2950, false).form, MATCH_FORM_BYTES);
    assert_int_equal(match_type_of(1700, false).form, MATCH_FORM_DECIMAL);
    assert_int_equal(match_type_of(1042, true).form, MATCH_FORM_TRIMMED);
    assert_int_equal(match_type_of(25, true).form, MATCH_FORM_BYTES);
    assert_int_equal(match_type_of(25, false).form, MATCH_FORM_NONE);
    assert_int_equal(match_type_of(1184, false).order, MATCH_ORDER_TIME);
    assert_int_equal(match_type_of(1186, true).form, MATCH_FORM_NONE);  /* interval */
    assert_int_equal(match_type_of(3802, true).form, MATCH_FORM_NONE);  /* jsonb */
    assert_int_equal(match_type_of(99999, true).form, MATCH_FORM_NONE); /* citext, or an enum */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_values_have_equal_bytes),
        cmocka_unit_test(test_numbers_keep_their_order),
        cmocka_unit_test(test_times_keep_their_order),
        cmocka_unit_test(test_other_texts_have_no_rank),
        cmocka_unit_test(test_types_whose_texts_vary_have_no_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
