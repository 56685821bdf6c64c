/* broker/snapshot/job_read.c - what a job asks the database, and what it says. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/snapshot/job_impl.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define PARK_AFTER  (1 * RT_SEC) /* a connection is not held for a client for longer */
#define SHARE_AFTER (1 * RT_SEC) /* nor for one snapshot, while others wait for it */

enum { UNSEEN_MAX = 7, MILLISECONDS_SIZE = 24 };

static void statement_failed(struct job *job, const PGresult *result)
{
    struct failure failure;
    bool entering = job->state == JOB_BEGINNING || job->state == JOB_ENTERING;

    failure_of(&failure, result, entering ? FAILURE_ENTERING : FAILURE_READING, job->role,
               job->name);
    bool hopeless =
        failure.kind == SNAPSHOT_TIMEOUT && !(job->keyed && job->page_read > 0); /* no progress */
    if (failure.again && !hopeless) {
        job_try_again(job, &failure);
    } else if (!entering && !job->sent && job->token_len > 0 && failure.kind == SNAPSHOT_OTHER) {
        /* A key of another type, or not a value of its type: the token was tampered with. */
        job_end(job, SNAPSHOT_TOKEN, failure.code, failure.message);
    } else {
        job_end(job, failure.kind, failure.code, failure.message);
    }
}

static void ask(struct job *job, enum job_state state, const struct pgconn_query *query)
{
    job_set_state(job, state);
    (void)pg_lease_query(job->lease, query); /* a connection that broke says so by on_lost */
}

/* The statement in job->sql. */
static void ask_sql(struct job *job, enum job_state state, bool by_row)
{
    const char *params[SQL_KEYS_MAX];
    Oid types[SQL_KEYS_MAX];
    uint32_t count = state == JOB_READING && job->keyed ? job->after_count : 0;
    const char *at = (const char *)job->after.data;

    for (uint32_t i = 0; i < count; i++) {
        params[i] = at;
        types[i] = job->table.keys[i].type;
        at += strlen(at) + 1;
    }
    ask(job, state,
        &(struct pgconn_query){ .sql = rt_buf_cstr(&job->sql),
                                .param_count = (int)count,
                                .params = params,
                                .types = types,
                                .by_row = by_row });
}

static void read_page(struct job *job)
{
    rt_buf_clear(&job->sql);
    if (job->keyed) {
        sql_page(&job->sql, &job->table, job->after_count > 0, job->limit);
    } else {
        sql_fetch(&job->sql, job->limit);
    }
    job->page_read = 0;
    ask_sql(job, JOB_READING, true);
}

/* `next` is what rows are read from now on. */
void job_adopt(struct job *job)
{
    job_view_clear(&job->seen);
    job->seen = job->next;
    job->next = (struct job_view){ 0 };
}

static void read_rows(struct job *job)
{
    if (job->keyed) {
        read_page(job);
        return;
    }
    rt_buf_clear(&job->sql);
    sql_declare(&job->sql, &job->table);
    ask_sql(job, JOB_DECLARING, false);
}

void job_start_reading(struct job *job)
{
    if (job->path.len > 0) {
        ask(job, JOB_PATHING,
            &(struct pgconn_query){ .sql = rt_buf_cstr(&job->path), .text = true });
    } else {
        read_rows(job);
    }
}

static bool held_long_enough(const struct job *job)
{
    rt_usec held = rt_now() - job->entered_at;
    bool wanted = pg_pool_waiting(job->config.pool) > 0;

    return held >= job->config.roll_after || (wanted && held >= SHARE_AFTER);
}

static void wait_for_credit(struct job *job)
{
    rt_timer_set(job->timer, job->keyed ? PARK_AFTER : job->config.timeout, 0);
}

void job_settle(struct job *job)
{
    if (job->part.count > 0 || job->exhausted) {
        if (job->credit == 0) {
            job_set_state(job, JOB_OWING);
            wait_for_credit(job);
            return;
        }
        job_send(job, job->exhausted);
    }
    if (job->exhausted) {
        job_finish(job);
    } else if (job->keyed && held_long_enough(job)) {
        rt_counter_add(job->config.metrics->rolls, 1);
        job_wait_for_connection(job);
    } else {
        read_page(job);
    }
}

/* --- what the database says ---------------------------------------------------------------------------- */

static void on_ready(void *ctx)
{
    struct job *job = ctx;

    rt_timer_stop(job->timer);
    ask(job, JOB_NUDGING, &(struct pgconn_query){ .sql = sql_nudge });
}

static void enter(struct job *job)
{
    char milliseconds[MILLISECONDS_SIZE];
    const char *params[] = { milliseconds };

    (void)snprintf(milliseconds, sizeof(milliseconds), "%" PRId64,
                   (int64_t)(job->config.timeout / RT_MSEC));
    ask(job, JOB_ENTERING,
        &(struct pgconn_query){
            .sql = rt_buf_cstr(&job->enter), .param_count = 1, .params = params });
}

static void rest_unseen(struct job *job)
{
    job_release(job);
    if (++job->unseen > UNSEEN_MAX) {
        job_end(job, SNAPSHOT_WINDOW, WIRE_CODE_SUBSCRIPTION_FAILED,
                "transactions of the stream have not become visible in the database for longer "
                "than the "
                "window reaches back (does a synchronous standby not answer?)");
        return;
    }
    job_set_state(job, JOB_RESTING);
    rt_timer_set(job->timer, JOB_REST_FIRST << (job->unseen - 1), 0);
}

