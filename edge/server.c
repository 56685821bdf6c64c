/* edge/server.c - from an accepted socket to a client of a dialect, or to an answer.
 *
 * The way of a request: listener, http_client (head), http_head_check(), handshake_run(), then the route below.
 * Limits that a client can reach: requests that are not whole (the oldest goes), handshakes per second (503 with
 * Retry-After, see edge/admission.h), connections of all clients and of one address (the dialect's frame and 1013; past OVERFLOW_MAX of
 * those at a time a plain 503).
 */
#include "edge/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/addresses.h"
#include "edge/server_parts.h"
#include "runtime/config.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/process.h"

/* edge/page/index.html, see pgtide_embed() */
extern const unsigned char edge_page[];
extern const unsigned long edge_page_size;

enum {
    PENDING_MAX = 4096,   /* requests being received or answered */
    OVERFLOW_MAX = 256,   /* clients over the limit that are being told so */
    NOTSENT_BYTES = 32768 /* of a client, in the kernel, before the socket counts as full */
};

/* --- becoming a WebSocket --- */

void edge_server_tune(const struct edge_server *server, int fd)
{
    int on = 1;
    int send_buffer = (int)server->carrier.config->realtime_write_buffer_size;
    int notsent = NOTSENT_BYTES;

    /* A refusal costs speed or memory, nothing else. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent, sizeof(notsent));
}

size_t edge_server_connections(const struct edge_server *server)
{
    double sum = 0;

    for (size_t i = 0; i < server->dialect_count; i++) {
        sum += server->open[i]->value;
    }
    return (size_t)sum;
}

static void answer_upgrade(struct edge_server *server, struct edge_conn *conn,
                           const struct handshake_request *request)
{
    const struct edge_deflate_metrics *metrics = &server->carrier.metrics.deflate;
    bool wanted = server->carrier.config->edge_compression_enabled && request->deflate.taken;
    struct rt_buf head = { 0 };

    if (wanted) {
        ws_offer_answer(&request->deflate, request->response, &head);
        edge_conn_set_deflate(conn, request->deflate.window_bits);
    } else {
        rt_buf_append(&head, request->response.data, request->response.len);
    }
    if (request->deflate.made) {
        rt_counter_add(wanted ? metrics->taken : metrics->declined, 1);
    }
    struct edge_frame *answer = edge_frame_raw(head.data, head.len);
    edge_conn_send(conn, answer);
    edge_frame_unref(answer);
    rt_buf_fini(&head);
}

/* The 101 is queued before the dialect is asked, so that both leave in one write. */
static struct edge_conn *take_over(struct edge_server *server, struct http_client *client,
                                   size_t index, const struct handshake_request *request)
{
    int fd = http_client_release(client);

    edge_server_tune(server, fd);
    struct edge_conn *conn = edge_conn_new(&server->carrier, fd, &conn_websocket,
                                           &server->dialects[index], server->open[index]);
    answer_upgrade(server, conn, request);
    edge_metrics_answered(&server->carrier.metrics, 101);
    return conn;
}

void edge_server_answer_busy(struct http_client *client)
{
    struct http_answer answer = http_answer_busy(admission_retry_seconds(rt_random64()));

    http_client_answer(client, &answer, true);
}

enum edge_refusal edge_server_is_full(const struct edge_server *server,
                                      const struct http_client *client)
{
    const struct rt_config *config = server->carrier.config;
    struct sockaddr_storage peer;

    if (edge_server_connections(server) >= (size_t)config->realtime_max_connections) {
        return EDGE_REFUSED_LIMIT;
    }
    return config->realtime_max_per_ip > 0 &&
                   edge_conn_peer(http_client_descriptor(client), &peer) &&
                   addresses_count(server->carrier.addresses, &peer) >=
                       (size_t)config->realtime_max_per_ip
               ? EDGE_REFUSED_ADDRESS
               : EDGE_REFUSAL_COUNT;
}

void edge_server_count_full(struct edge_server *server, enum edge_refusal why)
{
    rt_counter_add(server->carrier.metrics.refused[why], 1);
    rt_log_warn(server->carrier.log, "client.too_many",
                RT_U("connections", edge_server_connections(server)),
                RT_S("hint", why == EDGE_REFUSED_ADDRESS
                                 ? "one address has realtime.max_connections_per_ip"
                                 : "raise realtime.max_connections or add an edge"));
}

static void turn_away(struct edge_server *server, struct http_client *client, size_t index,
                      const struct handshake_request *request)
{
    const struct edge_dialect *dialect = &server->dialects[index];
    char reason[ADMISSION_REASON_SIZE];

    if (server->carrier.conn_count >= edge_server_connections(server) + OVERFLOW_MAX) {
        edge_server_answer_busy(client);
        return;
    }
    struct edge_conn *conn = take_over(server, client, index, request);
    struct edge_frame *frame = dialect->frame_too_many(server->dialect_ctx[index]);
    if (frame != NULL) {
        edge_conn_send(conn, frame);
        edge_frame_unref(frame);
    }
    admission_reason("too many connections", edge_carrier_retry_ms(&server->carrier), reason);
    edge_conn_close(conn, EDGE_CLOSE_TRY_LATER, reason);
}

static enum token_err identify(struct edge_server *server, const struct handshake_request *request,
                               struct identity *identity)
{
    enum token_err err = TOKEN_OK;

    if (request->has_token) {
        err = token_verify(server->verifier, request->token, request->token_len, rt_wall_now(),
                           identity);
    } else {
        identity_anonymous(server->verifier, identity);
    }
    edge_metrics_token(&server->carrier.metrics, request->has_token, err);
    return err;
}

static void let_in(struct edge_server *server, struct http_client *client, size_t index,
                   const struct handshake_request *request, const struct http_input *input)
{
    const struct rt_config *config = server->carrier.config;
    struct identity identity = { .role = "" };
    enum edge_refusal full = edge_server_is_full(server, client);

    if (full != EDGE_REFUSAL_COUNT) {
        edge_server_count_full(server, full);
        turn_away(server, client, index, request);
        return;
    }
    enum token_err err = TOKEN_OK;
    if (server->request == NULL) {
        err = identify(server, request, &identity);
    }
    if (err != TOKEN_OK && config->realtime_reject_with_401) {
        rt_counter_add(server->carrier.metrics.refused[EDGE_REFUSED_TOKEN], 1);
        http_client_answer(client, &http_answer_bad_token, true);
        return;
    }
    struct edge_conn *conn = take_over(server, client, index, request);
    rt_counter_add(server->opened[index], 1);
    edge_conn_set_transactions(conn, request->transactions);
    edge_conn_set_request(conn, server->request);
    edge_conn_open(conn, server->dialect_ctx[index], err, &identity);
    if (input->rest_len > 0) {
        edge_conn_input(conn, input->rest, input->rest_len);
    }
}

/* --- routes --- */

void edge_server_refuse(struct edge_server *server, struct http_client *client,
                        enum edge_refusal why, const struct http_answer *answer)
{
    rt_counter_add(server->carrier.metrics.refused[why], 1);
    http_client_answer(client, answer, true);
}

/* A path with one slash behind it is the same path. */
bool edge_server_path_is(const char *path, const char *wanted)
{
    size_t len = strlen(wanted);

    return strncmp(path, wanted, len) == 0 &&
           (path[len] == '\0' || (path[len] == '/' && path[len + 1] == '\0'));
}

bool edge_server_refused_by_dialect(struct edge_server *server, struct http_client *client,
                                    size_t index)
{
    const struct http_answer *answer =
        server->dialects[index].http->refuse_upgrade(server->dialect_ctx[index], server->request);

    if (answer != NULL) {
        http_client_answer(client, answer, true);
    }
    return answer != NULL;
}

static void route_dialect(struct edge_server *server, struct http_client *client, size_t index,
                          const struct http_head *head, const struct handshake_request *request,
                          const struct http_input *input)
{
    const struct edge_http_side *http = server->dialects[index].http;

    if (http == NULL && !server->carrier.config->realtime_enabled) {
        edge_server_refuse(server, client, EDGE_REFUSED_DISABLED, &http_answer_disabled);
    } else if (!head->upgrade || head->method != HTTP_GET) {
        http_client_answer(client, &http_answer_upgrade, head->method != HTTP_HEAD);
    } else if (!request->version_13) {
        edge_server_refuse(server, client, EDGE_REFUSED_HANDSHAKE, &http_answer_version);
    } else if (!request->established || head->has_body) {
        edge_server_refuse(server, client, EDGE_REFUSED_HANDSHAKE, &http_answer_bad_handshake);
    } else if (server->listener == NULL) {
        rt_counter_add(server->carrier.metrics.refused[EDGE_REFUSED_DRAINING], 1);
        edge_server_answer_busy(client);
    } else if (http != NULL && edge_server_refused_by_dialect(server, client, index)) {
        rt_counter_add(server->carrier.metrics.refused[EDGE_REFUSED_HANDSHAKE], 1);
    } else {
        let_in(server, client, index, request, input);
    }
}

static void route(struct edge_server *server, struct http_client *client,
                  const struct http_head *head, const struct handshake_request *request,
                  const struct http_input *input)
{
    bool with_body = head->method != HTTP_HEAD;

    for (size_t i = 0; i < server->dialect_count; i++) {
        if (edge_server_path_is(request->path, server->dialects[i].path)) {
            route_dialect(server, client, i, head, request, input);
            return;
        }
    }
    if (strcmp(request->path, "/") == 0 || strcmp(request->path, "/index.html") == 0) {
        struct http_answer page = http_answer_page((struct rt_span){ edge_page, edge_page_size });
        http_client_answer(client, &page, with_body);
    } else if (edge_server_path_is(request->path, "/healthz")) {
        http_client_answer(client, &http_answer_ok, with_body);
    } else {
        http_client_answer(client, &http_answer_not_found, with_body);
    }
}

/* Asked before the request is looked at closely: what costs is what comes then. */
bool edge_server_is_admitted(struct edge_server *server)
{
    int64_t rate = server->carrier.config->realtime_connect_rate;

    if (admission_take(&server->admission, rate, rt_now())) {
        return true;
    }
    rt_counter_add(server->carrier.metrics.refused[EDGE_REFUSED_RATE], 1);
    rt_log_warn(server->carrier.log, "client.too_fast", RT_I("rate", rate),
                RT_S("effect", "clients above the rate are told to come back (503)"),
                RT_S("hint", "realtime.connect_rate; many of these: an outage before, or a loop"));
    return false;
}

static void serve(struct edge_server *server, struct http_client *client, struct http_input input)
{
    struct http_head head = { .method = HTTP_OTHER };
    struct http_request whole;

    if (server->handover != NULL) {
        memcpy(server->copy, input.head, input.head_len);
    }
    const char *wrong = http_head_check(input.head, input.head_len, &head);
    if (wrong != NULL) {
        rt_log_debug(server->carrier.log, "client.malformed_request", RT_S("reason", wrong));
        edge_server_refuse(server, client, EDGE_REFUSED_HEAD, &http_answer_bad_head);
        return;
    }
    if (server->handover != NULL && edge_server_http(server, client, &whole, &input)) {
        return;
    }
    if (head.method == HTTP_OTHER) {
        http_client_answer(client, &http_answer_method, true);
        return;
    }
    if (head.upgrade && !edge_server_is_admitted(server)) {
        edge_server_answer_busy(client);
        return;
    }
    const struct handshake_request *request = handshake_run(server->handshake, &head, input.head);
    if (request == NULL) {
        edge_server_refuse(server, client,
                           head.upgrade ? EDGE_REFUSED_HANDSHAKE : EDGE_REFUSED_HEAD,
                           head.upgrade ? &http_answer_bad_handshake : &http_answer_bad_head);
        return;
    }
    route(server, client, &head, request, &input);
}

static void on_head(void *ctx, struct http_client *client, struct http_input input)
{
    struct edge_server *server = ctx;

    serve(server, client, input);
    server->request = NULL;
}

/* --- the listener, and the end --- */

static void on_accept(void *ctx, int fd)
{
    struct edge_server *server = ctx;

    rt_counter_add(server->carrier.metrics.accepted, 1);
    if (server->requests.count >= PENDING_MAX) {
        struct http_answer answer = http_answer_busy(admission_retry_seconds(rt_random64()));
        (void)http_client_drop_oldest(&server->requests, &answer);
        rt_counter_add(server->carrier.metrics.refused[EDGE_REFUSED_PENDING], 1);
    }
    http_client_new(&server->requests, fd);
}

static void on_exhausted(void *ctx)
{
    struct edge_server *server = ctx;

    rt_counter_add(server->carrier.metrics.refused[EDGE_REFUSED_DESCRIPTORS], 1);
    rt_log_warn(server->carrier.log, "edge.no_descriptors",
                RT_U("connections", edge_server_connections(server)),
                RT_S("hint", "raise the limit of open files (ulimit -n, LimitNOFILE)"));
}

static void check_drained(void *ctx)
{
    struct edge_server *server = ctx;

    if (server->drained != NULL && server->carrier.conn_count == 0 && server->requests.count == 0 &&
        server->exchanges.count == 0) {
        void (*done)(void *) = server->drained;
        server->drained = NULL;
        done(server->drained_ctx);
    }
}

static void add_dialects(struct edge_server *server, const struct edge_server_config *config)
{
    struct rt_metrics *metrics = config->process->metrics;
    size_t count = config->dialect_count;

    server->dialect_count = count;
    server->dialects = rt_alloc(count * sizeof(*server->dialects));
    server->dialect_ctx = rt_alloc(count * sizeof(*server->dialect_ctx));
    server->open = rt_alloc(count * sizeof(struct rt_gauge *));
    server->opened = rt_alloc(count * sizeof(struct rt_counter *));
    for (size_t i = 0; i < count; i++) {
        char labels[64];
        server->dialects[i] = config->dialects[i];
        server->dialect_ctx[i] = config->dialect_ctx[i];
        (void)snprintf(labels, sizeof(labels), "dialect=\"%s\"", config->dialects[i].name);
        server->open[i] = rt_gauge_new(metrics, "pgtide_edge_connections", labels,
                                       "Client connections that are open");
        server->opened[i] = rt_counter_new(metrics, "pgtide_edge_connections_total", labels,
                                           "Client connections opened since the start");
    }
}

static bool start(struct edge_server *server, const struct edge_server_config *config)
{
    const struct rt_process *process = config->process;

    server->handshake = handshake_new(process->log);
    if (server->handshake == NULL || !edge_server_http_start(server, process)) {
        return false;
    }
    server->listener = listener_new(&(struct listener_config){
        .loop = process->loop,
        .log = process->log,
        .address = process->config->edge_listen,
        .on_accept = on_accept,
        .on_exhausted = on_exhausted,
        .ctx = server,
    });
    if (server->listener == NULL) {
        return false;
    }
    rt_log_info(process->log, "edge.listening",
                RT_S("address", listener_address(server->listener)));
    rt_condition_set(server->listening, true, "on %s", listener_address(server->listener));
    return true;
}

struct edge_server *edge_server_new(const struct edge_server_config *config)
{
    struct edge_server *server = rt_alloc(sizeof(*server));

    edge_carrier_init(&server->carrier, config->process);
    server->carrier.on_conn_freed = check_drained;
    server->carrier.owner = server;
    server->requests = (struct http_client_owner){
        .carrier = &server->carrier, .on_head = on_head, .on_freed = check_drained, .ctx = server
    };
    list_init(&server->requests.clients);
    edge_server_http_init(server, check_drained);
    server->verifier = config->verifier;
    server->listening = rt_condition_new(config->process->health, "listening");
    add_dialects(server, config);
    if (!start(server, config)) {
        edge_server_free(server);
        return NULL;
    }
    return server;
}

void edge_server_drain(struct edge_server *server, rt_usec spread, void (*done)(void *ctx),
                       void *ctx)
{
    struct list_node *head = &server->carrier.conns;
    char reason[ADMISSION_REASON_SIZE];

    rt_condition_set(server->listening, false, "shutting down");
    listener_free(server->listener);
    server->listener = NULL;
    server->drained = done;
    server->drained_ctx = ctx;
    for (struct list_node *node = head->next; node != head; node = node->next) {
        rt_usec delay = spread > 0 ? (rt_usec)(rt_random64() % (uint64_t)spread) : 0;
        admission_reason("server is shutting down", edge_carrier_retry_ms(&server->carrier),
                         reason);
        edge_conn_plan_close(edge_conn_of(node), delay, EDGE_CLOSE_GOING_AWAY, reason);
    }
    for (size_t i = 0; i < server->dialect_count; i++) {
        if (server->dialects[i].http != NULL) {
            server->dialects[i].http->drain(server->dialect_ctx[i], spread);
        }
    }
    check_drained(server);
}

void edge_server_reload(struct edge_server *server)
{
    struct list_node *head = &server->carrier.conns;

    for (struct list_node *node = head->next; node != head; node = node->next) {
        edge_conn_reload(edge_conn_of(node));
    }
}

void edge_server_free(struct edge_server *server)
{
    if (server == NULL) {
        return;
    }
    server->drained = NULL;
    listener_free(server->listener);
    handover_free(server->handover);
    http_client_drop_all(&server->requests);
    http_exchange_drop_all(&server->exchanges);
    while (!list_is_empty(&server->carrier.conns)) {
        edge_conn_abort(edge_conn_of(server->carrier.conns.next));
    }
    for (size_t i = 0; server->copy != NULL && i < server->dialect_count; i++) {
        if (server->dialects[i].http != NULL) {
            server->dialects[i].http->detach(server->dialect_ctx[i]);
        }
    }
    free(server->copy);
    handshake_free(server->handshake);
    edge_carrier_fini(&server->carrier);
    free(server->dialects);
    free(server->dialect_ctx);
    free(server->open);
    free(server->opened);
    free(server);
}
