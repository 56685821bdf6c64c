/* broker/perms/catalog.h - the catalog query about (table, role), and what its rows mean. No I/O.
 *
 * One statement answers many questions, reads its catalogs under one snapshot, and says which of the given
 * transactions that snapshot does not see yet. Source of the rules: reference on row security and
 * privileges in PostgreSQL (has_column_privilege, aclexplode, pg_get_publication_tables).
 *
 * Privileges are taken as given only when two sources agree: PostgreSQL's own functions, whose caches may be a moment
 * older than the snapshot, and the ACLs as the snapshot shows them.
 */
#ifndef PGTIDE_BROKER_PERMS_CATALOG_H
#define PGTIDE_BROKER_PERMS_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "broker/access.h"
#include "broker/perms/fences.h"
#include "runtime/buf.h"

struct catalog_question {
    const char *schema;
    const char *table;
    const char *role;
};

enum { CATALOG_PARAMS = 5 };
/* $1 schemas, $2 tables, $3 roles, $4 xids (32 bits, as in the WAL), $5 publication. */
extern const char catalog_sql[];

struct catalog_request {
    const char *params[CATALOG_PARAMS];
    struct rt_buf arrays[CATALOG_PARAMS - 1]; /* what most of them point to */
};
/* The publication's name outlives the request. */
void catalog_request_init(struct catalog_request *request, const struct catalog_question *questions,
                          size_t count, const struct fences *fences, const char *publication);
void catalog_request_fini(struct catalog_request *request);

/* An array literal for a parameter. */
void catalog_xid_array(struct rt_buf *out, const uint32_t *xids, size_t count);

/* Whether the statement's snapshot sees all the xids it was asked about. */
bool catalog_all_seen(const PGresult *result);
/* A number that changes when roles or memberships do. */
const char *catalog_fingerprint(const PGresult *result);
/* Rows come by question. Reads those of question `number` (from 0), from row *row on, and moves it. With one reference.
 * *out_secured: the table has row-level security, and an access that allows is not complete without its policies. */
struct access *catalog_read(const PGresult *result, int *row, size_t number,
                            const struct catalog_question *question, bool *out_secured);

#endif
