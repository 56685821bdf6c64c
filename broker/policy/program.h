/* broker/policy/program.h - the compiled policies of one table for one role: straight-line code over sets of outcomes.
 *
 * Immutable once made (compile.h); eval.h runs it. Masks of outcomes live on a small stack, values are referred to: columns
 * of the row, literals, constants of the identity ("folds"), results of earlier instructions. What could not be compiled
 * is an instruction that says "anything", so there always is a program.
 */
#ifndef PGTIDE_BROKER_POLICY_PROGRAM_H
#define PGTIDE_BROKER_POLICY_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/policy/allow.h"
#include "broker/policy/arena.h"
#include "broker/policy/member.h"
#include "broker/policy/value.h"

#define POLICY_STACK_MAX 48u /* masks */
#define POLICY_STACK_BASE                                                                          \
    2u /* below the first mask: whatever is taken from the stack, it is there */
#define POLICY_TEMPS_MAX 32u
#define POLICY_FOLDS_MAX 256u

enum policy_ref_kind {
    POLICY_REF_COLUMN,
    POLICY_REF_LITERAL,
    POLICY_REF_FOLD,
    POLICY_REF_TEMP,
    POLICY_REF_NOW
};

struct policy_ref {
    uint16_t kind;
    uint16_t at; /* column: attribute number */
};

/* How the values of a type are read. */
struct policy_shape {
    uint32_t type;
    enum policy_kind kind;            /* NONE: not understood */
    enum policy_kind element;         /* of an array */
    const struct policy_enum *labels; /* of an enum, or of the elements of an array */
};

/* The elements of an array that does not change, read once. */
struct policy_list {
    uint32_t count;
    struct policy_value *values;
};

enum policy_code {
    POLICY_PUSH,         /* the set `n` */
    POLICY_BOOL,         /* a */
    POLICY_COMPARE,      /* a compare b */
    POLICY_DISTINCT,     /* a IS DISTINCT FROM b */
    POLICY_IN_LIST,      /* a compare ANY or ALL of refs[at..at+n) */
    POLICY_IN_ARRAY,     /* a compare ANY or ALL of the elements of b */
    POLICY_IS_NULL,      /* a */
    POLICY_MASK_IS_NULL, /* of the top */
    POLICY_TEST, /* IS [NOT] TRUE, FALSE, UNKNOWN of the top: n is PostgreSQL's BoolTestType */
    POLICY_NOT,
    POLICY_AND, /* the two topmost */
    POLICY_OR,
    POLICY_SKIP,         /* to instruction `at`, if the top cannot be true */
    POLICY_CASE,         /* n pairs and a default on the stack, in order */
    POLICY_COALESCE,     /* n masks */
    POLICY_SET_CAST,     /* temp = a as `cast` */
    POLICY_SET_COALESCE, /* temp = first of refs[at..at+n) */
    POLICY_SET_NULLIF,   /* temp = NULL if a = b else a */
    POLICY_SET_CASE, /* n conditions on the stack; temp = one of refs[at..at+n], the last one is the default */
    POLICY_SET_MASK, /* temp = the top */
};

enum policy_cast_to {
    POLICY_CAST_SAME,
    POLICY_CAST_NUMERIC,
    POLICY_CAST_FLOAT8,
    POLICY_CAST_TEXT,
    POLICY_CAST_BOOL_TEXT
};

struct policy_instruction {
    uint8_t code;
    uint8_t compare;
    uint8_t cast;
    bool all; /* ALL, not ANY */
    uint16_t n;
    uint16_t temp;
    uint32_t at;
    struct policy_ref a;
    struct policy_ref b;
    const struct policy_shape *shape; /* of an array's elements */
};

enum policy_leaf_class {
    POLICY_LEAF_MEMBERSHIP,
    POLICY_LEAF_SQL,
    POLICY_LEAF_NEVER, /* not even the fallback can: the answer is no, unless the rest decides */
};

/* Why a part of a policy is not compiled: for pgtide explain. */
struct policy_leaf {
    enum policy_leaf_class kind;
    const char *policy;
    const char *reason;
};

struct policy_fold_item {
    const char *sql;
    struct policy_shape shape;
};

/* A constant that the condition for many identities needs, as a column of that type. */
struct policy_set_constant {
    uint32_t fold;
    const char *type; /* qualified */
    bool pinned;      /* reading its text depends on nothing but the text, and it is no array */
};

/* The policies as one condition that a single statement judges for many identities (set.h). */
struct policy_set {
    const char *condition; /* NULL: there is none, for this reason */
    const char *reason;
    const struct policy_set_constant *constants;
    uint32_t constant_count;
};

/* What asking PostgreSQL about the policies takes. */
struct policy_asking {
    struct policy_set set;
    const bool *columns;   /* by attribute number - 1: named, maybe not of this table */
    uint32_t column_count; /* beyond it, none is */
    bool whole_row;        /* all are */
    bool plans_apart;      /* names an IMMUTABLE function of somebody's own; see fallback.h */
};

/* A membership test whose set is constant `fold`. Its trees live as long as the policies' texts do. */
struct policy_fold_members {
    uint32_t fold;
    struct policy_membership members;
};

/* Lists by their counts, below. */
struct policy_program {
    struct policy_arena arena;
    const struct policy_instruction *code;
    const struct policy_ref *refs;
    const struct policy_value *literals;
    const struct policy_fold_item *folds;
    const uint32_t *tables; /* read by folds, for sets of membership tests; may repeat */
    const struct policy_fold_members
        *memberships;                   /* that can be kept from the WAL, perhaps: sets.h */
    const struct policy_shape *columns; /* by attribute number - 1 */
    const struct policy_leaf *leaves;
    const uint32_t *ops; /* operators compiled, for the coverage of tests */
    uint32_t count;
    uint32_t ref_count;
    uint32_t literal_count;
    uint32_t fold_count;
    uint32_t table_count;
    uint32_t membership_count;
    uint32_t column_count; /* the highest attribute number in use */
    uint32_t leaf_count;
    uint32_t op_count;
    bool always; /* no row restriction at all */
    bool
        single; /* one comparison, or one test for membership, of what is there before any instruction; IS … may follow */
    bool uses_row;
    bool uses_clock;
    bool
        guards; /* CASE or COALESCE: an error in an arm that no row takes may come while planning */
    bool never; /* has a leaf of class NEVER: what is not decided is denied */
    bool guarded_unknown; /* something not compiled is below a guard */
    struct policy_asking asking;
};

#endif
