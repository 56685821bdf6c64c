/* broker/perms/authority.c - questions in batches, answers under snapshots that are new enough. */
#include <stdlib.h>
#include <string.h>

#include "broker/perms/authority_impl.h"
#include "broker/perms/catalog.h"
#include "broker/perms/inquiry.h"
#include "broker/policy/rules.h"
#include "pg/pgconn.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define RETRY_FIRST (2 * RT_MSEC)
#define RETRY_MAX   (50 * RT_MSEC)
#define TICK        (100 * RT_MSEC)
#define NO_DEADLINE INT64_MAX

enum { ERRORS_MAX = 3 };

static size_t fill_flight(struct authority *authority)
{
    size_t most = authority->solo > 0 ? 1 : AUTHORITY_BATCH;

    authority->solo -= authority->solo > 0 ? 1 : 0;
    authority->flight_count = 0;
    while (authority->first != NULL && authority->flight_count < most) {
        struct authority_watch *watch = authority->first;
        authority_dequeue(watch);
        watch->state = WATCH_FLYING;
        watch->again = false;
        authority->flight[authority->flight_count++] = watch;
    }
    return authority->flight_count;
}

static void send_flight(struct authority *authority)
{
    struct catalog_question questions[AUTHORITY_BATCH];
    size_t count = fill_flight(authority);

    for (size_t i = 0; i < count; i++) {
        const struct authority_watch *watch = authority->flight[i];
        questions[i] = (struct catalog_question){ watch->schema, watch->table, watch->role };
    }
    authority->in_flight = true;
    rt_counter_add(authority->config.stats->authority_queries, 1);
    (void)inquiry_start(authority->inquiry, questions, count, &authority->fences); /* it is ready */
    fences_ask(&authority->fences);
}

void authority_pump(struct authority *authority)
{
    bool poll = rt_now() >= authority->poll_at;

    if (!pgconn_ready(authority->conn) || authority->in_flight || authority->resting ||
        (authority->first == NULL && !poll)) {
        return;
    }
    authority->poll_at = rt_now() + AUTHORITY_POLL;
    send_flight(authority);
}

static void answer(struct authority_watch *watch, struct access *access)
{
    struct authority *authority = watch->authority;

    watch->answered = true;
    watch->answered_lsn = watch->asked_lsn;
    watch->deadline = NO_DEADLINE;
    authority_unfence(watch);
    authority->config.events->on_access(authority->config.ctx, watch->user, access);
}

static void refuse(struct authority_watch *watch, const char *why)
{
    struct access *access = access_refuse(WIRE_CODE_SUBSCRIPTION_FAILED, "%s", why);

    answer(watch, access);
    access_unref(access);
}

/* Nothing of the flight counts: all of it is asked again. */
static void requeue_flight(struct authority *authority)
{
    for (size_t i = 0; i < authority->flight_count; i++) {
        if (authority_land(authority->flight[i])) {
            authority_enqueue(authority->flight[i]);
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
        if (authority_land(watch)) {
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
        authority_request_all(authority);
    }
}

/* The policies of last time, if these say the same: views need not be made anew. */
static void keep_rules(struct authority_watch *watch, struct access *access)
{
    if (access->rules != NULL) {
        access->rules = policy_rules_keep(watch->rules, access->rules);
        policy_rules_unref(watch->rules);
        watch->rules = policy_rules_ref(access->rules);
    }
}

static void on_answers(struct authority *authority)
{
    for (size_t i = 0; i < authority->flight_count; i++) {
        struct authority_watch *watch = authority->flight[i];
        struct access *access = inquiry_take(authority->inquiry, i);
        bool again = watch->again;
        if (authority_land(watch)) {
            if (again) {
                authority_enqueue(watch);
            } else {
                keep_rules(watch, access);
                answer(watch, access);
            }
        }
        access_unref(access);
    }
    authority->flight_count = 0;
}

static void on_answered(struct authority *authority)
{
    (void)fences_answer(&authority->fences, true);
    authority->retry_after = RETRY_FIRST;
    authority->in_flight = false;
    on_answers(authority);
    check_fingerprint(authority, inquiry_fingerprint(authority->inquiry));
    authority_pump(authority);
}

static void on_unseen(struct authority *authority)
{
    (void)fences_answer(&authority->fences, false);
    requeue_flight(authority);
    rest(authority);
}

static void on_result(void *ctx, const PGresult *result)
{
    struct authority *authority = ctx;

    switch (inquiry_result(authority->inquiry, result)) {
    case INQUIRY_MORE:
        break;
    case INQUIRY_FAILED:
        on_error(authority, result);
        break;
    case INQUIRY_UNSEEN:
        on_unseen(authority);
        break;
    case INQUIRY_ANSWERED:
        on_answered(authority);
        break;
    case INQUIRY_OVER:
        authority_pump(authority);
        break;
    }
}

static void on_up(void *ctx)
{
    struct authority *authority = ctx;

    authority->up = true;
    authority->fingerprint[0] = '\0';
    authority->config.events->on_state(authority->config.ctx, true, "connected");
    authority_request_all(authority);
    authority_pump(authority);
}

static void on_down(void *ctx, const char *reason)
{
    struct authority *authority = ctx;

    authority->up = false;
    inquiry_reset(authority->inquiry);
    requeue_flight(authority);
    authority->config.events->on_state(authority->config.ctx, false, reason);
}

static void on_retry(void *ctx)
{
    struct authority *authority = ctx;

    authority->resting = false;
    authority_pump(authority);
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
    authority_dequeue(watch);
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
    authority_pump(authority);
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
    authority->inquiry = inquiry_new(
        authority->conn, &(struct inquiry_names){ .publication = config->publication,
                                                  .policy_publication = config->policy_publication,
                                                  .slot = config->slot });
    rt_timer_set(authority->tick, TICK, TICK);
    return authority;
}

void authority_free(struct authority *authority)
{
    if (authority == NULL) {
        return;
    }
    inquiry_free(authority->inquiry);
    pgconn_free(authority->conn);
    rt_timer_free(authority->tick);
    rt_timer_free(authority->retry);
    rt_defer_free(authority->settle);
    for (size_t i = 0; i < authority->watch_count; i++) {
        policy_rules_unref(authority->watches[i]->rules);
        free(authority->watches[i]);
    }
    free(authority->watches);
    free(authority);
}
