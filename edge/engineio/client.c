/* edge/engineio/client.c - one client of Engine.IO: its session with sockets and time.
 *
 * A client (engineio_conn) is freed at the end of a turn in which its session is over and nothing points to it: no request that
 * is held, no WebSocket. Until then it is found under its id. */
#include <stdlib.h>
#include <string.h>

#include "edge/engineio/parts.h"
#include "edge/http_exchange.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/map.h"
#include "runtime/metrics.h"
#include "runtime/process.h"

void engineio_mark(struct engineio_conn *conn)
{
    struct engineio *engine = conn->engine;

    if (!list_contains_node(&conn->dirty)) {
        list_append(&engine->dirty, &conn->dirty);
        rt_defer_schedule(engine->work);
    }
}

/* --- the end of a client --------------------------------------------------------------------------------------- */

static void tell_app(struct engineio_conn *conn)
{
    if (!conn->told) {
        conn->told = true;
        conn->engine->count--;
        rt_gauge_set(conn->engine->open, (double)conn->engine->count);
        edge_carrier_cancel_timer(conn->engine->carrier, &conn->app_timer);
        conn->engine->config.app->on_close(conn->user);
    }
}

void engineio_conn_free(struct engineio_conn *conn)
{
    struct engineio *engine = conn->engine;

    tell_app(conn);
    (void)rt_map_remove(engine->sessions, conn->sid, EIO_SID_LEN);
    edge_carrier_cancel_timer(engine->carrier, &conn->timer);
    edge_carrier_cancel_timer(engine->carrier, &conn->leave);
    list_remove(&conn->all);
    list_remove(&conn->dirty);
    eio_session_free(conn->session);
    free(conn);
}

void engineio_work(void *ctx)
{
    struct engineio *engine = ctx;
    struct list_node *node = NULL;

    while ((node = list_pop(&engine->dirty)) != NULL) {
        struct engineio_conn *conn = LIST_ELEMENT(node, struct engineio_conn, dirty);
        eio_session_flush(conn->session);
        if (eio_session_is_closed(conn->session)) {
            tell_app(conn);
        }
        if (eio_session_is_over(conn->session) && conn->sockets == 0) {
            engineio_conn_free(conn);
        }
    }
}

/* --- what the session asks for ----------------------------------------------------------------------------------- */

static void ws_send(void *owner, void *ws, struct edge_frame *frame)
{
    (void)owner;
    edge_conn_send(ws, frame);
}

static void ws_close(void *owner, void *ws, unsigned code, const char *reason)
{
    struct engineio_conn *conn = owner;

    if (conn->ws == ws) {
        conn->ws = NULL;
    }
    edge_conn_close(ws, code, reason);
}

static void answer_poll(void *owner, void *poll, struct rt_span body)
{
    (void)owner;
    http_exchange_answer(poll, 200, "text/plain; charset=UTF-8", eio_cors, body);
}

static void on_message(void *owner, struct rt_span text)
{
    struct engineio_conn *conn = owner;

    conn->engine->config.app->on_message(conn->user, text);
}

static void closed(void *owner, unsigned code, bool polling, const char *reason)
{
    struct engineio_conn *conn = owner;

    if (polling) {
        edge_metrics_closed(&conn->engine->carrier->metrics, code);
    }
    rt_log_debug(conn->engine->config.process->log, "engineio.closed", RT_S("reason", reason));
    engineio_mark(conn);
}

static void set_timer(void *owner, rt_usec due)
{
    struct engineio_conn *conn = owner;

    edge_carrier_set_timer(conn->engine->carrier, &conn->timer, due);
}

static void flush_later(void *owner)
{
    engineio_mark(owner);
}

static rt_usec session_now(void *owner)
{
    (void)owner;
    return rt_now();
}

static const struct eio_session_ops session_ops = {
    .ws_send = ws_send,
    .ws_close = ws_close,
    .answer_poll = answer_poll,
    .on_message = on_message,
    .closed = closed,
    .set_timer = set_timer,
    .flush_later = flush_later,
    .now = session_now,
};

/* --- time ---------------------------------------------------------------------------------------------------------- */

