/* broker/perms/inquiry.c - see inquiry.h. */
#include "broker/perms/inquiry.h"

#include <stdlib.h>
#include <string.h>

#include "broker/policy/followed.h"
#include "broker/policy/rules.h"
#include "pg/pgconn.h"
#include "runtime/buf.h"

static const char begin_sql[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

enum step {
    STEP_NONE,
    STEP_BEGIN,
    STEP_CATALOG,
    STEP_POLICIES,
    STEP_FACTS,
    STEP_READS,
    STEP_NESTED,
    STEP_NESTED_FACTS,
    STEP_END
};
enum { FINGERPRINT_MAX = 128 };

/* One question, and what is known of its answer. */
struct item {
    char schema[WIRE_NAME_MAX + 1];
    char table[WIRE_NAME_MAX + 1];
    char role[WIRE_NAME_MAX + 1];
    struct access *access;
};

struct inquiry {
    struct pgconn *conn;
    struct inquiry_names names;
    struct rt_buf tables; /* that policies read: OIDs, an array's text */
    enum step step;
    struct item *items;
    size_t count;
    struct catalog_request request;
    bool requested;           /* `request` is filled in */
    struct policy_load *load; /* of the items that have row-level security */
    size_t *secured;          /* which these are */
    size_t secured_count;
    uint64_t serial;
    char fingerprint[FINGERPRINT_MAX];
};

static void ask(struct inquiry *inquiry, enum step step, const char *sql, int count,
                const char *const *params)
{
    inquiry->step = step;
    (void)pgconn_send(inquiry->conn, sql, count,
                      params); /* a broken connection says so by itself */
}

static void clear(struct inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->count; i++) {
        access_unref(inquiry->items[i].access);
    }
    free(inquiry->items);
    free(inquiry->secured);
    inquiry->items = NULL;
    inquiry->secured = NULL;
    inquiry->count = 0;
    inquiry->secured_count = 0;
    policy_load_free(inquiry->load);
    inquiry->load = NULL;
    if (inquiry->requested) {
        catalog_request_fini(&inquiry->request);
    }
    inquiry->requested = false;
    inquiry->step = STEP_NONE;
}

struct inquiry *inquiry_new(struct pgconn *conn, const struct inquiry_names *names)
{
    struct inquiry *inquiry = rt_alloc(sizeof(*inquiry));

    inquiry->conn = conn;
    inquiry->names = *names;
    return inquiry;
}

void inquiry_free(struct inquiry *inquiry)
{
    if (inquiry != NULL) {
        clear(inquiry);
        rt_buf_fini(&inquiry->tables);
        free(inquiry);
    }
}

void inquiry_reset(struct inquiry *inquiry)
{
    clear(inquiry);
}

static void copy_name(char to[WIRE_NAME_MAX + 1], const char *from)
{
    to[0] = '\0';
    strncat(to, from, WIRE_NAME_MAX);
}

bool inquiry_start(struct inquiry *inquiry, const struct catalog_question *questions, size_t count,
                   const struct fences *fences)
{
    if (!pgconn_ready(inquiry->conn)) {
        return false;
    }
    clear(inquiry);
    inquiry->count = count;
    inquiry->items = rt_alloc((count + 1) * sizeof(*inquiry->items));
    for (size_t i = 0; i < count; i++) {
        copy_name(inquiry->items[i].schema, questions[i].schema);
        copy_name(inquiry->items[i].table, questions[i].table);
        copy_name(inquiry->items[i].role, questions[i].role);
    }
    catalog_request_init(&inquiry->request, questions, count, fences, inquiry->names.publication);
    inquiry->requested = true;
    if (count > 0) {
        ask(inquiry, STEP_BEGIN, begin_sql, 0, NULL);
    } else {
        ask(inquiry, STEP_CATALOG, catalog_sql, CATALOG_PARAMS, inquiry->request.params);
    }
    return true;
}

/* What is said stays said; the transaction ends. */
static enum inquiry_news end(struct inquiry *inquiry, enum inquiry_news news)
{
    if (pgconn_in_transaction(inquiry->conn)) {
        ask(inquiry, STEP_END, news == INQUIRY_ANSWERED ? "COMMIT" : "ROLLBACK", 0, NULL);
    } else {
        inquiry->step = STEP_NONE;
    }
    return news;
}

/* --- policies ---------------------------------------------------------------------------------- */

/* NULL fields are "". */
static void fields_of(const PGresult *result, int row, const char **fields, int count)
{
    for (int i = 0; i < count; i++) {
        fields[i] = PQgetvalue(result, row, i);
    }
}

