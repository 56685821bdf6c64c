/* tests/oracle/judge.h - PostgreSQL's answer and the broker's, for one world.
 *
 * Truth is row-level security itself: a SELECT under the identity's role and settings. Where it raises an error, each row is
 * asked for alone, by its ctid: a TID scan meets no other row, and leaves the policies' condition as it is (an index scan
 * drops what its condition implies). An error means that the row is not visible.
 */
#ifndef PGTIDE_TESTS_ORACLE_JUDGE_H
#define PGTIDE_TESTS_ORACLE_JUDGE_H

#include <libpq-fe.h>

#include "broker/policy/anchor.h"
#include "broker/policy/eval.h"
#include "broker/policy/fallback.h"
#include "broker/policy/fold.h"
#include "broker/policy/loader.h"
#include "tests/oracle/world.h"

enum lane { LANE_CONSTANT, LANE_COMPILED, LANE_MEMBERSHIP, LANE_FALLBACK, LANE_DENIED, LANE_COUNT };
enum { OPS_MAX = 512 };

struct tally {
    uint64_t worlds;
    uint64_t policies;      /* sets of policies that PostgreSQL took */
    uint64_t refused;       /* and that it did not */
    uint64_t decisions;     /* of whole rows */
    uint64_t visible;       /* according to PostgreSQL */
    uint64_t masked;        /* of rows with missing columns */
    uint64_t masked_denied; /* because of what is missing */
    uint64_t leaked;
    uint64_t withheld;
    uint64_t raised; /* rows that raise an error */
    uint64_t lanes[LANE_COUNT];
    uint64_t ops[OPS_MAX]; /* by place in the allow-list */
    double eval_seconds;
    double truth_seconds;
    double fold_seconds;
    double load_seconds;
    double fallback_seconds;
    uint64_t anchored; /* of programs that are not constant: with anchors */
    uint64_t unanchored;
    uint64_t skipped;        /* decisions that an index would not have to make */
    uint64_t system_columns; /* denied because of them */
    uint64_t sets;           /* statements for many identities that had an answer */
    uint64_t sets_raised;
};

struct judge {
    PGconn *conn;
    uint32_t rows;
    bool stop_at_first; /* mismatch */
    bool quiet;
    uint32_t written; /* see struct world */
    bool explain;     /* prints why policies are not compiled */
    struct tally tally;
};

/* A world with `sets` sets of policies and `identities` for each. False when the server cannot be talked to. */
bool judge_world(struct judge *judge, uint64_t seed, uint32_t sets, uint32_t identities);

/* fallback.c: what the broker would ask about `row`s of the world; false: no answer. */
struct policy_verdicts;
bool fallback_ask(struct judge *judge, const struct policy_table *table,
                  const struct policy_program *program, const struct identity *identity,
                  const struct rt_buf *images, size_t count, struct policy_verdicts *out);
bool fallback_ask_set(struct judge *judge, const struct policy_program *program,
                      const struct policy_binding *binding, const char *role,
                      const struct rt_buf *images, size_t count, uint32_t columns,
                      struct policy_verdicts *out);

/* pg.c: one statement or several; false prints the error. */
bool pg_run(PGconn *conn, const char *sql);
PGresult *pg_ask(PGconn *conn, const char *sql, int count, const char *const *params);
/* The last result with rows of several statements; NULL on an error. */
PGresult *pg_last(PGconn *conn, const char *sql);
double seconds_now(void);
bool judge_setup(struct judge *judge,
                 bool objects); /* the session, and what policies are made of */

#endif
