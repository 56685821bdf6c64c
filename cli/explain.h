/* cli/explain.h - pgtide explain: its parts. explain.c says what holds for a role, explain_sets.c which sets are kept for it, explain_identity.c
 * what holds for one identity and one row of it. All print to standard output as they go. One thread; blocking.
 */
#ifndef PGTIDE_CLI_EXPLAIN_H
#define PGTIDE_CLI_EXPLAIN_H

#include "broker/policy/eval.h"
#include "cli/policies.h"

struct explained_row {
    const struct policy_row *row; /* NULL: none is asked about */
    uint32_t columns;             /* attribute numbers up to this are in use */
    const char *json;             /* as given */
};

/* Constants and anchors of the identity, and what is decided about the row. `names`: policies.claims_settings, `path`: policies.search_path. False after saying
 * what failed. */
bool explain_identity(PGconn *conn, const struct cli_view *view, const char *names,
                      const char *path, const char *claims, const struct explained_row *row);

/* Of each membership test of a policy of the view: whether its set is kept from the stream, or why not. */
void explain_sets(PGconn *conn, const struct cli_view *view, const struct cli_policy *policy,
                  const struct policy_facts *facts);
/* Tables that the policy reads, and of whose changes the broker hears nothing. */
void explain_unfollowed(PGconn *conn, const struct policy_tree *qual,
                        const struct policy_facts *facts);

#endif
