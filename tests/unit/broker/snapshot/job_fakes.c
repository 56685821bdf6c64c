/* tests/unit/broker/snapshot/job_fakes.c - see job_fakes.h. */
#include "job_fakes.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/log.h"
#include "runtime/loop.h"

struct fake fake;
const char *fake_state;

struct pg_lease {
    const struct pg_lease_events *events;
    void *ctx;
};

/* --- libpq, the loop and the pool ------------------------------------------------------------------------ */

char *PQresultErrorField(const PGresult *result, int field)
{
    union {
        const char *from;
        char *to;
    } cast = { field == PG_DIAG_SQLSTATE ? fake_state : "it failed" };

    (void)result;
    return cast.to;
}

struct rt_timer *rt_timer_new(struct rt_loop *loop, rt_timer_fn fn, void *ctx)
{
    (void)loop;
    (void)ctx;
    fake.on_timer = fn;
    fake.timer = -1;
    return NULL;
}

void rt_timer_set(struct rt_timer *timer, rt_usec after, rt_usec period)
{
    (void)timer;
    (void)period;
    fake.timer = after;
}

void rt_timer_stop(struct rt_timer *timer)
{
    (void)timer;
    fake.timer = -1;
}

void rt_timer_free(struct rt_timer *timer)
{
    (void)timer;
}

struct rt_defer *rt_defer_new(struct rt_loop *loop, rt_defer_fn fn, void *ctx)
{
    (void)loop;
    (void)ctx;
    fake.on_wake = fn;
    return NULL;
}

void rt_defer_schedule(struct rt_defer *defer)
{
    (void)defer;
    fake.woken = true;
}

void rt_defer_free(struct rt_defer *defer)
{
    (void)defer;
}

size_t pg_pool_waiting(const struct pg_pool *pool)
{
    (void)pool;
    return fake.waiting;
}

const char *pg_pool_trouble(const struct pg_pool *pool)
{
    (void)pool;
    return fake.trouble;
}

struct pg_lease *pg_lease_new(struct pg_pool *pool, const struct pg_lease_events *events, void *ctx)
{
    (void)pool;
    assert_null(fake.lease);
    fake.lease = rt_alloc(sizeof(*fake.lease));
    *fake.lease = (struct pg_lease){ events, ctx };
    rt_buf_puts(&fake.said, "wait\n");
    return fake.lease;
}

void pg_lease_free(struct pg_lease *lease)
{
    if (lease != NULL) {
        rt_buf_puts(&fake.said, "give back\n");
        fake.lease = NULL;
    }
    free(lease);
}

bool pg_lease_query(struct pg_lease *lease, const struct pgconn_query *query)
{
    assert_ptr_equal(lease, fake.lease);
    rt_buf_printf(&fake.said, "ask %.38s", query->sql);
    for (int i = 0; i < query->param_count && strncmp(query->sql, "SELECT \"", 8) == 0; i++) {
        rt_buf_printf(&fake.said, " $%d=%s", i + 1, query->params[i]);
    }
    rt_buf_puts(&fake.said, query->by_row ? " by row\n" : "\n");
    return true;
}

void pg_lease_pause(struct pg_lease *lease, bool paused)
{
    assert_ptr_equal(lease, fake.lease);
    rt_buf_puts(&fake.said, paused ? "pause\n" : "resume\n");
}

/* --- the owner ------------------------------------------------------------------------------------------- */

static void on_rows(void *ctx, const struct wire_tuple *rows, uint32_t count,
                    struct wire_span token, bool last)
{
    (void)ctx;
    rt_buf_puts(&fake.said, "rows");
    for (uint32_t i = 0; i < count; i++) {
        struct wire_reader in;
        struct wire_value value;
        uint32_t columns = 0;
        assert_int_equal(wire_tuple_open(rows[i], &in, &columns), WIRE_OK);
        assert_int_equal(columns, 2);
        assert_int_equal(wire_tuple_next(&in, &value), WIRE_OK);
        rt_buf_printf(&fake.said, " %.*s", (int)value.len, value.text);
    }
    rt_buf_puts(&fake.said, last ? " last" : "");
    rt_buf_puts(&fake.said, token.len > 0 ? " token\n" : "\n");
    memcpy(fake.token, token.data, token.len);
    fake.token[token.len] = '\0';
}

static void drop_job(void)
{
    job_free(fake.job);
    fake.job = NULL;
}

static void print_snapshot(const struct xid_snapshot *snapshot)
{
    rt_buf_printf(&fake.said, " %" PRIu64 ":%" PRIu64, snapshot->xmin, snapshot->xmax);
}

static bool on_catch_up(void *ctx, const struct xid_snapshot *from, uint64_t from_lsn,
                        const struct xid_snapshot *to, uint64_t lsn)
{
    (void)ctx;
    assert_true(from_lsn <= lsn);
    rt_buf_puts(&fake.said, "catch up");
    print_snapshot(from);
    if (to != NULL) {
        rt_buf_puts(&fake.said, " to");
        print_snapshot(to);
    }
    rt_buf_printf(&fake.said, " at %" PRIX64 "\n", lsn);
    if (fake.refuse_catch_up) {
        drop_job();
    }
    return !fake.refuse_catch_up;
}

