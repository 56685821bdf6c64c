/* broker/perms/authority.c - questions in batches, answers under snapshots that are new enough. */
#include "broker/perms/authority.h"

#include <stdlib.h>
#include <string.h>

#include "broker/perms/catalog.h"
#include "broker/perms/fences.h"
#include "pg/pgconn.h"
#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define RETRY_FIRST (2 * RT_MSEC)
#define RETRY_MAX   (50 * RT_MSEC)
#define TICK        (100 * RT_MSEC)
#define NO_DEADLINE INT64_MAX

enum { ERRORS_MAX = 3, FINGERPRINT_MAX = 128 };

/* QUEUED: listed in authority->first…last. FLYING: in authority->flight. */
enum watch_state { WATCH_SETTLED, WATCH_QUEUED, WATCH_FLYING };
struct authority_watch {
    struct authority *authority;
    void *user;
    char schema[WIRE_NAME_MAX + 1];
    char table[WIRE_NAME_MAX + 1];
    char role[WIRE_NAME_MAX + 1];
    size_t slot; /* in authority->watches */
    enum watch_state state;
    bool answered;
    bool again;  /* asked once more while flying: that answer does not count */
    bool dead;   /* unwatched while flying */
    bool fenced; /* the stream waits for the answer */
    unsigned errors;
    uint64_t asked_lsn;
    uint64_t answered_lsn; /* the answer sees what committed there */
    rt_usec deadline;
    struct authority_watch *prev;
    struct authority_watch *next;
};

struct authority {
    struct authority_config config;
    struct pgconn *conn;
    struct rt_timer *tick;
    struct rt_timer *retry;
    struct rt_defer *settle;
    bool up;
    bool resting; /* `retry` runs */
    rt_usec retry_after;
    struct authority_watch **watches;
    size_t watch_count;
    size_t watch_cap;
    struct authority_watch *first;
    struct authority_watch *last;
    struct authority_watch *flight[AUTHORITY_BATCH];
    size_t flight_count;
    bool in_flight; /* a statement, with or without questions */
    size_t solo;    /* so many questions go one by one: one of their batch failed */
    size_t fenced;
    bool waited_for;
    struct fences fences;
    rt_usec poll_at;
    char fingerprint[FINGERPRINT_MAX];
};

static void enqueue(struct authority_watch *watch)
{
    struct authority *authority = watch->authority;

    watch->state = WATCH_QUEUED;
    watch->next = NULL;
    watch->prev = authority->last;
    if (authority->last != NULL) {
        authority->last->next = watch;
    } else {
        authority->first = watch;
    }
    authority->last = watch;
}

static void dequeue(struct authority_watch *watch)
{
    struct authority *authority = watch->authority;

    if (watch->prev != NULL) {
        watch->prev->next = watch->next;
    } else {
        authority->first = watch->next;
    }
    if (watch->next != NULL) {
        watch->next->prev = watch->prev;
    } else {
        authority->last = watch->prev;
    }
    watch->state = WATCH_SETTLED;
}

static void unfence(struct authority_watch *watch)
{
    if (watch->fenced) {
        watch->fenced = false;
        watch->authority->fenced--;
        rt_defer_schedule(watch->authority->settle);
    }
}

static void request(struct authority_watch *watch, bool fenced)
{
    struct authority *authority = watch->authority;

    if (fenced && !watch->fenced) {
        watch->fenced = true;
        authority->fenced++;
    }
    if (fenced || (!watch->answered && watch->state == WATCH_SETTLED)) {
        watch->deadline = rt_now() + AUTHORITY_TIMEOUT;
    }
    watch->errors = 0;
    if (watch->state == WATCH_FLYING) {
        watch->again = true;
    } else if (watch->state == WATCH_SETTLED) {
        enqueue(watch);
    }
}

static void request_all(struct authority *authority)
{
    for (size_t i = 0; i < authority->watch_count; i++) {
        request(authority->watches[i], false);
    }
}

static size_t fill_flight(struct authority *authority)
{
    size_t most = authority->solo > 0 ? 1 : AUTHORITY_BATCH;

    authority->solo -= authority->solo > 0 ? 1 : 0;
    authority->flight_count = 0;
    while (authority->first != NULL && authority->flight_count < most) {
        struct authority_watch *watch = authority->first;
        dequeue(watch);
        watch->state = WATCH_FLYING;
        watch->again = false;
        authority->flight[authority->flight_count++] = watch;
    }
    return authority->flight_count;
}

static void send_statement(struct authority *authority)
{
    struct catalog_question questions[AUTHORITY_BATCH];
    struct catalog_request request;
    size_t count = fill_flight(authority);

    for (size_t i = 0; i < count; i++) {
        const struct authority_watch *watch = authority->flight[i];
        questions[i] = (struct catalog_question){ watch->schema, watch->table, watch->role };
    }
    catalog_request_init(&request, questions, count, &authority->fences,
                         authority->config.publication);
    fences_ask(&authority->fences);
    authority->in_flight = true;
    rt_counter_add(authority->config.stats->authority_queries, 1);
    (void)pgconn_send(authority->conn, catalog_sql, CATALOG_PARAMS,
                      request.params); /* it is ready */
    catalog_request_fini(&request);
}