/* Schemas, tables and roles, one behind the other: `count` of each. */
static void ask_loader(struct inquiry *inquiry, enum step step, const char **names, size_t count)
{
    struct rt_buf arrays[POLICY_LOADER_PARAMS] = { { .data = NULL } };
    const char *params[POLICY_LOADER_PARAMS];

    for (size_t i = 0; i < POLICY_LOADER_PARAMS; i++) {
        catalog_text_array(&arrays[i], names + i * count, count);
        params[i] = rt_buf_cstr(&arrays[i]);
    }
    ask(inquiry, step, policy_loader_sql(), POLICY_LOADER_PARAMS, params);
    for (size_t i = 0; i < POLICY_LOADER_PARAMS; i++) {
        rt_buf_fini(&arrays[i]);
    }
}

static enum inquiry_news ask_policies(struct inquiry *inquiry)
{
    size_t count = inquiry->secured_count;
    const char **names = rt_realloc(NULL, POLICY_LOADER_PARAMS * count, sizeof(char *));

    inquiry->load = policy_load_new((uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const struct item *item = &inquiry->items[inquiry->secured[i]];
        names[i] = item->schema;
        names[count + i] = item->table;
        names[2 * count + i] = item->role;
    }
    ask_loader(inquiry, STEP_POLICIES, names, count);
    free(names);
    return INQUIRY_MORE;
}

static enum inquiry_news finish_policies(struct inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->secured_count; i++) {
        struct item *item = &inquiry->items[inquiry->secured[i]];
        enum policy_load_result found =
            policy_load_take(inquiry->load, (uint32_t)i, ++inquiry->serial, &item->access->rules);
        if (found == POLICY_LOAD_UNKNOWN) {
            access_unref(item->access);
            item->access = access_refuse(WIRE_CODE_SUBSCRIPTION_FAILED,
                                         "the policies of table %s.%s could not be read",
                                         item->schema, item->table);
        }
    }
    return end(inquiry, INQUIRY_ANSWERED);
}

/* Frees the arrays. */
static enum inquiry_news ask_facts(struct inquiry *inquiry, enum step step,
                                   struct rt_buf arrays[POLICY_FACTS_PARAMS], bool wants)
{
    const char *params[POLICY_FACTS_PARAMS];

    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        params[i] = arrays[i].len > 0 ? rt_buf_cstr(&arrays[i]) : "{}";
    }
    if (wants) {
        ask(inquiry, step, policy_facts_sql, POLICY_FACTS_PARAMS, params);
    }
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        rt_buf_fini(&arrays[i]);
    }
    return wants ? INQUIRY_MORE : finish_policies(inquiry);
}

static enum inquiry_news on_policies(struct inquiry *inquiry, const PGresult *result)
{
    const char *fields[POLICY_LOADER_COLUMNS];
    struct rt_buf arrays[POLICY_FACTS_PARAMS] = { { .data = NULL } };

    if (PQnfields(result) != POLICY_LOADER_COLUMNS) {
        return end(inquiry, INQUIRY_FAILED);
    }
    for (int row = 0; row < PQntuples(result); row++) {
        fields_of(result, row, fields, POLICY_LOADER_COLUMNS);
        policy_load_row(inquiry->load, fields);
    }
    bool wants = policy_load_wants(inquiry->load, arrays);
    rt_buf_clear(&inquiry->tables);
    rt_buf_append(&inquiry->tables, arrays[POLICY_FACTS_PARAMS - 1].data,
                  arrays[POLICY_FACTS_PARAMS - 1].len);
    return ask_facts(inquiry, STEP_FACTS, arrays, wants);
}

static void take_facts(struct inquiry *inquiry, const PGresult *result)
{
    const char *fields[POLICY_FACTS_COLUMNS];

    for (int row = 0; row < PQntuples(result); row++) {
        fields_of(result, row, fields, POLICY_FACTS_COLUMNS);
        policy_load_fact(inquiry->load, fields);
    }
}

static enum inquiry_news on_facts(struct inquiry *inquiry, const PGresult *result)
{
    if (PQnfields(result) != POLICY_FACTS_COLUMNS) {
        return end(inquiry, INQUIRY_FAILED);
    }
    take_facts(inquiry, result);
    policy_load_strict(inquiry->load);
    if (inquiry->tables.len <= strlen("{}")) {
        return finish_policies(inquiry);
    }
    const char *params[POLICY_FOLLOWED_PARAMS] = { rt_buf_cstr(&inquiry->tables),
                                                   inquiry->names.policy_publication,
                                                   inquiry->names.slot };
    ask(inquiry, STEP_READS, policy_reads_sql(), POLICY_FOLLOWED_PARAMS, params);
    return INQUIRY_MORE;
}

static void ask_nested(struct inquiry *inquiry, uint32_t count)
{
    const char **names = rt_realloc(NULL, (size_t)POLICY_LOADER_PARAMS * count, sizeof(char *));

    for (uint32_t i = 0; i < count; i++) {
        uint32_t question = 0;
        policy_load_nested(inquiry->load, i, &question, &names[i], &names[count + i]);
        names[2 * count + i] = inquiry->items[inquiry->secured[question]].role;
    }
    ask_loader(inquiry, STEP_NESTED, names, count);
    free(names);
}

