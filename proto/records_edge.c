/* proto/records_edge.c - what an edge tells a broker: SPEC.md 7. */
#include "proto/codec.h"

enum wire_err wire_decode_identify(struct wire_reader *in, struct wire_identify *out)
{
    out->identity = wire_read_u64(in);
    out->role = wire_read_str(in, WIRE_NAME_MAX);
    out->claims = wire_read_str(in, WIRE_CLAIMS_MAX);
    out->expires = wire_read_i64(in);
    return in->err;
}

void wire_encode_identify(struct wire_writer *out, const struct wire_identify *record)
{
    wire_write_record(out, WIRE_IDENTIFY);
    wire_write_u64(out, record->identity);
    wire_write_text(out, record->role, WIRE_NAME_MAX);
    wire_write_text(out, record->claims, WIRE_CLAIMS_MAX);
    wire_write_i64(out, record->expires);
}

enum wire_err wire_decode_forget(struct wire_reader *in, struct wire_forget *out)
{
    out->identity = wire_read_u64(in);
    return in->err;
}

void wire_encode_forget(struct wire_writer *out, const struct wire_forget *record)
{
    wire_write_record(out, WIRE_FORGET);
    wire_write_u64(out, record->identity);
}

enum wire_err wire_decode_subscribe(struct wire_reader *in, struct wire_subscribe *out)
{
    out->sub = wire_read_u64(in);
    out->identity = wire_read_u64(in);
    out->channel = wire_read_str(in, WIRE_CHANNEL_MAX);
    out->filter = wire_read_str(in, WIRE_FILTER_MAX);
    out->has_since = !wire_try_nil(in);
    out->since = out->has_since ? wire_read_position(in) : (struct wire_position){ 0 };
    out->snapshot = wire_read_bool(in);
    out->page_rows = wire_read_choice(in, 0, WIRE_ROWS_MAX);
    out->token = wire_read_str(in, WIRE_TOKEN_MAX);
    if (in->err == WIRE_OK && out->snapshot && (out->has_since || out->page_rows == 0)) {
        wire_reader_fail(in, WIRE_ERR_RANGE);
    }
    return in->err;
}

void wire_encode_subscribe(struct wire_writer *out, const struct wire_subscribe *record)
{
    wire_write_record(out, WIRE_SUBSCRIBE);
    wire_write_u64(out, record->sub);
    wire_write_u64(out, record->identity);
    wire_write_text(out, record->channel, WIRE_CHANNEL_MAX);
    wire_write_text(out, record->filter, WIRE_FILTER_MAX);
    if (record->has_since) {
        wire_write_position(out, &record->since);
    } else {
        wire_write_nil(out);
    }
    wire_check(record->page_rows <= WIRE_ROWS_MAX);
    wire_check(!record->snapshot || (!record->has_since && record->page_rows > 0));
    wire_write_bool(out, record->snapshot);
    wire_write_u64(out, record->page_rows);
    wire_write_text(out, record->token, WIRE_TOKEN_MAX);
}

enum wire_err wire_decode_more(struct wire_reader *in, struct wire_more *out)
{
    out->sub = wire_read_u64(in);
    out->parts = wire_read_u32(in);
    return in->err;
}

void wire_encode_more(struct wire_writer *out, const struct wire_more *record)
{
    wire_write_record(out, WIRE_MORE);
    wire_write_u64(out, record->sub);
    wire_write_u64(out, record->parts);
}

enum wire_err wire_decode_unsubscribe(struct wire_reader *in, struct wire_unsubscribe *out)
{
    out->sub = wire_read_u64(in);
    return in->err;
}

void wire_encode_unsubscribe(struct wire_writer *out, const struct wire_unsubscribe *record)
{
    wire_write_record(out, WIRE_UNSUBSCRIBE);
    wire_write_u64(out, record->sub);
}

enum wire_err wire_decode_publish(struct wire_reader *in, struct wire_publish *out)
{
    out->identity = wire_read_u64(in);
    out->channel = wire_read_str(in, WIRE_CHANNEL_MAX);
    out->event = wire_read_str(in, WIRE_TEXT_MAX);
    out->payload = wire_read_str(in, WIRE_PAYLOAD_MAX);
    return in->err;
}

void wire_encode_publish(struct wire_writer *out, const struct wire_publish *record)
{
    wire_write_record(out, WIRE_PUBLISH);
    wire_write_u64(out, record->identity);
    wire_write_text(out, record->channel, WIRE_CHANNEL_MAX);
    wire_write_text(out, record->event, WIRE_TEXT_MAX);
    wire_write_text(out, record->payload, WIRE_PAYLOAD_MAX);
}