static void pump(struct authority *authority)
{
    bool poll = rt_now() >= authority->poll_at;

    if (!pgconn_ready(authority->conn) || authority->in_flight || authority->resting ||
        (authority->first == NULL && !poll)) {
        return;
    }
    authority->poll_at = rt_now() + AUTHORITY_POLL;
    send_statement(authority);
}

static void free_watch(struct authority_watch *watch)
{
    struct authority *authority = watch->authority;

    authority->watches[watch->slot] = authority->watches[--authority->watch_count];
    authority->watches[watch->slot]->slot = watch->slot;
    free(watch);
}

static void answer(struct authority_watch *watch, struct access *access)
{
    struct authority *authority = watch->authority;

    watch->answered = true;
    watch->answered_lsn = watch->asked_lsn;
    watch->deadline = NO_DEADLINE;
    unfence(watch);
    authority->config.events->on_access(authority->config.ctx, watch->user, access);
}

static void refuse(struct authority_watch *watch, const char *why)
{
    struct access *access = access_refuse(WIRE_CODE_SUBSCRIPTION_FAILED, "%s", why);

    answer(watch, access);
    access_unref(access);
}

/* Takes the watch out of the flight; false when there is nobody to answer. */
static bool land(struct authority_watch *watch)
{
    watch->state = WATCH_SETTLED;
    if (watch->dead) {
        free_watch(watch);
        return false;
    }
    return true;
}

/* Nothing of the flight counts: all of it is asked again. */
static void requeue_flight(struct authority *authority)
{
    for (size_t i = 0; i < authority->flight_count; i++) {
        if (land(authority->flight[i])) {
            enqueue(authority->flight[i]);
        }
    }
    authority->flight_count = 0;
    authority->in_flight = false;
}

static void rest(struct authority *authority)
{
    authority->resting = true;
    rt_timer_set(authority->retry, authority->retry_after, 0);
    authority->retry_after =
        authority->retry_after * 2 > RETRY_MAX ? RETRY_MAX : authority->retry_after * 2;
    rt_counter_add(authority->config.stats->authority_retries, 1);
}

/* One question of a batch can spoil it (a name that the database's encoding does not have). So they are asked one by
 * one, and the one that fails alone, more than once, is refused. */
static void on_error(struct authority *authority, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    rt_log_warn(authority->config.log, "authority.query_failed", RT_S("sqlstate", state),
                RT_S("reason", text), RT_U("questions", authority->flight_count));
    if (authority->flight_count > 1) {
        authority->solo = authority->flight_count;
    } else if (authority->flight_count == 1 && ++authority->flight[0]->errors >= ERRORS_MAX) {
        struct authority_watch *watch = authority->flight[0];
        authority->flight_count = 0;
        if (land(watch)) {
            refuse(
                watch,
                "the database could not answer for this table and role; the broker's log says why");
        }
    }
    requeue_flight(authority);
    rest(authority);
}

static void check_fingerprint(struct authority *authority, const char *now)
{
    bool changed = authority->fingerprint[0] != '\0' && strcmp(authority->fingerprint, now) != 0;

    authority->fingerprint[0] = '\0';
    strncat(authority->fingerprint, now, FINGERPRINT_MAX - 1);
    if (changed) {
        rt_log_info(authority->config.log, "authority.roles_changed",
                    RT_U("watches", authority->watch_count));
        rt_counter_add(authority->config.stats->authority_reloads, 1);
        request_all(authority);
    }
}

static void on_answers(struct authority *authority, const PGresult *result)
{
    int row = 0;
    size_t count = authority->flight_count;

    for (size_t i = 0; i < count; i++) {
        struct authority_watch *watch = authority->flight[i];
        struct catalog_question question = { watch->schema, watch->table, watch->role };
        struct access *access = catalog_read(result, &row, i, &question);
        bool again = watch->again;
        if (land(watch)) {
            if (again) {
                enqueue(watch);
            } else {
                answer(watch, access);
            }
        }
        access_unref(access);
    }
    authority->flight_count = 0;
}

static void on_result(void *ctx, const PGresult *result)
{
    struct authority *authority = ctx;

    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) == 0) {
        on_error(authority, result);
        return;
    }
    if (!fences_answer(&authority->fences, catalog_all_seen(result))) {
        requeue_flight(authority);
        rest(authority);
        return;
    }
    authority->retry_after = RETRY_FIRST;
    authority->in_flight = false;
    on_answers(authority, result);
    check_fingerprint(authority, catalog_fingerprint(result));
    pump(authority);
}

static void on_up(void *ctx)
{
    struct authority *authority = ctx;

    authority->up = true;
    authority->fingerprint[0] = '\0';
    authority->config.events->on_state(authority->config.ctx, true, "connected");
    request_all(authority);
    pump(authority);
}

