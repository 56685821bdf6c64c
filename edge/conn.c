/* edge/conn.c - the life of a client that stays, after its handshake.
 *
 *   OPEN ──close_after──▶ LEAVING ──pause over──▶ CLOSING ──all sent──▶ LINGERING ──EOF, 2 s──▶ DEAD
 *     └──────────────────close, peer's close────────▲ │ write failed, 2 s ▶ DEAD
 *     └── read or write failed ▶ DEAD
 *
 * LEAVING reads and ignores. CLOSING has a close frame as the last of its queue; LINGERING has shut
 * down its sending side and reads away what the client still sends, because closing a socket with unread
 * input makes the kernel reset the connection, which may destroy the close frame on its way.
 *
 * Nothing is freed and no on_close is called inside a callback of the dialect: every way out puts the connection on the
 * dirty list, and edge_conn_flush_all() does the rest at the end of the turn.
 */
#include "edge/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/addresses.h"
#include "edge/admission.h"
#include "edge/conn_parts.h"
#include "runtime/config.h"
#include "runtime/log.h"
#include "runtime/loop.h"

enum {
    IOV_MAX_USED = 64,
    TURN_BYTES = 256 * 1024, /* one client may send this much before the others have their turn */
};
static const rt_usec CLOSE_TIMEOUT = 2 * RT_SEC;

/* --- small helpers --- */

void conn_want(struct edge_conn *conn)
{
    int events = (conn->eof ? 0 : RT_READ) | (conn->blocked ? RT_WRITE : 0);

    if (conn->state != CONN_DEAD) {
        rt_io_want(conn->io, events);
    }
}

static void mark(struct edge_conn *conn)
{
    if (!list_contains_node(&conn->dirty)) {
        list_append(&conn->carrier->dirty, &conn->dirty);
        rt_defer_schedule(conn->carrier->flush);
    }
}

static void push(struct edge_conn *conn, struct edge_frame *frame)
{
    conn->carrier->queue_bytes += frame->len;
    conn_queue_push(&conn->queue, frame);
    mark(conn);
}

static void drop_unsent(struct edge_conn *conn)
{
    size_t before = conn->queue.bytes;

    conn_queue_drop_unsent(&conn->queue);
    conn->carrier->queue_bytes -= before - conn->queue.bytes;
}

static void arm(struct edge_conn *conn)
{
    rt_usec due = conn->heartbeat;
    rt_usec silence = conn->heard + conn->carrier->config->realtime_connection_timeout;

    if (silence < due && !conn->transport->mute) {
        due = silence;
    }
    if (conn->planned != 0 && (conn->planned < due || conn->state == CONN_LEAVING)) {
        due = conn->planned;
    }
    edge_carrier_set_timer(conn->carrier, &conn->timer, due);
}

/* --- the ways out --- */

void conn_die(struct edge_conn *conn)
{
    if (conn->state != CONN_DEAD) {
        rt_io_want(conn->io, 0);
        conn->state = CONN_DEAD;
        mark(conn);
    }
}

static void begin_close(struct edge_conn *conn, unsigned code, const char *reason)
{
    if (conn->state >= CONN_CLOSING) {
        return;
    }
    conn->state = CONN_CLOSING;
    conn->close_code = (uint16_t)code;
    push(conn, conn->transport->ending(code, reason));
    edge_carrier_set_timer(conn->carrier, &conn->timer, rt_now() + CLOSE_TIMEOUT);
}

static void close_slow(struct edge_conn *conn)
{
    struct edge_carrier *carrier = conn->carrier;
    char reason[ADMISSION_REASON_SIZE];

    rt_counter_add(carrier->metrics.slow, 1);
    rt_log_warn(carrier->log, "client.too_slow", RT_U("conn", conn->id),
                RT_S("dialect", conn->dialect->name), RT_U("waiting_bytes", conn->queue.bytes),
                RT_U("budget", carrier->config->realtime_client_budget));
    drop_unsent(conn);
    admission_reason("client reads too slowly", edge_carrier_retry_ms(carrier), reason);
    begin_close(conn, EDGE_CLOSE_SLOW, reason);
}

static void release_session(struct edge_conn *conn)
{
    if (conn->opened) {
        conn->opened = false;
        conn->gauge->value -= 1;
        addresses_give_back(conn->carrier->addresses, conn->address);
        conn->address = NULL;
        edge_metrics_closed(&conn->carrier->metrics, conn->close_code);
        conn->dialect->on_close(conn->session, conn);
    }
}

static void conn_free(struct edge_conn *conn)
{
    struct edge_carrier *carrier = conn->carrier;

    release_session(conn);
    list_remove(&conn->all);
    list_remove(&conn->dirty);
    edge_carrier_cancel_timer(carrier, &conn->timer);
    carrier->queue_bytes -= conn->queue.bytes;
    conn_queue_fini(&conn->queue);
    ws_decoder_fini(&conn->decoder);
    rt_io_free(conn->io);
    (void)close(conn->fd);
    free(conn->planned_reason);
    free(conn);
    carrier->conn_count--;
    if (carrier->on_conn_freed != NULL) {
        carrier->on_conn_freed(carrier->owner);
    }
}

