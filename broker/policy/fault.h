/* broker/policy/fault.h - planted bugs, for the test of the differential test (tests/oracle). Compiled into test builds only.
 *
 * Each one is a mistake that an evaluator of policies is likely to make. The oracle must catch every one of them; without
 * PGTIDE_POLICY_FAULTS the test of a fault is the constant false and nothing of it is left in the program.
 */
#ifndef PGTIDE_BROKER_POLICY_FAULT_H
#define PGTIDE_BROKER_POLICY_FAULT_H

#define POLICY_FAULTS(X)                                                                           \
    X(NONE, "none")                                                                                \
    X(NOT_NULL_IS_TRUE, "not-null-is-true")                                                        \
    X(FALSE_BEATS_ERROR, "false-beats-error")                                                      \
    X(TRUE_BEATS_ERROR, "true-beats-error")                                                        \
    X(KEY_NULLS, "key-tuple-nulls")                                                                \
    X(UNCHANGED_NULL, "unchanged-as-null")                                                         \
    X(OR_AND_SWAPPED, "policy-or-and-swap")                                                        \
    X(NOINHERIT_IGNORED, "noinherit-ignored")                                                      \
    X(CHECK_ONLY_GRANTS, "check-only-grants")                                                      \
    X(RESTRICTIVE_IGNORED, "restrictive-ignored")                                                  \
    X(FORCE_IGNORED, "force-ignored")                                                              \
    X(BYPASS_IGNORED, "bypass-ignored")                                                            \
    X(OWNER_IGNORED, "owner-ignored")                                                              \
    X(DISTINCT_AS_NE, "distinct-as-not-equal")                                                     \
    X(IN_NULL_IS_FALSE, "in-null-is-false")                                                        \
    X(FOLD_ERROR_IS_NULL, "fold-error-is-null")                                                    \
    X(ENUM_BY_LABEL, "enum-by-label")                                                              \
    X(NUMERIC_AS_TEXT, "numeric-as-text")                                                          \
    X(FLOAT_AS_TEXT, "float-as-text")                                                              \
    X(INFINITY_IS_ZERO, "infinity-is-zero")                                                        \
    X(BOOL_TEXT_IS_WIRE, "bool-text-is-wire")                                                      \
    X(COLLATION_IGNORED, "collation-ignored")                                                      \
    X(TEXT_ORDER_IS_BYTES, "text-order-is-bytes")                                                  \
    X(CASE_NULL_IS_TRUE, "case-null-is-true")                                                      \
    X(COALESCE_TAKES_LAST, "coalesce-takes-last")                                                  \
    X(LIKE_NO_ESCAPE, "like-no-escape")                                                            \
    X(PLANNING_IGNORED, "planning-errors-ignored")                                                 \
    X(FALLBACK_ERROR_IS_YES, "fallback-error-is-yes")                                              \
    X(FALLBACK_NO_SETTINGS, "fallback-without-settings")                                           \
    X(ANCHOR_OF_ONE_DISJUNCT, "anchor-of-one-disjunct")                                            \
    X(EXISTS_MAY_BE_NULL, "exists-may-be-null")                                                    \
    X(IN_IS_EXISTS, "in-is-exists")                                                                \
    X(UNKNOWN_IS_FALSE, "unknown-is-false")

enum policy_fault {
#define POLICY_FAULT_ENUM(name, text) POLICY_FAULT_##name,
    POLICY_FAULTS(POLICY_FAULT_ENUM)
#undef POLICY_FAULT_ENUM
        POLICY_FAULT_COUNT
};

#ifdef PGTIDE_POLICY_FAULTS
extern enum policy_fault policy_fault_active; /* set by the test program before anything runs */
#define POLICY_FAULT(name) (policy_fault_active == (name))
#else
/* A function: compilers would complain about code that a constant makes unreachable. */
static inline int policy_no_fault(void)
{
    return 0;
}
#define POLICY_FAULT(name) policy_no_fault()
#endif

#endif
