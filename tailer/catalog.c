/* tailer/catalog.c - see catalog.h. */
#include "tailer/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "tailer/dsn.h"
#include "tailer/snapshot.h"

/* An index may carry further columns (INCLUDE) behind its key. */
static const char table_sql[] =
    "SELECT a.attname, coalesce(a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]), false),"
    " a.attgenerated <> '', p.here"
    " FROM pg_catalog.pg_attribute a"
    " CROSS JOIN (SELECT EXISTS (SELECT FROM pg_catalog.pg_publication b,"
    " LATERAL pg_catalog.pg_get_publication_tables(b.pubname) t"
    " WHERE b.pubname = $2 AND t.relid = $1::oid) AS here) p"
    " LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary"
    " WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

static const char type_sql[] =
    "SELECT t.typtype, t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc,"
    " t.oid IN (22, 30), t.typelem, coalesce(e.typdelim, ','), t.typbasetype"
    " FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem"
    " WHERE t.oid = $1::oid";

static const char attributes_sql[] =
    "SELECT a.attname, a.atttypid FROM pg_catalog.pg_attribute a"
    " JOIN pg_catalog.pg_type t ON t.typrelid = a.attrelid"
    " WHERE t.oid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

struct catalog {
    struct catalog_config config;
    PGconn *conn;
    char *hosts; /* NULL: as the url says */
    char *addresses;
    rt_usec retry_at; /* no new connection before */
    char *error;
    char sqlstate[6];
};

static void set_error(struct catalog *catalog, const char *text, const char *sqlstate)
{
    size_t len = strcspn(text, "\n");

    free(catalog->error);
    catalog->error = rt_strndup(text, len);
    (void)snprintf(catalog->sqlstate, sizeof(catalog->sqlstate), "%s",
                   sqlstate == NULL ? "" : sqlstate);
}

/* libpq would write to standard error, past our log. */
static void log_notice(void *ctx, const char *message)
{
    struct catalog *catalog = ctx;

    rt_log_debug(catalog->config.log, "catalog.notice",
                 RT_SN("text", message, strcspn(message, "\n")));
}

static bool connect_now(struct catalog *catalog)
{
    struct dsn dsn;

    catalog->retry_at = rt_now() + CATALOG_RETRY;
    if (!dsn_init(&dsn, catalog->config.url, DSN_SQL, catalog->config.timeout)) {
        set_error(catalog, "database.url is not a connection string", NULL);
        return false;
    }
    if (catalog->hosts != NULL) {
        dsn_locate(&dsn, catalog->hosts, catalog->addresses);
    }
    catalog->conn = PQconnectdbParams(dsn.keys, dsn.values, 1);
    dsn_fini(&dsn);
    PQsetNoticeProcessor(catalog->conn, log_notice, catalog);
    if (PQstatus(catalog->conn) == CONNECTION_OK) {
        return true;
    }
    set_error(catalog, PQerrorMessage(catalog->conn), NULL);
    PQfinish(catalog->conn);
    catalog->conn = NULL;
    rt_log_warn(catalog->config.log, "catalog.unreachable", RT_S("reason", catalog->error));
    return false;
}

static bool ready(struct catalog *catalog)
{
    if (catalog->conn != NULL && PQstatus(catalog->conn) == CONNECTION_OK) {
        return true;
    }
    if (catalog->conn != NULL) {
        PQfinish(catalog->conn);
        catalog->conn = NULL;
    }
    return rt_now() >= catalog->retry_at && connect_now(catalog);
}

PGresult *catalog_query(struct catalog *catalog, const char *sql, int count,
                        const char *const *params)
{
    if (!ready(catalog)) {
        return NULL;
    }
    rt_counter_add(catalog->config.queries, 1);
    PGresult *result = PQexecParams(catalog->conn, sql, count, NULL, params, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return result;
    }
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    set_error(catalog, text == NULL ? PQerrorMessage(catalog->conn) : text,
              PQresultErrorField(result, PG_DIAG_SQLSTATE));
    rt_log_warn(catalog->config.log, "catalog.query_failed", RT_S("reason", catalog->error),
                RT_S("sqlstate", catalog->sqlstate));
    PQclear(result);
    return NULL;
}

static PGresult *query_oid(struct catalog *catalog, const char *sql, uint32_t oid)
{
    char text[16];
    const char *params[] = { text };

    (void)snprintf(text, sizeof(text), "%u", (unsigned)oid);
    return catalog_query(catalog, sql, 1, params);
}

static bool is_true(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column)[0] == 't';
}

static uint32_t get_oid(const PGresult *result, int row, int column)
{
    return (uint32_t)strtoul(PQgetvalue(result, row, column), NULL, 10);
}

static void get_name(const PGresult *result, int row, char out[FACTS_NAME_SIZE])
{
    (void)snprintf(out, FACTS_NAME_SIZE, "%s", PQgetvalue(result, row, 0));
}

