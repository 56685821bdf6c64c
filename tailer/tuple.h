/* tailer/tuple.h - from the values of a change to the tuples of its record.
 *
 * Where the stream is silent, the record says so: columns of a key-only old tuple that are not part of the replica
 * identity are MISSING (pgoutput writes them as NULL, which they are not); a TOASTed value that was not touched
 * is taken from the full old tuple, or is UNCHANGED; a value over the limit is TOO_LARGE.
 *
 * Appends to a writer that keeps its memory; one pass over the values, one copy of their bytes.
 */
#ifndef PGTIDE_TAILER_TUPLE_H
#define PGTIDE_TAILER_TUPLE_H

#include <stdint.h>

#include "proto/writer.h"
#include "tailer/pgoutput.h"

/* `old_row`: the full old tuple of the same change, with as many values; NULL if there is none. Returns
 * the number of values left out for their size. */
uint32_t tuple_write(struct wire_writer *out, const struct pgoutput_value *values, uint32_t count,
                     const struct pgoutput_value *old_row, uint32_t max_value);

/* A key-only old tuple; `identity` has `count` flags. */
uint32_t tuple_write_key(struct wire_writer *out, const struct pgoutput_value *values,
                         uint32_t count, const uint8_t *identity, uint32_t max_value);

#endif
