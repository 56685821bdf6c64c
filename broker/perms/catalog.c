/* broker/perms/catalog.c - SQL out, rows in. */
#include "broker/perms/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "broker/policy/sql.h"

enum field {
    FIELD_UNSEEN,
    FIELD_FINGERPRINT,
    FIELD_NUMBER,
    FIELD_ROLE,
    FIELD_TABLE,
    FIELD_KIND,
    FIELD_PARTITION,
    FIELD_PUBLISHED,
    FIELD_RLS,
    FIELD_USAGE,
    FIELD_COLUMN,
    FIELD_READABLE,
    FIELD_GENERATED,
    FIELD_ATTRIBUTE,
    FIELD_TYPE,
};

/* An xid of the WAL has 32 bits; the snapshot counts in 64. The nearest number to the snapshot's end
 * that ends in those bits is meant. A commit can be decoded before others see it: hence the question. */
const char catalog_sql[] =
    "WITH now AS MATERIALIZED ("
    "  SELECT s, pg_snapshot_xmax(s)::text::bigint AS next FROM pg_current_snapshot() s"
    "), unseen AS MATERIALIZED ("
    "  SELECT ' ' || coalesce(string_agg(x.xid::text, ' '), '') || ' ' AS list"
    "  FROM unnest($4::bigint[]) x(xid), now,"
    "  LATERAL (SELECT ((now.next >> 32) << 32) + x.xid AS near) n,"
    "  LATERAL (SELECT CASE WHEN near > next + 2147483648 AND near >= 4294967296 THEN near - "
    "4294967296"
    "           WHEN near < next - 2147483648 THEN near + 4294967296 ELSE near END AS xid) w"
    "  WHERE NOT pg_visible_in_snapshot(w.xid::text::xid8, now.s)"
    "), print AS MATERIALIZED ("
    "  SELECT concat_ws('/',"
    "   (SELECT sum(hashtextextended(concat_ws(' ', oid, rolname, rolsuper, rolinherit, "
    "rolbypassrls), 0)) FROM "
    "pg_roles),"
    "   (SELECT sum(hashtextextended(concat_ws(' ', roleid, member), 0)) FROM pg_auth_members)) AS "
    "value"
    "), published AS MATERIALIZED ("
    "  SELECT t.relid FROM pg_publication p, LATERAL pg_get_publication_tables(p.pubname) t"
    "  WHERE p.pubname = $5 AND cardinality($1::text[]) > 0"
    ") SELECT unseen.list, print.value, q.number, r.oid, c.oid, c.relkind, c.relispartition,"
    "  EXISTS (SELECT FROM published WHERE relid = c.oid), c.relrowsecurity, g.usage, a.attname,"
    "  coalesce(g.usage AND has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT') AND (g.selects "
    "OR EXISTS ("
    "   SELECT FROM aclexplode(a.attacl) x WHERE x.privilege_type = 'SELECT'"
    "   AND (x.grantee = 0 OR pg_has_role(r.oid, x.grantee, 'USAGE')))), false),"
    "  a.attgenerated <> '', a.attnum, a.atttypid"
    " FROM unseen CROSS JOIN print"
    " LEFT JOIN unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY q(nsp, rel, role, "
    "number) ON true"
    " LEFT JOIN pg_roles r ON r.rolname = q.role::name"
    " LEFT JOIN pg_namespace n ON n.nspname = q.nsp::name"
    " LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = q.rel::name"
    " LEFT JOIN LATERAL (SELECT coalesce(has_schema_privilege(r.oid, n.oid, 'USAGE'), false) AND"
    "   (r.rolsuper OR pg_has_role(r.oid, 'pg_read_all_data', 'USAGE') OR EXISTS ("
    "   SELECT FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x"
    "   WHERE x.privilege_type = 'USAGE'"
    "   AND (x.grantee = 0 OR pg_has_role(r.oid, x.grantee, 'USAGE')))) AS usage,"
    "  (r.rolsuper OR pg_has_role(r.oid, 'pg_read_all_data', 'USAGE') OR EXISTS ("
    "   SELECT FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x"
    "   WHERE x.privilege_type = 'SELECT'"
    "   AND (x.grantee = 0 OR pg_has_role(r.oid, x.grantee, 'USAGE')))) AS selects"
    " ) g ON r.oid IS NOT NULL AND c.oid IS NOT NULL"
    " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " ORDER BY q.number, a.attnum";

static const char *text_at(const PGresult *result, int row, enum field field)
{
    return PQgetvalue(result, row, (int)field);
}

static bool is_null(const PGresult *result, int row, enum field field)
{
    return PQgetisnull(result, row, (int)field) != 0;
}

static bool is_true(const PGresult *result, int row, enum field field)
{
    return !is_null(result, row, field) && text_at(result, row, field)[0] == 't';
}

static bool belongs_to(const PGresult *result, int row, size_t number)
{
    return !is_null(result, row, FIELD_NUMBER) &&
           strtoull(text_at(result, row, FIELD_NUMBER), NULL, 10) == number + 1;
}

