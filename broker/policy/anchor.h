/* broker/policy/anchor.h - which values of which columns a row must have for an identity to see it: for the match index.
 *
 * An anchor is "column = value". A row for which no anchor holds cannot have true among its outcomes, so nobody needs to
 * look; one for which an anchor holds is a candidate, which policy_eval() then judges. Policies without equalities (or with a
 * disjunct without one) have no anchors: every row is a candidate.
 *
 * Found by running the program over sets of anchors in place of sets of outcomes; AND takes the smaller side, OR both. A
 * value of the row that cannot be read (state FREE) must be treated as equal to every anchor.
 * Pure. Linear cost, once per identity.
 */
#ifndef PGTIDE_BROKER_POLICY_ANCHOR_H
#define PGTIDE_BROKER_POLICY_ANCHOR_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/policy/eval.h"

#define POLICY_ANCHORS_MAX 100u

struct policy_anchor {
    uint32_t column;                  /* attribute number */
    const struct policy_value *value; /* KNOWN; the program's or the binding's */
};

struct policy_anchors {
    bool all;       /* no anchors: every row is a candidate */
    uint32_t count; /* 0 and not all: no row ever is */
    struct policy_anchor list[POLICY_ANCHORS_MAX];
};

void policy_anchors_find(const struct policy_program *program, const struct policy_binding *binding,
                         struct policy_anchors *out);
/* Whether the row is a candidate: what an index must agree with. */
bool policy_anchors_admit(const struct policy_anchors *anchors,
                          const struct policy_program *program, struct policy_row *row);

#endif
