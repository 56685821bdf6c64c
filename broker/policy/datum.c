/* broker/policy/datum.c - constants, arrays, labels; single values are datum_text.c's. */
#include "broker/policy/datum.h"

#include <string.h>

#include "broker/policy/datum_parts.h"

enum { VARLENA_HEADER = 4 };

static bool write_label(struct rt_buf *out, const struct policy_enum *labels, uint32_t oid)
{
    for (uint32_t i = 0; i < labels->count; i++) {
        if (labels->labels[i].oid == oid) {
            rt_buf_append(out, labels->labels[i].text, labels->labels[i].len);
            return true;
        }
    }
    return false;
}

/* A varlena with the long, uncompressed header that the parser makes: its content. */
static bool open_varlena(const uint8_t *at, size_t room, size_t *out_size)
{
    size_t size = room >= VARLENA_HEADER ? (size_t)datum_little(at, VARLENA_HEADER) : 0;

    *out_size = (size >> 2) - VARLENA_HEADER;
    return (size & 3) == 0 && size >> 2 >= VARLENA_HEADER && size >> 2 <= room;
}

/* One value at `at` with at most `room` bytes; *used is what it took. */
static bool write_one(struct rt_buf *out, const struct policy_type_fact *type, const uint8_t *at,
                      size_t room, size_t *used)
{
    if (type->type == 'e') {
        *used = 4;
        return room >= 4 && write_label(out, &type->labels, (uint32_t)datum_little(at, 4));
    }
    int fixed = datum_type_size(type->f.oid);
    size_t size = (size_t)fixed;
    if (fixed < 0 || (fixed == 0 && !open_varlena(at, room, &size)) || size > room) {
        return false;
    }
    size_t head = fixed == 0 ? VARLENA_HEADER : 0;
    *used = head + size;
    return datum_write_value(out, type->f.oid, at + head, size);
}

/* --- arrays ----------------------------------------------------------------------------------- */

static size_t align_up(size_t at, size_t align)
{
    return (at + align - 1) / align * align;
}

static void write_quoted(struct rt_buf *out, const struct rt_buf *element)
{
    rt_buf_putc(out, '"');
    for (size_t i = 0; i < element->len; i++) {
        if (element->data[i] == '"' || element->data[i] == '\\') {
            rt_buf_putc(out, '\\');
        }
        rt_buf_putc(out, (char)element->data[i]);
    }
    rt_buf_putc(out, '"');
}

static bool write_elements(struct rt_buf *out, const struct policy_type_fact *type,
                           const uint8_t *at, size_t size, size_t count)
{
    size_t data = (size_t)datum_little(at + 8, 4) & 0xffffffffu;
    size_t dimensions = (size_t)datum_little(at + 4, 4);
    size_t head = 16 + 8 * dimensions;
    const uint8_t *nulls = data != 0 ? at + head : NULL;
    size_t align = type->type == 'e' ? 4 : datum_type_align(type->f.oid);
    struct rt_buf element = { 0 };
    bool good = true;

    data = data != 0 ? data : align_up(head, 8);
    if (nulls != NULL && (data > size || head + (count + 7) / 8 > data)) {
        return false;
    }
    for (size_t i = 0; i < count && good; i++) {
        size_t used = 0;
        rt_buf_puts(out, i > 0 ? "," : "");
        if (nulls != NULL && (nulls[i / 8] >> (i % 8) & 1) == 0) {
            rt_buf_puts(out, "NULL");
            continue;
        }
        data = align_up(data, align);
        rt_buf_clear(&element);
        good = data <= size && write_one(&element, type, at + data, size - data, &used);
        write_quoted(out, &element);
        data += used;
    }
    rt_buf_fini(&element);
    return good;
}

/* One dimension, or empty. `at` is the whole varlena, header included. */
static bool write_array(struct rt_buf *out, const struct policy_facts *facts,
                        const struct policy_type_fact *type, const uint8_t *at, size_t size)
{
    size_t content = 0;
    const struct policy_type_fact *element = policy_facts_type(facts, type->element);

    if (!open_varlena(at, size, &content) || content + VARLENA_HEADER != size || size < 16 ||
        element == NULL || datum_little(at + 12, 4) != type->element ||
        (element->type != 'e' && datum_type_size(element->f.oid) < 0)) {
        return false;
    }
    uint64_t dimensions = datum_little(at + 4, 4);
    if (dimensions == 0) {
        rt_buf_puts(out, "{}");
        return true;
    }
    if (dimensions != 1 || size < 24 || datum_little(at + 16, 4) > size * 8) {
        return false;
    }
    rt_buf_putc(out, '{');
    bool good = write_elements(out, element, at, size, (size_t)datum_little(at + 16, 4));
    rt_buf_putc(out, '}');
    return good;
}

/* --- constants -------------------------------------------------------------------------------- */

/* :constvalue LENGTH [ BYTES ]; a value passed by value has 8 bytes there, whatever its length. */
static uint8_t *read_bytes(struct policy_arena *arena, const struct policy_tree *length,
                           size_t *out_size)
{
    const struct policy_tree *bytes = length != NULL ? length->next : NULL;
    int64_t size = 0;

    if (!policy_tree_token_number(length, &size) || size < 0 || bytes == NULL ||
        bytes->kind != POLICY_TREE_BYTES) {
        return NULL;
    }
    uint32_t count = policy_tree_count(bytes->child);
    if (count < size || count > size + 8) {
        return NULL;
    }
    uint8_t *data = policy_arena_alloc(arena, (size_t)count + 8);
    uint8_t *at = data;
    for (const struct policy_tree *byte = bytes->child; byte != NULL; byte = byte->next) {
        int64_t value = 0;
        if (!policy_tree_token_number(byte, &value) || value < -128 || value > 255) {
            return NULL;
        }
        *at++ = (uint8_t)value;
    }
    *out_size = (size_t)size;
    return data;
}

bool policy_datum_read(struct policy_arena *arena, const struct policy_facts *facts,
                       const struct policy_tree *node, struct policy_datum *out)
{
    struct rt_buf text = { 0 };
    size_t size = 0;
    size_t used = 0;

    *out = (struct policy_datum){ .text = "" };
    if (!policy_tree_is(node, "CONST") || !policy_tree_oid(node, "consttype", &out->type) ||
        !policy_tree_bool(node, "constisnull", &out->is_null)) {
        return false;
    }
    if (out->is_null) {
        return true;
    }
    const struct policy_type_fact *type = policy_facts_type(facts, out->type);
    const uint8_t *bytes = read_bytes(arena, policy_tree_get(node, "constvalue"), &size);
    bool good = bytes != NULL && type != NULL && policy_facts_little_endian(facts);
    if (good && type->element != 0) {
        good = write_array(&text, facts, type, bytes, size);
    } else if (good) {
        good = write_one(&text, type, bytes, size, &used) && used == size;
    }
    if (good && memchr(text.data != NULL ? text.data : (const uint8_t *)"", 0, text.len) == NULL) {
        out->len = (uint32_t)text.len;
        out->text = policy_arena_copy(arena, (const char *)text.data, text.len);
    } else {
        good = false;
    }
    rt_buf_fini(&text);
    return good;
}
