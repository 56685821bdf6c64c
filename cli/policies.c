/* cli/policies.c - see policies.h. */
#include "cli/policies.h"

#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/database.h"

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

static void put_name(struct rt_buf *out, const char *name)
{
    rt_buf_puts(out, out->len == 0 ? "{\"" : ",\"");
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            rt_buf_putc(out, '\\');
        }
        rt_buf_putc(out, *at);
    }
    rt_buf_putc(out, '"');
}

static void fields_of(const PGresult *result, int row, const char **fields, int count)
{
    for (int i = 0; i < count; i++) {
        fields[i] = i < PQnfields(result) ? PQgetvalue(result, row, i) : "";
    }
}

static bool load_rules(PGconn *conn, struct cli_views *views)
{
    struct rt_buf arrays[POLICY_LOADER_PARAMS] = { 0 };
    const char *params[POLICY_LOADER_PARAMS];
    const char *fields[POLICY_LOADER_COLUMNS];

    for (size_t i = 0; i < views->count; i++) {
        put_name(&arrays[0], views->list[i].schema);
        put_name(&arrays[1], views->list[i].table);
        put_name(&arrays[2], views->list[i].role);
    }
    for (size_t i = 0; i < POLICY_LOADER_PARAMS; i++) {
        rt_buf_puts(&arrays[i], views->count == 0 ? "{}" : "}");
        params[i] = rt_buf_cstr(&arrays[i]);
    }
    PGresult *result = cli_database_query(conn, policy_loader_sql(), POLICY_LOADER_PARAMS, params);
    for (int row = 0; row < PQntuples(result); row++) {
        fields_of(result, row, fields, POLICY_LOADER_COLUMNS);
        uint32_t question = policy_loader_question(fields);
        if (question >= 1 && question <= views->count) {
            policy_table_add(&views->list[question - 1].rules, fields);
        }
    }
    for (size_t i = 0; i < POLICY_LOADER_PARAMS; i++) {
        rt_buf_fini(&arrays[i]);
    }
    PQclear(result);
    return result != NULL;
}

static bool load_facts(PGconn *conn, struct cli_views *views)
{
    struct rt_buf arrays[POLICY_FACTS_PARAMS] = { 0 };
    const char *params[POLICY_FACTS_PARAMS];
    const char *fields[POLICY_FACTS_COLUMNS];

    views->facts = policy_facts_new();
    for (size_t i = 0; i < views->count; i++) {
        const struct policy_table *rules = &views->list[i].rules;
        for (uint32_t j = 0; j < rules->count; j++) {
            if (rules->rules[j].rule.qual != NULL) {
                (void)policy_facts_wanted(views->facts, rules->rules[j].rule.qual, arrays);
            }
        }
    }
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        params[i] = arrays[i].len > 0 ? rt_buf_cstr(&arrays[i]) : "{}";
    }
    PGresult *result = cli_database_query(conn, policy_facts_sql, POLICY_FACTS_PARAMS, params);
    for (int row = 0; row < PQntuples(result); row++) {
        fields_of(result, row, fields, POLICY_FACTS_COLUMNS);
        policy_facts_add(views->facts, fields);
    }
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        rt_buf_fini(&arrays[i]);
    }
    PQclear(result);
    return result != NULL;
}

static void compile(const struct policy_facts *facts, struct cli_view *view)
{
    const struct policy_table *rules = &view->rules;

    view->program = policy_table_compile(rules, facts);
    view->policies = rt_alloc((rules->count + 1) * sizeof(*view->policies));
    for (uint32_t i = 0; i < rules->count; i++) {
        struct policy_rule alone = rules->rules[i].rule;
        view->policies[i] = (struct cli_policy){
            .name = alone.name,
            .sql = alone.has_qual ? rules->rules[i].sql : NULL,
            .permissive = alone.permissive,
        };
        /* Alone, a restrictive one would be a false for every row. */
        alone.permissive = true;
        view->policies[i].program = policy_compile(facts, false, &alone, 1);
    }
}

bool cli_policies_load(PGconn *conn, struct cli_views *views)
{
    bool loaded = load_rules(conn, views) && load_facts(conn, views);

    for (size_t i = 0; loaded && i < views->count; i++) {
        compile(views->facts, &views->list[i]);
    }
    return loaded;
}

void cli_policies_fini(struct cli_views *views)
{
    for (size_t i = 0; i < views->count; i++) {
        struct cli_view *view = &views->list[i];
        for (uint32_t j = 0; view->policies != NULL && j < view->rules.count; j++) {
            policy_program_free(view->policies[j].program);
        }
        free(view->policies);
        policy_program_free(view->program);
        policy_table_fini(&view->rules);
    }
    free(views->list);
    policy_facts_free(views->facts);
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
