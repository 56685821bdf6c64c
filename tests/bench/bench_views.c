/* tests/bench/bench_views.c - a shard with row-level security: subscriptions with identities of their own, views made by
 * broker/view from policies of PostgreSQL's own trees, changes through upstream and fan-out, without I/O.
 *
 * Constants are answered at once (quick_pool.h); everything else is what runs in the broker. Frames are made outside of
 * the measured time; those for edges are counted and dropped. The same frames for one group that sees all rows, without
 * policies, say what the rest costs. Usage: bench_views [changes per case] [name of a case [most subscriptions]]
 */
#include "tests/bench/bench_views.h"

/* --- changes ------------------------------------------------------------------------------------------- */

static void write_relation(struct bench *bench)
{
    struct wire_writer out = { 0 };
    struct wire_column columns[COLUMNS];

    for (uint32_t i = 0; i < COLUMNS; i++) {
        columns[i] = (struct wire_column){ .name = views_text(bench->access->attributes[i].name),
                                           .type_oid = bench->access->attributes[i].type,
                                           .shape = { "", 1 } };
    }
    struct wire_relation head = { .rel = 1,
                                  .oid = OID,
                                  .schema = views_text("public"),
                                  .table = views_text("t"),
                                  .identity = 'f',
                                  .column_count = COLUMNS };
    wire_encode_relation(&out, &head, columns, NULL);
    (void)upstream_frame(bench->up, (struct wire_span){ (const char *)out.data, out.len }, 1);
    wire_writer_fini(&out);
}

static void write_row(struct bench *bench, struct wire_writer *out)
{
    uint32_t number = bench->kase->miss ? NOBODY : views_pick(bench, bench->subs);
    char owner[UUID + 1];
    char level[16];
    const char *const values[COLUMNS] = { "123456",
                                          owner,
                                          "a title of some length",
                                          level,
                                          "19.90",
                                          "ok",
                                          "{a,b}",
                                          "f",
                                          "2030-01-01 00:00:00+00",
                                          "{\"a\": 1, \"b\": [1, 2, 3]}" };

    views_uuid_of(number, owner);
    (void)snprintf(level, sizeof(level), "%" PRIu32,
                   bench->kase->policy == BY_TEAM && !bench->kase->miss ? number / bench->kase->team
                                                                        : NOBODY);
    wire_writer_clear(out);
    wire_write_array(out, COLUMNS);
    for (uint32_t i = 0; i < COLUMNS; i++) {
        struct wire_value value = { .kind = WIRE_VALUE_TEXT,
                                    .text = values[i],
                                    .len = (uint32_t)strlen(values[i]) };
        wire_write_value(out, &value);
    }
}

static uint64_t write_frame(struct bench *bench, struct wire_writer *out, struct wire_writer *row)
{
    uint64_t changes = 0;

    wire_writer_clear(out);
    while (out->len < FRAME_BYTES) {
        bench->lsn += 8;
        wire_encode_begin(out,
                          &(struct wire_begin){ .epoch = 1, .commit_lsn = bench->lsn, .xid = 9 });
        for (uint32_t i = 0; i < PER_TRANSACTION; i++) {
            struct wire_change change = { .rel = 1, .index = i, .op = WIRE_INSERT };
            write_row(bench, row);
            change.new_row = (struct wire_tuple){ row->data, row->len };
            if (bench->kase->update) {
                change.op = WIRE_UPDATE;
                change.old_kind = WIRE_OLD_FULL;
                change.old_row = change.new_row;
            }
            wire_encode_change(out, &change);
        }
        wire_encode_end(out, &(struct wire_end){ .commit_lsn = bench->lsn,
                                                 .end_lsn = bench->lsn + 8,
                                                 .count = PER_TRANSACTION });
        changes += PER_TRANSACTION;
    }
    return changes;
}

/* Nanoseconds per change in the quickest of the slices, when the neighbours were quiet. */
static double measure(struct bench *bench, uint64_t changes)
{
    struct wire_writer frame = { 0 };
    struct wire_writer row = { 0 };
    double best = 1e12;

    for (int i = 0; i < SLICES; i++) {
        double spent = 0;
        uint64_t done = 0;
        while (done < changes / SLICES) {
            done += write_frame(bench, &frame, &row);
            double before = views_cpu_ns();
            (void)upstream_frame(
                bench->up, (struct wire_span){ (const char *)frame.data, frame.len }, rt_now());
            route_flush(bench->route);
            spent += views_cpu_ns() - before;
        }
        best = spent / (double)done < best ? spent / (double)done : best;
    }
    wire_writer_fini(&frame);
    wire_writer_fini(&row);
    return best;
}

static double run(const struct kase *kase, uint32_t subs, uint64_t changes)
{
    struct bench bench;

    views_start(&bench, kase, subs);
    (void)printf("%s, %" PRIu32 " subscriptions\n", kase->name, subs);
    write_relation(&bench);
    views_populate(&bench);
    (void)measure(&bench, changes / 4);
    double each = measure(&bench, changes);
    uint64_t made = bench.stats.changes->value;
    (void)printf("  %.0f ns per change, %.2f M changes/s; judged %.2f, delivered to %.2f edges\n",
                 each, 1000 / each, (double)bench.stats.judged->value / (double)made,
                 (double)bench.stats.deliveries->value / (double)made);
    (void)fflush(stdout);
    views_depopulate(&bench);
    views_stop(&bench);
    return each;
}

int main(int argc, char **argv)
{
    static const struct kase kases[] = {
        { "no policies, insert", NONE, 0, false, false },
        { "no policies, update", NONE, 0, true, false },
        { "owner, insert", BY_OWNER, 0, false, false },
        { "owner, nobody's insert", BY_OWNER, 0, false, true },
        { "owner, update", BY_OWNER, 0, true, false },
        { "team of 10, insert", BY_TEAM, 10, false, false },
        { "team of 10, update", BY_TEAM, 10, true, false },
        { "team of 20, insert", BY_TEAM, 20, false, false },
        { "team of 20, nobody's insert", BY_TEAM, 20, false, true },
    };
    static const uint32_t counts[] = { FEW, SOME, MANY };
    uint64_t changes = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    uint32_t most = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : MANY;

    for (size_t i = 0; i < sizeof(kases) / sizeof(kases[0]); i++) {
        double each[3] = { 0 };
        if (argc > 2 && strncmp(kases[i].name, argv[2], strlen(argv[2])) != 0) {
            continue;
        }
        for (size_t j = 0; j < (kases[i].policy == NONE ? 1 : 3) && counts[j] <= most; j++) {
            each[j] = run(&kases[i], counts[j], changes);
        }
        if (kases[i].policy != NONE) {
            (void)printf("  a million cost %.2f times a thousand\n", each[2] / each[0]);
        }
    }
    return 0;
}
