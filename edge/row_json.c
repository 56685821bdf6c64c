/* edge/row_json.c - see row_json.h; the shapes are read in row_def.c.
 *
 * Following a shape recurses once per level; row_def_new() admits no more than WIRE_SHAPE_DEPTH levels, and
 * every level has a scratch buffer of its own, since the item of an outer level is read while inner ones are undone.
 */
#include "edge/row_json.h"

#include <stdlib.h>
#include <string.h>

#include "edge/json_out.h"
#include "edge/pg_text.h"

struct text {
    const char *data;
    size_t len;
};

struct writing {
    struct row_encoder *encoder;
    const struct row_def *def;
    struct rt_buf *out;
};

static void write_string(const struct writing *to, struct text text)
{
    to->encoder->bad_utf8 += json_out_string(to->out, text.data, text.len);
}

static bool write_number(const struct writing *to, struct text text)
{
    if (pg_number_is_special(text.data, text.len)) {
        write_string(to, text);
        return true;
    }
    return pg_number(to->out, text.data, text.len);
}

static bool write_bool(const struct writing *to, struct text text)
{
    if (text.len != 1 || (text.data[0] != 't' && text.data[0] != 'f')) {
        return false;
    }
    rt_buf_puts(to->out, text.data[0] == 't' ? "true" : "false");
    return true;
}

static bool write_timestamp(const struct writing *to, struct text text, bool zone)
{
    rt_buf_putc(to->out, '"');
    if (!pg_timestamp(to->out, text.data, text.len, zone)) {
        return false;
    }
    rt_buf_putc(to->out, '"');
    return true;
}

static bool write_json(const struct writing *to, struct text text)
{
    size_t replaced = 0;
    bool valid = json_out_compact(to->out, text.data, text.len, &to->encoder->stack, &replaced);

    to->encoder->bad_utf8 += replaced;
    return valid;
}

static bool write_plain(const struct writing *to, const struct row_shape *shape, struct text text)
{
    switch ((enum wire_shape_kind)shape->kind) {
    case WIRE_SHAPE_NUMBER:
        return write_number(to, text);
    case WIRE_SHAPE_BOOL:
        return write_bool(to, text);
    case WIRE_SHAPE_DATE:
        if (!pg_is_date(text.data, text.len)) {
            return false;
        }
        write_string(to, text);
        return true;
    case WIRE_SHAPE_TIMESTAMP:
        return write_timestamp(to, text, false);
    case WIRE_SHAPE_TIMESTAMPTZ:
        return write_timestamp(to, text, true);
    case WIRE_SHAPE_JSON:
        return write_json(to, text);
    case WIRE_SHAPE_TEXT:
        write_string(to, text);
        return true;
    case WIRE_SHAPE_ARRAY:
    case WIRE_SHAPE_COMPOSITE:
    case WIRE_SHAPE_VECTOR:
    default:
        return false;
    }
}

static bool write_value(const struct writing *to, uint32_t shape, struct text text, unsigned level);

static struct text item_of(const struct pg_cursor *in)
{
    return (struct text){ in->item, in->item_len };
}

