/* edge/edge_metrics.c - registration, and the tables from a code to its counter. */
#include "edge/edge_metrics.h"

#include <stdio.h>

static const char *const refusals[EDGE_REFUSAL_COUNT] = {
    [EDGE_REFUSED_HEAD] = "malformed_request",
    [EDGE_REFUSED_HANDSHAKE] = "malformed_handshake",
    [EDGE_REFUSED_TOKEN] = "token",
    [EDGE_REFUSED_LIMIT] = "max_connections",
    [EDGE_REFUSED_ADDRESS] = "max_connections_per_ip",
    [EDGE_REFUSED_DISABLED] = "disabled",
    [EDGE_REFUSED_TIMEOUT] = "request_timeout",
    [EDGE_REFUSED_PENDING] = "pending_limit",
    [EDGE_REFUSED_RATE] = "connect_rate",
    [EDGE_REFUSED_DRAINING] = "draining",
    [EDGE_REFUSED_DESCRIPTORS] = "descriptors",
};

/* 0: the connection broke; 1: any other code. */
static const unsigned close_codes[EDGE_CLOSE_KINDS] = { 0,    1,    1000, 1001, 1002, 1003, 1005,
                                                        1007, 1008, 1009, 1012, 1013, 4008 };
/* 0: any other. */
static const unsigned statuses[EDGE_STATUS_KINDS] = { 0,   101, 200, 204, 400, 401, 404,
                                                      405, 408, 411, 413, 426, 431, 503 };

static struct rt_counter *labelled(struct rt_metrics *metrics, const char *name, const char *label,
                                   const char *value, const char *help)
{
    char labels[96];
    (void)snprintf(labels, sizeof(labels), "%s=\"%s\"", label, value);
    return rt_counter_new(metrics, name, labels, help);
}

static void init_tables(struct edge_metrics *out, struct rt_metrics *metrics)
{
    char text[16];

    for (int i = 0; i < EDGE_REFUSAL_COUNT; i++) {
        out->refused[i] = labelled(metrics, "pgtide_edge_refused_total", "reason", refusals[i],
                                   "Clients that were not let in, by reason");
    }
    for (int i = 0; i < EDGE_CLOSE_KINDS; i++) {
        (void)snprintf(text, sizeof(text), "%u", close_codes[i]);
        const char *value = i == 0 ? "broken" : (i == 1 ? "other" : text);
        out->closes[i] =
            labelled(metrics, "pgtide_edge_closes_total", "code", value,
                     "Client connections that ended, by the code of the first close frame; "
                     "1005 is a close without a code, broken is none at all; a client that "
                     "polls has the code that its close frame would have had");
    }
    for (int i = 0; i < EDGE_STATUS_KINDS; i++) {
        (void)snprintf(text, sizeof(text), "%u", statuses[i]);
        out->http[i] = labelled(metrics, "pgtide_edge_http_requests_total", "status",
                                i == 0 ? "other" : text, "HTTP requests answered, by status");
    }
    for (int i = 0; i < EDGE_TOKEN_KINDS; i++) {
        bool none = i == EDGE_TOKEN_KINDS - 1;
        out->tokens[i] =
            labelled(metrics, "pgtide_edge_tokens_total", "result",
                     none ? "none" : token_err_text((enum token_err)i),
                     "Tokens of connecting clients, by result; none: no token was given");
    }
}

