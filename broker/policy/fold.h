/* broker/policy/fold.h - the constants of identities: evaluated by PostgreSQL, under their roles and their settings.
 *
 * One round trip for many identities and programs: policy_fold_sql() writes a text of several statements (simple query protocol; a
 * transaction of its own), whose last row is one text; policy_answers_read() takes it apart, policy_fold_read() makes a binding of
 * each part. Role and settings are switched between statements, never inside one; each constant is evaluated
 * apart: one that raises an error is an error for this identity, and the others are not lost. A role that cannot be
 * taken on is that identity's trouble too. Since settings last as long as the transaction, all identities of a text must have the same names of settings.
 * The session must have the pinned text settings (ISO dates, UTC, hex bytea, standard_conforming_strings).
 *
 * The first thing evaluated is EXPLAIN of a SELECT from the table: what PostgreSQL refuses to plan for
 * this identity (a missing grant on a table in a policy, a recursion, …) it does not show either.
 *
 * The answer names the snapshot (broker/xid_snapshot.h) that all constants were read under.
 * Pure. Linear cost.
 */
#ifndef PGTIDE_BROKER_POLICY_FOLD_H
#define PGTIDE_BROKER_POLICY_FOLD_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/policy/eval.h"
#include "broker/policy/program.h"
#include "runtime/buf.h"

struct policy_setting {
    const char *name;
    const char *value;
};

struct policy_identity {
    const char *role;
    const struct policy_setting *settings; /* all that the identity consists of, always */
    size_t setting_count;
    const char *
        search_path; /* behind pg_catalog, for the names in bodies of functions; NULL: as the session has it */
};

struct policy_fold {
    const struct policy_program *program;
    const struct policy_identity *identity;
    const char *schema, *table; /* what the program is for */
};
/* Appends the statements. */
void policy_fold_sql(struct rt_buf *out, const struct policy_fold *folds, size_t count);

struct policy_answers {
    char *bytes; /* owned */
    const char *snapshot;
    size_t snapshot_len;
    struct policy_answer_text {
        const char *text;
        size_t len;
    } * texts; /* one for each fold; owned */
};
/* False when the text is not the answer to `count` folds; then `out` is empty. */
bool policy_answers_read(struct policy_answers *out, const char *text, size_t len, size_t count);
void policy_answers_fini(struct policy_answers *answers);

struct policy_constants {
    struct policy_binding binding;
    const char *error; /* the first message of PostgreSQL, without values; NULL: none */
    struct policy_arena arena;
};
/* False when the text is not such an answer; then the binding refuses everything. */
bool policy_fold_read(struct policy_constants *out, const struct policy_program *program,
                      const char *text, size_t len);
/* A copy in memory of the caller's, aligned as malloc's: as many bytes as _room() says, which are all that it needs. */
size_t policy_constants_room(const struct policy_constants *constants);
void policy_constants_pack(struct policy_constants *out, void *memory,
                           const struct policy_constants *from);
void policy_constants_fini(struct policy_constants *constants);
/* For a program without constants (program->fold_count 0) that needs no look: refuses nothing. */
void policy_constants_none(struct policy_constants *out);

#endif
