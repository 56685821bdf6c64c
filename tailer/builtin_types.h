/* tailer/builtin_types.h - the types that every PostgreSQL has, so that ordinary tables need no catalog
 * query. Pure, a binary search. */
#ifndef PGTIDE_TAILER_BUILTIN_TYPES_H
#define PGTIDE_TAILER_BUILTIN_TYPES_H

#include <stddef.h>
#include <stdint.h>

struct builtin_type {
    uint32_t oid;
    uint32_t element; /* of WIRE_SHAPE_ARRAY and WIRE_SHAPE_VECTOR; else 0 */
    uint8_t shape;    /* enum wire_shape_kind */
    char delimiter;   /* between the elements of an array */
};

/* NULL: ask the catalog. */
const struct builtin_type *builtin_type(uint32_t oid);

#endif
