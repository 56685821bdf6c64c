/* runtime/admin_request.h - the bytes of one HTTP request to the admin port (RFC 9112), pure.
 *
 * Only as much of HTTP as health checks, Prometheus and curl send: a request line and header fields,
 * which are skipped but must be well-formed. A body is refused, not read.
 */
#ifndef PGTIDE_RUNTIME_ADMIN_REQUEST_H
#define PGTIDE_RUNTIME_ADMIN_REQUEST_H

#include <stdbool.h>

#include "runtime/buf.h"

enum { RT_ADMIN_REQUEST_MAX = 4096 };

struct rt_admin_request {
    bool head;           /* HEAD, not GET */
    struct rt_span path; /* starts with /, without the query; points into the input */
};

/* 0: more bytes are needed. 200: *out is the request. Otherwise the status to answer with, *out is
 * untouched, and *reason says in words (static text) what was wrong. */
int rt_admin_parse(struct rt_span input, struct rt_admin_request *out, const char **reason);

#endif
