/* broker/snapshot/job.h - one snapshot: the rows of a table, to one subscription, and how it joins the stream.
 *
 * Rows are read in a REPEATABLE READ transaction under the client's role and claims. Which transactions it sees is known
 * exactly (S, pg_current_snapshot()); so are the commits it does not see: the window has them, and `catch_up` delivers
 * them, until the stream has passed H, a log position read after S, behind which nothing is seen by S.
 *
 * A table with a primary key is read in pages, and may go on from a newer snapshot at any row: S' is taken, `catch_up`
 * delivers what S' sees and S does not, and the next page is one of S'. That is how a long snapshot does not
 * hold back vacuum or outlive the window, how one whose client is slow gives its connection back, and how one goes on
 * after a lost connection, or, with a token, in another session. Changes of rows that were not sent yet may thus come
 * before these rows: who applies both by key ends up right.
 *
 * Without a key (that the role may read) rows come from one cursor and one transaction, and none of that is possible.
 *
 * The owner is told everything by its events and never from inside a call. `over` is the last event of a job that failed,
 * and `catch_up` may be: the owner frees the job in them. All memory is bounded by PART_BYTES and one row. One thread.
 */
#ifndef PGTIDE_BROKER_SNAPSHOT_JOB_H
#define PGTIDE_BROKER_SNAPSHOT_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/access.h"
#include "broker/relations.h"
#include "broker/snapshot/metrics.h"
#include "broker/xid_snapshot.h"
#include "pg/pool.h"
#include "proto/records.h"
#include "runtime/clock.h"

#define JOB_CREDIT 4u /* parts that may be sent before the first job_more() */

struct job;
struct rt_log;
struct rt_loop;

struct job_events {
    /* A part. `token` goes on behind it; "" for nowhere. */
    void (*rows)(void *ctx, const struct wire_tuple *rows, uint32_t count, struct wire_span token,
                 bool last);
    /* Delivers what `from` does not see and, if given, `to` sees, until the stream has passed lsn; then
     * job_caught_up(), with `to`. Without, the job is over once the subscription is live. Commits behind from_lsn are
     * none that `from` sees. False: it cannot, said so to the client, and has freed the job. */
    bool (*catch_up)(void *ctx, const struct xid_snapshot *from, uint64_t from_lsn,
                     const struct xid_snapshot *to, uint64_t lsn);
    /* Whether a commit that the snapshot does not see may have left the window. `next_xid`, unless 0: commits
     * wait for standbys, so what is older than this and not seen may have been decoded long ago. */
    bool (*evicted_unseen)(void *ctx, const struct xid_snapshot *snapshot, uint64_t next_xid);
    /* Frees the job. SNAPSHOT_TOKEN: the token is not usable; else a refusal with this code. */
    void (*over)(void *ctx, enum snapshot_failure kind, enum wire_code code, const char *message);
};

struct job_config {
    struct rt_loop *loop;
    struct rt_log *log;
    struct pg_pool *pool;
    struct snapshot_metrics *metrics;
    const struct job_events *events;
    void *ctx;
    const struct relation *relation;        /* not kept */
    const struct access *access;            /* not kept */
    const struct policy_identity *identity; /* as policies see it; copied */
    struct wire_span token;                 /* copied; "": from the beginning */
    const char *condition;   /* of filter_program_sql() for a row called t; copied; NULL: none */
    const char *publication; /* outlives the job */
    uint64_t epoch;          /* of the stream */
    uint32_t page_rows;      /* at most so many in a part */
    uint32_t max_value;
    rt_usec
        timeout; /* for a statement; for a connection while there is none; for a client, without a key */
    rt_usec roll_after;
};

/* Why a token cannot be gone on with, as far as can be told without the database; NULL: it may be. The window of `epoch` goes
 * back to floor_lsn. */
const char *job_check_token(struct wire_span token, uint64_t epoch, uint32_t oid,
                            uint64_t floor_lsn);
struct job *job_new(const struct job_config *config);
void job_free(struct job *job);
void job_more(struct job *job, uint32_t parts);
void job_caught_up(struct job *job);

#endif
