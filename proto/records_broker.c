/* proto/records_broker.c - what a broker tells an edge, and asks of its tailer: SPEC.md 6 and 8. */
#include "proto/codec.h"

enum { GROUP_COLUMN_FIELDS = 4, DELIVERY_FIELDS = 2 };

/* Which rows the members of these groups will be shown. */
struct rows {
    bool new_row;
    bool old_row;
};

static void count_rows(struct rows *rows, enum wire_op op)
{
    if (op == WIRE_DELETE) {
        rows->old_row = true;
    } else {
        rows->new_row = true;
    }
}

enum wire_err wire_next_group_column(struct wire_reader *in, struct wire_group_column *out)
{
    wire_read_fields(in, GROUP_COLUMN_FIELDS);
    out->at = wire_read_choice(in, 0, WIRE_COLUMNS_MAX - 1);
    out->name = wire_read_str(in, WIRE_NAME_MAX);
    out->flags = wire_read_choice(in, 0, WIRE_COLUMN_FLAGS);
    out->shape = wire_read_raw(in, WIRE_SHAPE_DEPTH);
    return in->err;
}

enum wire_err wire_decode_group(struct wire_reader *in, struct wire_group *out)
{
    struct wire_group_column column;

    out->group = wire_read_u32(in);
    out->schema = wire_read_str(in, WIRE_NAME_MAX);
    out->table = wire_read_str(in, WIRE_NAME_MAX);
    out->column_count = wire_read_array(in, WIRE_COLUMNS_MAX);
    out->columns = *in;
    for (uint32_t i = 0; i < out->column_count && in->err == WIRE_OK; i++) {
        (void)wire_next_group_column(in, &column);
    }
    wire_close_list(&out->columns, in);
    out->not_streamed_count = wire_read_names(in, &out->not_streamed);
    return in->err;
}

void wire_encode_group(struct wire_writer *out, const struct wire_group *head,
                       const struct wire_group_column *columns,
                       const struct wire_span *not_streamed)
{
    wire_check(head->column_count <= WIRE_COLUMNS_MAX);
    wire_write_record(out, WIRE_GROUP);
    wire_write_u64(out, head->group);
    wire_write_text(out, head->schema, WIRE_NAME_MAX);
    wire_write_text(out, head->table, WIRE_NAME_MAX);
    wire_write_array(out, head->column_count);
    for (uint32_t i = 0; i < head->column_count; i++) {
        const struct wire_group_column *column = &columns[i];
        wire_check(column->at < WIRE_COLUMNS_MAX);
        wire_check(column->flags <= WIRE_COLUMN_FLAGS);
        wire_check(column->shape.len > 0);
        wire_write_array(out, GROUP_COLUMN_FIELDS);
        wire_write_u64(out, column->at);
        wire_write_text(out, column->name, WIRE_NAME_MAX);
        wire_write_u64(out, column->flags);
        wire_write_raw(out, column->shape.data, column->shape.len);
    }
    wire_write_names(out, not_streamed, head->not_streamed_count);
}

enum wire_err wire_next_delivery(struct wire_reader *in, struct wire_delivery *out)
{
    wire_read_fields(in, DELIVERY_FIELDS);
    out->group = wire_read_u32(in);
    out->op = (enum wire_op)wire_read_choice(in, WIRE_INSERT, WIRE_DELETE);
    return in->err;
}

enum wire_err wire_decode_deliver(struct wire_reader *in, struct wire_deliver *out)
{
    struct wire_delivery delivery;
    struct rows rows = { false, false };

    out->index = wire_read_u32(in);
    out->old_kind = (enum wire_old_kind)wire_read_choice(in, WIRE_OLD_NONE, WIRE_OLD_FULL);
    out->group_count = wire_read_array(in, WIRE_GROUPS_MAX);
    out->groups = *in;
    for (uint32_t i = 0; i < out->group_count && in->err == WIRE_OK; i++) {
        (void)wire_next_delivery(in, &delivery);
        count_rows(&rows, delivery.op);
    }
    wire_close_list(&out->groups, in);
    if (rows.old_row && out->old_kind == WIRE_OLD_NONE) {
        wire_reader_fail(in, WIRE_ERR_RANGE);
    }
    out->new_row = rows.new_row ? wire_read_tuple(in, true) : wire_read_tuple_or_nil(in);
    out->old_row = wire_read_tuple(in, out->old_kind != WIRE_OLD_NONE);
    return in->err;
}

