/* cli/policies.c - see policies.h. */
#include "cli/policies.h"

#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/database.h"
#include "runtime/config.h"

bool cli_policies_prepare(PGconn *conn)
{
    return cli_database_run(conn,
                            "SET search_path = ''; SET DateStyle = 'ISO, MDY'; SET TimeZone = "
                            "'UTC'; SET IntervalStyle = 'postgres';"
                            "SET extra_float_digits = 3; SET bytea_output = 'hex'; SET "
                            "standard_conforming_strings = on;"
                            "SET quote_all_identifiers = off; SET row_security = on",
                            "preparing the session");
}

/* --- loading ---------------------------------------------------------------------------------- */

/* NULL after saying what failed, unless that does not matter. */
static PGresult *answer(PGconn *conn, const struct policy_step *step)
{
    if (!step->optional) {
        return cli_database_query(conn, step->sql, step->param_count, step->params);
    }
    PGresult *result =
        PQexecParams(conn, step->sql, step->param_count, NULL, step->params, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        PQclear(result);
        return NULL;
    }
    return result;
}

static bool take_step(PGconn *conn, struct policy_steps *steps, const struct policy_step *step)
{
    const char *fields[POLICY_STEP_COLUMNS];
    PGresult *result = answer(conn, step);
    bool good = result != NULL && PQnfields(result) == step->columns;

    for (int row = 0; good && row < PQntuples(result); row++) {
        for (int i = 0; i < step->columns; i++) {
            fields[i] = PQgetvalue(result, row, i);
        }
        policy_steps_row(steps, fields);
    }
    PQclear(result);
    return good || step->optional;
}

static bool read_all(PGconn *conn, struct policy_steps *steps)
{
    const struct policy_step *step = policy_steps_next(steps);
    bool good = true;

    while (step != NULL && good) {
        good = take_step(conn, steps, step);
        step = good ? policy_steps_next(steps) : NULL;
    }
    return good;
}

static struct cli_set *judge_sets(const struct policy_load *load, uint32_t number,
                                  const struct policy_program *program)
{
    struct cli_set *sets = rt_alloc((program->membership_count + 1) * sizeof(*sets));

    for (uint32_t i = 0; i < program->membership_count; i++) {
        struct rt_buf why = { 0 };
        bool kept = policy_load_keeps(load, number, program, i, &why);
        sets[i] = (struct cli_set){
            .table = program->memberships[i].members.table,
            .value = program->memberships[i].members.value,
            .why = kept ? NULL : rt_strdup(rt_buf_cstr(&why)),
        };
        rt_buf_fini(&why);
    }
    return sets;
}

static struct cli_policy *compile_each(const struct policy_load *load, uint32_t number)
{
    const struct policy_table *rules = policy_load_table(load, number);
    struct cli_policy *policies = rt_alloc((rules->count + 1) * sizeof(*policies));

    for (uint32_t i = 0; i < rules->count; i++) {
        struct policy_rule alone = rules->rules[i].rule;
        policies[i] = (struct cli_policy){
            .name = alone.name,
            .sql = alone.has_qual ? rules->rules[i].sql : NULL,
            .permissive = alone.permissive,
        };
        /* Alone, a restrictive one would be a false for every row. */
        alone.permissive = true;
        policies[i].program = policy_compile(policy_load_facts(load), false, &alone, 1);
        policies[i].sets = judge_sets(load, number, policies[i].program);
    }
    return policies;
}

static void compile(struct policy_load *load, uint32_t number, struct cli_view *view)
{
    view->policies = compile_each(load, number);
    (void)policy_load_take(load, number, 1, &view->all);
    view->rules = view->all != NULL ? &view->all->table : policy_load_table(load, number);
}

bool cli_policies_load(PGconn *conn, const struct rt_config *config, struct cli_views *views)
{
    struct policy_subject *subjects = rt_alloc((views->count + 1) * sizeof(*subjects));

    for (size_t i = 0; i < views->count; i++) {
        const struct cli_view *view = &views->list[i];
        subjects[i] = (struct policy_subject){ view->schema, view->table, view->role };
    }
    views->steps = policy_steps_new(subjects, (uint32_t)views->count,
                                    config->database_policy_publication, config->database_slot);
    free(subjects);
    struct policy_load *load = policy_steps_load(views->steps);
    views->facts = policy_load_facts(load);
    bool loaded = read_all(conn, views->steps);
    for (size_t i = 0; loaded && i < views->count; i++) {
        compile(load, (uint32_t)i, &views->list[i]);
    }
    return loaded;
}

static void free_policy(struct cli_policy *policy)
{
    for (uint32_t i = 0; i < policy->program->membership_count; i++) {
        free(policy->sets[i].why);
    }
    free(policy->sets);
    policy_program_free(policy->program);
}

void cli_policies_fini(struct cli_views *views)
{
    for (size_t i = 0; i < views->count; i++) {
        struct cli_view *view = &views->list[i];
        for (uint32_t j = 0; view->policies != NULL && j < view->rules->count; j++) {
            free_policy(&view->policies[j]);
        }
        free(view->policies);
        policy_rules_unref(view->all);
    }
    free(views->list);
    policy_steps_free(views->steps);
    *views = (struct cli_views){ 0 };
}

/* --- lanes ------------------------------------------------------------------------------------ */

enum cli_lane cli_policies_lane(const struct policy_program *program)
{
    if (program->never) {
        return CLI_LANE_NEVER;
    }
    if (program->leaf_count > 0) {
        return CLI_LANE_FALLBACK;
    }
    if (program->table_count > 0) {
        return CLI_LANE_MEMBERSHIP;
    }
    return program->uses_row ? CLI_LANE_COMPILED : CLI_LANE_CONSTANT;
}

const char *cli_policies_lane_name(enum cli_lane lane)
{
    static const char *const names[] = {
        [CLI_LANE_CONSTANT] = "constant: one answer for all rows, computed once for each identity",
        [CLI_LANE_COMPILED] = "compiled: judged in memory",
        [CLI_LANE_MEMBERSHIP] = "membership: judged in memory, by sets that follow other tables",
        [CLI_LANE_FALLBACK] = "fallback: PostgreSQL is asked about what is not decided in memory",
        [CLI_LANE_NEVER] = "never: what is not decided in memory is not shown",
    };

    return names[lane];
}

PGresult *cli_policies_last(PGconn *conn, const char *sql)
{
    PGresult *last = NULL;
    bool failed = PQsendQuery(conn, sql) == 0;

    for (PGresult *result = PQgetResult(conn); result != NULL; result = PQgetResult(conn)) {
        ExecStatusType status = PQresultStatus(result);
        failed = failed || (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK &&
                            status != PGRES_EMPTY_QUERY);
        if (failed) {
            cli_say("%s", PQresultErrorMessage(result));
        }
        if (status == PGRES_TUPLES_OK && PQntuples(result) > 0) {
            PQclear(last);
            last = result;
        } else {
            PQclear(result);
        }
    }
    if (failed) {
        PQclear(last);
        last = NULL;
        PQclear(PQexec(conn, "ROLLBACK"));
    }
    return last;
}
