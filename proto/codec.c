/* proto/codec.c - see codec.h; and how a record starts. */
#include "proto/codec.h"

/* Elements of a record's array, its number included. 0: no such record. */
static const uint8_t record_arity[] = {
    [WIRE_RELATION] = 8, [WIRE_BEGIN] = 6,       [WIRE_CHANGE] = 7,    [WIRE_TRUNCATE] = 4,
    [WIRE_MESSAGE] = 6,  [WIRE_END] = 4,         [WIRE_PROGRESS] = 4,  [WIRE_GAP] = 4,
    [WIRE_GROUP] = 6,    [WIRE_DELIVER] = 6,     [WIRE_ACCEPT] = 5,    [WIRE_DELIVER_TRUNCATE] = 4,
    [WIRE_REFUSE] = 4,   [WIRE_IDENTIFY] = 5,    [WIRE_FORGET] = 2,    [WIRE_SUBSCRIBE] = 10,
    [WIRE_PUBLISH] = 8,  [WIRE_UNSUBSCRIBE] = 2, [WIRE_NEED] = 2,      [WIRE_REPLAY] = 7,
    [WIRE_ROWS] = 5,     [WIRE_GONE] = 6,        [WIRE_FRESH] = 4,     [WIRE_MORE] = 3,
    [WIRE_DESCRIBE] = 2, [WIRE_CHANNEL] = 5,     [WIRE_BROADCAST] = 7, [WIRE_PRESENCE] = 5,
    [WIRE_DONE] = 5,     [WIRE_TRACK] = 7,       [WIRE_UNTRACK] = 3,   [WIRE_RIGHTS] = 3,
    [WIRE_SEAT] = 5,     [WIRE_UNSEAT] = 2,      [WIRE_UNSEATED] = 2,  [WIRE_REPLAYED] = 3,
};

enum { POSITION_FIELDS = 3 };

/* Skips one value of a tuple in one of the forms that our encoder writes for short ones: half
 * the cost of a change. False without a step when it is another form, or a fault, which
 * wire_tuple_next() tells. */
static inline bool skip_short_value(struct wire_reader *in)
{
    size_t left = (size_t)(in->end - in->at);
    size_t size = 1;

    if (left == 0) {
        return false;
    }
    uint8_t tag = in->at[0];
    if ((tag & 0xe0) == 0xa0) {
        size += tag & 0x1fu;
    } else if (tag == 0xd9 && left > 1) {
        size += 1U + in->at[1];
    } else if (tag != 0xc0 && tag > 2) {
        return false;
    }
    if (size > left) {
        return false;
    }
    in->at += size;
    return true;
}

enum wire_err wire_next_record(struct wire_reader *in, enum wire_type *out_type)
{
    if (in->err == WIRE_OK && in->at == in->end) {
        return WIRE_ERR_END;
    }
    uint32_t arity = wire_read_array(in, UINT32_MAX);
    if (in->err == WIRE_OK && arity == 0) {
        wire_reader_fail(in, WIRE_ERR_ARITY);
    }
    uint64_t number = wire_read_u64(in);
    if (in->err != WIRE_OK) {
        return in->err;
    }
    if (number >= sizeof(record_arity) || record_arity[number] == 0) {
        wire_reader_fail(in, WIRE_ERR_UNKNOWN);
    } else if (arity != record_arity[number]) {
        wire_reader_fail(in, WIRE_ERR_ARITY);
    } else {
        *out_type = (enum wire_type)number;
    }
    return in->err;
}

uint32_t wire_read_choice(struct wire_reader *in, uint32_t least, uint32_t most)
{
    uint64_t value = wire_read_u64(in);

    if (in->err == WIRE_OK && (value < least || value > most)) {
        wire_reader_fail(in, WIRE_ERR_RANGE);
    }
    return in->err == WIRE_OK ? (uint32_t)value : 0;
}

int32_t wire_read_i32(struct wire_reader *in)
{
    int64_t value = wire_read_i64(in);

    if (value < INT32_MIN || value > INT32_MAX) {
        wire_reader_fail(in, WIRE_ERR_RANGE);
        return 0;
    }
    return (int32_t)value;
}