void wire_encode_deliver(struct wire_writer *out, const struct wire_deliver *head,
                         const struct wire_delivery *groups)
{
    struct rows rows = { false, false };

    wire_check(head->old_kind <= WIRE_OLD_FULL);
    wire_check(head->group_count <= WIRE_GROUPS_MAX);
    wire_write_record(out, WIRE_DELIVER);
    wire_write_u64(out, head->index);
    wire_write_u64(out, head->old_kind);
    wire_write_array(out, head->group_count);
    for (uint32_t i = 0; i < head->group_count; i++) {
        wire_check(groups[i].op >= WIRE_INSERT && groups[i].op <= WIRE_DELETE);
        count_rows(&rows, groups[i].op);
        wire_write_pair(out, groups[i].group, groups[i].op);
    }
    wire_check(!rows.old_row || head->old_kind != WIRE_OLD_NONE);
    wire_write_tuple(out, head->new_row, rows.new_row || head->new_row.data != NULL);
    wire_write_tuple(out, head->old_row, head->old_kind != WIRE_OLD_NONE);
}

enum wire_err wire_decode_deliver_truncate(struct wire_reader *in,
                                           struct wire_deliver_truncate *out)
{
    out->index = wire_read_u32(in);
    out->flags = wire_read_choice(in, 0, WIRE_TRUNCATE_FLAGS);
    out->group_count = wire_read_numbers(in, WIRE_GROUPS_MAX, &out->groups);
    return in->err;
}

void wire_encode_deliver_truncate(struct wire_writer *out, uint32_t index, uint32_t flags,
                                  const uint32_t *groups, uint32_t group_count)
{
    wire_check(flags <= WIRE_TRUNCATE_FLAGS);
    wire_check(group_count <= WIRE_GROUPS_MAX);
    wire_write_record(out, WIRE_DELIVER_TRUNCATE);
    wire_write_u64(out, index);
    wire_write_u64(out, flags);
    wire_write_numbers(out, groups, group_count);
}

enum wire_err wire_decode_accept(struct wire_reader *in, struct wire_accept *out)
{
    out->sub = wire_read_u64(in);
    out->group = wire_read_u32(in);
    out->kind = (enum wire_accept_kind)wire_read_choice(in, WIRE_ACCEPT_LIVE, WIRE_ACCEPT_SNAPSHOT);
    out->position = wire_read_position(in);
    return in->err;
}

void wire_encode_accept(struct wire_writer *out, const struct wire_accept *record)
{
    wire_write_record(out, WIRE_ACCEPT);
    wire_write_u64(out, record->sub);
    wire_write_u64(out, record->group);
    wire_check(record->kind <= WIRE_ACCEPT_SNAPSHOT);
    wire_write_u64(out, record->kind);
    wire_write_position(out, &record->position);
}

enum wire_err wire_decode_refuse(struct wire_reader *in, struct wire_refuse *out)
{
    out->sub = wire_read_u64(in);
    out->code =
        (enum wire_code)wire_read_choice(in, WIRE_CODE_UNAUTHORIZED, WIRE_CODE_RATE_LIMITED);
    out->message = wire_read_str(in, WIRE_TEXT_MAX);
    return in->err;
}

void wire_encode_refuse(struct wire_writer *out, const struct wire_refuse *record)
{
    wire_check(record->code >= WIRE_CODE_UNAUTHORIZED && record->code <= WIRE_CODE_RATE_LIMITED);
    wire_write_record(out, WIRE_REFUSE);
    wire_write_u64(out, record->sub);
    wire_write_u64(out, record->code);
    wire_write_text(out, record->message, WIRE_TEXT_MAX);
}

enum wire_err wire_decode_need(struct wire_reader *in, struct wire_need *out)
{
    out->rel = wire_read_u32(in);
    return in->err;
}

void wire_encode_need(struct wire_writer *out, const struct wire_need *record)
{
    wire_write_record(out, WIRE_NEED);
    wire_write_u64(out, record->rel);
}

enum wire_err wire_decode_describe(struct wire_reader *in, struct wire_describe *out)
{
    out->oid = wire_read_u32(in);
    return in->err;
}

void wire_encode_describe(struct wire_writer *out, const struct wire_describe *record)
{
    wire_write_record(out, WIRE_DESCRIBE);
    wire_write_u64(out, record->oid);
}
