/* broker/view/filter_parts.h - what a filter's program is made of. Inside filter_*.c only.
 */
#ifndef PGTIDE_BROKER_VIEW_FILTER_PARTS_H
#define PGTIDE_BROKER_VIEW_FILTER_PARTS_H

#include "broker/view/filter_judge.h"

enum filter_how {
    FILTER_HOW_COMPARE,
    FILTER_HOW_DISTINCT,
    FILTER_HOW_NULL,
    FILTER_HOW_TRUTH,
    FILTER_HOW_FOLD
};

struct filter_test {
    const struct filter_column *column;
    const struct policy_value *values;
    uint32_t value_count;
    uint8_t how;
    uint8_t compare;
    uint8_t unknown; /* the state of the operand when the column is not NULL; 0: it is read */
    uint8_t truth;   /* which outcome IS TRUE, IS FALSE, IS UNKNOWN want */
};

struct filter_program {
    uint32_t refs;
    bool asks;
    struct filter filter;
    struct filter_columns *columns;
    struct filter_test *tests; /* by node */
    struct rt_buf key;
    struct policy_arena arena;
};

/* ILIKE is LIKE of both sides in lower case. */
static inline char filter_fold_char(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c + ('a' - 'A'));
    }
    return c;
}

#endif
