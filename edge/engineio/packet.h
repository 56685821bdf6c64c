/* edge/engineio/packet.h - the packets of Engine.IO 4: one character that says what it is, then text. Pure.
 *
 * On a WebSocket a message is one packet; a body of long polling is packets with the byte 0x1e between them
 * (reference/seed-protocols.md 1.1). Binary packets ("b" and base64) are not read: no protocol here has any.
 */
#ifndef PGTIDE_EDGE_ENGINEIO_PACKET_H
#define PGTIDE_EDGE_ENGINEIO_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/buf.h"

enum eio_type {
    EIO_OPEN = '0',
    EIO_CLOSE = '1',
    EIO_PING = '2',
    EIO_PONG = '3',
    EIO_MESSAGE = '4',
    EIO_UPGRADE = '5',
    EIO_NOOP = '6',
};
#define EIO_SEPARATOR 0x1e

struct eio_packet {
    enum eio_type type;
    struct rt_span text; /* behind the type */
};

/* False: no packet. The text's encoding is not looked at. */
bool eio_packet_read(struct rt_span text, struct eio_packet *out);

/* Walks a body. */
struct eio_body {
    struct rt_span rest;
    bool ended;
};
struct eio_body eio_body_of(struct rt_span text);
/* The next packet's text, which may be empty (and is no packet then); false at the end. A body has at least one. */
bool eio_body_next(struct eio_body *body, struct rt_span *out);

struct eio_open {
    const char *sid;
    bool can_upgrade;
    int64_t ping_interval; /* milliseconds */
    int64_t ping_timeout;
    int64_t max_payload; /* bytes */
};
void eio_open_packet(struct rt_buf *out, const struct eio_open *open);

#endif
