/* broker/view/filter_columns.c - one statement, one row for each column. */
#include "broker/view/filter_columns.h"

#include <stdlib.h>
#include <string.h>

#include "broker/policy/allow.h"
#include "runtime/buf.h"

enum field {
    FIELD_NAME,
    FIELD_ATTRIBUTE,
    FIELD_TYPE,
    FIELD_TYPE_NAME,
    FIELD_TYPTYPE,
    FIELD_ENUMS,
    FIELD_LABELS,
    FIELD_DETERMINISTIC,
    FIELD_BYTES,
    FIELD_FOLD,
    FIELD_SHARE,
    FIELD_UTF8,
};

/* The default collation is asked itself what it makes of ASCII's letters: Turkish and its kin have another i. */
const char filter_columns_sql[] =
    "SELECT a.attname, a.attnum, b.oid, b.typname, b.typtype,"
    " b.typtype = 'e' OR EXISTS (SELECT FROM pg_catalog.pg_type m"
    "  WHERE m.oid = b.typelem AND b.typcategory = 'A' AND m.typtype = 'e'),"
    " (SELECT pg_catalog.array_agg(e.enumlabel::text ORDER BY e.enumsortorder)"
    "  FROM pg_catalog.pg_enum e WHERE e.enumtypid = b.oid),"
    " coalesce(c.collisdeterministic, true),"
    " coalesce(CASE WHEN c.collprovider = 'd'"
    "  THEN d.datlocprovider = 'c' AND d.datcollate IN ('C', 'POSIX')"
    "  ELSE c.collprovider = 'c' AND c.collcollate IN ('C', 'POSIX') END, false),"
    " CASE WHEN c.collprovider = 'd' AND d.datlocprovider = 'c' AND d.datctype IN ('C', 'POSIX')"
    "  THEN 'c'"
    "  WHEN c.collprovider = 'c' AND c.collctype IN ('C', 'POSIX') THEN 'c'"
    "  WHEN c.collprovider = 'd' AND pg_catalog.lower('ABCDEFGHIJKLMNOPQRSTUVWXYZ')"
    "   = 'abcdefghijklmnopqrstuvwxyz' THEN 'a' ELSE '' END,"
    " coalesce((SELECT CASE WHEN s.n_distinct > 0 THEN 1 / s.n_distinct"
    "   WHEN s.n_distinct < 0 AND t.reltuples > 0 THEN -1 / (s.n_distinct * t.reltuples) END"
    "  FROM pg_catalog.pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = t.relname"
    "  AND s.attname = a.attname AND s.inherited = (t.relkind = 'p') LIMIT 1), 0),"
    " pg_catalog.getdatabaseencoding() = 'UTF8'"
    " FROM pg_catalog.pg_namespace n"
    " JOIN pg_catalog.pg_class t ON t.relnamespace = n.oid"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " JOIN LATERAL (WITH RECURSIVE base AS ("
    "   SELECT y.oid, y.typtype, y.typbasetype FROM pg_catalog.pg_type y WHERE y.oid = a.atttypid"
    "   UNION ALL SELECT y.oid, y.typtype, y.typbasetype FROM base JOIN pg_catalog.pg_type y"
    "   ON base.typtype = 'd' AND y.oid = base.typbasetype)"
    "  SELECT base.oid FROM base WHERE base.typtype <> 'd') o ON true"
    " JOIN pg_catalog.pg_type b ON b.oid = o.oid"
    " LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation"
    " JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()"
    " WHERE n.nspname = $1 AND t.relname = $2 ORDER BY a.attnum";

static const char *text_at(const PGresult *result, int row, enum field field)
{
    return PQgetvalue(result, row, (int)field);
}

static bool is_true(const PGresult *result, int row, enum field field)
{
    return text_at(result, row, field)[0] == 't';
}

static uint32_t number_at(const PGresult *result, int row, enum field field)
{
    return (uint32_t)strtoul(text_at(result, row, field), NULL, 10);
}

static const char *copy(struct filter_columns *columns, const char *text)
{
    return policy_arena_copy(&columns->arena, text, strlen(text));
}

