/* broker/policy/sql.h - pieces of SQL that several questions to PostgreSQL share. Pure.
 */
#ifndef PGTIDE_BROKER_POLICY_SQL_H
#define PGTIDE_BROKER_POLICY_SQL_H

#include "broker/policy/fold.h"
#include "runtime/buf.h"

void policy_sql_identifier(struct rt_buf *out, const char *name); /* "…" */
/* set_config('role', …, true), set_config(…), … : a list of expressions, of which the role comes first. */
void policy_sql_identity(struct rt_buf *out, const struct policy_identity *identity);
/* DO with a dollar quote that the text does not contain. */
void policy_sql_block(struct rt_buf *out, struct rt_buf *block);

#endif
