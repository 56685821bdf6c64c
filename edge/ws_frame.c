/* edge/ws_frame.c - one state for whatever is under way, kept only while something is.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-------+-+-------------+-------------------------------+
 *     |F|R|R|R| opcode|M| length: 7   |  126: 16 more, 127: 64 more   |
 *     +-+-+-+-+-------+-+-------------+-------------------------------+
 *     |  mask: 32                     |  payload, each byte masked
 *
 * The input is walked once. At its end the state is either idle, and forgotten, or moved to the heap.
 */
#include "edge/ws_frame.h"

#include <stdlib.h>
#include <string.h>

#include "edge/ws_utf8.h"

enum {
    FIN = 0x80,
    RESERVED = 0x70,
    RSV1 = 0x40, /* a compressed message (RFC 7692 6) */
    OPCODE = 0x0f,
    MASKED = 0x80,
    LENGTH = 0x7f,
    LENGTH_16 = 126,
    LENGTH_64 = 127,
    CONTINUATION = 0,
    TEXT = 1,
    BINARY = 2,
    CONTROL = 8, /* this bit of the opcode */
    CONTROL_MAX = 125,
    MASK_BYTES = 4,
    HEADER_MAX = 14,
};

struct ws_under_way {
    uint8_t header[HEADER_MAX];
    uint8_t header_len;
    bool in_payload; /* the header is complete; `left` bytes follow */
    uint64_t left;
    unsigned mask_at;    /* which byte of the mask is next */
    bool joining;        /* a message has begun in an earlier frame */
    bool compressed;     /* that message, or the one that begins */
    uint8_t kind;        /* TEXT or BINARY, of the same */
    struct ws_utf8 utf8; /* of a text that is not compressed */
    struct rt_buf message;
    uint8_t control[CONTROL_MAX];
    uint8_t control_len;
};

static const struct ws_fault fault_reserved = { 1002, "reserved bits are set" };
static const struct ws_fault fault_opcode = { 1002, "unknown opcode" };
static const struct ws_fault fault_unmasked = { 1002, "client frames must be masked" };
static const struct ws_fault fault_control = { 1002, "control frame is fragmented or too long" };
static const struct ws_fault fault_length = { 1002, "frame length is not in its shortest form" };
static const struct ws_fault fault_huge = { 1002, "frame length has more than 63 bits" };
static const struct ws_fault fault_no_message = { 1002, "continuation without a message" };
static const struct ws_fault fault_in_message = { 1002, "new message inside a fragmented one" };
static const struct ws_fault fault_close = { 1002, "invalid close frame" };
static const struct ws_fault fault_binary = { 1003, "binary messages are not supported" };
static const struct ws_fault fault_utf8 = { 1007, "text is not UTF-8" };
static const struct ws_fault fault_deflate = { 1007, "compressed message is damaged" };
static const struct ws_fault fault_too_big = { 1009, "message is too long" };

static unsigned opcode_of(const struct ws_under_way *now)
{
    return now->header[0] & OPCODE;
}

static bool is_control(const struct ws_under_way *now)
{
    return (opcode_of(now) & CONTROL) != 0;
}

static bool is_final(const struct ws_under_way *now)
{
    return (now->header[0] & FIN) != 0;
}

/* --- header --- */

static size_t header_size(const struct ws_under_way *now)
{
    if (now->header_len < 2) {
        return 2;
    }
    unsigned length = now->header[1] & LENGTH;
    size_t extra = length == LENGTH_64 ? 8 : (length == LENGTH_16 ? 2 : 0);
    return 2 + extra + MASK_BYTES;
}

/* RSV1 is of the first frame of a message, and of nothing else. */
static bool reserved_bits_allowed(const struct ws_decoder *decoder, const struct ws_under_way *now)
{
    unsigned bits = now->header[0] & RESERVED;
    bool begins = opcode_of(now) == TEXT || opcode_of(now) == BINARY;

    return bits == 0 || (bits == RSV1 && begins && decoder->inflater != NULL);
}

static const struct ws_fault *begin_message(const struct ws_decoder *decoder,
                                            struct ws_under_way *now)
{
    if (now->joining) {
        return &fault_in_message;
    }
    now->kind = (uint8_t)opcode_of(now);
    now->compressed = (now->header[0] & RSV1) != 0;
    return now->kind == BINARY && !decoder->binary ? &fault_binary : NULL;
}

/* What the first two bytes alone can be wrong with. */
static const struct ws_fault *check_start(const struct ws_decoder *decoder,
                                          struct ws_under_way *now)
{
    unsigned opcode = opcode_of(now);

