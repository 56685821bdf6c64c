/* broker/policy/compile_op.c - comparisons: what the allow-list says, and under which conditions. */
/* NOLINTBEGIN(misc-no-recursion): as deep as the tree, which is bounded */
#include <stdio.h>
#include <string.h>

#include "broker/policy/compile_parts.h"
#include "broker/policy/look.h"
#include "broker/policy/member.h"

enum { ELEMENTS_MAX = 256 };

static enum policy_kind kind_of(const struct compiler *c, uint32_t type)
{
    return type == POLICY_TYPE_ANYENUM ? POLICY_KIND_ENUM : policy_shape_of(c->facts, type).kind;
}

/* Texts: equality is of bytes under a deterministic collation, order only under "C". */
static const char *check_collation(const struct compiler *c, const struct policy_tree *node,
                                   const struct policy_allow_op *op)
{
    uint32_t oid = 0;
    bool order = op->compare >= POLICY_LT && op->compare <= POLICY_GE;

    if (kind_of(c, op->left) != POLICY_KIND_TEXT) {
        return NULL;
    }
    const struct policy_collation_fact *collation =
        policy_tree_oid(node, "inputcollid", &oid) ? policy_facts_collation(c->facts, oid) : NULL;
    if (!policy_facts_utf8(c->facts)) {
        return "a database that is not in UTF-8";
    }
    if (collation == NULL ||
        (!collation->deterministic && !POLICY_FAULT(POLICY_FAULT_COLLATION_IGNORED))) {
        return "texts compared under a collation that is not deterministic";
    }
    if (order && !collation->bytes && !POLICY_FAULT(POLICY_FAULT_TEXT_ORDER_IS_BYTES)) {
        return "the order of texts under a collation of the operating system";
    }
    return NULL;
}

const struct policy_allow_op *compile_allowed_op(struct compiler *c, const struct policy_tree *node,
                                                 const char **reason)
{
    char text[192];
    uint32_t oid = 0;
    const struct policy_allow_op *op =
        policy_tree_oid(node, "opno", &oid) ? policy_allow_op(oid) : NULL;

    if (op == NULL) {
        const struct policy_op_fact *fact = policy_facts_op(c->facts, oid);
        (void)snprintf(text, sizeof(text), "operator %s (%u)", fact != NULL ? fact->f.name : "?",
                       (unsigned)oid);
        *reason = policy_arena_copy(&c->program->arena, text, strlen(text));
        return NULL;
    }
    const char *problem = check_collation(c, node, op);
    if (problem != NULL) {
        *reason = problem;
        return NULL;
    }
    rt_buf_append(&c->ops, &oid, sizeof(oid));
    return op;
}

/* Operands that are not understood hold "anything" and fit everywhere. */
static bool fits(const struct compiler *c, const struct policy_shape *shape, uint32_t type)
{
    return shape->kind == POLICY_KIND_NONE || shape->kind == kind_of(c, type);
}

static bool same_enum(const struct policy_allow_op *op, const struct policy_enum *a,
                      const struct policy_enum *b)
{
    return op->left != POLICY_TYPE_ANYENUM || a == NULL || b == NULL || a->oid == b->oid;
}

static void unknown_operation(struct compiler *c, const char *reason)
{
    compile_leaf(c, POLICY_LEAF_SQL, reason);
    compile_unknown_mask(c);
}

static void compile_pair(struct compiler *c, const struct policy_tree *node, bool distinct)
{
    const char *reason = "a comparison";
    const struct policy_tree *args = policy_tree_elements(node, "args");
    const struct policy_allow_op *op = compile_allowed_op(c, node, &reason);

    if (op == NULL || policy_tree_count(args) != 2 || (distinct && op->compare != POLICY_EQ)) {
        unknown_operation(c, reason);
        return;
    }
    struct operand a = compile_value(c, args);
    struct operand b = compile_value(c, args->next);
    if (!fits(c, &a.shape, op->left) || !fits(c, &b.shape, op->right) ||
        !same_enum(op, a.shape.labels, b.shape.labels)) {
        unknown_operation(c, "a comparison of types that do not fit");
        return;
    }
    struct policy_instruction *compare =
        compile_emit(c, distinct ? POLICY_DISTINCT : POLICY_COMPARE);
    compare->compare = (uint8_t)op->compare;
    compare->a = a.ref;
    compare->b = b.ref;
    compile_pushed(c);
}

