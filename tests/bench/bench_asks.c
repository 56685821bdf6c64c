/* tests/bench/bench_asks.c - microseconds for one identity and one changed row in the fallback lane, beside walrus's way.
 *
 *   bench_asks CONNINFO SCHEMA TABLE POSTMASTER ROUNDS
 *
 * walrus's way is the function public.one_by_one() that asks.mjs makes: one prepared statement for a change, executed for each subscriber
 * under its role and claims. Both judge the table's rows for the identities of public.identities, in turns. Usage: see asks.mjs.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/oracle/asks_kit.h"

struct bench {
    struct asks_kit kit;
    struct asks *asks;
    struct rt_loop *loop;
    struct rt_metrics *metrics;
    struct rt_log *log;
    struct pg_pool *pool;
    uint64_t lsn;
    int from; /* rows asked about in this turn */
    int count;
    uint64_t asked;
    uint64_t yes;
    int postmaster;
};

static double seconds(clockid_t clock)
{
    struct timespec time;

    (void)clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* CPU time of all sessions, from the scheduler's own figures: others use this machine too. */
static double server_seconds(const struct bench *bench)
{
    DIR *proc = opendir("/proc");
    double sum = 0;

    for (const struct dirent *entry = readdir(proc); entry != NULL; entry = readdir(proc)) {
        char path[300];
        unsigned long long nanoseconds = 0;
        int parent = 0;
        (void)snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
        FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        if (file == NULL) {
            continue;
        }
        bool ours =
            fscanf(file, "%*d (%*[^)]) %*c %d", &parent) == 1 && parent == bench->postmaster;
        (void)fclose(file);
        (void)snprintf(path, sizeof(path), "/proc/%s/schedstat", entry->d_name);
        file = ours ? fopen(path, "re") : NULL;
        if (file != NULL && fscanf(file, "%llu", &nanoseconds) == 1) {
            sum += (double)nanoseconds / 1e9;
        }
        if (file != NULL) {
            (void)fclose(file);
        }
    }
    (void)closedir(proc);
    return sum;
}

/* False: some are pending. */
static bool ask_all(struct bench *bench)
{
    bool done = true;
    uint64_t asked = 0;
    uint64_t yes = 0;

    for (int row = bench->from; row < bench->from + bench->count; row++) {
        asks_kit_change(&bench->kit, row);
        for (int i = 0; i < bench->kit.view_count; i++) {
            struct ask_change change = { .lsn = bench->lsn,
                                         .index = (uint32_t)row,
                                         .xid = 3,
                                         .relation = bench->kit.relation,
                                         .rows = bench->kit.changes };
            struct view_verdict verdict = view_judge(bench->kit.views[i], bench->kit.changes);
            asked += verdict.on_new == MATCH_ASK;
            enum ask_state state = asks_get(bench->asks, bench->kit.views[i], &change, &verdict);
            done = done && state != ASK_PENDING;
            yes += verdict.on_new == MATCH_YES;
            if (state == ASK_FAILED) {
                (void)fprintf(stderr, "a question failed\n");
                exit(1);
            }
        }
    }
    bench->asked += done ? asked : 0;
    bench->yes += done ? yes : 0;
    return done;
}

/* Only once for a turn of answers is seldom enough: the loop stops when nothing is pending. */
static void on_answers(void *ctx)
{
    struct bench *bench = ctx;
    struct rt_buf text = { 0 };

    rt_metrics_render(bench->metrics, &text);
    if (strstr(rt_buf_cstr(&text), "\npgtide_broker_asks_pending 0\n") != NULL) {
        rt_loop_stop(bench->loop);
    }
    rt_buf_fini(&text);
}

static void open_lane(struct bench *bench, const char *conninfo, unsigned connections)
{
    bench->loop = rt_loop_new();
    bench->metrics = rt_metrics_new();
    bench->log = rt_log_new("bench", RT_LOG_WARN, RT_LOG_KV);
    struct pg_pool_config pool = { .loop = bench->loop,
                                   .conninfo = conninfo,
                                   .application_name = "bench",
                                   .connections = connections,
                                   .timeout = 5 * RT_SEC,
                                   .statement_timeout = 60 * RT_SEC,
                                   .retry_max = RT_SEC };
    bench->pool = pg_pool_new(&pool);
    struct asks_config config = { .loop = bench->loop,
                                  .log = bench->log,
                                  .metrics = bench->metrics,
                                  .pool = bench->pool,
                                  .deadline = 60 * RT_SEC,
                                  .max_pending = 10000000,
                                  .on_answers = on_answers,
                                  .ctx = bench };
    bench->asks = asks_new(&config);
}

/* A session that ends takes its CPU time out of the sum: not while the next ones are measured. */
static void await_end(const struct bench *bench)
{
    bool gone = false;

    while (!gone) {
        PGresult *result =
            asks_kit_query(bench->kit.conn, "SELECT pg_catalog.pg_stat_clear_snapshot(), (SELECT "
                                            "pg_catalog.count(*) FROM pg_catalog.pg_stat_activity "
                                            "WHERE application_name = 'bench')");
        gone = strcmp(PQgetvalue(result, 0, 1), "0") == 0;
        PQclear(result);
        (void)nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    }
}

static void close_lane(struct bench *bench)
{
    asks_free(bench->asks);
    pg_pool_free(bench->pool);
    await_end(bench);
    rt_loop_free(bench->loop);
    rt_metrics_free(bench->metrics);
    rt_log_free(bench->log);
}

/* One turn: `count` changes at once, until all is answered. */
static void turn(struct bench *bench, int from, int count)
{
    bench->lsn++;
    bench->from = from;
    bench->count = count;
    if (!ask_all(bench)) {
        rt_loop_run(bench->loop);
        (void)ask_all(bench);
    }
    for (int i = 0; i < bench->kit.view_count; i++) {
        asks_forget(bench->asks, bench->kit.views[i], UINT64_MAX, 0);
    }
}

struct figures {
    double wall;
    double broker;
    double server;
};

/* What looking at the sessions takes is nobody's: it comes before the broker's first figure, and after its last. */
static struct figures from_now(const struct bench *bench)
{
    struct figures figures = { .server = server_seconds(bench) };

    figures.wall = seconds(CLOCK_MONOTONIC);
    figures.broker = seconds(CLOCK_PROCESS_CPUTIME_ID);
    return figures;
}

static struct figures until_now(const struct bench *bench)
{
    struct figures figures = { .wall = seconds(CLOCK_MONOTONIC),
                               .broker = seconds(CLOCK_PROCESS_CPUTIME_ID) };

    figures.server = server_seconds(bench);
    return figures;
}

static void print(const struct bench *bench, const char *name, struct figures since, uint64_t pairs,
                  uint64_t yes)
{
    struct figures to = until_now(bench);
    double each = 1e6 / (double)pairs;

    (void)printf("%s us=%.3f server=%.3f broker=%.3f pairs=%llu yes=%llu\n", name,
                 (to.wall - since.wall) * each, (to.server - since.server) * each,
                 (to.broker - since.broker) * each, (unsigned long long)pairs,
                 (unsigned long long)yes);
}

static void measure(struct bench *bench, const char *conninfo, const char *name,
                    unsigned connections, int at_once)
{
    open_lane(bench, conninfo, connections);
    turn(bench, 0, at_once); /* connects */
    bench->asked = bench->yes = 0;
    struct figures since = from_now(bench);
    for (int from = 0; from + at_once <= bench->kit.row_count; from += at_once) {
        turn(bench, from, at_once);
    }
    print(bench, name, since, bench->asked, bench->yes);
    close_lane(bench);
}

static void measure_one_by_one(struct bench *bench)
{
    uint64_t yes = 0;
    struct figures since = from_now(bench);

    for (int row = 0; row < bench->kit.row_count; row++) {
        struct rt_buf sql = { 0 };
        rt_buf_printf(&sql, "SELECT public.one_by_one(%s)", PQgetvalue(bench->kit.rows, row, 0));
        PGresult *result = asks_kit_query(bench->kit.conn, rt_buf_cstr(&sql));
        yes += strtoull(PQgetvalue(result, 0, 0), NULL, 10);
        PQclear(result);
        rt_buf_fini(&sql);
    }
    print(bench, "one_by_one", since,
          (uint64_t)bench->kit.row_count * (uint64_t)bench->kit.view_count, yes);
}

int main(int argc, char **argv)
{
    struct bench bench = { .lsn = 1 };

    if (argc != 6) {
        return 2;
    }
    bench.postmaster = (int)strtol(argv[4], NULL, 10);
    asks_kit_open(&bench.kit, argv[1], argv[2], argv[3]);
    for (long round = strtol(argv[5], NULL, 10); round > 0; round--) {
        measure_one_by_one(&bench);
        measure(&bench, argv[1], "asks_1_change", 1, 1);
        measure(&bench, argv[1], "asks_20_changes", 1, 20);
        measure(&bench, argv[1], "asks_20_changes_3_connections", 3, 20);
    }
    asks_kit_close(&bench.kit);
    return 0;
}
