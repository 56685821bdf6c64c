/* broker/view/views_ask.c - questions to PostgreSQL, on a few leases of the pool.
 *
 * Folds go together, up to VIEWS_BATCH; a text that fails is asked again one by one, so that the one that spoils it is found.
 * Tables and filters go one at a time. A lease is given back when there is nothing to ask; a statement that failed leaves a
 * transaction behind, so its lease is given back at once, and the pool cleans up.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/view/views_impl.h"
#include "pg/pool.h"
#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/map.h"
#include "runtime/metrics.h"

/* --- queues -------------------------------------------------------------------------------------- */

static struct views_queue *queue_of(struct views *views, bool folds)
{
    return folds ? &views->fold_queue : &views->look_queue;
}

static void enqueue(struct views_item *item)
{
    struct views_queue *queue = queue_of(views_of_item(item), item->kind == VIEWS_FOLD);

    item->state = VIEWS_QUEUED;
    views_question(item)->next = NULL;
    *queue->last = item;
    queue->last = &item->question->next;
}

/* NULL: nothing. Those that nobody wants any more are freed on the way. */
static struct views_item *dequeue(struct views_queue *queue)
{
    while (queue->first != NULL) {
        struct views_item *item = queue->first;
        queue->first = item->question->next;
        if (queue->first == NULL) {
            queue->last = &queue->first;
        }
        item->state = VIEWS_IDLE;
        if (!item->dead) {
            return item;
        }
        views_item_free(item);
    }
    return NULL;
}

static void forget_trouble(struct views_item *item)
{
    if (item->question != NULL) {
        free(item->question->trouble);
        item->question->trouble = NULL;
    }
}

void views_ask(struct views_item *item)
{
    if (item->state == VIEWS_IDLE) {
        item->errors = 0;
        item->solo = false;
        forget_trouble(item);
        enqueue(item);
    }
    rt_defer_schedule(views_of_item(item)->settle);
}

/* --- flights ------------------------------------------------------------------------------------- */

static void end_flight(struct views_flight *flight)
{
    pg_lease_free(flight->lease);
    flight->lease = NULL;
    if (flight->has_sql) {
        filter_sql_fini(&flight->sql);
    }
    flight->has_sql = false;
    flight->count = 0;
    rt_defer_schedule(flight->views->settle);
}

/* True: somebody still wants it. */
static bool land(struct views_item *item)
{
    item->state = VIEWS_IDLE;
    if (item->dead) {
        views_item_free(item);
        return false;
    }
    return true;
}

static void ask_again(struct views_flight *flight)
{
    for (uint32_t i = 0; i < flight->count; i++) {
        if (land(flight->items[i])) {
            enqueue(flight->items[i]);
        }
    }
    flight->count = 0;
}

static void rest(struct views *views)
{
    if (!views->resting) {
        views->resting = true;
        rt_timer_set(views->retry, views->retry_after, 0);
        views->retry_after =
            views->retry_after * 2 > VIEWS_RETRY_MAX ? VIEWS_RETRY_MAX : views->retry_after * 2;
    }
    rt_counter_add(views->retries, 1);
}

static void give_up(struct views_item *item, const char *why)
{
    if (item->answered) {
        return; /* asked for once more, to be sure: what there is stays good */
    }
    forget_trouble(item);
    views_question(item)->trouble = rt_strdup(why);
    item->answered = false;
    views_wake(item);
}

/* --- sending ------------------------------------------------------------------------------------- */

static size_t bytes_of(const struct views_item *item)
{
    const struct views_fold *fold = (const struct views_fold *)item;

    return item->kind != VIEWS_FOLD ? 0
                                    : ((const struct views_identity *)fold->identity)->claims->len;
}

static void load_flight(struct views_flight *flight)
{
    struct views_queue *queue = queue_of(flight->views, flight->folds);
    size_t bytes = 0;
    bool more = true;

    while (more && flight->count < (flight->folds ? VIEWS_BATCH : 1)) {
        struct views_item *item = dequeue(queue);
        if (item == NULL) {
            return;
        }
        item->state = VIEWS_FLYING;
        flight->items[flight->count++] = item;
        bytes += bytes_of(item);
        more = !item->solo && bytes < VIEWS_BATCH_BYTES &&
               (queue->first == NULL || !queue->first->solo);
    }
}

static void query(struct views_flight *flight, const struct pgconn_query *what)
{
    rt_counter_add(flight->views->statements, 1);
    (void)pg_lease_query(flight->lease, what); /* a connection that broke says so by on_lost */
}

static void send_folds(struct views_flight *flight)
{
    struct policy_fold folds[VIEWS_BATCH];
    struct rt_buf sql = { .data = NULL };

    for (uint32_t i = 0; i < flight->count; i++) {
        const struct views_fold *fold = (const struct views_fold *)flight->items[i];
        const struct policy_rules *rules = fold->rules;
        const struct views_name *name = views_fold_name(fold);
        folds[i] =
            (struct policy_fold){ fold->keep != NULL ? rules->kept->asked : rules->program,
                                  view_identity_policy(fold->identity), name->schema, name->table };
    }
    flight->journal = views_journal_oldest(&flight->views->journal);
    flight->number = ++flight->views->sent;
    policy_fold_sql(&sql, folds, flight->count);
    for (uint32_t i = 0; i < flight->count; i++) {
        view_identity_rest(((const struct views_fold *)flight->items[i])->identity);
    }
    query(flight, &(struct pgconn_query){ .sql = rt_buf_cstr(&sql), .text = true });
    rt_buf_fini(&sql);
}

