/* tests/oracle/asks_oracle.c - the fallback lane's verdicts against row-level security itself, for a table and identities that exist.
 *
 *   asks-oracle CONNINFO SCHEMA TABLE verdicts   every row for every identity of public.identities, all in one turn of the loop
 *   asks-oracle CONNINFO SCHEMA TABLE unseen     the changes' transaction commits only after the first answers
 *   asks-oracle CONNINFO SCHEMA TABLE late       it never does: everything must fail at the deadline
 *   asks-oracle CONNINFO SCHEMA TABLE turns      a row in a turn, twice each, by more sets of identities than a connection keeps
 *                                                statements for; between two of them the connections are lost
 *
 * Truth is a SELECT under the identity's role and claims, with its filter; where that raises, each row alone. Prints one line
 * of figures, then the metrics of the lane; the exit status tells whether all agree.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/view/filter_judge.h"
#include "tests/oracle/asks_kit.h"

#define LSN UINT64_C(4096)

/* A set of identities comes so many times before the next one does. */
enum { NO_TURN = -1, SAME_SET = 3 };

struct oracle {
    struct asks_kit kit;
    struct asks *asks;
    struct rt_loop *loop;
    struct rt_timer *commit;
    struct view_verdict *verdicts; /* as judged, then as answered */
    enum ask_state *states;
    uint32_t xid;
    uint64_t asked;
    uint64_t failed;
    uint64_t wrong;
    uint64_t visible;
    rt_usec began;
    int turn; /* of turns; else NO_TURN */
};

static size_t place(const struct oracle *oracle, int row, int view)
{
    return (size_t)row * (size_t)oracle->kit.view_count + (size_t)view;
}

/* --- asking ------------------------------------------------------------------------------------- */

static bool ask_view(struct oracle *oracle, int row, int i, bool first)
{
    struct view *view = oracle->kit.views[i];
    size_t at = place(oracle, row, i);
    struct ask_change change = { .lsn = LSN + (uint64_t)(oracle->turn + 1),
                                 .index = (uint32_t)row,
                                 .xid = oracle->xid,
                                 .relation = oracle->kit.relation,
                                 .rows = oracle->kit.changes };
    if (first) {
        oracle->verdicts[at] = view_judge(view, oracle->kit.changes);
        oracle->asked += oracle->verdicts[at].on_new == MATCH_ASK;
    }
    oracle->states[at] = asks_get(oracle->asks, view, &change, &oracle->verdicts[at]);
    return oracle->states[at] != ASK_PENDING;
}

/* False: some are pending. In the order that the views have in this turn. */
static bool ask_row(struct oracle *oracle, int row, bool first)
{
    int count = oracle->kit.view_count;
    int from = oracle->turn == NO_TURN ? 0 : oracle->turn / SAME_SET;
    bool done = true;

    asks_kit_change(&oracle->kit, row);
    for (int i = 0; i < count; i++) {
        done = ask_view(oracle, row, (from + i) % count, first) && done;
    }
    return done;
}

static bool ask_all(struct oracle *oracle, bool first)
{
    bool done = true;

    if (oracle->turn != NO_TURN) {
        return ask_row(oracle, oracle->turn % oracle->kit.row_count, first);
    }
    for (int row = 0; row < oracle->kit.row_count; row++) {
        done = ask_row(oracle, row, first) && done;
    }
    return done;
}

static void on_answers(void *ctx)
{
    struct oracle *oracle = ctx;

    if (ask_all(oracle, false)) {
        rt_loop_stop(oracle->loop);
    }
}

static void ask_and_wait(struct oracle *oracle)
{
    if (!ask_all(oracle, true)) {
        rt_loop_run(oracle->loop);
    }
}

static void forget_all(struct oracle *oracle)
{
    for (int i = 0; i < oracle->kit.view_count; i++) {
        asks_forget(oracle->asks, oracle->kit.views[i], UINT64_MAX, 0);
    }
}

