/* broker/snapshot/job.c - what the owner says, and time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/policy/sql.h"
#include "broker/snapshot/job_impl.h"
#include "broker/snapshot/token.h"
#include "runtime/log.h"
#include "runtime/loop.h"

enum { PAGE_ROWS_LEAST = 500 /* of a statement */, CREDIT_MAX = 1000 };

void job_view_clear(struct job_view *view)
{
    free(view->text);
    xid_snapshot_fini(&view->snapshot);
    *view = (struct job_view){ 0 };
}

void job_set_state(struct job *job, enum job_state state)
{
    struct snapshot_metrics *metrics = job->config.metrics;

    metrics->waiting->value += (state == JOB_WAITING) - (job->state == JOB_WAITING);
    metrics->running->value += (state != JOB_WAITING) - (job->state != JOB_WAITING);
    job->state = state;
}

void job_end(struct job *job, enum snapshot_failure kind, enum wire_code code, const char *message)
{
    rt_counter_add(job->config.metrics->failed[kind], 1);
    rt_log_info(job->config.log, "snapshot.failed", RT_S("table", job->name),
                RT_S("role", job->role), RT_S("reason", message));
    job->config.events->over(job->config.ctx, kind, code, message);
}

void job_release(struct job *job)
{
    rt_timer_stop(job->timer);
    pg_lease_free(job->lease);
    job->lease = NULL;
    job->paused = false;
}

void job_wait_for_connection(struct job *job)
{
    job_release(job);
    job_set_state(job, JOB_WAITING);
    rt_timer_set(job->timer, job->config.timeout, 0);
    job->lease = pg_lease_new(job->config.pool, &job_lease_events, job);
}

static void copy_key(struct rt_buf *out, const struct rt_buf *key)
{
    rt_buf_clear(out);
    rt_buf_append(out, key->data, key->len);
}

void job_try_again(struct job *job, const struct failure *failure)
{
    job_release(job);
    part_clear(&job->part);
    job->exhausted = false;
    if (job->keyed) {
        copy_key(&job->after, &job->sent_after);
        job->after_count = job->sent_count;
    } else if (!job->sent) {
        job_view_clear(&job->seen);
    } else {
        job_end(job, failure->kind, failure->code, failure->message);
        return;
    }
    if (++job->tries > JOB_TRIES_MAX) {
        job_end(job, failure->kind, failure->code, failure->message);
        return;
    }
    rt_counter_add(job->config.metrics->rolls, job->seen.text != NULL);
    job_set_state(job, JOB_RESTING);
    rt_timer_set(job->timer, JOB_REST_FIRST << (job->tries - 1), 0);
}

void job_send(struct job *job, bool last)
{
    struct token token = { .epoch = job->config.epoch,
                           .oid = job->table.oid,
                           .key_print = job->key_print,
                           .lsn = job->seen.lsn,
                           .done = last,
                           .seen = job->seen.text };
    struct rt_buf text = { 0 };
    char *at = (char *)job->after.data;

    while (!last && token.key_count < job->after_count) {
        token.keys[token.key_count++] = at;
        at += strlen(at) + 1;
    }
    if (last || job->keyed) {
        (void)token_encode(&text, &token);
    }
    copy_key(&job->sent_after, &job->after);
    job->sent_count = job->after_count;
    job->credit--;
    job->tries = 0;
    job->sent = true;
    rt_counter_add(job->config.metrics->rows, job->part.count);
    job->config.events->rows(job->config.ctx, part_rows(&job->part), job->part.count,
                             (struct wire_span){ rt_buf_cstr(&text), text.len }, last);
    part_clear(&job->part);
    rt_buf_fini(&text);
}

void job_finish(struct job *job)
{
    job_release(job);
    job_set_state(job, JOB_ENDING);
    rt_histogram_observe(job->config.metrics->seconds,
                         (double)(rt_now() - job->started_at) / (double)RT_SEC);
    (void)job->config.events->catch_up(job->config.ctx, &job->seen.snapshot, job->seen.lsn, NULL,
                                       job->seen.lsn);
}

static const char *judge(const struct token *token, uint64_t epoch, uint32_t oid,
                         uint64_t floor_lsn)
{
    if (token->epoch != epoch) {
        return "the token is of another history of the database; start a new snapshot";
    }
    if (token->oid != oid) {
        return "the token is of another table";
    }
    return token->lsn < floor_lsn
               ? "changes since the token are not kept any more; start a new snapshot"
               : NULL;
}

const char *job_check_token(struct wire_span token, uint64_t epoch, uint32_t oid,
                            uint64_t floor_lsn)
{
    struct token read;

    if (!token_decode(token, &read)) {
        return "this is not the token of a snapshot";
    }
    const char *why = judge(&read, epoch, oid, floor_lsn);
    token_fini(&read);
    return why;
}

static void take_token(struct job *job, const struct token *token)
{
    job->seen = (struct job_view){ rt_strdup(token->seen), { 0 }, token->lsn };
    xid_snapshot_copy(&job->seen.snapshot, &token->snapshot);
    job->keyed = true;
    job->key_print = token->key_print;
    job->after_count = token->key_count;
    job->exhausted = token->done;
    for (uint32_t i = 0; i < token->key_count; i++) {
        rt_buf_append(&job->after, token->keys[i], strlen(token->keys[i]) + 1);
    }
    copy_key(&job->sent_after, &job->after);
    job->sent_count = job->after_count;
}

