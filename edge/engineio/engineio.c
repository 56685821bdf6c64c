/* edge/engineio/engineio.c - requests and WebSockets, to the client that they are of. */
#include "edge/engineio/engineio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/admission.h"
#include "edge/engineio/parts.h"
#include "edge/http_exchange.h"
#include "runtime/config.h"
#include "runtime/loop.h"
#include "runtime/map.h"
#include "runtime/process.h"

/* --- requests ------------------------------------------------------------------------------------------------------ */

static void refuse(struct engineio *engine, struct http_exchange *exchange, enum eio_code code)
{
    rt_counter_add(engine->refused, 1);
    http_exchange_answer(exchange, 400, "application/json", eio_cors, eio_error_body(code));
}

static void on_poll_gone(void *ctx, struct http_exchange *exchange)
{
    struct engineio_conn *conn = ctx;

    (void)exchange;
    eio_session_poll_gone(conn->session);
}

static void on_no_body(void *ctx, struct http_exchange *exchange, struct rt_span body)
{
    (void)ctx;
    (void)exchange;
    (void)body;
}

static const struct http_exchange_ops poll_ops = { .on_body = on_no_body,
                                                   .on_abort = on_poll_gone };

static void poll(struct engineio_conn *conn, struct http_exchange *exchange)
{
    http_exchange_hold(exchange, &poll_ops, conn);
    if (eio_session_poll(conn->session, exchange) != EIO_TAKEN) {
        refuse(conn->engine, exchange, EIO_BAD_REQUEST);
    }
    if (eio_session_is_closed(conn->session)) {
        engineio_mark(conn); /* it may have waited for this poll only, to be told that it is over */
    }
}

static void on_post_body(void *ctx, struct http_exchange *exchange, struct rt_span body)
{
    static const struct rt_span ok = { (const uint8_t *)"ok", 2 };
    struct engineio_conn *conn = ctx;

    eio_session_post_end(conn->session, body);
    http_exchange_answer(exchange, 200, "text/html", eio_cors, ok);
    engineio_mark(conn);
}

static void on_post_gone(void *ctx, struct http_exchange *exchange)
{
    struct engineio_conn *conn = ctx;

    (void)exchange;
    eio_session_post_end(conn->session, (struct rt_span){ NULL, 0 });
    engineio_mark(conn);
}

static const struct http_exchange_ops post_ops = { .on_body = on_post_body,
                                                   .on_abort = on_post_gone };

static void post(struct engineio_conn *conn, struct http_exchange *exchange,
                 const struct http_request *request)
{
    if (request->strange_body || eio_session_post_begin(conn->session) != EIO_TAKEN) {
        refuse(conn->engine, exchange, EIO_BAD_REQUEST);
        return;
    }
    http_exchange_hold(exchange, &post_ops, conn);
    http_exchange_want_body(exchange, request->body_len, (uint64_t)conn->settings.max_payload,
                            eio_cors);
}

static void open_polling(struct engineio *engine, struct http_exchange *exchange,
                         const struct http_request *request)
{
    const struct rt_config *config = engine->config.process->config;

    if (engine->count >= (size_t)config->realtime_max_connections) {
        static const char body[] = "{\"error\":\"No room for more clients right now\"}";
        char headers[96];
        rt_counter_add(engine->carrier->metrics.refused[EDGE_REFUSED_LIMIT], 1);
        (void)snprintf(headers, sizeof(headers), "%sRetry-After: %u\r\n", eio_cors,
                       admission_retry_seconds(rt_random64()));
        http_exchange_answer(exchange, 503, "application/json", headers,
                             (struct rt_span){ (const uint8_t *)body, sizeof(body) - 1 });
        return;
    }
    poll(engineio_conn_new(engine, request, NULL), exchange);
}

static void preflight(struct http_exchange *exchange, const struct http_request *request)
{
    struct rt_buf headers = { 0 };

    eio_preflight_headers(request, &headers);
    http_exchange_answer(exchange, 204, "", rt_buf_cstr(&headers), (struct rt_span){ 0 });
    rt_buf_fini(&headers);
}

static void on_request(void *dialect, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct engineio *engine = dialect;
    struct eio_request wish;

    eio_request_read(request, &wish);
    struct engineio_conn *conn = engineio_find(engine, &wish);
    bool of_session = wish.wish == EIO_WISH_POLL || wish.wish == EIO_WISH_POST;
    if (of_session && conn == NULL) {
        refuse(engine, exchange, EIO_UNKNOWN_SID);
        return;
    }
    switch (wish.wish) {
    case EIO_WISH_OPEN:
        open_polling(engine, exchange, request);
        break;
    case EIO_WISH_POLL:
        poll(conn, exchange);
        break;
    case EIO_WISH_POST:
        post(conn, exchange, request);
        break;
    case EIO_WISH_PREFLIGHT:
        preflight(exchange, request);
        break;
    case EIO_WISH_BAD:
    case EIO_WISH_UPGRADE:
    default:
        refuse(engine, exchange, wish.code);
        break;
    }
}

static enum edge_claim claim(void *dialect, const struct http_request *request,
                             char process[HANDOVER_NAME_LEN])
{
    const struct engineio *engine = dialect;
    struct eio_request wish;

    eio_request_read(request, &wish);
    if (wish.sid[0] != '\0' && memcmp(wish.sid, engine->process, HANDOVER_NAME_LEN) != 0) {
        memcpy(process, wish.sid, HANDOVER_NAME_LEN);
        return EDGE_CLAIM_ELSEWHERE;
    }
    return wish.wish == EIO_WISH_OPEN ? EDGE_CLAIM_NEW : EDGE_CLAIM_HERE;
}

