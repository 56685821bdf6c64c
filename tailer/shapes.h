/* tailer/shapes.h - from a column's type to its shape (proto/records.h): how its text becomes JSON.
 *
 * The rules are those of to_jsonb(): a domain is its base type; arrays and composite types nest; enums,
 * ranges and everything else are JSON strings. Not followed: a cast to json that somebody defined for a type
 * of an extension (hstore has one); such values are strings.
 *
 * Built-in types come from a static table; others are asked from the catalog, one question per type met. A shape
 * nests at most WIRE_SHAPE_DEPTH arrays of msgpack and has at most SHAPES_PARTS_MAX parts; what goes beyond is
 * given as text, whole.
 */
#ifndef PGTIDE_TAILER_SHAPES_H
#define PGTIDE_TAILER_SHAPES_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/writer.h"
#include "tailer/facts.h"

#define SHAPES_PARTS_MAX 4096u

struct shapes_report {
    bool absent;      /* a type was not in the catalog: given as text */
    bool too_complex; /* past the limits: given as text */
};

/* Appends the shape of `type_oid`. False when the source has no answer now (FACTS_DOWN): then `out` is as it
 * was. `report` is only added to. */
bool shapes_write(const struct facts_source *source, uint32_t type_oid, struct wire_writer *out,
                  struct shapes_report *report);

#endif
