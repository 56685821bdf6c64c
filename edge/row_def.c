/* edge/row_def.c - a group's description, unpacked: the half of row_json.h that is done once.
 *
 * Shapes are unpacked breadth first: a node's children are appended side by side and remember their raw
 * bytes until it is their turn. That needs no recursion, and a level costs one skip over its bytes.
 */
#include <stdlib.h>

#include "edge/json_out.h"
#include "edge/row_json.h"

enum { FIRST_SHAPES = 16 };

struct pending {
    struct wire_span raw;
    uint32_t level;
};

struct unpacking {
    struct row_def *def;
    struct pending *pending; /* parallel to def->shapes */
    uint32_t cap;
    enum wire_err err;
};

static void fail(struct unpacking *in, enum wire_err err)
{
    if (in->err == WIRE_OK) {
        in->err = err;
    }
}

/* A new node, still packed. Returns its index. */
static uint32_t add_shape(struct unpacking *in, struct wire_span raw, uint32_t level)
{
    struct row_def *def = in->def;

    if (def->shape_count == in->cap) {
        in->cap *= 2;
        def->shapes = rt_realloc(def->shapes, in->cap, sizeof *def->shapes);
        in->pending = rt_realloc(in->pending, in->cap, sizeof *in->pending);
    }
    def->shapes[def->shape_count] = (struct row_shape){ 0 };
    in->pending[def->shape_count] = (struct pending){ raw, level };
    return def->shape_count++;
}

/* Appends `"name":`; returns where. */
static uint32_t add_key(struct row_def *def, struct wire_span name, uint32_t *out_len)
{
    size_t at = def->text.len;

    (void)json_out_string(&def->text, name.data, name.len);
    rt_buf_putc(&def->text, ':');
    *out_len = (uint32_t)(def->text.len - at);
    return (uint32_t)at;
}

static void unpack_array(struct unpacking *in, uint32_t at, struct wire_reader *reader,
                         uint32_t elements)
{
    struct wire_span delimiter = wire_read_str(reader, 1);
    struct wire_span element = wire_read_raw(reader, WIRE_SHAPE_DEPTH);

    if (elements != 3 || delimiter.len != 1) {
        fail(in, WIRE_ERR_ARITY);
        return;
    }
    uint32_t child = add_shape(in, element, in->pending[at].level + 1);
    in->def->shapes[at].delimiter = delimiter.data[0];
    in->def->shapes[at].first = child;
    in->def->shapes[at].count = 1;
}

static void unpack_vector(struct unpacking *in, uint32_t at, struct wire_reader *reader,
                          uint32_t elements)
{
    struct wire_span element = wire_read_raw(reader, WIRE_SHAPE_DEPTH);

    if (elements != 2) {
        fail(in, WIRE_ERR_ARITY);
        return;
    }
    uint32_t child = add_shape(in, element, in->pending[at].level + 1);
    in->def->shapes[at].first = child;
    in->def->shapes[at].count = 1;
}

static void unpack_composite(struct unpacking *in, uint32_t at, struct wire_reader *reader,
                             uint32_t elements)
{
    uint32_t first = in->def->shape_count;

    for (uint32_t i = 1; i < elements && reader->err == WIRE_OK; i++) {
        if (wire_read_array(reader, 2) != 2) {
            fail(in, WIRE_ERR_ARITY);
            return;
        }
        struct wire_span name = wire_read_str(reader, WIRE_NAME_MAX);
        struct wire_span raw = wire_read_raw(reader, WIRE_SHAPE_DEPTH);
        if (reader->err != WIRE_OK) {
            break;
        }
        uint32_t child = add_shape(in, raw, in->pending[at].level + 1);
        struct row_shape *shape = &in->def->shapes[child];
        shape->key_at = add_key(in->def, name, &shape->key_len);
    }
    in->def->shapes[at].first = first;
    in->def->shapes[at].count = in->def->shape_count - first;
}

