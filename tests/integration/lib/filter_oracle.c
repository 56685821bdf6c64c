/* filter_oracle - filters against PostgreSQL's own answers: the match index, and the program that judges rows.
 *
 *   filter_oracle CONNINFO SCHEMA TABLE < filters, one a line
 *
 * Each filter is parsed, cast by the database, filed in the index under the anchors it gives, and compiled. Then every row of the
 * table goes through both. In the index, what judges a candidate knows what PostgreSQL said of that row and filter: what is
 * not found is an anchor that excludes too much, or a form that takes equal values for different ones. The program judges each
 * row as it is (leaked: yes, where PostgreSQL says no; withheld: the other way round), and again with some of its columns missing,
 * when it may say no for that reason, but neither yes nor a plain no where PostgreSQL says otherwise. Refusals are printed, then one
 * line of figures; the exit status tells whether all agree.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "broker/match/conditions.h"
#include "broker/match/filter_sql.h"
#include "broker/match/index.h"
#include "broker/view/filter_judge.h"
#include "runtime/buf.h"

enum { COLUMNS_MAX = 64, LINE_MAX_BYTES = 8192 };

/* What PostgreSQL said of one filter, by row; the index's constants. */
struct truth {
    char *rows;
};

/* How the program did. */
struct tally {
    uint64_t decisions;
    uint64_t yes;
    uint64_t asked;
    uint64_t masked;
    uint64_t undecided; /* for want of a column */
    uint32_t leaked;
    uint32_t withheld;
    uint32_t asking;     /* programs that may ask */
    uint64_t unforeseen; /* asked by others: a timestamp that is out of all bounds */
};

