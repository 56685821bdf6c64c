/* cli/policies.h - the policies of a table for a role, loaded and compiled by the broker's own code, for pgtide explain and doctor.
 *
 * Each policy is also compiled alone, so that its lane and the reasons for it can be told apart from those of its neighbours. All
 * programs point into the facts, which are asked of PostgreSQL once for all views. Errors are said on standard error.
 *
 * Blocking: the broker's statements (broker/policy/steps.h), the same number for any number of views. One thread.
 */
#ifndef PGTIDE_CLI_POLICIES_H
#define PGTIDE_CLI_POLICIES_H

#include <stdbool.h>
#include <stddef.h>

#include <libpq-fe.h>

#include "broker/policy/steps.h"

struct rt_config;

enum cli_lane {
    CLI_LANE_CONSTANT,   /* the same for every row */
    CLI_LANE_COMPILED,   /* judged in memory */
    CLI_LANE_MEMBERSHIP, /* judged in memory, by sets that follow other tables */
    CLI_LANE_FALLBACK,   /* what is left open is asked of PostgreSQL */
    CLI_LANE_NEVER,      /* what is left open is denied */
};

/* The set of one of its membership tests. */
struct cli_set {
    uint32_t table;
    uint32_t value; /* attribute number */
    char *why; /* it cannot be kept from the stream; NULL: it can, if all others of the view can */
};

struct cli_policy {
    const char *name;
    const char *sql; /* NULL: WITH CHECK only */
    bool permissive;
    struct policy_program *program; /* of it alone, as if it were permissive */
    struct cli_set *sets;           /* program->membership_count */
};

struct cli_view {
    const char *schema, *table, *role; /* borrowed */
    const struct policy_table *rules;
    struct policy_rules *all;    /* of all of them; NULL where row-level security does not apply */
    struct cli_policy *policies; /* rules->count */
};

struct cli_views {
    size_t count;
    struct cli_view *list;
    struct policy_steps *steps;
    const struct policy_facts *facts;
};

/* The session for everything here: empty search_path, values printed as the tailer prints them. */
bool cli_policies_prepare(PGconn *conn);
/* Fills in what schema, table and role of each view ask for. */
bool cli_policies_load(PGconn *conn, const struct rt_config *config, struct cli_views *views);
void cli_policies_fini(struct cli_views *views);

enum cli_lane cli_policies_lane(const struct policy_program *program);
const char *cli_policies_lane_name(enum cli_lane lane);
/* The last result with rows of several statements; NULL after saying what failed. */
PGresult *cli_policies_last(PGconn *conn, const char *sql);

#endif
