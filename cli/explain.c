/* cli/explain.c - pgtide explain: how the broker judges a table's row-level security, for people. */
#include "cli/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/command.h"
#include "cli/database.h"
#include "cli/settings.h"
#include "runtime/config.h"

enum { ROLES_MAX = 64, SHOWN_REASONS = 20 };

struct explained {
    PGconn *conn;
    char *schema;
    char *table;
    char *roles; /* comma-separated, cut into list */
    const char *list[ROLES_MAX];
    size_t role_count;
    const char *settings; /* policies.claims_settings */
    const char *path;     /* policies.search_path */
    const char *claims;   /* NULL: not asked about */
    PGresult *values;     /* of --row, and their attribute numbers; NULL: not asked about */
    PGresult *numbers;
    const char *json;
};

/* --- what is asked about ---------------------------------------------------------------------- */

static bool find_table(struct explained *it, const char *name)
{
    PGresult *result = cli_database_query(
        it->conn,
        "SELECT n.nspname, c.relname, c.relkind IN ('r', 'p') FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.oid = pg_catalog.to_regclass($1)",
        1, &name);
    bool found = PQntuples(result) == 1;

    if (!found && result != NULL) {
        cli_say("table %s does not exist", name);
    } else if (found && PQgetvalue(result, 0, 2)[0] != 't') {
        cli_say("%s is not a table: only tables have changes to watch", name);
        found = false;
    } else if (found) {
        it->schema = rt_strdup(PQgetvalue(result, 0, 0));
        it->table = rt_strdup(PQgetvalue(result, 0, 1));
    }
    PQclear(result);
    return found;
}

