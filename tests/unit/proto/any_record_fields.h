/* tests/unit/proto/any_record_fields.h - single fields of records as JSON, for any_record_print.c and any_record_channel.c. */
#ifndef PGTIDE_TESTS_UNIT_PROTO_ANY_RECORD_FIELDS_H
#define PGTIDE_TESTS_UNIT_PROTO_ANY_RECORD_FIELDS_H

#include "tests/unit/proto/any_record.h"

void print_text(FILE *out, struct wire_span text);
void print_position(FILE *out, const struct wire_position *position);
/* The members of an object, each with the comma in front of it: "record" is always the first one. */
void print_member(FILE *out, const char *name);
void print_u64(FILE *out, const char *name, uint64_t value);
void print_number(FILE *out, const char *name, int64_t value);
void print_string(FILE *out, const char *name, struct wire_span text);
void print_bool(FILE *out, const char *name, bool value);

/* any_record_channel.c */
void print_channel(FILE *out, const struct wire_channel *channel);
void print_broadcast(FILE *out, const struct wire_broadcast *broadcast);
void print_presence(FILE *out, const struct wire_presence *presence);
void print_done(FILE *out, const struct wire_done *done);
void print_track(FILE *out, const struct wire_track *track);
void print_untrack(FILE *out, const struct wire_untrack *untrack);
void print_unseated(FILE *out, const struct wire_unseated *unseated);
void print_seat(FILE *out, const struct wire_seat *seat);
void print_unseat(FILE *out, const struct wire_unseat *unseat);

#endif
