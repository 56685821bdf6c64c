/* tests/oracle/world.h - random tables, policies, identities and rows, as SQL.
 *
 * A world is one table with rows, and the membership tables beside it; it is used for several sets of policies. Everything comes from
 * the seed. Names: schema o, table o.t, key id, columns c1…; roles o_*.
 */
#ifndef PGTIDE_TESTS_ORACLE_WORLD_H
#define PGTIDE_TESTS_ORACLE_WORLD_H

#include "runtime/buf.h"
#include "tests/oracle/prng.h"

enum {
    WORLD_COLUMNS_MAX = 40,
    WORLD_POLICIES_MAX = 5,
    WORLD_ROLES = 8,
    WORLD_SETTINGS = 3,
};

/* How expressions of a type may be made; see expr.c. */
enum family {
    FAMILY_BOOL,
    FAMILY_NUMBER,
    FAMILY_TEXT,
    FAMILY_OTHER, /* equality and order by operators */
    FAMILY_EQUAL, /* equality only */
    FAMILY_ARRAY,
    FAMILY_FOREIGN, /* nothing of it compiles */
};

struct type {
    const char *name;
    enum family family;
    const char *element;       /* of an array */
    const char *const *values; /* texts, NULL at the end */
};

extern const struct type world_types[];
extern const uint32_t world_type_count;
extern const char *const world_forms[];
extern const uint32_t world_form_count;
const struct type *world_type_named(const char *name);

struct world {
    struct prng rng;
    uint32_t written; /* percent of expressions that are the written forms of expr.c */
    uint32_t column_count;
    const struct type *columns[WORLD_COLUMNS_MAX]; /* c1 is columns[0] */
};

struct identity {
    const char *role;
    const char *settings[WORLD_SETTINGS]; /* request.jwt.claims, app.k, app.n */
};

extern const char *const world_roles[WORLD_ROLES];
extern const char *const world_setting_names[WORLD_SETTINGS];

void world_setup_sql(struct rt_buf *out); /* once per database */
void world_make(struct world *world, uint64_t seed, uint32_t rows, struct rt_buf *out);
/* The next set of policies, in place of the ones before. */
void world_policies(struct world *world, struct rt_buf *out);
struct identity world_identity(struct world *world);

/* expr.c: a random boolean expression over the table's columns. */
void expr_bool(struct world *world, struct rt_buf *out, uint32_t depth);

#endif
