/* proto/reader.c - see reader.h.
 *
 * What must stay true: no byte is looked at before it is known to be there, and every step of
 * every loop consumes at least one byte, so that no header, however large the number in it, can
 * make a read cost more than the buffer is long.
 *
 * A failed read moves the cursor to the end. The reads that follow then fail by themselves, at
 * the price of no extra test, and `err` keeps the first cause.
 */
#include "proto/reader.h"

enum kind {
    KIND_BAD, /* 0xc1, or the head did not fit */
    KIND_NIL,
    KIND_BOOL,
    KIND_UINT,
    KIND_INT,   /* two's complement in the value */
    KIND_STR,   /* str and bin: the value is the length */
    KIND_BODY,  /* floats and ext: the value is the number of bytes behind the head */
    KIND_ARRAY, /* the value is the number of elements */
    KIND_MAP,   /* the value is the number of pairs */
};

/* The heads 0xc0 to 0xdf: a big-endian number of `width` bytes behind the tag, plus `add`. */
struct form {
    uint8_t kind;
    uint8_t width;
    uint8_t add;
};
static const struct form forms[32] = {
    { KIND_NIL, 0, 0 },   { KIND_BAD, 0, 0 },   { KIND_BOOL, 0, 0 }, { KIND_BOOL, 0, 1 },
    { KIND_STR, 1, 0 },   { KIND_STR, 2, 0 },   { KIND_STR, 4, 0 },  { KIND_BODY, 1, 1 },
    { KIND_BODY, 2, 1 },  { KIND_BODY, 4, 1 },  { KIND_BODY, 0, 4 }, { KIND_BODY, 0, 8 },
    { KIND_UINT, 1, 0 },  { KIND_UINT, 2, 0 },  { KIND_UINT, 4, 0 }, { KIND_UINT, 8, 0 },
    { KIND_INT, 1, 0 },   { KIND_INT, 2, 0 },   { KIND_INT, 4, 0 },  { KIND_INT, 8, 0 },
    { KIND_BODY, 0, 2 },  { KIND_BODY, 0, 3 },  { KIND_BODY, 0, 5 }, { KIND_BODY, 0, 9 },
    { KIND_BODY, 0, 17 }, { KIND_STR, 1, 0 },   { KIND_STR, 2, 0 },  { KIND_STR, 4, 0 },
    { KIND_ARRAY, 2, 0 }, { KIND_ARRAY, 4, 0 }, { KIND_MAP, 2, 0 },  { KIND_MAP, 4, 0 },
};

static const uint8_t nothing[1];

static uint64_t left(const struct wire_reader *in)
{
    return (uint64_t)(in->end - in->at);
}

static enum kind read_long_head(struct wire_reader *in, uint8_t tag, uint64_t *out_value)
{
    const struct form *form = &forms[tag - 0xc0];
    uint64_t value = 0;

    if (left(in) <= form->width) {
        wire_reader_fail(in, WIRE_ERR_SHORT);
        return KIND_BAD;
    }
    if (form->kind == KIND_INT && in->at[1] >= 0x80) {
        value = UINT64_MAX; /* the ones above a negative number's own bits */
    }
    for (unsigned i = 1; i <= form->width; i++) {
        value = value << 8 | in->at[i];
    }
    in->at += 1 + form->width;
    *out_value = value + form->add;
    return (enum kind)form->kind;
}

/* Consumes the head of one value, not its body. KIND_BAD leaves err to the caller's WIRE_ERR_TYPE
 * unless the head did not fit. */
static inline enum kind read_head(struct wire_reader *in, uint64_t *out_value)
{
    *out_value = 0;
    if (in->at == in->end) {
        wire_reader_fail(in, WIRE_ERR_SHORT);
        return KIND_BAD;
    }
    uint8_t tag = *in->at;
    if (tag >= 0xc0 && tag < 0xe0) {
        return read_long_head(in, tag, out_value);
    }
    in->at++;
    if (tag < 0x80) {
        *out_value = tag;
        return KIND_UINT;
    }
    if (tag >= 0xe0) {
        *out_value = UINT64_MAX << 8 | tag;
        return KIND_INT;
    }
    if (tag >= 0xa0) {
        *out_value = tag & 0x1fu;
        return KIND_STR;
    }
    *out_value = tag & 0x0fu;
    return tag >= 0x90 ? KIND_ARRAY : KIND_MAP;
}

static void skip_bytes(struct wire_reader *in, uint64_t count)
{
    if (count > left(in)) {
        wire_reader_fail(in, WIRE_ERR_SHORT);
        return;
    }
    in->at += count;
}

/* Consumes one value but for the elements of a container, whose number it returns. */
static uint64_t skip_head(struct wire_reader *in)
{
    uint64_t value = 0;

    switch (read_head(in, &value)) {
    case KIND_NIL:
    case KIND_BOOL:
    case KIND_UINT:
    case KIND_INT:
        return 0;
    case KIND_STR:
    case KIND_BODY:
        skip_bytes(in, value);
        return 0;
    case KIND_MAP:
        value *= 2;
        break;
    case KIND_ARRAY:
        break;
    case KIND_BAD:
    default:
        wire_reader_fail(in, WIRE_ERR_TYPE);
        return 0;
    }
    if (value > left(in)) {
        wire_reader_fail(in, WIRE_ERR_SHORT);
        return 0;
    }
    return value;
}

