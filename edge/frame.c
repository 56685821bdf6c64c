/* edge/frame.c - server frames are never fragmented, never masked, and use the shortest length form. */
#include "edge/frame.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"

enum {
    FIN = 0x80,
    RSV1 = 0x40, /* compressed (RFC 7692 6) */
    OPCODE_TEXT = 1,
    OPCODE_BINARY = 2,
    OPCODE_CLOSE = 8,
    LENGTH_16 = 126,
    LENGTH_64 = 127,
    CONTROL_MAX = 125,
    NO_STATUS = 1005,
};

/* `first`: RSV1 and opcode. */
static struct edge_frame *make(unsigned first, const void *payload, size_t len, size_t extra)
{
    size_t header = len < LENGTH_16 ? 2 : (len <= UINT16_MAX ? 4 : 10);
    struct edge_frame *frame = rt_alloc(sizeof(*frame) + header + len + extra);
    uint8_t *at = frame->bytes;

    frame->refs = 1;
    frame->len = (uint32_t)(header + len);
    frame->extra = (uint32_t)extra;
    *at++ = (uint8_t)(FIN | first);
    if (header == 2) {
        *at++ = (uint8_t)len;
    } else {
        *at++ = header == 4 ? LENGTH_16 : LENGTH_64;
        for (size_t byte = header - 2; byte > 0; byte--) {
            *at++ = (uint8_t)((uint64_t)len >> (8 * (byte - 1)));
        }
    }
    if (len > 0) {
        memcpy(at, payload, len);
    }
    return frame;
}

struct edge_frame *edge_frame_text(const void *payload, size_t len)
{
    return edge_frame_text_with(payload, len, NULL, 0);
}

struct edge_frame *edge_frame_binary(const void *payload, size_t len)
{
    struct edge_frame *frame = make(OPCODE_BINARY, payload, len, 0);

    frame->packing = EDGE_FRAME_PLAIN;
    return frame;
}

struct edge_frame *edge_frame_text_with(const void *payload, size_t len, const void *extra,
                                        size_t extra_len)
{
    struct edge_frame *frame = make(OPCODE_TEXT, payload, len, extra_len);

    frame->packing = EDGE_FRAME_PLAIN;
    if (extra_len > 0) {
        memcpy(frame->bytes + frame->len, extra, extra_len);
    }
    return frame;
}

struct rt_span edge_frame_extra(const struct edge_frame *frame)
{
    return (struct rt_span){ frame->bytes + frame->len, frame->extra };
}

struct rt_span edge_frame_payload(const struct edge_frame *frame)
{
    size_t header = frame->bytes[1] < LENGTH_16 ? 2 : (frame->bytes[1] == LENGTH_16 ? 4 : 10);

    return (struct rt_span){ frame->bytes + header, frame->len - header };
}

void edge_frame_set_packed(struct edge_frame *frame, struct rt_span payload)
{
    frame->packing = EDGE_FRAME_AS_IS;
    if (payload.len > 0) {
        unsigned opcode = frame->bytes[0] & ~(unsigned)FIN;
        frame->packing = EDGE_FRAME_TWIN;
        frame->packed = make(RSV1 | opcode, payload.data, payload.len, 0);
    }
}

struct edge_frame *edge_frame_control(unsigned opcode, const void *payload, size_t len)
{
    return make(opcode, payload, len < CONTROL_MAX ? len : CONTROL_MAX, 0);
}

struct edge_frame *edge_frame_close(unsigned code, const char *reason)
{
    uint8_t payload[CONTROL_MAX];
    size_t len = strnlen(reason, CONTROL_MAX - 2);

    while (len > 0 && ((uint8_t)reason[len] & 0xc0) == 0x80) {
        len--; /* cut, and not inside a character */
    }
    payload[0] = (uint8_t)(code >> 8);
    payload[1] = (uint8_t)code;
    memcpy(payload + 2, reason, len);
    return make(OPCODE_CLOSE, payload, code == NO_STATUS ? 0 : len + 2, 0);
}

struct edge_frame *edge_frame_raw(const void *bytes, size_t len)
{
    struct edge_frame *frame = rt_alloc(sizeof(*frame) + len);

    frame->refs = 1;
    frame->len = (uint32_t)len;
    memcpy(frame->bytes, bytes, len);
    return frame;
}

struct edge_frame *edge_frame_ref(struct edge_frame *frame)
{
    frame->refs++;
    return frame;
}

void edge_frame_unref(struct edge_frame *frame)
{
    if (frame == NULL || --frame->refs > 0) {
        return;
    }
    if (frame->packed != NULL && --frame->packed->refs == 0) {
        free(frame->packed); /* which has no twin itself */
    }
    free(frame);
}
