/* edge/ws_deflate.h - the payloads of permessage-deflate (RFC 7692 7.2), one whole message at a time. The only user of zlib.
 *
 * Every message is compressed and decompressed alone: both sides have agreed not to take over a context (edge/ws_offer.h). So one
 * deflater and one inflater serve a whole process, and a connection owns neither.
 *
 * Deflater: 256 KiB; about 5 us and 2.5 us per KiB of text at level 1 (tests/bench/README.md). Inflater: 40 KiB; memory of a result is
 * bounded by its limit, whatever the input promises. Running out of memory ends the process (runtime/buf.h). One thread.
 */
#ifndef PGTIDE_EDGE_WS_DEFLATE_H
#define PGTIDE_EDGE_WS_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/buf.h"

struct ws_deflater;
struct ws_inflater;

enum ws_inflated {
    WS_INFLATED,
    WS_INFLATE_DAMAGED,  /* not DEFLATE, or it ends in the middle */
    WS_INFLATE_TOO_LONG, /* more than the limit */
};

/* level: 1 (fast) to 9 (small). */
struct ws_deflater *ws_deflater_new(int level);
void ws_deflater_free(struct ws_deflater *deflater); /* NULL is fine */
/* Replaces *out by the payload, compressed. False: it would not be smaller; *out is empty then. Work stops where that is known. */
bool ws_deflate(struct ws_deflater *deflater, struct rt_span payload, struct rt_buf *out);

struct ws_inflater *ws_inflater_new(void);
void ws_inflater_free(struct ws_inflater *inflater); /* NULL is fine */
/* Appends the message to *out, which is empty and is the caller's to free in any case; at most `limit` + 1 bytes are ever made.
 * out->data is not NULL then. */
enum ws_inflated ws_inflate(struct ws_inflater *inflater, struct rt_span payload, size_t limit,
                            struct rt_buf *out);

#endif
