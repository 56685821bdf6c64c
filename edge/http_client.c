/* edge/http_client.c - READING ──head──▶ (released) or WRITING ──all sent──▶ LINGERING ──EOF, 2 s──▶ gone. */
#include "edge/http_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/http_head.h"
#include "runtime/loop.h"

static const rt_usec HEAD_TIMEOUT = 10 * RT_SEC;
static const rt_usec ANSWER_TIMEOUT = 20 * RT_SEC;
static const rt_usec LINGER_TIMEOUT = 2 * RT_SEC;

enum client_state { CLIENT_READING, CLIENT_WRITING, CLIENT_LINGERING };

struct http_client {
    struct http_client_owner *owner;
    struct list_node node;
    struct wheel_timer timer;
    struct rt_io *io;
    int fd;
    enum client_state state;
    struct rt_buf head; /* READING: what came so far; WRITING: the answer's head */
    struct rt_span body;
    size_t sent; /* of head and body together */
    bool idle;   /* has had an answer, and need not ask again */
};

static void forget(struct http_client *client)
{
    struct http_client_owner *owner = client->owner;

    edge_carrier_cancel_timer(owner->carrier, &client->timer);
    list_remove(&client->node);
    rt_io_free(client->io);
    rt_buf_fini(&client->head);
    free(client);
    owner->count--;
    rt_gauge_set(owner->carrier->metrics.pending, (double)owner->count);
    owner->on_freed(owner->ctx);
}

static void end(struct http_client *client)
{
    (void)close(client->fd);
    forget(client);
}

static void set_timeout(struct http_client *client, rt_usec after)
{
    edge_carrier_set_timer(client->owner->carrier, &client->timer, rt_now() + after);
}

/* --- answering --- */

static void linger(struct http_client *client)
{
    if (shutdown(client->fd, SHUT_WR) != 0) {
        end(client);
        return;
    }
    client->state = CLIENT_LINGERING;
    rt_io_want(client->io, RT_READ);
    set_timeout(client, LINGER_TIMEOUT);
}

/* What is to be sent next: the rest of the head, else of the body. */
static struct rt_span left_to_send(const struct http_client *client)
{
    size_t head = client->head.len;

    if (client->sent < head) {
        return (struct rt_span){ client->head.data + client->sent, head - client->sent };
    }
    size_t passed = client->sent - head;
    return (struct rt_span){ passed < client->body.len ? client->body.data + passed : NULL,
                             client->body.len - passed };
}

static void write_on(struct http_client *client)
{
    for (;;) {
        struct rt_span part = left_to_send(client);
        if (part.len == 0) {
            linger(client);
            return;
        }
        /* Head and body leave in one segment when they fit. */
        int more = client->sent < client->head.len && client->body.len > 0 ? MSG_MORE : 0;
        ssize_t sent = send(client->fd, part.data, part.len, MSG_NOSIGNAL | MSG_DONTWAIT | more);
        if (sent >= 0) {
            client->sent += (size_t)sent;
        } else if (errno == EAGAIN) {
            rt_io_want(client->io, RT_WRITE);
            return;
        } else if (errno != EINTR) {
            end(client);
            return;
        }
    }
}

void http_client_answer(struct http_client *client, const struct http_answer *answer,
                        bool with_body)
{
    edge_metrics_answered(&client->owner->carrier->metrics, answer->status);
    rt_buf_clear(&client->head);
    http_answer_render_head(answer, &client->head);
    client->body = with_body ? answer->body : (struct rt_span){ NULL, 0 };
    client->sent = 0;
    client->state = CLIENT_WRITING;
    set_timeout(client, ANSWER_TIMEOUT);
    write_on(client);
}

static void refuse(struct http_client *client, enum edge_refusal why,
                   const struct http_answer *answer)
{
    rt_counter_add(client->owner->carrier->metrics.refused[why], 1);
    http_client_answer(client, answer, true);
}

/* --- reading --- */

