/* fuzz_ws_deflate.c - permessage-deflate from a client: the offer in its handshake, and the payloads of its messages.
 *
 * The first byte chooses. Bit 0: the rest is the value of Sec-WebSocket-Extensions, cut in two where the second byte says, as if it were two
 * lines. Else it is a compressed message; the further bits choose the limit.
 *
 * Properties: what is taken has a window of 8 to 15 bits, and the answer is one line more; a result is never more than a byte longer than
 * its limit, and the same twice; what was inflated, deflated again, is what it was.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "edge/ws_deflate.h"
#include "edge/ws_offer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool held)
{
    if (!held) {
        abort();
    }
}

/* --- offers ------------------------------------------------------------------------------------------------------- */

static bool read_copy(struct ws_offer *offer, const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    require(copy != NULL);
    memcpy(copy, data, len);
    bool good = ws_offer_read(offer, (struct rt_span){ copy, len });
    free(copy);
    return good;
}

static void check_offer(const uint8_t *data, size_t len)
{
    static const char head[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    struct ws_offer offer = { .made = false };
    size_t cut = data[0] < len ? data[0] : len;
    struct rt_buf answer = { 0 };

    if (!read_copy(&offer, data, cut) || !read_copy(&offer, data + cut, len - cut)) {
        return;
    }
    require(!offer.taken || offer.made);
    if (!offer.taken) {
        return;
    }
    require(offer.window_bits >= WS_WINDOW_BITS_MIN && offer.window_bits <= WS_WINDOW_BITS_MAX);
    require(offer.window_limited || offer.window_bits == WS_WINDOW_BITS_MAX);
    ws_offer_answer(&offer, (struct rt_span){ (const uint8_t *)head, sizeof head - 1 }, &answer);
    const char *text = rt_buf_cstr(&answer);
    require(memcmp(text, head, sizeof head - 3) == 0);
    require(strcmp(text + answer.len - 4, "\r\n\r\n") == 0);
    require((strstr(text, "server_max_window_bits=") != NULL) == offer.window_limited);
    rt_buf_fini(&answer);
}

/* --- messages ------------------------------------------------------------------------------------------------------- */

static void check_again(struct ws_inflater *inflater, struct rt_span message)
{
    struct ws_deflater *deflater = ws_deflater_new(1 + (int)(message.len % 9));
    struct rt_buf packed = { 0 };
    struct rt_buf plain = { 0 };

    if (ws_deflate(deflater, message, &packed)) {
        require(packed.len < message.len);
        require(ws_inflate(inflater, rt_buf_span(&packed), message.len, &plain) == WS_INFLATED);
        require(plain.len == message.len && memcmp(plain.data, message.data, plain.len) == 0);
    } else {
        require(packed.len == 0);
    }
    rt_buf_fini(&packed);
    rt_buf_fini(&plain);
    ws_deflater_free(deflater);
}

static void check_message(const uint8_t *data, size_t len, size_t limit)
{
    struct ws_inflater *inflater = ws_inflater_new();
    uint8_t *copy = malloc(len > 0 ? len : 1);
    struct rt_buf first = { 0 };
    struct rt_buf second = { 0 };

    require(copy != NULL);
    memcpy(copy, data, len);
    enum ws_inflated result = ws_inflate(inflater, (struct rt_span){ copy, len }, limit, &first);
    require(first.len <= limit + 1);
    require((result == WS_INFLATE_TOO_LONG) == (first.len > limit));
    /* Whatever the first one left in the stream. */
    require(ws_inflate(inflater, (struct rt_span){ copy, len }, limit, &second) == result);
    require(first.len == second.len &&
            (first.len == 0 || memcmp(first.data, second.data, first.len) == 0));
    if (result == WS_INFLATED && first.len > 0) {
        check_again(inflater, rt_buf_span(&first));
    }
    rt_buf_fini(&first);
    rt_buf_fini(&second);
    free(copy);
    ws_inflater_free(inflater);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2) {
        return 0;
    }
    if ((data[0] & 1) != 0) {
        check_offer(data + 1, len - 1);
    } else {
        check_message(data + 1, len - 1, (size_t)64 << (data[0] >> 4));
    }
    return 0;
}
