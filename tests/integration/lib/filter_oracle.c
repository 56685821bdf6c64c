/* filter_oracle - filters against PostgreSQL's own answers, through the match index.
 *
 *   filter_oracle CONNINFO SCHEMA TABLE < filters, one a line
 *
 * Each filter is parsed, cast by the database and filed in the index under the anchors it gives. Then every row of the table goes
 * through the index. The program that judges a candidate knows what PostgreSQL said of that row and filter, so it is never
 * wrong: what the index does not find is an anchor that excludes too much, or a form that takes equal values for different
 * ones. Refusals are printed, then one line of figures; the exit status tells whether all agree.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "broker/match/conditions.h"
#include "broker/match/filter_sql.h"
#include "broker/match/index.h"
#include "runtime/buf.h"

enum { COLUMNS_MAX = 64, LINE_MAX_BYTES = 8192 };

static const char columns_sql[] =
    "SELECT a.attname, b.oid, b.typtype = 'e', coalesce(c.collisdeterministic, true)"
    " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
    " JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END"
    " LEFT JOIN pg_collation c ON c.oid = a.attcollation"
    " WHERE a.attrelid = format('%I.%I', $1::text, $2::text)::regclass AND a.attnum > 0"
    " AND NOT a.attisdropped ORDER BY a.attnum";

/* What PostgreSQL said of one filter, by row; the index's constants. */
struct truth {
    char *rows;
};

struct oracle {
    PGconn *conn;
    PGresult *columns;
    PGresult *rows;
    struct filter_table table;
    struct match *match;
    struct match_table *views;
    struct truth **truths;
    uint32_t accepted;
    uint32_t refused;
    uint32_t decisions;
    uint32_t judged;
    uint32_t wrong;
};

static PGresult *query(struct oracle *oracle, const char *sql, int count, const char *const *params)
{
    PGresult *result = PQexecParams(oracle->conn, sql, count, NULL, params, NULL, NULL, 0);

    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        (void)fprintf(stderr, "%s\n%s\n", sql, PQerrorMessage(oracle->conn));
        exit(2);
    }
    return result;
}

static bool column(void *ctx, const char *name, struct conditions_column *out)
{
    const struct oracle *oracle = ctx;

    for (int i = 0; i < PQntuples(oracle->columns); i++) {
        if (strcmp(PQgetvalue(oracle->columns, i, 0), name) != 0) {
            continue;
        }
        uint32_t oid = (uint32_t)strtoul(PQgetvalue(oracle->columns, i, 1), NULL, 10);
        bool is_enum = PQgetvalue(oracle->columns, i, 2)[0] == 't';
        *out = (struct conditions_column){
            .place = (uint16_t)i,
            .type_oid = oid,
            .type = match_type_of(oid, PQgetvalue(oracle->columns, i, 3)[0] == 't'),
        };
        if (is_enum) {
            out->type.form = MATCH_FORM_BYTES;
        }
        return true;
    }
    return false;
}

static enum match_verdict judge(const struct match_program *program, const void *constants,
                                const struct match_row *row)
{
    const struct truth *truth = constants;
    int number = 0;

    (void)program;
    memcpy(&number, row->context, sizeof(number));
    return truth->rows[number] == 't' ? MATCH_YES : MATCH_NO;
}

static void release(const struct match_program *program, void *constants)
{
    struct truth *truth = constants;

    (void)program;
    free(truth->rows);
    free(truth);
}

static const struct match_program program = { judge, release };

/* What PostgreSQL says of every row. */
static struct truth *ask_truth(struct oracle *oracle, const struct filter *filter)
{
    struct truth *truth = calloc(1, sizeof(*truth));
    struct rt_buf sql = { .data = NULL };

    rt_buf_puts(&sql, "SELECT (");
    filter_sql_condition(filter, 0, &sql);
    rt_buf_printf(&sql, ") IS TRUE FROM \"%s\".\"%s\" t ORDER BY id", oracle->table.schema.data,
                  oracle->table.table.data);
    PGresult *result = query(oracle, rt_buf_cstr(&sql), 0, NULL);
    truth->rows = calloc((size_t)PQntuples(result) + 1, 1);
    for (int i = 0; i < PQntuples(result); i++) {
        truth->rows[i] = PQgetvalue(result, i, 0)[0];
    }
    PQclear(result);
    rt_buf_fini(&sql);
    return truth;
}