/* An array of labels, in their order. */
static void read_labels(struct filter_columns *columns, struct filter_column *column,
                        const char *text)
{
    size_t len = strlen(text);
    char *scratch = policy_arena_alloc(&columns->arena, len + 1);
    struct rt_buf labels = { .data = NULL };
    struct policy_array array;
    struct policy_enum_label label = { .oid = 0 };
    const char *element = NULL;
    size_t element_len = 0;
    bool is_null = false;

    policy_array_open(&array, text, len);
    while (policy_array_next(&array, scratch, &element, &element_len, &is_null)) {
        label.len = (uint32_t)element_len;
        label.text = policy_arena_copy(&columns->arena, element, element_len);
        rt_buf_append(&labels, &label, sizeof(label));
    }
    struct policy_enum_label *kept = policy_arena_alloc(&columns->arena, labels.len + 1);
    if (labels.len > 0) {
        memcpy(kept, labels.data, labels.len);
    }
    column->labels = (struct policy_enum){ .oid = column->type,
                                           .count = (uint32_t)(labels.len / sizeof(label)),
                                           .labels = kept };
    rt_buf_fini(&labels);
}

static void read_type(struct filter_columns *columns, struct filter_column *column,
                      const PGresult *result, int row)
{
    const struct policy_allow_type *plain = policy_allow_type(column->type);
    char kind = text_at(result, row, FIELD_TYPTYPE)[0];

    column->composite = kind == 'c';
    column->enums = is_true(result, row, FIELD_ENUMS);
    column->shape.type = column->type;
    column->match = match_type_of(column->type, column->deterministic);
    if (plain != NULL) {
        column->shape.kind = plain->kind;
    } else if (kind == 'e') {
        read_labels(columns, column, text_at(result, row, FIELD_LABELS));
        column->shape.kind = POLICY_KIND_ENUM;
        column->shape.labels = &column->labels;
        column->match.form = MATCH_FORM_BYTES;
    }
}

static void read_column(struct filter_columns *columns, struct filter_column *column,
                        const PGresult *result, int row)
{
    char fold = text_at(result, row, FIELD_FOLD)[0];

    *column = (struct filter_column){
        .name = copy(columns, text_at(result, row, FIELD_NAME)),
        .attribute = number_at(result, row, FIELD_ATTRIBUTE),
        .type = number_at(result, row, FIELD_TYPE),
        .type_name = copy(columns, text_at(result, row, FIELD_TYPE_NAME)),
        .deterministic = is_true(result, row, FIELD_DETERMINISTIC),
        .bytes = is_true(result, row, FIELD_BYTES),
        .fold = fold == 'c'   ? FILTER_FOLD_C
                : fold == 'a' ? FILTER_FOLD_ASCII
                              : FILTER_FOLD_UNKNOWN,
        .share = strtod(text_at(result, row, FIELD_SHARE), NULL),
    };
    read_type(columns, column, result, row);
}

struct filter_columns *filter_columns_read(const PGresult *result)
{
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQnfields(result) != FILTER_COLUMNS_FIELDS) {
        return NULL;
    }
    struct filter_columns *columns = rt_alloc(sizeof(*columns));
    columns->refs = 1;
    columns->count = (uint32_t)PQntuples(result);
    columns->columns =
        policy_arena_alloc(&columns->arena, (columns->count + 1) * sizeof(*columns->columns));
    for (uint32_t i = 0; i < columns->count; i++) {
        read_column(columns, &columns->columns[i], result, (int)i);
        columns->utf8 = is_true(result, (int)i, FIELD_UTF8);
    }
    return columns;
}

struct filter_columns *filter_columns_ref(struct filter_columns *columns)
{
    columns->refs++;
    return columns;
}

void filter_columns_unref(struct filter_columns *columns)
{
    if (columns != NULL && --columns->refs == 0) {
        policy_arena_fini(&columns->arena);
        free(columns);
    }
}

const struct filter_column *filter_columns_find(const struct filter_columns *columns,
                                                const char *name)
{
    for (uint32_t i = 0; i < columns->count; i++) {
        if (strcmp(columns->columns[i].name, name) == 0) {
            return &columns->columns[i];
        }
    }
    return NULL;
}