static enum facts_result facts_visible(void *ctx, uint32_t xid)
{
    PGresult *result = catalog_query(ctx, "SELECT pg_catalog.pg_current_snapshot()", 0, NULL);

    if (result == NULL) {
        return FACTS_DOWN;
    }
    bool sees = PQntuples(result) == 1 && snapshot_sees(PQgetvalue(result, 0, 0), xid);
    PQclear(result);
    return sees ? FACTS_OK : FACTS_WAIT;
}

static enum facts_result facts_table(void *ctx, uint32_t oid, struct facts_table *out)
{
    struct catalog *catalog = ctx;
    char text[16];
    const char *params[] = { text, catalog->config.policy_publication };

    (void)snprintf(text, sizeof(text), "%u", (unsigned)oid);
    PGresult *result = catalog_query(catalog, table_sql, 2, params);
    if (result == NULL) {
        return FACTS_DOWN;
    }
    int rows = PQntuples(result);
    *out = (struct facts_table){ .columns = rt_alloc(((size_t)rows + 1) * sizeof(*out->columns)) };
    for (int i = 0; i < rows; i++) {
        struct facts_column *column = &out->columns[out->count];
        column->primary = is_true(result, i, 1);
        column->generated = is_true(result, i, 2);
        out->read_by_policies = is_true(result, i, 3);
        if (column->primary || column->generated) {
            get_name(result, i, column->name);
            out->count++;
        }
    }
    PQclear(result);
    if (rows == 0) {
        facts_table_fini(out);
        return FACTS_ABSENT;
    }
    return FACTS_OK;
}

static enum facts_result read_attributes(struct catalog *catalog, uint32_t oid,
                                         struct facts_type *out)
{
    PGresult *result = query_oid(catalog, attributes_sql, oid);

    if (result == NULL) {
        return FACTS_DOWN;
    }
    int rows = PQntuples(result);
    out->attributes = rt_alloc(((size_t)rows + 1) * sizeof(*out->attributes));
    out->attribute_count = (size_t)rows;
    for (int i = 0; i < rows; i++) {
        get_name(result, i, out->attributes[i].name);
        out->attributes[i].type = get_oid(result, i, 1);
    }
    PQclear(result);
    return FACTS_OK;
}

static enum facts_result facts_type(void *ctx, uint32_t oid, struct facts_type *out)
{
    PGresult *result = query_oid(ctx, type_sql, oid);

    if (result == NULL) {
        return FACTS_DOWN;
    }
    if (PQntuples(result) != 1) {
        PQclear(result);
        return FACTS_ABSENT;
    }
    *out = (struct facts_type){
        .kind = PQgetvalue(result, 0, 0)[0],
        .is_array = is_true(result, 0, 1),
        .is_vector = is_true(result, 0, 2),
        .element = get_oid(result, 0, 3),
        .delimiter = PQgetvalue(result, 0, 4)[0],
        .base = get_oid(result, 0, 5),
    };
    PQclear(result);
    return out->kind == 'c' ? read_attributes(ctx, oid, out) : FACTS_OK;
}

struct catalog *catalog_new(const struct catalog_config *config)
{
    struct catalog *catalog = rt_alloc(sizeof(*catalog));

    catalog->config = *config;
    catalog->error = rt_strdup("not connected yet");
    return catalog;
}

void catalog_free(struct catalog *catalog)
{
    if (catalog != NULL) {
        catalog_close(catalog);
        free(catalog->hosts);
        free(catalog->addresses);
        free(catalog->error);
        free(catalog);
    }
}

void catalog_locate(struct catalog *catalog, const char *hosts, const char *addresses)
{
    free(catalog->hosts);
    free(catalog->addresses);
    catalog->hosts = rt_strdup(hosts);
    catalog->addresses = rt_strdup(addresses);
}

struct facts_source catalog_facts(struct catalog *catalog)
{
    return (struct facts_source){
        .visible = facts_visible,
        .table = facts_table,
        .type = facts_type,
        .ctx = catalog,
    };
}

const char *catalog_error(const struct catalog *catalog)
{
    return catalog->error;
}

const char *catalog_sqlstate(const struct catalog *catalog)
{
    return catalog->sqlstate;
}

bool catalog_connected(const struct catalog *catalog)
{
    return catalog->conn != NULL && PQstatus(catalog->conn) == CONNECTION_OK;
}

int catalog_server_version(const struct catalog *catalog)
{
    return catalog->conn == NULL ? 0 : PQserverVersion(catalog->conn);
}

void catalog_close(struct catalog *catalog)
{
    if (catalog->conn != NULL) {
        PQfinish(catalog->conn);
        catalog->conn = NULL;
    }
    catalog->retry_at = 0;
}
