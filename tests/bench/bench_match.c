/* tests/bench/bench_match.c - nanoseconds per change through the match index, at a thousand and at a million subscriptions.
 *
 * Every subscription has an identity of its own; the program compares the owner (or the team's members) and one column
 * more, as a compiled policy with a filter does. Rows are made in batches outside of the measured time, as the stream's
 * decoder would have just read them. Usage: bench_match [changes per case]
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/match/index.h"
#include "broker/match/postings.h"
#include "runtime/buf.h"
#include "runtime/clock.h"
#include "runtime/map.h"

enum {
    FEW = 1000,
    MANY = 1000000,
    BATCH = 256,
    AHEAD = 32,
    TEAM_SIZE = 20,
    UUID = 36,
    COLUMNS = 3
};

/* Columns of the table: owner, room, team. */
enum { OWNER, ROOM, TEAM };

struct constants {
    _Alignas(64) char owner[UUID];
    char room[4];
    uint32_t identity;
    uint32_t team;
};

struct teams {
    struct match_set set;
    struct postings by_value;
    uint64_t seed[2];
};

struct row {
    struct wire_value values[COLUMNS];
    char texts[COLUMNS][UUID + 1];
};

struct bench {
    struct match *match;
    struct match_table *table;
    struct teams teams;
    struct constants *constants;
    struct row *rows;
    struct row *old_rows;
    size_t heap_before;
    uint64_t random;
};

/* Of this thread: the machine has others to serve. */
static rt_usec cpu_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (rt_usec)now.tv_sec * RT_SEC + now.tv_nsec / 1000;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    x = (x ^ (x >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ (x >> 33);
}

static uint32_t pick(struct bench *bench, uint32_t below)
{
    bench->random += UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)((mix(bench->random) >> 32) * below >> 32);
}

static void uuid_of(uint64_t number, char out[UUID + 1])
{
    uint64_t a = mix(number + 1);
    uint64_t b = mix(a);

    (void)snprintf(out, UUID + 1, "%08x-%04x-%04x-%04x-%04x%08x", (unsigned)(a >> 32),
                   (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xffff), (unsigned)(b >> 48),
                   (unsigned)(b >> 32 & 0xffff), (unsigned)b);
}

static bool is(const struct match_row *row, int column, const char *text, size_t len)
{
    const struct wire_value *value = &row->values[column];

    return value->kind == WIRE_VALUE_TEXT && value->len == len &&
           memcmp(value->text, text, len) == 0;
}

static enum match_verdict judge_owner(const struct match_program *program, const void *constants,
                                      const struct match_row *row)
{
    const struct constants *mine = constants;

    (void)program;
    return is(row, OWNER, mine->owner, UUID) && is(row, ROOM, mine->room, 4) ? MATCH_YES : MATCH_NO;
}

/* Membership was found in the reverse map; the compiled program looks into the forward set. Here: one comparison. */
static enum match_verdict judge_team(const struct match_program *program, const void *constants,
                                     const struct match_row *row)
{
    const struct constants *mine = constants;
    uint32_t team = 0;

    (void)program;
    memcpy(&team, row->context, sizeof(team));
    return mine->team == team && is(row, ROOM, mine->room, 4) ? MATCH_YES : MATCH_NO;
}

static void release(const struct match_program *program, void *constants)
{
    (void)program;
    (void)constants;
}

static const struct match_program owner_program = { .judge = judge_owner, .release = release };
static const struct match_program team_program = { .judge = judge_team, .release = release };

static const uint32_t *members_of(const struct match_set *set, struct wire_span value,
                                  uint32_t *out_count)
{
    const struct teams *teams = (const struct teams *)(const void *)set;

    return postings_find(&teams->by_value, rt_seeded_hash(teams->seed, value.data, value.len),
                         out_count);
}

static void ahead_of(const struct match_set *set, struct wire_span value)
{
    const struct teams *teams = (const struct teams *)(const void *)set;

    postings_prefetch(&teams->by_value, rt_seeded_hash(teams->seed, value.data, value.len));
}

