/* broker/view/filter_columns.h - what the catalog says of a table's columns, as filters need it.
 *
 * Types (of domains the base types), labels of enums, collations, how many values a column has. Asked once for a table, again
 * when it changes (a RELATION record, DDL): an answer belongs to one state of the table. Immutable once read, and counted.
 *
 * One thread. Look-ups: linear in the columns, when a client subscribes; none for a change.
 */
#ifndef PGTIDE_BROKER_VIEW_FILTER_COLUMNS_H
#define PGTIDE_BROKER_VIEW_FILTER_COLUMNS_H

#include <libpq-fe.h>

#include "broker/match/value.h"
#include "broker/policy/arena.h"
#include "broker/policy/program.h"

/* What lower() does under a column's collation, and so ILIKE. */
enum filter_fold {
    FILTER_FOLD_UNKNOWN,
    FILTER_FOLD_ASCII, /* ASCII's own, for texts that are ASCII */
    FILTER_FOLD_C,     /* only ASCII letters change, in any text */
};

struct filter_column {
    const char *name;
    uint32_t attribute;
    uint32_t type; /* of a domain its base type */
    const char *type_name;
    struct policy_shape shape; /* how its values are read; points to `labels` */
    struct policy_enum labels;
    bool composite;     /* its IS NULL looks inside */
    bool enums;         /* an enum, or an array of them */
    bool deterministic; /* the collation; true for types without one */
    bool bytes;         /* the collation's order is that of the bytes: "C", "POSIX" */
    enum filter_fold fold;
    struct match_type match; /* for the index */
    double share;            /* of the rows, that have one value; 0: unknown */
};

struct filter_columns {
    uint32_t refs;
    uint32_t count;
    bool utf8; /* the database's encoding */
    struct filter_column *columns;
    struct policy_arena arena;
};

/* $1 the schema, $2 the table: texts. No rows: there is no such table. Needs PostgreSQL 15. */
extern const char filter_columns_sql[];
/* SHARE: the field that ANALYZE changes. */
enum { FILTER_COLUMNS_PARAMS = 2, FILTER_COLUMNS_FIELDS = 12, FILTER_COLUMNS_SHARE = 10 };

/* With one reference. NULL: the result is no answer to the statement. */
struct filter_columns *filter_columns_read(const PGresult *result);
struct filter_columns *filter_columns_ref(struct filter_columns *columns);
void filter_columns_unref(struct filter_columns *columns); /* NULL is fine */
/* NULL: no such column. */
const struct filter_column *filter_columns_find(const struct filter_columns *columns,
                                                const char *name);

#endif
