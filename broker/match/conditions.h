/* broker/match/conditions.h - what all rows of a filter have in common, as the index wants it. Pure.
 *
 * A filter becomes a disjunction of conjunctions of anchors (index.h). What cannot be an anchor (other operators,
 * NOT, JSON paths, types without a form) is left out, which is sound: the conjunction lets through more, and the program
 * decides. What would be too many conjunctions is left out in the same way. Two such lists, a policy's and a filter's, are
 * joined by conditions_and().
 *
 * Values are borrowed from the filter, which must have been cast (filter_cast) and must outlive the conditions.
 */
#ifndef PGTIDE_BROKER_MATCH_CONDITIONS_H
#define PGTIDE_BROKER_MATCH_CONDITIONS_H

#include "broker/match/filter.h"
#include "broker/match/index.h"

#define CONDITIONS_MAX         16u /* conjunctions of one list */
#define CONDITIONS_ANCHORS_MAX 8u  /* anchors of one conjunction */

struct conditions {
    uint32_t count;
    struct match_conjunction conjunctions[CONDITIONS_MAX];
    struct match_anchor anchors[CONDITIONS_MAX][CONDITIONS_ANCHORS_MAX];
    struct wire_span
        values[FILTER_VALUES_MAX + 2]; /* a filter's, and those of IS TRUE and IS FALSE */
};

/* What the caller knows of a column of the table. */
struct conditions_column {
    uint16_t place;
    uint32_t type_oid;      /* of a domain the base type's */
    struct match_type type; /* nothing is known: MATCH_FORM_NONE */
    double share;           /* of the rows, that have one value: 1 / n_distinct; 0: unknown */
};
/* False: not in the tuple. */
typedef bool conditions_column_fn(void *ctx, const char *name, struct conditions_column *out);

/* Pointers into `out` itself: it is not copied. */
void conditions_of_filter(const struct filter *filter, conditions_column_fn *column, void *ctx,
                          struct conditions *out);
/* Both hold. `out` borrows the values of both, and is neither of them. */
void conditions_and(const struct match_conjunction *a, uint32_t a_count,
                    const struct match_conjunction *b, uint32_t b_count, struct conditions *out);

#endif
