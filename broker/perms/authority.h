/* broker/perms/authority.h - what roles may see of tables, asked of PostgreSQL and kept current.
 *
 * A watch is one (table, role). Its answer comes with on_access, again whenever it may have changed, never from inside a
 * call of this module. Answers are asked for in batches, one at a time, each under one snapshot (inquiry.h): columns, and the
 * policies that apply to the role. Policies that say the same as before are the same object.
 *
 * Fences. The stream says at which transaction rights may have changed. Decoding is ahead of visibility: a commit
 * is in the WAL before other sessions see it. So every answer, whoever asked, counts only if its snapshot sees
 * every fence up to now; else it is asked again a few milliseconds later. While answers of
 * a fence are outstanding, the stream waits; on_settled ends that.
 *
 * Without fences, a look at roles and memberships (for which PostgreSQL has no event) every AUTHORITY_POLL, and
 * every new connection, read all answers again; the stream does not wait for those.
 *
 * Fails closed: a question without an answer in time (first, or fenced) is answered with a refusal that says why.
 * Answers in force outlive a database that is away.
 *
 * One thread. Cost: a fence O(watches), a statement about 1 ms and some 20 µs per question.
 */
#ifndef PGTIDE_BROKER_PERMS_AUTHORITY_H
#define PGTIDE_BROKER_PERMS_AUTHORITY_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/access.h"
#include "broker/stats.h"
#include "runtime/clock.h"

#define AUTHORITY_TIMEOUT (10 * RT_SEC)
#define AUTHORITY_POLL    (1 * RT_SEC)
#define AUTHORITY_BATCH   256u

struct authority;
struct authority_watch;
struct rt_log;
struct rt_loop;

struct authority_events {
    /* The access is borrowed. The callback may unwatch any watch, this one included. */
    void (*on_access)(void *ctx, void *user, struct access *access);
    void (*on_settled)(void *ctx);
    void (*on_state)(void *ctx, bool up, const char *reason);
};

struct authority_config {
    struct rt_loop *loop;
    struct rt_log *log;
    struct stats *stats;
    const char *conninfo;
    const char *application_name;
    const char *publication; /* this and the next two outlive the authority */
    const char *policy_publication;
    const char *slot;
    rt_usec timeout; /* of a connection attempt or a statement */
    rt_usec retry_max;
    const struct authority_events *events;
    void *ctx;
};

struct authority *authority_new(const struct authority_config *config);
void authority_free(struct authority *authority); /* and its watches */

/* Names: C strings of 0 to 63 bytes of UTF-8; copied. */
struct authority_watch *authority_watch(struct authority *authority, const char *schema,
                                        const char *table, const char *role, void *user);
void authority_unwatch(struct authority_watch *watch);

/* Rights to the table (NULL, NULL: to every table) may have changed by transaction `xid` (0: unknown), which
 * commits at `lsn`. True: on_settled follows. Answers that already count for this lsn are not asked for again. */
bool authority_fence(struct authority *authority, const char *schema, const char *table,
                     uint32_t xid, uint64_t lsn);
/* Another history: transactions fenced so far may never become visible in this one. */
void authority_new_epoch(struct authority *authority);

#endif
