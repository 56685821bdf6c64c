/* proto/records_channel.h - the records of broadcast and presence channels, part of records.h (include that): SPEC.md 6.10 to 6.13, 7.7, 7.8.
 *
 * What records.h says of its records holds for these.
 */
#ifndef PGTIDE_PROTO_RECORDS_CHANNEL_H
#define PGTIDE_PROTO_RECORDS_CHANNEL_H

#include "proto/records.h"

/* --- broker → edge: channels ------------------------------------------------------------------ */

/* Where a message of a broadcast channel stands: messages of one channel are totally ordered by (lsn, index,
 * stamp). A message from SQL is at its own position in the stream, with stamp 0; one from a client at the stream's
 * position when it came, with a stamp that grows. */
struct wire_place {
    struct wire_position position;
    uint64_t stamp; /* microseconds since 1970, made to differ; 0: from SQL */
};

/* What a group is, if it is not of a table: before the ACCEPT that names it. What the members have from then on is
 * everything behind `place`. Another instance than before: this broker does not know what the other one knew. */
struct wire_channel {
    uint32_t group;
    struct wire_span channel;
    uint64_t instance; /* when the broker started, microseconds since 1970 */
    struct wire_place place;
};

/* A message for the members of a group. */
struct wire_broadcast {
    uint32_t group;
    struct wire_span event;
    struct wire_span payload; /* JSON text */
    struct wire_place place;
    uint64_t sender; /* on the sender's edge, its number there; else 0 */
    bool to_sender;  /* the sender gets it too */
};

/* Who has come to a room, changed, or gone (then meta.data is NULL). */
struct wire_present {
    uint64_t ref;
    struct wire_span key;
    struct wire_span meta; /* JSON text; data NULL: gone */
};
struct wire_presence {
    uint32_t group;
    bool full; /* all that are there, and no others; else what has changed */
    bool
        settled; /* false: others may be there who have not said so yet (the broker has just started) */
    uint32_t entry_count;
    struct wire_reader entries; /* wire_next_present */
};
enum wire_err wire_next_present(struct wire_reader *in, struct wire_present *out);

/* The answer to a publish or a track. */
struct wire_done {
    uint64_t reply;
    uint32_t code; /* 0: done; else an enum wire_code */
    struct wire_span message;
    struct wire_place place; /* of the message */
};

/* --- edge → broker: channels ------------------------------------------------------------------ */

/* A client is in a room, under a key. Again with the same ref: its meta is another one. */
struct wire_track {
    uint64_t identity;
    struct wire_span channel;
    uint64_t ref; /* of this presence, unique among all edges: a random number */
    struct wire_span key;
    struct wire_span meta; /* JSON text */
    uint64_t reply;        /* as of a publish */
};
struct wire_untrack {
    struct wire_span channel;
    uint64_t ref;
};

enum wire_err wire_decode_channel(struct wire_reader *in, struct wire_channel *out);
void wire_encode_channel(struct wire_writer *out, const struct wire_channel *record);
enum wire_err wire_decode_broadcast(struct wire_reader *in, struct wire_broadcast *out);
void wire_encode_broadcast(struct wire_writer *out, const struct wire_broadcast *record);
enum wire_err wire_decode_done(struct wire_reader *in, struct wire_done *out);
void wire_encode_done(struct wire_writer *out, const struct wire_done *record);
enum wire_err wire_decode_track(struct wire_reader *in, struct wire_track *out);
void wire_encode_track(struct wire_writer *out, const struct wire_track *record);
enum wire_err wire_decode_untrack(struct wire_reader *in, struct wire_untrack *out);
void wire_encode_untrack(struct wire_writer *out, const struct wire_untrack *record);

enum wire_err wire_decode_presence(struct wire_reader *in, struct wire_presence *out);
void wire_encode_presence(struct wire_writer *out, const struct wire_presence *head,
                          const struct wire_present *entries);

#endif
