/* edge/edge_metrics.h - what the client port counts. All names begin with pgtide_edge_. */
#ifndef PGTIDE_EDGE_EDGE_METRICS_H
#define PGTIDE_EDGE_EDGE_METRICS_H

#include <stdbool.h>

#include "edge/token.h"
#include "edge/ws_deflate.h"
#include "runtime/metrics.h"

enum edge_refusal {
    EDGE_REFUSED_HEAD,        /* malformed HTTP */
    EDGE_REFUSED_HANDSHAKE,   /* malformed WebSocket handshake, or another version */
    EDGE_REFUSED_TOKEN,       /* 401 (realtime.reject_with_401) */
    EDGE_REFUSED_LIMIT,       /* realtime.max_connections */
    EDGE_REFUSED_ADDRESS,     /* realtime.max_connections_per_ip */
    EDGE_REFUSED_DISABLED,    /* realtime.enabled */
    EDGE_REFUSED_TIMEOUT,     /* no whole request in time */
    EDGE_REFUSED_PENDING,     /* too many unfinished requests; the oldest goes */
    EDGE_REFUSED_RATE,        /* realtime.connect_rate */
    EDGE_REFUSED_DRAINING,    /* this edge is shutting down */
    EDGE_REFUSED_DESCRIPTORS, /* accept(2) found no descriptor */
    EDGE_REFUSAL_COUNT,
};

enum {
    EDGE_CLOSE_KINDS = 13,
    EDGE_STATUS_KINDS = 14,
    EDGE_TOKEN_KINDS = TOKEN_NO_KEY + 2,
    EDGE_INFLATE_KINDS = WS_INFLATE_TOO_LONG + 1
};

/* permessage-deflate */
struct edge_deflate_metrics {
    struct rt_counter *taken;    /* handshakes that agreed to it */
    struct rt_counter *declined; /* and that offered it in vain */
    struct rt_counter *frames;   /* compressed, once for all their receivers */
    struct rt_counter *useless;
    struct rt_counter *bytes_before; /* of payloads */
    struct rt_counter *bytes_after;
    struct rt_counter *sent; /* to clients */
    struct rt_counter *bytes_saved;
    struct rt_counter *inflated[EDGE_INFLATE_KINDS]; /* by enum ws_inflated */
    struct rt_counter *inflated_before;
    struct rt_counter *inflated_after;
};

struct edge_metrics {
    struct rt_counter *accepted;
    struct rt_counter *handed_over; /* connections, to the process that has their session */
    struct rt_counter *taken_over;
    struct rt_counter *refused[EDGE_REFUSAL_COUNT];
    struct rt_counter *closes[EDGE_CLOSE_KINDS];
    struct rt_counter *http[EDGE_STATUS_KINDS];
    struct rt_counter *tokens[EDGE_TOKEN_KINDS]; /* by enum token_err; the last: none given */
    struct rt_counter *messages_in;
    struct rt_counter *frames_out;
    struct rt_counter *bytes_in;
    struct rt_counter *bytes_out;
    struct rt_counter *writes;
    struct rt_counter *slow;
    struct rt_counter *malformed;
    struct rt_counter *pongs;
    struct rt_gauge *queue_bytes;
    struct rt_gauge *pending;
    struct edge_deflate_metrics deflate;
};

void edge_metrics_init(struct edge_metrics *out, struct rt_metrics *metrics);
/* How a client went: the code of the first close frame, ours or the client's; 0: none, the connection broke. */
void edge_metrics_closed(const struct edge_metrics *metrics, unsigned code);
void edge_metrics_answered(const struct edge_metrics *metrics, unsigned status);
void edge_metrics_token(const struct edge_metrics *metrics, bool given, enum token_err err);

#endif
