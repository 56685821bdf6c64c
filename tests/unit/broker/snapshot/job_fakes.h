/* tests/unit/broker/snapshot/job_fakes.h - a pool, a loop and an owner for one job, all by hand.
 *
 * What the job does becomes lines in fake.said: "ask SQL $1=value…", "rows id,id last token", "catch up 5:5: to 6:6: at 99",
 * "gone …", "refuse CODE …", "pause", "resume", "give back".
 */
#ifndef PGTIDE_TESTS_BROKER_SNAPSHOT_JOB_FAKES_H
#define PGTIDE_TESTS_BROKER_SNAPSHOT_JOB_FAKES_H

#include "broker/snapshot/job.h"
#include "tests/unit/broker/snapshot/rows.h"

struct fake {
    struct rt_metrics *registry;
    struct snapshot_metrics metrics;
    struct rt_log *log;
    struct job *job; /* NULL once it is over */
    struct pg_lease *lease;
    struct rt_buf said;
    char token[WIRE_TOKEN_MAX + 1]; /* of the last part */
    const char *trouble;
    size_t waiting;
    bool refuse_catch_up;
    unsigned unseen; /* so many snapshots in a row miss a commit */
    rt_usec timer;   /* -1: not set */
    bool woken;
    void (*on_timer)(void *ctx);
    void (*on_wake)(void *ctx);
};
extern struct fake fake;

struct fake_options {
    const char *token;
    const char *condition;
    uint32_t page_rows;
    rt_usec roll_after;
};

void fake_start(const struct fake_options *options);
void fake_stop(void);
/* Compares with what was said since the last time. */
void fake_expect(const char *said);
void fake_wake(void);
void fake_timer(void); /* goes off */
void fake_ready(void);
void fake_lost(void);
void fake_error(void); /* the statement fails with this SQLSTATE: see fake_state */
extern const char *fake_state;
void fake_done(void); /* a statement without rows */
/* The transaction up to the first statement that reads: a table with key id, or without one. */
void fake_enter(const char *snapshot, const char *lsn, bool keyed);
/* Rows (id, "x") of a page that ends with them. */
void fake_rows(int first, int count);
void fake_page_end(void);

#endif