struct oracle {
    PGconn *conn;
    struct filter_columns *columns;
    struct policy_cell *cells;
    struct tally tally;
    uint32_t dice;
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

/* The stream has every column there is, in the order of their numbers. */
static bool place(void *ctx, const char *name, uint16_t *out)
{
    const struct oracle *oracle = ctx;

    for (uint32_t i = 0; i < oracle->columns->count; i++) {
        if (strcmp(oracle->columns->columns[i].name, name) == 0) {
            *out = (uint16_t)i;
            return true;
        }
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

static const struct match_program program = { .judge = judge, .release = release };

/* What PostgreSQL says of every row. */
static struct truth *ask_truth(struct oracle *oracle, const struct filter_program *filter)
{
    struct truth *truth = calloc(1, sizeof(*truth));
    struct rt_buf sql = { .data = NULL };

    rt_buf_puts(&sql, "SELECT ");
    filter_program_sql(filter, "t", &sql);
    rt_buf_printf(&sql, " FROM \"%s\".\"%s\" t ORDER BY id", oracle->table.schema.data,
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

static void file(struct oracle *oracle, const struct filter_program *filter, struct truth *truth)
{
    struct conditions *conditions = calloc(1, sizeof(*conditions));
    struct match_sub sub;
    char key[32];

    filter_program_conditions(filter, place, oracle, conditions);
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

/* --- the program ------------------------------------------------------------------------------ */

static bool chance(struct oracle *oracle, uint32_t percent)
{
    oracle->dice = oracle->dice * 1664525u + 1013904223u;
    return (oracle->dice >> 16) % 100 < percent;
}

static void fill(struct oracle *oracle, int number, struct policy_row *row, uint32_t missing)
{
    policy_row_clear(row);
    for (uint32_t i = 0; i < oracle->columns->count; i++) {
        uint32_t attribute = oracle->columns->columns[i].attribute;
        enum policy_cell_kind kind =
            PQgetisnull(oracle->rows, number, (int)i) != 0 ? POLICY_CELL_NULL : POLICY_CELL_TEXT;
        if (missing > 0 && chance(oracle, missing)) {
            kind = chance(oracle, 50) ? POLICY_CELL_MISSING : POLICY_CELL_UNCHANGED;
        }
        policy_row_set(row, attribute, kind, PQgetvalue(oracle->rows, number, (int)i),
                       (uint32_t)PQgetlength(oracle->rows, number, (int)i));
    }
}

static void report(struct oracle *oracle, const char *what, const char *text, int number,
                   unsigned set)
{
    if (oracle->tally.leaked + oracle->tally.withheld < 10) {
        (void)printf("%s: row %s, outcomes %u: %s\n", what, PQgetvalue(oracle->rows, number, 0),
                     set, text);
    }
}

static void compare(struct oracle *oracle, const char *text, int number, uint8_t set, bool truth)
{
    if (outcome_answer(set) == POLICY_DELIVER && !truth) {
        report(oracle, "LEAKED", text, number, set);
        oracle->tally.leaked++;
    } else if ((set & OUTCOME_TRUE) == 0 && truth) {
        report(oracle, "WITHHELD", text, number, set);
        oracle->tally.withheld++;
    }
}

static void judge_rows(struct oracle *oracle, const struct filter_program *filter, const char *text,
                       const struct truth *truth)
{
    const struct filter_columns *columns = oracle->columns;
    struct policy_row row = { columns->columns[columns->count - 1].attribute, oracle->cells };
    struct tally *tally = &oracle->tally;

    tally->asking += filter_program_asks(filter);
    for (int i = 0; i < PQntuples(oracle->rows); i++) {
        bool is_true = truth->rows[i] == 't';
        fill(oracle, i, &row, 0);
        uint8_t set = filter_eval(filter, &row);
        compare(oracle, text, i, set, is_true);
        tally->decisions++;
        tally->yes += is_true;
        tally->asked += outcome_answer(set) == POLICY_ASK;
        tally->unforeseen += outcome_answer(set) == POLICY_ASK && !filter_program_asks(filter);
        fill(oracle, i, &row, 30);
        set = filter_eval(filter, &row);
        compare(oracle, text, i, set, is_true);
        tally->masked++;
        tally->undecided += (set & OUTCOME_MISSING) != 0;
    }
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
        struct filter_program *judged = filter_program_new(&filter, oracle->columns);
        struct truth *truth = ask_truth(oracle, judged);
        judge_rows(oracle, judged, text, truth);
        file(oracle, judged, truth);
        filter_program_unref(judged);
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
                  "false), set_config('bytea_output', 'hex', false), "
                  "set_config('search_path', 'pg_catalog', false)",
                  0, NULL));
    PGresult *columns = query(&oracle, filter_columns_sql, FILTER_COLUMNS_PARAMS, names);
    oracle.columns = filter_columns_read(columns);
    PQclear(columns);
    oracle.cells = calloc(COLUMNS_MAX, sizeof(*oracle.cells));
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
    const struct tally *tally = &oracle.tally;
    (void)printf("program: decisions=%llu leaked=%u withheld=%u asked=%llu yes=%llu masked=%llu "
                 "undecided=%llu asking=%u unforeseen=%llu\n",
                 (unsigned long long)tally->decisions, tally->leaked, tally->withheld,
                 (unsigned long long)tally->asked, (unsigned long long)tally->yes,
                 (unsigned long long)tally->masked, (unsigned long long)tally->undecided,
                 tally->asking, (unsigned long long)tally->unforeseen);
    (void)printf("accepted=%u refused=%u scanned=%u decisions=%u judged=%u wrong=%u\n",
                 oracle.accepted, oracle.refused, match_table_scanned(oracle.views),
                 oracle.decisions, oracle.judged, oracle.wrong);
    match_free(oracle.match);
    free(oracle.truths);
    rt_buf_fini(&sql);
    PQclear(oracle.rows);
    filter_columns_unref(oracle.columns);
    free(oracle.cells);
    PQfinish(oracle.conn);
    return oracle.wrong + tally->leaked + tally->withheld == 0 ? 0 : 1;
}