static void file(struct oracle *oracle, const struct filter *filter, struct truth *truth)
{
    struct conditions *conditions = calloc(1, sizeof(*conditions));
    struct match_sub sub;
    char key[32];

    conditions_of_filter(filter, column, oracle, conditions);
    (void)snprintf(key, sizeof(key), "%u", oracle->accepted);
    struct match_view view = { .program = &program,
                               .constants = truth,
                               .key = { key, strlen(key) },
                               .conjunctions = conditions->conjunctions,
                               .conjunction_count = conditions->count };
    if (match_add(oracle->views, &view, 0, &sub) != MATCH_ADDED) {
        (void)fprintf(stderr, "the index refuses a view\n");
        exit(2);
    }
    oracle->truths = rt_realloc(oracle->truths, oracle->accepted + 1, sizeof(struct truth *));
    oracle->truths[oracle->accepted++] = truth;
    free(conditions);
}

static void take_filter(struct oracle *oracle, const char *text)
{
    struct filter filter;
    struct filter_sql sql;
    struct filter_error error;
    char line[FILTER_ERROR_MAX + 32];
    bool retry = false;

    if (!filter_parse(&filter, FILTER_LIST, (struct wire_span){ text, strlen(text) }, &error)) {
        filter_error_text(&error, line, sizeof(line));
        (void)printf("%s\t%s\n", text, line);
        oracle->refused++;
        return;
    }
    filter_sql_init(&sql, &filter, &oracle->table);
    PGresult *result = PQexecParams(oracle->conn, (const char *)sql.text.data, sql.param_count,
                                    NULL, sql.params, NULL, NULL, 0);
    if (filter_sql_answer(&filter, &sql, result, &error, &retry)) {
        file(oracle, &filter, ask_truth(oracle, &filter));
    } else {
        filter_error_text(&error, line, sizeof(line));
        (void)printf("%s\t%s%s\n", text, retry ? "retry: " : "", line);
        oracle->refused++;
    }
    PQclear(result);
    filter_sql_fini(&sql);
    filter_fini(&filter);
}

static void take_row(struct oracle *oracle, int number)
{
    struct wire_value values[COLUMNS_MAX];
    int count = PQnfields(oracle->rows);

    for (int i = 0; i < count; i++) {
        values[i] = (struct wire_value){ .kind = WIRE_VALUE_NULL, .text = "" };
        if (!PQgetisnull(oracle->rows, number, i)) {
            values[i] =
                (struct wire_value){ .kind = WIRE_VALUE_TEXT,
                                     .text = PQgetvalue(oracle->rows, number, i),
                                     .len = (uint32_t)PQgetlength(oracle->rows, number, i) };
        }
    }
    struct match_row row = { values, (uint32_t)count, &number };
    struct match_result result = match_change(oracle->views, &row, NULL);
    uint32_t expected = 0;
    for (uint32_t i = 0; i < oracle->accepted; i++) {
        expected += oracle->truths[i]->rows[number] == 't';
    }
    oracle->decisions += oracle->accepted;
    oracle->judged += result.judged;
    if (result.count != expected) {
        (void)printf("row %d: %u views admit it, %u were found\n", number, expected, result.count);
        oracle->wrong++;
    }
}

int main(int argc, char **argv)
{
    struct oracle oracle = { .conn = NULL };
    char line[LINE_MAX_BYTES];

    if (argc != 4) {
        return 2;
    }
    const char *names[] = { argv[2], argv[3] };
    oracle.conn = PQconnectdb(argv[1]);
    oracle.table =
        (struct filter_table){ { argv[2], strlen(argv[2]) }, { argv[3], strlen(argv[3]) } };
    PQclear(query(&oracle,
                  "SELECT set_config('DateStyle', 'ISO', false), set_config('TimeZone', 'UTC', "
                  "false), set_config('bytea_output', 'hex', false)",
                  0, NULL));
    oracle.columns = query(&oracle, columns_sql, 2, names);
    struct rt_buf sql = { .data = NULL };
    rt_buf_printf(&sql, "SELECT * FROM \"%s\".\"%s\" ORDER BY id", argv[2], argv[3]);
    oracle.rows = query(&oracle, rt_buf_cstr(&sql), 0, NULL);
    oracle.match = match_new();
    oracle.views = match_table_new(oracle.match, (struct match_limits){ 1000000, 1000000 });
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        take_filter(&oracle, line);
    }
    for (int i = 0; i < PQntuples(oracle.rows); i++) {
        take_row(&oracle, i);
    }
    (void)printf("accepted=%u refused=%u scanned=%u decisions=%u judged=%u wrong=%u\n",
                 oracle.accepted, oracle.refused, match_table_scanned(oracle.views),
                 oracle.decisions, oracle.judged, oracle.wrong);
    match_free(oracle.match);
    free(oracle.truths);
    rt_buf_fini(&sql);
    PQclear(oracle.rows);
    PQclear(oracle.columns);
    PQfinish(oracle.conn);
    return oracle.wrong == 0 ? 0 : 1;
}
