/* edge/http_exchange.c - BODY ──whole──▶ HELD ──answer──▶ WRITING ──all sent──▶ reused, or LINGERING ──EOF, 2 s──▶ gone.
 *
 * An exchange is freed at once only from its own watcher or timer; an answer given in a callback of somebody else is
 * written there, and what follows (reuse, the end) waits for the loop. */
#include "edge/http_exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/handover.h"
#include "runtime/buf.h"
#include "runtime/loop.h"

enum { AHEAD_MAX = 32768 /* bytes that may come behind a request before it is answered */ };
static const rt_usec BODY_TIMEOUT = 20 * RT_SEC;
static const rt_usec ANSWER_TIMEOUT = 20 * RT_SEC;
static const rt_usec LINGER_TIMEOUT = 2 * RT_SEC;

enum exchange_state {
    EXCHANGE_NEW,
    EXCHANGE_BODY,
    EXCHANGE_HELD,
    EXCHANGE_WRITING,
    EXCHANGE_LINGERING
};

struct http_exchange {
    struct http_exchange_owner *owner;
    struct list_node node;
    struct wheel_timer timer;
    struct rt_io *io;
    const struct http_exchange_ops *ops;
    void *ctx;
    const char *headers_413; /* static */
    struct rt_buf in;        /* what came behind the head: the body, then the next request */
    struct rt_buf out;
    uint64_t body_len;
    uint64_t body_max;
    size_t sent;
    int fd;
    uint8_t state;
    bool keep_alive;
    bool unread; /* a body comes that nobody has taken */
    bool eof;
};

static void forget(struct http_exchange *exchange)
{
    struct http_exchange_owner *owner = exchange->owner;

    edge_carrier_cancel_timer(owner->carrier, &exchange->timer);
    list_remove(&exchange->node);
    rt_io_free(exchange->io);
    rt_buf_fini(&exchange->in);
    rt_buf_fini(&exchange->out);
    free(exchange);
    owner->count--;
    owner->on_freed(owner->ctx);
}

static void end(struct http_exchange *exchange)
{
    (void)close(exchange->fd);
    forget(exchange);
}

static void set_timeout(struct http_exchange *exchange, rt_usec after)
{
    edge_carrier_set_timer(exchange->owner->carrier, &exchange->timer, rt_now() + after);
}

static void tell_aborted(struct http_exchange *exchange)
{
    const struct http_exchange_ops *ops = exchange->ops;

    exchange->ops = NULL;
    if (ops != NULL) {
        ops->on_abort(exchange->ctx, exchange);
    }
}

/* --- the answer ---------------------------------------------------------------------------------------------- */

static const char *reason_of(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 411:
        return "Length Required";
    case 413:
        return "Payload Too Large";
    default:
        return "Service Unavailable";
    }
}

static void reuse(struct http_exchange *exchange)
{
    struct http_exchange_owner *owner = exchange->owner;
    struct rt_buf rest = exchange->in;
    int fd = exchange->fd;

    exchange->in = (struct rt_buf){ 0 };
    forget(exchange);
    owner->on_reusable(owner->ctx, fd, rest.data, rest.len);
    rt_buf_fini(&rest);
}

static void linger(struct http_exchange *exchange)
{
    if (exchange->eof || shutdown(exchange->fd, SHUT_WR) != 0) {
        end(exchange);
        return;
    }
    exchange->state = EXCHANGE_LINGERING;
    rt_io_want(exchange->io, RT_READ);
    set_timeout(exchange, LINGER_TIMEOUT);
}

/* Writes what the socket takes; the loop tells when to go on, and when to go on to what follows. */
static void write_some(struct http_exchange *exchange)
{
    while (exchange->sent < exchange->out.len) {
        ssize_t sent = send(exchange->fd, exchange->out.data + exchange->sent,
                            exchange->out.len - exchange->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            exchange->sent += (size_t)sent;
        } else if (errno != EINTR) {
            exchange->keep_alive = exchange->keep_alive && errno == EAGAIN;
            exchange->eof = exchange->eof || errno != EAGAIN;
            break;
        }
    }
    rt_io_want(exchange->io, RT_WRITE);
}

static void write_on(struct http_exchange *exchange)
{
    write_some(exchange);
    if (exchange->eof) {
        end(exchange);
    } else if (exchange->sent == exchange->out.len) {
        if (exchange->keep_alive) {
            reuse(exchange);
        } else {
            linger(exchange);
        }
    }
}

void http_exchange_answer(struct http_exchange *exchange, unsigned status, const char *type,
                          const char *headers, struct rt_span body)
{
    struct rt_buf *out = &exchange->out;

    edge_metrics_answered(&exchange->owner->carrier->metrics, status);
    exchange->ops = NULL;
    exchange->keep_alive = exchange->keep_alive && !exchange->unread;
    rt_buf_printf(out, "HTTP/1.1 %u %s\r\n", status, reason_of(status));
    if (status != 204) {
        rt_buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body.len);
    }
    rt_buf_printf(out,
                  "Connection: %s\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                  "%s\r\n",
                  exchange->keep_alive ? "keep-alive" : "close", headers != NULL ? headers : "");
    if (status != 204) {
        rt_buf_append(out, body.data, body.len);
    }
    exchange->state = EXCHANGE_WRITING;
    set_timeout(exchange, ANSWER_TIMEOUT);
    write_some(exchange);
}

