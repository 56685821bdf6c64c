/* edge/http_exchange.h - one HTTP request whose answer may wait: the body in, held as long as its owner likes, the answer out.
 *
 * For protocols that live in HTTP (a long poll is a request that is answered when there is something to say). The head has been
 * read by edge/http_client.h. A body of known length is gathered (at most `max`, 413 otherwise; 20 s, 408 otherwise) and
 * handed over whole. A client that goes away while its request is held is noticed. After the answer the connection, when
 * both sides can, goes back to where requests are read, with the bytes that came meanwhile; else it is closed cleanly.
 *
 * Memory of a held request: the object, 200 bytes. One thread. Callbacks come from the loop or from http_exchange_go(), never from
 * http_exchange_answer().
 */
#ifndef PGTIDE_EDGE_HTTP_EXCHANGE_H
#define PGTIDE_EDGE_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "edge/carrier.h"

struct http_exchange;

struct http_exchange_owner {
    struct edge_carrier *carrier;
    struct list_node exchanges;
    size_t count;
    /* Answered, and the client may ask again: the socket and what it has sent already are the callee's. */
    void (*on_reusable)(void *ctx, int fd, const uint8_t *rest, size_t rest_len);
    void (*on_freed)(void *ctx);
    void *ctx;
};

struct http_exchange_ops {
    /* The whole body. It must be answered some time. */
    void (*on_body)(void *ctx, struct http_exchange *exchange, struct rt_span body);
    /* The client is gone, or its body did not come, or was too large (and it has been told so); the exchange is not the holder's
     * any more. */
    void (*on_abort)(void *ctx, struct http_exchange *exchange);
};

/* Takes the socket over. `rest` came behind the head and is copied; has_body: so does a body, and unless it is wanted the connection
 * ends with the answer. Nothing happens before http_exchange_go(). */
struct http_exchange *http_exchange_new(struct http_exchange_owner *owner, int fd, bool keep_alive,
                                        bool has_body, const uint8_t *rest, size_t rest_len);
/* Who is told. NULL ops: nobody (an answer has been given, or is about to be). */
void http_exchange_hold(struct http_exchange *exchange, const struct http_exchange_ops *ops,
                        void *ctx);
/* Before http_exchange_go(): a body of so many bytes is to come. `too_large` are header lines for a 413. */
void http_exchange_want_body(struct http_exchange *exchange, uint64_t len, uint64_t max,
                             const char *headers);
/* Starts reading. The exchange may be gone afterwards. */
void http_exchange_go(struct http_exchange *exchange);

/* headers: further lines, each with CRLF, or NULL; all is copied. Once. */
void http_exchange_answer(struct http_exchange *exchange, unsigned status, const char *type,
                          const char *headers, struct rt_span body);
/* Gives the request to another process of this host, with all its bytes (edge/handover.h); in on_body only. True: the exchange is
 * gone. */
bool http_exchange_pass(struct http_exchange *exchange, const char *process, struct rt_span bytes);
/* Ends all at once. */
void http_exchange_drop_all(struct http_exchange_owner *owner);

#endif