    if (!reserved_bits_allowed(decoder, now)) {
        return &fault_reserved;
    }
    if ((opcode > BINARY && opcode < CONTROL) || opcode > WS_PONG) {
        return &fault_opcode;
    }
    if ((now->header[1] & MASKED) == 0) {
        return &fault_unmasked;
    }
    if (is_control(now)) {
        bool fits = (now->header[1] & LENGTH) <= CONTROL_MAX;
        return is_final(now) && fits ? NULL : &fault_control;
    }
    if (opcode == CONTINUATION) {
        return now->joining ? NULL : &fault_no_message;
    }
    return begin_message(decoder, now);
}

/* Compressing makes some messages longer, by different ways of doing it differently so. */
static uint64_t longest(const struct ws_decoder *decoder, const struct ws_under_way *now)
{
    uint64_t max = decoder->max_message;

    return now->compressed ? max + max / 4 + 256 : max;
}

static const struct ws_fault *check_length(const struct ws_decoder *decoder,
                                           struct ws_under_way *now)
{
    unsigned form = now->header[1] & LENGTH;
    size_t bytes = form == LENGTH_64 ? 8 : (form == LENGTH_16 ? 2 : 0);
    uint64_t length = bytes == 0 ? form : 0;

    for (size_t i = 0; i < bytes; i++) {
        length = length << 8 | now->header[2 + i];
    }
    if (length > INT64_MAX) {
        return &fault_huge;
    }
    if ((form == LENGTH_16 && length < LENGTH_16) || (form == LENGTH_64 && length <= UINT16_MAX)) {
        return &fault_length;
    }
    if (!is_control(now) && length + now->message.len > longest(decoder, now)) {
        return &fault_too_big;
    }
    now->left = length;
    return NULL;
}

/* Takes header bytes; *taken says how many. in_payload is set when the header is complete. */
static const struct ws_fault *take_header(const struct ws_decoder *decoder,
                                          struct ws_under_way *now, const uint8_t *data, size_t len,
                                          size_t *taken)
{
    *taken = 0;
    while (now->header_len < header_size(now)) {
        if (*taken == len) {
            return NULL;
        }
        now->header[now->header_len++] = data[(*taken)++];
        if (now->header_len == 2) {
            const struct ws_fault *fault = check_start(decoder, now);
            if (fault != NULL) {
                return fault;
            }
        }
    }
    now->in_payload = true;
    now->mask_at = 0;
    return check_length(decoder, now);
}

/* --- payload --- */

static void unmask(struct ws_under_way *now, uint8_t *data, size_t len)
{
    const uint8_t *mask = now->header + now->header_len - MASK_BYTES;
    uint8_t turned[8];
    uint64_t wide = 0;
    size_t at = 0;

    for (unsigned i = 0; i < sizeof(turned); i++) {
        turned[i] = mask[(now->mask_at + i) % MASK_BYTES];
    }
    memcpy(&wide, turned, sizeof(wide));
    for (; len - at >= sizeof(wide); at += sizeof(wide)) {
        uint64_t word = 0;
        memcpy(&word, data + at, sizeof(word));
        word ^= wide;
        memcpy(data + at, &word, sizeof(word));
    }
    for (; at < len; at++) {
        data[at] ^= turned[at % MASK_BYTES];
    }
    now->mask_at = (unsigned)((now->mask_at + len) % MASK_BYTES);
}

static void end_frame(struct ws_under_way *now)
{
    now->header_len = 0;
    now->in_payload = false;
    now->control_len = 0;
}

static const struct ws_fault *end_close(const struct ws_under_way *now, const struct ws_sink *sink,
                                        void *ctx, bool *go_on)
{
    unsigned code = WS_NO_STATUS;
    struct rt_span reason = { now->control, 0 };

    if (now->control_len == 1) {
        return &fault_close;
    }
    if (now->control_len > 1) {
        code = (unsigned)now->control[0] << 8 | now->control[1];
        reason = (struct rt_span){ now->control + 2, (size_t)now->control_len - 2 };
        if (!ws_close_code_valid(code)) {
            return &fault_close;
        }
        if (!ws_utf8_valid(reason.data, reason.len)) {
            return &fault_utf8;
        }
    }
    *go_on = sink->on_close(ctx, code, reason);
    return NULL;
}

static const struct ws_fault *end_control(struct ws_under_way *now, const struct ws_sink *sink,
                                          void *ctx, bool *go_on)
{
    struct rt_span payload = { now->control, now->control_len };
    const struct ws_fault *fault = NULL;

    if (opcode_of(now) == WS_CLOSE) {
        fault = end_close(now, sink, ctx, go_on);
    } else if (opcode_of(now) == WS_PING) {
        *go_on = sink->on_ping(ctx, payload);
    } else {
        *go_on = sink->on_pong(ctx, payload);
    }
    end_frame(now);
    return fault;
}

static bool hand_on(const struct ws_under_way *now, struct rt_span message,
                    const struct ws_sink *sink, void *ctx)
{
    return now->kind == TEXT ? sink->on_text(ctx, message) : sink->on_binary(ctx, message);
}

