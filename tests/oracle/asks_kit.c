/* tests/oracle/asks_kit.c - see asks_kit.h. */
#include "tests/oracle/asks_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/match/filter_sql.h"
#include "broker/view/filter_columns.h"
#include "broker/view/filter_judge.h"

enum { FIELD_ROLE, FIELD_CLAIMS, FIELD_FILTER };
enum { SERIAL = 1, FOLDS_AT_ONCE = 64 };

static _Noreturn void fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    exit(2);
}

PGresult *asks_kit_query(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        fail(sql, PQerrorMessage(conn));
    }
    return result;
}

static PGresult *ask(PGconn *conn, const char *sql, int count, const char *const *params)
{
    PGresult *result = PQexecParams(conn, sql, count, NULL, params, NULL, NULL, 0);

    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        fail(sql, PQerrorMessage(conn));
    }
    return result;
}

/* --- the table ---------------------------------------------------------------------------------- */

static struct access *load_access(struct asks_kit *kit, struct relation *relation)
{
    const char *params[] = { kit->schema, kit->table };
    struct access *access = access_new();
    PGresult *result = ask(
        kit->conn,
        "SELECT a.attname, a.attnum, a.atttypid, c.oid FROM pg_attribute a JOIN pg_class c ON "
        "c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND "
        "c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        2, params);

    access->all = true;
    access->oid = (uint32_t)strtoul(PQgetvalue(result, 0, 3), NULL, 10);
    for (int i = 0; i < PQntuples(result); i++) {
        const char *name = PQgetvalue(result, i, 0);
        uint32_t type = (uint32_t)strtoul(PQgetvalue(result, i, 2), NULL, 10);
        access_add_attribute(access, name, (uint32_t)strtoul(PQgetvalue(result, i, 1), NULL, 10),
                             type);
        access_add_column(access, name, false);
        if (relation != NULL) {
            relation->columns = rt_realloc(relation->columns, relation->column_count + 1,
                                           sizeof(*relation->columns));
            relation->columns[relation->column_count++] =
                (struct wire_column){ .name = { access->attributes[i].name, strlen(name) },
                                      .type_oid = type };
        }
    }
    access_seal(access);
    PQclear(result);
    return access;
}

static void fields_of(const PGresult *result, int row, const char **out, int count)
{
    for (int i = 0; i < count; i++) {
        out[i] = PQgetvalue(result, row, i);
    }
}

static void load_facts(struct asks_kit *kit, struct policy_load *load)
{
    struct rt_buf arrays[POLICY_FACTS_PARAMS] = { 0 };
    const char *params[POLICY_FACTS_PARAMS];
    const char *fields[POLICY_FACTS_COLUMNS];
    bool wants = policy_load_wants(load, arrays);

    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        params[i] = arrays[i].len > 0 ? rt_buf_cstr(&arrays[i]) : "{}";
    }
    if (wants) {
        PGresult *result = ask(kit->conn, policy_facts_sql, POLICY_FACTS_PARAMS, params);
        for (int i = 0; i < PQntuples(result); i++) {
            fields_of(result, i, fields, POLICY_FACTS_COLUMNS);
            policy_load_fact(load, fields);
        }
        PQclear(result);
    }
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        rt_buf_fini(&arrays[i]);
    }
}

static struct policy_rules *load_rules(struct asks_kit *kit, const char *role)
{
    struct policy_load *load = policy_load_new(1);
    const char *fields[POLICY_LOADER_COLUMNS];
    struct rt_buf names[POLICY_LOADER_PARAMS] = { 0 };
    const char *params[POLICY_LOADER_PARAMS];
    const char *texts[POLICY_LOADER_PARAMS] = { kit->schema, kit->table, role };
    struct policy_rules *rules = NULL;

    for (size_t i = 0; i < POLICY_LOADER_PARAMS; i++) {
        rt_buf_printf(&names[i], "{%s}", texts[i]);
        params[i] = rt_buf_cstr(&names[i]);
    }
    PGresult *result = ask(kit->conn, policy_loader_sql(), POLICY_LOADER_PARAMS, params);
    for (int i = 0; i < PQntuples(result); i++) {
        fields_of(result, i, fields, POLICY_LOADER_COLUMNS);
        policy_load_row(load, fields);
    }
    PQclear(result);
    load_facts(kit, load);
    (void)policy_load_take(load, 0, (uint64_t)kit->role_count + SERIAL, &rules);
    policy_load_free(load);
    for (size_t i = 0; i < POLICY_LOADER_PARAMS; i++) {
        rt_buf_fini(&names[i]);
    }
    return rules;
}

