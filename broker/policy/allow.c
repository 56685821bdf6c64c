/* broker/policy/allow.c - allow.def as tables. */
#include "broker/policy/allow.h"

/* Types by their names in the list. */
enum {
#define ALLOW_TYPE(oid, name, kind, array) TYPE_##name = (oid),
#define ALLOW_OP(oid, compare, left, right)
#define ALLOW_CAST(oid, from, to)
#define ALLOW_TEXT(oid, name)
#define ALLOW_STABLE(oid, name)
#define ALLOW_INPUT(oid, name)
#include "broker/policy/allow.def"
#undef ALLOW_TYPE
    TYPE_ANYENUM = POLICY_TYPE_ANYENUM
};

static const struct policy_allow_type types[] = {
#define ALLOW_TYPE(oid, name, kind, array) { oid, array, POLICY_KIND_##kind, #name },
#include "broker/policy/allow.def"
#undef ALLOW_TYPE
};
#define ALLOW_TYPE(oid, name, kind, array)

static const struct policy_allow_op ops[] = {
#undef ALLOW_OP
#define ALLOW_OP(oid, compare, left, right) { oid, TYPE_##left, TYPE_##right, POLICY_##compare },
#include "broker/policy/allow.def"
#undef ALLOW_OP
#define ALLOW_OP(oid, compare, left, right)
};

static const struct policy_allow_cast casts[] = {
#undef ALLOW_CAST
#define ALLOW_CAST(oid, from, to) { oid, TYPE_##from, TYPE_##to },
#include "broker/policy/allow.def"
#undef ALLOW_CAST
#define ALLOW_CAST(oid, from, to)
};

static const uint32_t texts[] = {
#undef ALLOW_TEXT
#define ALLOW_TEXT(oid, name) oid,
#include "broker/policy/allow.def"
#undef ALLOW_TEXT
#define ALLOW_TEXT(oid, name)
};

static const uint32_t stables[] = {
#undef ALLOW_STABLE
#define ALLOW_STABLE(oid, name) oid,
#include "broker/policy/allow.def"
#undef ALLOW_STABLE
#define ALLOW_STABLE(oid, name)
};

static const uint32_t inputs[] = {
#undef ALLOW_INPUT
#define ALLOW_INPUT(oid, name) oid,
#include "broker/policy/allow.def"
#undef ALLOW_INPUT
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

const struct policy_allow_type *policy_allow_type(uint32_t oid)
{
    for (size_t i = 0; i < COUNT(types); i++) {
        if (types[i].oid == oid) {
            return &types[i];
        }
    }
    return NULL;
}

const struct policy_allow_type *policy_allow_array(uint32_t array_oid)
{
    for (size_t i = 0; i < COUNT(types); i++) {
        if (types[i].array == array_oid) {
            return &types[i];
        }
    }
    return NULL;
}

const struct policy_allow_op *policy_allow_op(uint32_t oid)
{
    for (size_t i = 0; i < COUNT(ops); i++) {
        if (ops[i].oid == oid) {
            return &ops[i];
        }
    }
    return NULL;
}

const struct policy_allow_op *policy_allow_ops(size_t *count)
{
    *count = COUNT(ops);
    return ops;
}

const struct policy_allow_cast *policy_allow_cast(uint32_t function)
{
    for (size_t i = 0; i < COUNT(casts); i++) {
        if (casts[i].function == function) {
            return &casts[i];
        }
    }
    return NULL;
}

static bool lists(const uint32_t *list, size_t count, uint32_t oid)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == oid) {
            return true;
        }
    }
    return false;
}

bool policy_allow_text(uint32_t type)
{
    return lists(texts, COUNT(texts), type);
}

bool policy_allow_stable(uint32_t function)
{
    return lists(stables, COUNT(stables), function);
}

bool policy_allow_input(uint32_t type)
{
    return lists(inputs, COUNT(inputs), type);
}
