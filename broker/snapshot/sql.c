/* broker/snapshot/sql.c - see sql.h. */
#include "broker/snapshot/sql.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/policy/sql.h"

const char sql_nudge[] =
    "SELECT pg_catalog.pg_logical_emit_message(false, 'pgtide.snapshot', '')"
    " WHERE pg_catalog.pg_current_wal_insert_lsn() > pg_catalog.pg_current_wal_flush_lsn()";
const char sql_begin[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/* The settings of the tailer's walsender (tailer/dsn.c). An insert position right behind a page's header is one that
 * nothing has been written to: the stream would get there only with the next record. */
static const char enter[] =
    "SELECT pg_catalog.set_config('datestyle', 'ISO, MDY', true),"
    " pg_catalog.set_config('timezone', 'UTC', true),"
    " pg_catalog.set_config('intervalstyle', 'postgres', true),"
    " pg_catalog.set_config('extra_float_digits', '3', true),"
    " pg_catalog.set_config('bytea_output', 'hex', true),"
    " pg_catalog.set_config('search_path', 'pg_catalog', true),"
    " pg_catalog.set_config('statement_timeout', $1, true),"
    " pg_catalog.pg_current_snapshot()::pg_catalog.text,"
    " pg_catalog.pg_current_wal_insert_lsn(),"
    " pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_block_size')),"
    " pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size')),"
    " CASE WHEN pg_catalog.current_setting('synchronous_standby_names') = '' THEN 0"
    "  ELSE x.last + pg_catalog.age((x.last % 4294967296)::text::xid) END, ";
static const char enter_from[] =
    " FROM (SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint) "
    "x(last)";
enum { ENTER_SNAPSHOT = 7, ENTER_LSN, ENTER_BLOCK, ENTER_SEGMENT, ENTER_NEXT, ENTER_FIELDS };
enum { SHORT_HEADER = 24, LONG_HEADER = 40 };

/* One row for each column. A column the publication leaves out, or a generated one, need not be in the stream. */
const char sql_describe[] =
    "SELECT c.oid, c.relkind, p.about ->> 'rowfilter', a.attname, a.atttypid,"
    "  a.attgenerated = '' AND (p.about -> 'attnames' IS NULL OR p.about -> 'attnames' ? "
    "a.attname::text),"
    "  k.n, k.greater, k.equal"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " LEFT JOIN LATERAL (SELECT to_jsonb(t) AS about FROM pg_publication_tables t"
    "  WHERE t.pubname = $3::name AND t.schemaname = n.nspname AND t.tablename = c.relname) p ON "
    "true"
    " LEFT JOIN LATERAL (SELECT e.n, g.name AS greater, q.name AS equal"
    "  FROM pg_index i, unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY e(attnum, "
    "opclass, n)"
    "  JOIN pg_opclass o ON o.oid = e.opclass"
    "  JOIN LATERAL (SELECT format('%I.%s', s.nspname, x.oprname) FROM pg_amop m"
    "   JOIN pg_operator x ON x.oid = m.amopopr JOIN pg_namespace s ON s.oid = x.oprnamespace"
    "   WHERE m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype"
    "   AND m.amoprighttype = o.opcintype AND m.amopstrategy = 5) g(name) ON true"
    "  JOIN LATERAL (SELECT format('%I.%s', s.nspname, x.oprname) FROM pg_amop m"
    "   JOIN pg_operator x ON x.oid = m.amopopr JOIN pg_namespace s ON s.oid = x.oprnamespace"
    "   WHERE m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype"
    "   AND m.amoprighttype = o.opcintype AND m.amopstrategy = 3) q(name) ON true"
    "  WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND e.attnum = a.attnum"
    "  AND e.n <= i.indnkeyatts) k ON true"
    " WHERE n.nspname = $1::name AND c.relname = $2::name ORDER BY a.attnum";
enum {
    DESCRIBE_OID,
    DESCRIBE_KIND,
    DESCRIBE_FILTER,
    DESCRIBE_NAME,
    DESCRIBE_TYPE,
    DESCRIBE_STREAMED,
    DESCRIBE_KEY,
    DESCRIBE_GREATER,
    DESCRIBE_EQUAL,
    DESCRIBE_FIELDS,
};

void sql_table_init(struct sql_table *table, const struct relation *relation,
                    const struct access *access)
{
    int at = 0;

    *table = (struct sql_table){ .oid = relation->oid, .column_count = relation->column_count };
    table->schema = rt_strdup(relation->schema);
    table->table = rt_strdup(relation->table);
    table->columns = rt_realloc(NULL, (size_t)relation->column_count + 1, sizeof(*table->columns));
    for (uint32_t i = 0; i < relation->column_count; i++) {
        const struct wire_column *from = &relation->columns[i];
        struct sql_column *column = &table->columns[i];
        column->name = rt_strndup(from->name.data, from->name.len);
        column->type = from->type_oid;
        column->at = access_reads(access, from->name) ? at++ : -1;
    }
}

static void drop_keys(struct sql_table *table)
{
    for (uint32_t i = 0; i < table->key_count; i++) {
        free(table->keys[i].name);
        free(table->keys[i].greater);
        free(table->keys[i].equal);
    }
    free(table->keys);
    table->keys = NULL;
    table->key_count = 0;
}

void sql_table_fini(struct sql_table *table)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        free(table->columns[i].name);
    }
    drop_keys(table);
    free(table->columns);
    free(table->schema);
    free(table->table);
    free(table->filter);
    free(table->condition);
    *table = (struct sql_table){ 0 };
}

