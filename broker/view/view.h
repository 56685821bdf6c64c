/* broker/view/view.h - a view: what one identity sees of a table through one filter.
 *
 * The policies that apply to its role, the constants that PostgreSQL computed for it, its filter, the columns it may read. Immutable and
 * counted; a new one takes its place when rights, constants or the table change. Made by views.h, judged here, without any I/O.
 *
 * Views with equal keys see the same rows and columns: they share a group and are judged once for each change.
 *
 * A change is filled in once (view_change_set), as two rows for the match index; then any number of views may be judged
 * by it. Values stand by attribute number, not by their place in the tuple: a relation need not be known to make a view, and dropped
 * columns need not be known to judge by it. Once the columns change (ALTER TABLE), every view of the table is another. The first
 * role's policies to look at a value parse it, for all of that role.
 * Judging: see policy/eval.h and filter_judge.h; no allocation but for the first row of a size, no lock. One thread.
 */
#ifndef PGTIDE_BROKER_VIEW_VIEW_H
#define PGTIDE_BROKER_VIEW_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/access.h"
#include "broker/match/index.h"
#include "broker/policy/fold.h"
#include "broker/policy/rules.h"
#include "broker/relations.h"
#include "proto/records.h"

struct filter_program;

/* A role and claims. Interned by views.h: equal ones are one. */
struct view_identity {
    uint32_t refs;
    uint64_t serial;                /* never 0 */
    struct policy_identity *policy; /* NULL: not needed lately */
    const struct view_maker *maker;
};

/* What identities of one role, from one place, have in common. */
struct view_maker {
    const char *role;
    /* The whole of it, and its end; NULL: it is always there. */
    struct policy_identity *(*policy)(const struct view_identity *identity);
    void (*forget)(struct policy_identity *policy);
    /* Called once, when nobody uses it any more; then it is freed. NULL: nobody wants to know. */
    void (*on_last)(struct view_identity *identity);
};

/* Role and settings, as PostgreSQL is given them: made when they are needed. Valid until view_identity_rest(), by which whoever has
 * sent them lets them go: there may be a million identities that PostgreSQL is asked about once. Not for the fallback lane, which asks
 * again and again. */
const struct policy_identity *view_identity_policy(struct view_identity *identity);
void view_identity_rest(struct view_identity *identity);

/* What PostgreSQL computed for one (rules, identity). Immutable, counted. */
struct view_constants {
    struct policy_constants policy;
    uint32_t refs;
    bool based;                    /* some of its values point into `base`, which is referenced */
    struct view_constants *base[]; /* one of them if so */
};
_Static_assert(sizeof(struct view_constants) % 16 == 0, "its values may stand behind it");

/* What judging reads comes first, in one cache line with luck: of a million views, each is a wait. */
struct view {
    const struct match_program *program; /* that judges it */
    uint32_t refs;
    bool every_row;        /* neither policy nor filter: nothing to judge */
    bool asks;             /* some row may be for PostgreSQL to judge */
    struct access *access; /* referenced; access->rules are the policies, NULL: none apply */
    struct view_constants *constants; /* of access->rules for the identity; NULL without rules */
    struct filter_program *filter;    /* referenced; NULL: none */
    void *user; /* of who filed it in an index; asked for ahead of a hit, two cache lines of it */
    struct view_identity *identity; /* referenced */
    uint64_t key[2];                /* equal ones: equal views of this table */
    uint64_t rights; /* equal ones: the same rights, to columns of other names perhaps */
};
struct view *view_ref(struct view *view);
void view_unref(struct view *view); /* NULL is fine */

/* What an index is told of a view: found anew each time it is filed, since the index keeps what it needs. match.constants is the
 * view: take a reference (view_ref) for match_add(), which gives it back. Columns are attribute numbers less one. Valid until
 * view_filing_fini(), and as long as the view. */
struct view_filing {
    struct match_view match;
    struct view_conditions *conditions; /* what match.conjunctions points into */
};
void view_filing_init(struct view_filing *filing, struct view *view);
void view_filing_fini(struct view_filing *filing);

/* The highest number of a column that judging by it, or finding it in an index, looks at; 0: none; UINT32_MAX: any. */
uint32_t view_columns(const struct view *view);

static inline struct wire_span view_key(const struct view *view)
{
    return (struct wire_span){ (const char *)view->key, sizeof(view->key) };
}

/* --- rows ------------------------------------------------------------------------------------- */

/* Both versions of a row of one change. Reused from change to change. */
struct view_change;

struct view_change *view_change_new(void);
void view_change_free(struct view_change *change);
/* Borrows the tuples. `access`: any view's of this table, for the numbers of its columns. `now`: what the policies' now() is,
 * microseconds since 1970: the commit time. What an UPDATE did not touch and does not carry (TOAST) is taken from a complete old row.
 * False: the rows do not fit the relation, or the relation the access; then there is neither version. O(columns). */
bool view_change_set(struct view_change *rows, const struct relation *relation,
                     struct access *access, const struct wire_change *change, int64_t now);
/* The same for views that look at no column behind number `columns` (view_columns()): cells behind it are missing. `now` is what it was. */
bool view_change_read(struct view_change *rows, const struct relation *relation,
                      struct access *access, const struct wire_change *change, uint32_t columns);
/* How far the rows at hand were read; UINT32_MAX: whole. */
uint32_t view_change_columns(const struct view_change *rows);
/* Another `now`, for rows that were read before it was known. */
void view_change_set_now(struct view_change *rows, int64_t now);
/* NULL: there is no such version. */
const struct match_row *view_change_new_row(const struct view_change *rows);
const struct match_row *view_change_old_row(const struct view_change *rows);
/* The same for the fallback: cells by attribute number. */
const struct policy_row *view_change_new_cells(const struct view_change *rows);
const struct policy_row *view_change_old_cells(const struct view_change *rows);

/* Of the views that have judged this change so far: those that do not show a version of it which the record does not carry whole,
 * with a value they needed missing. Once for each version; borrowed until the next view_change_set(), each as long as its view. */
const struct view *const *view_change_blinded(const struct view_change *rows, uint32_t *out_count);

/* What the index does for the views it finds, for one view; MATCH_NO for a version that is not there. */
struct view_verdict {
    enum match_verdict on_new;
    enum match_verdict on_old;
};
struct view_verdict view_judge(const struct view *view, const struct view_change *rows);

#endif
