/* broker/match/filter_sql.h - a filter's values become typed by asking PostgreSQL, once, when a client subscribes.
 *
 * One statement does it all: it compares the columns of an empty row image with parameters whose types PostgreSQL infers
 * from the operators, and returns the parameters. So a value is cast exactly as `column = 'value'` in a query would cast it, an
 * operator that the type does not have is an error of the parser with a position, and a value that does not fit is one that names
 * its parameter: both are told to the client with the character of its filter. Nothing of PostgreSQL's types is
 * imitated here. (Looked at and rejected: casts by format_type(), which truncate to varchar(n) and check domains.)
 *
 * The connection that asks has the text settings that the tailer pins (DateStyle ISO, TimeZone UTC, bytea_output hex, …) and
 * search_path pg_catalog: elsewhere somebody may have put an operator that fits better, to be run with the broker's rights. So
 * types of extensions have no operators here. Whether the role may read the columns, the stream carries them, and their types
 * may be trusted, is to be checked first (view/filter_judge.h). Values never become part of the statement; names and keys of
 * paths do, quoted.
 *
 * Pure but for libpq's results. No recursion; linear in the filter.
 */
#ifndef PGTIDE_BROKER_MATCH_FILTER_SQL_H
#define PGTIDE_BROKER_MATCH_FILTER_SQL_H

#include <libpq-fe.h>

#include "broker/match/filter.h"

struct filter_sql {
    struct rt_buf text; /* ends with NUL */
    uint32_t *starts;   /* for each node, where in the text its test begins */
    const char *
        *params; /* one per value; they point into the filter, and are valid until filter_cast() */
    int param_count;
};

struct filter_table {
    struct wire_span schema;
    struct wire_span table;
};

/* The question. The filter has at least one node. */
void filter_sql_init(struct filter_sql *out, const struct filter *filter,
                     const struct filter_table *table);
void filter_sql_fini(struct filter_sql *sql);

/* Reads the answer: true, and the filter's values are cast; or false with the reason, for the client. A result that
 * says nothing about the filter (no connection, a timeout) is *out_retry, and not the client's fault. */
bool filter_sql_answer(struct filter *filter, const struct filter_sql *sql, const PGresult *result,
                       struct filter_error *out_error, bool *out_retry);

/* What an error of PostgreSQL means for a filter. */
struct filter_complaint {
    const char *sqlstate;
    const char *message;  /* any of these may be NULL */
    const char *position; /* in the statement, in characters, from 1 */
    const char *context;  /* "unnamed portal parameter $1 …", in whatever language */
};
void filter_sql_explain(const struct filter *filter, const struct filter_sql *sql,
                        const struct filter_complaint *complaint, struct filter_error *out_error);

/* Of a filter that has been cast: the condition over a row of that name, which is written as it is (quoted, if it has to be).
 * Values are parameters from $first_param on, or, with 0, literals. NULL counts as false for a filter: test the whole for IS
 * TRUE. */
void filter_sql_condition(const struct filter *filter, const char *row, unsigned first_param,
                          struct rt_buf *out);
/* The same as a statement: $1 is the row image (text of the table's row type), the values follow. One row, one boolean. */
void filter_sql_judge(const struct filter *filter, const struct filter_table *table,
                      struct rt_buf *out);

#endif