/* A database that `pgtide init` of this version has not been run for says an error: then no sets are kept. */
static enum inquiry_news on_reads(struct inquiry *inquiry, const PGresult *result)
{
    bool good =
        PQresultStatus(result) == PGRES_TUPLES_OK && PQnfields(result) == POLICY_READS_COLUMNS;

    for (int row = 0; good && row < PQntuples(result); row++) {
        policy_load_read(inquiry->load, (uint32_t)strtoul(PQgetvalue(result, row, 0), NULL, 10),
                         (uint32_t)strtoul(PQgetvalue(result, row, 1), NULL, 10));
    }
    uint32_t nested = policy_load_nest(inquiry->load);
    if (nested == 0) {
        return finish_policies(inquiry);
    }
    ask_nested(inquiry, nested);
    return INQUIRY_MORE;
}

/* --- tables that sets are of -------------------------------------------------------------------- */

static enum inquiry_news on_nested(struct inquiry *inquiry, const PGresult *result)
{
    const char *fields[POLICY_LOADER_COLUMNS];
    struct rt_buf arrays[POLICY_FACTS_PARAMS] = { { .data = NULL } };

    if (PQnfields(result) != POLICY_LOADER_COLUMNS) {
        return end(inquiry, INQUIRY_FAILED);
    }
    for (int row = 0; row < PQntuples(result); row++) {
        fields_of(result, row, fields, POLICY_LOADER_COLUMNS);
        policy_load_nested_row(inquiry->load, fields);
    }
    bool wants = policy_load_nested_wants(inquiry->load, arrays);
    return ask_facts(inquiry, STEP_NESTED_FACTS, arrays, wants);
}

static enum inquiry_news on_nested_facts(struct inquiry *inquiry, const PGresult *result)
{
    if (PQnfields(result) != POLICY_FACTS_COLUMNS) {
        return end(inquiry, INQUIRY_FAILED);
    }
    take_facts(inquiry, result);
    return finish_policies(inquiry);
}

/* --- the catalog ------------------------------------------------------------------------------- */

static void copy_fingerprint(struct inquiry *inquiry, const char *text)
{
    inquiry->fingerprint[0] = '\0';
    strncat(inquiry->fingerprint, text, FINGERPRINT_MAX - 1);
}

static enum inquiry_news on_catalog(struct inquiry *inquiry, const PGresult *result)
{
    int row = 0;

    if (PQntuples(result) == 0) {
        return end(inquiry, INQUIRY_FAILED);
    }
    if (!catalog_all_seen(result)) {
        return end(inquiry, INQUIRY_UNSEEN);
    }
    copy_fingerprint(inquiry, catalog_fingerprint(result));
    inquiry->secured = rt_alloc((inquiry->count + 1) * sizeof(*inquiry->secured));
    for (size_t i = 0; i < inquiry->count; i++) {
        struct item *item = &inquiry->items[i];
        struct catalog_question question = { item->schema, item->table, item->role };
        bool secured = false;
        item->access = catalog_read(result, &row, i, &question, &secured);
        if (secured && item->access->code == 0) {
            inquiry->secured[inquiry->secured_count++] = i;
        }
    }
    return inquiry->secured_count > 0 ? ask_policies(inquiry) : end(inquiry, INQUIRY_ANSWERED);
}

enum inquiry_news inquiry_result(struct inquiry *inquiry, const PGresult *result)
{
    enum step step = inquiry->step;

    if (step == STEP_END || step == STEP_NONE) {
        inquiry->step = STEP_NONE;
        return INQUIRY_OVER;
    }
    if (step == STEP_BEGIN && PQresultStatus(result) == PGRES_COMMAND_OK) {
        ask(inquiry, STEP_CATALOG, catalog_sql, CATALOG_PARAMS, inquiry->request.params);
        return INQUIRY_MORE;
    }
    if (step == STEP_READS) {
        return on_reads(inquiry, result);
    }
    if (step == STEP_BEGIN || PQresultStatus(result) != PGRES_TUPLES_OK) {
        return end(inquiry, INQUIRY_FAILED);
    }
    if (step == STEP_CATALOG) {
        return on_catalog(inquiry, result);
    }
    if (step == STEP_NESTED) {
        return on_nested(inquiry, result);
    }
    if (step == STEP_NESTED_FACTS) {
        return on_nested_facts(inquiry, result);
    }
    return step == STEP_POLICIES ? on_policies(inquiry, result) : on_facts(inquiry, result);
}

struct access *inquiry_take(struct inquiry *inquiry, size_t number)
{
    struct access *access = inquiry->items[number].access;

    inquiry->items[number].access = NULL;
    return access;
}

const char *inquiry_fingerprint(const struct inquiry *inquiry)
{
    return inquiry->fingerprint;
}
