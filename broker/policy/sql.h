/* broker/policy/sql.h - pieces of SQL that several questions to PostgreSQL share. Pure.
 */
#ifndef PGTIDE_BROKER_POLICY_SQL_H
#define PGTIDE_BROKER_POLICY_SQL_H

#include "broker/policy/fold.h"
#include "runtime/buf.h"

void policy_sql_identifier(struct rt_buf *out, const char *name);                 /* "…" */
void policy_sql_table(struct rt_buf *out, const char *schema, const char *table); /* "…"."…" */
/* A parameter that is a text[]: {"…","…"} */
void policy_sql_text_array(struct rt_buf *out, const char *const *items, size_t count);
/* set_config('role', …, true), set_config(…), … : a list of expressions, of which the role comes first. */
void policy_sql_identity(struct rt_buf *out, const struct policy_identity *identity);
/* Two statements, beginning with `verb` (SELECT, PERFORM), for a transaction in which texts of pg_get_expr() are parsed. They were
 * read under an empty path, so that a bare name means pg_catalog's. One whose types are exact stays that, since pg_catalog
 * comes first; a polymorphic one (int[] && int[]) would give way to a better match in another schema. So if somebody
 * has such an operator or function there (extensions may: they are the database owner's), the path is pg_catalog alone, and
 * bare names in functions raise an error. Costs a look at the operators and functions of the schemas: 2 ms with 500 of one's own. */
void policy_sql_path(struct rt_buf *out, const char *verb, const char *search_path);
/* DO with a dollar quote that the text does not contain. */
void policy_sql_block(struct rt_buf *out, struct rt_buf *block);

/* BEGIN, for what only reads; 0: without a statement_timeout of its own. */
void policy_sql_begin(struct rt_buf *out, unsigned timeout_ms);
/* Behind what left its answer in the setting pgtide.verdicts: a row with that text, and with the table's shape, and the end of the
 * transaction. The shape is asked last, in a statement of its own: a table that was altered before the images were read shows it. */
void policy_sql_answer(struct rt_buf *out, const char *schema, const char *table);
/* The same, its row by a statement that policy_sql_prepare_answer() has prepared in this session. */
void policy_sql_answer_by(struct rt_buf *out, const char *name, const char *schema,
                          const char *table);
void policy_sql_prepare_answer(struct rt_buf *out, const char *name);
/* What the shape must be: the table's OID, then for each column its number and type. */
void policy_sql_shape_begin(struct rt_buf *out, uint32_t oid);
void policy_sql_shape_column(struct rt_buf *out, uint32_t number, uint32_t type);

#endif
