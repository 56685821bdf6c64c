/* runtime/link_header.h - the bytes of a link: stream frames and side-channel messages.
 *
 * Pure: bytes in, structs out, and back. Knows no socket, no session and no record. Peers are not
 * trusted: every length, name, flag and number is checked here, and a decoder that returns false has
 * written nothing. Spans point into the input. All integers are big-endian. Cost: a few loads.
 *
 * A stream frame is one ZeroMQ message; the name with its NUL is the SUB filter, exact by the NUL:
 *
 *   name … NUL | magic "ps" | link version u8 | kind u8 | payload length u32 | epoch u64 | seq u64 | payload
 *
 * The same bytes travel over the side channel when a frame is replayed. A side-channel message starts
 * with its type, a byte no name starts with, followed by the fields that link_header.c lists per type.
 * The first fields of HELLO and the whole of REFUSE keep their form in every link version, so that
 * two versions can tell each other why they do not talk.
 */
#ifndef PGTIDE_RUNTIME_LINK_HEADER_H
#define PGTIDE_RUNTIME_LINK_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"

#define LINK_VERSION     1
#define LINK_NAME_MAX    63
#define LINK_HEADER_SIZE 24
#define LINK_PREFIX_MAX  (LINK_NAME_MAX + 1 + LINK_HEADER_SIZE)
#define LINK_FRAME_MAX   ((size_t)1 << 30) /* payload of a frame */
#define LINK_MESSAGE_MAX ((size_t)1 << 24) /* body of a side-channel message */
#define LINK_TEXT_MAX    1024              /* reason in a REFUSE */
#define LINK_CONTROL_MAX 192               /* a side-channel message without its body */

enum link_kind { LINK_DATA = 1, LINK_HEARTBEAT = 2 };

struct link_frame {
    struct rt_span name;
    enum link_kind kind;
    uint64_t epoch;
    uint64_t seq; /* heartbeat: the last frame's, 0 when there was none */
    struct rt_span payload;
};

/* 1 to LINK_NAME_MAX of [a-z0-9.-]. */
bool link_name_valid(const char *name, size_t len);
/* Writes name, NUL and header; returns their length. The name is valid, the payload within its limit. */
size_t link_frame_prefix(const char *name, enum link_kind kind, uint64_t epoch,
                         uint32_t payload_len, uint8_t out[LINK_PREFIX_MAX]);
/* Sets the number of a frame whose prefix has this length. */
void link_frame_set_seq(uint8_t *frame, size_t prefix_len, uint64_t seq);
bool link_frame_decode(struct rt_span in, struct link_frame *out);

enum link_type {
    LINK_HELLO = 1,   /* sub: here I am, this is what I have */
    LINK_ACK = 2,     /* sub: processed up to seq; also the sign of life; flag: answer with PONG */
    LINK_REPLAY = 3,  /* sub: send from..to again, about `bytes` of it at most */
    LINK_MESSAGE = 4, /* both: a message of the owner, numbered per session and direction */
    LINK_WELCOME = 5, /* pub: the session stands; the next frame you get is seq */
    LINK_REFUSE = 6,  /* pub: no; flag: and do not ask again */
    LINK_RESET =
        7, /* pub: what you claim does not match what I know; say hello with a new session */
    LINK_NO_SESSION = 8, /* pub: I do not know this session (any more); say hello */
    LINK_PONG = 9,       /* pub: alive; messages sent and last frame so far */
    LINK_ANSWER = 10     /* pub: the frames from..to follow; seq is the oldest that can be had */
};

/* Every field of every message; which of them travel depends on the type. */
struct link_control {
    enum link_type type;
    uint16_t link_version;
    uint32_t app_version;
    uint64_t peer;
    uint64_t nonce; /* of the hello, and of the answer to it */
    struct rt_span name;
    uint64_t epoch;
    uint64_t session; /* chosen by the subscriber, counts up */
    uint64_t seq;
    uint64_t from;
    uint64_t to;
    uint64_t last;
    uint64_t bytes;
    uint64_t sent;     /* messages of this session that the writer has sent */
    uint64_t received; /* and received */
    bool flag;         /* hello: the session stands for me; ack: answer me; refuse: final */
    struct rt_span body;
};

/* Appends the message to `out`. Name and body are within their limits. */
void link_control_encode(const struct link_control *in, struct rt_buf *out);
/* A HELLO of another link version is decoded up to its name; the other fields are zero. */
bool link_control_decode(struct rt_span in, struct link_control *out);

#endif