void sql_enter(struct rt_buf *out, const struct policy_identity *identity)
{
    struct policy_identity plain = *identity;

    plain.search_path =
        NULL; /* sql_path() is later: sql_describe names things as pg_catalog has them */
    rt_buf_puts(out, enter);
    policy_sql_identity(out, &plain);
    rt_buf_puts(out, enter_from);
}

/* "16/B374D848" */
static bool read_lsn(const char *text, uint64_t *out)
{
    char *slash = NULL;
    char *end = NULL;
    uint64_t high = strtoull(text, &slash, 16);

    if (slash == text || *slash != '/') {
        return false;
    }
    *out = high << 32 | strtoull(slash + 1, &end, 16);
    return end > slash + 1 && *end == '\0';
}

const char *sql_enter_read(const PGresult *result, uint64_t *out_lsn, uint64_t *out_next)
{
    uint64_t lsn = 0;

    if (PQntuples(result) != 1 || PQnfields(result) <= ENTER_FIELDS ||
        !read_lsn(PQgetvalue(result, 0, ENTER_LSN), &lsn)) {
        return NULL;
    }
    uint64_t block = strtoull(PQgetvalue(result, 0, ENTER_BLOCK), NULL, 10);
    uint64_t segment = strtoull(PQgetvalue(result, 0, ENTER_SEGMENT), NULL, 10);
    if (segment > 0 && lsn % segment == LONG_HEADER) {
        lsn -= LONG_HEADER;
    } else if (block > 0 && lsn % block == SHORT_HEADER) {
        lsn -= SHORT_HEADER;
    }
    *out_lsn = lsn;
    *out_next = strtoull(PQgetvalue(result, 0, ENTER_NEXT), NULL, 10);
    return PQgetvalue(result, 0, ENTER_SNAPSHOT);
}

static struct sql_column *find_column(const struct sql_table *table, const char *name)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (strcmp(table->columns[i].name, name) == 0) {
            return &table->columns[i];
        }
    }
    return NULL;
}

static bool same_columns(const struct sql_table *table, const PGresult *result)
{
    uint32_t found = 0;

    for (int i = 0; i < PQntuples(result); i++) {
        const struct sql_column *column = find_column(table, PQgetvalue(result, i, DESCRIBE_NAME));
        if (column != NULL) {
            found++;
            if (column->type != strtoul(PQgetvalue(result, i, DESCRIBE_TYPE), NULL, 10)) {
                return false;
            }
        } else if (PQgetvalue(result, i, DESCRIBE_STREAMED)[0] == 't') {
            return false;
        }
    }
    return found == table->column_count;
}

/* In the order of the index. False: a column of it is not for this reader, or something is missing. */
static bool read_keys(struct sql_table *table, const PGresult *result)
{
    uint32_t filled = 0;

    for (int i = 0; i < PQntuples(result); i++) {
        table->key_count += PQgetisnull(result, i, DESCRIBE_KEY) == 0;
    }
    table->keys = rt_alloc(((size_t)table->key_count + 1) * sizeof(*table->keys));
    for (int i = 0; i < PQntuples(result); i++) {
        const struct sql_column *column = find_column(table, PQgetvalue(result, i, DESCRIBE_NAME));
        unsigned long n = strtoul(PQgetvalue(result, i, DESCRIBE_KEY), NULL, 10);
        if (n == 0 || n > table->key_count || table->keys[n - 1].name != NULL) {
            continue;
        }
        struct sql_key *key = &table->keys[n - 1];
        key->name = rt_strdup(PQgetvalue(result, i, DESCRIBE_NAME));
        key->greater = rt_strdup(PQgetvalue(result, i, DESCRIBE_GREATER));
        key->equal = rt_strdup(PQgetvalue(result, i, DESCRIBE_EQUAL));
        key->type = (Oid)strtoul(PQgetvalue(result, i, DESCRIBE_TYPE), NULL, 10);
        key->at = column == NULL ? -1 : column->at;
        filled += key->at >= 0;
    }
    return filled == table->key_count && filled <= SQL_KEYS_MAX;
}

