/* runtime/admin.c - a listener and a few short-lived connections.
 *
 * A connection reads one request, writes one answer, closes its sending side, and waits for the other
 * end to close: closing with unread bytes would reset the connection and could destroy the answer on
 * its way. One timer per connection bounds all of it.
 */
#include "runtime/admin.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/address.h"
#include "runtime/admin_request.h"
#include "runtime/clock.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

enum { CONNECTIONS_MAX = 32, BACKLOG = 64 };
static const rt_usec CONNECTION_TIME = 5 * RT_SEC;
static const rt_usec ACCEPT_PAUSE = 100 * RT_MSEC;

enum step { READING, WRITING, LINGERING };

struct connection {
    struct rt_admin *admin;
    int fd;
    enum step step;
    struct rt_io *io;
    struct rt_timer *timer;
    struct rt_buf in;
    struct rt_buf out;
    size_t written;
    struct connection *prev;
    struct connection *next;
};

struct page {
    char *path;
    char *content_type;
    void (*render)(void *ctx, struct rt_buf *out);
    void *ctx;
    struct page *next;
};

struct rt_admin {
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_metrics *metrics;
    struct rt_health *health;
    int listener; /* -1: none */
    struct rt_io *accept_io;
    struct rt_timer *accept_timer; /* after running out of descriptors */
    struct connection *connections;
    int count;
    struct page *pages;
};

struct answer {
    int status;
    const char *content_type;
    struct rt_buf body;
};

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {
        { 200, "OK" },
        { 400, "Bad Request" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 413, "Content Too Large" },
        { 431, "Request Header Fields Too Large" },
        { 503, "Service Unavailable" },
        { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].status == status) {
            return texts[i].text;
        }
    }
    return "Error";
}

/* --- answers --- */

static void list_pages(const struct rt_admin *admin, struct rt_buf *out)
{
    rt_buf_puts(out, "/livez    the process runs and its loop turns\n"
                     "/readyz   it does its work: 200, or 503 and the reasons\n"
                     "/metrics  for Prometheus\n");
    for (const struct page *page = admin->pages; page != NULL; page = page->next) {
        rt_buf_printf(out, "%s\n", page->path);
    }
}

static bool path_is(struct rt_span path, const char *text)
{
    return strlen(text) == path.len && memcmp(path.data, text, path.len) == 0;
}

static void answer_path(struct rt_admin *admin, struct rt_span path, struct answer *answer)
{
    for (const struct page *page = admin->pages; page != NULL; page = page->next) {
        if (path_is(path, page->path)) {
            answer->content_type = page->content_type;
            page->render(page->ctx, &answer->body);
            return;
        }
    }
    if (path_is(path, "/livez")) {
        rt_buf_puts(&answer->body, "ok\n");
    } else if (path_is(path, "/readyz")) {
        answer->status = rt_health_ready(admin->health) ? 200 : 503;
        rt_health_render(admin->health, &answer->body);
    } else if (path_is(path, "/metrics")) {
        answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
        rt_metrics_render(admin->metrics, &answer->body);
    } else if (path_is(path, "/")) {
        list_pages(admin, &answer->body);
    } else {
        answer->status = 404;
        rt_buf_puts(&answer->body, "there is no such page; these are here:\n");
        list_pages(admin, &answer->body);
    }
}

