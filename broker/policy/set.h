/* broker/policy/set.h - one statement that judges row images for many identities of one role at once.
 *
 * Allowed only where the identity comes into the policies through constants that PostgreSQL has computed before (fold.h), and
 * everything else in them can read neither settings nor tables: the compiler decides it (program->asking.set). The constants are
 * columns of a list of identities, joined with the images; no setting is switched, and no subquery is left whose result one identity
 * could inherit from another. The role is the identities', so that rights on functions are PostgreSQL's business.
 *
 * An error says nothing about anybody: then ask policy_fallback_sql(), identity by identity. What it says is right for everybody:
 * where no part raises, the order in which PostgreSQL looks at them changes nothing.
 * Pure. Linear cost; 0.1 to 1 us of PostgreSQL's time for an identity and an image, a third of it where the statement is kept.
 */
#ifndef PGTIDE_BROKER_POLICY_SET_H
#define PGTIDE_BROKER_POLICY_SET_H

#include "broker/policy/fallback.h"

/* Statements that the session keeps. The same identities are asked about again and again: parsing their constants and planning takes three
 * to seven times what judging does. Names are letters, digits and _, which nobody else uses in this session.
 *
 * A prepared statement has all that judging depends on but the images: the table's row type, the condition, the constants. Constants whose
 * texts mean something else after a change of settings or of labels are cast each time, as without. */
struct policy_set_session {
    bool reset;         /* forget all statements first, prepare the answer's */
    const char *answer; /* policy_sql_prepare_answer() */
    const char *drop;   /* statements to be forgotten: "DEALLOCATE name; …"; NULL: none */
    const char *name;   /* of the statement for the batch; NULL: it is not kept */
    bool prepare;       /* it is not there yet */
};

struct policy_set_batch {
    const char *schema;
    const char *table;
    const char *role;
    const struct policy_program *program;
    const uint32_t *columns; /* numbers of the table's columns, in its order */
    size_t column_count;
    const char *const *images;
    size_t image_count;
    const struct policy_binding *const *bindings; /* of the identities; policy_set_has() */
    size_t binding_count;
    unsigned timeout_ms;                      /* of each statement; 0: as the session has it */
    const struct policy_set_session *session; /* NULL: nothing is kept */
};

/* Whether the identity's constants can be written: none of them is an error. */
bool policy_set_has(const struct policy_program *program, const struct policy_binding *binding);
void policy_set_sql(struct rt_buf *out, const struct policy_set_batch *batch);
/* As policy_fallback_read(), identity by identity. */
bool policy_set_read(struct policy_verdicts *out, const char *text, size_t len, size_t count);

#endif
