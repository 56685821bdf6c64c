/* tests/bench/bench_route.c - changes per second through the broker's upstream and fan-out, without I/O.
 *
 * One table, one group, two edges; frames of about 64 KiB, as the tailer cuts them, with transactions of
 * one change and of a thousand. Frames for the edges are counted and dropped. Usage: bench_route [seconds per case]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/upstream.h"
#include "runtime/buf.h"
#include "runtime/metrics.h"

enum { EDGES = 2, FRAME_BYTES = 65536 };

struct bench {
    struct rt_metrics *metrics;
    struct stats stats;
    struct relations *relations;
    struct window *window;
    struct route *route;
    struct upstream *up;
    struct audience *audience;
    uint64_t bytes_out;
    uint64_t frames_out;
    uint64_t lsn;
};

static void *on_watch(void *ctx, struct audience *audience, const char *schema, const char *table,
                      const char *role)
{
    struct bench *bench = ctx;

    (void)schema;
    (void)table;
    (void)role;
    bench->audience = audience;
    return bench;
}

static void on_unwatch(void *ctx, void *watch)
{
    (void)ctx;
    (void)watch;
}

static void on_send(void *ctx, void *user, struct wire_span frame)
{
    struct bench *bench = ctx;

    (void)user;
    bench->bytes_out += frame.len;
    bench->frames_out++;
}

static void on_describe(void *ctx, uint32_t oid)
{
    (void)ctx;
    (void)oid;
}

static void on_need(void *ctx, uint32_t rel)
{
    (void)ctx;
    (void)rel;
}

static bool on_fence(void *ctx, const struct relation *relation, uint32_t xid, uint64_t lsn)
{
    (void)ctx;
    (void)relation;
    (void)xid;
    (void)lsn;
    return false;
}

static void on_epoch(void *ctx, uint64_t epoch)
{
    (void)ctx;
    (void)epoch;
}

static void on_malformed(void *ctx, const char *why)
{
    (void)ctx;
    (void)fprintf(stderr, "malformed: %s\n", why);
    abort();
}

static struct wire_span text(const char *literal)
{
    return (struct wire_span){ literal, strlen(literal) };
}

static void start(struct bench *bench, bool columns)
{
    static const struct route_events route_events = {
        .watch = on_watch, .unwatch = on_unwatch, .send = on_send, .describe = on_describe
    };
    static const struct upstream_events events = {
        .need = on_need, .fence = on_fence, .new_epoch = on_epoch, .malformed = on_malformed
    };
    struct wire_writer out = { 0 };

    memset(bench, 0, sizeof(*bench));
    bench->lsn = 1000;
    bench->metrics = rt_metrics_new();
    stats_init(&bench->stats, bench->metrics);
    bench->relations = relations_new();
    bench->window = window_new((size_t)256 << 20, 120 * RT_SEC);
    bench->route = route_new(&(struct route_config){ .shards = 1,
                                                     .relations = bench->relations,
                                                     .window = bench->window,
                                                     .stats = &bench->stats,
                                                     .events = &route_events,
                                                     .ctx = bench });
    bench->up = upstream_new(&(struct upstream_config){ .route = bench->route,
                                                        .window = bench->window,
                                                        .relations = bench->relations,
                                                        .stats = &bench->stats,
                                                        .events = &events,
                                                        .ctx = bench });
    wire_encode_identify(
        &out, &(struct wire_identify){ .identity = 1, .role = text("anon"), .claims = text("{}") });
    wire_encode_subscribe(
        &out, &(struct wire_subscribe){
                  .sub = 1, .identity = 1, .channel = text("table:public.t"), .filter = text("") });
    for (int i = 0; i < EDGES; i++) {
        struct route_edge *edge = route_edge_new(bench->route, NULL);
        (void)route_edge_message(edge, (struct wire_span){ (char *)out.data, out.len });
    }
    struct access *access = access_new();
    access->oid = 10;
    access->all = !columns;
    access_add_column(access, "id", false);
    access_add_column(access, "name", false);
    access_seal(access);
    route_access(bench->audience, access);
    access_unref(access);
    route_progress(bench->route, &(struct wire_progress){ .epoch = 1, .lsn = 10 }, 1);
    wire_writer_fini(&out);
}

static void stop(struct bench *bench)
{
    upstream_free(bench->up);
    route_free(bench->route);
    window_free(bench->window);
    relations_free(bench->relations);
    rt_metrics_free(bench->metrics);
}

static void write_row(struct wire_writer *out)
{
    static const char *const values[] = { "123456", "a name of some length",
                                          "2026-11-21 09:49:46+00",
                                          "{\"a\": 1, \"b\": [1, 2, 3]}" };

    wire_write_array(out, 4);
    for (int i = 0; i < 4; i++) {
        struct wire_value value = { .kind = WIRE_VALUE_TEXT,
                                    .text = values[i],
                                    .len = (uint32_t)strlen(values[i]) };
        wire_write_value(out, &value);
    }
}

static void write_relation(struct wire_writer *out)
{
    static const char *const names[] = { "id", "name", "at", "doc" };
    struct wire_column columns[4];

    for (int i = 0; i < 4; i++) {
        columns[i] =
            (struct wire_column){ .name = text(names[i]), .type_oid = 25, .shape = { "", 1 } };
    }
    struct wire_relation head = { .rel = 1,
                                  .oid = 10,
                                  .schema = text("public"),
                                  .table = text("t"),
                                  .identity = 'f',
                                  .column_count = 4 };
    wire_encode_relation(out, &head, columns, NULL);
}

/* One frame of updates with both rows; returns the number of changes. */
static uint64_t write_frame(struct bench *bench, struct wire_writer *out, uint32_t per_transaction,
                            struct wire_tuple row)
{
    uint64_t changes = 0;