/* --- reading ------------------------------------------------------------------------------------------------- */

static void give_body(struct http_exchange *exchange)
{
    struct rt_buf all = exchange->in;
    size_t len = (size_t)exchange->body_len;
    const struct http_exchange_ops *ops = exchange->ops;

    exchange->state = EXCHANGE_HELD;
    exchange->unread = false;
    edge_carrier_cancel_timer(exchange->owner->carrier, &exchange->timer);
    exchange->in = (struct rt_buf){ 0 };
    if (all.len > len) {
        rt_buf_append(&exchange->in, all.data + len, all.len - len);
    }
    if (ops != NULL) {
        ops->on_body(exchange->ctx, exchange, (struct rt_span){ all.data, len });
    }
    rt_buf_fini(&all);
}

static void refuse_body(struct http_exchange *exchange, unsigned status, const char *text)
{
    exchange->keep_alive = false;
    tell_aborted(exchange);
    http_exchange_answer(exchange, status, "text/plain; charset=UTF-8", exchange->headers_413,
                         (struct rt_span){ (const uint8_t *)text, strlen(text) });
}

static void take(struct http_exchange *exchange)
{
    if (exchange->state == EXCHANGE_BODY && exchange->in.len >= exchange->body_len) {
        give_body(exchange);
    } else if (exchange->state == EXCHANGE_HELD && exchange->in.len >= AHEAD_MAX) {
        rt_io_want(exchange->io, 0);
    }
}

static void gone(struct http_exchange *exchange)
{
    tell_aborted(exchange);
    end(exchange);
}

static void read_on(struct http_exchange *exchange)
{
    uint8_t *input = exchange->owner->carrier->input;
    ssize_t got = recv(exchange->fd, input, CARRIER_INPUT_BYTES, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        gone(exchange);
    } else if (exchange->state != EXCHANGE_LINGERING) {
        rt_buf_append(&exchange->in, input, (size_t)got);
        take(exchange);
    }
}

static void on_io(void *ctx, int fd, int events)
{
    struct http_exchange *exchange = ctx;

    (void)fd;
    if (exchange->state == EXCHANGE_WRITING) {
        write_on(exchange);
    } else if ((events & RT_READ) != 0) {
        read_on(exchange);
    }
}

static void on_timer(struct wheel_timer *timer, rt_usec now)
{
    struct http_exchange *exchange = LIST_ELEMENT(timer, struct http_exchange, timer);

    (void)now;
    if (exchange->state == EXCHANGE_BODY) {
        refuse_body(exchange, 408, "The request took too long\n");
    } else {
        gone(exchange);
    }
}

/* --- exports ------------------------------------------------------------------------------------------------- */

struct http_exchange *http_exchange_new(struct http_exchange_owner *owner, int fd, bool keep_alive,
                                        bool has_body, const uint8_t *rest, size_t rest_len)
{
    struct http_exchange *exchange = rt_alloc(sizeof(*exchange));

    exchange->owner = owner;
    exchange->fd = fd;
    exchange->keep_alive = keep_alive;
    exchange->unread = has_body;
    exchange->timer.fire = on_timer;
    exchange->io = rt_io_new(owner->carrier->loop, fd, on_io, exchange);
    rt_buf_append(&exchange->in, rest, rest_len);
    list_append(&owner->exchanges, &exchange->node);
    owner->count++;
    return exchange;
}

void http_exchange_hold(struct http_exchange *exchange, const struct http_exchange_ops *ops,
                        void *ctx)
{
    exchange->ops = ops;
    exchange->ctx = ctx;
}

void http_exchange_want_body(struct http_exchange *exchange, uint64_t len, uint64_t max,
                             const char *headers)
{
    exchange->state = EXCHANGE_BODY;
    exchange->body_len = len;
    exchange->body_max = max;
    exchange->headers_413 = headers;
}

void http_exchange_go(struct http_exchange *exchange)
{
    if (exchange->state == EXCHANGE_WRITING) {
        return; /* answered already */
    }
    rt_io_want(exchange->io, RT_READ);
    if (exchange->state == EXCHANGE_BODY && exchange->body_len > exchange->body_max) {
        refuse_body(exchange, 413, "The body is larger than this server takes\n");
    } else if (exchange->state == EXCHANGE_BODY) {
        set_timeout(exchange, BODY_TIMEOUT);
        take(exchange);
    } else {
        exchange->state = EXCHANGE_HELD;
        take(exchange);
    }
}

bool http_exchange_pass(struct http_exchange *exchange, const char *process, struct rt_span bytes)
{
    if (!handover_pass(process, exchange->fd, bytes.data, bytes.len)) {
        return false;
    }
    rt_counter_add(exchange->owner->carrier->metrics.handed_over, 1);
    exchange->ops = NULL;
    end(exchange);
    return true;
}

void http_exchange_drop_all(struct http_exchange_owner *owner)
{
    struct list_node *node = NULL;

    while ((node = list_pop(&owner->exchanges)) != NULL) {
        gone(LIST_ELEMENT(node, struct http_exchange, node));
    }
}
