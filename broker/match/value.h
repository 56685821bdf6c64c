/* broker/match/value.h - texts of values made comparable: for the index's hash tables and sorted thresholds. Pure.
 *
 * The texts are PostgreSQL's output with the settings that the tailer pins (DateStyle ISO, TimeZone UTC). An anchor in the
 * index may let too much through, never too little, so all that is promised here is: values that the type's own `=` calls
 * equal have equal bytes (match_bytes), and if a < b for the type then match_rank(a) <= match_rank(b). A type for which that is
 * not known has no form (reference: algorithms.md 2.4): equal intervals, jsonb or citext values have different texts.
 */
#ifndef PGTIDE_BROKER_MATCH_VALUE_H
#define PGTIDE_BROKER_MATCH_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/records.h"

enum match_form {
    MATCH_FORM_NONE,    /* not comparable here */
    MATCH_FORM_BYTES,   /* equal values have equal texts */
    MATCH_FORM_TRIMMED, /* blanks at the end do not count: char(n) */
    MATCH_FORM_DECIMAL, /* zeros behind the point do not count, nor the sign of zero: numeric, float4, float8 */
};

enum match_order {
    MATCH_ORDER_NONE,
    MATCH_ORDER_NUMBER, /* integers, numeric, floats; NaN is the largest */
    MATCH_ORDER_TIME,   /* date, timestamp, timestamptz */
};

struct match_type {
    enum match_form form;
    enum match_order order;
};

/* What is known of a built-in type; of others nothing. An enum or a domain is the caller's business (an enum has
 * MATCH_FORM_BYTES, a domain what its base type has). `deterministic`: the collation, for types that have one. */
struct match_type match_type_of(uint32_t type_oid, bool deterministic);

/* The part of the text to compare; a slice of it, or static. */
struct wire_span match_bytes(enum match_form form, struct wire_span text);
/* False when the text is none that PostgreSQL writes; then `out` is untouched. */
bool match_rank(enum match_order order, struct wire_span text, double *out);

#endif
