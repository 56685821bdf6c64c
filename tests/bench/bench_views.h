/* tests/bench/bench_views.h - a shard with views and nobody around it: see bench_views.c. */
#ifndef PGTIDE_TESTS_BENCH_BENCH_VIEWS_H
#define PGTIDE_TESTS_BENCH_BENCH_VIEWS_H

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/policy/rules.h"
#include "broker/upstream.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "tests/bench/quick_pool.h"
#include "tests/unit/broker/policy/kit_facts.h"

enum {
    FEW = 1000,
    SOME = 100000,
    MANY = 1000000,
    EDGES = 2,
    COLUMNS = 10,
    OWNER = 1,
    LEVEL = 3,
    UUID = 36,
    PER_TRANSACTION = 50,
    FRAME_BYTES = 65536,
    SLICES = 10,
    OID = 16400,
    NOBODY = 2000000000, /* an owner, and a team */
    OWN_TEAM = 1000000000
};

/* `owner = auth.uid()`; EXISTS over a table of teams, each of `team` members: then every member has a team of its own as
 * well, so that no two views are equal. */
enum policy { NONE, BY_OWNER, BY_TEAM };

struct kase {
    const char *name;
    enum policy policy;
    uint32_t team;
    bool update; /* with the old row, which is the same; else an insert */
    bool miss;   /* rows that are nobody's */
};

struct bench {
    const struct kase *kase;
    uint32_t subs;
    struct rt_metrics *metrics;
    struct rt_log *log;
    struct stats stats;
    struct relations *relations;
    struct window *window;
    struct route *route;
    struct upstream *up;
    struct views *views;
    struct route_edge *edges[EDGES];
    struct audience *audience;
    struct access *access;
    uint64_t bytes_out;
    uint64_t lsn;
    uint64_t random;
};

void views_start(struct bench *bench, const struct kase *kase, uint32_t subs);
void views_stop(struct bench *bench);
double views_cpu_ns(void);
void views_populate(struct bench *bench);
void views_depopulate(struct bench *bench);
uint32_t views_pick(struct bench *bench, uint32_t below);
void views_uuid_of(uint32_t number, char out[UUID + 1]);
struct wire_span views_text(const char *literal);

#endif
