/* broker/policy/datum_parts.h - what the parts of datum share. Not for others.
 */
#ifndef PGTIDE_BROKER_POLICY_DATUM_PARTS_H
#define PGTIDE_BROKER_POLICY_DATUM_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"

/* How long the bytes of a type are: 0 means varlena, -1 not understood. */
int datum_type_size(uint32_t type);
size_t datum_type_align(uint32_t type);
/* What a value of `size` bytes (a varlena's without its header) prints as. False: not understood. */
bool datum_write_value(struct rt_buf *out, uint32_t type, const uint8_t *at, size_t size);

static inline uint64_t datum_little(const uint8_t *at, size_t size)
{
    uint64_t value = 0;

    for (size_t i = size; i > 0; i--) {
        value = value << 8 | at[i - 1];
    }
    return value;
}

static inline int64_t datum_signed(const uint8_t *at, size_t size)
{
    uint64_t value = datum_little(at, size);

    if (size > 0 && size < 8 && (value >> (size * 8 - 1)) != 0) {
        value |= UINT64_MAX << (size * 8);
    }
    return (int64_t)value;
}

#endif