enum sql_described sql_describe_read(struct sql_table *table, const PGresult *result)
{
    drop_keys(table);
    free(table->filter);
    table->filter = NULL;
    if (PQnfields(result) != DESCRIBE_FIELDS || PQntuples(result) == 0 ||
        strtoul(PQgetvalue(result, 0, DESCRIBE_OID), NULL, 10) != table->oid) {
        return SQL_DROPPED;
    }
    if (!same_columns(table, result)) {
        return SQL_ALTERED;
    }
    table->only = PQgetvalue(result, 0, DESCRIBE_KIND)[0] == 'r';
    if (PQgetisnull(result, 0, DESCRIBE_FILTER) == 0) {
        table->filter = rt_strdup(PQgetvalue(result, 0, DESCRIBE_FILTER));
    }
    if (!read_keys(table, result)) {
        drop_keys(table);
    }
    return SQL_SAME;
}

static void quote(struct rt_buf *out, const char *name)
{
    rt_buf_putc(out, '"');
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '"') {
            rt_buf_putc(out, '"');
        }
        rt_buf_putc(out, *at);
    }
    rt_buf_putc(out, '"');
}

static void select_rows(struct rt_buf *out, const struct sql_table *table)
{
    const char *between = " ";

    rt_buf_puts(out, "SELECT");
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].at >= 0) {
            rt_buf_puts(out, between);
            quote(out, table->columns[i].name);
            between = ", ";
        }
    }
    rt_buf_puts(out, table->only ? " FROM ONLY " : " FROM ");
    quote(out, table->schema);
    rt_buf_putc(out, '.');
    quote(out, table->table);
    rt_buf_puts(out, table->condition != NULL ? " AS t" : "");
}

/* Which rows there are at all; returns what stands before a further condition. */
static const char *put_conditions(struct rt_buf *out, const struct sql_table *table)
{
    const char *before = " WHERE ";

    if (table->filter != NULL) {
        rt_buf_printf(out, "%s(%s)", before, table->filter);
        before = " AND ";
    }
    if (table->condition != NULL) {
        rt_buf_puts(out, before);
        rt_buf_puts(out, table->condition);
        before = " AND ";
    }
    return before;
}

static bool one_operator(const struct sql_table *table)
{
    for (uint32_t i = 1; i < table->key_count; i++) {
        if (strcmp(table->keys[i].greater, table->keys[0].greater) != 0) {
            return false;
        }
    }
    return true;
}

static void compare(struct rt_buf *out, const struct sql_table *table, uint32_t i,
                    const char *operator_name)
{
    quote(out, table->keys[i].name);
    rt_buf_printf(out, " OPERATOR(%s) $%" PRIu32, operator_name, i + 1);
}

/* ROW(k1, k2) > ROW($1, $2), which an index serves; if the operators differ, which it cannot say, written out. */
static void behind_key(struct rt_buf *out, const struct sql_table *table)
{
    uint32_t count = table->key_count;

    if (count > 1 && one_operator(table)) {
        for (uint32_t i = 0; i < count; i++) {
            rt_buf_puts(out, i == 0 ? "ROW(" : ", ");
            quote(out, table->keys[i].name);
        }
        rt_buf_printf(out, ") OPERATOR(%s) ROW(", table->keys[0].greater);
        for (uint32_t i = 0; i < count; i++) {
            rt_buf_printf(out, i == 0 ? "$%" PRIu32 : ", $%" PRIu32, i + 1);
        }
        rt_buf_putc(out, ')');
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        rt_buf_putc(out, '(');
        compare(out, table, i, table->keys[i].greater);
        if (i + 1 < count) {
            rt_buf_puts(out, " OR ");
            compare(out, table, i, table->keys[i].equal);
            rt_buf_puts(out, " AND ");
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        rt_buf_putc(out, ')');
    }
}

void sql_page(struct rt_buf *out, const struct sql_table *table, bool after, uint32_t limit)
{
    select_rows(out, table);
    const char *before = put_conditions(out, table);
    if (after) {
        rt_buf_puts(out, before);
        behind_key(out, table);
    }
    for (uint32_t i = 0; i < table->key_count; i++) {
        rt_buf_puts(out, i == 0 ? " ORDER BY " : ", ");
        quote(out, table->keys[i].name);
    }
    rt_buf_printf(out, " LIMIT %" PRIu32, limit);
}

void sql_declare(struct rt_buf *out, const struct sql_table *table)
{
    rt_buf_puts(out, "DECLARE pgtide_rows NO SCROLL CURSOR FOR ");
    select_rows(out, table);
    (void)put_conditions(out, table);
}

void sql_fetch(struct rt_buf *out, uint32_t limit)
{
    rt_buf_printf(out, "FETCH FORWARD %" PRIu32 " FROM pgtide_rows", limit);
}

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * 1099511628211u;
    }
    return hash;
}

uint64_t sql_key_print(const struct sql_table *table)
{
    uint64_t hash = 14695981039346656037u;

    for (uint32_t i = 0; i < table->key_count; i++) {
        hash = mix(hash, table->keys[i].name, strlen(table->keys[i].name) + 1);
        hash = mix(hash, &table->keys[i].type, sizeof(table->keys[i].type));
    }
    if (table->condition != NULL) {
        hash = mix(hash, table->condition, strlen(table->condition));
    }
    return hash;
}