static void start(struct job *job)
{
    struct wire_span text = { job->token, job->token_len };
    struct token token;

    if (job->token_len == 0) {
        job_wait_for_connection(job);
        return;
    }
    const char *why = job_check_token(text, job->config.epoch, job->table.oid, 0);
    if (why != NULL) {
        job_end(job, SNAPSHOT_TOKEN, WIRE_CODE_SUBSCRIPTION_FAILED, why);
        return;
    }
    (void)token_decode(text, &token);
    take_token(job, &token);
    token_fini(&token);
    if (job->exhausted) {
        job_finish(job);
    } else {
        job_wait_for_connection(job);
    }
}

static void go_on_with_credit(struct job *job)
{
    rt_timer_stop(job->timer);
    if (job->state == JOB_READING) {
        job_send(job, false);
        job->paused = false;
        pg_lease_pause(job->lease, false);
    } else if (job->state == JOB_OWING) {
        job_settle(job);
    } else {
        if (job->part.count > 0 || job->exhausted) {
            job_send(job, job->exhausted);
        }
        if (job->exhausted) {
            job_finish(job);
        } else if (job->credit > 0) {
            rt_counter_add(job->config.metrics->rolls, 1);
            job_wait_for_connection(job);
        }
    }
}

static void on_wake(void *ctx)
{
    struct job *job = ctx;

    if (job->state == JOB_STARTING) {
        start(job);
    } else if (job->state == JOB_CATCHING && job->caught_up) {
        job_adopt(job);
        rt_timer_stop(job->timer);
        if (job->lease != NULL) {
            job_start_reading(job);
        } else {
            job_wait_for_connection(job);
        }
    } else if (job->credit > 0 && ((job->state == JOB_READING && job->paused) ||
                                   job->state == JOB_OWING || job->state == JOB_PARKED)) {
        go_on_with_credit(job);
    }
}

static void on_timer(void *ctx)
{
    struct job *job = ctx;

    if (job->state == JOB_RESTING) {
        job_wait_for_connection(job);
    } else if (job->state == JOB_WAITING && pg_pool_trouble(job->config.pool) != NULL) {
        job_end(job, SNAPSHOT_CONNECTION, WIRE_CODE_SUBSCRIPTION_FAILED,
                "the database cannot be reached");
    } else if (job->state == JOB_WAITING) {
        rt_timer_set(job->timer, job->config.timeout, 0);
    } else if (job->state == JOB_CATCHING) {
        job_release(job); /* the stream is far behind: no transaction is held open for that */
        if (++job->tries > JOB_TRIES_MAX) {
            job_end(job, SNAPSHOT_OTHER, WIRE_CODE_SUBSCRIPTION_FAILED,
                    "the stream is too far behind the database");
        }
    } else if (job->keyed || job->exhausted) {
        job_release(job);
        job_set_state(job, JOB_PARKED);
    } else {
        job_end(job, SNAPSHOT_TIMEOUT, WIRE_CODE_SUBSCRIPTION_FAILED,
                "the client took no rows for too long, and without a primary key the snapshot "
                "cannot be "
                "interrupted");
    }
}

struct job *job_new(const struct job_config *config)
{
    struct job *job = rt_alloc(sizeof(*job));
    uint32_t rows = config->page_rows;

    job->config = *config;
    sql_table_init(&job->table, config->relation, config->access);
    (void)snprintf(job->name, sizeof(job->name), "%s.%s", job->table.schema, job->table.table);
    job->table.condition = config->condition != NULL ? rt_strdup(config->condition) : NULL;
    job->role = rt_strdup(config->identity->role);
    sql_enter(&job->enter, config->identity);
    if (config->identity->search_path != NULL) {
        policy_sql_path(&job->path, "SELECT", config->identity->search_path);
    }
    job->token = rt_strndup(config->token.data, config->token.len);
    job->token_len = config->token.len;
    job->credit = JOB_CREDIT;
    job->limit = rows * ((PAGE_ROWS_LEAST + rows - 1) / rows);
    job->started_at = rt_now();
    job->timer = rt_timer_new(config->loop, on_timer, job);
    job->wake = rt_defer_new(config->loop, on_wake, job);
    config->metrics->running->value += 1;
    rt_defer_schedule(job->wake);
    return job;
}

void job_free(struct job *job)
{
    if (job == NULL) {
        return;
    }
    job_set_state(job, JOB_STARTING);
    job->config.metrics->running->value -= 1;
    job_release(job);
    rt_timer_free(job->timer);
    rt_defer_free(job->wake);
    sql_table_fini(&job->table);
    job_view_clear(&job->seen);
    job_view_clear(&job->next);
    part_fini(&job->part);
    rt_buf_fini(&job->after);
    rt_buf_fini(&job->sent_after);
    rt_buf_fini(&job->sql);
    rt_buf_fini(&job->enter);
    rt_buf_fini(&job->path);
    free(job->role);
    free(job->token);
    free(job);
}

void job_more(struct job *job, uint32_t parts)
{
    job->credit = parts > CREDIT_MAX - job->credit ? CREDIT_MAX : job->credit + parts;
    rt_defer_schedule(job->wake);
}

void job_caught_up(struct job *job)
{
    job->caught_up = true;
    rt_defer_schedule(job->wake);
}
