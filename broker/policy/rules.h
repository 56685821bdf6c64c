/* broker/policy/rules.h - the row-level security of one table for one role: policies as read, and compiled.
 *
 * Immutable and counted. Made by a load, which answers many questions at once: rows of the policies, then the facts that
 * their trees want (one set for all), then a policy_rules for each question. The facts live as long as any of these.
 *
 * Two that would judge every row of every identity alike, by program and by fallback, have equal texts: so a fence that changed
 * nothing gives the same object again, and nobody is folded anew.
 *
 * Pure. One thread. Linear cost.
 */
#ifndef PGTIDE_BROKER_POLICY_RULES_H
#define PGTIDE_BROKER_POLICY_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/policy/facts.h"
#include "broker/policy/kept.h"
#include "broker/policy/loader.h"
#include "broker/policy/program.h"
#include "runtime/buf.h"

struct policy_shared_facts;

struct policy_rules {
    uint32_t refs;
    uint64_t serial;           /* given by who loads; never 0 */
    struct policy_table table; /* for the fallback */
    struct policy_program *program;
    struct policy_kept *kept; /* NULL: its sets cannot be kept from the stream, or there are none */
    struct policy_shared_facts *facts; /* what the program points to */
    struct rt_buf text;
};

struct policy_rules *policy_rules_ref(struct policy_rules *rules);
void policy_rules_unref(struct policy_rules *rules); /* NULL is fine */
/* Takes the reference to `fresh`; gives a reference to `old` if both say the same, else that to `fresh`. `old` may be NULL. */
struct policy_rules *policy_rules_keep(struct policy_rules *old, struct policy_rules *fresh);

/* --- loading ---------------------------------------------------------------------------------- */

struct policy_load;

struct policy_load *policy_load_new(uint32_t questions);
void policy_load_free(struct policy_load *load); /* NULL is fine */
/* One row of policy_loader_sql(). */
void policy_load_row(struct policy_load *load, const char *const fields[POLICY_LOADER_COLUMNS]);
/* After all rows: the parameters for policy_facts_sql. False: nothing to ask. */
bool policy_load_wants(const struct policy_load *load, struct rt_buf arrays[POLICY_FACTS_PARAMS]);
/* One row of the answer. */
void policy_load_fact(struct policy_load *load, const char *const fields[POLICY_FACTS_COLUMNS]);

enum policy_load_result {
    POLICY_LOAD_UNKNOWN, /* no such table, or role */
    POLICY_LOAD_EXEMPT,  /* row-level security does not apply */
    POLICY_LOAD_RULES,
};
/* After the facts: sets are kept only over tables that a row of policy_reads_sql() names. */
void policy_load_strict(struct policy_load *load);
void policy_load_read(struct policy_load *load, uint32_t table, uint32_t read);

/* Then: of how many tables that sets are of, the policies for the role are to be asked for as well, with another
 * policy_loader_sql(). Without it, no sets are kept. And again when those and their facts are there: they may read more. */
uint32_t policy_load_nest(struct policy_load *load);
/* One of them, from 0: of which question, and its name. */
void policy_load_nested(const struct policy_load *load, uint32_t number, uint32_t *out_question,
                        const char **out_schema, const char **out_table);
/* A row, for those that the last policy_load_nest() found; and what all of them want, as above. */
void policy_load_nested_row(struct policy_load *load,
                            const char *const fields[POLICY_LOADER_COLUMNS]);
bool policy_load_nested_wants(const struct policy_load *load,
                              struct rt_buf arrays[POLICY_FACTS_PARAMS]);

/* For people, before the answers are taken. What was read of a question; facts of all; whether the set of a membership test of `program`,
 * made of all or some of its policies, can be kept from the stream. False: `why` not is appended. */
const struct policy_table *policy_load_table(const struct policy_load *load, uint32_t number);
const struct policy_facts *policy_load_facts(const struct policy_load *load);
bool policy_load_keeps(const struct policy_load *load, uint32_t number,
                       const struct policy_program *program, uint32_t membership,
                       struct rt_buf *why);

/* The answer to question `number`, from 0; once for each. *out has one reference, or is NULL. */
enum policy_load_result policy_load_take(struct policy_load *load, uint32_t number, uint64_t serial,
                                         struct policy_rules **out);

#endif