/* ARRAY[…] and IN (…): each element is an operand of its own. */
static void compile_in_list(struct compiler *c, const struct policy_allow_op *op,
                            const struct operand *a, const struct policy_tree *elements, bool all)
{
    struct policy_ref refs[ELEMENTS_MAX];
    uint32_t count = 0;

    for (; elements != NULL && count < ELEMENTS_MAX; elements = elements->next) {
        struct operand each = compile_value(c, elements);
        if (!fits(c, &each.shape, op->right) ||
            !same_enum(op, a->shape.labels, each.shape.labels)) {
            unknown_operation(c, "a list of another type");
            return;
        }
        refs[count++] = each.ref;
    }
    if (elements != NULL) {
        unknown_operation(c, "a list that is too long");
        return;
    }
    uint32_t at = compile_refs(c, refs, count);
    struct policy_instruction *in = compile_emit(c, POLICY_IN_LIST);
    in->compare = (uint8_t)op->compare;
    in->all = all;
    in->a = a->ref;
    in->at = at;
    in->n = (uint16_t)count;
    compile_pushed(c);
}

static void compile_in_array(struct compiler *c, const struct policy_allow_op *op,
                             const struct operand *a, const struct policy_tree *array, bool all)
{
    struct operand b = compile_value(c, array);
    struct policy_shape element = { .kind = b.shape.element, .labels = b.shape.labels };

    if (b.shape.kind == POLICY_KIND_ARRAY &&
        (!fits(c, &element, op->right) || element.kind == POLICY_KIND_NONE ||
         !same_enum(op, a->shape.labels, element.labels))) {
        unknown_operation(c, "an array of another type");
        return;
    }
    if (b.shape.kind != POLICY_KIND_ARRAY && b.shape.kind != POLICY_KIND_NONE) {
        unknown_operation(c, "an array that is not understood");
        return;
    }
    const struct policy_shape *shape = compile_keep_shape(c, &b.shape);
    struct policy_instruction *in = compile_emit(c, POLICY_IN_ARRAY);
    in->compare = (uint8_t)op->compare;
    in->all = all;
    in->a = a->ref;
    in->b = b.ref;
    in->shape = shape;
    compile_pushed(c);
}

static void compile_array_membership(struct compiler *c, const struct policy_tree *node)
{
    struct policy_membership membership;
    const char *reason = "a subquery over tables";
    bool recognised = policy_membership_read_array(node, &membership);

    if (!recognised || !compile_membership(c, &membership, &reason)) {
        compile_leaf(c, recognised ? POLICY_LEAF_MEMBERSHIP : POLICY_LEAF_SQL, reason);
        compile_unknown_mask(c);
    }
}

static void compile_array_op(struct compiler *c, const struct policy_tree *node)
{
    const char *reason = "a comparison with a list";
    const struct policy_tree *args = policy_tree_elements(node, "args");
    bool any = false;

    if (policy_tree_count(args) != 2 || !policy_tree_bool(node, "useOr", &any)) {
        unknown_operation(c, reason);
        return;
    }
    if (policy_tree_is(args->next, "SUBLINK") && policy_plain_subselect(args->next) == NULL) {
        compile_array_membership(c, node);
        return;
    }
    const struct policy_allow_op *op = compile_allowed_op(c, node, &reason);
    if (op == NULL) {
        unknown_operation(c, reason);
        return;
    }
    struct operand a = compile_value(c, args);
    if (!fits(c, &a.shape, op->left)) {
        unknown_operation(c, "a comparison of types that do not fit");
        return;
    }
    const struct policy_tree *array = args->next;
    bool written_out = policy_tree_is(array, "ARRAYEXPR") || policy_tree_is(array, "ARRAY");
    bool nested = false;
    if (written_out && policy_tree_bool(array, "multidims", &nested) && !nested) {
        compile_in_list(c, op, &a, policy_tree_elements(array, "elements"), !any);
    } else {
        compile_in_array(c, op, &a, array, !any);
    }
}

/* False: not a comparison. */
bool compile_operation(struct compiler *c, const struct policy_tree *node)
{
    if (policy_tree_is(node, "SCALARARRAYOPEXPR")) {
        compile_array_op(c, node);
        return true;
    }
    bool distinct = policy_tree_is(node, "DISTINCTEXPR");
    if (distinct ||
        (policy_tree_is(node, "OPEXPR") && policy_type_of_node(node) == POLICY_TYPE_BOOL)) {
        compile_pair(c, node, distinct);
        return true;
    }
    return false;
}
/* NOLINTEND(misc-no-recursion) */
