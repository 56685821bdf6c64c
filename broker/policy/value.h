/* broker/policy/value.h - one value as PostgreSQL prints it, and how two of them compare.
 *
 * Text comes from pgoutput, from a folded constant, or from a constant of a policy, always in the pinned form (ISO dates in UTC,
 * hex bytea, shortest floats). Texts are borrowed. What cannot be read for certain is FREE, never a guess.
 *
 * A state is a set like an outcome's, with the same bits: here KNOWN means "this payload", FREE "a payload we
 * do not know". ANY = FREE | NULL | ERROR.
 * Pure; comparing costs O(length).
 */
#ifndef PGTIDE_BROKER_POLICY_VALUE_H
#define PGTIDE_BROKER_POLICY_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/policy/outcome.h"

enum {
    VALUE_KNOWN = OUTCOME_TRUE,
    VALUE_FREE = OUTCOME_FALSE,
    VALUE_NULL = OUTCOME_NULL,
    VALUE_ERROR = OUTCOME_ERROR,
    VALUE_MISSING = OUTCOME_MISSING,
    VALUE_ANY = VALUE_FREE | VALUE_NULL | VALUE_ERROR,
};

/* How text becomes a payload; which of them a type has is in allow.def. */
enum policy_kind {
    POLICY_KIND_NONE, /* not understood */
    POLICY_KIND_BOOL,
    POLICY_KIND_INT,    /* int2, int4, int8, oid */
    POLICY_KIND_FLOAT4, /* rounded to single */
    POLICY_KIND_FLOAT8,
    POLICY_KIND_NUMERIC,   /* compared as decimal text */
    POLICY_KIND_TEXT,      /* compared under a collation */
    POLICY_KIND_BYTES,     /* fixed form: the order of the text is the order of the values */
    POLICY_KIND_CANONICAL, /* equal if and only if the texts are; no order */
    POLICY_KIND_DATE,
    POLICY_KIND_STAMP, /* timestamp and timestamptz: microseconds since 1970 in UTC */
    POLICY_KIND_ENUM,  /* by sort order */
    POLICY_KIND_ARRAY,
};

struct policy_value {
    uint8_t state;
    uint8_t kind;
    uint32_t len;
    const char *text;
    union {
        int64_t i; /* bool, int, date (days), stamp, enum (rank) */
        double f;
        const struct policy_list
            *list; /* of an array that does not change (program.h); NULL: read the text */
    };
};

/* The labels of an enum type, in their order. */
struct policy_enum {
    uint32_t oid;
    uint32_t count;
    const struct policy_enum_label {
        uint32_t oid;
        uint32_t len;
        const char *text;
    } * labels;
};

/* KNOWN, or FREE if the text is not of this kind. `labels` for enums only. */
struct policy_value policy_value_parse(enum policy_kind kind, const char *text, size_t len,
                                       const struct policy_enum *labels);
struct policy_value policy_value_state(uint8_t state);

/* Both KNOWN and of the same kind, or int against numeric, or float4 against float8; <0, 0, >0 in PostgreSQL's order.
 * CANONICAL and TEXT: the order of the bytes. */
int policy_value_compare(const struct policy_value *a, const struct policy_value *b);
/* Texts of numerics as PostgreSQL prints them. */
int policy_numeric_compare(const char *a, size_t a_len, const char *b, size_t b_len);
bool policy_numeric_valid(const char *text, size_t len);

/* Walks the text of an array of any number of dimensions, {a,"b c",NULL}. */
struct policy_array {
    const char *at;
    const char *end;
    uint32_t depth;
    bool bad; /* not the text of an array; nothing more comes */
};
void policy_array_open(struct policy_array *array, const char *text, size_t len);
/* The next element; false at the end, or when bad. `*is_null`: NULL without quotes. With escapes the text is written to
 * `scratch` (at least as long as the array's text), else it points into the array. */
bool policy_array_next(struct policy_array *array, char *scratch, const char **out_text,
                       size_t *out_len, bool *is_null);

/* LIKE of UTF-8 text with the escape character \. MATCH_BAD: the pattern ends with its escape, which raises an error. */
enum policy_match { POLICY_MATCH_NO, POLICY_MATCH_YES, POLICY_MATCH_BAD };
enum policy_match policy_like(const char *text, size_t len, const char *pattern,
                              size_t pattern_len);

#endif
