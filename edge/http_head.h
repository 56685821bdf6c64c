/* edge/http_head.h - the outer shape of an HTTP/1.1 request head, looked at before libwebsockets sees it.
 *
 * libwebsockets parses the head (edge/handshake.h). This decides what may get there at all, because
 * version 4.1.6 drops many bad requests without an answer; refuses every request with a header whose name is the
 * beginning of one it knows ("If", "Max", "X"); frees headers it then uses when Upgrade names anything but
 * WebSocket (CVE-2025-11677); follows "Upgrade: h2c"; and refuses every sub-protocol it was not told of.
 * So: control characters, folded lines and malformed names are refused here, and only the lines that matter
 * are left in: Host, Authorization, Connection, an Upgrade to websocket, Sec-WebSocket-Key and -Version. A
 * server may ignore what is taken out, sub-protocols and extensions included (RFC 6455 4.2.2). Offers of permessage-deflate are
 * read before they are taken out (edge/ws_offer.h).
 *
 * Pure. Cost: one pass over the head.
 */
#ifndef PGTIDE_EDGE_HTTP_HEAD_H
#define PGTIDE_EDGE_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/ws_offer.h"

enum { HTTP_HEAD_MAX = 16384 };

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OTHER };

struct http_head {
    enum http_method method;
    bool upgrade;  /* asks for websocket */
    bool has_body; /* Transfer-Encoding, or a Content-Length other than 0 */
    struct ws_offer deflate;
    size_t len; /* what is left of the head, with its empty line */
};

/* Length of the head with its empty line, or 0 when that has not come yet. Bytes before `seen` have been
 * searched by an earlier call. */
size_t http_head_length(const uint8_t *data, size_t len, size_t seen);
/* `data` is exactly one head; it is shortened in place as said above. Returns NULL, or what is wrong (static text;
 * data is undefined then). */
const char *http_head_check(uint8_t *data, size_t len, struct http_head *out);

#endif
