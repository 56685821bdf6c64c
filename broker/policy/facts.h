/* broker/policy/facts.h - what the numbers in an analysed expression stand for: operators, functions, types, collations.
 *
 * Asked of the catalog with policy_facts_sql, for the OIDs that a tree mentions; given to the compiler. Answers are
 * added; nothing is removed: a set of facts belongs to one version of one table's policies.
 * One thread. Lookups O(1).
 */
#ifndef PGTIDE_BROKER_POLICY_FACTS_H
#define PGTIDE_BROKER_POLICY_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/policy/tree.h"
#include "broker/policy/value.h"
#include "runtime/buf.h"

struct policy_facts;

struct policy_fact {
    uint32_t oid;
    const char *schema;
    const char *name;
};

struct policy_op_fact {
    struct policy_fact f;
    uint32_t function;
};

struct policy_function_fact {
    struct policy_fact f;
    char volatility;  /* i, s, v */
    bool set;         /* returns a set */
    bool sql;         /* LANGUAGE sql with a body of text */
    bool internal;    /* PostgreSQL's own, in C */
    const char *body; /* of an SQL function, else "" */
};

struct policy_type_fact {
    struct policy_fact f;
    char type;                 /* typtype: b e d c r … */
    uint32_t element;          /* of an array, else 0 */
    struct policy_enum labels; /* of an enum */
};

struct policy_collation_fact {
    struct policy_fact f;
    bool deterministic;
    bool bytes; /* "C" or "POSIX": the order of the bytes */
};

struct policy_facts *policy_facts_new(void);
void policy_facts_free(struct policy_facts *facts);

/* The statement: $1 operators, $2 functions, $3 types, $4 collations, $5 tables, each an oid[]. Rows are POLICY_FACTS_COLUMNS texts; see the .c. */
extern const char policy_facts_sql[];
enum { POLICY_FACTS_PARAMS = 5, POLICY_FACTS_COLUMNS = 8 };
/* Collects what a tree mentions and is not known yet: array texts. True if there is anything to ask. */
bool policy_facts_wanted(const struct policy_facts *facts, const struct policy_tree *tree,
                         struct rt_buf arrays[POLICY_FACTS_PARAMS]);
/* One row of the answer; NULL fields are "". */
void policy_facts_add(struct policy_facts *facts, const char *const fields[POLICY_FACTS_COLUMNS]);

/* From now on, tables in subqueries are only known if policy_facts_read() names them. */
void policy_facts_strict(struct policy_facts *facts);
/* What `table` shows to somebody may change when `read` changes: itself, and what its own policies read (followed.h). */
void policy_facts_read(struct policy_facts *facts, uint32_t table, uint32_t read);
/* All of these; 0: only itself. Valid until the next policy_facts_read(). */
uint32_t policy_facts_reads(const struct policy_facts *facts, uint32_t table,
                            const uint32_t **out_tables);

const struct policy_op_fact *policy_facts_op(const struct policy_facts *facts, uint32_t oid);
const struct policy_function_fact *policy_facts_function(const struct policy_facts *facts,
                                                         uint32_t oid);
/* An SQL function without parameters by its name. */
const struct policy_function_fact *
policy_facts_function_named(const struct policy_facts *facts, const char *schema, const char *name);
const struct policy_type_fact *policy_facts_type(const struct policy_facts *facts, uint32_t oid);
const struct policy_collation_fact *policy_facts_collation(const struct policy_facts *facts,
                                                           uint32_t oid);
/* A table in a subquery; the name of one of its columns. NULL when not known. */
const struct policy_fact *policy_facts_table(const struct policy_facts *facts, uint32_t oid);
const char *policy_facts_column(const struct policy_facts *facts, uint32_t table, uint32_t column);
bool policy_facts_utf8(const struct policy_facts *facts);          /* the database's encoding */
bool policy_facts_little_endian(const struct policy_facts *facts); /* constants can be read */

#endif
