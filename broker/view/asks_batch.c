/* broker/view/asks_batch.c - questions to statements, answers to questions.
 *
 * A batch is chosen (asks_choose.c) when its connection is there, so that all that came meanwhile goes with it. One text, one round trip: libpq's pipeline mode would save the pause between two texts, which
 * the batches on other connections fill, and it cannot send several statements in one message.
 *
 * A statement that fails as a whole says nothing of anybody: a set is asked in a loop, a loop in smaller ones, until the one that
 * fails is alone. Errors of identities do not get here; what does is a timeout, or a table that was altered. */
#include <stdlib.h>
#include <string.h>

#include "broker/policy/rules.h"
#include "broker/view/asks_impl.h"
#include "broker/xid_snapshot.h"

enum { SPLIT = 16, TIMEOUT_SHARE = 4 };

/* --- sending ------------------------------------------------------------------------------------ */

static unsigned timeout_of(const struct asks *asks)
{
    return (unsigned)(asks->config.deadline / TIMEOUT_SHARE / RT_MSEC) + 1;
}

static void write_set(struct rt_buf *sql, struct asks_batch *batch)
{
    const struct question *first = batch->questions[0];
    const struct asks_shape *shape = first->change->shape;
    const struct policy_binding **bindings =
        rt_alloc(batch->width * sizeof(const struct policy_binding *));

    for (size_t i = 0; i < batch->width; i++) {
        bindings[i] = &batch->questions[i]->view->constants->policy.binding;
    }
    struct asks_kept kept;
    kept_begin(batch, &kept);
    struct policy_set_batch set = {
        .schema = first->change->relation->schema,
        .table = first->change->relation->table,
        .role = first->view->identity->maker->role,
        .program = first->rules->program,
        .columns = shape->numbers,
        .column_count = shape->access->attribute_count,
        .images = batch->images,
        .image_count = batch->image_count,
        .bindings = bindings,
        .binding_count = batch->width,
        .timeout_ms = timeout_of(batch->asks),
        .session = &kept.told,
    };
    policy_set_sql(sql, &set);
    kept_end(&kept);
    free(bindings);
}

static void write_loop(struct rt_buf *sql, const struct asks_batch *batch)
{
    const struct question *first = batch->questions[0];
    struct policy_question *questions = rt_alloc(batch->width * sizeof(*questions));

    for (size_t i = 0; i < batch->width; i++) {
        const struct question *from = batch->questions[i];
        questions[i].identity = view_identity_policy(from->view->identity);
        questions[i].condition = from->condition;
        if (from->condition == NULL) {
            questions[i].table = &from->rules->table;
            questions[i].apart = from->rules->program->asking.plans_apart;
        }
    }
    struct policy_batch loop = { .schema = first->change->relation->schema,
                                 .table = first->change->relation->table,
                                 .images = batch->images,
                                 .image_count = batch->image_count,
                                 .questions = questions,
                                 .question_count = batch->width,
                                 .timeout_ms = timeout_of(batch->asks) };
    policy_fallback_sql(sql, &loop);
    free(questions);
}

static void send_batch(struct asks_batch *batch)
{
    struct asks_metrics *metrics = &batch->asks->metrics;
    struct rt_buf sql = { .data = NULL };

    if (batch->lane == ASK_LANE_SET) {
        write_set(&sql, batch);
    } else {
        write_loop(&sql, batch);
    }
    rt_counter_add(metrics->batches[batch->lane], 1);
    rt_counter_add(metrics->questions[batch->lane], batch->width * batch->height);
    rt_counter_add(metrics->judged[batch->lane], batch->width * batch->image_count);
    (void)pg_lease_query(batch->lease,
                         &(struct pgconn_query){ .sql = rt_buf_cstr(&sql), .text = true });
    rt_buf_fini(&sql);
}

/* --- answers ------------------------------------------------------------------------------------ */

static void batch_free(struct asks_batch *batch)
{
    struct asks *asks = batch->asks;

    *(batch->prev != NULL ? &batch->prev->next : &asks->batches) = batch->next;
    if (batch->next != NULL) {
        batch->next->prev = batch->prev;
    }
    asks->leases--;
    for (size_t i = 0; i < batch->width * batch->height; i++) {
        question_unref(batch->questions[i]);
    }
    pg_lease_free(batch->lease);
    free((void *)batch->questions);
    free(batch);
}

