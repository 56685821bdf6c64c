/* broker/policy/compile.h - policies of one table for one role, from analysed trees to a program.
 *
 * Never fails: what is not on the allow-list, or not certain, becomes a leaf with the set "anything" and its reason. The
 * program owns all it points to, except the labels of enums, which are the facts': these must live as long.
 * Pure. Linear cost.
 */
#ifndef PGTIDE_BROKER_POLICY_COMPILE_H
#define PGTIDE_BROKER_POLICY_COMPILE_H

#include "broker/policy/facts.h"
#include "broker/policy/program.h"
#include "broker/policy/tree.h"

struct policy_rule {
    const char *name;
    bool permissive;
    bool has_qual;                  /* false: WITH CHECK only, restricts and grants nothing */
    const struct policy_tree *qual; /* NULL although has_qual: could not be parsed */
};

/* The policies for SELECT that apply to the role, in any order. `exempt`: RLS does not apply at all. */
struct policy_program *policy_compile(const struct policy_facts *facts, bool exempt,
                                      const struct policy_rule *rules, uint32_t count);
void policy_program_free(struct policy_program *program); /* NULL is fine */

/* How values of this type are read; kind NONE for a type that is not on the list. */
struct policy_shape policy_shape_of(const struct policy_facts *facts, uint32_t type);

#endif
