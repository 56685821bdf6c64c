/* broker/policy/outcome.h - what a boolean expression may come to: a set of outcomes, as a mask.
 *
 * Three values are not enough for row-level security: PostgreSQL fixes no order for AND and OR, so where one side is false and the
 * other one raises an error, either may happen. Hence sets. {T} alone means that PostgreSQL shows the row for certain, a
 * set without T that it does not; anything else is for PostgreSQL to say. MISSING stands for a column that the
 * WAL record does not carry; it spreads like an error, but PostgreSQL cannot help with it either.
 * Pure, constant cost. A set is never empty.
 */
#ifndef PGTIDE_BROKER_POLICY_OUTCOME_H
#define PGTIDE_BROKER_POLICY_OUTCOME_H

#include <stdint.h>

#include "broker/policy/fault.h"

enum {
    OUTCOME_TRUE = 1,
    OUTCOME_FALSE = 2,
    OUTCOME_NULL = 4,
    OUTCOME_ERROR = 8,
    OUTCOME_MISSING = 16,
    OUTCOME_ANY = OUTCOME_TRUE | OUTCOME_FALSE | OUTCOME_NULL | OUTCOME_ERROR,
};

enum policy_answer { POLICY_DENY, POLICY_DELIVER, POLICY_ASK };

static inline uint8_t outcome_of(int truth)
{
    return truth ? OUTCOME_TRUE : OUTCOME_FALSE;
}

static inline uint8_t outcome_not(uint8_t a)
{
    uint8_t kept = a & (OUTCOME_NULL | OUTCOME_ERROR | OUTCOME_MISSING);

    if (POLICY_FAULT(POLICY_FAULT_NOT_NULL_IS_TRUE) && (a & OUTCOME_NULL) != 0) {
        kept = (uint8_t)((kept & ~OUTCOME_NULL) | OUTCOME_TRUE);
    }
    return (uint8_t)(kept | ((a & OUTCOME_TRUE) << 1) | ((a & OUTCOME_FALSE) >> 1));
}

/* Pairwise over both sets: `stop` (F for AND, T for OR) wins over everything but errors, which may come first. */
static inline uint8_t outcome_join(uint8_t a, uint8_t b, uint8_t stop, uint8_t pass)
{
    uint8_t both = a | b;
    uint8_t result = a & b & pass;

    result |= both & (OUTCOME_ERROR | OUTCOME_MISSING);
    result |= both & stop; /* the other side is never empty */
    if (((a & OUTCOME_NULL) != 0 && (b & (pass | OUTCOME_NULL)) != 0) ||
        ((b & OUTCOME_NULL) != 0 && (a & (pass | OUTCOME_NULL)) != 0)) {
        result |= OUTCOME_NULL;
    }
    return result;
}

static inline uint8_t outcome_and(uint8_t a, uint8_t b)
{
    if (POLICY_FAULT(POLICY_FAULT_FALSE_BEATS_ERROR) &&
        (a == OUTCOME_FALSE || b == OUTCOME_FALSE)) {
        return OUTCOME_FALSE;
    }
    return outcome_join(a, b, OUTCOME_FALSE, OUTCOME_TRUE);
}

static inline uint8_t outcome_or(uint8_t a, uint8_t b)
{
    if (POLICY_FAULT(POLICY_FAULT_TRUE_BEATS_ERROR) && (a == OUTCOME_TRUE || b == OUTCOME_TRUE)) {
        return OUTCOME_TRUE;
    }
    return outcome_join(a, b, OUTCOME_TRUE, OUTCOME_FALSE);
}

static inline enum policy_answer outcome_answer(uint8_t set)
{
    if (set == OUTCOME_TRUE) {
        return POLICY_DELIVER;
    }
    return (set & OUTCOME_TRUE) != 0 && (set & OUTCOME_MISSING) == 0 ? POLICY_ASK : POLICY_DENY;
}

#endif