static void send_table(struct views_flight *flight)
{
    const struct views_table *table = (const struct views_table *)flight->items[0];
    const char *params[FILTER_COLUMNS_PARAMS] = { table->schema, table->table };

    query(flight, &(struct pgconn_query){ .sql = filter_columns_sql,
                                          .param_count = FILTER_COLUMNS_PARAMS,
                                          .params = params });
}

static void send_filter(struct views_flight *flight)
{
    const struct views_filter *filter = (const struct views_filter *)flight->items[0];
    struct filter_table table = { { filter->table->schema, strlen(filter->table->schema) },
                                  { filter->table->table, strlen(filter->table->table) } };

    filter_sql_init(&flight->sql, &filter->parsed, &table);
    flight->has_sql = true;
    query(flight, &(struct pgconn_query){ .sql = rt_buf_cstr(&flight->sql.text),
                                          .param_count = flight->sql.param_count,
                                          .params = flight->sql.params });
}

static void send_flight(struct views_flight *flight)
{
    load_flight(flight);
    if (flight->count == 0) {
        end_flight(flight);
    } else if (flight->folds) {
        send_folds(flight);
    } else if (flight->items[0]->kind == VIEWS_TABLE) {
        send_table(flight);
    } else {
        send_filter(flight);
    }
}

/* --- answers ------------------------------------------------------------------------------------- */

/* What says nothing of the question: the connection, the server's resources, somebody who cancelled, the moment. */
static bool is_of_the_moment(const char *state)
{
    static const char *const classes[] = { "08", "25", "40", "53", "55", "57", "58", "XX" };

    for (size_t i = 0; state != NULL && i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strncmp(state, classes[i], 2) == 0) {
            return true;
        }
    }
    return state == NULL;
}

/* Whichever spoils it, the others must not wait for it again. */
static void mark_solo(struct views_flight *flight)
{
    for (uint32_t i = 0; i < flight->count; i++) {
        flight->items[i]->solo = true;
    }
}

static void on_error(struct views_flight *flight, const PGresult *result, const char *trouble)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    struct views_item *only = flight->count == 1 ? flight->items[0] : NULL;

    rt_log_warn(flight->views->config.log, "views.query_failed", RT_S("sqlstate", state),
                RT_S("reason", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)),
                RT_U("questions", flight->count));
    mark_solo(flight);
    if (only != NULL && !is_of_the_moment(state) && ++only->errors >= VIEWS_ERRORS_MAX) {
        flight->count = 0;
        if (land(only)) {
            give_up(only, trouble);
        }
    }
    ask_again(flight);
    end_flight(flight);
    rest(flight->views);
}

static bool wants(const struct views_fold *fold)
{
    return fold->item.question != NULL && fold->item.question->xid_count > 0;
}

static void on_folds(struct views_flight *flight, const PGresult *result)
{
    struct policy_answers answers;
    bool one = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
    bool unseen = false;

    if (!one || !policy_answers_read(&answers, PQgetvalue(result, 0, 0),
                                     (size_t)PQgetlength(result, 0, 0), flight->count)) {
        on_error(flight, result,
                 "PostgreSQL could not evaluate the table's policies for this identity; the "
                 "broker's log says why");
        return;
    }
    struct views_seen *seen = rt_alloc(sizeof(*seen));
    seen->refs = 1;
    bool known = xid_snapshot_parse(&seen->snapshot, answers.snapshot, answers.snapshot_len);
    for (uint32_t i = 0; i < flight->count; i++) {
        struct views_fold *fold = (struct views_fold *)flight->items[i];
        if (!land(&fold->item)) {
            continue;
        }
        if (fold->item.again) {
            fold->item.again = false;
            enqueue(&fold->item);
        } else if ((wants(fold) && !(known && views_fold_sees(fold, &seen->snapshot))) ||
                   !views_fold_take(fold, &answers.texts[i], seen, known, flight->journal)) {
            unseen = true;
            enqueue(&fold->item);
        }
    }
    flight->count = 0;
    if (known) {
        views_past_seen(flight->views, &seen->snapshot);
    }
    views_seen_unref(seen);
    policy_answers_fini(&answers);
    if (unseen) {
        rest(flight->views);
    } else {
        flight->views->retry_after = VIEWS_RETRY_FIRST;
    }
}

