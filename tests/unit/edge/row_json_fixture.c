/* tests/unit/edge/row_json_fixture.c - see row_json_fixture.h. */
#include "row_json_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- building descriptions ----------------------------------------------------------------------------------- */

static void write_field(struct wire_writer *out, const char *name, const char *shape);

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the literals above */
static void write_shape(struct wire_writer *out, const char *shape)
{
    static const char plain[] = "tnbdszj"; /* in the order of enum wire_shape_kind */

    switch (*shape) {
    case '[':
    case ';':
        wire_write_array(out, 3);
        wire_write_u64(out, WIRE_SHAPE_ARRAY);
        wire_write_str(out, *shape == '[' ? "," : ";", 1);
        write_shape(out, shape + 1);
        break;
    case 'v':
        wire_write_array(out, 2);
        wire_write_u64(out, WIRE_SHAPE_VECTOR);
        write_shape(out, shape + 1);
        break;
    case 'P':
        wire_write_array(out, 3);
        wire_write_u64(out, WIRE_SHAPE_COMPOSITE);
        write_field(out, "a", "n");
        write_field(out, "b", "t");
        break;
    case 'O':
        wire_write_array(out, 5);
        wire_write_u64(out, WIRE_SHAPE_COMPOSITE);
        write_field(out, "p", "P");
        write_field(out, "list", "[P");
        write_field(out, "t", "z");
        write_field(out, "odd \"name", "n");
        break;
    case '0':
        wire_write_array(out, 1);
        wire_write_u64(out, WIRE_SHAPE_COMPOSITE);
        break;
    default:
        wire_write_u64(out, (uint64_t)(strchr(plain, *shape) - plain));
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as above */
static void write_field(struct wire_writer *out, const char *name, const char *shape)
{
    wire_write_array(out, 2);
    wire_write_str(out, name, strlen(name));
    write_shape(out, shape);
}

struct row_def *def_from_bytes(struct wire_writer *shapes, const struct column *columns,
                               uint32_t count, enum wire_err *out_err)
{
    struct wire_group_column list[8] = { 0 };
    struct wire_writer out = { 0 };
    struct wire_reader in;
    struct wire_group group;
    enum wire_type type = WIRE_BEGIN;
    struct wire_span generated[] = { { "twice", 5 }, { "so \"odd", 7 } };

    for (uint32_t i = 0; i < count; i++) {
        list[i] = (struct wire_group_column){
            .at = i,
            .name = { columns[i].name, strlen(columns[i].name) },
            .flags = columns[i].flags,
            .shape = { (const char *)shapes[i].data, shapes[i].len },
        };
    }
    wire_encode_group(&out,
                      &(struct wire_group){
                          .group = 1,
                          .schema = { "public", 6 },
                          .table = { "t", 1 },
                          .column_count = count,
                          .not_streamed_count = 2,
                      },
                      list, generated);
    wire_reader_init(&in, out.data, out.len);
    assert_int_equal(wire_next_record(&in, &type), WIRE_OK);
    *out_err = wire_decode_group(&in, &group);
    struct row_def *def = *out_err == WIRE_OK ? row_def_new(&group, out_err) : NULL;
    wire_writer_fini(&out);
    return def;
}

struct row_def *make_def(const struct column *columns, uint32_t count)
{
    struct wire_writer shapes[8] = { 0 };
    enum wire_err err = WIRE_OK;

    for (uint32_t i = 0; i < count; i++) {
        write_shape(&shapes[i], columns[i].shape);
    }
    struct row_def *def = def_from_bytes(shapes, columns, count, &err);
    assert_int_equal(err, WIRE_OK);
    for (uint32_t i = 0; i < count; i++) {
        wire_writer_fini(&shapes[i]);
    }
    return def;
}

/* --- encoding ------------------------------------------------------------------------------------------------- */

int set_up(void **state)
{
    *state = rt_alloc(sizeof(struct fixture));
    return 0;
}

int tear_down(void **state)
{
    struct fixture *f = *state;

    row_encoder_fini(&f->encoder);
    row_values_fini(&f->row);
    row_values_fini(&f->old);
    wire_writer_fini(&f->tuples[0]);
    wire_writer_fini(&f->tuples[1]);
    rt_buf_fini(&f->out);
    free(f);
    return 0;
}

struct wire_value text_value(const char *text)
{
    return (
        struct wire_value){ .kind = WIRE_VALUE_TEXT, .text = text, .len = (uint32_t)strlen(text) };
}

void read_values(struct row_values *row, struct wire_writer *out, const struct wire_value *values,
                 uint32_t count)
{
    wire_writer_clear(out);
    wire_write_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_write_value(out, &values[i]);
    }
    assert_int_equal(row_values_read(row, (struct wire_tuple){ out->data, out->len }), WIRE_OK);
}

const char *encode(struct fixture *f, const struct row_def *def, bool with_old, uint32_t only)
{
    rt_buf_clear(&f->out);
    row_encoder_begin(&f->encoder, def);
    assert_int_equal(row_json(&f->encoder, def, &f->row, with_old ? &f->old : NULL, only, &f->out),
                     WIRE_OK);
    return rt_buf_cstr(&f->out);
}

const char *marked(struct fixture *f, const struct row_def *def, uint8_t mark)
{
    rt_buf_clear(&f->out);
    row_json_marked(&f->encoder, def, mark, &f->out);
    return rt_buf_cstr(&f->out);
}
