/* edge/conn_input.c - what a client sends: from its socket, and for a WebSocket through the decoder to the dialect. */
#include <errno.h>
#include <sys/socket.h>

#include "edge/conn_parts.h"
#include "runtime/log.h"
#include "runtime/loop.h"

static bool on_text(void *ctx, struct rt_span text)
{
    struct edge_conn *conn = ctx;

    rt_counter_add(conn->carrier->metrics.messages_in, 1);
    conn->dialect->on_text(conn->session, conn, text);
    return conn->state == CONN_OPEN;
}

static bool on_binary(void *ctx, struct rt_span data)
{
    struct edge_conn *conn = ctx;

    rt_counter_add(conn->carrier->metrics.messages_in, 1);
    conn->dialect->on_binary(conn->session, conn, data);
    return conn->state == CONN_OPEN;
}

static void on_inflated(void *ctx, enum ws_inflated result, size_t from, size_t to)
{
    const struct edge_conn *conn = ctx;
    const struct edge_deflate_metrics *metrics = &conn->carrier->metrics.deflate;

    rt_counter_add(metrics->inflated[result], 1);
    rt_counter_add(metrics->inflated_before, from);
    rt_counter_add(metrics->inflated_after, to);
}

static bool on_ping(void *ctx, struct rt_span payload)
{
    struct edge_conn *conn = ctx;
    struct edge_frame *pong = edge_frame_control(WS_PONG, payload.data, payload.len);

    edge_conn_send(conn, pong);
    edge_frame_unref(pong);
    return conn->state == CONN_OPEN;
}

static bool on_pong(void *ctx, struct rt_span payload)
{
    const struct edge_conn *conn = ctx;

    (void)payload;
    rt_counter_add(conn->carrier->metrics.pongs, 1);
    return true;
}

/* Answered with the client's own code (RFC 6455 5.5.1). */
static bool on_peer_close(void *ctx, unsigned code, struct rt_span reason)
{
    (void)reason;
    edge_conn_close(ctx, code, "");
    return false;
}

static const struct ws_sink sink = {
    .on_text = on_text,
    .on_binary = on_binary,
    .on_inflated = on_inflated,
    .on_ping = on_ping,
    .on_pong = on_pong,
    .on_close = on_peer_close,
};

static void decode(struct edge_conn *conn, uint8_t *data, size_t len)
{
    const struct ws_fault *fault = ws_decoder_feed(&conn->decoder, data, len, &sink, conn);

    if (fault != NULL) {
        rt_counter_add(conn->carrier->metrics.malformed, 1);
        rt_log_debug(conn->carrier->log, "client.malformed_frame", RT_U("conn", conn->id),
                     RT_U("code", fault->code), RT_S("reason", fault->text));
        edge_conn_close(conn, fault->code, fault->text);
    }
}

static struct edge_frame *ping_of(const struct edge_carrier *carrier)
{
    return carrier->ping;
}

const struct conn_transport conn_websocket = {
    .text = edge_frame_text,
    .ending = edge_frame_close,
    .keep_alive = ping_of,
    .input = decode,
};

void edge_conn_input(struct edge_conn *conn, uint8_t *data, size_t len)
{
    rt_counter_add(conn->carrier->metrics.bytes_in, len);
    conn->heard = rt_now();
    if (conn->state == CONN_OPEN) {
        conn->transport->input(conn, data, len);
    }
}

static void on_end_of_input(struct edge_conn *conn)
{
    conn->eof = true;
    if (conn->state == CONN_CLOSING) {
        conn_want(conn); /* the close frame may still be wanted on the other side */
    } else {
        conn_die(conn);
    }
}

void conn_read(struct edge_conn *conn)
{
    struct edge_carrier *carrier = conn->carrier;
    ssize_t got = recv(conn->fd, carrier->input, CARRIER_INPUT_BYTES, MSG_DONTWAIT);

    if (got > 0) {
        edge_conn_input(conn, carrier->input, (size_t)got);
    } else if (got == 0) {
        on_end_of_input(conn);
    } else if (errno != EAGAIN && errno != EINTR) {
        conn_die(conn);
    }
}
