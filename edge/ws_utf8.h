/* edge/ws_utf8.h - is this UTF-8 (RFC 3629), asked piece by piece.
 *
 * A text message may come in fragments that cut a character in two; the state between the pieces is
 * three bytes. A wrong byte is found when it comes, not at the end of the message. Overlong forms,
 * surrogates and values past U+10FFFF are refused. Pure. ASCII costs an eighth of a step per byte.
 */
#ifndef PGTIDE_EDGE_WS_UTF8_H
#define PGTIDE_EDGE_WS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: at the beginning of a text. */
struct ws_utf8 {
    uint8_t need; /* bytes still to come of the character under way */
    uint8_t low;  /* what the next of them must lie between */
    uint8_t high;
};

/* False: not UTF-8, whatever follows. */
bool ws_utf8_feed(struct ws_utf8 *utf8, const uint8_t *data, size_t len);
/* Whether the text may end here. */
bool ws_utf8_complete(const struct ws_utf8 *utf8);
/* A whole text at once. */
bool ws_utf8_valid(const uint8_t *data, size_t len);

#endif
