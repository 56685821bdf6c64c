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
    out->filter_kind =
        (enum wire_filter_kind)wire_read_choice(in, WIRE_FILTER_PLAIN, WIRE_FILTER_QUERY);
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
    wire_check(record->filter_kind <= WIRE_FILTER_QUERY);
    wire_write_u64(out, record->filter_kind);
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
    out->sender = wire_read_u64(in);
    out->to_sender = wire_read_bool(in);
    out->reply = wire_read_u64(in);
    return in->err;
}

void wire_encode_publish(struct wire_writer *out, const struct wire_publish *record)
{
    wire_write_record(out, WIRE_PUBLISH);
    wire_write_u64(out, record->identity);
    wire_write_text(out, record->channel, WIRE_CHANNEL_MAX);
    wire_write_text(out, record->event, WIRE_TEXT_MAX);
    wire_write_text(out, record->payload, WIRE_PAYLOAD_MAX);
    wire_write_u64(out, record->sender);
    wire_write_bool(out, record->to_sender);
    wire_write_u64(out, record->reply);
}

enum wire_err wire_decode_track(struct wire_reader *in, struct wire_track *out)
{
    out->identity = wire_read_u64(in);
    out->channel = wire_read_str(in, WIRE_CHANNEL_MAX);
    out->ref = wire_read_u64(in);
    out->key = wire_read_str(in, WIRE_KEY_MAX);
    out->meta = wire_read_str(in, WIRE_META_MAX);
    out->reply = wire_read_u64(in);
    return in->err;
}

void wire_encode_track(struct wire_writer *out, const struct wire_track *record)
{
    wire_write_record(out, WIRE_TRACK);
    wire_write_u64(out, record->identity);
    wire_write_text(out, record->channel, WIRE_CHANNEL_MAX);
    wire_write_u64(out, record->ref);
    wire_write_text(out, record->key, WIRE_KEY_MAX);
    wire_write_text(out, record->meta, WIRE_META_MAX);
    wire_write_u64(out, record->reply);
}

enum wire_err wire_decode_untrack(struct wire_reader *in, struct wire_untrack *out)
{
    out->channel = wire_read_str(in, WIRE_CHANNEL_MAX);
    out->ref = wire_read_u64(in);
    return in->err;
}

void wire_encode_untrack(struct wire_writer *out, const struct wire_untrack *record)
{
    wire_write_record(out, WIRE_UNTRACK);
    wire_write_text(out, record->channel, WIRE_CHANNEL_MAX);
    wire_write_u64(out, record->ref);
}

enum wire_err wire_decode_seat(struct wire_reader *in, struct wire_seat *out)
{
    out->seat = wire_read_u64(in);
    out->user = wire_read_str(in, WIRE_KEY_MAX);
    out->limit = wire_read_choice(in, 1, UINT32_MAX);
    out->kept = wire_read_bool(in);
    return in->err;
}

void wire_encode_seat(struct wire_writer *out, const struct wire_seat *record)
{
    wire_check(record->limit > 0);
    wire_write_record(out, WIRE_SEAT);
    wire_write_u64(out, record->seat);
    wire_write_text(out, record->user, WIRE_KEY_MAX);
    wire_write_u64(out, record->limit);
    wire_write_bool(out, record->kept);
}

enum wire_err wire_decode_unseat(struct wire_reader *in, struct wire_unseat *out)
{
    out->seat = wire_read_u64(in);
    return in->err;
}

void wire_encode_unseat(struct wire_writer *out, const struct wire_unseat *record)
{
    wire_write_record(out, WIRE_UNSEAT);
    wire_write_u64(out, record->seat);
}
