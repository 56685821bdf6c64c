/* edge/http_request.h - one request head as it came, for a protocol that lives in HTTP itself (Engine.IO).
 *
 * edge/http_head.h decides whether a head may be looked at at all and takes most of its lines out; this reads a copy of the
 * head that has passed that check, with all of its lines. Nothing is copied: spans point into the head. Pure. Cost: one pass
 * for the head, one for each header or argument that is asked for.
 */
#ifndef PGTIDE_EDGE_HTTP_REQUEST_H
#define PGTIDE_EDGE_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"

enum { HTTP_PEER_SIZE = 46 }; /* of an address as text (INET6_ADDRSTRLEN) */

struct http_request {
    struct rt_span method;
    struct rt_span path;  /* as it is written, without the query */
    struct rt_span query; /* as it is written, without the '?' */
    struct rt_span lines; /* the header lines, each with its CRLF */
    bool keep_alive;      /* the client can send another request afterwards */
    bool upgrade;         /* asks for websocket */
    bool
        strange_body; /* Transfer-Encoding, or a Content-Length that is not one number: its end is not known */
    uint64_t body_len;
    char peer[HTTP_PEER_SIZE]; /* the caller's: the address the connection comes from */
};

/* `head` has passed http_head_check() (a copy of it, which that changed). */
void http_request_read(struct rt_span head, struct http_request *out);
/* The value of header line number `nth` (from 0) of this name, without white space around it; names are compared without regard to
 * case. False: there is none. */
bool http_request_header(const struct http_request *request, const char *name, unsigned nth,
                         struct rt_span *value);
/* The first argument of this name, decoded and terminated. False: there is none, or it does not fit, or has a NUL. */
bool http_request_argument(const struct http_request *request, const char *name, char *out,
                           size_t size);
/* The address of the other side, IPv4 in IPv6 written as IPv4; "" when it is not IP. */
void http_peer_of(int fd, char out[HTTP_PEER_SIZE]);

#endif
