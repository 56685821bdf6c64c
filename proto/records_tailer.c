/* proto/records_tailer.c - what a tailer tells its brokers: SPEC.md 5. */
#include "proto/codec.h"

enum { COLUMN_FIELDS = 5 };

static bool is_identity(char letter)
{
    return letter == 'd' || letter == 'n' || letter == 'f' || letter == 'i';
}

static uint8_t read_identity(struct wire_reader *in)
{
    struct wire_span letter = wire_read_str(in, 1);

    if (letter.len != 1 || !is_identity(letter.data[0])) {
        wire_reader_fail(in, WIRE_ERR_RANGE);
        return 0;
    }
    return (uint8_t)letter.data[0];
}

/* What an operation carries: a row that came has no past, and one that went has nothing else. */
static bool fits(enum wire_op op, enum wire_old_kind old_kind)
{
    switch (op) {
    case WIRE_INSERT:
        return old_kind == WIRE_OLD_NONE;
    case WIRE_DELETE:
        return old_kind != WIRE_OLD_NONE;
    case WIRE_UPDATE:
    default:
        return true;
    }
}

enum wire_err wire_next_column(struct wire_reader *in, struct wire_column *out)
{
    wire_read_fields(in, COLUMN_FIELDS);
    out->name = wire_read_str(in, WIRE_NAME_MAX);
    out->type_oid = wire_read_u32(in);
    out->typmod = wire_read_i32(in);
    out->flags = wire_read_choice(in, 0, WIRE_COLUMN_FLAGS);
    out->shape = wire_read_raw(in, WIRE_SHAPE_DEPTH);
    return in->err;
}

enum wire_err wire_decode_relation(struct wire_reader *in, struct wire_relation *out)
{
    struct wire_column column;

    out->rel = wire_read_u32(in);
    out->oid = wire_read_u32(in);
    out->schema = wire_read_str(in, WIRE_NAME_MAX);
    out->table = wire_read_str(in, WIRE_NAME_MAX);
    out->identity = read_identity(in);
    out->column_count = wire_read_array(in, WIRE_COLUMNS_MAX);
    out->columns = *in;
    for (uint32_t i = 0; i < out->column_count && in->err == WIRE_OK; i++) {
        (void)wire_next_column(in, &column);
    }
    wire_close_list(&out->columns, in);
    out->not_streamed_count = wire_read_names(in, &out->not_streamed);
    return in->err;
}

void wire_encode_relation(struct wire_writer *out, const struct wire_relation *head,
                          const struct wire_column *columns, const struct wire_span *not_streamed)
{
    wire_check(is_identity((char)head->identity));
    wire_check(head->column_count <= WIRE_COLUMNS_MAX);
    wire_write_record(out, WIRE_RELATION);
    wire_write_u64(out, head->rel);
    wire_write_u64(out, head->oid);
    wire_write_text(out, head->schema, WIRE_NAME_MAX);
    wire_write_text(out, head->table, WIRE_NAME_MAX);
    wire_write_str(out, &head->identity, 1);
    wire_write_array(out, head->column_count);
    for (uint32_t i = 0; i < head->column_count; i++) {
        const struct wire_column *column = &columns[i];
        wire_check(column->flags <= WIRE_COLUMN_FLAGS);
        wire_check(column->shape.len > 0);
        wire_write_array(out, COLUMN_FIELDS);
        wire_write_text(out, column->name, WIRE_NAME_MAX);
        wire_write_u64(out, column->type_oid);
        wire_write_i64(out, column->typmod);
        wire_write_u64(out, column->flags);
        wire_write_raw(out, column->shape.data, column->shape.len);
    }
    wire_write_names(out, not_streamed, head->not_streamed_count);
}

enum wire_err wire_decode_begin(struct wire_reader *in, struct wire_begin *out)
{
    out->epoch = wire_read_u64(in);
    out->commit_lsn = wire_read_u64(in);
    out->xid = wire_read_u32(in);
    out->commit_time = wire_read_i64(in);
    out->continued = wire_read_bool(in);
    return in->err;
}

void wire_encode_begin(struct wire_writer *out, const struct wire_begin *record)
{
    wire_write_record(out, WIRE_BEGIN);
    wire_write_u64(out, record->epoch);
    wire_write_u64(out, record->commit_lsn);
    wire_write_u64(out, record->xid);
    wire_write_i64(out, record->commit_time);
    wire_write_bool(out, record->continued);
}

