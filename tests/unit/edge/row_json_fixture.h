/* tests/unit/edge/row_json_fixture.h - descriptions of rows from short shapes, rows from values, and their JSON.
 *
 * Shapes, in short: n number, t text, b bool, d date, s timestamp, z timestamptz, j json, [X array, ;X array with that
 * delimiter, vX vector, P pair (a int, b text), O outer_pair (p pair, list pair[], t timestamptz, "odd ""name" numeric),
 * 0 a composite without attributes.
 */
#ifndef PGTIDE_TESTS_ROW_JSON_FIXTURE_H
#define PGTIDE_TESTS_ROW_JSON_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/row_json.h"

struct column {
    const char *name;
    const char *shape;
    uint32_t flags;
};

struct fixture {
    struct row_encoder encoder;
    struct row_values row;
    struct row_values old;
    struct wire_writer tuples[2];
    struct rt_buf out;
};

int set_up(void **state);
int tear_down(void **state);

/* Of at most 8 columns; two more, "twice" and `so "odd`, are generated and not streamed. */
struct row_def *make_def(const struct column *columns, uint32_t count);
/* The same from shapes as they are on the wire; NULL and an error when they cannot be. */
struct row_def *def_from_bytes(struct wire_writer *shapes, const struct column *columns,
                               uint32_t count, enum wire_err *out_err);

struct wire_value text_value(const char *text);
/* Makes the values the row's; `out` keeps their bytes. */
void read_values(struct row_values *row, struct wire_writer *out, const struct wire_value *values,
                 uint32_t count);
/* f->row as JSON; valid until the next call. */
const char *encode(struct fixture *f, const struct row_def *def, bool with_old, uint32_t only);
/* The names of the columns that the last row_json() marked so; valid until the next call. */
const char *marked(struct fixture *f, const struct row_def *def, uint8_t mark);

#endif
