/* proto/records_replay.c - what a broker tells an edge of the past, and how fresh it is: SPEC.md 6.6 to 6.9. */
#include "proto/codec.h"

enum wire_err wire_decode_replay(struct wire_reader *in, struct wire_replay *out)
{
    out->group = wire_read_u32(in);
    out->epoch = wire_read_u64(in);
    out->commit_lsn = wire_read_u64(in);
    out->xid = wire_read_u32(in);
    out->commit_time = wire_read_i64(in);
    out->continued = wire_read_bool(in);
    return in->err;
}

void wire_encode_replay(struct wire_writer *out, const struct wire_replay *record)
{
    wire_write_record(out, WIRE_REPLAY);
    wire_write_u64(out, record->group);
    wire_write_u64(out, record->epoch);
    wire_write_u64(out, record->commit_lsn);
    wire_write_u64(out, record->xid);
    wire_write_i64(out, record->commit_time);
    wire_write_bool(out, record->continued);
}

enum wire_err wire_decode_replayed(struct wire_reader *in, struct wire_replayed *out)
{
    out->group = wire_read_u32(in);
    out->position = wire_read_position(in);
    return in->err;
}

void wire_encode_replayed(struct wire_writer *out, const struct wire_replayed *record)
{
    wire_write_record(out, WIRE_REPLAYED);
    wire_write_u64(out, record->group);
    wire_write_position(out, &record->position);
}

enum wire_err wire_next_row(struct wire_reader *in, struct wire_tuple *out)
{
    *out = wire_read_tuple(in, true);
    return in->err;
}

enum wire_err wire_decode_rows(struct wire_reader *in, struct wire_rows *out)
{
    struct wire_tuple row;

    out->group = wire_read_u32(in);
    out->last = wire_read_bool(in);
    out->token = wire_read_str(in, WIRE_TOKEN_MAX);
    out->row_count = wire_read_array(in, WIRE_ROWS_MAX);
    out->rows = *in;
    for (uint32_t i = 0; i < out->row_count && in->err == WIRE_OK; i++) {
        (void)wire_next_row(in, &row);
    }
    wire_close_list(&out->rows, in);
    return in->err;
}

void wire_encode_rows(struct wire_writer *out, const struct wire_rows *head,
                      const struct wire_tuple *rows)
{
    wire_check(head->row_count <= WIRE_ROWS_MAX);
    wire_write_record(out, WIRE_ROWS);
    wire_write_u64(out, head->group);
    wire_write_bool(out, head->last);
    wire_write_text(out, head->token, WIRE_TOKEN_MAX);
    wire_write_array(out, head->row_count);
    for (uint32_t i = 0; i < head->row_count; i++) {
        wire_write_tuple(out, rows[i], true);
    }
}

enum wire_err wire_decode_gone(struct wire_reader *in, struct wire_gone *out)
{
    out->sub = wire_read_u64(in);
    out->reason = (enum wire_gone_reason)wire_read_choice(in, WIRE_GONE_EPOCH, WIRE_GONE_SNAPSHOT);
    out->message = wire_read_str(in, WIRE_TEXT_MAX);
    out->oldest = wire_read_position(in);
    out->newest = wire_read_position(in);
    return in->err;
}

void wire_encode_gone(struct wire_writer *out, const struct wire_gone *record)
{
    wire_check(record->reason >= WIRE_GONE_EPOCH && record->reason <= WIRE_GONE_SNAPSHOT);
    wire_write_record(out, WIRE_GONE);
    wire_write_u64(out, record->sub);
    wire_write_u64(out, record->reason);
    wire_write_text(out, record->message, WIRE_TEXT_MAX);
    wire_write_position(out, &record->oldest);
    wire_write_position(out, &record->newest);
}

enum wire_err wire_decode_fresh(struct wire_reader *in, struct wire_fresh *out)
{
    out->epoch = wire_read_u64(in);
    out->lsn = wire_read_u64(in);
    out->written_at = wire_read_i64(in);
    return in->err;
}

void wire_encode_fresh(struct wire_writer *out, const struct wire_fresh *record)
{
    wire_write_record(out, WIRE_FRESH);
    wire_write_u64(out, record->epoch);
    wire_write_u64(out, record->lsn);
    wire_write_i64(out, record->written_at);
}

enum wire_err wire_decode_rights(struct wire_reader *in, struct wire_rights *out)
{
    out->sub = wire_read_u64(in);
    out->position = wire_read_position(in);
    return in->err;
}

void wire_encode_rights(struct wire_writer *out, const struct wire_rights *record)
{
    wire_write_record(out, WIRE_RIGHTS);
    wire_write_u64(out, record->sub);
    wire_write_position(out, &record->position);
}

enum wire_err wire_decode_unseated(struct wire_reader *in, struct wire_unseated *out)
{
    out->seat = wire_read_u64(in);
    return in->err;
}

void wire_encode_unseated(struct wire_writer *out, const struct wire_unseated *record)
{
    wire_write_record(out, WIRE_UNSEATED);
    wire_write_u64(out, record->seat);
}
