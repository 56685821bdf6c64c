/* pg/pgconn.c - libpq's asynchronous calls, as a small state machine on the loop.
 *
 * Two timers: `deadline` for what is under way, `retry` for the next attempt. All failures go through
 * fail(), which drops the connection and sets `retry`; nothing else calls on_down. */
#include "pg/pgconn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "runtime/loop.h"
#include "runtime/resolve.h"

#define RETRY_FIRST (100 * RT_MSEC)
#define REASON_MAX  512

enum state { DOWN, RESOLVING, CONNECTING, PREPARING, IDLE, BUSY };

/* What answers must not depend on: the text of values as the tailer pins it, and a path with which every name means the
 * catalog's, and texts of policies name everything else in full. */
static const char prepare_sql[] =
    "SELECT pg_catalog.set_config('search_path', '', false),"
    " pg_catalog.set_config('datestyle', 'ISO, MDY', false),"
    " pg_catalog.set_config('timezone', 'UTC', false),"
    " pg_catalog.set_config('intervalstyle', 'postgres', false),"
    " pg_catalog.set_config('extra_float_digits', '3', false),"
    " pg_catalog.set_config('bytea_output', 'hex', false),"
    " pg_catalog.set_config('standard_conforming_strings', 'on', false),"
    " pg_catalog.set_config('quote_all_identifiers', 'off', false),"
    " pg_catalog.set_config('row_security', 'on', false),"
    " pg_catalog.set_config('default_transaction_isolation', 'read committed', false),"
    " pg_catalog.set_config('default_transaction_read_only', 'on', false)";

struct pgconn {
    struct pgconn_config config;
    char *conninfo;
    char *application_name;
    enum state state;
    struct rt_resolve *lookup;
    PGconn *pq;
    PGresult *result; /* of the statement under way, until its end is read */
    struct rt_io *io;
    struct rt_timer *deadline;
    struct rt_timer *retry;
    struct rt_defer *resume;
    rt_usec pause;
    bool paused; /* the statement under way is not read */
    bool text;   /* what is under way is a text of statements */
};

static void drop(struct pgconn *conn)
{
    rt_timer_stop(conn->deadline);
    rt_resolve_free(conn->lookup);
    conn->lookup = NULL;
    rt_io_free(conn->io);
    conn->io = NULL;
    PQclear(conn->result);
    conn->result = NULL;
    PQfinish(conn->pq);
    conn->pq = NULL;
    conn->paused = false;
    conn->state = DOWN;
}

/* libpq's messages end with a line feed and may have several lines. */
static void one_line(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' ')) {
        text[--len] = '\0';
    }
    for (char *at = text; *at != '\0'; at++) {
        if (*at == '\n' || *at == '\t') {
            *at = ' ';
        }
    }
}

static void fail(struct pgconn *conn, const char *reason)
{
    char text[REASON_MAX];

    (void)snprintf(text, sizeof(text), "%s", reason);
    one_line(text);
    drop(conn);
    /* Up to a quarter more: many brokers that lost one server do not come back at the same moment. */
    rt_usec jitter = (rt_usec)(rt_random64() % (uint64_t)(conn->pause / 4 + 1));
    rt_timer_set(conn->retry, conn->pause + jitter, 0);
    conn->pause =
        conn->pause * 2 > conn->config.retry_max ? conn->config.retry_max : conn->pause * 2;
    conn->config.events->on_down(conn->config.ctx, text);
}

static void on_io(void *ctx, int fd, int events);

static void watch(struct pgconn *conn, int events)
{
    if (conn->io == NULL) {
        conn->io = rt_io_new(conn->config.loop, PQsocket(conn->pq), on_io, conn);
    }
    rt_io_want(conn->io, conn->paused ? events & ~RT_READ : events);
}

static bool flush(struct pgconn *conn)
{
    int left = PQflush(conn->pq);

    if (left < 0) {
        return false;
    }
    watch(conn, left > 0 ? RT_READ | RT_WRITE : RT_READ);
    return true;
}

static void set_deadline(struct pgconn *conn)
{
    rt_usec timeout = conn->state == BUSY && conn->config.statement_timeout > 0
                          ? conn->config.statement_timeout
                          : conn->config.timeout;

    rt_timer_set(conn->deadline, timeout, 0);
}