static void init_deflate(struct edge_deflate_metrics *out, struct rt_metrics *metrics)
{
    static const char offers[] = "Handshakes that offered permessage-deflate, by result";
    static const char *const inflated[EDGE_INFLATE_KINDS] = { "ok", "damaged", "too_long" };

    out->taken = labelled(metrics, "pgtide_edge_deflate_offers_total", "result", "taken", offers);
    out->declined =
        labelled(metrics, "pgtide_edge_deflate_offers_total", "result", "declined", offers);
    out->frames = rt_counter_new(metrics, "pgtide_edge_deflate_frames_total", NULL,
                                 "Messages compressed, each once for all its receivers");
    out->useless = rt_counter_new(metrics, "pgtide_edge_deflate_useless_total", NULL,
                                  "Messages that compressing did not make smaller");
    out->bytes_before = rt_counter_new(metrics, "pgtide_edge_deflate_before_bytes_total", NULL,
                                       "Payloads of compressed messages, before");
    out->bytes_after = rt_counter_new(metrics, "pgtide_edge_deflate_after_bytes_total", NULL,
                                      "Payloads of compressed messages, afterwards");
    out->sent = rt_counter_new(metrics, "pgtide_edge_deflate_sent_total", NULL,
                               "Compressed frames queued for clients");
    out->bytes_saved = rt_counter_new(metrics, "pgtide_edge_deflate_saved_bytes_total", NULL,
                                      "Bytes fewer in the queues of clients because of that");
    for (int i = 0; i < EDGE_INFLATE_KINDS; i++) {
        out->inflated[i] = labelled(metrics, "pgtide_edge_inflate_messages_total", "result",
                                    inflated[i], "Compressed messages from clients, by result");
    }
    out->inflated_before = rt_counter_new(metrics, "pgtide_edge_inflate_before_bytes_total", NULL,
                                          "Compressed messages from clients, as received");
    out->inflated_after = rt_counter_new(metrics, "pgtide_edge_inflate_after_bytes_total", NULL,
                                         "Compressed messages from clients, decompressed");
}

void edge_metrics_init(struct edge_metrics *out, struct rt_metrics *metrics)
{
    init_tables(out, metrics);
    init_deflate(&out->deflate, metrics);
    out->accepted = rt_counter_new(metrics, "pgtide_edge_accepted_total", NULL,
                                   "TCP connections accepted on the client port");
    out->handed_over = rt_counter_new(metrics, "pgtide_edge_handed_over_total", NULL,
                                      "Connections passed to the process that has their session");
    out->taken_over = rt_counter_new(metrics, "pgtide_edge_taken_over_total", NULL,
                                     "Connections taken from another process on the same port");
    out->messages_in = rt_counter_new(metrics, "pgtide_edge_messages_received_total", NULL,
                                      "Whole text messages received from clients");
    out->frames_out =
        rt_counter_new(metrics, "pgtide_edge_frames_sent_total", NULL,
                       "WebSocket frames handed to the kernel; by writes: frames per write");
    out->bytes_in = rt_counter_new(metrics, "pgtide_edge_received_bytes_total", NULL,
                                   "Bytes received from WebSocket clients");
    out->bytes_out = rt_counter_new(metrics, "pgtide_edge_sent_bytes_total", NULL,
                                    "Bytes sent to WebSocket clients");
    out->writes = rt_counter_new(metrics, "pgtide_edge_writes_total", NULL,
                                 "System calls that sent something to a WebSocket client");
    out->slow =
        rt_counter_new(metrics, "pgtide_edge_slow_clients_total", NULL,
                       "Clients closed with 4008 because more than realtime.client_budget waited");
    out->malformed = rt_counter_new(metrics, "pgtide_edge_malformed_frames_total", NULL,
                                    "Frames that broke RFC 6455 and closed their connection");
    out->pongs =
        rt_counter_new(metrics, "pgtide_edge_pongs_received_total", NULL, "Pong frames received");
    out->queue_bytes = rt_gauge_new(metrics, "pgtide_edge_queue_bytes", NULL,
                                    "Bytes waiting in this process for all clients");
    out->pending = rt_gauge_new(metrics, "pgtide_edge_pending_requests", NULL,
                                "HTTP requests that are being received or answered");
}

void edge_metrics_closed(const struct edge_metrics *metrics, unsigned code)
{
    int kind = 1;

    for (int i = 0; i < EDGE_CLOSE_KINDS; i++) {
        if (close_codes[i] == code) {
            kind = i;
        }
    }
    rt_counter_add(metrics->closes[kind], 1);
}

void edge_metrics_answered(const struct edge_metrics *metrics, unsigned status)
{
    int kind = 0;

    for (int i = 0; i < EDGE_STATUS_KINDS; i++) {
        if (statuses[i] == status) {
            kind = i;
        }
    }
    rt_counter_add(metrics->http[kind], 1);
}

void edge_metrics_token(const struct edge_metrics *metrics, bool given, enum token_err err)
{
    rt_counter_add(metrics->tokens[given ? (int)err : EDGE_TOKEN_KINDS - 1], 1);
}
