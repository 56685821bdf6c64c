/* tests/oracle/sets.h - a membership test, the table that it reads, and the people whose sets are kept; see sets.c. */
#ifndef PGTIDE_TESTS_ORACLE_SETS_H
#define PGTIDE_TESTS_ORACLE_SETS_H

#include <libpq-fe.h>

#include "broker/policy/sets.h"
#include "tests/oracle/judge.h"

enum { WRITERS = 2, IDENTITIES = 6, STEPS = 300, CHANGES_MAX = 16, QUEUE_MAX = 64, COLUMNS = 6 };

#define PICK(rng, list) (list)[prng_below(rng, sizeof(list) / sizeof((list)[0]))]

struct change {
    PGresult *old_row; /* NULL: none */
    PGresult *new_row;
};

struct transaction {
    bool open;
    bool truncate;
    uint32_t xid;
    uint32_t count;
    struct change changes[CHANGES_MAX];
};

struct person {
    const char *claims;
    const char *n;
    struct policy_constants constants;
    struct policy_values *set;
    char *array; /* an answer that has not come yet */
    char *snapshot;
};

struct world_of_sets {
    struct prng rng;
    PGconn *reader;
    PGconn *writers[WRITERS];
    struct transaction open[WRITERS];
    struct transaction queue[QUEUE_MAX];
    uint32_t queued;
    struct policy_facts *facts;
    struct policy_table table;
    struct policy_table members_table;
    struct policy_program *program;
    struct policy_program *members;
    const struct policy_fold_members *test;
    struct policy_sets *sets;
    struct person people[IDENTITIES];
    struct rt_buf policies;
    size_t kind; /* of set_kinds */
};

struct score {
    uint64_t seed;
    uint64_t kept;    /* worlds whose sets could be kept */
    uint64_t left;    /* and not */
    uint64_t changes; /* given to sets */
    uint64_t loads;
    uint64_t stale;
    uint64_t compared;
    uint64_t values; /* in the sets compared */
    uint64_t wrong;
};

struct set_kind {
    const char *type;
    const char *values[6];
};
extern const struct set_kind set_kinds[]; /* of the value */

/* Ends the program with `what` unless `good`. */
void must(bool good, const char *what);

/* sets_world.c: tables and policies; false: the sets of this policy cannot be kept. */
bool sets_make(struct world_of_sets *w);
void sets_unmake(struct world_of_sets *w);
void sets_person(struct world_of_sets *w, struct person *person);
/* As the person: the expression as text, and the snapshot. NULL: PostgreSQL raises an error. */
PGresult *sets_ask_as(struct world_of_sets *w, const struct person *person, const char *select);
/* Somebody's set is asked for, answered, or begun anew. */
void sets_tend(struct world_of_sets *w, struct score *score);

#endif
