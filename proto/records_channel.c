/* proto/records_channel.c - what a broker tells an edge of broadcast and presence channels: SPEC.md 6.10 to 6.13. */
#include "proto/codec.h"

enum { PLACE_FIELDS = 2, PRESENT_FIELDS = 3 };

static struct wire_place read_place(struct wire_reader *in)
{
    struct wire_place place;

    wire_read_fields(in, PLACE_FIELDS);
    place.position = wire_read_position(in);
    place.stamp = wire_read_u64(in);
    return place;
}

static void write_place(struct wire_writer *out, const struct wire_place *place)
{
    wire_write_array(out, PLACE_FIELDS);
    wire_write_position(out, &place->position);
    wire_write_u64(out, place->stamp);
}

enum wire_err wire_decode_channel(struct wire_reader *in, struct wire_channel *out)
{
    out->group = wire_read_u32(in);
    out->channel = wire_read_str(in, WIRE_CHANNEL_MAX);
    out->instance = wire_read_u64(in);
    out->place = read_place(in);
    return in->err;
}

void wire_encode_channel(struct wire_writer *out, const struct wire_channel *record)
{
    wire_write_record(out, WIRE_CHANNEL);
    wire_write_u64(out, record->group);
    wire_write_text(out, record->channel, WIRE_CHANNEL_MAX);
    wire_write_u64(out, record->instance);
    write_place(out, &record->place);
}

enum wire_err wire_decode_broadcast(struct wire_reader *in, struct wire_broadcast *out)
{
    out->group = wire_read_u32(in);
    out->event = wire_read_str(in, WIRE_TEXT_MAX);
    out->payload = wire_read_str(in, WIRE_PAYLOAD_MAX);
    out->place = read_place(in);
    out->sender = wire_read_u64(in);
    out->to_sender = wire_read_bool(in);
    return in->err;
}

void wire_encode_broadcast(struct wire_writer *out, const struct wire_broadcast *record)
{
    wire_write_record(out, WIRE_BROADCAST);
    wire_write_u64(out, record->group);
    wire_write_text(out, record->event, WIRE_TEXT_MAX);
    wire_write_text(out, record->payload, WIRE_PAYLOAD_MAX);
    write_place(out, &record->place);
    wire_write_u64(out, record->sender);
    wire_write_bool(out, record->to_sender);
}

enum wire_err wire_next_present(struct wire_reader *in, struct wire_present *out)
{
    wire_read_fields(in, PRESENT_FIELDS);
    out->ref = wire_read_u64(in);
    out->key = wire_read_str(in, WIRE_KEY_MAX);
    out->meta = (struct wire_span){ .data = NULL, .len = 0 };
    if (!wire_try_nil(in)) {
        out->meta = wire_read_str(in, WIRE_META_MAX);
    }
    return in->err;
}

enum wire_err wire_decode_presence(struct wire_reader *in, struct wire_presence *out)
{
    struct wire_present entry;

    out->group = wire_read_u32(in);
    out->full = wire_read_bool(in);
    out->settled = wire_read_bool(in);
    out->entry_count = wire_read_array(in, WIRE_PRESENT_MAX);
    out->entries = *in;
    for (uint32_t i = 0; i < out->entry_count && in->err == WIRE_OK; i++) {
        (void)wire_next_present(in, &entry);
        if (in->err == WIRE_OK && out->full && entry.meta.data == NULL) {
            wire_reader_fail(in, WIRE_ERR_TYPE);
        }
    }
    wire_close_list(&out->entries, in);
    return in->err;
}

void wire_encode_presence(struct wire_writer *out, const struct wire_presence *head,
                          const struct wire_present *entries)
{
    wire_check(head->entry_count <= WIRE_PRESENT_MAX);
    wire_write_record(out, WIRE_PRESENCE);
    wire_write_u64(out, head->group);
    wire_write_bool(out, head->full);
    wire_write_bool(out, head->settled);
    wire_write_array(out, head->entry_count);
    for (uint32_t i = 0; i < head->entry_count; i++) {
        wire_check(!head->full || entries[i].meta.data != NULL);
        wire_write_array(out, PRESENT_FIELDS);
        wire_write_u64(out, entries[i].ref);
        wire_write_text(out, entries[i].key, WIRE_KEY_MAX);
        if (entries[i].meta.data != NULL) {
            wire_write_text(out, entries[i].meta, WIRE_META_MAX);
        } else {
            wire_write_nil(out);
        }
    }
}

enum wire_err wire_decode_done(struct wire_reader *in, struct wire_done *out)
{
    out->reply = wire_read_u64(in);
    out->code = wire_read_choice(in, 0, WIRE_CODE_RATE_LIMITED);
    out->message = wire_read_str(in, WIRE_TEXT_MAX);
    out->place = read_place(in);
    return in->err;
}

void wire_encode_done(struct wire_writer *out, const struct wire_done *record)
{
    wire_check(record->code <= WIRE_CODE_RATE_LIMITED);
    wire_write_record(out, WIRE_DONE);
    wire_write_u64(out, record->reply);
    wire_write_u64(out, record->code);
    wire_write_text(out, record->message, WIRE_TEXT_MAX);
    write_place(out, &record->place);
}
