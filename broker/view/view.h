/* broker/view/view.h - a view: what one identity sees of a table through one filter.
 *
 * The policies that apply to its role, the constants that PostgreSQL computed for it, its filter, the columns it may read. Immutable and
 * counted; a new one takes its place when rights, constants or the table change. Made by views.h, judged here, without any I/O.
 *
 * Views with equal keys see the same rows and columns: they share a group and are judged once for each change.
 *
 * A change is filled in once (view_change_set), as two rows for the match index; then any number of views may be judged
 * by it. Judging: see policy/eval.h and filter_judge.h; no allocation, no lock. One thread.
 */
#ifndef PGTIDE_BROKER_VIEW_VIEW_H
#define PGTIDE_BROKER_VIEW_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/access.h"
#include "broker/match/index.h"
#include "broker/policy/fold.h"
#include "broker/relations.h"
#include "proto/records.h"

struct filter_program;

/* Role and settings, as PostgreSQL is given them. Interned by views.h: equal ones are one. */
struct view_identity {
    uint32_t refs;
    struct policy_identity policy; /* points into what this owns */
};

struct view {
    uint32_t refs;
    struct access *access; /* referenced; access->rules are the policies, NULL: none apply */
    struct view_identity *identity;    /* referenced */
    struct policy_constants constants; /* of access->rules->program for the identity */
    struct filter_program *filter;     /* NULL: none. Owned */
    bool every_row;                    /* neither policy nor filter: nothing to judge */
    bool asks;                         /* some row may be for PostgreSQL to judge */
    const uint32_t *tables; /* whose changes alter the constants (membership sets): OIDs, sorted */
    uint32_t table_count;
    struct match_view
        match; /* for the index; its constants are this view, whose reference the index takes */
};

struct view *view_ref(struct view *view);
void view_unref(struct view *view); /* NULL is fine */

/* Both versions of a row of one change. Reused from change to change. */
struct view_change;

struct view_change *view_change_new(void);
void view_change_free(struct view_change *change);
/* Borrows the tuples. `access`: any view's of this table, for the numbers of its columns. `now`: what the policies' now() is,
 * microseconds since 1970: the commit time. False: the rows do not fit the relation, or the relation the access. O(columns). */
bool view_change_set(struct view_change *rows, const struct relation *relation,
                     const struct access *access, const struct wire_change *change, int64_t now);
/* NULL: there is no such version. */
const struct match_row *view_change_new_row(const struct view_change *rows);
const struct match_row *view_change_old_row(const struct view_change *rows);
/* What the index does for the views it finds, for one view; MATCH_NO for a version that is not there. */
struct view_verdict {
    enum match_verdict on_new;
    enum match_verdict on_old;
};
struct view_verdict view_judge(const struct view *view, const struct view_change *rows);

#endif
