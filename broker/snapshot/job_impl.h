/* broker/snapshot/job_impl.h - what job.c and job_read.c share. Nobody else includes this.
 *
 * `seen` is the snapshot of the rows sent so far (and of those in the part at hand), `next` the one just taken; between
 * the two lies catch_up. `after` is the key of the last row read.
 */
#ifndef PGTIDE_BROKER_SNAPSHOT_JOB_IMPL_H
#define PGTIDE_BROKER_SNAPSHOT_JOB_IMPL_H

#include "broker/snapshot/failure.h"
#include "broker/snapshot/job.h"
#include "broker/snapshot/part.h"
#include "broker/snapshot/sql.h"
#include "runtime/buf.h"

#define JOB_REST_FIRST (100 * RT_MSEC)

enum { JOB_TRIES_MAX = 6, JOB_NAME_SIZE = 2 * WIRE_NAME_MAX + 2 };

enum job_state {
    JOB_STARTING,
    JOB_WAITING,   /* for a connection */
    JOB_NUDGING,   /* the log */
    JOB_BEGINNING, /* a transaction: the statements up to reading */
    JOB_ENTERING,
    JOB_DESCRIBING,
    JOB_CATCHING, /* catch_up between two snapshots */
    JOB_PATHING,  /* what policies find names by */
    JOB_DECLARING,
    JOB_READING, /* a page is under way; perhaps paused, with a full part and no credit */
    JOB_OWING,   /* between two pages, with a part and no credit */
    JOB_PARKED,  /* the same without a connection */
    JOB_RESTING, /* before another attempt */
    JOB_ENDING,  /* all rows are sent */
};

struct job_view {
    char *text; /* NULL: none */
    struct xid_snapshot snapshot;
    uint64_t lsn;
};

struct job {
    struct job_config config;
    struct sql_table table;
    char name[JOB_NAME_SIZE];
    char *role;
    struct rt_buf enter; /* sql_enter() */
    struct rt_buf path;  /* policy_sql_path(); "": none */
    char *token;
    size_t token_len;
    struct pg_lease *lease;
    struct rt_timer *timer;
    struct rt_defer *wake;
    enum job_state state;
    struct job_view seen;
    struct job_view next;
    bool keyed;               /* goes on at any row */
    uint64_t key_print;       /* if keyed */
    struct rt_buf after;      /* texts, each with its NUL */
    uint32_t after_count;     /* 0: from the beginning */
    struct rt_buf sent_after; /* the same, of the last row sent */
    uint32_t sent_count;
    struct part part;
    uint32_t credit;
    uint32_t limit;     /* of a page */
    uint32_t page_read; /* rows of the page at hand */
    bool paused;
    bool exhausted; /* the last row was read */
    bool sent;      /* a part was */
    bool caught_up;
    unsigned tries;
    unsigned unseen;
    rt_usec started_at;
    rt_usec entered_at;
    struct rt_buf sql;
};

/* job.c */
void job_set_state(struct job *job, enum job_state state);
void job_view_clear(struct job_view *view);
void job_release(struct job *job); /* the connection */
void job_wait_for_connection(struct job *job);
void job_send(struct job *job, bool last); /* the part */
/* Those below may free the job. */
void job_end(struct job *job, enum snapshot_failure kind, enum wire_code code, const char *message);
void job_try_again(struct job *job, const struct failure *failure); /* what went wrong may pass */
void job_finish(struct job *job);                                   /* all rows are sent */

/* job_read.c */
extern const struct pg_lease_events job_lease_events;
void job_adopt(struct job *job); /* `next` is what rows are read from now on */
void job_start_reading(struct job *job);
void job_settle(struct job *job); /* no page is under way: sends what there is, and goes on */

#endif