static void on_down(void *ctx, const char *reason)
{
    struct authority *authority = ctx;

    authority->up = false;
    requeue_flight(authority);
    authority->config.events->on_state(authority->config.ctx, false, reason);
}

static void on_retry(void *ctx)
{
    struct authority *authority = ctx;

    authority->resting = false;
    pump(authority);
}

static void on_settle(void *ctx)
{
    struct authority *authority = ctx;

    if (authority->waited_for && authority->fenced == 0) {
        authority->waited_for = false;
        authority->config.events->on_settled(authority->config.ctx);
    }
}

static void refuse_late(struct authority_watch *watch)
{
    dequeue(watch);
    refuse(watch,
           watch->authority->up
               ? "the database does not yet show a change that was just committed; try again later"
               : "database is not reachable; try again later");
}

static void on_tick(void *ctx)
{
    struct authority *authority = ctx;
    rt_usec now = rt_now();
    struct authority_watch *watch = authority->first;

    while (watch != NULL) {
        if (watch->deadline > now) {
            watch = watch->next;
            continue;
        }
        /* The answer may free others of the queue with it: begin again. */
        refuse_late(watch);
        watch = authority->first;
    }
    pump(authority);
}

struct authority *authority_new(const struct authority_config *config)
{
    static const struct pgconn_events events = { .on_up = on_up,
                                                 .on_down = on_down,
                                                 .on_result = on_result };
    struct authority *authority = rt_alloc(sizeof(*authority));
    struct pgconn_config conn = { .loop = config->loop,
                                  .conninfo = config->conninfo,
                                  .application_name = config->application_name,
                                  .timeout = config->timeout,
                                  .retry_max = config->retry_max,
                                  .events = &events,
                                  .ctx = authority };

    authority->config = *config;
    authority->retry_after = RETRY_FIRST;
    authority->tick = rt_timer_new(config->loop, on_tick, authority);
    authority->retry = rt_timer_new(config->loop, on_retry, authority);
    authority->settle = rt_defer_new(config->loop, on_settle, authority);
    authority->conn = pgconn_new(&conn);
    rt_timer_set(authority->tick, TICK, TICK);
    return authority;
}

void authority_free(struct authority *authority)
{
    if (authority == NULL) {
        return;
    }
    pgconn_free(authority->conn);
    rt_timer_free(authority->tick);
    rt_timer_free(authority->retry);
    rt_defer_free(authority->settle);
    for (size_t i = 0; i < authority->watch_count; i++) {
        free(authority->watches[i]);
    }
    free(authority->watches);
    free(authority);
}

struct authority_watch *authority_watch(struct authority *authority, const char *schema,
                                        const char *table, const char *role, void *user)
{
    struct authority_watch *watch = rt_alloc(sizeof(*watch));

    watch->authority = authority;
    watch->user = user;
    strncat(watch->schema, schema, WIRE_NAME_MAX);
    strncat(watch->table, table, WIRE_NAME_MAX);
    strncat(watch->role, role, WIRE_NAME_MAX);
    if (authority->watch_count == authority->watch_cap) {
        authority->watch_cap = authority->watch_cap == 0 ? 64 : authority->watch_cap * 2;
        authority->watches =
            rt_realloc(authority->watches, authority->watch_cap, sizeof(struct authority_watch *));
    }
    watch->slot = authority->watch_count;
    authority->watches[authority->watch_count++] = watch;
    request(watch, false);
    pump(authority);
    return watch;
}

void authority_unwatch(struct authority_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    unfence(watch);
    if (watch->state == WATCH_FLYING) {
        watch->dead = true;
        return;
    }
    if (watch->state == WATCH_QUEUED) {
        dequeue(watch);
    }
    free_watch(watch);
}

bool authority_fence(struct authority *authority, const char *schema, const char *table,
                     uint32_t xid, uint64_t lsn)
{
    bool reload = false;

    fences_add(&authority->fences, xid);
    for (size_t i = 0; i < authority->watch_count; i++) {
        struct authority_watch *watch = authority->watches[i];
        bool meant = table == NULL ||
                     (strcmp(watch->table, table) == 0 && strcmp(watch->schema, schema) == 0);
        bool counts = lsn != 0 && watch->state == WATCH_SETTLED && watch->answered_lsn == lsn;
        if (!meant || counts || watch->dead) {
            continue;
        }
        watch->asked_lsn = lsn;
        request(watch, true);
        reload = true;
    }
    if (reload) {
        rt_counter_add(authority->config.stats->authority_reloads, 1);
        authority->waited_for = true;
        pump(authority);
    }
    return reload;
}

void authority_new_epoch(struct authority *authority)
{
    fences_clear(&authority->fences);
    for (size_t i = 0; i < authority->watch_count; i++) {
        authority->watches[i]->answered_lsn = 0;
        authority->watches[i]->asked_lsn = 0;
    }
}