static void start(struct bench *bench, uint32_t subs)
{
    memset(bench, 0, sizeof(*bench));
    bench->constants = aligned_alloc(64, subs * sizeof(*bench->constants));
    bench->rows = rt_alloc(BATCH * sizeof(*bench->rows));
    bench->old_rows = rt_alloc(BATCH * sizeof(*bench->old_rows));
    bench->teams.set.members = members_of;
    bench->teams.set.ahead = ahead_of;
    bench->teams.seed[0] = rt_random64();
    bench->teams.seed[1] = rt_random64();
    postings_init(&bench->teams.by_value);
    bench->heap_before = mallinfo2().uordblks + mallinfo2().hblkhd;
    bench->match = match_new();
    bench->table = match_table_new(bench->match, (struct match_limits){ 1000, 1000 });
}

static void stop(struct bench *bench)
{
    match_free(bench->match);
    postings_fini(&bench->teams.by_value);
    free(bench->constants);
    free(bench->rows);
    free(bench->old_rows);
}

/* Subscription `number` of `owners` owners, each of whom has several views that differ in what does not matter here. */
static void subscribe(struct bench *bench, uint32_t number, uint32_t owners, bool by_team)
{
    struct constants *mine = &bench->constants[number];
    char owner[UUID + 1];
    struct match_sub sub;

    uuid_of(number % owners, owner);
    memcpy(mine->owner, owner, UUID);
    memcpy(mine->room, "room", 4);
    mine->identity = number;
    mine->team = number / TEAM_SIZE;
    struct wire_span value = { mine->owner, UUID };
    struct match_anchor anchor = {
        .kind = by_team ? MATCH_MEMBER : MATCH_EQUAL,
        .column = by_team ? TEAM : OWNER,
        .type = match_type_of(2950, false),
        .values = &value,
        .value_count = 1,
        .set = by_team ? &bench->teams.set : NULL,
        .member = number,
    };
    struct match_conjunction conjunction = { &anchor, 1 };
    struct match_view view = { .program = by_team ? &team_program : &owner_program,
                               .constants = mine,
                               .key = { (const char *)mine, sizeof(*mine) },
                               .conjunctions = &conjunction,
                               .conjunction_count = 1 };
    if (match_add(bench->table, &view, number, &sub) != MATCH_ADDED) {
        abort();
    }
    if (by_team) {
        uuid_of(mine->team, owner);
        (void)postings_add(&bench->teams.by_value, rt_seeded_hash(bench->teams.seed, owner, UUID),
                           number);
    }
}

static void set_row(struct row *row, uint64_t owner, uint32_t team)
{
    uuid_of(owner, row->texts[OWNER]);
    memcpy(row->texts[ROOM], "room", 5);
    uuid_of(team, row->texts[TEAM]);
    for (int i = 0; i < COLUMNS; i++) {
        row->values[i] = (struct wire_value){ .kind = WIRE_VALUE_TEXT,
                                              .text = row->texts[i],
                                              .len = (uint32_t)strlen(row->texts[i]) };
    }
}

struct kase {
    const char *name;
    uint32_t subs;
    uint32_t owners;
    bool by_team;
    bool update; /* both images, the row stays with its owner */
    bool miss;
    uint32_t expected; /* hits per change */
    bool ahead;        /* AHEAD changes at a time */
};

/* What the broker would have decoded together. */
static uint64_t change_some(const struct bench *bench, const struct kase *kase, uint32_t *teams,
                            int from)
{
    struct match_row rows[AHEAD][2];
    struct match_coming coming[AHEAD];
    uint64_t hits = 0;

    for (int i = 0; i < AHEAD; i++) {
        rows[i][0] = (struct match_row){ bench->rows[from + i].values, COLUMNS, &teams[i] };
        rows[i][1] = (struct match_row){ bench->old_rows[from + i].values, COLUMNS, &teams[i] };
        coming[i] = (struct match_coming){ bench->table,
                                           { &rows[i][0], kase->update ? &rows[i][1] : NULL } };
    }
    if (kase->ahead) {
        match_ahead(bench->match, coming, AHEAD);
    }
    for (int i = 0; i < AHEAD; i++) {
        hits += match_change(bench->table, coming[i].rows[0], coming[i].rows[1]).count;
    }
    return hits;
}