static void format_answer(struct connection *conn, const struct answer *answer, bool head)
{
    rt_buf_printf(
        &conn->out,
        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n%sConnection: close\r\n\r\n",
        answer->status, status_text(answer->status), answer->content_type, answer->body.len,
        answer->status == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (!head) {
        rt_buf_append(&conn->out, answer->body.data, answer->body.len);
    }
}

/* --- connections --- */

static void close_connection(struct connection *conn)
{
    struct rt_admin *admin = conn->admin;
    *(conn->prev != NULL ? &conn->prev->next : &admin->connections) = conn->next;
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    }
    admin->count--;
    rt_io_free(conn->io);
    rt_timer_free(conn->timer);
    (void)close(conn->fd);
    rt_buf_fini(&conn->in);
    rt_buf_fini(&conn->out);
    free(conn);
    if (admin->accept_io != NULL) {
        rt_io_want(admin->accept_io, RT_READ);
    }
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* The connection may be gone afterwards. */
static void write_answer(struct connection *conn)
{
    while (conn->written < conn->out.len) {
        ssize_t sent = send(conn->fd, conn->out.data + conn->written, conn->out.len - conn->written,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && would_block()) {
            rt_io_want(conn->io, RT_WRITE);
            return;
        }
        if (sent <= 0) {
            close_connection(conn);
            return;
        }
        conn->written += (size_t)sent;
    }
    conn->step = LINGERING;
    (void)shutdown(conn->fd, SHUT_WR);
    rt_io_want(conn->io, RT_READ);
}

static void answer_request(struct connection *conn, int status,
                           const struct rt_admin_request *request, const char *reason)
{
    struct answer answer = { .status = status, .content_type = "text/plain; charset=utf-8" };
    if (status == 200) {
        answer_path(conn->admin, request->path, &answer);
    } else {
        rt_buf_printf(&answer.body, "%s\n", reason);
    }
    format_answer(conn, &answer, status == 200 && request->head);
    rt_buf_fini(&answer.body);
    conn->step = WRITING;
    write_answer(conn);
}

static void read_request(struct connection *conn)
{
    uint8_t *at = rt_buf_reserve(&conn->in, RT_ADMIN_REQUEST_MAX - conn->in.len);
    ssize_t got = recv(conn->fd, at, RT_ADMIN_REQUEST_MAX - conn->in.len, MSG_DONTWAIT);
    if (got < 0 && would_block()) {
        return;
    }
    if (got <= 0) {
        close_connection(conn);
        return;
    }
    conn->in.len += (size_t)got;
    struct rt_admin_request request = { 0 };
    const char *reason = "";
    int status = rt_admin_parse(rt_buf_span(&conn->in), &request, &reason);
    if (status != 0) {
        answer_request(conn, status, &request, reason);
    }
}

/* Throws away what still comes, until the end or the connection's time is up. */
static void linger(struct connection *conn)
{
    uint8_t waste[4096];
    ssize_t got = recv(conn->fd, waste, sizeof(waste), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && !would_block())) {
        close_connection(conn);
    }
}

static void on_connection(void *ctx, int fd, int events)
{
    (void)fd;
    (void)events;
    struct connection *conn = ctx;
    switch (conn->step) {
    case READING:
        read_request(conn);
        break;
    case WRITING:
        write_answer(conn);
        break;
    case LINGERING:
        linger(conn);
        break;
    }
}

static void on_connection_time(void *ctx)
{
    close_connection(ctx);
}

/* --- listening --- */

static void on_accept(void *ctx, int fd, int events)
{
    (void)events;
    struct rt_admin *admin = ctx;
    while (admin->count < CONNECTIONS_MAX) {
        int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted >= 0) {
            (void)rt_admin_adopt(admin, accepted);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            rt_log_warn(admin->log, "admin.accept_failed", RT_S("reason", strerrordesc_np(errno)));
            rt_io_want(admin->accept_io, 0);
            rt_timer_set(admin->accept_timer, ACCEPT_PAUSE, 0);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
    rt_io_want(admin->accept_io, 0); /* until one of them closes */
}

static void on_accept_again(void *ctx)
{
    struct rt_admin *admin = ctx;
    rt_io_want(admin->accept_io, RT_READ);
}

static int bind_one(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    info->ai_protocol);
    if (fd < 0) {
        return -1;
    }
    const int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
        return fd;
    }
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

