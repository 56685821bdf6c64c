/* tests/unit/proto/any_record_fields.c - see any_record_fields.h. */
#include "tests/unit/proto/any_record_fields.h"

#include <inttypes.h>

void print_text(FILE *out, struct wire_span text)
{
    (void)fputc('"', out);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20) {
            (void)fprintf(out, "\\u%04x", c);
        } else {
            (void)fprintf(out, c == '"' || c == '\\' ? "\\%c" : "%c", c);
        }
    }
    (void)fputc('"', out);
}

void print_position(FILE *out, const struct wire_position *position)
{
    (void)fprintf(out,
                  "{\"epoch\":\"0x%" PRIx64 "\",\"lsn\":\"0x%" PRIx64 "\",\"index\":%" PRIu32 "}",
                  position->epoch, position->lsn, position->index);
}

/* The members of an object, each with the comma in front of it: "record" is always the first
 * one. */
void print_member(FILE *out, const char *name)
{
    (void)fprintf(out, ",\"%s\":", name);
}

void print_u64(FILE *out, const char *name, uint64_t value)
{
    (void)fprintf(out, ",\"%s\":\"0x%" PRIx64 "\"", name, value);
}

void print_number(FILE *out, const char *name, int64_t value)
{
    (void)fprintf(out, ",\"%s\":%" PRId64, name, value);
}

void print_string(FILE *out, const char *name, struct wire_span text)
{
    print_member(out, name);
    print_text(out, text);
}

void print_bool(FILE *out, const char *name, bool value)
{
    (void)fprintf(out, ",\"%s\":%s", name, value ? "true" : "false");
}
