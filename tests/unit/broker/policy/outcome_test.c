/* tests/unit/broker/policy/outcome_test.c - sets of outcomes against every pair of single outcomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/policy/outcome.h"

enum { ALL = 32 };

/* What a AND b may come to for two single outcomes; either side may be looked at first. */
static unsigned and_of(unsigned a, unsigned b)
{
    const unsigned raises = OUTCOME_ERROR | OUTCOME_MISSING;

    if (((a | b) & raises) != 0) {
        unsigned result = (a | b) & raises;
        return result | ((a | b) & OUTCOME_FALSE);
    }
    if (((a | b) & OUTCOME_FALSE) != 0) {
        return OUTCOME_FALSE;
    }
    return ((a | b) & OUTCOME_NULL) != 0 ? OUTCOME_NULL : OUTCOME_TRUE;
}

static unsigned not_of(unsigned a)
{
    return a == OUTCOME_TRUE ? OUTCOME_FALSE : a == OUTCOME_FALSE ? OUTCOME_TRUE : a;
}

static void test_and_and_or_are_pairwise(void **state)
{
    (void)state;
    for (unsigned a = 1; a < ALL; a++) {
        for (unsigned b = 1; b < ALL; b++) {
            unsigned both = 0;
            unsigned either = 0;
            for (unsigned x = 1; x < ALL; x *= 2) {
                for (unsigned y = 1; y < ALL; y *= 2) {
                    if ((a & x) != 0 && (b & y) != 0) {
                        both |= and_of(x, y);
                        unsigned negated = and_of(not_of(x), not_of(y));
                        for (unsigned z = 1; z < ALL; z *= 2) {
                            either |= (negated & z) != 0 ? not_of(z) : 0;
                        }
                    }
                }
            }
            assert_int_equal(outcome_and((uint8_t)a, (uint8_t)b), both);
            assert_int_equal(outcome_or((uint8_t)a, (uint8_t)b), either);
        }
    }
}

static void test_not_swaps_true_and_false_only(void **state)
{
    (void)state;
    for (unsigned a = 1; a < ALL; a++) {
        unsigned expected = 0;
        for (unsigned x = 1; x < ALL; x *= 2) {
            expected |= (a & x) != 0 ? not_of(x) : 0;
        }
        assert_int_equal(outcome_not((uint8_t)a), expected);
    }
}

static void test_answers(void **state)
{
    (void)state;
    assert_int_equal(outcome_answer(OUTCOME_TRUE), POLICY_DELIVER);
    assert_int_equal(outcome_answer(OUTCOME_FALSE), POLICY_DENY);
    assert_int_equal(outcome_answer(OUTCOME_NULL | OUTCOME_ERROR), POLICY_DENY);
    assert_int_equal(outcome_answer(OUTCOME_TRUE | OUTCOME_ERROR), POLICY_ASK);
    assert_int_equal(outcome_answer(OUTCOME_TRUE | OUTCOME_FALSE), POLICY_ASK);
    /* PostgreSQL would be asked about a row that is not complete. */
    assert_int_equal(outcome_answer(OUTCOME_TRUE | OUTCOME_MISSING), POLICY_DENY);
    assert_int_equal(outcome_answer(OUTCOME_MISSING), POLICY_DENY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_and_and_or_are_pairwise),
        cmocka_unit_test(test_not_swaps_true_and_false_only),
        cmocka_unit_test(test_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
