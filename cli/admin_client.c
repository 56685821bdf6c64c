/* cli/admin_client.c - see admin_client.h. */
#include "cli/admin_client.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "runtime/address.h"

enum { PATIENCE_SECONDS = 3, MAX_ANSWER = 8 << 20, CHUNK = 16384 };

/* http://host:port/… and host:port mean the same. */
static bool split_address(const char *address, char host[RT_HOST_SIZE], char port[RT_PORT_SIZE])
{
    const char *at = strncmp(address, "http://", 7) == 0 ? address + 7 : address;
    char *text = rt_strndup(at, strcspn(at, "/"));
    bool ok = rt_address_split(text, host, port);

    free(text);
    return ok;
}

static int try_connect(const struct addrinfo *to)
{
    struct timeval patience = { PATIENCE_SECONDS, 0 };
    int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC, to->ai_protocol);

    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, to->ai_addr, to->ai_addrlen) != 0) {
        int reason = errno;
        close(fd);
        errno = reason == EINPROGRESS ? ETIMEDOUT : reason;
        return -1;
    }
    return fd;
}

static int open_connection(const char *address, struct rt_buf *error)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char host[RT_HOST_SIZE];
    char port[RT_PORT_SIZE];
    int fd = -1;

    if (!split_address(address, host, port)) {
        rt_buf_printf(error, "%s is not host:port", address);
        return -1;
    }
    int failed = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &found);
    if (failed != 0) {
        rt_buf_printf(error, "%s", gai_strerror(failed));
    } else {
        for (const struct addrinfo *to = found; to != NULL && fd < 0; to = to->ai_next) {
            fd = try_connect(to);
        }
        if (fd < 0) {
            rt_buf_printf(error, "%s", strerrordesc_np(errno));
        }
        freeaddrinfo(found);
    }
    return fd;
}

static bool exchange(int fd, const char *request, size_t len, struct rt_buf *answer)
{
    while (len > 0) {
        ssize_t sent = send(fd, request, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        request += sent;
        len -= (size_t)sent;
    }
    while (answer->len <= MAX_ANSWER) {
        ssize_t got = recv(fd, rt_buf_reserve(answer, CHUNK), CHUNK, 0);
        if (got <= 0) {
            return got == 0;
        }
        answer->len += (size_t)got;
    }
    return false;
}

/* The status, and the body behind the empty line. */
static int read_answer(struct rt_buf *answer, struct rt_buf *body)
{
    const char *text = rt_buf_cstr(answer);
    const char *gap = strstr(text, "\r\n\r\n");

    if (strncmp(text, "HTTP/1.", 7) != 0 || gap == NULL) {
        return 0;
    }
    const char *space = strchr(text, ' ');
    long status = space != NULL ? strtol(space + 1, NULL, 10) : 0;
    rt_buf_puts(body, gap + 4);
    return status >= 100 && status <= 599 ? (int)status : 0;
}

int cli_admin_get(const char *address, const char *path, struct rt_buf *body, struct rt_buf *error)
{
    struct rt_buf request = { 0 };
    struct rt_buf answer = { 0 };
    int status = 0;
    int fd = open_connection(address, error);

    if (fd < 0) {
        return 0;
    }
    rt_buf_printf(&request, "GET %s HTTP/1.1\r\nHost: pgtide\r\nConnection: close\r\n\r\n", path);
    if (exchange(fd, (const char *)request.data, request.len, &answer)) {
        status = read_answer(&answer, body);
    }
    if (status == 0) {
        rt_buf_puts(error, "no whole HTTP answer; is that an admin port?");
    }
    close(fd);
    rt_buf_fini(&request);
    rt_buf_fini(&answer);
    return status;
}

static void take_word(const char **at, const char *end, char *out, size_t out_size)
{
    while (*at < end && **at == ' ') {
        (*at)++;
    }
    size_t len = 0;
    while (*at < end && **at != ' ') {
        if (len + 1 < out_size) {
            out[len++] = **at;
        }
        (*at)++;
    }
    out[len] = '\0';
}

bool cli_condition_next(const char **body, struct cli_condition *out)
{
    while (**body != '\0') {
        const char *at = *body;
        const char *end = at + strcspn(at, "\r\n");
        char word[8];

        *body = end + strspn(end, "\r\n");
        take_word(&at, end, word, sizeof word);
        out->met = strcmp(word, "ok") == 0;
        if (!out->met && strcmp(word, "fail") != 0) {
            continue;
        }
        take_word(&at, end, out->name, sizeof out->name);
        while (at < end && *at == ' ') {
            at++;
        }
        size_t len = (size_t)(end - at);
        len = len < sizeof out->reason ? len : sizeof out->reason - 1;
        memcpy(out->reason, at, len);
        out->reason[len] = '\0';
        if (out->name[0] != '\0') {
            return true;
        }
    }
    return false;
}

bool cli_metric_sum(const char *exposition, const char *name, double *out_sum)
{
    size_t len = strlen(name);
    double sum = 0;
    bool found = false;

    for (const char *line = exposition; line[0] != '\0';) {
        const char *end = line + strcspn(line, "\n");
        if (strncmp(line, name, len) == 0 && (line[len] == ' ' || line[len] == '{')) {
            /* The value is behind the labels, whose quoted values may hold spaces and braces. */
            const char *value = end;
            while (value > line && value[-1] != ' ') {
                value--;
            }
            sum += strtod(value, NULL);
            found = true;
        }
        line = end + strspn(end, "\n");
    }
    if (found) {
        *out_sum = sum;
    }
    return found;
}
