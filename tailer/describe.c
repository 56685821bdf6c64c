/* tailer/describe.c - see describe.h. */
#include "tailer/describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/records.h"
#include "runtime/buf.h"
#include "tailer/catalog.h"
#include "tailer/relcache.h"
#include "tailer/shapes.h"

/* One row per column. Replica identity: the primary key, an index, or everything. A column list of the publication is in
 * prattrs, which older servers do not have. */
static const char columns_sql[] =
    "SELECT n.nspname, c.relname, c.relreplident, a.attname, a.atttypid, a.atttypmod,"
    " a.attgenerated <> '',"
    " coalesce(a.attnum = ANY ((p.indkey::int2[])[0:p.indnkeyatts - 1]), false),"
    " c.relreplident = 'f' OR coalesce(a.attnum = ANY ((r.indkey::int2[])[0:r.indnkeyatts - 1]),"
    " false)"
    " FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"
    " LEFT JOIN pg_catalog.pg_index p ON p.indrelid = c.oid AND p.indisprimary"
    " LEFT JOIN pg_catalog.pg_index r ON r.indrelid = c.oid AND"
    " CASE c.relreplident WHEN 'd' THEN r.indisprimary WHEN 'i' THEN r.indisreplident END"
    " LEFT JOIN (pg_catalog.pg_publication_rel l JOIN pg_catalog.pg_publication b"
    " ON b.oid = l.prpubid AND b.pubname = $2) ON l.prrelid = c.oid"
    " WHERE c.oid = $1::oid AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped"
    " AND (to_jsonb(l) ->> 'prattrs' IS NULL OR"
    " (to_jsonb(l) -> 'prattrs') @> to_jsonb(a.attnum))"
    " ORDER BY a.attnum";

enum { SCHEMA, TABLE, IDENTITY, NAME, TYPE, TYPMOD, GENERATED, IS_PRIMARY, IS_IDENTITY };

static struct wire_span value(const PGresult *rows, int row, int column)
{
    const char *text = PQgetvalue(rows, row, column);

    return (struct wire_span){ text, strnlen(text, WIRE_NAME_MAX) };
}

static bool is_true(const PGresult *rows, int row, int column)
{
    return PQgetvalue(rows, row, column)[0] == 't';
}

static struct wire_column column_of(const PGresult *rows, int row)
{
    return (struct wire_column){
        .name = value(rows, row, NAME),
        .type_oid = (uint32_t)strtoul(PQgetvalue(rows, row, TYPE), NULL, 10),
        .typmod = (int32_t)strtol(PQgetvalue(rows, row, TYPMOD), NULL, 10),
        .flags = (is_true(rows, row, IS_PRIMARY) ? (uint32_t)WIRE_COLUMN_PRIMARY : 0) |
                 (is_true(rows, row, IS_IDENTITY) ? (uint32_t)WIRE_COLUMN_IDENTITY : 0),
    };
}

static bool write_relation(struct catalog *catalog, struct relcache *relcache, uint32_t oid,
                           const PGresult *rows, struct wire_writer *out)
{
    struct facts_source facts = catalog_facts(catalog);
    int count = PQntuples(rows);
    struct wire_column *columns = rt_alloc(((size_t)count + 1) * sizeof(*columns));
    struct wire_span *hidden = rt_alloc(((size_t)count + 1) * sizeof(*hidden));
    struct wire_writer *shapes = rt_alloc(((size_t)count + 1) * sizeof(*shapes));
    struct wire_relation head = { .rel = relcache_number(relcache),
                                  .oid = oid,
                                  .schema = value(rows, 0, SCHEMA),
                                  .table = value(rows, 0, TABLE),
                                  .identity = (uint8_t)PQgetvalue(rows, 0, IDENTITY)[0] };
    bool answered = true;

    for (int i = 0; i < count && answered; i++) {
        struct shapes_report report = { 0 };
        if (is_true(rows, i, GENERATED)) {
            hidden[head.not_streamed_count++] = value(rows, i, NAME);
            continue;
        }
        struct wire_column *column = &columns[head.column_count];
        struct wire_writer *shape = &shapes[head.column_count++];
        *column = column_of(rows, i);
        answered = shapes_write(&facts, column->type_oid, shape, &report);
        column->shape = (struct wire_span){ (const char *)shape->data, shape->len };
    }
    if (answered) {
        wire_encode_relation(out, &head, columns, hidden);
    }
    for (int i = 0; i < count; i++) {
        wire_writer_fini(&shapes[i]);
    }
    free(shapes);
    free(hidden);
    free(columns);
    return answered;
}

bool describe_table(struct catalog *catalog, struct relcache *relcache, const char *publication,
                    uint32_t oid, struct wire_writer *out)
{
    const struct relation *current = relcache_current(relcache, oid);
    char text[16];
    const char *params[] = { text, publication };

    wire_writer_clear(out);
    if (current != NULL) {
        wire_write_raw(out, current->record.data, current->record.len);
        return true;
    }
    (void)snprintf(text, sizeof(text), "%u", (unsigned)oid);
    PGresult *rows = catalog_query(catalog, columns_sql, 2, params);
    bool found =
        rows != NULL && PQntuples(rows) > 0 && write_relation(catalog, relcache, oid, rows, out);
    PQclear(rows);
    return found;
}
