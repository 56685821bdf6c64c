/* cli/doctor_policies.c - which policies cost speed, and which roles PostgreSQL shows nothing. */
#include <stdlib.h>
#include <string.h>

#include "broker/policy/sql.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/doctor.h"
#include "cli/identity.h"
#include "cli/policies.h"
#include "runtime/config.h"

/* Tables with row-level security, and the roles that may read them. */
static const char targets_sql[] =
    "SELECT n.nspname, c.relname, r.rolname FROM pg_catalog.pg_publication p,"
    " LATERAL pg_catalog.pg_get_publication_tables(p.pubname) t"
    " JOIN pg_catalog.pg_class c ON c.oid = t.relid JOIN pg_catalog.pg_namespace n ON n.oid = "
    "c.relnamespace"
    " CROSS JOIN pg_catalog.pg_roles r"
    " WHERE p.pubname = $1 AND r.rolname = ANY (pg_catalog.string_to_array($2, ',')) AND "
    "c.relrowsecurity"
    "  AND pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE') AND "
    "pg_catalog.has_any_column_privilege(r.oid, c.oid, 'SELECT')"
    "  AND pg_catalog.pg_has_role(r.oid, 'MEMBER')"
    " ORDER BY 1, 2, 3";

/* A policy applies to several roles: it is told of once. */
static bool told(const struct cli_views *views, size_t at, const char *policy)
{
    const struct cli_view *view = &views->list[at];

    for (size_t i = 0; i < at; i++) {
        const struct cli_view *other = &views->list[i];
        for (uint32_t j = 0; j < other->rules->count && other->rules->oid == view->rules->oid;
             j++) {
            if (strcmp(other->policies[j].name, policy) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void tell_lane(struct doctor *doctor, const struct cli_view *view,
                      const struct cli_policy *policy)
{
    enum cli_lane lane = cli_policies_lane(policy->program);
    struct rt_buf subject = { 0 };
    struct rt_buf problem = { 0 };

    if (lane == CLI_LANE_FALLBACK || lane == CLI_LANE_NEVER) {
        rt_buf_printf(&subject, "policy %s of table %s.%s", policy->name, view->schema,
                      view->table);
        rt_buf_puts(&problem,
                    lane == CLI_LANE_NEVER
                        ? "nobody can decide it, and rows for which it counts are not shown"
                        : "PostgreSQL is asked about changes");
        for (uint32_t i = 0; i < policy->program->leaf_count; i++) {
            rt_buf_printf(&problem, "%s%s", i == 0 ? ": " : "; ",
                          policy->program->leaves[i].reason);
        }
        doctor_say(doctor, lane == CLI_LANE_NEVER ? DOCTOR_ERROR : DOCTOR_NOTE,
                   rt_buf_cstr(&subject), rt_buf_cstr(&problem), NULL);
    }
    rt_buf_fini(&subject);
    rt_buf_fini(&problem);
}

/* Sets that every change of what they read has asked for again, for each identity. */
static void tell_sets(struct doctor *doctor, const struct cli_view *view,
                      const struct cli_policy *policy, const struct policy_facts *facts)
{
    for (uint32_t i = 0; i < policy->program->membership_count; i++) {
        const struct cli_set *set = &policy->sets[i];
        const struct policy_fact *table = policy_facts_table(facts, set->table);
        struct rt_buf subject = { 0 };
        struct rt_buf problem = { 0 };
        if (set->why != NULL && table != NULL && view->all->program->membership_count > 0) {
            rt_buf_printf(&subject, "policy %s of table %s.%s", policy->name, view->schema,
                          view->table);
            rt_buf_printf(&problem,
                          "what it sees of %s.%s is read again from PostgreSQL, for each identity, "
                          "with each transaction that touches what it reads: %s",
                          table->schema, table->name, set->why);
            doctor_say(doctor, DOCTOR_NOTE, rt_buf_cstr(&subject), rt_buf_cstr(&problem), NULL);
        }
        rt_buf_fini(&subject);
        rt_buf_fini(&problem);
    }
}

/* The tables that the policies read and the role may not; NULL: that is not what is missing. */
static PGresult *find_grants(struct doctor *doctor, const struct cli_view *view)
{
    const char *params[] = { view->schema, view->table, view->role };
    PGresult *result = cli_database_query(
        doctor->conn,
        "SELECT pg_catalog.format('GRANT SELECT ON %s TO %I;', "
        "pg_catalog.string_agg(DISTINCT d.refobjid::regclass::text, ', '), $3::pg_catalog.text)"
        " FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_depend d ON d.classid "
        "= 'pg_policy'::regclass AND d.objid = p.oid"
        "  AND d.refclassid = 'pg_class'::regclass"
        " JOIN pg_catalog.pg_class c ON c.oid = p.polrelid JOIN "
        "pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = $1 AND c.relname = $2 AND d.refobjid <> c.oid"
        "  AND NOT pg_catalog.has_any_column_privilege($3::pg_catalog.name, d.refobjid, "
        "'SELECT') HAVING count(*) > 0",
        3, params);

    if (PQntuples(result) == 1) {
        return result;
    }
    PQclear(result);
    return NULL;
}

/* Its message, and whether it is about a value (class 22), which other claims may not have. NULL: it is planned. */
static PGresult *refused(struct doctor *doctor, const struct cli_view *view,
                         const struct policy_identity *identity)
{
    struct rt_buf sql = { 0 };

    rt_buf_puts(&sql, "BEGIN READ ONLY; SELECT ");
    policy_sql_identity(&sql, identity);
    rt_buf_puts(&sql, "; EXPLAIN SELECT 1 FROM ");
    policy_sql_identifier(&sql, view->schema);
    rt_buf_putc(&sql, '.');
    policy_sql_identifier(&sql, view->table);
    PGresult *result = PQexec(doctor->conn, rt_buf_cstr(&sql));
    PQclear(PQexec(doctor->conn, "ROLLBACK"));
    rt_buf_fini(&sql);
    if (PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) == NULL) {
        PQclear(result);
        return NULL;
    }
    return result;
}

static void say_refused(struct doctor *doctor, const struct cli_view *view, const char *claims,
                        const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *why = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    bool value = state != NULL && strncmp(state, "22", 2) == 0;
    PGresult *grants = value ? NULL : find_grants(doctor, view);
    struct rt_buf subject = { 0 };
    struct rt_buf problem = { 0 };

    rt_buf_printf(&subject, "table %s.%s", view->schema, view->table);
    if (value) {
        rt_buf_printf(&problem,
                      "shows nothing to identities of role %s with claims like %s, since the "
                      "SELECT raises: %s; pgtide explain --claims tells of those that you have",
                      view->role, claims[0] == '\0' ? "none" : claims, why);
    } else {
        rt_buf_printf(&problem, "shows nothing to role %s, since PostgreSQL refuses the SELECT: %s",
                      view->role, why);
    }
    doctor_say(doctor, value ? DOCTOR_NOTE : DOCTOR_ERROR, rt_buf_cstr(&subject),
               rt_buf_cstr(&problem), grants != NULL ? PQgetvalue(grants, 0, 0) : NULL);
    PQclear(grants);
    rt_buf_fini(&subject);
    rt_buf_fini(&problem);
}

/* What PostgreSQL does not plan for a role, nobody with it is shown: most often a grant on a table that a policy reads. */
static void try_select(struct doctor *doctor, const struct rt_config *config,
                       const struct cli_view *view)
{
    bool anonymous = strcmp(view->role, config->auth_anon_role) == 0;
    const char *claims = anonymous ? "" : "{\"sub\":\"00000000-0000-0000-0000-000000000000\"}";
    struct cli_identity identity;

    if (!cli_identity_init(&identity, view->role, config->policies_search_path,
                           config->policies_claims_settings, claims)) {
        return;
    }
    PGresult *result = refused(doctor, view, &identity.identity);
    if (result != NULL) {
        say_refused(doctor, view, claims, result);
        PQclear(result);
    }
    cli_identity_fini(&identity);
}

static void tell(struct doctor *doctor, const struct rt_config *config,
                 const struct cli_views *views, size_t at)
{
    const struct cli_view *view = &views->list[at];

    if (!view->rules->known || policy_table_exempt(view->rules)) {
        return;
    }
    for (uint32_t i = 0; i < view->rules->count; i++) {
        if (view->policies[i].sql != NULL && !told(views, at, view->policies[i].name)) {
            tell_lane(doctor, view, &view->policies[i]);
            tell_sets(doctor, view, &view->policies[i], views->facts);
        }
    }
    try_select(doctor, config, view);
}

bool doctor_policies(struct doctor *doctor, const struct rt_config *config)
{
    const char *params[] = { config->database_publication, config->auth_roles };
    PGresult *targets = cli_database_query(doctor->conn, targets_sql, 2, params);
    struct cli_views views = { .count = (size_t)PQntuples(targets) };
    bool good = targets != NULL && cli_policies_prepare(doctor->conn);

    views.list = rt_alloc((views.count + 1) * sizeof(*views.list));
    for (size_t i = 0; i < views.count; i++) {
        views.list[i].schema = PQgetvalue(targets, (int)i, 0);
        views.list[i].table = PQgetvalue(targets, (int)i, 1);
        views.list[i].role = PQgetvalue(targets, (int)i, 2);
    }
    good = good && cli_policies_load(doctor->conn, config, &views);
    for (size_t i = 0; good && i < views.count; i++) {
        tell(doctor, config, &views, i);
    }
    cli_policies_fini(&views);
    PQclear(targets);
    return good;
}