static bool on_evicted_unseen(void *ctx, const struct xid_snapshot *snapshot, uint64_t next_xid)
{
    (void)ctx;
    (void)snapshot;
    assert_int_equal(next_xid, 0);
    if (fake.unseen > 0) {
        fake.unseen--;
        return true;
    }
    return false;
}

static void on_over(void *ctx, enum snapshot_failure kind, enum wire_code code, const char *message)
{
    (void)ctx;
    rt_buf_printf(&fake.said, kind == SNAPSHOT_TOKEN ? "gone %s\n" : "refuse %s\n", message);
    assert_true(code == WIRE_CODE_SUBSCRIPTION_FAILED || code == WIRE_CODE_FORBIDDEN);
    drop_job();
}

/* --- for the tests --------------------------------------------------------------------------------------- */

void fake_start(const struct fake_options *options)
{
    static const struct job_events events = { .rows = on_rows,
                                              .catch_up = on_catch_up,
                                              .evicted_unseen = on_evicted_unseen,
                                              .over = on_over };
    static const struct rows_column columns[] = { { "id", 23 }, { "v", 25 } };
    struct relation relation;
    struct access *access = rows_access(columns, 2, NULL);
    const char *token = options->token == NULL ? "" : options->token;

    fake = (struct fake){ .timer = -1 };
    fake_state = "XX000";
    fake.registry = rt_metrics_new();
    snapshot_metrics_init(&fake.metrics, fake.registry);
    fake.log = rt_log_new("test", RT_LOG_ERROR, RT_LOG_KV);
    rows_relation(&relation, columns, 2);
    struct job_config config = {
        .log = fake.log,
        .metrics = &fake.metrics,
        .events = &events,
        .relation = &relation,
        .access = access,
        .identity = &(const struct policy_identity){ .role = "anon" },
        .token = { token, strlen(token) },
        .condition = options->condition,
        .publication = "pgtide",
        .epoch = 7,
        .page_rows = options->page_rows == 0 ? 500 : options->page_rows,
        .max_value = 1024,
        .timeout = 30 * RT_SEC,
        .roll_after = options->roll_after == 0 ? 3600 * RT_SEC : options->roll_after,
    };
    fake.job = job_new(&config);
    free(relation.columns);
    access_unref(access);
    fake_wake();
}

void fake_stop(void)
{
    drop_job();
    assert_null(fake.lease);
    assert_true(fake.metrics.running->value > -0.5 && fake.metrics.running->value < 0.5);
    assert_true(fake.metrics.waiting->value > -0.5 && fake.metrics.waiting->value < 0.5);
    rt_buf_fini(&fake.said);
    rt_metrics_free(fake.registry);
    rt_log_free(fake.log);
}

void fake_expect(const char *said)
{
    assert_string_equal(rt_buf_cstr(&fake.said), said);
    rt_buf_clear(&fake.said);
}

void fake_wake(void)
{
    assert_true(fake.woken);
    fake.woken = false;
    fake.on_wake(fake.job);
}

void fake_timer(void)
{
    assert_true(fake.timer >= 0);
    fake.timer = -1;
    fake.on_timer(fake.job);
}

void fake_ready(void)
{
    fake.lease->events->on_ready(fake.lease->ctx);
    fake_expect("ask SELECT pg_catalog.pg_logical_emit_mess\n");
    fake_error(); /* it need not work */
}

void fake_lost(void)
{
    fake.lease->events->on_lost(fake.lease->ctx, "connection reset");
}

static void give(PGresult *result)
{
    fake.lease->events->on_result(fake.lease->ctx, result);
    PQclear(result);
}

void fake_error(void)
{
    give(PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR));
}

void fake_done(void)
{
    give(PQmakeEmptyPGresult(NULL, PGRES_COMMAND_OK));
}

void fake_page_end(void)
{
    give(PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK));
}

void fake_enter(const char *snapshot, const char *lsn, bool keyed)
{
    const char *const entered[] = { "",       "",  "",     "",         "", "",    "",
                                    snapshot, lsn, "8192", "16777216", "", "anon" };
    const char *const described[] = {
        "16384",
        "r",
        NULL,
        "id",
        "23",
        "t",
        keyed ? "1" : NULL,
        "pg_catalog.>",
        "pg_catalog.=",
        "16384",
        "r",
        NULL,
        "v",
        "25",
        "t",
        NULL,
        NULL,
        NULL,
    };

    fake_ready();
    fake_expect("ask BEGIN ISOLATION LEVEL REPEATABLE READ \n");
    fake_done();
    fake_expect("ask SELECT pg_catalog.set_config('datestyl\n");
    give(rows_result(entered, 1, 13));
    if (fake.lease != NULL) {
        fake_expect("ask SELECT c.oid, c.relkind, p.about ->> '\n");
        give(rows_result(described, 2, 9));
    }
}

void fake_rows(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char id[16];
        const char *cells[] = { id, "x" };
        (void)snprintf(id, sizeof(id), "%d", i);
        PGresult *row = rows_result(cells, 1, 2);
        fake.lease->events->on_row(fake.lease->ctx, row);
        PQclear(row);
    }
}
