/* broker/policy/deparse_parts.h - what the parts of deparse share. Not for others.
 */
#ifndef PGTIDE_BROKER_POLICY_DEPARSE_PARTS_H
#define PGTIDE_BROKER_POLICY_DEPARSE_PARTS_H

#include "broker/policy/deparse.h"

struct writer {
    struct policy_arena *arena;
    const struct policy_facts *facts;
    struct rt_buf *out;
    const char *reason;
    const struct policy_tree *case_arg;  /* what CASETESTEXPR stands for */
    uint32_t table;                      /* whose columns a VAR may name; 0: nobody's */
    uint32_t around;                     /* the table of the subquery around that one; 0: none */
    uint32_t depth;                      /* of subqueries over tables */
    struct rt_buf *tables;               /* that were read */
    const struct policy_row_writer *row; /* of policy_deparse_row() */
};

bool deparse_refuse(struct writer *w, const char *what,
                    const char *name); /* false; the first reason counts */
bool deparse_node(struct writer *w, const struct policy_tree *node);
bool deparse_check_operator(struct writer *w, const struct policy_tree *node, uint32_t *out);
void deparse_operator(struct writer *w, uint32_t oid); /* one that has been checked */
bool deparse_whole(struct writer *w, const struct policy_tree *node, const char **reason);
/* deparse_row.c, when w->row is set */
bool deparse_plain_type(struct writer *w, uint32_t oid);
bool deparse_row_function(struct writer *w, const struct policy_function_fact *function);
bool deparse_row_column(struct writer *w, const struct policy_tree *node);
/* True: written as a constant of the identity. AND, OR and NOT stay, as in compile.c. */
bool deparse_row_constant(struct writer *w, const struct policy_tree *node);
/* deparse_member.c */
bool deparse_column(struct writer *w, const struct policy_tree *node);
bool deparse_sublink(struct writer *w, const struct policy_tree *node);

#endif
