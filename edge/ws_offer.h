/* edge/ws_offer.h - permessage-deflate in the handshake (RFC 7692 7.1): which of a client's offers is taken, and the answer.
 *
 * The first offer that can be kept is taken. An unknown parameter, one given twice or one with a value that it cannot have
 * declines that offer and no other; other extensions are not known here. What is agreed to:
 *
 *   server_no_context_takeover  always: a message is compressed alone, once for all clients
 *   client_no_context_takeover  always (7.1.1.2 lets a server demand it), so that nothing is kept between messages
 *   server_max_window_bits      8 to 15, when asked for; see frame_pack() for how it is kept
 *   client_max_window_bits      accepted and not used: what is received may always look back 32 KiB
 *
 * Pure; no allocation but in the answer. Cost: one pass.
 */
#ifndef PGTIDE_EDGE_WS_OFFER_H
#define PGTIDE_EDGE_WS_OFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/buf.h"

enum { WS_WINDOW_BITS_MIN = 8, WS_WINDOW_BITS_MAX = 15 };

/* All zero: nothing was offered. */
struct ws_offer {
    bool made;           /* permessage-deflate was offered */
    bool taken;          /* and one of the offers can be kept */
    bool window_limited; /* it has server_max_window_bits, which the answer must name */
    uint8_t window_bits; /* of what is sent: 8 to 15; valid when taken */
};

/* Reads the value of one Sec-WebSocket-Extensions line; further lines go on where the one before ended (RFC 6455 9.1). False: it is
 * not what that section's grammar says, so the handshake fails. */
bool ws_offer_read(struct ws_offer *offer, struct rt_span value);
/* `head` is a whole response head; appends it with the line that says what was agreed. */
void ws_offer_answer(const struct ws_offer *offer, struct rt_span head, struct rt_buf *out);

#endif