static void ask_again(struct question *question, enum ask_retry why)
{
    if (question->state == QUESTION_FLYING) {
        rt_counter_add(question->asks->metrics.retries[why], 1);
        question_queue(question);
    }
}

static void put_off(struct asks_change *change)
{
    change->not_before = rt_now() + change->pause;
    change->pause = change->pause * 2 > ASKS_RETRY_MAX ? ASKS_RETRY_MAX : change->pause * 2;
}

/* The moment's trouble, not the question's. */
static bool will_pass(const char *sqlstate)
{
    static const char *const classes[] = { "08", "40", "53", "55", "57", "58" };

    for (size_t i = 0; sqlstate != NULL && i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strncmp(sqlstate, classes[i], 2) == 0) {
            return true;
        }
    }
    return sqlstate == NULL;
}

static void split(struct asks_batch *batch, enum ask_retry why)
{
    size_t count = batch->width * batch->height;
    uint32_t limit = count > SPLIT ? (uint32_t)(count / SPLIT) : 1;

    for (size_t i = 0; i < count; i++) {
        batch->questions[i]->looped = true;
        batch->questions[i]->limit = batch->lane == ASK_LANE_SET ? 0 : limit;
        ask_again(batch->questions[i], why);
    }
}

static void on_error(struct asks_batch *batch, const PGresult *result)
{
    struct asks *asks = batch->asks;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    struct question *first = batch->questions[0];

    rt_log_warn(asks->config.log, "asks.query_failed", RT_S("sqlstate", sqlstate),
                RT_S("reason", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)),
                RT_S("table", first->change->relation->table),
                RT_U("questions", batch->width * batch->height));
    if (batch->lane == ASK_LANE_SET) {
        kept_failed(batch, sqlstate);
    }
    if (batch->width * batch->height > 1 || batch->lane == ASK_LANE_SET) {
        split(batch, ASK_RETRY_RAISED);
    } else if (will_pass(sqlstate)) {
        put_off(first->change);
        ask_again(first, ASK_RETRY_RAISED);
    } else if (first->state == QUESTION_FLYING) {
        rt_counter_add(asks->metrics.failures[ASK_FAILURE_ERROR], 1);
        question_settle(first, QUESTION_FAILED, rt_now());
    }
}

static void ask_all_again(struct asks_batch *batch, enum ask_retry why)
{
    for (size_t c = 0; c < batch->height; c++) {
        put_off(batch->questions[c * batch->width]->change);
    }
    for (size_t i = 0; i < batch->width * batch->height; i++) {
        ask_again(batch->questions[i], why);
    }
}

/* `verdicts`: of one question, for the images of its change. */
static void settle(struct question *question, uint8_t versions, const uint8_t *verdicts,
                   rt_usec now)
{
    size_t at = 0;

    if (question->state != QUESTION_FLYING) {
        return; /* too late */
    }
    for (int i = 0; i < ASK_VERSIONS; i++) {
        if ((versions & 1u << i) == 0) {
            continue;
        }
        if (verdicts[at] == POLICY_VERDICT_YES) {
            question->yes |= (uint8_t)(1u << i);
        }
        rt_counter_add(question->asks->metrics.raised, verdicts[at] == POLICY_VERDICT_ERROR);
        at++;
    }
    question_settle(question, QUESTION_ANSWERED, now);
}

static void on_verdicts(struct asks_batch *batch, const struct policy_verdicts *verdicts)
{
    struct xid_snapshot snapshot;
    size_t image = 0;
    rt_usec now = rt_now();

    (void)xid_snapshot_parse(&snapshot, verdicts->snapshot, strlen(verdicts->snapshot));
    for (size_t c = 0; c < batch->height; c++) {
        struct question **row = batch->questions + c * batch->width;
        uint8_t versions = batch->versions[c];
        bool seen = xid_snapshot_sees(&snapshot, row[0]->change->xid);
        if (!seen) {
            put_off(row[0]->change);
        }
        for (size_t i = 0; i < batch->width; i++) {
            if (seen) {
                settle(row[i], versions, verdicts->verdicts + i * batch->image_count + image, now);
            } else {
                ask_again(row[i], ASK_RETRY_UNSEEN);
            }
        }
        image += (size_t)__builtin_popcount(versions);
    }
    xid_snapshot_fini(&snapshot);
}

