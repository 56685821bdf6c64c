/* broker/perms/inquiry.c - see inquiry.h. */
#include "broker/perms/inquiry.h"

#include <stdlib.h>
#include <string.h>

#include "broker/policy/steps.h"
#include "pg/pgconn.h"
#include "runtime/buf.h"

static const char begin_sql[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

enum step { STEP_NONE, STEP_BEGIN, STEP_CATALOG, STEP_POLICIES, STEP_END };
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
    enum step step;
    struct item *items;
    size_t count;
    struct catalog_request request;
    bool requested;             /* `request` is filled in */
    struct policy_steps *steps; /* of the items that have row-level security */
    const struct policy_step *asked;
    size_t *secured; /* which these are */
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
    policy_steps_free(inquiry->steps);
    inquiry->steps = NULL;
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

static enum inquiry_news finish_policies(struct inquiry *inquiry)
{
    struct policy_load *load = policy_steps_load(inquiry->steps);

    for (size_t i = 0; i < inquiry->secured_count; i++) {
        struct item *item = &inquiry->items[inquiry->secured[i]];
        enum policy_load_result found =
            policy_load_take(load, (uint32_t)i, ++inquiry->serial, &item->access->rules);
        if (found == POLICY_LOAD_UNKNOWN) {
            access_unref(item->access);
            item->access = access_refuse(WIRE_CODE_SUBSCRIPTION_FAILED,
                                         "the policies of table %s.%s could not be read",
                                         item->schema, item->table);
        }
    }
    return end(inquiry, INQUIRY_ANSWERED);
}

static enum inquiry_news ask_next(struct inquiry *inquiry)
{
    const struct policy_step *step = policy_steps_next(inquiry->steps);

    inquiry->asked = step;
    if (step == NULL) {
        return finish_policies(inquiry);
    }
    ask(inquiry, STEP_POLICIES, step->sql, step->param_count, step->params);
    return INQUIRY_MORE;
}

static enum inquiry_news ask_policies(struct inquiry *inquiry)
{
    size_t count = inquiry->secured_count;
    struct policy_subject *subjects = rt_alloc((count + 1) * sizeof(*subjects));

    for (size_t i = 0; i < count; i++) {
        const struct item *item = &inquiry->items[inquiry->secured[i]];
        subjects[i] = (struct policy_subject){ item->schema, item->table, item->role };
    }
    inquiry->steps = policy_steps_new(subjects, (uint32_t)count, inquiry->names.policy_publication,
                                      inquiry->names.slot);
    free(subjects);
    return ask_next(inquiry);
}

/* NULL fields are "". */
static enum inquiry_news on_policies(struct inquiry *inquiry, const PGresult *result)
{
    const char *fields[POLICY_STEP_COLUMNS];
    const struct policy_step *step = inquiry->asked;
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK && PQnfields(result) == step->columns;

    if (!good && !step->optional) {
        return end(inquiry, INQUIRY_FAILED);
    }
    for (int row = 0; good && row < PQntuples(result); row++) {
        for (int i = 0; i < step->columns; i++) {
            fields[i] = PQgetvalue(result, row, i);
        }
        policy_steps_row(inquiry->steps, fields);
    }
    return ask_next(inquiry);
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
    if (step == STEP_POLICIES) {
        return on_policies(inquiry, result);
    }
    if (step == STEP_BEGIN || PQresultStatus(result) != PGRES_TUPLES_OK) {
        return end(inquiry, INQUIRY_FAILED);
    }
    return on_catalog(inquiry, result);
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
