/* edge/http_answer.h - what the client port says to a request that does not become a WebSocket.
 *
 * Every answer closes the connection ("Connection: close"), forbids caching and sniffing, and says in its
 * body what to do. Pure.
 */
#ifndef PGTIDE_EDGE_HTTP_ANSWER_H
#define PGTIDE_EDGE_HTTP_ANSWER_H

#include "runtime/buf.h"

struct http_answer {
    unsigned status;
    const char *type;    /* Content-Type */
    const char *headers; /* further header lines, each with CRLF; or NULL */
    struct rt_span body; /* must outlive the connection: static text, or part of the program */
};

extern const struct http_answer http_answer_ok;             /* 200 */
extern const struct http_answer http_answer_bad_head;       /* 400 */
extern const struct http_answer http_answer_bad_handshake;  /* 400 */
extern const struct http_answer http_answer_bad_token;      /* 401 */
extern const struct http_answer http_answer_not_found;      /* 404 */
extern const struct http_answer http_answer_disabled;       /* 404 */
extern const struct http_answer http_answer_method;         /* 405 */
extern const struct http_answer http_answer_timeout;        /* 408 */
extern const struct http_answer http_answer_upgrade;        /* 426: this path is a WebSocket */
extern const struct http_answer http_answer_version;        /* 426: WebSocket version 13 */
extern const struct http_answer http_answer_head_too_large; /* 431 */

/* 503, with Retry-After in seconds: 1 to 5. */
struct http_answer http_answer_busy(unsigned retry_after);
/* The page at "/". */
struct http_answer http_answer_page(struct rt_span html);
/* The answer's head; its body follows unless the method is HEAD. */
void http_answer_render_head(const struct http_answer *answer, struct rt_buf *out);

#endif