/* NOLINTNEXTLINE(misc-no-recursion): one level per level of the shape, which row_def_new() bounds */
static bool write_array(const struct writing *to, const struct row_shape *shape, struct text text,
                        unsigned level)
{
    struct pg_cursor in;
    bool comma = false;

    pg_array_open(&in, text.data, text.len, shape->delimiter, &to->encoder->scratch[level]);
    for (;;) {
        enum pg_token token = pg_array_next(&in);
        if (token == PG_END || token == PG_BAD) {
            return token == PG_END;
        }
        if (token == PG_CLOSE) {
            rt_buf_putc(to->out, ']');
            comma = true;
            continue;
        }
        if (comma) {
            rt_buf_putc(to->out, ',');
        }
        comma = token != PG_OPEN;
        if (token == PG_OPEN) {
            rt_buf_putc(to->out, '[');
        } else if (token == PG_NULL) {
            rt_buf_puts(to->out, "null");
        } else if (!write_value(to, shape->first, item_of(&in), level + 1)) {
            return false;
        }
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as above */
static bool write_vector(const struct writing *to, const struct row_shape *shape, struct text text,
                         unsigned level)
{
    struct pg_cursor in;
    enum pg_token token = PG_END;

    pg_vector_open(&in, text.data, text.len);
    rt_buf_putc(to->out, '[');
    for (bool comma = false; (token = pg_vector_next(&in)) == PG_ITEM; comma = true) {
        if (comma) {
            rt_buf_putc(to->out, ',');
        }
        if (!write_value(to, shape->first, item_of(&in), level + 1)) {
            return false;
        }
    }
    rt_buf_putc(to->out, ']');
    return token == PG_END;
}

/* NOLINTNEXTLINE(misc-no-recursion): as above */
static bool write_fields(const struct writing *to, const struct row_shape *shape, struct text text,
                         unsigned level)
{
    struct pg_cursor in;

    pg_record_open(&in, text.data, text.len, &to->encoder->scratch[level]);
    for (uint32_t i = 0; i < shape->count; i++) {
        const struct row_shape *field = &to->def->shapes[shape->first + i];
        enum pg_token token = pg_record_next(&in);
        if (i > 0) {
            rt_buf_putc(to->out, ',');
        }
        rt_buf_append(to->out, to->def->text.data + field->key_at, field->key_len);
        if (token == PG_NULL) {
            rt_buf_puts(to->out, "null");
        } else if (token != PG_ITEM ||
                   !write_value(to, shape->first + i, item_of(&in), level + 1)) {
            return false;
        }
    }
    return pg_record_next(&in) == PG_END;
}

/* NOLINTNEXTLINE(misc-no-recursion): as above */
static bool write_composite(const struct writing *to, const struct row_shape *shape,
                            struct text text, unsigned level)
{
    if (shape->count == 0) { /* a type whose last attribute was dropped */
        rt_buf_puts(to->out, "{}");
        return text.len == 2 && memcmp(text.data, "()", 2) == 0;
    }
    rt_buf_putc(to->out, '{');
    if (!write_fields(to, shape, text, level)) {
        return false;
    }
    rt_buf_putc(to->out, '}');
    return true;
}

/* False: `text` is not what the shape says, and part of it may have been written. */
/* NOLINTNEXTLINE(misc-no-recursion): as above */
static bool write_value(const struct writing *to, uint32_t shape, struct text text, unsigned level)
{
    const struct row_shape *at = &to->def->shapes[shape];

    switch (at->kind) {
    case WIRE_SHAPE_ARRAY:
        return write_array(to, at, text, level);
    case WIRE_SHAPE_COMPOSITE:
        return write_composite(to, at, text, level);
    case WIRE_SHAPE_VECTOR:
        return write_vector(to, at, text, level);
    default:
        return write_plain(to, at, text);
    }
}

static void write_column(const struct writing *to, const struct row_column *column,
                         const struct wire_value *value)
{
    struct text text = { value->text, value->len };

    rt_buf_append(to->out, to->def->text.data + column->key_at, column->key_len);
    if (value->kind == WIRE_VALUE_NULL) {
        rt_buf_puts(to->out, "null");
        return;
    }
    size_t start = to->out->len;
    if (!write_value(to, column->shape, text, 0)) {
        to->out->len = start;
        to->encoder->as_text++;
        write_string(to, text);
    }
}

/* The value to show for a column; one of TEXT and NULL, or MISSING when it is to be left out. */
static struct wire_value shown(struct row_encoder *encoder, uint32_t index, struct wire_value value,
                               const struct wire_value *old)
{
    if (value.kind == WIRE_VALUE_UNCHANGED && old != NULL && old->kind != WIRE_VALUE_MISSING) {
        value = *old;
    }
    if (value.kind == WIRE_VALUE_UNCHANGED) {
        encoder->marks[index] |= ROW_MARK_UNCHANGED;
        value.kind = WIRE_VALUE_MISSING;
    } else if (value.kind == WIRE_VALUE_TOO_LARGE) {
        encoder->marks[index] |= ROW_MARK_TOO_LARGE;
        value.kind = WIRE_VALUE_MISSING;
    }
    return value;
}

enum wire_err row_values_read(struct row_values *row, struct wire_tuple tuple)
{
    struct wire_reader in;
    uint32_t count = 0;

    row->count = 0;
    row->present = tuple.data != NULL;
    if (!row->present) {
        return WIRE_OK;
    }
    enum wire_err err = wire_tuple_open(tuple, &in, &count);
    if (err != WIRE_OK) {
        return err;
    }
    if (count > row->cap) {
        row->values = rt_realloc(row->values, count, sizeof *row->values);
        row->cap = count;
    }
    for (uint32_t i = 0; i < count; i++) {
        err = wire_tuple_next(&in, &row->values[i]);
        if (err != WIRE_OK) {
            return err;
        }
    }
    row->count = count;
    return WIRE_OK;
}

void row_values_fini(struct row_values *row)
{
    free(row->values);
    *row = (struct row_values){ 0 };
}

void row_encoder_fini(struct row_encoder *encoder)
{
    for (size_t i = 0; i < sizeof encoder->scratch / sizeof encoder->scratch[0]; i++) {
        rt_buf_fini(&encoder->scratch[i]);
    }
    rt_buf_fini(&encoder->stack);
    free(encoder->marks);
    encoder->marks = NULL;
    encoder->marks_cap = 0;
}

void row_encoder_begin(struct row_encoder *encoder, const struct row_def *def)
{
    if (def->column_count > encoder->marks_cap) {
        encoder->marks = rt_realloc(encoder->marks, def->column_count, 1);
        encoder->marks_cap = def->column_count;
    }
    if (def->column_count > 0) {
        memset(encoder->marks, 0, def->column_count);
    }
}

enum wire_err row_json(struct row_encoder *encoder, const struct row_def *def,
                       const struct row_values *row, const struct row_values *old, uint32_t only,
                       struct rt_buf *out)
{
    struct writing to = { .encoder = encoder, .def = def, .out = out };
    size_t start = out->len;
    bool comma = false;

    rt_buf_putc(out, '{');
    for (uint32_t i = 0; i < def->column_count; i++) {
        const struct row_column *column = &def->columns[i];
        if (column->at >= row->count) {
            out->len = start;
            return WIRE_ERR_RANGE;
        }
        if (only != 0 && (column->flags & only) == 0) {
            continue;
        }
        bool has_old = old != NULL && column->at < old->count;
        struct wire_value value =
            shown(encoder, i, row->values[column->at], has_old ? &old->values[column->at] : NULL);
        if (value.kind == WIRE_VALUE_MISSING) {
            continue;
        }
        if (comma) {
            rt_buf_putc(out, ',');
        }
        comma = true;
        write_column(&to, column, &value);
    }
    rt_buf_putc(out, '}');
    return WIRE_OK;
}

void row_json_marked(const struct row_encoder *encoder, const struct row_def *def, uint8_t mark,
                     struct rt_buf *out)
{
    bool any = false;

    for (uint32_t i = 0; i < def->column_count; i++) {
        if ((encoder->marks[i] & mark) == 0) {
            continue;
        }
        rt_buf_putc(out, any ? ',' : '[');
        any = true;
        rt_buf_append(out, def->text.data + def->columns[i].key_at, def->columns[i].key_len - 1);
    }
    if (any) {
        rt_buf_putc(out, ']');
    }
}
