/* broker/policy/member.h - subqueries that are membership tests: a semi-join between the row and another table.
 *
 *   EXISTS (SELECT … FROM m WHERE m.a = row.x AND m.b = constant AND …)
 *   row.x IN (SELECT m.a FROM m WHERE …)        row.x = ANY (ARRAY (SELECT m.a FROM m WHERE …))
 *
 * With its other conditions over m alone, such a test is row.x = ANY (set of the identity): the set is a constant of the
 * identity (fold.h) until m changes, or what m's own policies read. Pure.
 */
#ifndef PGTIDE_BROKER_POLICY_MEMBER_H
#define PGTIDE_BROKER_POLICY_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/policy/tree.h"

struct policy_membership {
    uint32_t table;                  /* m */
    uint32_t value;                  /* attribute number of m.a */
    uint32_t op;                     /* the equality between the two */
    const struct policy_tree *row;   /* row.x, an expression over the row */
    const struct policy_tree *quals; /* all of WHERE; NULL: none */
    const struct policy_tree *join;  /* the comparison; of EXISTS also one of quals */
    uint32_t type;                   /* of m.a */
    bool exists;
    bool every;        /* asked for by sets.h: each value as often as it is there */
    bool null_matters; /* IN: a NULL among the values makes "no" a NULL */
};

bool policy_membership_read(const struct policy_tree *sublink, struct policy_membership *out);
/* ARRAY (SELECT m.a FROM m WHERE …), whatever it is compared with: `row`, `join` and `op` are not set. */
bool policy_membership_read_list(const struct policy_tree *sublink, struct policy_membership *out);
/* row.x = ANY (ARRAY (…)): the whole SCALARARRAYOPEXPR. */
bool policy_membership_read_array(const struct policy_tree *node, struct policy_membership *out);

#endif
