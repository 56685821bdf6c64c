/* broker/snapshot/sql.h - the statements of a snapshot, and what the catalog says of its table. No I/O.
 *
 * A table is read in pages by its primary key, `(k1, k2) > ($1, $2) ORDER BY k1, k2 LIMIT n`, or, if it has none that the
 * role may read, with one cursor. Each value is asked for as it is: in the text format, under the settings of
 * sql_enter, PostgreSQL then writes exactly what pgoutput writes. (A cast to text does not: bool, char(n).)
 *
 * Names are quoted, and nothing depends on search_path: the comparison of a key is the operator of its index, by schema,
 * since `>` may find another one (of text, for citext), and then rows would be lost between two pages.
 *
 * Only the rows that the stream follows: not those of children that inherit from the table, which have their own name in
 * the stream, and what a row filter of the publication lets through; of these, what the client's own filter does. A page of a
 * filter that few rows satisfy may read the whole table: the statement's timeout is the bound.
 */
#ifndef PGTIDE_BROKER_SNAPSHOT_SQL_H
#define PGTIDE_BROKER_SNAPSHOT_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "broker/access.h"
#include "broker/policy/fold.h"
#include "broker/relations.h"
#include "runtime/buf.h"

#define SQL_KEYS_MAX 32u /* INDEX_MAX_KEYS */

struct sql_column {
    char *name;
    Oid type;
    int at; /* in the result of a page; -1: not for this reader */
};

struct sql_key {
    char *name;
    char *greater; /* "pg_catalog.>" */
    char *equal;
    Oid type;
    int at; /* in the result of a page */
};

struct sql_table {
    char *schema;
    char *table;
    uint32_t oid;
    struct sql_column *columns; /* as in the stream, all of them */
    uint32_t column_count;
    /* From the catalog (sql_describe_read); without keys it is read with a cursor. */
    struct sql_key *keys;
    uint32_t key_count;
    bool only;
    char *filter;    /* the publication's; NULL: none */
    char *condition; /* the client's filter, over a row called t; NULL: none */
};

/* The relation is not needed any more afterwards. */
void sql_table_init(struct sql_table *table, const struct relation *relation,
                    const struct access *access);
void sql_table_fini(struct sql_table *table);

/* Before it: what was written to the log and not flushed (nobody committed behind it) is, within wal_writer_delay. Else the
 * stream might not get to the snapshot's position before somebody else writes. May fail; then it waits. */
extern const char sql_nudge[];
/* A snapshot's transaction: sql_begin, then sql_enter() ($1 statement timeout in milliseconds), whose
 * one row is what sql_enter_read takes. It is the first statement and so the one that the snapshot is taken for. */
extern const char sql_begin[];
void sql_enter(struct rt_buf *out, const struct policy_identity *identity);
/* The text of the snapshot, a position in the log that what it sees was written before, and, if commits wait for
 * standbys, the next transaction's number (else 0): what waits is not in the snapshot's list. NULL: not such a row. */
const char *sql_enter_read(const PGresult *result, uint64_t *out_lsn, uint64_t *out_next);

/* $1 schema, $2 table, $3 publication. */
extern const char sql_describe[];
enum sql_described {
    SQL_SAME,
    SQL_DROPPED, /* or another table has the name now */
    SQL_ALTERED, /* its columns are not those of the stream, at this moment */
};
enum sql_described sql_describe_read(struct sql_table *table, const PGresult *result);

/* `after`: behind the key in parameters $1…; else from the beginning. */
void sql_page(struct rt_buf *out, const struct sql_table *table, bool after, uint32_t limit);
void sql_declare(struct rt_buf *out, const struct sql_table *table);
void sql_fetch(struct rt_buf *out, uint32_t limit);
/* What a token is bound to: changes when the key has other columns or types, and with the condition, whose rows before the key
 * have not been sent. FNV-1a. */
uint64_t sql_key_print(const struct sql_table *table);

#endif
