/* broker/policy/deparse.h - a constant of the identity (an expression without row columns) as SQL with every name qualified.
 *
 * PostgreSQL evaluates it once per identity (fold.h). Only what is certain to be a constant is written: no volatile
 * function, no clock, no table, no function that is opaque. Everything else is refused with the reason.
 * Pure. Linear cost; recursion as deep as the tree (POLICY_TREE_DEPTH_MAX).
 */
#ifndef PGTIDE_BROKER_POLICY_DEPARSE_H
#define PGTIDE_BROKER_POLICY_DEPARSE_H

#include "broker/policy/facts.h"
#include "broker/policy/tree.h"
#include "runtime/buf.h"

/* Appends the SQL. False: `*reason` says what is in the way (in the arena), and `out` is as it was. */
bool policy_deparse(struct policy_arena *arena, const struct policy_facts *facts,
                    const struct policy_tree *node, struct rt_buf *out, const char **reason);
/* A whole expression over the row, for a statement that judges it for many identities at once: columns are pgtide_row.cN by number,
 * constants of the identity pgtide_who.kN. What is called can read neither settings nor tables: immutable functions and operators of
 * PostgreSQL's own over its own types and enums; of the clock, now(). */
struct policy_row_writer {
    /* The number of an expression without row columns as a constant; false: it is written as it stands. */
    bool (*constant)(void *ctx, const struct policy_tree *node, uint32_t *out_number);
    void *ctx;
};
bool policy_deparse_row(struct policy_arena *arena, const struct policy_facts *facts,
                        const struct policy_tree *node, const struct policy_row_writer *row,
                        struct rt_buf *out, const char **reason);
/* The set of a membership test, ARRAY(SELECT DISTINCT m.a FROM m WHERE …), two tables deep. Tables read are appended
 * to `tables` as uint32_t: a change of theirs, or of what their own policies read, makes it another set. members->every: each
 * value as often as it is there. */
struct policy_membership;
bool policy_deparse_members(struct policy_arena *arena, const struct policy_facts *facts,
                            const struct policy_membership *members, struct rt_buf *out,
                            struct rt_buf *tables, const char **reason);
void policy_write_name(struct rt_buf *out, const struct policy_fact *fact);  /* "schema"."name" */
void policy_write_literal(struct rt_buf *out, const char *text, size_t len); /* '…' */

#endif
