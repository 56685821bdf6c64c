/* edge/ws_utf8.c - the table of RFC 3629 section 4, as ranges for the byte after the first. */
#include "edge/ws_utf8.h"

#include <string.h>

/* False: no character begins with this byte. */
static bool begin(struct ws_utf8 *utf8, uint8_t byte)
{
    utf8->low = 0x80;
    utf8->high = 0xbf;
    if (byte < 0xc2 || byte > 0xf4) {
        return false; /* a stray continuation, an overlong form, or too large */
    }
    if (byte < 0xe0) {
        utf8->need = 1;
    } else if (byte < 0xf0) {
        utf8->need = 2;
        utf8->low = byte == 0xe0 ? 0xa0 : 0x80;  /* overlong */
        utf8->high = byte == 0xed ? 0x9f : 0xbf; /* surrogates */
    } else {
        utf8->need = 3;
        utf8->low = byte == 0xf0 ? 0x90 : 0x80;  /* overlong */
        utf8->high = byte == 0xf4 ? 0x8f : 0xbf; /* past U+10FFFF */
    }
    return true;
}

static size_t ascii_run(const uint8_t *data, size_t len)
{
    size_t at = 0;
    uint64_t word = 0;

    while (len - at >= sizeof(word)) {
        memcpy(&word, data + at, sizeof(word));
        if ((word & 0x8080808080808080U) != 0) {
            break;
        }
        at += sizeof(word);
    }
    while (at < len && data[at] < 0x80) {
        at++;
    }
    return at;
}

bool ws_utf8_feed(struct ws_utf8 *utf8, const uint8_t *data, size_t len)
{
    size_t at = 0;

    while (at < len) {
        if (utf8->need == 0) {
            at += ascii_run(data + at, len - at);
            if (at == len) {
                break;
            }
            if (!begin(utf8, data[at])) {
                return false;
            }
        } else {
            if (data[at] < utf8->low || data[at] > utf8->high) {
                return false;
            }
            utf8->need--;
            utf8->low = 0x80;
            utf8->high = 0xbf;
        }
        at++;
    }
    return true;
}

bool ws_utf8_complete(const struct ws_utf8 *utf8)
{
    return utf8->need == 0;
}

bool ws_utf8_valid(const uint8_t *data, size_t len)
{
    struct ws_utf8 utf8 = { 0 };
    return ws_utf8_feed(&utf8, data, len) && ws_utf8_complete(&utf8);
}