/* All that was said, but for the statistics: those change with every ANALYZE, and no filter with them. */
static char *text_of(const PGresult *result)
{
    struct rt_buf text = { .data = NULL };

    for (int row = 0; row < PQntuples(result); row++) {
        for (int i = 0; i < PQnfields(result); i++) {
            if (i != FILTER_COLUMNS_SHARE) {
                rt_buf_printf(&text, "%d:%s", PQgetlength(result, row, i),
                              PQgetvalue(result, row, i));
            }
        }
    }
    (void)rt_buf_cstr(&text);
    return (char *)text.data;
}

/* Columns that are what they were stay the same object, and so do the filters that were cast for them. */
static void on_table(struct views_flight *flight, const PGresult *result)
{
    struct views_table *table = (struct views_table *)flight->items[0];
    struct filter_columns *columns = filter_columns_read(result);

    if (columns == NULL) {
        on_error(flight, result,
                 "the columns of the table could not be read; the broker's log "
                 "says why");
        return;
    }
    flight->count = 0;
    if (!land(&table->item)) {
        filter_columns_unref(columns);
        return;
    }
    char *text = text_of(result);
    if (table->columns == NULL || strcmp(table->text, text) != 0) {
        filter_columns_unref(table->columns);
        table->columns = columns;
        free(table->text);
        table->text = text;
    } else {
        filter_columns_unref(columns);
        free(text);
    }
    table->item.answered = !table->item.again;
    if (table->item.again) {
        table->item.again = false;
        enqueue(&table->item);
    } else {
        views_wake(&table->item);
        views_question_done(&table->item);
    }
}

static void on_filter(struct views_flight *flight, const PGresult *result)
{
    struct views_filter *filter = (struct views_filter *)flight->items[0];
    struct filter_error error;
    bool retry = false;
    char text[VIEWS_REASON_MAX];

    if (filter_sql_answer(&filter->parsed, &flight->sql, result, &error, &retry)) {
        flight->count = 0;
        if (land(&filter->item)) {
            filter->program = filter_program_new(&filter->parsed, filter->columns);
            filter->item.answered = true;
            rt_counter_add(flight->views->cast, 1);
            views_wake(&filter->item);
            views_question_done(&filter->item);
        }
    } else if (retry) {
        on_error(flight, result, "the filter could not be read");
        return;
    } else {
        flight->count = 0;
        if (land(&filter->item)) {
            views_filter_reason(&error, text);
            give_up(&filter->item, text);
        }
    }
    filter_sql_fini(&flight->sql);
    flight->has_sql = false;
}

static void on_result(void *ctx, const PGresult *result)
{
    struct views_flight *flight = ctx;

    if (flight->folds) {
        on_folds(flight, result);
    } else if (flight->items[0]->kind == VIEWS_TABLE) {
        on_table(flight, result);
    } else {
        on_filter(flight, result);
    }
    if (flight->lease == NULL) {
        return;
    }
    if (PQresultStatus(result) != PGRES_TUPLES_OK || flight->views->resting) {
        end_flight(flight);
    } else {
        send_flight(flight);
    }
}

static void on_ready(void *ctx)
{
    send_flight(ctx);
}

static void on_lost(void *ctx, const char *reason)
{
    struct views_flight *flight = ctx;

    rt_log_warn(flight->views->config.log, "views.connection_lost", RT_S("reason", reason),
                RT_U("questions", flight->count));
    mark_solo(flight); /* a statement that took too long looks like this as well */
    ask_again(flight);
    end_flight(flight);
    rest(flight->views);
}

/* --- the pump ------------------------------------------------------------------------------------ */

static size_t flights_for(const struct views_queue *queue, size_t each)
{
    const struct views_item *item = queue->first;
    size_t count = 0;

    for (; item != NULL && count < each * VIEWS_FLIGHTS; item = item->question->next) {
        count++;
    }
    return (count + each - 1) / each;
}

void views_pump(struct views *views)
{
    static const struct pg_lease_events events = { .on_ready = on_ready,
                                                   .on_result = on_result,
                                                   .on_lost = on_lost };
    size_t wanted[2] = { 0, 0 };

    if (!views->resting) {
        wanted[0] = flights_for(&views->look_queue, 1);
        wanted[1] = flights_for(&views->fold_queue, VIEWS_BATCH);
    }
    for (size_t i = 0; i < VIEWS_FLIGHTS_ALL; i++) {
        struct views_flight *flight = &views->flights[i];
        bool waits = flight->lease != NULL && flight->count == 0;
        if (waits && wanted[flight->folds] > 0) {
            wanted[flight->folds]--; /* it will take one */
        } else if (flight->lease == NULL && wanted[flight->folds] > 0) {
            wanted[flight->folds]--;
            flight->lease = pg_lease_new(views->config.pool, &events, flight);
        }
    }
}

void views_land_all(struct views *views)
{
    for (size_t i = 0; i < VIEWS_FLIGHTS_ALL; i++) {
        struct views_flight *flight = &views->flights[i];
        for (uint32_t j = 0; j < flight->count; j++) {
            (void)land(flight->items[j]);
        }
        end_flight(flight);
    }
    while (views->fold_queue.first != NULL || views->look_queue.first != NULL) {
        (void)dequeue(&views->fold_queue); /* all of them are dead */
        (void)dequeue(&views->look_queue);
    }
}
