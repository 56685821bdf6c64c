/* edge/server_http.c - dialects with an HTTP side: whose a request is, and what becomes of it.
 *
 * A request on a path of such a dialect is another process's (hand-over), or an exchange that the dialect answers, or the beginning of
 * an event stream, which is a connection like a WebSocket from then on.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/server_parts.h"
#include "edge/sse/sse.h"
#include "runtime/config.h"
#include "runtime/process.h"

/* A client of a stream says nothing; that it is dead shows in what it does not acknowledge. */
static void set_ack_timeout(const struct edge_server *server, int fd)
{
    unsigned ms = (unsigned)(server->carrier.config->realtime_connection_timeout / RT_MSEC);

    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

/* Which dialect with an HTTP side a path is of; dialect_count: none. */
static size_t http_side_of(const struct edge_server *server, const struct http_request *request)
{
    char path[HANDSHAKE_PATH_MAX];
    size_t index = 0;

    if (request->path.len >= sizeof(path)) {
        return server->dialect_count;
    }
    memcpy(path, request->path.data, request->path.len);
    path[request->path.len] = '\0';
    while (index < server->dialect_count &&
           (server->dialects[index].http == NULL ||
            !edge_server_path_is(path, server->dialects[index].path))) {
        index++;
    }
    return index;
}

/* To the process that has the client, with all that has been read. */
static bool pass_on(struct edge_server *server, struct http_client *client, const char *process,
                    const struct http_input *input)
{
    size_t len = input->head_len + input->rest_len;

    if (server->handover == NULL ||
        strncmp(process, handover_name(server->handover), HANDOVER_NAME_LEN) == 0) {
        return false;
    }
    memcpy(server->copy + input->head_len, input->rest, input->rest_len);
    if (!handover_pass(process, http_client_descriptor(client), server->copy, len)) {
        return false;
    }
    rt_counter_add(server->carrier.metrics.handed_over, 1);
    http_client_give_away(client);
    return true;
}

static void take_request(struct edge_server *server, struct http_client *client, size_t index,
                         const struct http_request *request, const struct http_input *input)
{
    int fd = http_client_release(client);
    bool keep = request->keep_alive && server->listener != NULL;
    struct http_exchange *exchange = http_exchange_new(
        &server->exchanges, fd, keep, request->strange_body || request->body_len > 0, input->rest,
        input->rest_len);

    server->dialects[index].http->on_request(server->dialect_ctx[index], exchange, request);
    http_exchange_go(exchange);
}

static void refuse_stream(struct edge_server *server, struct http_client *client,
                          enum edge_refusal why)
{
    rt_counter_add(server->carrier.metrics.refused[why], 1);
    edge_server_answer_busy(client);
}

/* The head is queued before the dialect is asked, so that both leave in one write. */
static void start_stream(struct edge_server *server, struct http_client *client, size_t index,
                         const struct http_request *request)
{
    const struct edge_dialect *dialect = &server->dialects[index];
    struct identity nobody = { .role = "" };
    struct rt_buf headers = { 0 };
    int fd = http_client_release(client);

    edge_server_tune(server, fd);
    set_ack_timeout(server, fd);
    struct edge_conn *conn =
        edge_conn_new(&server->carrier, fd, &sse_transport, dialect, server->open[index]);
    if (dialect->http->stream_headers != NULL) {
        dialect->http->stream_headers(server->dialect_ctx[index], request, &headers);
    }
    struct edge_frame *head = sse_head(rt_buf_span(&headers));
    edge_conn_send(conn, head);
    edge_frame_unref(head);
    rt_buf_fini(&headers);
    edge_metrics_answered(&server->carrier.metrics, 200);
    rt_counter_add(server->opened[index], 1);
    edge_conn_set_request(conn, request);
    edge_conn_open(conn, server->dialect_ctx[index], TOKEN_OK, &nobody);
}

static void open_stream(struct edge_server *server, struct http_client *client, size_t index,
                        const struct http_request *request)
{
    enum edge_refusal full = edge_server_is_full(server, client);

    if (server->listener == NULL) {
        refuse_stream(server, client, EDGE_REFUSED_DRAINING);
    } else if (!edge_server_is_admitted(server)) {
        edge_server_answer_busy(client);
    } else if (edge_server_refused_by_dialect(server, client, index)) {
        rt_counter_add(server->carrier.metrics.refused[EDGE_REFUSED_HANDSHAKE], 1);
    } else if (full != EDGE_REFUSAL_COUNT) {
        edge_server_count_full(server, full);
        edge_server_answer_busy(client);
    } else {
        start_stream(server, client, index, request);
    }
}

/* Returns whether the request has been dealt with; a WebSocket handshake goes on as any other. */
static bool serve_http(struct edge_server *server, struct http_client *client, size_t index,
                       struct http_request *request, const struct http_input *input)
{
    const struct edge_http_side *http = server->dialects[index].http;
    void *dialect = server->dialect_ctx[index];
    char process[HANDOVER_NAME_LEN];

    if (!http->enabled(dialect)) {
        edge_server_refuse(server, client, EDGE_REFUSED_DISABLED, &http_answer_disabled);
        return true;
    }
    http_peer_of(http_client_descriptor(client), request->peer);
    enum edge_claim claim = http->claim(dialect, request, process);
    if (claim == EDGE_CLAIM_ELSEWHERE && pass_on(server, client, process, input)) {
        return true;
    }
    if (request->upgrade) {
        return false;
    }
    if (claim == EDGE_CLAIM_STREAM) {
        open_stream(server, client, index, request);
    } else if (claim == EDGE_CLAIM_NEW && server->listener == NULL) {
        rt_counter_add(server->carrier.metrics.refused[EDGE_REFUSED_DRAINING], 1);
        edge_server_answer_busy(client);
    } else if (claim == EDGE_CLAIM_NEW && !edge_server_is_admitted(server)) {
        edge_server_answer_busy(client);
    } else {
        take_request(server, client, index, request, input);
    }
    return true;
}

/* A copy, since the check takes out of a head what libwebsockets is not to see. */
bool edge_server_http(struct edge_server *server, struct http_client *client,
                      struct http_request *request, const struct http_input *input)
{
    http_request_read((struct rt_span){ server->copy, input->head_len }, request);
    size_t index = http_side_of(server, request);
    if (index == server->dialect_count) {
        return false;
    }
    server->request = request;
    return serve_http(server, client, index, request, input);
}

/* --- life ------------------------------------------------------------------------------------------------------ */

static void on_handed_over(void *ctx, int fd, uint8_t *data, size_t len)
{
    struct edge_server *server = ctx;

    rt_counter_add(server->carrier.metrics.taken_over, 1);
    http_client_continue(&server->requests, fd, data, len);
}

/* What has been answered may ask again; its bytes are copied, since a head is changed in place. */
static void on_reusable(void *ctx, int fd, const uint8_t *rest, size_t rest_len)
{
    struct edge_server *server = ctx;
    struct rt_buf input = { 0 };

    if (server->listener == NULL) {
        (void)close(fd);
        return;
    }
    rt_buf_append(&input, rest, rest_len);
    http_client_continue(&server->requests, fd, input.data, input.len);
    rt_buf_fini(&input);
}

void edge_server_http_init(struct edge_server *server, void (*on_freed)(void *ctx))
{
    server->exchanges = (struct http_exchange_owner){
        .carrier = &server->carrier, .on_reusable = on_reusable, .on_freed = on_freed, .ctx = server
    };
    list_init(&server->exchanges.exchanges);
}

bool edge_server_http_start(struct edge_server *server, const struct rt_process *process)
{
    bool any = false;

    for (size_t i = 0; i < server->dialect_count; i++) {
        any = any || server->dialects[i].http != NULL;
    }
    if (!any) {
        return true;
    }
    server->handover = handover_new(&(struct handover_config){ .loop = process->loop,
                                                               .log = process->log,
                                                               .on_connection = on_handed_over,
                                                               .ctx = server });
    if (server->handover == NULL) {
        return false;
    }
    server->copy = rt_alloc(HTTP_HEAD_MAX + CARRIER_INPUT_BYTES);
    for (size_t i = 0; i < server->dialect_count; i++) {
        if (server->dialects[i].http != NULL) {
            server->dialects[i].http->attach(server->dialect_ctx[i], &server->carrier,
                                             handover_name(server->handover));
        }
    }
    return true;
}
