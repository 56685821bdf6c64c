/* edge/server.h - the client port: listener, HTTP, WebSocket handshake, the page at "/".
 *
 * The listening socket is our own (SO_REUSEPORT, so that several edges share a port, and so that it listens
 * on the address it was told). The head of a request is read here, parsed and, for a WebSocket, answered by
 * libwebsockets (edge/handshake.h), and the socket goes on as an edge_conn. Paths of dialects want an upgrade (426
 * otherwise); GET / is the page, GET /healthz says ok; else 404. Every other answer closes its connection.
 *
 * A dialect with an HTTP side (edge/dialect.h) is given every request on its path; those are exchanges (edge/http_exchange.h), and one
 * that belongs to another process of the port is passed there (edge/handover.h).
 */
#ifndef PGTIDE_EDGE_SERVER_H
#define PGTIDE_EDGE_SERVER_H

#include <stddef.h>

#include "edge/dialect.h"

struct edge_server;
struct rt_process;
struct token_verifier;

struct edge_server_config {
    struct rt_process *process;
    const struct token_verifier *verifier;
    const struct edge_dialect *dialects; /* copied */
    void **dialect_ctx;                  /* one per dialect: the `dialect` argument */
    size_t dialect_count;
};

/* NULL after logging. Logs edge.listening address=…; owns the readiness condition "listening". */
struct edge_server *edge_server_new(const struct edge_server_config *config);
/* No new clients; existing ones are closed with 1001 "server is shutting down; retry_ms=N", spread over `spread`; then
 * done(ctx). */
void edge_server_drain(struct edge_server *server, rt_usec spread, void (*done)(void *ctx),
                       void *ctx);
/* The configuration has changed; O(connections). */
void edge_server_reload(struct edge_server *server);
void edge_server_free(struct edge_server *server);
size_t edge_server_connections(const struct edge_server *server);

#endif