static void ask_in_turns(struct oracle *oracle)
{
    int count = 2 * oracle->kit.row_count;

    for (oracle->turn = 0; oracle->turn < count; oracle->turn++) {
        if (oracle->turn == count / 2 + 1) {
            PQclear(asks_kit_query(oracle->kit.conn,
                                   "SELECT pg_catalog.pg_terminate_backend(pid) FROM "
                                   "pg_catalog.pg_stat_activity WHERE application_name = 'asks'"));
        }
        ask_and_wait(oracle);
        forget_all(oracle);
    }
    oracle->turn = NO_TURN;
}

static void on_commit(void *ctx)
{
    struct oracle *oracle = ctx;

    PQclear(asks_kit_query(oracle->kit.conn, "COMMIT"));
}

/* --- truth -------------------------------------------------------------------------------------- */

static void write_identity(const struct oracle *oracle, int view, struct rt_buf *sql)
{
    const struct policy_identity *identity =
        view_identity_policy(oracle->kit.views[view]->identity);
    char *claims = PQescapeLiteral(oracle->kit.conn, identity->settings[0].value,
                                   strlen(identity->settings[0].value));

    rt_buf_printf(sql,
                  "BEGIN; SELECT pg_catalog.set_config('role', '%s', true), "
                  "pg_catalog.set_config('request.jwt.claims', %s, true); ",
                  identity->role, claims);
    PQfreemem(claims);
}

static void write_select(const struct oracle *oracle, int view, const char *more,
                         struct rt_buf *sql)
{
    rt_buf_printf(sql, "SELECT %s::pg_catalog.text FROM \"%s\".\"%s\" AS t WHERE %s",
                  PQfname(oracle->kit.rows, 0), oracle->kit.schema, oracle->kit.table, more);
    if (oracle->kit.views[view]->filter != NULL) {
        rt_buf_puts(sql, " AND ");
        filter_program_sql(oracle->kit.views[view]->filter, "t", sql);
    }
}

/* NULL: it raised. */
static PGresult *select_as(struct oracle *oracle, int view, const char *more)
{
    struct rt_buf sql = { 0 };

    write_identity(oracle, view, &sql);
    PQclear(asks_kit_query(oracle->kit.conn, rt_buf_cstr(&sql)));
    rt_buf_clear(&sql);
    write_select(oracle, view, more, &sql);
    PGresult *result = PQexec(oracle->kit.conn, rt_buf_cstr(&sql));
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        PQclear(result);
        result = NULL;
    }
    PQclear(asks_kit_query(oracle->kit.conn, "ROLLBACK"));
    rt_buf_fini(&sql);
    return result;
}

static bool has(const PGresult *result, const char *id)
{
    for (int i = 0; i < PQntuples(result); i++) {
        if (strcmp(PQgetvalue(result, i, 0), id) == 0) {
            return true;
        }
    }
    return false;
}

static bool sees_alone(struct oracle *oracle, int view, const char *ctid)
{
    char more[64];

    (void)snprintf(more, sizeof(more), "ctid = '%s'::pg_catalog.tid", ctid);
    PGresult *result = select_as(oracle, view, more);
    bool sees = PQntuples(result) == 1;
    PQclear(result);
    return sees;
}

static void compare(struct oracle *oracle, int view, const PGresult *ctids)
{
    PGresult *all = select_as(oracle, view, "true");

    for (int row = 0; row < oracle->kit.row_count; row++) {
        size_t at = place(oracle, row, view);
        const char *id = PQgetvalue(oracle->kit.rows, row, 0);
        bool sees =
            all != NULL ? has(all, id) : sees_alone(oracle, view, PQgetvalue(ctids, row, 0));
        bool said = oracle->verdicts[at].on_new == MATCH_YES;
        oracle->visible += sees;
        oracle->failed += oracle->states[at] == ASK_FAILED;
        if (oracle->states[at] == ASK_ANSWERED && said != sees && ++oracle->wrong <= 10) {
            (void)printf("row %s, identity %d (%s): PostgreSQL %s, asks %s\n", id, view,
                         view_identity_policy(oracle->kit.views[view]->identity)->settings[0].value,
                         sees ? "yes" : "no", said ? "yes" : "no");
        }
    }
    PQclear(all);
}

/* --- modes -------------------------------------------------------------------------------------- */

