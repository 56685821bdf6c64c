/* edge/row_json.h - a tuple and the columns a group may read, as the JSON object that to_jsonb(row) gives.
 *
 * A row_def is made once, when the broker describes a group: columns with their names already escaped and their
 * shapes (records.h) unpacked into a table. Encoding a row then allocates nothing once its buffers have grown.
 *
 * Values equal those of to_jsonb: numbers without exponent, NaN and infinities as strings, 'T' in timestamps,
 * arrays and composites nested. json and jsonb are embedded without white space outside strings (json keeps
 * duplicate keys and its own number texts). A value that does not read as its shape says is given as a JSON string of
 * its text, and counted: the shape may be a version behind, and a string is never wrong JSON.
 *
 * Order of members: the columns' order. Cost: linear in the text.
 */
#ifndef PGTIDE_EDGE_ROW_JSON_H
#define PGTIDE_EDGE_ROW_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/records.h"
#include "runtime/buf.h"

/* One node of a column's shape. Children of a composite lie side by side. */
struct row_shape {
    uint8_t kind;    /* enum wire_shape_kind */
    char delimiter;  /* arrays */
    uint32_t first;  /* index of the first child */
    uint32_t count;  /* of children */
    uint32_t key_at; /* a field's `"name":` in row_def.text */
    uint32_t key_len;
};

struct row_column {
    uint32_t at;    /* in the tuple */
    uint32_t flags; /* WIRE_COLUMN_… */
    uint32_t shape; /* index of its root in row_def.shapes */
    uint32_t
        key_at; /* `"name":` in row_def.text; without the colon it is the name as a JSON string */
    uint32_t key_len;
};

struct row_def {
    uint32_t refs;
    struct rt_buf schema;
    struct rt_buf table;
    struct row_column *columns;
    uint32_t column_count;
    bool has_identity; /* some column is flagged WIRE_COLUMN_IDENTITY */
    struct row_shape *shapes;
    uint32_t shape_count;
    struct rt_buf text;         /* names, escaped */
    struct rt_buf not_streamed; /* JSON array of generated columns; empty: none */
};

/* NULL with *out_err when the description cannot be read. The reader positions inside `group` are not moved. */
struct row_def *row_def_new(const struct wire_group *group, enum wire_err *out_err);
struct row_def *row_def_ref(struct row_def *def);
void row_def_unref(struct row_def *def); /* NULL is fine */

/* A tuple, unpacked. Zero-initialised is empty; texts point into the tuple. */
struct row_values {
    struct wire_value *values;
    uint32_t count;
    uint32_t cap;
    bool present; /* there is a tuple */
};
enum wire_err row_values_read(struct row_values *row, struct wire_tuple tuple);
void row_values_fini(struct row_values *row);

enum { ROW_MARK_UNCHANGED = 1, ROW_MARK_TOO_LARGE = 2 };

/* Zero-initialised is ready. */
struct row_encoder {
    struct rt_buf scratch[WIRE_SHAPE_DEPTH]; /* one item per level of nesting */
    struct rt_buf stack;                     /* for json_out_compact */
    uint8_t *marks;                          /* per column of the def: ROW_MARK_… */
    uint32_t marks_cap;
    uint64_t as_text;  /* values that were not as their shape says */
    uint64_t bad_utf8; /* pieces replaced by U+FFFD */
};
void row_encoder_fini(struct row_encoder *encoder);
/* Forgets the marks, before the first object of an event. */
void row_encoder_begin(struct row_encoder *encoder, const struct row_def *def);
/* Appends the object of `row`. Values that are missing are left out; unchanged ones are taken from `old`
 * (NULL: none) and else left out and marked, as are too large ones. only: 0, or WIRE_COLUMN_… flags of which a column must have one.
 * WIRE_ERR_RANGE, and nothing appended, when the tuple is shorter than the def says. */
enum wire_err row_json(struct row_encoder *encoder, const struct row_def *def,
                       const struct row_values *row, const struct row_values *old, uint32_t only,
                       struct rt_buf *out);
/* Appends a JSON array of the names of columns with `mark`; nothing at all if there are none. */
void row_json_marked(const struct row_encoder *encoder, const struct row_def *def, uint8_t mark,
                     struct rt_buf *out);

#endif
