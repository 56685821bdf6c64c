/* broker/policy/eval.h - a row version against a program: the set of its outcomes.
 *
 * A row is filled once per change, by attribute number, from the values of the WAL record; each value is parsed
 * when a program first looks at it, and only then. A binding holds the constants of one identity for one program.
 *
 * No allocation, no system call, no lock. Cost: some nanoseconds per instruction. One thread per row.
 */
#ifndef PGTIDE_BROKER_POLICY_EVAL_H
#define PGTIDE_BROKER_POLICY_EVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/policy/program.h"

enum policy_cell_kind {
    POLICY_CELL_MISSING,   /* not in the record: key-only old tuples, generated columns */
    POLICY_CELL_UNCHANGED, /* TOASTed and untouched */
    POLICY_CELL_DROPPED,   /* a column that is no more; in no image */
    POLICY_CELL_NULL,
    POLICY_CELL_TEXT,
};

struct policy_cell {
    const char *text;
    uint32_t len;
    uint8_t kind;
    bool parsed;
    struct policy_value value;
};

/* cells[attribute number - 1]; columns beyond `count` are missing. */
struct policy_row {
    uint32_t count;
    struct policy_cell *cells;
};

struct policy_binding {
    const struct policy_value *values; /* in the order of program->folds */
    uint32_t count;
    bool refused; /* the whole query fails for this identity: nothing is visible */
    bool errors;  /* at least one constant raises */
};

/* Borrows the text. */
void policy_row_set(struct policy_row *row, uint32_t attribute, enum policy_cell_kind kind,
                    const char *text, uint32_t len);
void policy_row_clear(struct policy_row *row); /* all missing */

/* `now`: microseconds since 1970, UTC; what now() and CURRENT_TIMESTAMP are. */
uint8_t policy_eval(const struct policy_program *program, const struct policy_binding *binding,
                    struct policy_row *row, int64_t now);

/* One comparison, and IS DISTINCT FROM, of values whose states are sets; the operator is on the allow-list, its collation
 * allows for it. */
uint8_t eval_compare(enum policy_compare compare, const struct policy_value *a,
                     const struct policy_value *b);
uint8_t eval_distinct(const struct policy_value *a, const struct policy_value *b);

#endif