static void begin_unseen(struct oracle *oracle, bool commit)
{
    PGresult *result =
        asks_kit_query(oracle->kit.conn, "BEGIN; SELECT pg_catalog.pg_current_xact_id()");

    oracle->xid = (uint32_t)strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    if (commit) {
        oracle->commit = rt_timer_new(oracle->loop, on_commit, oracle);
        rt_timer_set(oracle->commit, 100 * RT_MSEC, 0);
    }
}

static void report(struct oracle *oracle, struct rt_metrics *metrics)
{
    struct rt_buf text = { 0 };
    struct rt_buf sql = { 0 };

    rt_buf_printf(&sql, "SELECT ctid FROM \"%s\".\"%s\" ORDER BY %s", oracle->kit.schema,
                  oracle->kit.table, PQfname(oracle->kit.rows, 0));
    PGresult *ctids = asks_kit_query(oracle->kit.conn, rt_buf_cstr(&sql));
    for (int view = 0; view < oracle->kit.view_count; view++) {
        compare(oracle, view, ctids);
    }
    PQclear(ctids);
    (void)printf("decisions=%d asked=%llu failed=%llu visible=%llu wrong=%llu ms=%lld\n",
                 oracle->kit.row_count * oracle->kit.view_count, (unsigned long long)oracle->asked,
                 (unsigned long long)oracle->failed, (unsigned long long)oracle->visible,
                 (unsigned long long)oracle->wrong,
                 (long long)((rt_now() - oracle->began) / RT_MSEC));
    rt_metrics_render(metrics, &text);
    (void)fputs(rt_buf_cstr(&text), stdout);
    rt_buf_fini(&text);
    rt_buf_fini(&sql);
}

static void run(struct oracle *oracle, const char *conninfo, const char *mode)
{
    struct rt_metrics *metrics = rt_metrics_new();
    struct rt_log *log = rt_log_new("oracle", RT_LOG_WARN, RT_LOG_KV);
    oracle->loop = rt_loop_new();
    struct pg_pool_config pool_config = { .loop = oracle->loop,
                                          .conninfo = conninfo,
                                          .application_name = "asks",
                                          .connections = 3,
                                          .timeout = 5 * RT_SEC,
                                          .statement_timeout = 20 * RT_SEC,
                                          .retry_max = RT_SEC };
    struct pg_pool *pool = pg_pool_new(&pool_config);
    bool late = strcmp(mode, "late") == 0;
    struct asks_config config = { .loop = oracle->loop,
                                  .log = log,
                                  .metrics = metrics,
                                  .pool = pool,
                                  .deadline = late ? RT_SEC / 2 : 20 * RT_SEC,
                                  .max_pending = 1000000,
                                  .on_answers = on_answers,
                                  .ctx = oracle };
    oracle->asks = asks_new(&config);
    if (late || strcmp(mode, "unseen") == 0) {
        begin_unseen(oracle, !late);
    }
    oracle->began = rt_now();
    if (strcmp(mode, "turns") == 0) {
        ask_in_turns(oracle);
    } else {
        ask_and_wait(oracle);
    }
    if (late) {
        PQclear(asks_kit_query(oracle->kit.conn, "ROLLBACK"));
    }
    report(oracle, metrics);
    forget_all(oracle);
    asks_free(oracle->asks);
    pg_pool_free(pool);
    rt_timer_free(oracle->commit);
    rt_loop_free(oracle->loop);
    rt_metrics_free(metrics);
    rt_log_free(log);
}

int main(int argc, char **argv)
{
    struct oracle oracle = { .xid = 3, .turn = NO_TURN };

    if (argc != 5) {
        return 2;
    }
    asks_kit_open(&oracle.kit, argv[1], argv[2], argv[3]);
    size_t count = (size_t)oracle.kit.row_count * (size_t)oracle.kit.view_count;
    oracle.verdicts = rt_alloc((count + 1) * sizeof(*oracle.verdicts));
    oracle.states = rt_alloc((count + 1) * sizeof(*oracle.states));
    run(&oracle, argv[1], argv[4]);
    free(oracle.verdicts);
    free(oracle.states);
    asks_kit_close(&oracle.kit);
    return oracle.wrong == 0 ? 0 : 1;
}