/* `data` is all that has come; `seen` of it has been looked at. Returns whether more is needed. */
static bool take_input(struct http_client *client, uint8_t *data, size_t len, size_t seen)
{
    struct http_client_owner *owner = client->owner;
    size_t head = http_head_length(data, len, seen);

    if (head > HTTP_HEAD_MAX || (head == 0 && len >= HTTP_HEAD_MAX)) {
        refuse(client, EDGE_REFUSED_HEAD, &http_answer_head_too_large);
        return false;
    }
    client->idle = client->idle && len == 0;
    if (head == 0) {
        return true;
    }
    /* The buffer must outlive on_head(), which may end the client. */
    struct rt_buf kept = client->head;
    client->head = (struct rt_buf){ 0 };
    owner->on_head(owner->ctx, client, (struct http_input){ data, head, data + head, len - head });
    rt_buf_fini(&kept);
    return false;
}

static void read_on(struct http_client *client)
{
    uint8_t *input = client->owner->carrier->input;
    ssize_t got = recv(client->fd, input, CARRIER_INPUT_BYTES, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        end(client);
        return;
    }
    if (client->state != CLIENT_READING) {
        return; /* read away */
    }
    if (client->head.len == 0) {
        if (take_input(client, input, (size_t)got, 0)) {
            rt_buf_append(&client->head, input, (size_t)got);
        }
        return;
    }
    size_t seen = client->head.len;
    rt_buf_append(&client->head, input, (size_t)got);
    (void)take_input(client, client->head.data, client->head.len, seen);
}

static void on_io(void *ctx, int fd, int events)
{
    struct http_client *client = ctx;

    (void)fd;
    if (client->state == CLIENT_WRITING) {
        write_on(client);
    } else if ((events & RT_READ) != 0) {
        read_on(client);
    }
}

static void on_timer(struct wheel_timer *timer, rt_usec now)
{
    struct http_client *client = LIST_ELEMENT(timer, struct http_client, timer);

    (void)now;
    if (client->state == CLIENT_READING && !client->idle) {
        rt_counter_add(client->owner->carrier->metrics.refused[EDGE_REFUSED_TIMEOUT], 1);
    }
    if (client->state == CLIENT_READING && client->head.len > 0) {
        http_client_answer(client, &http_answer_timeout, true);
    } else {
        end(client);
    }
}

/* --- exports --- */

static struct http_client *add(struct http_client_owner *owner, int fd)
{
    struct http_client *client = rt_alloc(sizeof(*client));

    client->owner = owner;
    client->fd = fd;
    client->timer.fire = on_timer;
    client->io = rt_io_new(owner->carrier->loop, fd, on_io, client);
    list_append(&owner->clients, &client->node);
    owner->count++;
    rt_gauge_set(owner->carrier->metrics.pending, (double)owner->count);
    rt_io_want(client->io, RT_READ);
    set_timeout(client, HEAD_TIMEOUT);
    return client;
}

void http_client_new(struct http_client_owner *owner, int fd)
{
    (void)add(owner, fd);
}

void http_client_continue(struct http_client_owner *owner, int fd, uint8_t *data, size_t len)
{
    struct http_client *client = add(owner, fd);

    client->idle = true;
    if (len > 0 && take_input(client, data, len, 0)) {
        rt_buf_append(&client->head, data, len);
    }
}

int http_client_descriptor(const struct http_client *client)
{
    return client->fd;
}

void http_client_give_away(struct http_client *client)
{
    rt_io_detach(client->io);
    end(client);
}

int http_client_release(struct http_client *client)
{
    int fd = client->fd;

    forget(client);
    return fd;
}

/* Nothing waits for it: it leaves with the end of the connection, or not at all. A client that has sent something would
 * not get it, since closing a socket with unread input resets the connection. */
static void say_farewell(struct http_client *client, const struct http_answer *answer)
{
    edge_metrics_answered(&client->owner->carrier->metrics, answer->status);
    http_answer_render_head(answer, &client->head);
    rt_buf_append(&client->head, answer->body.data, answer->body.len);
    (void)send(client->fd, client->head.data, client->head.len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool http_client_drop_oldest(struct http_client_owner *owner, const struct http_answer *farewell)
{
    struct list_node *node = list_pop(&owner->clients);

    if (node == NULL) {
        return false;
    }
    struct http_client *client = LIST_ELEMENT(node, struct http_client, node);
    if (farewell != NULL && client->state == CLIENT_READING && client->head.len == 0 &&
        !client->idle) {
        say_farewell(client, farewell);
    }
    end(client);
    return true;
}

void http_client_drop_all(struct http_client_owner *owner)
{
    while (http_client_drop_oldest(owner, NULL)) {
    }
}