static bool send_query(struct pgconn *conn, const struct pgconn_query *query)
{
    int sent = query->text ? PQsendQuery(conn->pq, query->sql)
                           : PQsendQueryParams(conn->pq, query->sql, query->param_count,
                                               query->types, query->params, NULL, NULL, 0);

    conn->text = query->text;
    if (sent == 0 || (query->by_row && PQsetSingleRowMode(conn->pq) == 0)) {
        return false;
    }
    set_deadline(conn);
    return flush(conn);
}

static void poll_connect(struct pgconn *conn)
{
    /* libpq may close the socket in here and go on to another address, with an equal number or not. */
    rt_io_free(conn->io);
    conn->io = NULL;
    PostgresPollingStatusType status = PQconnectPoll(conn->pq);

    if (status == PGRES_POLLING_READING) {
        watch(conn, RT_READ);
    } else if (status == PGRES_POLLING_WRITING) {
        watch(conn, RT_WRITE);
    } else if (status == PGRES_POLLING_OK) {
        conn->state = PREPARING;
        if (PQsetnonblocking(conn->pq, 1) != 0 ||
            !send_query(conn, &(struct pgconn_query){ .sql = prepare_sql })) {
            fail(conn, PQerrorMessage(conn->pq));
        }
    } else {
        fail(conn, PQerrorMessage(conn->pq));
    }
}

/* The statement is over: its last result was read. */
static void finish_statement(struct pgconn *conn, const PGresult *result)
{
    bool preparing = conn->state == PREPARING;

    rt_timer_stop(conn->deadline);
    conn->paused = false;
    conn->state = IDLE;
    if (!preparing) {
        conn->config.events->on_result(conn->config.ctx, result);
    } else if (PQresultStatus(result) == PGRES_TUPLES_OK) {
        conn->pause = RETRY_FIRST;
        conn->config.events->on_up(conn->config.ctx);
    } else {
        fail(conn, PQresultErrorMessage(result));
    }
}

/* Of several results an error counts, else the last one with rows: what comes behind it only ends a transaction. */
static void keep(struct pgconn *conn, PGresult *next)
{
    bool failed = PQresultStatus(next) == PGRES_FATAL_ERROR;
    bool better = !conn->text || conn->result == NULL || failed ||
                  (PQntuples(next) > 0 && PQresultStatus(conn->result) != PGRES_FATAL_ERROR);

    if (better) {
        PQclear(conn->result);
        conn->result = next;
    } else {
        PQclear(next);
    }
}

static void read_results(struct pgconn *conn)
{
    bool done = false;

    while (!done && !conn->paused && PQisBusy(conn->pq) == 0) {
        PGresult *next = PQgetResult(conn->pq);
        done = next == NULL;
        if (PQresultStatus(next) == PGRES_SINGLE_TUPLE) {
            conn->config.events->on_row(conn->config.ctx, next);
            PQclear(next);
        } else if (next != NULL) {
            keep(conn, next);
        }
    }
    if (PQstatus(conn->pq) == CONNECTION_BAD) {
        fail(conn, PQerrorMessage(conn->pq));
    } else if (done && (conn->state == BUSY || conn->state == PREPARING)) {
        PGresult *result = conn->result;
        conn->result = NULL;
        finish_statement(conn, result);
        PQclear(result);
    }
}

static void on_io(void *ctx, int fd, int events)
{
    struct pgconn *conn = ctx;

    (void)fd;
    if (conn->state == CONNECTING) {
        poll_connect(conn);
        return;
    }
    if ((events & RT_READ) != 0 && PQconsumeInput(conn->pq) == 0) {
        fail(conn, PQerrorMessage(conn->pq));
        return;
    }
    if (!flush(conn)) {
        fail(conn, PQerrorMessage(conn->pq));
        return;
    }
    read_results(conn);
}

/* What libpq has read already is not announced by the socket again. */
static void on_resume(void *ctx)
{
    struct pgconn *conn = ctx;

    if (conn->state == BUSY && !conn->paused) {
        read_results(conn);
    }
}

static void on_deadline(void *ctx)
{
    struct pgconn *conn = ctx;

    if (conn->state == RESOLVING) {
        fail(conn, "no address for the host of database.url within database.connect_timeout");
    } else if (conn->state == BUSY && conn->config.statement_timeout > 0) {
        fail(conn, "no answer within the time for a statement");
    } else {
        fail(conn, conn->state == CONNECTING ? "no connection within database.connect_timeout"
                                             : "no answer within database.connect_timeout");
    }
}

