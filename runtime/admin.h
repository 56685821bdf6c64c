/* runtime/admin.h - the private HTTP port of a tier: GET /livez, /readyz, /metrics and / (what is here).
 *
 * Minimal on purpose: HTTP/1.1 GET and HEAD, one request per connection, bounded request (4 KiB) and
 * time (5 s), at most 32 connections at once; anything else gets a 4xx that says what is wrong.
 * Not for the public: bind it to loopback or a cluster network.
 */
#ifndef PGTIDE_RUNTIME_ADMIN_H
#define PGTIDE_RUNTIME_ADMIN_H

#include <stdbool.h>

#include "runtime/buf.h"

struct rt_admin;
struct rt_health;
struct rt_log;
struct rt_loop;
struct rt_metrics;

struct rt_admin_config {
    const char *
        listen; /* "127.0.0.1:9100", "[::1]:9100"; port 0 picks a free one; NULL: adopted sockets only */
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_metrics *metrics;
    struct rt_health *health;
};

/* NULL and a line in the log when the address cannot be bound. Logs admin.listening address=… */
struct rt_admin *rt_admin_new(const struct rt_admin_config *config);
void rt_admin_free(struct rt_admin *admin);
/* Serves a connected stream socket as if it had been accepted, and closes it in the end. False, and the
 * socket closed, when the limit of connections is reached. */
bool rt_admin_adopt(struct rt_admin *admin, int fd);
/* One more page under `path` (e.g. "/status"), text/plain or JSON by content_type. A page of that
 * path is replaced. */
void rt_admin_page(struct rt_admin *admin, const char *path, const char *content_type,
                   void (*render)(void *ctx, struct rt_buf *out), void *ctx);

#endif
