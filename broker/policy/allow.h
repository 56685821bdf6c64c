/* broker/policy/allow.h - lookups in the allow-list (allow.def). Read-only data; linear in the list: for compiling, not for matching.
 */
#ifndef PGTIDE_BROKER_POLICY_ALLOW_H
#define PGTIDE_BROKER_POLICY_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/policy/value.h"

enum policy_compare {
    POLICY_EQ,
    POLICY_NE,
    POLICY_LT,
    POLICY_LE,
    POLICY_GT,
    POLICY_GE,
    POLICY_LIKE,
    POLICY_NOT_LIKE,
};

#define POLICY_TYPE_BOOL      16u
#define POLICY_TYPE_TEXT      25u
#define POLICY_TYPE_VARCHAR   1043u
#define POLICY_TYPE_STAMPTZ   1184u
#define POLICY_TYPE_ANYENUM   3500u
#define POLICY_TYPE_FIRST_OWN 16384u /* OIDs from here on are not PostgreSQL's own */

struct policy_allow_type {
    uint32_t oid;
    uint32_t array;
    enum policy_kind kind;
    const char *name;
};

struct policy_allow_op {
    uint32_t oid;
    uint32_t left; /* type, or POLICY_TYPE_ANYENUM */
    uint32_t right;
    enum policy_compare compare;
};

struct policy_allow_cast {
    uint32_t function;
    uint32_t from;
    uint32_t to;
};

/* NULL, or false, for what is not on the list. */
const struct policy_allow_type *policy_allow_type(uint32_t oid);
const struct policy_allow_type *policy_allow_array(uint32_t array_oid); /* of its elements */
const struct policy_allow_op *policy_allow_op(uint32_t oid);
const struct policy_allow_op *
policy_allow_ops(size_t *count); /* all of them, for the coverage of tests */
const struct policy_allow_cast *policy_allow_cast(uint32_t function);
bool policy_allow_text(uint32_t type); /* its output is its cast to text; also every enum */
bool policy_allow_stable(uint32_t function);
bool policy_allow_input(uint32_t type);

#endif
