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

/* Roles whose policies read one row, besides the first; beyond, what one has parsed is parsed again. */
#define VIEW_READINGS_MAX 3u

/* Cells as one role's policies read them. */
struct view_reading {
    uint64_t serial; /* of the rules; 0: free */
    struct policy_row row;
};

/* One version of a row: what match_row.context points to. view_change.c's, but for the functions below. */
struct view_image {
    bool there;
    bool leaves_out; /* some value of the tuple is marked as unchanged */
    struct match_row row;
    struct wire_value *values;
    struct policy_row cells; /* what is parsed, `serial` parsed */
    uint64_t serial;         /* of the first rules to read the row; 0: none yet */
    struct view_reading readings[VIEW_READINGS_MAX];
    uint32_t next; /* reading to give away; beyond it, none was yet */
    uint32_t cap;
    int64_t now;
    struct view_change *change; /* that it is of */
};

extern const struct match_program view_program;
/* For rules that are not those of image->serial. */
struct policy_row *view_image_other_row(struct view_image *image, const struct policy_rules *rules);
/* The cells as this role's policies read them; they parse a value once, and what one's policies parsed is not shown to another's:
 * labels of an enum may be of different times. */
static inline struct policy_row *view_image_row(struct view_image *image,
                                                const struct policy_rules *rules)
{
    return rules == NULL || image->serial == rules->serial ? &image->cells
                                                           : view_image_other_row(image, rules);
}
/* This view does not show the row, for want of a value that the record does not carry. */
void view_image_blinded(struct view_image *image, const struct view *view);

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
