/* edge/ws_frame.h - the receiving half of RFC 6455: bytes of a client in, whole messages out.
 *
 * Checks everything the protocol lets a server check, and stops at the first violation with the close
 * code the RFC names for it: 1002 (reserved bits and opcodes, no mask, fragmented or long control frame,
 * length not in its shortest form or past 63 bits, continuation of nothing, bad close code), 1003
 * (binary, unless it is wanted), 1007 (not UTF-8), 1009 (longer than max_message, known from the header alone).
 *
 * With permessage-deflate (RFC 7692) a message whose first frame has RSV1 is collected as it came, up to a quarter more than max_message,
 * and decompressed when it is whole: 1009 as soon as that exceeds max_message, 1007 when it is damaged. Its text is
 * looked at then, not before.
 *
 * Memory: nothing while no message is under way; then one block that starts at `first_buffer` and grows with
 * what has really come, not with what a header promises. A message that came whole is handed on from the
 * caller's own buffer.
 *
 * Pure: no socket, no clock. After a fault or a stop the decoder only waits for ws_decoder_fini().
 */
#ifndef PGTIDE_EDGE_WS_FRAME_H
#define PGTIDE_EDGE_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/ws_deflate.h"
#include "runtime/buf.h"

enum { WS_PING = 9, WS_PONG = 10, WS_CLOSE = 8 };
enum { WS_NO_STATUS = 1005 }; /* a close frame without a code; never on the wire */

struct ws_under_way;

struct ws_decoder {
    struct ws_under_way *under_way; /* NULL between messages */
    uint32_t max_message;           /* bytes */
    uint32_t first_buffer;          /* bytes */
    struct ws_inflater *inflater;   /* NULL: permessage-deflate is not agreed */
    bool binary;                    /* binary messages are wanted */
};

/* Why a connection must be closed. Static; the text is for the close frame. */
struct ws_fault {
    unsigned code;
    const char *text;
};

/* Spans are valid during the call. Return false to stop: the rest of the input is dropped. */
struct ws_sink {
    bool (*on_text)(void *ctx, struct rt_span text);
    bool (*on_binary)(void *ctx,
                      struct rt_span data); /* never called where decoder.binary is false */
    /* A compressed message is whole; `from` and `to` are its bytes before and after. The message follows, or a fault does. */
    void (*on_inflated)(void *ctx, enum ws_inflated result, size_t from, size_t to);
    bool (*on_ping)(void *ctx, struct rt_span payload);
    bool (*on_pong)(void *ctx, struct rt_span payload);
    /* code: WS_NO_STATUS, or one that a client may send; reason is UTF-8. */
    bool (*on_close)(void *ctx, unsigned code, struct rt_span reason);
};

/* Takes all of data, and unmasks it in place. NULL, or the fault. */
const struct ws_fault *ws_decoder_feed(struct ws_decoder *decoder, uint8_t *data, size_t len,
                                       const struct ws_sink *sink, void *ctx);
void ws_decoder_fini(struct ws_decoder *decoder);
/* Whether a client may send this code in a close frame (RFC 6455 7.4, IANA's register). */
bool ws_close_code_valid(unsigned code);

#endif