static bool read_verdicts(const struct asks_batch *batch, const PGresult *result,
                          struct policy_verdicts *out)
{
    size_t count = batch->width * batch->image_count;
    const char *text = PQgetvalue(result, 0, 0);
    size_t len = (size_t)PQgetlength(result, 0, 0);

    return batch->lane == ASK_LANE_SET ? policy_set_read(out, text, len, count)
                                       : policy_fallback_read(out, text, len, count);
}

static void on_answer(struct asks_batch *batch, const PGresult *result)
{
    const char *shape = batch->questions[0]->change->shape->text;
    struct policy_verdicts verdicts;

    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1 ||
        PQnfields(result) != 2 || !read_verdicts(batch, result, &verdicts)) {
        on_error(batch, result);
        return;
    }
    if (strcmp(PQgetvalue(result, 0, 1), shape) == 0) {
        on_verdicts(batch, &verdicts);
    } else {
        ask_all_again(batch, ASK_RETRY_SHAPE);
    }
    policy_verdicts_fini(&verdicts);
}

static void tell(struct asks *asks)
{
    if (asks->news) {
        asks->news = false;
        asks->config.on_answers(asks->config.ctx);
    }
}

static void on_ready(void *ctx)
{
    struct asks_batch *batch = ctx;

    if (batch_choose(batch)) {
        send_batch(batch);
    } else {
        batch_free(batch);
    }
}

static void on_result(void *ctx, const PGresult *result)
{
    struct asks_batch *batch = ctx;
    struct asks *asks = batch->asks;

    on_answer(batch, result);
    batch_free(batch);
    batches_dispatch(asks);
    tell(asks);
}

static void on_lost(void *ctx, const char *reason)
{
    struct asks_batch *batch = ctx;
    struct asks *asks = batch->asks;

    rt_log_warn(asks->config.log, "asks.connection_lost", RT_S("reason", reason),
                RT_U("questions", batch->width * batch->height));
    if (batch->width * batch->height > 1) {
        split(batch, ASK_RETRY_LOST); /* one of them may be why */
    } else if (batch->width > 0) {
        ask_all_again(batch, ASK_RETRY_LOST);
    }
    batch_free(batch);
    batches_dispatch(asks);
}

/* --- connections -------------------------------------------------------------------------------- */

static void batch_new(struct asks *asks)
{
    static const struct pg_lease_events events = { .on_ready = on_ready,
                                                   .on_result = on_result,
                                                   .on_lost = on_lost };
    struct asks_batch *batch = rt_alloc(sizeof(*batch));

    batch->asks = asks;
    batch->next = asks->batches;
    if (batch->next != NULL) {
        batch->next->prev = batch;
    }
    asks->batches = batch;
    asks->leases++;
    batch->lease = pg_lease_new(asks->config.pool, &events, batch);
}

static uint32_t waiting_leases(const struct asks *asks)
{
    uint32_t count = 0;

    for (const struct asks_batch *batch = asks->batches; batch != NULL; batch = batch->next) {
        count += batch->width == 0;
    }
    return count;
}

/* How many texts what is due comes to, about; when something is due next. */
static size_t texts_due(const struct asks *asks, rt_usec now, rt_usec *out_next)
{
    size_t count = 0;

    *out_next = INT64_MAX;
    for (const struct asks_group *group = asks->first_group; group != NULL; group = group->next) {
        bool due = false;
        for (const struct asks_topic *topic = group->first; topic != NULL && !due;
             topic = topic->next) {
            due = topic_is_due(topic, now);
            if (!due && topic->change->not_before < *out_next) {
                *out_next = topic->change->not_before;
            }
        }
        count += due ? 1 + (group->queued - 1) / question_most(group->first->first) : 0;
    }
    return count;
}

void batches_dispatch(struct asks *asks)
{
    rt_usec now = rt_now();
    rt_usec next = INT64_MAX;
    size_t texts = texts_due(asks, now, &next);

    asks->turn = 0;
    for (uint32_t waiting = waiting_leases(asks); waiting < texts && asks->leases < ASKS_LEASES;
         waiting++) {
        batch_new(asks);
    }
    if (next != INT64_MAX) {
        rt_timer_set(asks->retry, next - now, 0);
    }
}

void batches_free(struct asks *asks)
{
    while (asks->batches != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed was taken out of the list before */
        batch_free(asks->batches);
    }
    kept_free(asks);
}