static bool starts_container(uint8_t tag)
{
    return (tag >= 0x80 && tag < 0xa0) || (tag >= 0xdc && tag < 0xe0);
}

const char *wire_err_text(enum wire_err err)
{
    switch (err) {
    case WIRE_OK:
        return "ok";
    case WIRE_ERR_END:
        return "end of the message";
    case WIRE_ERR_SHORT:
        return "the message ends inside a value";
    case WIRE_ERR_TYPE:
        return "a value of another type than its field has";
    case WIRE_ERR_RANGE:
        return "a number or length outside its field's limits";
    case WIRE_ERR_ARITY:
        return "a record with another number of fields than this version knows";
    case WIRE_ERR_UNKNOWN:
        return "a record that this version does not know";
    case WIRE_ERR_DEPTH:
        return "a value nested too deep";
    case WIRE_ERR_TRAILING:
        return "bytes behind the last value";
    default:
        return "unknown error";
    }
}

void wire_reader_init(struct wire_reader *in, const void *data, size_t len)
{
    /* Arithmetic on a null pointer is undefined, even with 0. */
    in->at = len > 0 ? data : nothing;
    in->end = in->at + len;
    in->err = WIRE_OK;
}

void wire_reader_fail(struct wire_reader *in, enum wire_err err)
{
    if (in->err == WIRE_OK) {
        in->err = err;
    }
    in->at = in->end;
}

uint64_t wire_read_u64(struct wire_reader *in)
{
    uint64_t value = 0;
    enum kind kind = read_head(in, &value);

    if (kind == KIND_UINT || (kind == KIND_INT && value <= INT64_MAX)) {
        return value;
    }
    wire_reader_fail(in, kind == KIND_INT ? WIRE_ERR_RANGE : WIRE_ERR_TYPE);
    return 0;
}

uint32_t wire_read_u32(struct wire_reader *in)
{
    uint64_t value = wire_read_u64(in);

    if (value > UINT32_MAX) {
        wire_reader_fail(in, WIRE_ERR_RANGE);
        return 0;
    }
    return (uint32_t)value;
}

int64_t wire_read_i64(struct wire_reader *in)
{
    uint64_t value = 0;
    enum kind kind = read_head(in, &value);

    if (kind == KIND_INT || (kind == KIND_UINT && value <= INT64_MAX)) {
        return (int64_t)value;
    }
    wire_reader_fail(in, kind == KIND_UINT ? WIRE_ERR_RANGE : WIRE_ERR_TYPE);
    return 0;
}

bool wire_read_bool(struct wire_reader *in)
{
    uint64_t value = 0;

    if (read_head(in, &value) != KIND_BOOL) {
        wire_reader_fail(in, WIRE_ERR_TYPE);
        return false;
    }
    return value != 0;
}

struct wire_span wire_read_str(struct wire_reader *in, size_t max_len)
{
    uint64_t len = 0;

    if (read_head(in, &len) != KIND_STR) {
        wire_reader_fail(in, WIRE_ERR_TYPE);
    } else if (len > max_len) {
        wire_reader_fail(in, WIRE_ERR_RANGE);
    } else if (len > left(in)) {
        wire_reader_fail(in, WIRE_ERR_SHORT);
    } else {
        struct wire_span span = { .data = (const char *)in->at, .len = (size_t)len };
        in->at += len;
        return span;
    }
    return (struct wire_span){ .data = "", .len = 0 };
}

uint32_t wire_read_array(struct wire_reader *in, uint32_t max_count)
{
    uint64_t count = 0;

    if (read_head(in, &count) != KIND_ARRAY) {
        wire_reader_fail(in, WIRE_ERR_TYPE);
    } else if (count > max_count) {
        wire_reader_fail(in, WIRE_ERR_RANGE);
    } else if (count > left(in)) {
        wire_reader_fail(in, WIRE_ERR_SHORT);
    } else {
        return (uint32_t)count;
    }
    return 0;
}

struct wire_span wire_read_raw(struct wire_reader *in, unsigned depth)
{
    /* Values still to come in each container that is open; [0] is the value asked for. */
    uint64_t pending[WIRE_RAW_DEPTH_MAX + 1] = { 1 };
    unsigned level = 0;
    const uint8_t *from = in->at;
    unsigned deepest = depth < WIRE_RAW_DEPTH_MAX ? depth : WIRE_RAW_DEPTH_MAX;

    while (in->err == WIRE_OK && (level > 0 || pending[0] > 0)) {
        if (pending[level] == 0) {
            level--;
            continue;
        }
        pending[level]--;
        bool nests = in->at < in->end && starts_container(*in->at);
        if (nests && level == deepest) {
            wire_reader_fail(in, WIRE_ERR_DEPTH);
            break;
        }
        uint64_t elements = skip_head(in);
        if (nests) {
            pending[++level] = elements;
        }
    }
    if (in->err != WIRE_OK) {
        return (struct wire_span){ .data = "", .len = 0 };
    }
    return (struct wire_span){ .data = (const char *)from, .len = (size_t)(in->at - from) };
}

bool wire_try_nil(struct wire_reader *in)
{
    if (in->at == in->end || *in->at != 0xc0) {
        return false;
    }
    in->at++;
    return true;
}

enum wire_err wire_reader_finish(const struct wire_reader *in)
{
    if (in->err == WIRE_OK && in->at != in->end) {
        return WIRE_ERR_TRAILING;
    }
    return in->err;
}
