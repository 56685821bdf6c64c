/* fuzz_ws_frame.c - a client's byte stream, fed twice: at once, and cut into pieces whose sizes the first
 * bytes of the input choose. With the top bit of the first one, permessage-deflate is agreed and binary messages are wanted.
 *
 * Property: both ways give the same events and the same end; every text is UTF-8 and within the limit; every close
 * code is one that a client may send; and after the end nothing is kept.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "edge/ws_frame.h"
#include "edge/ws_utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { MAX_MESSAGE = 4096, FIRST_BUFFER = 128 };

static void require(bool held)
{
    if (!held) {
        abort();
    }
}

struct outcome {
    struct rt_buf events;
    bool closed; /* by the client */
    unsigned fault;
};

static bool note(struct outcome *out, char kind, struct rt_span span)
{
    rt_buf_printf(&out->events, "%c%zu:", kind, span.len);
    rt_buf_append(&out->events, span.data, span.len);
    return true;
}

static bool on_text(void *ctx, struct rt_span text)
{
    require(text.len <= MAX_MESSAGE);
    require(ws_utf8_valid(text.data, text.len));
    return note(ctx, 't', text);
}

static bool on_ping(void *ctx, struct rt_span payload)
{
    require(payload.len <= 125);
    return note(ctx, 'i', payload);
}

static bool on_pong(void *ctx, struct rt_span payload)
{
    require(payload.len <= 125);
    return note(ctx, 'o', payload);
}

static bool on_close(void *ctx, unsigned code, struct rt_span reason)
{
    require(code == WS_NO_STATUS || ws_close_code_valid(code));
    require(reason.len <= 123 && ws_utf8_valid(reason.data, reason.len));
    struct outcome *out = ctx;
    rt_buf_printf(&out->events, "c%u", code);
    (void)note(out, 'r', reason);
    out->closed = true;
    return false;
}

static bool on_binary(void *ctx, struct rt_span data)
{
    require(data.len <= MAX_MESSAGE);
    return note(ctx, 'b', data);
}

static void on_inflated(void *ctx, enum ws_inflated result, size_t from, size_t to)
{
    require(to <= MAX_MESSAGE + 1 && (result == WS_INFLATE_TOO_LONG) == (to > MAX_MESSAGE));
    struct outcome *out = ctx;
    rt_buf_printf(&out->events, "z%d:%zu-%zu", result, from, to);
}

static const struct ws_sink sink = {
    .on_text = on_text,
    .on_binary = on_binary,
    .on_inflated = on_inflated,
    .on_ping = on_ping,
    .on_pong = on_pong,
    .on_close = on_close,
};

/* cut_count 0: in one piece. */
static struct outcome run(struct rt_span input, const uint8_t *cuts, size_t cut_count,
                          struct ws_inflater *inflater)
{
    struct ws_decoder decoder = { .max_message = MAX_MESSAGE,
                                  .first_buffer = FIRST_BUFFER,
                                  .inflater = inflater,
                                  .binary = inflater != NULL };
    const struct ws_fault *fault = NULL;
    struct outcome out = { .closed = false };
    size_t turn = 0;

    for (size_t at = 0; at < input.len && fault == NULL && !out.closed;) {
        size_t piece = cut_count > 0 ? (size_t)cuts[turn++ % cut_count] % 17 + 1 : input.len;
        if (piece > input.len - at) {
            piece = input.len - at;
        }
        uint8_t *copy = malloc(piece);
        require(copy != NULL);
        memcpy(copy, input.data + at, piece);
        fault = ws_decoder_feed(&decoder, copy, piece, &sink, &out);
        free(copy);
        at += piece;
    }
    ws_decoder_fini(&decoder);
    require(decoder.under_way == NULL);
    out.fault = fault != NULL ? fault->code : 0;
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t cuts = len > 0 ? data[0] % 8 + 1U : 0;

    if (len <= cuts) {
        return 0;
    }
    struct rt_span input = { data + cuts, len - cuts };
    struct ws_inflater *inflater = (data[0] & 0x80) != 0 ? ws_inflater_new() : NULL;
    struct outcome whole = run(input, NULL, 0, inflater);
    struct outcome pieces = run(input, data, cuts, inflater);

    require(whole.closed == pieces.closed && whole.fault == pieces.fault);
    require(whole.events.len == pieces.events.len);
    require(whole.events.len == 0 ||
            memcmp(whole.events.data, pieces.events.data, whole.events.len) == 0);
    ws_inflater_free(inflater);
    rt_buf_fini(&whole.events);
    rt_buf_fini(&pieces.events);
    return 0;
}
