/* cli/explain.h - pgtide explain: its two halves. explain.c says what holds for a role, explain_identity.c what holds for one
 * identity and one row of it. Both print to standard output as they go. One thread; blocking.
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

#endif
