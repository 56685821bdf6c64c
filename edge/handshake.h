/* edge/handshake.h - what libwebsockets makes of one request head: a parsed request, and the 101 when
 * it is a WebSocket handshake.
 *
 * libwebsockets is used as a function here. It is given one end of a socket pair and the head as "already read",
 * does all its work inside that call, and is made to forget the connection before the call returns; what it
 * wrote comes back as bytes. It never sees a client's socket and never runs in the loop. So none of
 * its timers, buffers, limits and close sequences touch a client, an idle client costs it nothing, and what it
 * drops silently is known here and can be answered. (What was measured, and the alternative of leaving the socket with
 * it under flow control: docs/architecture.md.)
 *
 * One thread. Cost: about 20 us. Sets libwebsockets' process-wide log function.
 */
#ifndef PGTIDE_EDGE_HANDSHAKE_H
#define PGTIDE_EDGE_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "edge/http_head.h"
#include "runtime/buf.h"

struct handshake;
struct rt_log;

enum {
    HANDSHAKE_PATH_MAX = 512,
    HANDSHAKE_TOKEN_MAX = HTTP_HEAD_MAX
}; /* no token is longer than its head */

/* Valid until the next call. */
struct handshake_request {
    char path[HANDSHAKE_PATH_MAX]; /* URL-decoded, without the query; "" when too long */
    bool has_token;                /* from the Authorization header, else from the query */
    char token[HANDSHAKE_TOKEN_MAX];
    size_t token_len;
    bool transactions;       /* query: transactions=true */
    bool version_13;         /* Sec-WebSocket-Version */
    struct ws_offer deflate; /* what the head offered */
    bool established;        /* `response` is a 101 */
    struct rt_span response; /* what libwebsockets answered */
};

/* NULL after logging. */
struct handshake *handshake_new(struct rt_log *log);
void handshake_free(struct handshake *hs);
/* `data` has passed http_head_check(), with method GET or HEAD. NULL: libwebsockets would not have it, or the
 * process is out of descriptors; answer 400. */
const struct handshake_request *handshake_run(struct handshake *hs, const struct http_head *head,
                                              const uint8_t *data);

#endif
