/* broker/policy/loader.h - which policies apply: the question to the catalog, and what its rows say.
 *
 * Questions are (schema, table, role), many in one statement. What applies to a role is judged by its inherited privileges (a NOINHERIT
 * member does not get the policies of its group); owners are exempt unless FORCE; superusers and BYPASSRLS always are.
 *
 * The session's search_path must be empty, so that the texts of policies name everything in full.
 * A table is filled by rows and then compiled; it keeps the texts that its trees point into. One thread. Linear cost.
 */
#ifndef PGTIDE_BROKER_POLICY_LOADER_H
#define PGTIDE_BROKER_POLICY_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/policy/compile.h"

/* $1 schemas, $2 tables, $3 roles: text arrays. Rows come in the order of the questions. */
const char *policy_loader_sql(void);
enum { POLICY_LOADER_PARAMS = 3, POLICY_LOADER_COLUMNS = 8 };

struct policy_rule_text {
    struct policy_rule rule;
    const char *sql; /* as PostgreSQL writes it: for the fallback and for people */
};

/* Zeroed is empty. */
struct policy_table {
    struct policy_arena arena;
    bool known; /* the table and the role exist */
    uint32_t oid;
    bool enabled;
    bool forced;
    bool bypass; /* superuser or BYPASSRLS */
    bool owner;  /* or a member of it */
    uint32_t count;
    struct policy_rule_text *rules; /* the ones that apply */
    uint32_t capacity;
};

/* The number of the question that a row answers, from 1. */
uint32_t policy_loader_question(const char *const fields[POLICY_LOADER_COLUMNS]);
/* One row of this table's answer; NULL fields are "". */
void policy_table_add(struct policy_table *table, const char *const fields[POLICY_LOADER_COLUMNS]);
bool policy_table_exempt(const struct policy_table *table);
/* With the facts that its trees want (policy_facts_wanted for each rule's qual). */
struct policy_program *policy_table_compile(const struct policy_table *table,
                                            const struct policy_facts *facts);
void policy_table_fini(struct policy_table *table);

#endif