void wire_read_fields(struct wire_reader *in, uint32_t count)
{
    if (wire_read_array(in, UINT32_MAX) != count) {
        wire_reader_fail(in, WIRE_ERR_ARITY);
    }
}

struct wire_position wire_read_position(struct wire_reader *in)
{
    struct wire_position position;

    wire_read_fields(in, POSITION_FIELDS);
    position.epoch = wire_read_u64(in);
    position.lsn = wire_read_u64(in);
    position.index = wire_read_u32(in);
    return position;
}

struct wire_tuple wire_read_tuple_or_nil(struct wire_reader *in)
{
    if (wire_try_nil(in)) {
        return (struct wire_tuple){ .data = NULL, .len = 0 };
    }
    return wire_read_tuple(in, true);
}

struct wire_tuple wire_read_tuple(struct wire_reader *in, bool expected)
{
    struct wire_tuple none = { .data = NULL, .len = 0 };
    const uint8_t *from = in->at;

    if (!expected) {
        if (!wire_try_nil(in)) {
            wire_reader_fail(in, in->at == in->end ? WIRE_ERR_SHORT : WIRE_ERR_TYPE);
        }
        return none;
    }
    uint32_t count = wire_read_array(in, WIRE_COLUMNS_MAX);
    struct wire_value value;
    for (uint32_t i = 0; i < count; i++) {
        if (!skip_short_value(in) && wire_tuple_next(in, &value) != WIRE_OK) {
            return none;
        }
    }
    if (in->err != WIRE_OK) {
        return none;
    }
    return (struct wire_tuple){ .data = from, .len = (size_t)(in->at - from) };
}

uint32_t wire_read_numbers(struct wire_reader *in, uint32_t max_count, struct wire_reader *out_list)
{
    uint32_t count = wire_read_array(in, max_count);

    *out_list = *in;
    for (uint32_t i = 0; i < count && in->err == WIRE_OK; i++) {
        (void)wire_read_u32(in);
    }
    wire_close_list(out_list, in);
    return count;
}

uint32_t wire_read_names(struct wire_reader *in, struct wire_reader *out_list)
{
    uint32_t count = wire_read_array(in, WIRE_COLUMNS_MAX);

    *out_list = *in;
    for (uint32_t i = 0; i < count && in->err == WIRE_OK; i++) {
        (void)wire_read_str(in, WIRE_NAME_MAX);
    }
    wire_close_list(out_list, in);
    return count;
}

void wire_close_list(struct wire_reader *list, const struct wire_reader *in)
{
    list->end = in->at;
    list->err = in->err;
}

void wire_write_record(struct wire_writer *out, enum wire_type type)
{
    wire_write_array(out, record_arity[type]);
    wire_write_u64(out, type);
}

void wire_write_text(struct wire_writer *out, struct wire_span text, size_t max_len)
{
    wire_check(text.len <= max_len);
    wire_write_str(out, text.data, text.len);
}

void wire_write_position(struct wire_writer *out, const struct wire_position *position)
{
    wire_write_array(out, POSITION_FIELDS);
    wire_write_u64(out, position->epoch);
    wire_write_u64(out, position->lsn);
    wire_write_u64(out, position->index);
}

void wire_write_tuple(struct wire_writer *out, struct wire_tuple tuple, bool expected)
{
    wire_check(expected == (tuple.data != NULL));
    if (expected) {
        wire_write_raw(out, tuple.data, tuple.len);
    } else {
        wire_write_nil(out);
    }
}

void wire_write_numbers(struct wire_writer *out, const uint32_t *numbers, uint32_t count)
{
    wire_write_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_write_u64(out, numbers[i]);
    }
}

void wire_write_names(struct wire_writer *out, const struct wire_span *names, uint32_t count)
{
    wire_check(count <= WIRE_COLUMNS_MAX);
    wire_write_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_write_text(out, names[i], WIRE_NAME_MAX);
    }
}
