/* edge/http_client.h - one HTTP request on one socket: its head in, an answer out, and a clean end.
 *
 * Reads a head of at most 16 KiB within 10 s; what is too long, too slow or malformed is answered here (431, 408,
 * 400). A whole head goes to on_head(), which either answers, or takes the socket away (a WebSocket). Every answer ends the
 * connection: sending side shut down, input read away until the client closes, at most 2 s.
 *
 * Memory: nothing but the object while a head comes in one piece.
 */
#ifndef PGTIDE_EDGE_HTTP_CLIENT_H
#define PGTIDE_EDGE_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/carrier.h"
#include "edge/http_answer.h"

struct http_client;

struct http_input {
    uint8_t *head; /* whole, with its empty line */
    size_t head_len;
    uint8_t *rest; /* what came behind it */
    size_t rest_len;
};

struct http_client_owner {
    struct edge_carrier *carrier;
    struct list_node clients; /* oldest first */
    size_t count;
    /* The input is valid during the call and may be changed in place. It must call http_client_answer() or
     * http_client_release(), once. */
    void (*on_head)(void *ctx, struct http_client *client, struct http_input input);
    void (*on_freed)(void *ctx); /* a client is gone, released ones included */
    void *ctx;
};

/* Takes the socket over. */
void http_client_new(struct http_client_owner *owner, int fd);
/* One that has been read from already, here after an answer or in another process; `data` may be changed in place. on_head may
 * be called from here. */
void http_client_continue(struct http_client_owner *owner, int fd, uint8_t *data, size_t len);
/* Another process has the socket now; the client is gone. */
void http_client_give_away(struct http_client *client);
int http_client_descriptor(const struct http_client *client);
/* with_body false: for HEAD. */
void http_client_answer(struct http_client *client, const struct http_answer *answer,
                        bool with_body);
/* The socket is the caller's; the client is gone. */
int http_client_release(struct http_client *client);
/* Ends the oldest client, whatever it is doing; false when there is none. One that has not said anything is given `farewell`
 * (NULL: none) as far as its socket takes it. */
bool http_client_drop_oldest(struct http_client_owner *owner, const struct http_answer *farewell);
/* Ends all, at once. */
void http_client_drop_all(struct http_client_owner *owner);

#endif
