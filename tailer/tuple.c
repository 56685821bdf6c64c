/* tailer/tuple.c - see tuple.h. */
#include "tailer/tuple.h"

#include "proto/records.h"

static uint32_t write_one(struct wire_writer *out, const struct pgoutput_value *value,
                          uint32_t max_value)
{
    struct wire_value wire = { .kind = WIRE_VALUE_NULL };

    if (value->kind == PGOUTPUT_TEXT) {
        bool fits = value->len <= max_value;
        wire.kind = fits ? WIRE_VALUE_TEXT : WIRE_VALUE_TOO_LARGE;
        wire.text = fits ? value->data : NULL;
        wire.len = fits ? value->len : 0;
    } else if (value->kind == PGOUTPUT_UNCHANGED) {
        wire.kind = WIRE_VALUE_UNCHANGED;
    }
    wire_write_value(out, &wire);
    return wire.kind == WIRE_VALUE_TOO_LARGE;
}

uint32_t tuple_write(struct wire_writer *out, const struct pgoutput_value *values, uint32_t count,
                     const struct pgoutput_value *old_row, uint32_t max_value)
{
    uint32_t too_large = 0;

    wire_write_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        bool borrow = values[i].kind == PGOUTPUT_UNCHANGED && old_row != NULL;
        too_large += write_one(out, borrow ? &old_row[i] : &values[i], max_value);
    }
    return too_large;
}

uint32_t tuple_write_key(struct wire_writer *out, const struct pgoutput_value *values,
                         uint32_t count, const uint8_t *identity, uint32_t max_value)
{
    static const struct wire_value missing = { .kind = WIRE_VALUE_MISSING };
    uint32_t too_large = 0;

    wire_write_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        if (identity[i] != 0) {
            too_large += write_one(out, &values[i], max_value);
        } else {
            wire_write_value(out, &missing);
        }
    }
    return too_large;
}
