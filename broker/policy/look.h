/* broker/policy/look.h - questions about analysed expressions that need no catalog. Pure; linear cost.
 */
#ifndef PGTIDE_BROKER_POLICY_LOOK_H
#define PGTIDE_BROKER_POLICY_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/policy/tree.h"

/* No row column, no outer parameter anywhere below. */
bool policy_is_row_free(const struct policy_tree *node);
/* Whether a system column (tableoid, ctid, …) is named anywhere. */
bool policy_has_system_column(const struct policy_tree *node);
/* The type that an expression has; 0 if not understood. */
uint32_t policy_type_of_node(const struct policy_tree *node);
/* A subquery that reads nothing, (SELECT expression): the expression. NULL for any other. */
const struct policy_tree *policy_plain_subselect(const struct policy_tree *sublink);
/* Whether every field of a node, those of future versions too, is at its default (none, 0, false) or named in `free`. */
bool policy_only_fields(const struct policy_tree *node, const char *const *free);

#endif
