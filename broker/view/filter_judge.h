/* broker/view/filter_judge.h - a filter that has been cast, ready to judge rows, to be indexed, and to be asked of PostgreSQL.
 *
 * What PostgreSQL would say of a row is said here only where it is certain: comparisons are those of policy/allow.def, under the
 * same conditions (a deterministic collation for texts, "C" for their order). A test outside of them leaves its set of outcomes
 * open (policy/outcome.h), and the rest of the filter may still decide. NULL does not match. A column that the record
 * does not carry, where it matters, makes it a no, since PostgreSQL could not know either: OUTCOME_MISSING says so.
 *
 * Order of calls: filter_parse() (match/filter.h); filter_columns_sql, once for a table; filter_allowed(); filter_sql_init(), one
 * round trip, filter_sql_answer(); filter_program_new().
 *
 * Immutable, counted, one thread. Judging: no allocation, no lock; 20 to 60 ns for each test (release build), of
 * a list for each value; an AND ends at its first no.
 */
#ifndef PGTIDE_BROKER_VIEW_FILTER_JUDGE_H
#define PGTIDE_BROKER_VIEW_FILTER_JUDGE_H

#include "broker/access.h"
#include "broker/match/conditions.h"
#include "broker/match/filter.h"
#include "broker/match/index.h"
#include "broker/policy/eval.h"
#include "broker/view/filter_columns.h"

struct filter_program;

/* Whether the role may filter by these columns: it reads them, the stream carries them, their types are PostgreSQL's own or
 * enums (others are only asked for NULL: their operators and casts may be anybody's code). False with the reason, for the
 * client. To be called before PostgreSQL is asked to cast values: its messages tell which columns there are. */
bool filter_allowed(const struct filter *filter, const struct access *access,
                    const struct filter_columns *columns, struct filter_error *out_error);

/* Takes what is in the filter (cast, and allowed; it is left empty), and a reference to the columns. NULL, and the filter
 * untouched, if a column is not among them: the table has changed since. With one reference. */
struct filter_program *filter_program_new(struct filter *filter, struct filter_columns *columns);
struct filter_program *filter_program_ref(struct filter_program *program);
void filter_program_unref(struct filter_program *program); /* NULL is fine */

/* The set of outcomes for one version of a row; cells by attribute number, as for policy_eval(), whose parsed values are used
 * where they are the same. With OUTCOME_MISSING: not decided, for want of a value that the record does not carry. */
uint8_t filter_eval(const struct filter_program *program, const struct policy_row *row);
enum match_verdict filter_judge(const struct filter_program *program, const struct policy_row *row);

/* The highest attribute number that it looks at; 0: none. */
uint32_t filter_program_highest(const struct filter_program *program);
/* Some row may be for PostgreSQL to judge. (If not, one may still: with a timestamp that is past what 64 bits hold, or a label
 * that an enum has got since.) */
bool filter_program_asks(const struct filter_program *program);
/* The canonical text, after the cast: equal ones, for one table, mean equal filters. Ends with NUL; valid as long as the program. */
struct wire_span filter_program_key(const struct filter_program *program);
/* Appends ((...) IS TRUE) over a row of that name (written as it is), with literals: for the fallback lane and the pages of a snapshot.
 * The session has the pinned text settings and search_path pg_catalog, as when the filter was cast. */
void filter_program_sql(const struct filter_program *program, const char *alias,
                        struct rt_buf *out);

/* Where a column stands in the stream's tuples. False: it does not. */
typedef bool filter_place_fn(void *ctx, const char *column, uint16_t *out_place);
/* For the index; join them with the policies' by conditions_and(). They borrow from the program. */
void filter_program_conditions(const struct filter_program *program, filter_place_fn *place,
                               void *ctx, struct conditions *out);

#endif
