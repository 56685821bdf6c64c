/* edge/frame.h - one ready-made piece of the wire, shared by all its receivers.
 *
 * A change is encoded once per (event, dialect, column set); the bytes, WebSocket header included, are
 * the same for every client (server frames are not masked, RFC 6455 5.1), so a connection's queue holds
 * references. A frame is immutable and counted; the count is not atomic (one thread). The same message compressed is a frame
 * of its own, made once and kept by the first one (edge/frame_pack.h).
 */
#ifndef PGTIDE_EDGE_FRAME_H
#define PGTIDE_EDGE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"

enum edge_packing {
    EDGE_FRAME_AS_IS, /* no message, or one that is compressed, or would not become smaller */
    EDGE_FRAME_PLAIN, /* a message that nobody has asked to compress */
    EDGE_FRAME_TWIN,  /* `packed` is the same message, compressed */
};

struct edge_frame {
    uint32_t refs;
    uint32_t len;    /* of bytes: header and payload */
    uint32_t extra;  /* bytes behind them that are never sent */
    uint8_t packing; /* enum edge_packing */
    struct edge_frame *packed;
    uint8_t bytes[];
};

/* An unfragmented text frame; the caller owns the reference. Payload up to 1 GiB. */
struct edge_frame *edge_frame_text(const void *payload, size_t len);
/* The same of a binary message. */
struct edge_frame *edge_frame_binary(const void *payload, size_t len);
/* One with bytes that travel with it inside the process and are never sent: what a dialect must know to decide who may have it. */
struct edge_frame *edge_frame_text_with(const void *payload, size_t len, const void *extra,
                                        size_t extra_len);
struct rt_span edge_frame_extra(const struct edge_frame *frame);
/* The payload of a data frame; for a transport that is no WebSocket, and for compressing it. */
struct rt_span edge_frame_payload(const struct edge_frame *frame);
/* What has become of compressing an EDGE_FRAME_PLAIN: the compressed payload, or one without bytes: not smaller. */
void edge_frame_set_packed(struct edge_frame *frame, struct rt_span payload);
/* A control frame: opcode 8, 9 or 10, payload up to 125 bytes. */
struct edge_frame *edge_frame_control(unsigned opcode, const void *payload, size_t len);
/* A close frame; code 1005 stands for none. `reason` is cut to 123 bytes, between characters. */
struct edge_frame *edge_frame_close(unsigned code, const char *reason);
/* Bytes as they are, for the HTTP answer that precedes the first frame. */
struct edge_frame *edge_frame_raw(const void *bytes, size_t len);
struct edge_frame *edge_frame_ref(struct edge_frame *frame);
void edge_frame_unref(struct edge_frame *frame); /* NULL is fine */

#endif
