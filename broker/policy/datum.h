/* broker/policy/datum.h - a constant of an analysed expression: from the server's bytes to its text.
 *
 * The bytes are those of the server's memory; only little-endian servers are understood (policy_facts_little_endian
 * says so). Types: those of allow.def with a fixed or simple form, enums, json, and arrays of them.
 * Everything is bounded by the length that the tree gives. What is not understood is refused. Pure. Linear cost.
 */
#ifndef PGTIDE_BROKER_POLICY_DATUM_H
#define PGTIDE_BROKER_POLICY_DATUM_H

#include "broker/policy/facts.h"
#include "broker/policy/tree.h"

struct policy_datum {
    uint32_t type;
    bool is_null;
    uint32_t len;
    const char *text; /* in the arena; as pgoutput would print it */
};

/* `node` is a CONST. False when it is not understood. */
bool policy_datum_read(struct policy_arena *arena, const struct policy_facts *facts,
                       const struct policy_tree *node, struct policy_datum *out);

#endif
