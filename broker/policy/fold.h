/* broker/policy/fold.h - the constants of an identity: evaluated by PostgreSQL, under its role and its settings.
 *
 * One round trip for all constants of one program: policy_fold_sql() writes a text of several statements (simple query protocol; a
 * transaction of its own), whose last row is one text; policy_fold_read() makes a binding of it. Each constant is evaluated
 * apart: one that raises an error is an error for this identity, and the others are not lost.
 * The session must have the pinned text settings (ISO dates, UTC, hex bytea, standard_conforming_strings).
 *
 * The first thing evaluated is EXPLAIN of a SELECT from the table: what PostgreSQL refuses to plan for
 * this identity (a missing grant on a table in a policy, a recursion, …) it does not show either.
 * Pure. Linear cost.
 */
#ifndef PGTIDE_BROKER_POLICY_FOLD_H
#define PGTIDE_BROKER_POLICY_FOLD_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/policy/eval.h"
#include "broker/policy/program.h"
#include "runtime/buf.h"

struct policy_setting {
    const char *name;
    const char *value;
};

struct policy_identity {
    const char *role;
    const struct policy_setting *settings; /* all that the identity consists of, always */
    size_t setting_count;
};

/* Appends the statements. `schema`, `table`: what the program is for. */
void policy_fold_sql(struct rt_buf *out, const struct policy_program *program,
                     const struct policy_identity *identity, const char *schema, const char *table);

struct policy_constants {
    struct policy_arena arena;
    struct policy_binding binding;
};
/* False when the text is not such an answer; then the binding refuses everything. */
bool policy_fold_read(struct policy_constants *out, const struct policy_program *program,
                      const char *text, size_t len);
void policy_constants_fini(struct policy_constants *constants);
/* For a program without constants (program->fold_count 0) that needs no look: refuses nothing. */
void policy_constants_none(struct policy_constants *out);

#endif
