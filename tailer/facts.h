/* tailer/facts.h - what the relation cache must ask the catalog, as an interface: catalog.c answers from
 * PostgreSQL, unit tests from a table.
 *
 * pgoutput tells a table's columns, but not its primary key (with REPLICA IDENTITY FULL every column is
 * flagged as key), nor its generated columns, nor what a user-defined type is made of, nor by which publication
 * a change came.
 *
 * The catalog is read as of now, the WAL as of then. Two consequences: what was dropped since is FACTS_ABSENT, and
 * what was created by a transaction that is in the WAL but not yet visible to other sessions is absent as
 * well, for a moment; `visible` tells the two apart.
 */
#ifndef PGTIDE_TAILER_FACTS_H
#define PGTIDE_TAILER_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FACTS_NAME_SIZE 64 /* NAMEDATALEN */

enum facts_result {
    FACTS_OK,
    FACTS_ABSENT, /* the catalog does not know it */
    FACTS_WAIT,   /* `visible` only: the transaction is not visible to us yet */
    FACTS_DOWN,   /* no answer: ask again later */
};

struct facts_column {
    char name[FACTS_NAME_SIZE];
    bool primary;
    bool generated;
};
/* Only columns that are primary or generated. */
struct facts_table {
    struct facts_column *columns;
    size_t count;
    bool read_by_policies; /* every shard must hear of its changes */
};

struct facts_attribute {
    char name[FACTS_NAME_SIZE];
    uint32_t type;
};
struct facts_type {
    char kind;        /* pg_type.typtype: b, c, d, e, m, p, r */
    char delimiter;   /* of the element type, when it is an array */
    bool is_array;    /* subscripted as a true array; name and point are not */
    bool is_vector;   /* int2vector and oidvector: elements separated by a space */
    uint32_t element; /* of an array */
    uint32_t base;    /* of a domain */
    struct facts_attribute *attributes; /* of a composite type, dropped ones left out */
    size_t attribute_count;
};

struct facts_source {
    /* Whether the effects of the transaction can be seen by later questions. */
    enum facts_result (*visible)(void *ctx, uint32_t xid);
    /* On FACTS_OK the caller frees what `out` points to with facts_*_fini. */
    enum facts_result (*table)(void *ctx, uint32_t oid, struct facts_table *out);
    enum facts_result (*type)(void *ctx, uint32_t oid, struct facts_type *out);
    void *ctx;
};

void facts_table_fini(struct facts_table *table);
void facts_type_fini(struct facts_type *type);

#endif
