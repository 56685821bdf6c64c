/* edge/echo.c - see edge/echo.h. A connection has no session. */
#include "edge/echo.h"

static void *on_open(void *dialect, struct edge_conn *conn, enum token_err token_err,
                     struct identity *identity)
{
    (void)dialect;
    if (token_err == TOKEN_OK) {
        identity_fini(identity);
    } else {
        edge_conn_close(conn, EDGE_CLOSE_POLICY, token_err_text(token_err));
    }
    return NULL;
}

static void on_text(void *session, struct edge_conn *conn, struct rt_span text)
{
    (void)session;
    edge_conn_send_text(conn, text.data, text.len);
}

static void on_binary(void *session, struct edge_conn *conn, struct rt_span data)
{
    struct edge_frame *frame = edge_frame_binary(data.data, data.len);

    (void)session;
    edge_conn_send(conn, frame);
    edge_frame_unref(frame);
}

static void on_close(void *session, struct edge_conn *conn)
{
    (void)session;
    (void)conn;
}

static void on_heartbeat(void *session, struct edge_conn *conn)
{
    (void)session;
    (void)conn; /* the server's ping is enough */
}

static struct edge_frame *frame_too_many(void *dialect)
{
    (void)dialect;
    return NULL;
}

const struct edge_dialect edge_echo_dialect = {
    .name = "echo",
    .path = EDGE_ECHO_PATH,
    .on_open = on_open,
    .on_text = on_text,
    .on_binary = on_binary,
    .on_close = on_close,
    .on_heartbeat = on_heartbeat,
    .frame_too_many = frame_too_many,
};