static bool cut_roles(struct explained *it)
{
    for (char *at = it->roles; at != NULL;) {
        char *comma = strchr(at, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        if (*at != '\0' && it->role_count < ROLES_MAX) {
            it->list[it->role_count++] = at;
        }
        at = comma != NULL ? comma + 1 : NULL;
    }
    if (it->role_count == 0) {
        cli_say("no role is named; use --role");
    }
    return it->role_count > 0;
}

/* --role, else the one that the claims name, else all that clients can have. */
static bool choose_roles(struct explained *it, const struct cli_args *args,
                         const struct rt_config *config)
{
    const char *role = cli_args_value(args, "role");
    json_error_t error;
    json_t *claims = NULL;

    it->settings = config->policies_claims_settings;
    it->path = config->policies_search_path;
    it->claims = cli_args_value(args, "claims");
    if (it->claims != NULL && it->claims[0] != '\0') {
        claims = json_loads(it->claims, JSON_REJECT_DUPLICATES, &error);
        if (!json_is_object(claims)) {
            cli_say("explain: --claims is not a JSON object");
            json_decref(claims);
            return false;
        }
    }
    if (role == NULL) {
        role = json_string_value(json_object_get(claims, "role"));
    }
    it->roles = rt_strdup(role != NULL ? role : config->auth_roles);
    json_decref(claims);
    return cut_roles(it);
}

/* PostgreSQL makes a row of the object, so that its values have the texts that the log has. */
static bool read_row(struct explained *it, const char *json)
{
    struct rt_buf sql = { 0 };
    const char *names[] = { it->schema, it->table };
    char *schema = PQescapeIdentifier(it->conn, it->schema, strlen(it->schema));
    char *table = PQescapeIdentifier(it->conn, it->table, strlen(it->table));

    it->json = json;
    rt_buf_printf(
        &sql,
        "SELECT r.* FROM pg_catalog.jsonb_populate_record(NULL::%s.%s, $1::pg_catalog.jsonb) r",
        schema, table);
    it->values = cli_database_query(it->conn, rt_buf_cstr(&sql), 1, &json);
    it->numbers = cli_database_query(
        it->conn,
        "SELECT a.attnum, NOT a.attisdropped, a.attgenerated <> '' FROM pg_catalog.pg_attribute a"
        " JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 ORDER BY a.attnum",
        2, names);
    PQfreemem(schema);
    PQfreemem(table);
    rt_buf_fini(&sql);
    return it->values != NULL && it->numbers != NULL;
}

/* --- the table -------------------------------------------------------------------------------- */

static bool print_table(const struct explained *it, const char *publication)
{
    const char *params[] = { it->schema, it->table, publication };
    PGresult *result = cli_database_query(
        it->conn,
        "SELECT c.relrowsecurity, c.relforcerowsecurity, pg_catalog.pg_get_userbyid(c.relowner),"
        " CASE c.relreplident WHEN 'f' THEN 'full' WHEN 'd' THEN 'default (primary key)' WHEN 'i' "
        "THEN 'an index' ELSE 'nothing' END,"
        " EXISTS (SELECT FROM pg_catalog.pg_publication p, "
        "pg_catalog.pg_get_publication_tables(p.pubname) t"
        "  WHERE p.pubname = $3 AND t.relid = c.oid),"
        " (SELECT pg_catalog.string_agg(polname, ', ' ORDER BY polname) FROM pg_catalog.pg_policy "
        "WHERE polrelid = c.oid"
        "  AND polcmd NOT IN ('*', 'r'))"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = $1 AND c.relname = $2",
        3, params);

    if (result == NULL || PQntuples(result) != 1) {
        PQclear(result);
        return false;
    }
    bool enabled = PQgetvalue(result, 0, 0)[0] == 't';
    bool forced = PQgetvalue(result, 0, 1)[0] == 't';
    printf("table %s.%s\n", it->schema, it->table);
    printf("  row-level security: %s; owner %s is %s\n", enabled ? "on" : "off",
           PQgetvalue(result, 0, 2), enabled && forced ? "not exempt (FORCE)" : "exempt");
    printf("  replica identity: %s%s\n", PQgetvalue(result, 0, 3),
           strcmp(PQgetvalue(result, 0, 3), "full") == 0
               ? ""
               : "; old versions of rows are judged by these columns only");
    printf("  publication %s: %s\n", publication,
           PQgetvalue(result, 0, 4)[0] == 't' ? "has it"
                                              : "does not have it: not enabled for realtime");
    if (!PQgetisnull(result, 0, 5)) {
        printf("  not for SELECT, so without effect here: %s\n", PQgetvalue(result, 0, 5));
    }
    PQclear(result);
    return true;
}

/* --- a role ----------------------------------------------------------------------------------- */

static bool print_columns(const struct explained *it, const char *role)
{
    const char *params[] = { it->schema, it->table, role };
    PGresult *result = cli_database_query(
        it->conn,
        "SELECT coalesce(pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE'), false),"
        " pg_catalog.string_agg(a.attname, ', ' ORDER BY a.attnum) FILTER (WHERE "
        "pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT')),"
        " pg_catalog.string_agg(a.attname, ', ' ORDER BY a.attnum) FILTER (WHERE NOT "
        "pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT'))"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT "
        "a.attisdropped"
        " JOIN pg_catalog.pg_roles r ON r.rolname = $3"
        " WHERE n.nspname = $1 AND c.relname = $2 GROUP BY r.oid, n.oid",
        3, params);
    bool exists = PQntuples(result) == 1;

    printf("\nrole %s\n", role);
    if (result == NULL) {
        return false;
    }
    if (!exists) {
        printf("  there is no such role: its subscriptions are refused\n");
    } else if (PQgetvalue(result, 0, 0)[0] != 't') {
        printf("  has no USAGE on schema %s: its subscriptions are refused\n", it->schema);
    } else if (PQgetisnull(result, 0, 1)) {
        printf("  may SELECT no column: its subscriptions are refused\n");
    } else {
        printf("  may read: %s%s%s\n", PQgetvalue(result, 0, 1),
               PQgetisnull(result, 0, 2) ? "" : "; not: ", PQgetvalue(result, 0, 2));
    }
    PQclear(result);
    return true;
}

static void print_reasons(const struct policy_program *program, const struct policy_facts *facts)
{
    for (uint32_t i = 0; i < program->leaf_count && i < SHOWN_REASONS; i++) {
        printf("      because: %s%s\n", program->leaves[i].reason,
               program->leaves[i].kind == POLICY_LEAF_NEVER ? " (PostgreSQL cannot be asked either)"
                                                            : "");
    }
    for (uint32_t i = 0; i < program->table_count; i++) {
        bool again = false;
        for (uint32_t j = 0; j < i; j++) {
            again = again || program->tables[j] == program->tables[i];
        }
        const struct policy_fact *table = policy_facts_table(facts, program->tables[i]);
        if (table != NULL && !again) {
            printf("      reads: %s.%s\n", table->schema, table->name);
        }
    }
}

static void print_policies(const struct explained *it, const struct cli_view *view,
                           const struct policy_facts *facts)
{
    if (!view->rules->known) {
        return;
    }
    if (policy_table_exempt(view->rules)) {
        printf("  every row: row-level security %s\n",
               !view->rules->enabled ? "is off"
               : view->rules->bypass ? "does not apply to the role (superuser or BYPASSRLS)"
                                     : "does not apply to the table's owner");
        return;
    }
    bool grants = false;
    for (uint32_t i = 0; i < view->rules->count; i++) {
        const struct cli_policy *policy = &view->policies[i];
        printf("  policy %s (%s): ", policy->name,
               policy->permissive ? "permissive" : "restrictive");
        if (policy->sql == NULL) {
            printf("WITH CHECK only: shows nothing\n");
            continue;
        }
        grants = grants || policy->permissive;
        printf("%s\n      %s\n", cli_policies_lane_name(cli_policies_lane(policy->program)),
               policy->sql);
        print_reasons(policy->program, facts);
        explain_sets(it->conn, view, policy, facts);
        if (policy->program->leaf_count > 0 && view->rules->rules[i].rule.qual != NULL) {
            explain_unfollowed(it->conn, view->rules->rules[i].rule.qual, facts);
        }
    }
    if (!grants) {
        printf("  no row: no permissive policy for SELECT applies to the role\n");
        return;
    }
    enum cli_lane lane = cli_policies_lane(view->all->program);
    const struct policy_set *set = &view->all->program->asking.set;
    printf("  all together: %s\n", cli_policies_lane_name(lane));
    if (lane == CLI_LANE_FALLBACK) {
        printf("      asked %s%s\n",
               set->condition != NULL ? "set-based: one statement for all identities of the role"
                                      : "for each identity apart: ",
               set->condition != NULL ? "" : set->reason);
    }
}

/* --- the command ------------------------------------------------------------------------------ */

/* The values of --row by attribute number. Generated columns are not in the log. */
static void fill_row(const struct explained *it, struct policy_row *row)
{
    int at = 0;

    for (int i = 0; i < PQntuples(it->numbers); i++) {
        uint32_t number = (uint32_t)strtoul(PQgetvalue(it->numbers, i, 0), NULL, 10);
        if (PQgetvalue(it->numbers, i, 1)[0] != 't') {
            policy_row_set(row, number, POLICY_CELL_DROPPED, "", 0);
        } else if (at < PQnfields(it->values)) {
            enum policy_cell_kind kind = PQgetvalue(it->numbers, i, 2)[0] == 't'
                                             ? POLICY_CELL_MISSING
                                         : PQgetisnull(it->values, 0, at) != 0 ? POLICY_CELL_NULL
                                                                               : POLICY_CELL_TEXT;
            policy_row_set(row, number, kind, PQgetvalue(it->values, 0, at),
                           (uint32_t)PQgetlength(it->values, 0, at));
            at++;
        }
    }
}

static bool print_view(const struct explained *it, const struct cli_views *views, size_t at)
{
    const struct cli_view *view = &views->list[at];
    uint32_t columns = it->numbers != NULL ? (uint32_t)PQntuples(it->numbers) : 0;
    struct policy_cell *cells = rt_alloc((columns + 1) * sizeof(*cells));
    struct policy_row row = { columns, cells };
    struct explained_row asked = { it->values != NULL ? &row : NULL, columns, it->json };
    bool good = print_columns(it, view->role);

    print_policies(it, view, views->facts);
    if (good && view->rules->known && !policy_table_exempt(view->rules) &&
        (it->claims != NULL || it->values != NULL)) {
        fill_row(it, &row);
        good = explain_identity(it->conn, view, it->settings, it->path,
                                it->claims != NULL ? it->claims : "", &asked);
    }
    free(cells);
    return good;
}

static bool explain(struct explained *it, const struct rt_config *config)
{
    struct cli_views views = { .count = it->role_count };

    views.list = rt_alloc((views.count + 1) * sizeof(*views.list));
    for (size_t i = 0; i < views.count; i++) {
        views.list[i].schema = it->schema;
        views.list[i].table = it->table;
        views.list[i].role = it->list[i];
    }
    bool good = cli_policies_load(it->conn, config, &views) &&
                print_table(it, config->database_publication);
    for (size_t i = 0; i < views.count && good; i++) {
        good = print_view(it, &views, i);
    }
    cli_policies_fini(&views);
    return good;
}

static enum cli_status run_explain(const struct cli_args *args)
{
    struct explained it = { 0 };
    enum cli_status status = CLI_USAGE;
    const char *json = cli_args_value(args, "row");
    struct rt_config *config = cli_settings_load(args);
    const char *url = config != NULL ? cli_settings_database(args, config) : NULL;

    if (url != NULL && choose_roles(&it, args, config)) {
        it.conn = cli_database_connect(url);
        bool good = it.conn != NULL && find_table(&it, args->arguments[0]) &&
                    cli_policies_prepare(it.conn) && (json == NULL || read_row(&it, json)) &&
                    explain(&it, config);
        status = good ? CLI_OK : CLI_FAILED;
    }
    PQclear(it.values);
    PQclear(it.numbers);
    free(it.schema);
    free(it.table);
    free(it.roles);
    PQfinish(it.conn);
    rt_config_free(config);
    return status;
}

static const struct cli_option explain_options[] = {
    { "role", "NAME", false, "for this role; without it the claims' role, or all of auth.roles" },
    { "claims", "JSON", false, "and for the identity with these claims (\"\" for no token)" },
    { "row", "JSON", false, "and what is decided about this row" },
    { "database", "URL", false, "the database; without it: DATABASE_URL, or database.url" },
    CLI_CONFIG_OPTIONS,
    { 0 },
};

const struct cli_command cli_command_explain = {
    .name = "explain",
    .arguments = "TABLE",
    .summary = "say how the row-level security of a table is judged, and why",
    .about =
        "For each role: the columns it may read, the policies that apply to it, and the lane of "
        "each, that\n"
        "is, how the broker judges it: compiled and membership need no question to PostgreSQL;\n"
        "fallback asks it, for the changes that are not decided otherwise, and says why. Of each\n"
        "membership test: whether its set is kept from the stream or read again, and why.\n"
        "With --claims also the constants of that identity and the values by which changes find "
        "it; with --row\n"
        "what each policy and all of them together say of that row.\n"
        "\n"
        "The database user must be able to take on the role, like the broker's.\n"
        "\n"
        "  pgtide explain public.orders\n"
        "  pgtide explain orders --claims '{\"role\":\"authenticated\",\"sub\":\"42\"}' --row "
        "'{\"id\":7,\"owner\":\"42\"}'\n",
    .options = explain_options,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_explain,
};
