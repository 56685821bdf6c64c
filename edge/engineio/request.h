/* edge/engineio/request.h - what an HTTP request on an Engine.IO path wants, and what it is told when it cannot have it. Pure.
 *
 * The checks and their order are those of the original (reference/seed-protocols.md 1.1): transport, session, method, protocol
 * version. Unknown arguments are ignored. Answers allow every origin and no credentials.
 */
#ifndef PGTIDE_EDGE_ENGINEIO_REQUEST_H
#define PGTIDE_EDGE_ENGINEIO_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/http_answer.h"
#include "edge/http_request.h"
#include "runtime/buf.h"

enum { EIO_SID_LEN = 20 }; /* A-Z a-z 0-9 - _ ; the first HANDOVER_NAME_LEN name the process */

enum eio_wish {
    EIO_WISH_OPEN, /* a session, over polling or with the WebSocket that is asked for */
    EIO_WISH_POLL,
    EIO_WISH_POST,
    EIO_WISH_UPGRADE, /* a WebSocket for a session */
    EIO_WISH_PREFLIGHT,
    EIO_WISH_BAD, /* see code */
};

enum eio_code {
    EIO_UNKNOWN_TRANSPORT = 0,
    EIO_UNKNOWN_SID = 1,
    EIO_BAD_METHOD = 2,
    EIO_BAD_REQUEST = 3,
    EIO_BAD_VERSION = 5,
};

struct eio_request {
    enum eio_wish wish;
    enum eio_code code;
    char sid[EIO_SID_LEN + 1]; /* "" when the request names none that could be one */
};

void eio_request_read(const struct http_request *request, struct eio_request *out);

/* {"code":…,"message":"…"} */
struct rt_span eio_error_body(enum eio_code code);
/* The same as a ready answer, for a WebSocket that is refused. */
const struct http_answer *eio_error_answer(enum eio_code code);

/* Header lines of every answer, static. */
extern const char eio_cors[];
/* Header lines of a preflight's answer: the headers it asks for are allowed, those with strange characters left out. */
void eio_preflight_headers(const struct http_request *request, struct rt_buf *out);

#endif