/* --- sending --- */

/* Everything is out: the end of a closing connection. */
static void drained(struct edge_conn *conn)
{
    if (conn->state != CONN_CLOSING) {
        return;
    }
    if (conn->eof || shutdown(conn->fd, SHUT_WR) != 0) {
        conn_die(conn);
    } else {
        conn->state = CONN_LINGERING;
    }
}

/* Returns whether to go on. */
static bool send_some(struct edge_conn *conn, size_t *budget)
{
    struct edge_carrier *carrier = conn->carrier;
    struct iovec iov[IOV_MAX_USED];
    struct msghdr message = { .msg_iov = iov };

    message.msg_iovlen = (size_t)conn_queue_peek(&conn->queue, iov, IOV_MAX_USED, *budget);
    ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
        if (errno == EAGAIN || errno == ENOBUFS) {
            conn->blocked = true;
        } else if (errno != EINTR) {
            conn_die(conn);
        }
        return errno == EINTR;
    }
    rt_counter_add(carrier->metrics.writes, 1);
    rt_counter_add(carrier->metrics.bytes_out, (uint64_t)sent);
    rt_counter_add(carrier->metrics.frames_out, conn_queue_sent(&conn->queue, (size_t)sent));
    carrier->queue_bytes -= (size_t)sent;
    *budget -= (size_t)sent < *budget ? (size_t)sent : *budget;
    return true;
}

static void flush(struct edge_conn *conn)
{
    size_t budget = TURN_BYTES;

    while (conn->queue.count > 0 && budget > 0 && send_some(conn, &budget)) {
    }
    if (conn->state == CONN_DEAD) {
        return;
    }
    /* Over its share of this turn, or the socket is full: goes on when the loop says so. */
    conn->blocked = conn->queue.count > 0;
    if (!conn->blocked) {
        drained(conn);
    }
    conn_want(conn);
}

void edge_conn_flush_all(void *ctx)
{
    struct edge_carrier *carrier = ctx;
    struct list_node *node = NULL;

    /* on_close may make others dirty; they are served in this turn too. */
    while ((node = list_pop(&carrier->dirty)) != NULL) {
        struct edge_conn *conn = LIST_ELEMENT(node, struct edge_conn, dirty);
        if (conn->state >= CONN_CLOSING) {
            release_session(conn);
        }
        if (conn->state == CONN_DEAD) {
            conn_free(conn);
        } else if (!conn->blocked) {
            flush(conn);
        }
    }
    rt_gauge_set(carrier->metrics.queue_bytes, (double)carrier->queue_bytes);
}

/* --- what the loop says --- */

static void on_io(void *ctx, int fd, int events)
{
    struct edge_conn *conn = ctx;

    (void)fd;
    if ((events & RT_WRITE) != 0 && conn->blocked) {
        conn->blocked = false;
        mark(conn);
    }
    if ((events & RT_READ) != 0 && !conn->eof && conn->state != CONN_DEAD) {
        conn_read(conn);
    }
}

/* --- time --- */

static void on_open_timer(struct edge_conn *conn, rt_usec now)
{
    const struct rt_config *config = conn->carrier->config;

    if (!conn->transport->mute && now - conn->heard >= config->realtime_connection_timeout) {
        begin_close(conn, EDGE_CLOSE_GOING_AWAY, "nothing heard from the client");
        return;
    }
    if (now >= conn->heartbeat) {
        conn->heartbeat = now + config->realtime_heartbeat_interval;
        edge_conn_send(conn, conn->transport->keep_alive(conn->carrier));
        if (conn->opened && conn->state == CONN_OPEN) {
            conn->dialect->on_heartbeat(conn->session, conn);
        }
    }
    if (conn->state <= CONN_LEAVING) {
        arm(conn);
    }
}

static void on_timer(struct wheel_timer *timer, rt_usec now)
{
    struct edge_conn *conn = LIST_ELEMENT(timer, struct edge_conn, timer);

    if (conn->state >= CONN_CLOSING) {
        conn_die(conn);
    } else if (conn->planned != 0 && now >= conn->planned) {
        begin_close(conn, conn->planned_code, conn->planned_reason);
    } else if (conn->state == CONN_LEAVING) {
        arm(conn);
    } else {
        on_open_timer(conn, now);
    }
}

static void plan(struct edge_conn *conn, rt_usec delay, unsigned code, const char *reason)
{
    free(conn->planned_reason);
    conn->planned_reason = rt_strdup(reason);
    conn->planned_code = (uint16_t)code;
    conn->planned = rt_now() + delay;
    arm(conn);
}

/* --- exports --- */

/* The first after half an interval to a whole one, so that clients that came together part. */
static void plan_heartbeat(struct edge_conn *conn, rt_usec now)
{
    rt_usec interval = conn->carrier->config->realtime_heartbeat_interval;
    uint64_t part = conn->id * 0x9e3779b97f4a7c15U >> 44;

    conn->heartbeat = now + interval / 2 + interval / 2 * (rt_usec)part / (1 << 20);
}