    wire_writer_clear(out);
    while (out->len < FRAME_BYTES) {
        bench->lsn += 8;
        wire_encode_begin(out,
                          &(struct wire_begin){ .epoch = 1, .commit_lsn = bench->lsn, .xid = 9 });
        for (uint32_t i = 0; i < per_transaction; i++) {
            wire_encode_change(out, &(struct wire_change){ .rel = 1,
                                                           .index = i,
                                                           .op = WIRE_UPDATE,
                                                           .old_kind = WIRE_OLD_FULL,
                                                           .new_row = row,
                                                           .old_row = row });
        }
        wire_encode_end(out, &(struct wire_end){ .commit_lsn = bench->lsn,
                                                 .end_lsn = bench->lsn + 8,
                                                 .count = per_transaction });
        changes += per_transaction;
    }
    return changes;
}

/* Of this process: what else runs on the machine counts less than by the clock. */
static rt_usec cpu_time(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (rt_usec)now.tv_sec * RT_SEC + now.tv_nsec / 1000;
}

static void run(uint32_t per_transaction, bool columns, bool interest, rt_usec limit)
{
    struct bench bench;
    struct wire_writer frame = { 0 };
    struct wire_writer row = { 0 };
    uint64_t changes = 0;
    rt_usec spent = 0;

    start(&bench, columns);
    upstream_interest(bench.up, 11, interest ? 1 : 0);
    write_row(&row);
    write_relation(&frame);
    (void)upstream_frame(bench.up, (struct wire_span){ (char *)frame.data, frame.len }, 1);
    while (spent < limit) {
        uint64_t count =
            write_frame(&bench, &frame, per_transaction, (struct wire_tuple){ row.data, row.len });
        rt_usec before = cpu_time();
        (void)upstream_frame(bench.up, (struct wire_span){ (char *)frame.data, frame.len },
                             rt_now());
        route_flush(bench.route);
        spent += cpu_time() - before;
        changes += count;
    }
    if (bench.stats.matched->value != changes || bench.stats.deliveries->value != EDGES * changes) {
        (void)fprintf(stderr, "not every change was delivered\n");
        abort();
    }
    (void)printf("route edges=%d changes_per_transaction=%" PRIu32 " columns=%s interest=%s: "
                 "%.2f M matched changes/s, %.0f MB/s out\n",
                 EDGES, per_transaction, columns ? "some" : "all", interest ? "yes" : "no",
                 (double)changes / (double)spent, (double)bench.bytes_out / (double)spent);
    wire_writer_fini(&frame);
    wire_writer_fini(&row);
    stop(&bench);
}

int main(int argc, char **argv)
{
    rt_usec limit = (argc > 1 ? strtol(argv[1], NULL, 10) : 2) * RT_SEC;

    run(1, false, false, limit);
    run(1000, false, false, limit);
    run(1, true, false, limit);
    run(1000, true, false, limit);
    /* Another table is of interest: each transaction is read ahead. */
    run(1, false, true, limit);
    run(1000, false, true, limit);
    return 0;
}