static struct access *access_of(struct asks_kit *kit, const char *role)
{
    for (int i = 0; i < kit->role_count; i++) {
        if (strcmp(kit->roles[i], role) == 0) {
            return kit->accesses[i];
        }
    }
    if (kit->role_count == KIT_ROLES) {
        fail(role, "too many roles");
    }
    struct access *access = load_access(kit, NULL);
    access->rules = load_rules(kit, role);
    kit->roles[kit->role_count] = role;
    kit->accesses[kit->role_count++] = access;
    return access;
}

/* --- views -------------------------------------------------------------------------------------- */

static struct view_identity *make_identity(int number, const char *role, const char *claims)
{
    struct whole {
        struct view_identity identity; /* first: it is freed as this */
        struct view_maker maker;
        struct policy_identity policy;
        struct policy_setting setting;
    } *whole = rt_alloc(sizeof(*whole));

    whole->setting = (struct policy_setting){ "request.jwt.claims", claims };
    whole->policy = (struct policy_identity){ role, &whole->setting, 1, NULL };
    whole->maker.role = role;
    whole->identity = (struct view_identity){
        .refs = 1, .serial = (uint64_t)number + 1, .policy = &whole->policy, .maker = &whole->maker
    };
    return &whole->identity;
}

static struct view_constants *fold(struct asks_kit *kit, const struct policy_rules *rules,
                                   struct view_identity *identity)
{
    struct view_constants *constants = rt_alloc(sizeof(*constants));
    struct policy_fold question = { rules->program, view_identity_policy(identity), kit->schema,
                                    kit->table };
    struct policy_answers answers;
    struct rt_buf sql = { 0 };
    const char *text = "";

    constants->refs = 1;
    policy_fold_sql(&sql, &question, 1);
    (void)PQsendQuery(kit->conn, rt_buf_cstr(&sql));
    PGresult *kept = NULL;
    for (PGresult *at = PQgetResult(kit->conn); at != NULL; at = PQgetResult(kit->conn)) {
        if (PQntuples(at) > 0) {
            PQclear(kept);
            kept = at;
        } else {
            PQclear(at);
        }
    }
    text = kept != NULL ? PQgetvalue(kept, 0, 0) : "";
    if (!policy_answers_read(&answers, text, strlen(text), 1) ||
        !policy_fold_read(&constants->policy, rules->program, answers.texts[0].text,
                          answers.texts[0].len)) {
        fail("no constants", PQerrorMessage(kit->conn));
    }
    policy_answers_fini(&answers);
    PQclear(kept);
    rt_buf_fini(&sql);
    return constants;
}

static struct filter_program *make_filter(struct asks_kit *kit, const struct access *access,
                                          const char *text)
{
    const char *params[] = { kit->schema, kit->table };
    struct filter_table table = { { kit->schema, strlen(kit->schema) },
                                  { kit->table, strlen(kit->table) } };
    struct filter filter;
    struct filter_error error = { 0 };
    struct filter_sql sql;
    bool retry = false;

    if (text[0] == '\0') {
        return NULL;
    }
    PGresult *result = ask(kit->conn, filter_columns_sql, FILTER_COLUMNS_PARAMS, params);
    struct filter_columns *columns = filter_columns_read(result);
    PQclear(result);
    if (!filter_parse(&filter, FILTER_LIST, (struct wire_span){ text, strlen(text) }, &error) ||
        !filter_allowed(&filter, access, columns, &error)) {
        fail(text, error.text);
    }
    filter_sql_init(&sql, &filter, &table);
    result = PQexecParams(kit->conn, (const char *)sql.text.data, sql.param_count, NULL, sql.params,
                          NULL, NULL, 0);
    if (!filter_sql_answer(&filter, &sql, result, &error, &retry)) {
        fail(text, error.text);
    }
    PQclear(result);
    filter_sql_fini(&sql);
    struct filter_program *program = filter_program_new(&filter, columns);
    filter_columns_unref(columns);
    return program;
}

