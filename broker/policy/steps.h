/* broker/policy/steps.h - the statements that a load of policies takes, one after the other, for whoever has a connection.
 *
 *   the policies of each (table, role) ─▶ facts ─▶ tables that may be followed ─▶ policies of those that sets are of ─▶ facts …
 *
 * What is asked next depends on the answers; nothing is asked that is not needed. The session's search_path must be empty. Under one
 * snapshot if all is to be of one moment (perms/inquiry.c).
 *
 * Pure. One thread. Linear cost, but for the reading of trees (rules.h).
 */
#ifndef PGTIDE_BROKER_POLICY_STEPS_H
#define PGTIDE_BROKER_POLICY_STEPS_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/policy/rules.h"

enum { POLICY_STEP_PARAMS = POLICY_FACTS_PARAMS, POLICY_STEP_COLUMNS = POLICY_LOADER_COLUMNS };

struct policy_subject {
    const char *schema;
    const char *table;
    const char *role;
};

struct policy_step {
    const char *sql;
    int param_count;
    const char *params[POLICY_STEP_PARAMS]; /* texts */
    int columns;                            /* of the answer */
    bool optional;                          /* an error is an answer without rows */
};

struct policy_steps;

/* One subject is one question of the load. `publication`: of what policies read; it and `slot` outlive the steps, the rest is copied. */
struct policy_steps *policy_steps_new(const struct policy_subject *subjects, uint32_t count,
                                      const char *publication, const char *slot);
void policy_steps_free(struct policy_steps *steps); /* NULL is fine */
/* The next statement, valid until the next call. NULL: all has been read. */
const struct policy_step *policy_steps_next(struct policy_steps *steps);
/* A row of its answer; NULL fields are "". */
void policy_steps_row(struct policy_steps *steps, const char *const *fields);
/* What was read, to be taken when there are no more steps; it goes with them. */
struct policy_load *policy_steps_load(const struct policy_steps *steps);

#endif