enum wire_err wire_decode_change(struct wire_reader *in, struct wire_change *out)
{
    out->rel = wire_read_u32(in);
    out->index = wire_read_u32(in);
    out->op = (enum wire_op)wire_read_choice(in, WIRE_INSERT, WIRE_DELETE);
    out->old_kind = (enum wire_old_kind)wire_read_choice(in, WIRE_OLD_NONE, WIRE_OLD_FULL);
    if (!fits(out->op, out->old_kind)) {
        wire_reader_fail(in, WIRE_ERR_RANGE);
    }
    out->new_row = wire_read_tuple(in, out->op != WIRE_DELETE);
    out->old_row = wire_read_tuple(in, out->old_kind != WIRE_OLD_NONE);
    return in->err;
}

void wire_encode_change(struct wire_writer *out, const struct wire_change *record)
{
    wire_check(record->op >= WIRE_INSERT && record->op <= WIRE_DELETE);
    wire_check(record->old_kind <= WIRE_OLD_FULL);
    wire_check(fits(record->op, record->old_kind));
    wire_write_record(out, WIRE_CHANGE);
    wire_write_u64(out, record->rel);
    wire_write_u64(out, record->index);
    wire_write_u64(out, record->op);
    wire_write_u64(out, record->old_kind);
    wire_write_tuple(out, record->new_row, record->op != WIRE_DELETE);
    wire_write_tuple(out, record->old_row, record->old_kind != WIRE_OLD_NONE);
}

enum wire_err wire_decode_truncate(struct wire_reader *in, struct wire_truncate *out)
{
    out->index = wire_read_u32(in);
    out->flags = wire_read_choice(in, 0, WIRE_TRUNCATE_FLAGS);
    out->rel_count = wire_read_numbers(in, WIRE_RELS_MAX, &out->rels);
    return in->err;
}

void wire_encode_truncate(struct wire_writer *out, uint32_t index, uint32_t flags,
                          const uint32_t *rels, uint32_t rel_count)
{
    wire_check(flags <= WIRE_TRUNCATE_FLAGS);
    wire_check(rel_count <= WIRE_RELS_MAX);
    wire_write_record(out, WIRE_TRUNCATE);
    wire_write_u64(out, index);
    wire_write_u64(out, flags);
    wire_write_numbers(out, rels, rel_count);
}

enum wire_err wire_decode_message(struct wire_reader *in, struct wire_message *out)
{
    out->index = wire_read_u32(in);
    out->lsn = wire_read_u64(in);
    out->transactional = wire_read_bool(in);
    out->prefix = wire_read_str(in, WIRE_TEXT_MAX);
    out->content = wire_read_str(in, WIRE_VALUE_MAX);
    return in->err;
}

void wire_encode_message(struct wire_writer *out, const struct wire_message *record)
{
    wire_write_record(out, WIRE_MESSAGE);
    wire_write_u64(out, record->index);
    wire_write_u64(out, record->lsn);
    wire_write_bool(out, record->transactional);
    wire_write_text(out, record->prefix, WIRE_TEXT_MAX);
    wire_write_text(out, record->content, WIRE_VALUE_MAX);
}

enum wire_err wire_decode_end(struct wire_reader *in, struct wire_end *out)
{
    out->commit_lsn = wire_read_u64(in);
    out->end_lsn = wire_read_u64(in);
    out->count = wire_read_u32(in);
    return in->err;
}

void wire_encode_end(struct wire_writer *out, const struct wire_end *record)
{
    wire_write_record(out, WIRE_END);
    wire_write_u64(out, record->commit_lsn);
    wire_write_u64(out, record->end_lsn);
    wire_write_u64(out, record->count);
}

enum wire_err wire_decode_progress(struct wire_reader *in, struct wire_progress *out)
{
    out->epoch = wire_read_u64(in);
    out->lsn = wire_read_u64(in);
    out->server_time = wire_read_i64(in);
    return in->err;
}

void wire_encode_progress(struct wire_writer *out, const struct wire_progress *record)
{
    wire_write_record(out, WIRE_PROGRESS);
    wire_write_u64(out, record->epoch);
    wire_write_u64(out, record->lsn);
    wire_write_i64(out, record->server_time);
}

enum wire_err wire_decode_gap(struct wire_reader *in, struct wire_gap *out)
{
    out->from = wire_read_position(in);
    out->to = wire_read_position(in);
    out->reason = wire_read_str(in, WIRE_TEXT_MAX);
    return in->err;
}

void wire_encode_gap(struct wire_writer *out, const struct wire_gap *record)
{
    wire_write_record(out, WIRE_GAP);
    wire_write_position(out, &record->from);
    wire_write_position(out, &record->to);
    wire_write_text(out, record->reason, WIRE_TEXT_MAX);
}