static const struct ws_fault *end_compressed(const struct ws_decoder *decoder,
                                             const struct ws_under_way *now, struct rt_span message,
                                             const struct ws_sink *sink, void *ctx, bool *go_on)
{
    struct rt_buf plain = { 0 };
    const struct ws_fault *fault = NULL;
    enum ws_inflated result = ws_inflate(decoder->inflater, message, decoder->max_message, &plain);

    sink->on_inflated(ctx, result, message.len, plain.len);
    if (result != WS_INFLATED) {
        fault = result == WS_INFLATE_TOO_LONG ? &fault_too_big : &fault_deflate;
    } else if (now->kind == TEXT && !ws_utf8_valid(plain.data, plain.len)) {
        fault = &fault_utf8;
    } else {
        *go_on = hand_on(now, rt_buf_span(&plain), sink, ctx);
    }
    rt_buf_fini(&plain);
    return fault;
}

/* `data` is the unmasked end of the frame, or all of it. */
static const struct ws_fault *end_data(const struct ws_decoder *decoder, struct ws_under_way *now,
                                       struct rt_span data, const struct ws_sink *sink, void *ctx,
                                       bool *go_on)
{
    const struct ws_fault *fault = NULL;

    if (!is_final(now)) {
        now->joining = true;
        end_frame(now);
        return NULL;
    }
    struct rt_span message = now->message.len > 0 ? rt_buf_span(&now->message) : data;
    if (now->compressed) {
        fault = end_compressed(decoder, now, message, sink, ctx, go_on);
    } else if (!ws_utf8_complete(&now->utf8)) {
        fault = &fault_utf8;
    } else {
        *go_on = hand_on(now, message, sink, ctx);
    }
    rt_buf_fini(&now->message);
    now->joining = false;
    end_frame(now);
    return fault;
}

static void keep(struct ws_under_way *now, const uint8_t *data, size_t len, uint32_t first_buffer)
{
    if (len > 0) {
        rt_buf_reserve(&now->message, now->message.data == NULL ? first_buffer : 0);
        rt_buf_append(&now->message, data, len);
    }
}

static const struct ws_fault *take_payload(const struct ws_decoder *decoder,
                                           struct ws_under_way *now, struct rt_span part,
                                           const struct ws_sink *sink, void *ctx, bool *go_on)
{
    now->left -= part.len;
    if (is_control(now)) {
        memcpy(now->control + now->control_len, part.data, part.len);
        now->control_len = (uint8_t)(now->control_len + part.len);
        return now->left == 0 ? end_control(now, sink, ctx, go_on) : NULL;
    }
    bool is_text = now->kind == TEXT && !now->compressed;
    if (is_text && !ws_utf8_feed(&now->utf8, part.data, part.len)) {
        return &fault_utf8;
    }
    bool whole = now->left == 0 && is_final(now) && now->message.len == 0;
    if (!whole) {
        keep(now, part.data, part.len, decoder->first_buffer);
    }
    return now->left == 0 ? end_data(decoder, now, part, sink, ctx, go_on) : NULL;
}

/* --- exports --- */

static bool is_idle(const struct ws_under_way *now)
{
    return now->header_len == 0 && !now->joining;
}

static void forget(struct ws_decoder *decoder, struct ws_under_way *now)
{
    rt_buf_fini(&now->message);
    if (now == decoder->under_way) {
        free(now);
        decoder->under_way = NULL;
    }
}

const struct ws_fault *ws_decoder_feed(struct ws_decoder *decoder, uint8_t *data, size_t len,
                                       const struct ws_sink *sink, void *ctx)
{
    struct ws_under_way fresh = { 0 };
    struct ws_under_way *now = decoder->under_way != NULL ? decoder->under_way : &fresh;
    const struct ws_fault *fault = NULL;
    bool go_on = true;

    /* A frame without payload ends although no byte of it is left. */
    while (fault == NULL && go_on && (len > 0 || (now->in_payload && now->left == 0))) {
        size_t taken = 0;
        if (!now->in_payload) {
            fault = take_header(decoder, now, data, len, &taken);
        } else {
            taken = now->left < len ? (size_t)now->left : len;
            unmask(now, data, taken);
            fault = take_payload(decoder, now, (struct rt_span){ data, taken }, sink, ctx, &go_on);
        }
        data += taken;
        len -= taken;
    }
    if (fault != NULL || !go_on || is_idle(now)) {
        forget(decoder, now);
    } else if (now == &fresh) {
        decoder->under_way = rt_alloc(sizeof(fresh));
        *decoder->under_way = fresh;
    }
    return fault;
}

void ws_decoder_fini(struct ws_decoder *decoder)
{
    if (decoder->under_way != NULL) {
        forget(decoder, decoder->under_way);
    }
}

bool ws_close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