/* The listening socket, or -1 with the reason. */
static int bind_address(const char *text, const char **reason)
{
    char host[RT_HOST_SIZE];
    char port[RT_PORT_SIZE];
    if (!rt_address_split(text, host, port)) {
        *reason = "not an address; write it as 127.0.0.1:9100 or [::1]:9100";
        return -1;
    }
    const struct addrinfo hints = { .ai_flags = AI_PASSIVE,
                                    .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &list);
    if (rc != 0) {
        *reason = gai_strerror(rc);
        return -1;
    }
    int fd = -1;
    int error = 0;
    rt_usec since = rt_now();
    do {
        for (const struct addrinfo *info = list; info != NULL && fd < 0; info = info->ai_next) {
            fd = bind_one(info);
            error = errno;
        }
    } while (fd < 0 && error == EADDRINUSE && rt_bind_again(since));
    *reason = fd < 0 ? strerrordesc_np(error) : NULL;
    freeaddrinfo(list);
    return fd;
}

static void log_address(struct rt_log *log, int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char host[RT_HOST_SIZE];
    char port[RT_PORT_SIZE];
    char text[RT_HOST_SIZE + RT_PORT_SIZE + 4] = "-";
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
        getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        bool v6 = strchr(host, ':') != NULL;
        (void)snprintf(text, sizeof(text), "%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
    }
    rt_log_info(log, "admin.listening", RT_S("address", text));
}

struct rt_admin *rt_admin_new(const struct rt_admin_config *config)
{
    int fd = -1;
    if (config->listen != NULL) {
        const char *reason = NULL;
        fd = bind_address(config->listen, &reason);
        if (fd < 0) {
            rt_log_error(config->log, "admin.bind_failed", RT_S("address", config->listen),
                         RT_S("reason", reason));
            return NULL;
        }
    }
    struct rt_admin *admin = rt_alloc(sizeof(*admin));
    admin->loop = config->loop;
    admin->log = config->log;
    admin->metrics = config->metrics;
    admin->health = config->health;
    admin->listener = fd;
    if (fd >= 0) {
        admin->accept_io = rt_io_new(admin->loop, fd, on_accept, admin);
        admin->accept_timer = rt_timer_new(admin->loop, on_accept_again, admin);
        rt_io_want(admin->accept_io, RT_READ);
        log_address(admin->log, fd);
    }
    return admin;
}

void rt_admin_free(struct rt_admin *admin)
{
    if (admin == NULL) {
        return;
    }
    struct connection *next = NULL;
    for (struct connection *conn = admin->connections; conn != NULL; conn = next) {
        next = conn->next;
        close_connection(conn);
    }
    while (admin->pages != NULL) {
        struct page *page = admin->pages;
        admin->pages = page->next;
        free(page->path);
        free(page->content_type);
        free(page);
    }
    rt_timer_free(admin->accept_timer);
    rt_io_free(admin->accept_io);
    if (admin->listener >= 0) {
        (void)close(admin->listener);
    }
    free(admin);
}

bool rt_admin_adopt(struct rt_admin *admin, int fd)
{
    if (admin->count >= CONNECTIONS_MAX) {
        (void)close(fd);
        return false;
    }
    struct connection *conn = rt_alloc(sizeof(*conn));
    conn->admin = admin;
    conn->fd = fd;
    conn->next = admin->connections;
    if (conn->next != NULL) {
        conn->next->prev = conn;
    }
    admin->connections = conn;
    admin->count++;
    conn->io = rt_io_new(admin->loop, fd, on_connection, conn);
    conn->timer = rt_timer_new(admin->loop, on_connection_time, conn);
    rt_io_want(conn->io, RT_READ);
    rt_timer_set(conn->timer, CONNECTION_TIME, 0);
    return true;
}

void rt_admin_page(struct rt_admin *admin, const char *path, const char *content_type,
                   void (*render)(void *ctx, struct rt_buf *out), void *ctx)
{
    struct page **at = &admin->pages;
    while (*at != NULL && strcmp((*at)->path, path) != 0) {
        at = &(*at)->next;
    }
    struct page *page = *at;
    if (page == NULL) {
        page = rt_alloc(sizeof(*page));
        page->path = rt_strdup(path);
        *at = page;
    }
    free(page->content_type);
    page->content_type = rt_strdup(content_type);
    page->render = render;
    page->ctx = ctx;
}
