/* proto/tuple.c - the values of a row: nil NULL, str or bin text, 0, 1, 2 the markers. */
#include "proto/records.h"

enum { MARK_MISSING = 0, MARK_UNCHANGED = 1, MARK_TOO_LARGE = 2 };

/* fixint 0 to 0x7f and the integers with a width; str and bin are everything else that is
 * allowed. */
static bool starts_integer(uint8_t tag)
{
    return tag < 0x80 || tag >= 0xe0 || (tag >= 0xcc && tag < 0xd4);
}

static enum wire_value_kind read_mark(struct wire_reader *in)
{
    switch (wire_read_u64(in)) {
    case MARK_MISSING:
        return WIRE_VALUE_MISSING;
    case MARK_UNCHANGED:
        return WIRE_VALUE_UNCHANGED;
    case MARK_TOO_LARGE:
        return WIRE_VALUE_TOO_LARGE;
    default:
        wire_reader_fail(in, WIRE_ERR_RANGE);
        return WIRE_VALUE_MISSING;
    }
}

enum wire_err wire_tuple_open(struct wire_tuple tuple, struct wire_reader *in, uint32_t *out_count)
{
    wire_reader_init(in, tuple.data, tuple.data != NULL ? tuple.len : 0);
    *out_count = wire_read_array(in, WIRE_COLUMNS_MAX);
    return in->err;
}

/* Nearly every value is a text with a head of one or two bytes. False: another one, or not whole; nothing is consumed. */
static bool read_short_text(struct wire_reader *in, struct wire_value *out)
{
    enum { FIXSTR = 0xa0, FIXSTR_MASK = 0xe0, FIXSTR_LEN = 0x1f, STR8 = 0xd9 };
    size_t left = (size_t)(in->end - in->at);
    size_t head = 1;

    if (left < 2) {
        return false;
    }
    size_t len = in->at[0] & FIXSTR_LEN;
    if (in->at[0] == STR8) {
        head = 2;
        len = in->at[1];
    } else if ((in->at[0] & FIXSTR_MASK) != FIXSTR) {
        return false;
    }
    if (len > left - head) {
        return false;
    }
    *out = (struct wire_value){ .kind = WIRE_VALUE_TEXT,
                                .text = (const char *)in->at + head,
                                .len = (uint32_t)len };
    in->at += head + len;
    return true;
}

enum wire_err wire_tuple_next(struct wire_reader *in, struct wire_value *out)
{
    if (read_short_text(in, out)) {
        return WIRE_OK;
    }
    *out = (struct wire_value){ .kind = WIRE_VALUE_NULL, .text = "", .len = 0 };
    if (wire_try_nil(in)) {
        return WIRE_OK;
    }
    if (in->at < in->end && starts_integer(*in->at)) {
        out->kind = read_mark(in);
        return in->err;
    }
    struct wire_span text = wire_read_str(in, WIRE_VALUE_MAX);
    out->kind = WIRE_VALUE_TEXT;
    out->text = text.data;
    out->len = (uint32_t)text.len;
    return in->err;
}

void wire_write_value(struct wire_writer *out, const struct wire_value *value)
{
    switch (value->kind) {
    case WIRE_VALUE_NULL:
        wire_write_nil(out);
        break;
    case WIRE_VALUE_TEXT:
        wire_check(value->len <= WIRE_VALUE_MAX);
        wire_write_str(out, value->text, value->len);
        break;
    case WIRE_VALUE_MISSING:
        wire_write_u64(out, MARK_MISSING);
        break;
    case WIRE_VALUE_UNCHANGED:
        wire_write_u64(out, MARK_UNCHANGED);
        break;
    case WIRE_VALUE_TOO_LARGE:
        wire_write_u64(out, MARK_TOO_LARGE);
        break;
    }
}
