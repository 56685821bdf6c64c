/* broker/policy/fallback.h - the policies' own text over a row image from the WAL: for what the broker cannot decide alone.
 *
 * policy_fallback_sql() writes statements (simple query protocol, a transaction of their own, one snapshot) that judge every image for
 * every identity in turn: role and settings are switched between statements, never inside one, and an error is one
 * identity's for one image. The last row is one text for policy_fallback_read().
 *
 * The answer counts only if its snapshot sees the change's transaction (broker/xid_snapshot.h): decoding is ahead of visibility.
 * The session: pinned text settings, and the policies' texts read under an empty search_path (loader.h).
 * Images must be complete: a row with a missing value cannot be asked about. System columns (tableoid, ctid) do not exist in an
 * image; such policies are leaves of class NEVER, and the answer is no.
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

struct policy_question {
    const struct policy_table *table; /* the rules of the identity's role */
    const struct policy_identity *identity;
};

/* Every image for every question. */
struct policy_batch {
    const char *schema;
    const char *table;
    const char *const *images; /* texts of policy_image_write, terminated */
    size_t image_count;
    const struct policy_question *questions;
    size_t question_count;
};

void policy_fallback_sql(struct rt_buf *out, const struct policy_batch *batch);

enum policy_verdict { POLICY_VERDICT_NO, POLICY_VERDICT_YES, POLICY_VERDICT_ERROR };

struct policy_verdicts {
    char snapshot[256]; /* pg_current_snapshot(); "" if it is longer: nothing counts */
    size_t count;
    uint8_t *verdicts; /* question by question, each with all its images; owned */
};
/* False when the text is no answer to `count` questions times images. */
bool policy_fallback_read(struct policy_verdicts *out, const char *text, size_t len, size_t count);
void policy_verdicts_fini(struct policy_verdicts *verdicts);

#endif
