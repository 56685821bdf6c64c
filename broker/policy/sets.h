/* broker/policy/sets.h - the set of a membership test, kept exact from the changes of its table. Pure.
 *
 *   row.x IN (SELECT m.a FROM m WHERE m.b = constant of the identity AND …)
 *
 * The conditions over m, and m's own policies for the role, are compiled as a program over m's rows (policy_members_compile). A set
 * counts how many rows of m there are for each value, from an answer of PostgreSQL on: what its snapshot saw is
 * in it, what it did not see is added from the stream, in the order of commits. So at each commit the set is what a query
 * would give right then, and no query is needed when memberships change.
 *
 * What cannot be judged for certain (a value that the record does not carry, an error, a TRUNCATE that the snapshot may not order)
 * makes the set STALE: it must be asked for again. Nothing is guessed.
 *
 * Order of calls for an identity: fold the constants of the members program, policy_set_new(), then ask PostgreSQL, under the
 * identity, for the values (policy_members_sql) and its snapshot, policy_set_load(). Changes that come in between are kept.
 * Each change must be given once; all of a transaction before its rows are judged.
 *
 * Cost of a change: a hash look-up for each anchor column of the members program (anchor.h) and a program run for each set that it
 * finds; without anchors, for each set. O(log n) compares and a move of n pointers' worth for each value that comes or goes.
 * Which sets changed is told one by one: nothing walks over the others.
 * Memory: 48 bytes and the text for each value. One thread.
 */
#ifndef PGTIDE_BROKER_POLICY_SETS_H
#define PGTIDE_BROKER_POLICY_SETS_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/policy/compile.h"
#include "broker/policy/eval.h"
#include "broker/policy/member.h"
#include "broker/xid_snapshot.h"
#include "runtime/buf.h"

/* A program over m's rows: which of them count. `rules`: of m for the role; `exempt`: none apply. Sets are kept with it only if all
 * of it is compiled, and nothing depends on the clock or on another table (kept.h). Free with policy_program_free(). */
struct policy_program *policy_members_compile(const struct policy_facts *facts,
                                              const struct policy_membership *members, bool exempt,
                                              const struct policy_rule *rules, uint32_t count);
/* Appends an expression: the array of all values, each as often as it is there. False: it cannot be written. */
bool policy_members_sql(const struct policy_facts *facts, const struct policy_membership *members,
                        struct rt_buf *out);

struct policy_sets;   /* of one test, for all identities of a role */
struct policy_values; /* of one identity */

/* Both outlive the sets. `value`: the attribute number of m.a. */
struct policy_sets *policy_sets_new(const struct policy_program *members, uint32_t value,
                                    const struct policy_shape *element);
/* After its sets. */
void policy_sets_free(struct policy_sets *sets);

/* `constants` of the members program, for the identity; outlives the set. */
struct policy_values *policy_set_new(struct policy_sets *sets,
                                     const struct policy_binding *constants);
void policy_set_free(struct policy_values *set); /* NULL is fine */
/* The answer: an array's text, and the snapshot of the statement (copied). False, and STALE, when it is none. */
bool policy_set_load(struct policy_values *set, const char *array, size_t len,
                     const struct xid_snapshot *snapshot);
/* The constants of `set` hold the values of `below`, as they were when both were loaded by one answer: with a value that comes to
 * `below`, or goes, or a change that it cannot take, `set` is STALE. Until one of them is freed. Of sets that rest on others, none is below another. */
void policy_set_rest(struct policy_values *set, struct policy_values *below);
/* No transaction that the snapshot saw will come any more: nothing is compared with it from here on. */
void policy_set_settled(struct policy_values *set);

/* A change of m by transaction `xid`. NULL: there is no such version. Of an UPDATE without an old tuple, the columns of the replica
 * identity are those of the new row. Both rows have cells for every column that the program uses, and for the value. */
void policy_sets_change(struct policy_sets *sets, uint32_t xid, struct policy_row *new_row,
                        struct policy_row *old_row);
void policy_sets_truncate(struct policy_sets *sets, uint32_t xid);

/* The same for one set alone. */
void policy_set_change(struct policy_values *set, uint32_t xid, struct policy_row *new_row,
                       struct policy_row *old_row);
void policy_set_truncate(struct policy_values *set, uint32_t xid);
/* A change could not be read: STALE, all of them, or the one. */
void policy_sets_spoil(struct policy_sets *sets);
void policy_set_spoil(struct policy_values *set);
/* One of those whose values, or state, may have changed since it was loaded or was here last; NULL: there are no more. */
struct policy_values *policy_sets_changed(struct policy_sets *sets);
/* Whose it is, for the caller. */
void policy_set_own(struct policy_values *set, void *user);
void *policy_set_user(const struct policy_values *set);

enum policy_set_state { POLICY_SET_LOADING, POLICY_SET_CURRENT, POLICY_SET_STALE };
enum policy_set_state policy_set_state(const struct policy_values *set);
/* For the binding of the program that the test is of (a known value of kind ARRAY); sorted, each once, a NULL at the end. Valid until
 * the next change. NULL unless CURRENT. */
const struct policy_list *policy_set_list(const struct policy_values *set);

#endif
