/* edge/server_parts.h - what the files of the server share; nobody else includes it.
 *
 *   server.c       listener, WebSockets, routes, life
 *   server_http.c  dialects with an HTTP side: exchanges, streams, hand-overs
 */
#ifndef PGTIDE_EDGE_SERVER_PARTS_H
#define PGTIDE_EDGE_SERVER_PARTS_H

#include "edge/admission.h"
#include "edge/conn_internal.h"
#include "edge/handover.h"
#include "edge/handshake.h"
#include "edge/http_client.h"
#include "edge/http_exchange.h"
#include "edge/http_request.h"
#include "edge/listener.h"
#include "edge/server.h"

struct edge_server {
    struct edge_carrier carrier;
    struct http_client_owner requests;
    struct admission admission;
    struct handshake *handshake;
    struct http_exchange_owner exchanges;
    struct handover *handover; /* NULL: no dialect lives in HTTP */
    uint8_t *copy;             /* of a request, as it came */
    const struct http_request
        *request;              /* the one at hand, of a dialect that lives in HTTP; else NULL */
    struct listener *listener; /* NULL: draining */
    const struct token_verifier *verifier;
    struct rt_condition *listening;
    struct edge_dialect *dialects;
    void **dialect_ctx;
    struct rt_gauge **open; /* connections, by dialect */
    struct rt_counter **opened;
    size_t dialect_count;
    void (*drained)(void *ctx);
    void *drained_ctx;
};

/* server.c */
void edge_server_tune(const struct edge_server *server, int fd); /* a socket that stays */
/* Why one more connection is too many; EDGE_REFUSAL_COUNT: it is not. */
enum edge_refusal edge_server_is_full(const struct edge_server *server,
                                      const struct http_client *client);
void edge_server_count_full(struct edge_server *server, enum edge_refusal why);
void edge_server_answer_busy(struct http_client *client);
void edge_server_refuse(struct edge_server *server, struct http_client *client,
                        enum edge_refusal why, const struct http_answer *answer);
/* A path with one slash behind it is the same path. */
bool edge_server_path_is(const char *path, const char *wanted);
/* Asked before the request is looked at closely: what costs is what comes then. */
bool edge_server_is_admitted(struct edge_server *server);
/* Of the request at hand; true: it has been answered. */
bool edge_server_refused_by_dialect(struct edge_server *server, struct http_client *client,
                                    size_t index);

/* server_http.c */
void edge_server_http_init(struct edge_server *server, void (*on_freed)(void *ctx));
/* Whether some dialect needs it, and whether it can be had. */
bool edge_server_http_start(struct edge_server *server, const struct rt_process *process);
/* Whether the request has been dealt with; a WebSocket handshake goes on as any other. `request` is filled, and kept by the caller
 * until the request is over. */
bool edge_server_http(struct edge_server *server, struct http_client *client,
                      struct http_request *request, const struct http_input *input);

#endif
