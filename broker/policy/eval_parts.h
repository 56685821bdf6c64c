/* broker/policy/eval_parts.h - what the parts of the evaluator share. Not for others.
 */
#ifndef PGTIDE_BROKER_POLICY_EVAL_PARTS_H
#define PGTIDE_BROKER_POLICY_EVAL_PARTS_H

#include "broker/policy/eval.h"

struct machine {
    const struct policy_program *program;
    const struct policy_binding *binding;
    struct policy_row *row;
    uint32_t depth;
    uint8_t stack[POLICY_STACK_MAX];
    struct policy_value now;
    struct policy_value temps[POLICY_TEMPS_MAX];
};

/* eval_compare.c */
uint8_t eval_in_list(struct machine *m, const struct policy_instruction *at);
uint8_t eval_in_array(const struct policy_instruction *at, const struct policy_value *a,
                      const struct policy_value *b);
/* eval_choose.c: CASE, COALESCE, NULLIF, casts. */
uint8_t eval_case(const uint8_t *masks, uint16_t count);
uint8_t eval_coalesce(const uint8_t *masks, uint16_t count);
void eval_set_temp(struct machine *m, const struct policy_instruction *at);
/* eval.c */
const struct policy_value *eval_value(struct machine *m, struct policy_ref ref);
const uint8_t *eval_pop(struct machine *m, uint32_t count);

#endif
