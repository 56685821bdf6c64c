/* edge/llana/roles.h - Llana's permissions: who may read what, from the rows of its three tables. Pure.
 *
 *   _llana_role           custom, table, identity_column, role, records, own_records
 *   _llana_public_tables  table, access_level
 *   the user table        identity column, role column
 *
 * The decision is that of reference/seed-protocols.md 1.3, but that "own records" restricts events to rows whose identity column
 * is the user's, as the original's REST side does and its WebSockets forget. NONE < READ < WRITE < DELETE; every level from READ on
 * reads. What a row does not say in a way that is understood gives no right.
 *
 * Rows are given as JSON objects, and may come again. Memory: about 150 bytes per user. A judgement walks the rules (tens); it holds
 * until the generation changes, so callers keep it.
 */
#ifndef PGTIDE_EDGE_LLANA_ROLES_H
#define PGTIDE_EDGE_LLANA_ROLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct llana_roles;

enum llana_source { LLANA_RULES, LLANA_PUBLIC, LLANA_USERS, LLANA_SOURCES };

/* Texts are copied. */
struct llana_roles *llana_roles_new(const char *user_role_column);
void llana_roles_free(struct llana_roles *roles);
/* A row as it is now. `row` is a json_t object; `key` the name of the column that tells rows apart. */
void llana_roles_put(struct llana_roles *roles, enum llana_source source, void *row,
                     const char *key);
/* A row is gone; at least its key is in `row`. */
void llana_roles_remove(struct llana_roles *roles, enum llana_source source, void *row,
                        const char *key);
void llana_roles_clear(struct llana_roles *roles, enum llana_source source);
/* Changes whenever a judgement may have changed. Never 0. */
uint64_t llana_roles_generation(const struct llana_roles *roles);

enum llana_access { LLANA_NOTHING, LLANA_ALL, LLANA_OWN };
struct llana_verdict {
    enum llana_access access;
    /* LLANA_OWN: the column that must be the user's, "" for the primary key. Valid until the generation changes. */
    const char *column;
};
bool llana_roles_is_public(const struct llana_roles *roles, const char *table);
/* sub NULL: nobody in particular, who may read public tables only. */
struct llana_verdict llana_roles_judge(const struct llana_roles *roles, const char *table,
                                       const char *sub);

/* Calls for every column that some rule for this table restricts to; a column may come more than once. */
void llana_roles_each_own_column(const struct llana_roles *roles, const char *table,
                                 void (*each)(void *ctx, const char *column), void *ctx);

#endif
