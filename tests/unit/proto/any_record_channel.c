/* tests/unit/proto/any_record_channel.c - records of channels and of seats as JSON: see any_record.h. */
#include <inttypes.h>

#include "tests/unit/proto/any_record_fields.h"

static void print_place(FILE *out, const struct wire_place *place)
{
    print_member(out, "place");
    print_position(out, &place->position);
    print_u64(out, "stamp", place->stamp);
}

void print_channel(FILE *out, const struct wire_channel *channel)
{
    (void)fputs("\"channel\"", out);
    print_number(out, "group", channel->group);
    print_string(out, "channel", channel->channel);
    print_u64(out, "instance", channel->instance);
    print_place(out, &channel->place);
}

void print_broadcast(FILE *out, const struct wire_broadcast *broadcast)
{
    (void)fputs("\"broadcast\"", out);
    print_number(out, "group", broadcast->group);
    print_string(out, "event", broadcast->event);
    print_string(out, "payload", broadcast->payload);
    print_place(out, &broadcast->place);
    print_u64(out, "sender", broadcast->sender);
    print_bool(out, "to_sender", broadcast->to_sender);
}

void print_presence(FILE *out, const struct wire_presence *presence)
{
    struct wire_reader list = presence->entries;
    struct wire_present entry;

    (void)fputs("\"presence\"", out);
    print_number(out, "group", presence->group);
    print_bool(out, "full", presence->full);
    print_bool(out, "settled", presence->settled);
    (void)fputs(",\"entries\":[", out);
    for (uint32_t i = 0; i < presence->entry_count; i++) {
        (void)wire_next_present(&list, &entry);
        (void)fprintf(out, "%s{\"ref\":\"0x%" PRIx64 "\"", i > 0 ? "," : "", entry.ref);
        print_string(out, "key", entry.key);
        if (entry.meta.data != NULL) {
            print_string(out, "meta", entry.meta);
        } else {
            (void)fputs(",\"meta\":null", out);
        }
        (void)fputc('}', out);
    }
    (void)fputc(']', out);
}

void print_done(FILE *out, const struct wire_done *done)
{
    (void)fputs("\"done\"", out);
    print_u64(out, "reply", done->reply);
    print_number(out, "code", done->code);
    print_string(out, "message", done->message);
    print_place(out, &done->place);
}

void print_track(FILE *out, const struct wire_track *track)
{
    (void)fputs("\"track\"", out);
    print_u64(out, "identity", track->identity);
    print_string(out, "channel", track->channel);
    print_u64(out, "ref", track->ref);
    print_string(out, "key", track->key);
    print_string(out, "meta", track->meta);
    print_u64(out, "reply", track->reply);
}

void print_untrack(FILE *out, const struct wire_untrack *untrack)
{
    (void)fputs("\"untrack\"", out);
    print_string(out, "channel", untrack->channel);
    print_u64(out, "ref", untrack->ref);
}

void print_unseated(FILE *out, const struct wire_unseated *unseated)
{
    (void)fputs("\"unseated\"", out);
    print_u64(out, "seat", unseated->seat);
}

void print_seat(FILE *out, const struct wire_seat *seat)
{
    (void)fputs("\"seat\"", out);
    print_u64(out, "seat", seat->seat);
    print_string(out, "user", seat->user);
    print_number(out, "limit", seat->limit);
    print_bool(out, "kept", seat->kept);
}

void print_unseat(FILE *out, const struct wire_unseat *unseat)
{
    (void)fputs("\"unseat\"", out);
    print_u64(out, "seat", unseat->seat);
}
