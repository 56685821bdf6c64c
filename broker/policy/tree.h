/* broker/policy/tree.h - the text of an analysed expression (pg_node_tree, as in pg_policy.polqual) as a tree.
 *
 * {NODE :field value …}. Tolerant: any node and any field is taken, what they mean is for who reads them, so that
 * fields that newer versions add do no harm. Bounded: text, depth and number of items; whatever is not
 * well-formed is refused as a whole. A field without a value is refused too: a name that somebody gave to a
 * column and that looks like a field cannot stand for one.
 *
 * Items live in the arena; their texts point into the parsed text, which must outlive them. Pure. Linear cost.
 */
#ifndef PGTIDE_BROKER_POLICY_TREE_H
#define PGTIDE_BROKER_POLICY_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/policy/arena.h"

#define POLICY_TREE_TEXT_MAX  (1u << 20)
#define POLICY_TREE_DEPTH_MAX 192u
#define POLICY_TREE_ITEMS_MAX 65536u

enum policy_tree_kind {
    POLICY_TREE_NODE,  /* {NAME …}: text is the name, children are fields */
    POLICY_TREE_FIELD, /* :name v…: text is the name, children are its values */
    POLICY_TREE_LIST,  /* ( … ) */
    POLICY_TREE_BYTES, /* [ 1 2 … ] of a constant: children are tokens */
    POLICY_TREE_TOKEN, /* as written, escapes included */
    POLICY_TREE_NONE,  /* <> */
};

struct policy_tree {
    enum policy_tree_kind kind;
    uint32_t len;
    const char *text; /* not terminated */
    struct policy_tree *child;
    struct policy_tree *next;
};

/* NULL if it is not one well-formed item. */
struct policy_tree *policy_tree_parse(struct policy_arena *arena, const char *text, size_t len);

bool policy_tree_is(const struct policy_tree *item, const char *node_name); /* NULL is fine */
/* The first value of a node's field; NULL if there is no such field, or item is no node. */
const struct policy_tree *policy_tree_get(const struct policy_tree *item, const char *field);
/* A field that is one number, true or false. False, and `out` untouched, when it is not. */
bool policy_tree_number(const struct policy_tree *item, const char *field, int64_t *out);
bool policy_tree_oid(const struct policy_tree *item, const char *field, uint32_t *out);
bool policy_tree_bool(const struct policy_tree *item, const char *field, bool *out);
bool policy_tree_token_number(const struct policy_tree *token, int64_t *out);
/* The elements of a field that is a list; NULL for an empty one (<>), and for no list at all. */
const struct policy_tree *policy_tree_elements(const struct policy_tree *item, const char *field);
uint32_t policy_tree_count(const struct policy_tree *first); /* of siblings */

#endif