static void make_view(struct asks_kit *kit, int number)
{
    static const struct view_seeds seeds = { { 1, 2 }, { 3, 4 } };
    const char *role = PQgetvalue(kit->identities, number, FIELD_ROLE);
    struct access *access = access_of(kit, role);
    struct view_identity *identity =
        make_identity(number, role, PQgetvalue(kit->identities, number, FIELD_CLAIMS));
    struct view_constants *constants =
        access->rules == NULL ? NULL : fold(kit, access->rules, identity);
    struct filter_program *filter =
        make_filter(kit, access, PQgetvalue(kit->identities, number, FIELD_FILTER));

    kit->views[number] = view_make(access, identity, constants, filter, &seeds);
    view_identity_unref(identity);
    view_constants_unref(constants);
    filter_program_unref(filter);
}

/* --- all ---------------------------------------------------------------------------------------- */

void asks_kit_open(struct asks_kit *kit, const char *conninfo, const char *schema,
                   const char *table)
{
    struct rt_buf sql = { 0 };

    *kit = (struct asks_kit){ .conn = PQconnectdb(conninfo), .schema = schema, .table = table };
    PQclear(asks_kit_query(
        kit->conn,
        "SET search_path = ''; SET DateStyle = ISO; SET TimeZone = 'UTC'; SET "
        "bytea_output = hex; SET extra_float_digits = 3; SET client_min_messages = error"));
    kit->relation = rt_alloc(sizeof(*kit->relation));
    kit->relation->refs = 1;
    kit->relation->serial = 1;
    kit->accesses[0] = load_access(kit, kit->relation);
    kit->roles[0] = ""; /* whose names the relation has */
    kit->role_count = 1;
    kit->relation->oid = kit->accesses[0]->oid;
    (void)snprintf(kit->relation->schema, sizeof(kit->relation->schema), "%s", schema);
    (void)snprintf(kit->relation->table, sizeof(kit->relation->table), "%s", table);
    rt_buf_printf(&sql, "SELECT * FROM \"%s\".\"%s\" ORDER BY 1", schema, table);
    kit->rows = asks_kit_query(kit->conn, rt_buf_cstr(&sql));
    kit->row_count = PQntuples(kit->rows);
    rt_buf_fini(&sql);
    kit->identities = asks_kit_query(
        kit->conn, "SELECT role, claims, coalesce(filter, '') FROM public.identities ORDER BY id");
    kit->view_count = PQntuples(kit->identities);
    kit->views = rt_alloc(((size_t)kit->view_count + 1) * sizeof(struct view *));
    for (int i = 0; i < kit->view_count; i++) {
        make_view(kit, i);
    }
    kit->changes = view_change_new();
}

void asks_kit_change(struct asks_kit *kit, int row)
{
    int count = PQnfields(kit->rows);

    wire_writer_clear(&kit->tuple);
    wire_write_array(&kit->tuple, (uint32_t)count);
    for (int i = 0; i < count; i++) {
        struct wire_value value = { WIRE_VALUE_NULL, 0, "" };
        if (!PQgetisnull(kit->rows, row, i)) {
            value = (struct wire_value){ WIRE_VALUE_TEXT, (uint32_t)PQgetlength(kit->rows, row, i),
                                         PQgetvalue(kit->rows, row, i) };
        }
        wire_write_value(&kit->tuple, &value);
    }
    struct wire_change change = { .op = WIRE_INSERT,
                                  .new_row = { kit->tuple.data, kit->tuple.len } };
    if (!view_change_set(kit->changes, kit->relation, kit->accesses[kit->role_count - 1], &change,
                         rt_wall_now())) {
        fail("a row", "does not fit the table");
    }
}

void asks_kit_close(struct asks_kit *kit)
{
    for (int i = 0; i < kit->view_count; i++) {
        view_unref(kit->views[i]);
    }
    free(kit->views);
    view_change_free(kit->changes);
    wire_writer_fini(&kit->tuple);
    relation_unref(kit->relation);
    for (int i = 0; i < kit->role_count; i++) {
        access_unref(kit->accesses[i]);
    }
    PQclear(kit->identities);
    PQclear(kit->rows);
    PQfinish(kit->conn);
}
