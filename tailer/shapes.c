/* tailer/shapes.c - see shapes.h.
 *
 * A shape is written in pre-order, and every array's length is known when its head is written. So the
 * walk needs no recursion: a stack of parts still to be written, the next one on top. Domains cannot be
 * endless, but the catalog is read in several steps while others change it, so every step counts
 * against SHAPES_PARTS_MAX.
 */
#include "tailer/shapes.h"

#include <stdlib.h>
#include <string.h>

#include "proto/records.h"
#include "runtime/buf.h"
#include "tailer/builtin_types.h"

/* One part to be written: a type, in front of it its name when it is an attribute of a composite. */
struct part {
    uint32_t type;
    uint32_t depth; /* msgpack arrays around it */
    bool named;
    char name[FACTS_NAME_SIZE];
};

struct walk {
    const struct facts_source *source;
    struct wire_writer *out;
    struct shapes_report *report;
    struct part *parts;
    size_t count;
    size_t cap;
    uint32_t steps;
    bool down;
    bool too_complex;
};

static struct part *push(struct walk *walk, uint32_t type, uint32_t depth)
{
    if (walk->count == walk->cap) {
        walk->cap = walk->cap == 0 ? 16 : walk->cap * 2;
        walk->parts = rt_realloc(walk->parts, walk->cap, sizeof(*walk->parts));
    }
    struct part *part = &walk->parts[walk->count++];
    *part = (struct part){ .type = type, .depth = depth };
    return part;
}

static void write_array(struct walk *walk, uint32_t element, char delimiter, uint32_t depth)
{
    wire_write_array(walk->out, 3);
    wire_write_u64(walk->out, WIRE_SHAPE_ARRAY);
    wire_write_str(walk->out, &delimiter, 1);
    push(walk, element, depth + 1);
}

static void write_vector(struct walk *walk, uint32_t element, uint32_t depth)
{
    wire_write_array(walk->out, 2);
    wire_write_u64(walk->out, WIRE_SHAPE_VECTOR);
    push(walk, element, depth + 1);
}

static void write_composite(struct walk *walk, const struct facts_type *type, uint32_t depth)
{
    /* No more parts than may still be written, before they are pushed. */
    if (type->attribute_count > SHAPES_PARTS_MAX) {
        walk->too_complex = true;
        return;
    }
    wire_write_array(walk->out, (uint32_t)type->attribute_count + 1);
    wire_write_u64(walk->out, WIRE_SHAPE_COMPOSITE);
    for (size_t i = type->attribute_count; i-- > 0;) {
        struct part *part = push(walk, type->attributes[i].type, depth + 2);
        part->named = true;
        memcpy(part->name, type->attributes[i].name, sizeof(part->name));
    }
}

static void write_user_type(struct walk *walk, const struct facts_type *type, uint32_t depth)
{
    if (type->is_vector) {
        write_vector(walk, type->element, depth);
    } else if (type->is_array) {
        write_array(walk, type->element, type->delimiter, depth);
    } else if (type->kind == 'd') {
        push(walk, type->base, depth);
    } else if (type->kind == 'c') {
        write_composite(walk, type, depth);
    } else {
        wire_write_u64(walk->out, WIRE_SHAPE_TEXT);
    }
}

static void write_asked(struct walk *walk, const struct part *part)
{
    struct facts_type type = { 0 };

    switch (walk->source->type(walk->source->ctx, part->type, &type)) {
    case FACTS_OK:
        write_user_type(walk, &type, part->depth);
        facts_type_fini(&type);
        break;
    case FACTS_ABSENT:
        walk->report->absent = true;
        wire_write_u64(walk->out, WIRE_SHAPE_TEXT);
        break;
    case FACTS_WAIT:
    case FACTS_DOWN:
    default:
        walk->down = true;
        break;
    }
}

static void write_part(struct walk *walk, const struct part *part)
{
    const struct builtin_type *known = builtin_type(part->type);

    /* The shape itself may be one more array than the part's surroundings. */
    if (part->depth + 1 >= WIRE_SHAPE_DEPTH || ++walk->steps > SHAPES_PARTS_MAX) {
        walk->too_complex = true;
        return;
    }
    if (part->named) {
        wire_write_array(walk->out, 2);
        wire_write_str(walk->out, part->name, strnlen(part->name, sizeof(part->name)));
    }
    if (known == NULL) {
        write_asked(walk, part);
    } else if (known->shape == WIRE_SHAPE_ARRAY) {
        write_array(walk, known->element, known->delimiter, part->depth);
    } else if (known->shape == WIRE_SHAPE_VECTOR) {
        write_vector(walk, known->element, part->depth);
    } else {
        wire_write_u64(walk->out, known->shape);
    }
}

bool shapes_write(const struct facts_source *source, uint32_t type_oid, struct wire_writer *out,
                  struct shapes_report *report)
{
    size_t start = out->len;
    struct walk walk = { .source = source, .out = out, .report = report };

    push(&walk, type_oid, 0);
    while (walk.count > 0 && !walk.down && !walk.too_complex) {
        struct part part = walk.parts[--walk.count];
        write_part(&walk, &part);
    }
    free(walk.parts);
    if (walk.down || walk.too_complex) {
        out->len = start;
    }
    if (walk.too_complex) {
        report->too_complex = true;
        wire_write_u64(out, WIRE_SHAPE_TEXT);
    }
    return !walk.down;
}
