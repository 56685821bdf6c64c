/* broker/view/view_parts.h - what the files that make and judge views share. Not for others.
 *
 *   view.c         views, and the verdict on a row
 *   view_change.c  rows: from tuples to cells by attribute number
 *   view_make.c    a view from its parts: its key; its anchors, for an index
 */
#ifndef PGTIDE_BROKER_VIEW_VIEW_PARTS_H
#define PGTIDE_BROKER_VIEW_VIEW_PARTS_H

#include "broker/view/filter_judge.h"
#include "broker/view/view.h"

/* What match_row.context points to. */
struct view_image;

extern const struct match_program view_program;
/* The cells as this role's policies read them; they parse a value once, and what one's policies parsed is not shown to another's:
 * labels of an enum may be of different times. */
struct policy_row *view_image_row(struct view_image *image, const struct policy_rules *rules);
/* This view does not show the row, for want of a value that the record does not carry. */
void view_image_blinded(struct view_image *image, const struct view *view);
int64_t view_image_now(const struct view_image *image);

struct view_seeds {
    uint64_t low[2];
    uint64_t high[2];
};

/* Takes references to all; constants and filter may be NULL. With one reference. */
struct view *view_make(struct access *access, struct view_identity *identity,
                       struct view_constants *constants, struct filter_program *filter,
                       const struct view_seeds *seeds);

void view_identity_unref(struct view_identity *identity);
void view_constants_unref(struct view_constants *constants); /* NULL is fine */

#endif