static const struct http_answer *refuse_upgrade(void *dialect, const struct http_request *request)
{
    struct engineio *engine = dialect;
    struct eio_request wish;

    eio_request_read(request, &wish);
    if (wish.wish == EIO_WISH_UPGRADE && engineio_find(engine, &wish) == NULL) {
        wish.code = EIO_UNKNOWN_SID;
    } else if (wish.wish == EIO_WISH_UPGRADE || wish.wish == EIO_WISH_OPEN) {
        return NULL;
    }
    rt_counter_add(engine->refused, 1);
    return eio_error_answer(wish.code);
}

static bool is_enabled(void *dialect)
{
    const struct engineio *engine = dialect;

    return engine->config.app->enabled(engine->config.app_ctx);
}

/* --- WebSockets ------------------------------------------------------------------------------------------------------ */

static void *on_open(void *dialect, struct edge_conn *ws, enum token_err token_err,
                     struct identity *identity)
{
    struct engineio *engine = dialect;
    const struct http_request *request = edge_conn_request(ws);
    struct eio_request wish;

    (void)token_err;
    (void)identity;
    eio_request_read(request, &wish);
    struct engineio_conn *conn = engineio_find(engine, &wish);
    if (conn == NULL) {
        conn = engineio_conn_new(engine, request, ws);
    } else if (eio_session_ws_open(conn->session, ws) == EIO_TAKEN) {
        conn->ws = ws;
    } else {
        edge_conn_close(ws, EDGE_CLOSE_PROTOCOL, "this session has a WebSocket already");
        return NULL;
    }
    edge_conn_set_max_message(ws, (uint32_t)conn->settings.max_payload);
    conn->sockets++;
    return conn;
}

static void on_text(void *session, struct edge_conn *ws, struct rt_span text)
{
    struct engineio_conn *conn = session;

    if (conn == NULL) {
        return;
    }
    eio_session_ws_text(conn->session, ws, text);
    if (!conn->counted_upgrade && eio_session_is_upgraded(conn->session)) {
        conn->counted_upgrade = true;
        rt_counter_add(conn->engine->upgraded, 1);
    }
}

static void on_close(void *session, struct edge_conn *ws)
{
    struct engineio_conn *conn = session;

    if (conn == NULL) {
        return;
    }
    conn->sockets--;
    if (conn->ws == ws) {
        conn->ws = NULL;
    }
    eio_session_ws_gone(conn->session, ws);
    engineio_mark(conn);
}

static void on_heartbeat(void *session, struct edge_conn *ws)
{
    (void)session;
    (void)ws; /* Engine.IO has pings of its own */
}

/* The client sees a connection that is closed before it was open, and tries again later. */
static struct edge_frame *frame_too_many(void *dialect)
{
    (void)dialect;
    return NULL;
}

void engineio_fill_dialect(struct edge_dialect *dialect)
{
    dialect->on_open = on_open;
    dialect->on_text = on_text;
    dialect->on_close = on_close;
    dialect->on_heartbeat = on_heartbeat;
    dialect->frame_too_many = frame_too_many;
    dialect->http = &engineio_http_side;
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

static void attach(void *dialect, struct edge_carrier *carrier, const char *process)
{
    struct engineio *engine = dialect;

    engine->carrier = carrier;
    memcpy(engine->process, process, HANDOVER_NAME_LEN);
}

static void detach(void *dialect)
{
    struct engineio *engine = dialect;

    while (!list_is_empty(&engine->all)) {
        engineio_conn_free(LIST_ELEMENT(engine->all.next, struct engineio_conn, all));
    }
    engine->carrier = NULL;
}

static void drain(void *dialect, rt_usec spread)
{
    struct engineio *engine = dialect;

    LIST_EACH(at, after, &engine->all)
    {
        struct engineio_conn *conn = LIST_ELEMENT(at, struct engineio_conn, all);
        rt_usec delay = spread > 0 ? (rt_usec)(rt_random64() % (uint64_t)spread) : 0;
        edge_carrier_set_timer(engine->carrier, &conn->leave, rt_now() + delay);
    }
}

const struct edge_http_side engineio_http_side = {
    .attach = attach,
    .detach = detach,
    .enabled = is_enabled,
    .claim = claim,
    .on_request = on_request,
    .refuse_upgrade = refuse_upgrade,
    .drain = drain,
};

struct engineio *engineio_new(const struct engineio_config *config)
{
    struct engineio *engine = rt_alloc(sizeof(*engine));
    struct rt_metrics *metrics = config->process->metrics;
    char labels[64];

    engine->config = *config;
    engine->sessions = rt_map_new();
    list_init(&engine->all);
    list_init(&engine->dirty);
    engine->work = rt_defer_new(config->process->loop, engineio_work, engine);
    (void)snprintf(labels, sizeof(labels), "dialect=\"%s\"", config->name);
    engine->open = rt_gauge_new(metrics, "pgtide_edge_engineio_sessions", labels,
                                "Engine.IO sessions that are open, over any transport");
    engine->opened = rt_counter_new(metrics, "pgtide_edge_engineio_sessions_total", labels,
                                    "Engine.IO sessions opened since the start");
    engine->upgraded =
        rt_counter_new(metrics, "pgtide_edge_engineio_upgrades_total", labels,
                       "Engine.IO sessions that have a WebSocket, from the start or by an upgrade");
    engine->refused = rt_counter_new(metrics, "pgtide_edge_engineio_refused_total", labels,
                                     "Engine.IO requests answered with one of its error codes");
    return engine;
}

void engineio_free(struct engineio *engine)
{
    if (engine != NULL) {
        rt_defer_free(engine->work);
        rt_map_free(engine->sessions);
        free(engine);
    }
}