/* Nanoseconds per change: of all, and in the quickest of ten slices, when the neighbours were quiet. */
static double measure(struct bench *bench, const struct kase *kase, uint32_t changes,
                      double *out_best)
{
    rt_usec spent = 0;
    rt_usec slice = 0;
    uint32_t slice_changes = 0;
    uint64_t hits = 0;
    uint32_t teams[BATCH];

    for (uint32_t done = 0; done < changes; done += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            uint32_t owner = pick(bench, kase->owners);
            teams[i] = owner / TEAM_SIZE;
            set_row(&bench->rows[i], kase->miss ? owner + UINT64_C(1000000000) : owner, teams[i]);
            set_row(&bench->old_rows[i], owner, teams[i]);
        }
        rt_usec before = cpu_now();
        for (int i = 0; i < BATCH; i += AHEAD) {
            hits += change_some(bench, kase, &teams[i], i);
        }
        rt_usec took = cpu_now() - before;
        spent += took;
        slice += took;
        slice_changes += BATCH;
        if (slice_changes >= changes / 10) {
            double each = (double)slice * 1000 / slice_changes;
            *out_best = each < *out_best ? each : *out_best;
            slice = 0;
            slice_changes = 0;
        }
    }
    uint64_t made = ((uint64_t)changes + BATCH - 1) / BATCH * BATCH;
    if (hits != made * kase->expected) {
        (void)fprintf(stderr, "%s: %" PRIu64 " hits\n", kase->name, hits);
        abort();
    }
    return (double)spent * 1000 / (double)made;
}

static double run(const struct kase *kase, uint32_t changes)
{
    struct bench bench;

    start(&bench, kase->subs);
    rt_usec before = cpu_now();
    for (uint32_t i = 0; i < kase->subs; i++) {
        subscribe(&bench, i, kase->owners, kase->by_team);
    }
    double adding = (double)(cpu_now() - before) * 1000 / kase->subs;
    size_t heap = mallinfo2().uordblks + mallinfo2().hblkhd - bench.heap_before;
    double best_alone = 1e9;
    double best = 1e9;
    (void)measure(&bench, kase, changes / 4, &best);
    double alone = measure(&bench, kase, changes, &best_alone);
    best = 1e9;
    struct kase ahead = *kase;
    ahead.ahead = true;
    double each = measure(&bench, &ahead, changes, &best);
    (void)printf("match %-24s subs=%-8" PRIu32
                 " %5.0f ns per change, best slice %5.0f (one by one: %5.0f, %5.0f)\n",
                 kase->name, kase->subs, each, best, alone, best_alone);
    (void)printf("      %.2f M changes/s; adding %.0f ns, %.0f bytes each (of the heap: %.0f)\n",
                 1000 / each, adding, (double)match_stats(bench.match).bytes / kase->subs,
                 (double)heap / kase->subs);
    before = cpu_now();
    for (uint32_t i = 0; i < kase->subs; i++) {
        if (!match_remove(bench.match,
                          (struct match_sub){ (uint32_t)((uint64_t)i * 7919 % kase->subs) })) {
            abort();
        }
    }
    (void)printf("      removing: %.0f ns each\n",
                 (double)(cpu_now() - before) * 1000 / kase->subs);
    stop(&bench);
    return best;
}

int main(int argc, char **argv)
{
    static const struct kase pairs[][2] = {
        { { "insert, its owner", FEW, FEW, false, false, false, 1, false },
          { "insert, its owner", MANY, MANY, false, false, false, 1, false } },
        { { "insert, nobody's", FEW, FEW, false, false, true, 0, false },
          { "insert, nobody's", MANY, MANY, false, false, true, 0, false } },
        { { "update, both rows judged", FEW, FEW, false, true, false, 1, false },
          { "update, both rows judged", MANY, MANY, false, true, false, 1, false } },
        { { "10 matches each, insert", FEW, FEW / 10, false, false, false, 10, false },
          { "10 matches each, insert", MANY, MANY / 10, false, false, false, 10, false } },
        { { "10 matches each, update", FEW, FEW / 10, false, true, false, 10, false },
          { "10 matches each, update", MANY, MANY / 10, false, true, false, 10, false } },
        { { "team of 20, insert", FEW, FEW, true, false, false, TEAM_SIZE, false },
          { "team of 20, insert", MANY, MANY, true, false, false, TEAM_SIZE, false } },
    };
    uint32_t changes = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        double few = run(&pairs[i][0], changes);
        double many = run(&pairs[i][1], changes);
        (void)printf("      a million cost %.2f times a thousand\n", many / few);
    }
    return 0;
}
