/* broker/policy/fallback.h - the policies' own text over a row image from the WAL: for what the broker cannot decide alone.
 *
 * policy_fallback_sql() writes statements (simple query protocol, a transaction of their own) that judge every image for
 * every question: role and settings are switched between statements, never inside one, and an error is one
 * identity's for one image. The last row is policy_sql_answer()'s; its first field is for policy_fallback_read().
 *
 * Questions of one role with the same rules that follow each other share one plan, which is what makes a question cheap: planning costs
 * several times what running does. PostgreSQL drops a plan by itself when another role would get another one. What a function that is
 * declared IMMUTABLE says is part of the plan, so a policy that names one of somebody's own is planned for each identity (`apart`).
 *
 * The answer counts only if its snapshot sees the change's transaction (broker/xid_snapshot.h): decoding is ahead of visibility. It
 * is the oldest of those that were used. The session: pinned text settings, and the policies' texts read under an empty search_path (loader.h).
 * System columns (tableoid, ctid) do not exist in an image; such policies are leaves of class NEVER, and the answer is no.
 * Pure. Linear cost.
 */
#ifndef PGTIDE_BROKER_POLICY_FALLBACK_H
#define PGTIDE_BROKER_POLICY_FALLBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/policy/eval.h"
#include "broker/policy/fold.h"
#include "broker/policy/loader.h"
#include "runtime/buf.h"

/* Appends the text of a row of the table: all its columns in order; dropped ones have no place
 * in it. False, nothing appended, if one is missing. */
bool policy_image_write(struct rt_buf *out, const struct policy_row *row, uint32_t columns);
/* One value of such a row; NULL for a null. */
void policy_image_value(struct rt_buf *out, bool first, const char *text, size_t len);

/* Policies, or a condition of another kind. */
struct policy_question {
    const struct policy_table *table; /* the rules of the identity's role; NULL: the condition */
    const struct policy_identity *identity;
    const char *condition; /* over a row called t */
    bool apart;            /* program->plans_apart */
};

/* Every image for every question. All identities have the same names of settings: these last as long as the transaction. */
struct policy_batch {
    const char *schema;
    const char *table;
    const char *const *images; /* texts of policy_image_write, terminated */
    size_t image_count;
    const struct policy_question *questions;
    size_t question_count;
    unsigned timeout_ms; /* of each statement; 0: as the session has it */
};

void policy_fallback_sql(struct rt_buf *out, const struct policy_batch *batch);

enum policy_verdict { POLICY_VERDICT_NO, POLICY_VERDICT_YES, POLICY_VERDICT_ERROR };

#define POLICY_SNAPSHOT_MAX 16384u

struct policy_verdicts {
    char *snapshot; /* pg_current_snapshot(); owned */
    size_t count;
    uint8_t *verdicts; /* question by question, each with all its images; owned */
};
/* False when the text is no answer to `count` questions times images; then `out` is empty. */
bool policy_fallback_read(struct policy_verdicts *out, const char *text, size_t len, size_t count);
void policy_verdicts_fini(struct policy_verdicts *verdicts);

/* For set.c: the images as an array; an answer's snapshot, after which *text and *len are what follows it. */
void policy_sql_images(struct rt_buf *out, const struct policy_batch *batch);
bool policy_verdicts_open(struct policy_verdicts *out, const char **text, size_t *len,
                          size_t count);

#endif