/* The server's notices are no news for us, and standard error is the log's. */
static void ignore_notice(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

/* With the addresses of the host when it is a name; the name itself stays for TLS. */
static void start_connect(struct pgconn *conn, const struct rt_resolved *found)
{
    const char *keys[] = { "dbname", "application_name", "client_encoding", NULL, NULL, NULL };
    const char *values[] = { conn->conninfo, conn->application_name, "UTF8", NULL, NULL, NULL };

    if (found != NULL) {
        keys[3] = "host";
        values[3] = found->hosts;
        keys[4] = "hostaddr";
        values[4] = found->addresses;
    }
    conn->pq = PQconnectStartParams(keys, values, 1);
    if (conn->pq == NULL) {
        fail(conn, "out of memory");
        return;
    }
    if (PQstatus(conn->pq) == CONNECTION_BAD) {
        fail(conn, PQerrorMessage(conn->pq));
        return;
    }
    (void)PQsetNoticeProcessor(conn->pq, ignore_notice, NULL);
    conn->state = CONNECTING;
    watch(conn, RT_WRITE); /* as libpq wants it before the first poll */
}

static void on_found(void *ctx, const struct rt_resolved *found)
{
    struct pgconn *conn = ctx;

    if (found->error != NULL) {
        fail(conn, found->error);
        return;
    }
    start_connect(conn, found);
}

static const char *given(const PQconninfoOption *options, const char *key)
{
    for (const PQconninfoOption *at = options; at != NULL && at->keyword != NULL; at++) {
        if (strcmp(at->keyword, key) == 0) {
            return at->val;
        }
    }
    return NULL;
}

/* Bounds the look-up and the connection together. What cannot be parsed libpq refuses, with a reason. */
static void on_retry(void *ctx)
{
    struct pgconn *conn = ctx;
    PQconninfoOption *options = PQconninfoParse(conn->conninfo, NULL);
    const char *host = given(options, "host");

    rt_timer_set(conn->deadline, conn->config.timeout, 0);
    if (given(options, "hostaddr") == NULL && rt_resolve_needed(host)) {
        conn->state = RESOLVING;
        conn->lookup = rt_resolve_new(conn->config.loop, host, on_found, conn);
    } else {
        start_connect(conn, NULL);
    }
    PQconninfoFree(options);
}

struct pgconn *pgconn_new(const struct pgconn_config *config)
{
    struct pgconn *conn = rt_alloc(sizeof(*conn));

    conn->config = *config;
    conn->conninfo = rt_strdup(config->conninfo);
    conn->application_name = rt_strdup(config->application_name);
    conn->pause = RETRY_FIRST;
    conn->deadline = rt_timer_new(config->loop, on_deadline, conn);
    conn->retry = rt_timer_new(config->loop, on_retry, conn);
    conn->resume = rt_defer_new(config->loop, on_resume, conn);
    rt_timer_set(conn->retry, 0, 0);
    return conn;
}

void pgconn_free(struct pgconn *conn)
{
    if (conn == NULL) {
        return;
    }
    drop(conn);
    rt_timer_free(conn->deadline);
    rt_timer_free(conn->retry);
    rt_defer_free(conn->resume);
    free(conn->conninfo);
    free(conn->application_name);
    free(conn);
}

bool pgconn_ready(const struct pgconn *conn)
{
    return conn->state == IDLE;
}

bool pgconn_query(struct pgconn *conn, const struct pgconn_query *query)
{
    if (conn->state != IDLE) {
        return false;
    }
    conn->state = BUSY;
    if (!send_query(conn, query)) {
        /* Told from the loop, as everything is. */
        rt_timer_set(conn->deadline, 0, 0);
    }
    return true;
}

bool pgconn_send(struct pgconn *conn, const char *sql, int param_count, const char *const *params)
{
    return pgconn_query(
        conn, &(struct pgconn_query){ .sql = sql, .param_count = param_count, .params = params });
}

void pgconn_pause(struct pgconn *conn, bool paused)
{
    if (conn->state != BUSY || conn->paused == paused) {
        return;
    }
    conn->paused = paused;
    watch(conn, RT_READ);
    if (paused) {
        rt_timer_stop(conn->deadline);
    } else {
        set_deadline(conn);
        rt_defer_schedule(conn->resume);
    }
}

bool pgconn_in_transaction(const struct pgconn *conn)
{
    return conn->pq != NULL && (conn->state == IDLE || conn->state == BUSY) &&
           PQtransactionStatus(conn->pq) != PQTRANS_IDLE;
}