static void entered(struct job *job, const PGresult *result)
{
    const char *params[] = { job->table.schema, job->table.table, job->config.publication };
    uint64_t lsn = 0;
    uint64_t next_xid = 0;
    const char *text = sql_enter_read(result, &lsn, &next_xid);

    job_view_clear(&job->next);
    if (text == NULL || !xid_snapshot_parse(&job->next.snapshot, text, strlen(text))) {
        job_end(job, SNAPSHOT_OTHER, WIRE_CODE_SUBSCRIPTION_FAILED,
                "too many transactions are running in the database to take a snapshot");
        return;
    }
    job->next.lsn = lsn;
    job->next.text = rt_strdup(text);
    job->entered_at = rt_now();
    if (job->config.events->evicted_unseen(job->config.ctx, &job->next.snapshot, next_xid)) {
        rest_unseen(job);
        return;
    }
    job->unseen = 0;
    ask(job, JOB_DESCRIBING,
        &(struct pgconn_query){ .sql = sql_describe, .param_count = 3, .params = params });
}

/* False: the key of the rows so far is not the table's key any more. */
static bool keep_key(struct job *job)
{
    uint64_t print = sql_key_print(&job->table);

    if (job->keyed) {
        return print == job->key_print && job->table.key_count > 0 &&
               (job->after_count == 0 || job->after_count == job->table.key_count);
    }
    job->keyed = job->table.key_count > 0;
    job->key_print = print;
    return true;
}

static void described(struct job *job, const PGresult *result)
{
    enum sql_described found = sql_describe_read(&job->table, result);

    if (found == SQL_DROPPED) {
        job_end(job, SNAPSHOT_TABLE, WIRE_CODE_SUBSCRIPTION_FAILED,
                "the table does not exist any more");
    } else if (found == SQL_ALTERED) {
        job_end(job, SNAPSHOT_TABLE, WIRE_CODE_SUBSCRIPTION_FAILED,
                "the definition of the table has changed and the stream does not have it yet; "
                "subscribe again");
    } else if (!keep_key(job)) {
        job_end(job, SNAPSHOT_TOKEN, WIRE_CODE_SUBSCRIPTION_FAILED,
                "the table has another primary key now, or this is another filter; start a new "
                "snapshot");
    } else if (job->seen.text != NULL) {
        job->caught_up = false;
        job_set_state(job, JOB_CATCHING);
        rt_timer_set(job->timer, job->config.timeout, 0);
        (void)job->config.events->catch_up(job->config.ctx, &job->seen.snapshot, job->seen.lsn,
                                           &job->next.snapshot, job->next.lsn);
    } else {
        job_adopt(job);
        job_start_reading(job);
    }
}

static void on_result(void *ctx, const PGresult *result)
{
    struct job *job = ctx;
    ExecStatusType status = PQresultStatus(result);

    if (job->state == JOB_NUDGING) {
        ask(job, JOB_BEGINNING, &(struct pgconn_query){ .sql = sql_begin });
    } else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        statement_failed(job, result);
    } else if (job->state == JOB_BEGINNING) {
        enter(job);
    } else if (job->state == JOB_ENTERING) {
        entered(job, result);
    } else if (job->state == JOB_DESCRIBING) {
        described(job, result);
    } else if (job->state == JOB_PATHING) {
        read_rows(job);
    } else if (job->state == JOB_DECLARING) {
        read_page(job);
    } else if (job->state == JOB_READING) {
        job->exhausted = job->page_read < job->limit;
        job_settle(job);
    }
}

static void remember(struct job *job, const PGresult *row)
{
    rt_buf_clear(&job->after);
    job->after_count = job->table.key_count;
    for (uint32_t i = 0; i < job->table.key_count; i++) {
        rt_buf_puts(&job->after, PQgetvalue(row, 0, job->table.keys[i].at));
        rt_buf_putc(&job->after, '\0');
    }
}

static void on_row(void *ctx, const PGresult *row)
{
    struct job *job = ctx;

    part_add(&job->part, &job->table, row, 0, job->config.max_value);
    remember(job, row);
    job->page_read++;
    if (!part_full(&job->part, job->config.page_rows)) {
        return;
    }
    if (job->credit > 0) {
        job_send(job, false);
        return;
    }
    job->paused = true;
    pg_lease_pause(job->lease, true);
    wait_for_credit(job);
}

static void on_lost(void *ctx, const char *reason)
{
    struct job *job = ctx;
    struct failure failure = { .kind = SNAPSHOT_CONNECTION, .code = WIRE_CODE_SUBSCRIPTION_FAILED };

    rt_log_warn(job->config.log, "snapshot.lost", RT_S("table", job->name), RT_S("reason", reason));
    (void)snprintf(failure.message, sizeof(failure.message),
                   "the connection to the database was lost while table %s was read", job->name);
    if (job->state == JOB_CATCHING) {
        job_release(job); /* catch_up goes on all the same */
    } else if (job->state == JOB_OWING && job->exhausted) {
        job_release(job);
        job_set_state(job, JOB_PARKED);
    } else {
        job_try_again(job, &failure);
    }
}

const struct pg_lease_events job_lease_events = {
    .on_ready = on_ready, .on_result = on_result, .on_row = on_row, .on_lost = on_lost
};