/* NULL when nothing stands against the table itself. */
static struct access *refuse_table(const PGresult *result, int row,
                                   const struct catalog_question *q)
{
    if (is_null(result, row, FIELD_ROLE)) {
        return access_refuse(WIRE_CODE_FORBIDDEN, "role \"%s\" does not exist in the database",
                             q->role);
    }
    if (is_null(result, row, FIELD_TABLE)) {
        return access_refuse(WIRE_CODE_SUBSCRIPTION_FAILED, "table %s.%s does not exist", q->schema,
                             q->table);
    }
    char kind = text_at(result, row, FIELD_KIND)[0];
    if (kind != 'r' && kind != 'p') {
        return access_refuse(WIRE_CODE_SUBSCRIPTION_FAILED,
                             "%s.%s is not a table: only tables have changes to watch", q->schema,
                             q->table);
    }
    if (!is_true(result, row, FIELD_PUBLISHED)) {
        if (is_true(result, row, FIELD_PARTITION)) {
            return access_refuse(
                WIRE_CODE_FORBIDDEN,
                "table %s.%s is a partition and not enabled for realtime by itself: "
                "subscribe to the partitioned table it belongs to",
                q->schema, q->table);
        }
        return access_refuse(
            WIRE_CODE_FORBIDDEN,
            "table %s.%s is not enabled for realtime: run SELECT enable_realtime('%s.%s')",
            q->schema, q->table, q->schema, q->table);
    }
    if (!is_true(result, row, FIELD_USAGE)) {
        return access_refuse(WIRE_CODE_FORBIDDEN, "role \"%s\" has no USAGE on schema %s", q->role,
                             q->schema);
    }
    return NULL;
}

void catalog_xid_array(struct rt_buf *out, const uint32_t *xids, size_t count)
{
    rt_buf_putc(out, '{');
    for (size_t i = 0; i < count; i++) {
        rt_buf_printf(out, i == 0 ? "%u" : ",%u", (unsigned)xids[i]);
    }
    rt_buf_putc(out, '}');
}

void catalog_request_init(struct catalog_request *request, const struct catalog_question *questions,
                          size_t count, const struct fences *fences, const char *publication)
{
    const char **names = rt_realloc(NULL, count + 1, sizeof(char *));

    *request = (struct catalog_request){ .params = { NULL } };
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < count; j++) {
            const struct catalog_question *q = &questions[j];
            names[j] = i == 0 ? q->schema : i == 1 ? q->table : q->role;
        }
        policy_sql_text_array(&request->arrays[i], names, count);
    }
    catalog_xid_array(&request->arrays[3], fences->xids, fences->count);
    for (size_t i = 0; i < CATALOG_PARAMS - 1; i++) {
        request->params[i] = rt_buf_cstr(&request->arrays[i]);
    }
    request->params[CATALOG_PARAMS - 1] = publication;
    free(names);
}

void catalog_request_fini(struct catalog_request *request)
{
    for (size_t i = 0; i < CATALOG_PARAMS - 1; i++) {
        rt_buf_fini(&request->arrays[i]);
    }
}

bool catalog_all_seen(const PGresult *result)
{
    return strspn(text_at(result, 0, FIELD_UNSEEN), " ") ==
           strlen(text_at(result, 0, FIELD_UNSEEN));
}

const char *catalog_fingerprint(const PGresult *result)
{
    return text_at(result, 0, FIELD_FINGERPRINT);
}

static uint32_t number_at(const PGresult *result, int row, enum field field)
{
    return (uint32_t)strtoul(text_at(result, row, field), NULL, 10);
}

static void read_columns(const PGresult *result, int first, int end, struct access *access)
{
    access->oid = number_at(result, first, FIELD_TABLE);
    access->all = true;
    for (int i = first; i < end; i++) {
        bool readable = is_true(result, i, FIELD_READABLE);
        if (!is_null(result, i, FIELD_COLUMN)) {
            access_add_attribute(access, text_at(result, i, FIELD_COLUMN),
                                 number_at(result, i, FIELD_ATTRIBUTE),
                                 number_at(result, i, FIELD_TYPE));
        }
        if (readable) {
            access_add_column(access, text_at(result, i, FIELD_COLUMN),
                              is_true(result, i, FIELD_GENERATED));
        }
        access->all = access->all && readable;
    }
}

struct access *catalog_read(const PGresult *result, int *row, size_t number,
                            const struct catalog_question *question, bool *out_secured)
{
    int first = *row;

    *out_secured = false;
    while (*row < PQntuples(result) && belongs_to(result, *row, number)) {
        (*row)++;
    }
    if (first == *row) {
        return access_refuse(WIRE_CODE_SUBSCRIPTION_FAILED,
                             "the database gave no answer about %s.%s", question->schema,
                             question->table);
    }
    struct access *access = refuse_table(result, first, question);
    if (access != NULL) {
        return access;
    }
    access = access_new();
    read_columns(result, first, *row, access);
    *out_secured = is_true(result, first, FIELD_RLS);
    if (access->column_count > 0) {
        access_seal(access);
        return access;
    }
    access_unref(access);
    return access_refuse(WIRE_CODE_FORBIDDEN, "role \"%s\" may not SELECT from table %s.%s",
                         question->role, question->schema, question->table);
}
