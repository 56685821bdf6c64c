/* broker/policy/compile_parts.h - what the parts of the compiler share. Not for others.
 */
#ifndef PGTIDE_BROKER_POLICY_COMPILE_PARTS_H
#define PGTIDE_BROKER_POLICY_COMPILE_PARTS_H

#include "broker/policy/compile.h"
#include "runtime/buf.h"

struct compiler {
    const struct policy_facts *facts;
    struct policy_program *program;
    const char *policy; /* at hand, for reasons */
    struct rt_buf code; /* of struct policy_instruction, and so on */
    struct rt_buf refs;
    struct rt_buf literals;
    struct rt_buf folds;
    struct rt_buf leaves;
    struct rt_buf columns;
    struct rt_buf ops;
    struct rt_buf tables;
    struct rt_buf memberships;
    int64_t row_level; /* of VARs that are the row's: 1 inside of EXISTS */
    bool too_large;    /* for the limits of program.h: nothing of it is used */
    uint32_t stack;    /* masks at this point */
    uint32_t temps;
    uint32_t guards; /* enclosing CASE and COALESCE */
    bool positive;   /* nothing above but ANDs: a set without true is as good as false */
    const struct policy_tree *case_arg;
    struct policy_ref case_ref;
    struct policy_shape case_shape;
};

struct operand {
    struct policy_ref ref;
    struct policy_shape shape;
};

/* compile.c: leaves exactly one mask on the stack. */
void compile_bool(struct compiler *c, const struct policy_tree *node);
void compile_leaf(struct compiler *c, enum policy_leaf_class kind, const char *reason);
void compile_unknown_mask(struct compiler *c);
/* What row-level security shows: one mask. */
void compile_rules(struct compiler *c, const struct policy_rule *rules, uint32_t count);
/* The program, with all that was emitted. */
struct policy_program *compile_finish(struct compiler *c);
/* compile_value.c */
struct operand compile_value(struct compiler *c, const struct policy_tree *node);
struct operand compile_unknown_value(struct compiler *c, const char *reason);
struct operand compile_fold(struct compiler *c, const struct policy_tree *node, bool *done);
/* Constants of the identity by their SQL, the same only once. False: there are too many. */
bool compile_fold_sql(struct compiler *c, struct rt_buf *sql, const struct policy_shape *shape,
                      struct policy_ref *out);
/* compile_member.c: false when it is no membership test that can be had as a set. */
struct policy_membership;
bool compile_membership(struct compiler *c, const struct policy_membership *members,
                        const char **reason);
/* compile_op.c: comparisons. */
bool compile_operation(struct compiler *c, const struct policy_tree *node);
const struct policy_allow_op *compile_allowed_op(struct compiler *c, const struct policy_tree *node,
                                                 const char **reason);

/* compile_asking.c: when all rules are compiled. */
void compile_asking(struct compiler *c, const struct policy_rule *rules, uint32_t count);

/* Emission. compile_pushed: one more mask is on the stack. */
void compile_pushed(struct compiler *c);
struct policy_instruction *compile_emit(struct compiler *c, enum policy_code code);
uint16_t compile_temp(struct compiler *c);
struct policy_ref compile_literal(struct compiler *c, struct policy_value value);
uint32_t compile_refs(struct compiler *c, const struct policy_ref *refs, uint32_t count);
struct policy_value compile_parse(struct compiler *c, const struct policy_shape *shape,
                                  const char *text, size_t len);
const struct policy_shape *compile_keep_shape(struct compiler *c, const struct policy_shape *shape);

#endif
