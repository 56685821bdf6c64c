/* broker/policy/kept.h - which sets of a table's policies can be kept from the stream, and what that takes.
 *
 * All or none: when every table that the constants of these policies are read from belongs to a membership test whose rows can be
 * judged here (policy_members_compile), an identity's constants change with the rows of those tables only in these sets, and
 * sets.h keeps them. Else NULL: PostgreSQL is asked again whenever one of the tables changes.
 *
 * Which rows count may be a membership test again, in the test's own conditions or in the policies of its table: two tables deep. Then
 * that set is kept too, and the other one rests on it: it follows its own table, and is asked for again when the
 * inner set of that identity changes.
 *
 * `asked` is what PostgreSQL is asked for (fold.h): the constants of the policies in their places, but of a set every value as often as it is there;
 * behind them those that tell which rows of the other tables count. It has no code.
 * Immutable. Pure. Linear cost.
 */
#ifndef PGTIDE_BROKER_POLICY_KEPT_H
#define PGTIDE_BROKER_POLICY_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/policy/facts.h"
#include "broker/policy/loader.h"
#include "broker/policy/program.h"

/* A column of m that has to be known, by its name and type at the time. */
struct policy_kept_column {
    const char *name;
    uint32_t number;
    uint32_t type;
};

/* A membership test; two with the same set are one. */
struct policy_kept_test {
    uint32_t fold; /* of `asked`, whose value the set is */
    uint32_t
        above; /* the test before it, from 1, about whose rows it decides; 0: one of the program's */
    uint32_t table;
    uint32_t value; /* attribute number */
    struct policy_shape element;
    struct policy_program *members; /* which rows count */
    uint32_t first;                 /* of its constants, in `asked` */
    uint32_t column_count;
    struct policy_kept_column *columns; /* that `members` and the value are of */
    uint32_t width;                     /* the highest number */
};

struct policy_kept {
    struct policy_arena arena;
    uint32_t count;
    struct policy_kept_test *tests; /* owned */
    struct policy_program *asked;
};

/* A table that sets are of, as the role sees it. */
struct policy_nested {
    uint32_t question;
    uint32_t oid;
    struct policy_table table;
};

/* Of one (table, role), with what was loaded of the tables that its sets are of, among others. */
struct policy_kept_question {
    const struct policy_program *program;
    const struct policy_facts *facts;
    const struct policy_nested *nested;
    uint32_t nested_count;
    uint32_t number; /* as in `nested` */
};

/* Which rows of its table count, as a program over them, to be freed. NULL: its policies have not been loaded. */
struct policy_program *policy_kept_members(const struct policy_kept_question *question,
                                           const struct policy_membership *members);
struct policy_kept *policy_kept_new(const struct policy_kept_question *question);
/* Of one membership test of the program: whether its set can be kept. False: `why` not is appended, for people. */
bool policy_kept_can(const struct policy_kept_question *question, uint32_t membership,
                     struct rt_buf *why);
void policy_kept_free(struct policy_kept *kept); /* NULL is fine */

#endif
