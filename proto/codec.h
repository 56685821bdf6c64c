/* proto/codec.h - fields that several records share. Inside proto/ only.
 *
 * Readers fail like those of reader.h: sticky, zero values. Writers check the limits their reader
 * enforces.
 */
#ifndef PGTIDE_PROTO_CODEC_H
#define PGTIDE_PROTO_CODEC_H

#include "proto/records.h"

/* Every bit that has a meaning; another one is WIRE_ERR_RANGE. */
#define WIRE_COLUMN_FLAGS   (WIRE_COLUMN_IDENTITY | WIRE_COLUMN_PRIMARY)
#define WIRE_TRUNCATE_FLAGS (WIRE_TRUNCATE_CASCADE | WIRE_TRUNCATE_RESTART_IDENTITY)

/* A number between least and most, both included. */
uint32_t wire_read_choice(struct wire_reader *in, uint32_t least, uint32_t most);
int32_t wire_read_i32(struct wire_reader *in);
/* The header of a nested array of exactly `count` elements; another count is WIRE_ERR_ARITY. */
void wire_read_fields(struct wire_reader *in, uint32_t count);
struct wire_position wire_read_position(struct wire_reader *in);
/* A tuple, all of its values checked, or nil when there is none (data NULL). */
struct wire_tuple wire_read_tuple_or_nil(struct wire_reader *in);
/* The same, where the record says whether there is one: anything else is WIRE_ERR_TYPE. */
struct wire_tuple wire_read_tuple(struct wire_reader *in, bool expected);
/* A list whose elements have been checked: `list` is at the first one and ends behind the last. */
uint32_t wire_read_numbers(struct wire_reader *in, uint32_t max_count,
                           struct wire_reader *out_list);
uint32_t wire_read_names(struct wire_reader *in, struct wire_reader *out_list);
/* `list` ends where `in` stands. */
void wire_close_list(struct wire_reader *list, const struct wire_reader *in);

/* The header of a record: its array and number. */
void wire_write_record(struct wire_writer *out, enum wire_type type);
void wire_write_text(struct wire_writer *out, struct wire_span text, size_t max_len);
void wire_write_position(struct wire_writer *out, const struct wire_position *position);
void wire_write_tuple(struct wire_writer *out, struct wire_tuple tuple, bool expected);
void wire_write_numbers(struct wire_writer *out, const uint32_t *numbers, uint32_t count);
void wire_write_names(struct wire_writer *out, const struct wire_span *names, uint32_t count);

#endif