struct edge_conn *edge_conn_new(struct edge_carrier *carrier, int fd,
                                const struct conn_transport *transport,
                                const struct edge_dialect *dialect, struct rt_gauge *gauge)
{
    struct edge_conn *conn = rt_alloc(sizeof(*conn));
    rt_usec now = rt_now();

    *conn = (struct edge_conn){
        .carrier = carrier,
        .transport = transport,
        .dialect = dialect,
        .gauge = gauge,
        .fd = fd,
        .id = ++carrier->next_id,
        .heard = now,
        .timer.fire = on_timer,
        .decoder = { .max_message = (uint32_t)carrier->config->realtime_max_message,
                     .first_buffer = (uint32_t)carrier->config->realtime_read_buffer_size,
                     .binary = dialect->on_binary != NULL },
    };
    plan_heartbeat(conn, now);
    conn->io = rt_io_new(carrier->loop, fd, on_io, conn);
    list_append(&carrier->conns, &conn->all);
    carrier->conn_count++;
    conn_want(conn);
    arm(conn);
    return conn;
}

bool edge_conn_peer(int fd, struct sockaddr_storage *out)
{
    socklen_t len = sizeof(*out);

    return getpeername(fd, (struct sockaddr *)out, &len) == 0;
}

void edge_conn_open(struct edge_conn *conn, void *dialect_ctx, enum token_err err,
                    struct identity *identity)
{
    struct sockaddr_storage peer;

    conn->opened = true;
    conn->gauge->value += 1;
    if (edge_conn_peer(conn->fd, &peer)) {
        conn->address = addresses_take(conn->carrier->addresses, &peer);
    }
    conn->session = conn->dialect->on_open(dialect_ctx, conn, err, identity);
    conn->request = NULL;
}

void edge_conn_set_deflate(struct edge_conn *conn, unsigned window_bits)
{
    conn->window_bits = (uint8_t)window_bits;
    conn->decoder.inflater = conn->carrier->inflater;
}

void edge_conn_set_transactions(struct edge_conn *conn, bool wanted)
{
    conn->transactions = wanted;
}

void edge_conn_set_request(struct edge_conn *conn, const struct http_request *request)
{
    conn->request = request;
}

void edge_conn_plan_close(struct edge_conn *conn, rt_usec delay, unsigned code, const char *reason)
{
    if (conn->state == CONN_OPEN) {
        plan(conn, delay, code, reason);
    }
}

void edge_conn_reload(struct edge_conn *conn)
{
    const struct rt_config *config = conn->carrier->config;

    conn->decoder.max_message =
        conn->own_max_message != 0 ? conn->own_max_message : (uint32_t)config->realtime_max_message;
    conn->decoder.first_buffer = (uint32_t)config->realtime_read_buffer_size;
    if (conn->state <= CONN_LEAVING) {
        plan_heartbeat(conn, rt_now());
        arm(conn);
    }
}

struct edge_conn *edge_conn_of(struct list_node *node)
{
    return LIST_ELEMENT(node, struct edge_conn, all);
}

void edge_conn_abort(struct edge_conn *conn)
{
    conn->state = CONN_DEAD;
    conn_free(conn);
}

void edge_conn_send(struct edge_conn *conn, struct edge_frame *frame)
{
    if (conn->state >= CONN_CLOSING) {
        return;
    }
    if (conn->window_bits != 0) {
        frame = frame_pack(&conn->carrier->packer, frame, conn->window_bits);
    }
    push(conn, edge_frame_ref(frame));
    if (conn->queue.bytes > (size_t)conn->carrier->config->realtime_client_budget) {
        close_slow(conn);
    }
}

void edge_conn_send_text(struct edge_conn *conn, const void *payload, size_t len)
{
    struct edge_frame *frame = conn->transport->text(payload, len);

    edge_conn_send(conn, frame);
    edge_frame_unref(frame);
}

void edge_conn_close(struct edge_conn *conn, unsigned code, const char *reason)
{
    begin_close(conn, code, reason);
}

void edge_conn_close_after(struct edge_conn *conn, rt_usec delay, unsigned code, const char *reason)
{
    if (conn->state == CONN_OPEN) {
        conn->state = CONN_LEAVING;
        plan(conn, delay, code, reason);
    }
}

bool edge_conn_is_open(const struct edge_conn *conn)
{
    return conn->state == CONN_OPEN;
}

uint64_t edge_conn_id(const struct edge_conn *conn)
{
    return conn->id;
}

size_t edge_conn_waiting_bytes(const struct edge_conn *conn)
{
    return conn->queue.bytes;
}

bool edge_conn_is_stream(const struct edge_conn *conn)
{
    return conn->transport->mute;
}

bool edge_conn_wants_transactions(const struct edge_conn *conn)
{
    return conn->transactions;
}

void *edge_conn_session(const struct edge_conn *conn)
{
    return conn->session;
}

const struct http_request *edge_conn_request(const struct edge_conn *conn)
{
    return conn->request;
}

void edge_conn_set_max_message(struct edge_conn *conn, uint32_t bytes)
{
    conn->own_max_message = bytes;
    conn->decoder.max_message = bytes;
}