static void on_session_timer(struct wheel_timer *timer, rt_usec now)
{
    struct engineio_conn *conn = LIST_ELEMENT(timer, struct engineio_conn, timer);

    (void)now;
    eio_session_timer(conn->session);
    engineio_mark(conn);
}

static void on_app_timer(struct wheel_timer *timer, rt_usec now)
{
    struct engineio_conn *conn = LIST_ELEMENT(timer, struct engineio_conn, app_timer);

    (void)now;
    if (!eio_session_is_closed(conn->session)) {
        conn->engine->config.app->on_timer(conn->user);
    }
}

static void on_leave(struct wheel_timer *timer, rt_usec now)
{
    struct engineio_conn *conn = LIST_ELEMENT(timer, struct engineio_conn, leave);

    (void)now;
    if (!eio_session_is_upgraded(conn->session)) {
        eio_session_close(conn->session, EDGE_CLOSE_GOING_AWAY, "server is shutting down");
    }
}

/* --- the beginning of a client ------------------------------------------------------------------------------------- */

/* 84 random bits behind the process's name. */
static void make_sid(const struct engineio *engine, char out[EIO_SID_LEN + 1])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t random = 0;

    memcpy(out, engine->process, HANDOVER_NAME_LEN);
    for (unsigned i = HANDOVER_NAME_LEN; i < EIO_SID_LEN; i++) {
        if ((i - HANDOVER_NAME_LEN) % 10 == 0) {
            random = rt_random64();
        }
        out[i] = letters[random & 63];
        random >>= 6;
    }
    out[EIO_SID_LEN] = '\0';
}

struct engineio_conn *engineio_conn_new(struct engineio *engine, const struct http_request *request,
                                        struct edge_conn *ws)
{
    struct engineio_conn *conn = rt_alloc(sizeof(*conn));
    const struct engineio_app *app = engine->config.app;

    conn->engine = engine;
    conn->timer.fire = on_session_timer;
    conn->app_timer.fire = on_app_timer;
    conn->leave.fire = on_leave;
    conn->ws = ws;
    app->settings(engine->config.app_ctx, &conn->settings);
    make_sid(engine, conn->sid);
    (void)rt_map_put(engine->sessions, conn->sid, EIO_SID_LEN, conn);
    list_append(&engine->all, &conn->all);
    engine->count++;
    rt_gauge_set(engine->open, (double)engine->count);
    rt_counter_add(engine->opened, 1);
    conn->session = eio_session_new(&session_ops, conn, &conn->settings, conn->sid, ws);
    conn->user = app->on_open(engine->config.app_ctx, conn, request);
    return conn;
}

struct engineio_conn *engineio_find(struct engineio *engine, const struct eio_request *request)
{
    return request->sid[0] != '\0' ? rt_map_get(engine->sessions, request->sid, EIO_SID_LEN) : NULL;
}

/* --- for the app ------------------------------------------------------------------------------------------------------ */

void engineio_send(struct engineio_conn *conn, struct edge_frame *frame)
{
    eio_session_send(conn->session, frame);
}

void engineio_send_text(struct engineio_conn *conn, const void *text, size_t len)
{
    struct edge_frame *frame = edge_frame_text(text, len);

    engineio_send(conn, frame);
    edge_frame_unref(frame);
}

void engineio_close(struct engineio_conn *conn, unsigned code, const char *reason)
{
    eio_session_close(conn->session, code, reason);
}

bool engineio_is_open(const struct engineio_conn *conn)
{
    return !eio_session_is_closed(conn->session);
}

void engineio_set_timer(struct engineio_conn *conn, rt_usec due)
{
    if (due == 0) {
        edge_carrier_cancel_timer(conn->engine->carrier, &conn->app_timer);
    } else {
        edge_carrier_set_timer(conn->engine->carrier, &conn->app_timer, due);
    }
}

size_t engineio_waiting(const struct engineio_conn *conn)
{
    return eio_session_waiting(conn->session) +
           (conn->ws != NULL ? edge_conn_waiting_bytes(conn->ws) : 0);
}