static void unpack_nested(struct unpacking *in, uint32_t at, struct wire_reader *reader)
{
    uint32_t elements = wire_read_array(reader, WIRE_COLUMNS_MAX + 1);
    uint32_t kind = wire_read_u32(reader);

    if (in->pending[at].level >= WIRE_SHAPE_DEPTH) {
        fail(in, WIRE_ERR_DEPTH);
        return;
    }
    in->def->shapes[at].kind = (uint8_t)kind;
    switch (kind) {
    case WIRE_SHAPE_ARRAY:
        unpack_array(in, at, reader, elements);
        break;
    case WIRE_SHAPE_VECTOR:
        unpack_vector(in, at, reader, elements);
        break;
    case WIRE_SHAPE_COMPOSITE:
        unpack_composite(in, at, reader, elements);
        break;
    default:
        fail(in, WIRE_ERR_RANGE);
    }
}

static void unpack(struct unpacking *in, uint32_t at)
{
    struct wire_span raw = in->pending[at].raw;
    struct wire_reader reader;

    wire_reader_init(&reader, raw.data, raw.len);
    if (raw.len > 0 && (uint8_t)raw.data[0] < 0x80) { /* a plain kind: one small integer */
        uint32_t kind = wire_read_u32(&reader);
        if (kind >= WIRE_SHAPE_ARRAY) {
            fail(in, WIRE_ERR_RANGE);
        }
        in->def->shapes[at].kind = (uint8_t)kind;
    } else {
        unpack_nested(in, at, &reader);
    }
    fail(in, wire_reader_finish(&reader));
}

static void read_columns(struct unpacking *in, const struct wire_group *group)
{
    struct row_def *def = in->def;
    struct wire_reader columns = group->columns;

    if (group->column_count > WIRE_COLUMNS_MAX) {
        fail(in, WIRE_ERR_RANGE);
        return;
    }
    def->columns = rt_alloc((group->column_count + (size_t)1) * sizeof *def->columns);
    for (uint32_t i = 0; i < group->column_count && in->err == WIRE_OK; i++) {
        struct wire_group_column from;
        fail(in, wire_next_group_column(&columns, &from));
        if (in->err != WIRE_OK) {
            break;
        }
        struct row_column *column = &def->columns[i];
        column->at = from.at;
        column->flags = from.flags;
        column->key_at = add_key(def, from.name, &column->key_len);
        column->shape = add_shape(in, from.shape, 0);
        def->has_identity |= (from.flags & WIRE_COLUMN_IDENTITY) != 0;
        def->column_count++;
    }
    for (uint32_t i = 0; i < def->shape_count && in->err == WIRE_OK; i++) {
        unpack(in, i);
    }
}

static void read_not_streamed(struct unpacking *in, const struct wire_group *group)
{
    struct rt_buf *out = &in->def->not_streamed;
    struct wire_reader names = group->not_streamed;

    for (uint32_t i = 0; i < group->not_streamed_count && in->err == WIRE_OK; i++) {
        struct wire_span name = wire_read_str(&names, WIRE_NAME_MAX);
        fail(in, names.err);
        rt_buf_putc(out, i == 0 ? '[' : ',');
        (void)json_out_string(out, name.data, name.len);
    }
    if (out->len > 0) {
        rt_buf_putc(out, ']');
    }
}

struct row_def *row_def_new(const struct wire_group *group, enum wire_err *out_err)
{
    struct row_def *def = rt_alloc(sizeof *def);
    struct unpacking in = { .def = def, .cap = FIRST_SHAPES, .err = WIRE_OK };

    def->refs = 1;
    def->shapes = rt_realloc(NULL, in.cap, sizeof *def->shapes);
    in.pending = rt_realloc(NULL, in.cap, sizeof *in.pending);
    rt_buf_append(&def->schema, group->schema.data, group->schema.len);
    rt_buf_append(&def->table, group->table.data, group->table.len);
    read_columns(&in, group);
    read_not_streamed(&in, group);
    free(in.pending);
    *out_err = in.err;
    if (in.err != WIRE_OK) {
        row_def_unref(def);
        return NULL;
    }
    return def;
}

struct row_def *row_def_ref(struct row_def *def)
{
    def->refs++;
    return def;
}

void row_def_unref(struct row_def *def)
{
    if (def == NULL || --def->refs > 0) {
        return;
    }
    rt_buf_fini(&def->schema);
    rt_buf_fini(&def->table);
    free(def->columns);
    free(def->shapes);
    rt_buf_fini(&def->text);
    rt_buf_fini(&def->not_streamed);
    free(def);
}
