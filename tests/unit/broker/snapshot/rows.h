/* tests/unit/broker/snapshot/rows.h - results of libpq made of texts, and a table of the stream. */
#ifndef PGTIDE_TESTS_BROKER_SNAPSHOT_ROWS_H
#define PGTIDE_TESTS_BROKER_SNAPSHOT_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libpq-fe.h>

#include "broker/access.h"
#include "broker/relations.h"
#include "broker/snapshot/sql.h"
#include "runtime/buf.h"

#define ROWS_OID 16384u

struct rows_column {
    const char *name;
    uint32_t type;
};

/* `count` rows of `fields` cells; NULL is NULL. */
static inline PGresult *rows_result(const char *const *cells, int count, int fields)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc *columns = calloc((size_t)fields + 1, sizeof(*columns));
    char name[] = "c";

    for (int i = 0; i < fields; i++) {
        columns[i].name = name;
    }
    assert_int_equal(PQsetResultAttrs(result, fields, columns), 1);
    free(columns);
    for (int i = 0; i < count * fields; i++) {
        char *copy = rt_strdup(cells[i] == NULL ? "" : cells[i]);
        assert_int_equal(PQsetvalue(result, i / fields, i % fields, cells[i] == NULL ? NULL : copy,
                                    cells[i] == NULL ? -1 : (int)strlen(copy)),
                         1);
        free(copy);
    }
    return result;
}

/* Table "my schema".t. */
static inline void rows_relation(struct relation *out, const struct rows_column *columns,
                                 uint32_t count)
{
    *out = (struct relation){ .oid = ROWS_OID, .column_count = count };
    strcpy(out->schema, "my schema");
    strcpy(out->table, "t");
    out->columns = calloc((size_t)count + 1, sizeof(*out->columns));
    for (uint32_t i = 0; i < count; i++) {
        out->columns[i].name = (struct wire_span){ columns[i].name, strlen(columns[i].name) };
        out->columns[i].type_oid = columns[i].type;
    }
}

/* Every column but `hidden`. */
static inline struct access *rows_access(const struct rows_column *columns, uint32_t count,
                                         const char *hidden)
{
    struct access *access = access_new();

    access->all = hidden == NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (hidden == NULL || strcmp(hidden, columns[i].name) != 0) {
            access_add_column(access, columns[i].name, false);
        }
    }
    access_seal(access);
    return access;
}

static inline void rows_table(struct sql_table *out, const struct rows_column *columns,
                              uint32_t count, const char *hidden)
{
    struct relation relation;
    struct access *access = rows_access(columns, count, hidden);

    rows_relation(&relation, columns, count);
    sql_table_init(out, &relation, access);
    free(relation.columns);
    access_unref(access);
}

#endif
