/* broker/perms/inquiry.h - a batch of questions about (table, role), as a conversation with PostgreSQL.
 *
 * One read-only transaction, one snapshot: the catalog; for tables with row-level security the policies that apply; what these
 * mention (operators, functions, types). So an answer's columns and policies are of the same moment, and if the
 * snapshot sees the fences, all of it does. Without questions it is the catalog's one statement (fences, roles).
 *
 * Knows no watch. The connection is the caller's, and gives it the result of each statement. One thread. Cost: three round trips,
 * five with policies, up to eight with policies that read other tables: what those show to the role is read as well.
 */
#ifndef PGTIDE_BROKER_PERMS_INQUIRY_H
#define PGTIDE_BROKER_PERMS_INQUIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "broker/access.h"
#include "broker/perms/catalog.h"
#include "broker/perms/fences.h"

struct inquiry;
struct pgconn;

enum inquiry_news {
    INQUIRY_MORE,     /* a statement is under way */
    INQUIRY_FAILED,   /* the result is an error; a ROLLBACK may be under way */
    INQUIRY_UNSEEN,   /* the snapshot does not see all fences; likewise */
    INQUIRY_ANSWERED, /* inquiry_take(); a COMMIT may be under way */
    INQUIRY_OVER,     /* and with it the transaction */
};

/* They outlive the inquiry. */
struct inquiry_names {
    const char *publication;        /* of what clients may watch */
    const char *policy_publication; /* of what policies read */
    const char *slot;
};

struct inquiry *inquiry_new(struct pgconn *conn, const struct inquiry_names *names);
void inquiry_free(struct inquiry *inquiry); /* NULL is fine */

/* The names, the fences are copied. False: the connection is not ready. */
bool inquiry_start(struct inquiry *inquiry, const struct catalog_question *questions, size_t count,
                   const struct fences *fences);
enum inquiry_news inquiry_result(struct inquiry *inquiry, const PGresult *result);
/* The connection is gone, and what was asked with it. */
void inquiry_reset(struct inquiry *inquiry);
/* After INQUIRY_ANSWERED, before the next start: the answer to a question, once; the caller's reference. */
struct access *inquiry_take(struct inquiry *inquiry, size_t number);
/* Of the last answer. See catalog_fingerprint(). */
const char *inquiry_fingerprint(const struct inquiry *inquiry);

#endif
