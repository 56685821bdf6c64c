/* edge/ws_deflate.c - zlib's raw streams, reset for every message.
 *
 * A message ends where the sender flushed: with an empty stored block, whose last four bytes are left out (7.2.1) and are put back
 * by the receiver (7.2.2). A sender may also end blocks as the last of a stream (BFINAL), even in the middle of a message (7.2.3.4); what
 * follows is a new stream that may look back at the old one.
 */
#include "edge/ws_deflate.h"

#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

enum {
    WINDOW = 15, /* bits */
    MEMORY = 8,  /* zlib's default */
    TAIL = 4,
    WINDOW_BYTES = 1 << WINDOW,
    ROOM_MIN = 1024,
    /* of z_stream.data_type after inflate() */
    BETWEEN_BLOCKS = 128,
    UNUSED_BITS = 63,
};

static const uint8_t tail[TAIL] = { 0x00, 0x00, 0xff, 0xff };

struct ws_deflater {
    z_stream stream;
};

struct ws_inflater {
    z_stream stream;
};

static voidpf allocate(voidpf opaque, uInt items, uInt size)
{
    (void)opaque;
    return rt_realloc(NULL, items, size);
}

static void release(voidpf opaque, voidpf memory)
{
    (void)opaque;
    free(memory);
}

/* --- out ------------------------------------------------------------------------------------------------------------ */

struct ws_deflater *ws_deflater_new(int level)
{
    struct ws_deflater *deflater = rt_alloc(sizeof(*deflater));

    deflater->stream.zalloc = allocate;
    deflater->stream.zfree = release;
    if (deflateInit2(&deflater->stream, level, Z_DEFLATED, -WINDOW, MEMORY, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        abort(); /* a level that the configuration does not allow, or another zlib than the one compiled for */
    }
    return deflater;
}

void ws_deflater_free(struct ws_deflater *deflater)
{
    if (deflater != NULL) {
        (void)deflateEnd(&deflater->stream);
        free(deflater);
    }
}

bool ws_deflate(struct ws_deflater *deflater, struct rt_span payload, struct rt_buf *out)
{
    z_stream *stream = &deflater->stream;
    size_t room = payload.len + TAIL; /* one byte of it left means smaller */

    rt_buf_clear(out);
    (void)deflateReset(stream);
    stream->next_in = payload.data;
    stream->avail_in = (uInt)payload.len;
    stream->next_out = rt_buf_reserve(out, room);
    stream->avail_out = (uInt)room;
    if (deflate(stream, Z_SYNC_FLUSH) != Z_OK || stream->avail_out == 0) {
        return false;
    }
    out->len = room - stream->avail_out - TAIL;
    return true;
}

/* --- in ------------------------------------------------------------------------------------------------------------- */

struct ws_inflater *ws_inflater_new(void)
{
    struct ws_inflater *inflater = rt_alloc(sizeof(*inflater));

    inflater->stream.zalloc = allocate;
    inflater->stream.zfree = release;
    if (inflateInit2(&inflater->stream, -WINDOW) != Z_OK) {
        abort(); /* another zlib than the one compiled for */
    }
    return inflater;
}

void ws_inflater_free(struct ws_inflater *inflater)
{
    if (inflater != NULL) {
        (void)inflateEnd(&inflater->stream);
        free(inflater);
    }
}

/* Twice what there is, but one byte more than the limit at most: that byte is how too much shows. */
static size_t room_for(const struct rt_buf *out, size_t limit)
{
    size_t room = out->len > ROOM_MIN ? out->len : ROOM_MIN;
    size_t left = limit + 1 - out->len;

    return room < left ? room : left;
}

/* A last block that has more behind it. */
static bool begin_again(z_stream *stream, const struct rt_buf *out)
{
    size_t back = out->len < WINDOW_BYTES ? out->len : WINDOW_BYTES;

    return inflateReset(stream) == Z_OK &&
           (back == 0 ||
            inflateSetDictionary(stream, out->data + out->len - back, (uInt)back) == Z_OK);
}

/* All of `input`; *ended: its last byte was the end of a stream. */
static enum ws_inflated take(z_stream *stream, struct rt_span input, size_t limit,
                             struct rt_buf *out, bool *ended)
{
    stream->next_in = input.data;
    stream->avail_in = (uInt)input.len;
    for (;;) {
        size_t room = room_for(out, limit);
        stream->next_out = rt_buf_reserve(out, room);
        stream->avail_out = (uInt)room;
        int result = inflate(stream, Z_SYNC_FLUSH);
        out->len += room - stream->avail_out;
        *ended = result == Z_STREAM_END && stream->avail_in == 0;
        if (out->len > limit) {
            return WS_INFLATE_TOO_LONG;
        }
        if (*ended) {
            return WS_INFLATED;
        }
        if (result == Z_STREAM_END) {
            if (!begin_again(stream, out)) {
                return WS_INFLATE_DAMAGED;
            }
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            return WS_INFLATE_DAMAGED;
        } else if (stream->avail_out > 0) {
            return WS_INFLATED; /* it asks for more input */
        }
    }
}

static bool at_end(const z_stream *stream)
{
    return (stream->data_type & BETWEEN_BLOCKS) != 0 && (stream->data_type & UNUSED_BITS) == 0;
}

enum ws_inflated ws_inflate(struct ws_inflater *inflater, struct rt_span payload, size_t limit,
                            struct rt_buf *out)
{
    z_stream *stream = &inflater->stream;
    bool ended = false;

    /* What a flush gives when nothing was written: some senders leave it at that for an empty message. */
    if (payload.len == 0) {
        (void)rt_buf_reserve(out, 1);
        return WS_INFLATED;
    }
    (void)inflateReset(stream);
    enum ws_inflated result = take(stream, payload, limit, out, &ended);
    if (result != WS_INFLATED || ended) {
        return result;
    }
    result = take(stream, (struct rt_span){ tail, TAIL }, limit, out, &ended);
    if (result != WS_INFLATED) {
        return result;
    }
    return ended || at_end(stream) ? WS_INFLATED : WS_INFLATE_DAMAGED;
}
