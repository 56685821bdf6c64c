/* broker/policy/shape.c - how the values of a type are read. */
#include "broker/policy/compile.h"

struct policy_shape policy_shape_of(const struct policy_facts *facts, uint32_t type)
{
    const struct policy_allow_type *plain = policy_allow_type(type);
    const struct policy_allow_type *element = policy_allow_array(type);
    const struct policy_type_fact *fact = policy_facts_type(facts, type);
    struct policy_shape shape = { .type = type };

    if (plain != NULL) {
        shape.kind = plain->kind;
    } else if (element != NULL) {
        shape.kind = POLICY_KIND_ARRAY;
        shape.element = element->kind;
    } else if (fact != NULL && fact->type == 'e') {
        shape.kind = POLICY_KIND_ENUM;
        shape.labels = &fact->labels;
    } else if (fact != NULL && fact->element != 0) {
        const struct policy_type_fact *of = policy_facts_type(facts, fact->element);
        if (of != NULL && of->type == 'e') {
            shape.kind = POLICY_KIND_ARRAY;
            shape.element = POLICY_KIND_ENUM;
            shape.labels = &of->labels;
        }
    }
    return shape;
}
