/* edge/http_request.c - see edge/http_request.h. */
#include "edge/http_request.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static bool same(struct rt_span span, const char *text)
{
    return span.len == strlen(text) && strncasecmp((const char *)span.data, text, span.len) == 0;
}

static struct rt_span trimmed(const uint8_t *data, size_t len)
{
    while (len > 0 && (*data == ' ' || *data == '\t')) {
        data++;
        len--;
    }
    while (len > 0 && (data[len - 1] == ' ' || data[len - 1] == '\t')) {
        len--;
    }
    return (struct rt_span){ data, len };
}

/* The part of *rest before the first `stop`, which is skipped; all of it when there is none. */
static struct rt_span cut(struct rt_span *rest, char stop)
{
    const uint8_t *at = rest->len > 0 ? memchr(rest->data, stop, rest->len) : NULL;
    size_t len = at != NULL ? (size_t)(at - rest->data) : rest->len;
    struct rt_span part = { rest->data, len };
    size_t used = at != NULL ? len + 1 : len;

    rest->data = rest->data != NULL ? rest->data + used : NULL;
    rest->len -= used;
    return part;
}

/* The next header line as name and value; false at the end. */
static bool next_line(struct rt_span *rest, struct rt_span *name, struct rt_span *value)
{
    struct rt_span line = cut(rest, '\n');

    if (line.len < 2) { /* "\r": the empty line */
        return false;
    }
    line.len--;
    *name = cut(&line, ':');
    *value = trimmed(line.data, line.len);
    return true;
}

bool http_request_header(const struct http_request *request, const char *name, unsigned nth,
                         struct rt_span *value)
{
    struct rt_span rest = request->lines;
    struct rt_span found;

    while (next_line(&rest, &found, value)) {
        if (same(found, name) && nth-- == 0) {
            return true;
        }
    }
    return false;
}

/* --- the head ------------------------------------------------------------------------------------------------ */

static bool read_length(struct rt_span text, uint64_t *out)
{
    uint64_t sum = 0;

    if (text.len == 0 || text.len > 15) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        sum = sum * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = sum;
    return true;
}

/* Whether a comma-separated list has this word. */
static bool lists(struct rt_span list, const char *word)
{
    while (list.len > 0) {
        struct rt_span item = cut(&list, ',');
        if (same(trimmed(item.data, item.len), word)) {
            return true;
        }
    }
    return false;
}

static void look_at(struct http_request *out, struct rt_span name, struct rt_span value,
                    bool *has_length)
{
    if (same(name, "content-length")) {
        out->strange_body = out->strange_body || *has_length || !read_length(value, &out->body_len);
        *has_length = true;
    } else if (same(name, "transfer-encoding")) {
        out->strange_body = true;
    } else if (same(name, "upgrade")) {
        out->upgrade = out->upgrade || same(value, "websocket");
    } else if (same(name, "connection")) {
        if (lists(value, "close")) {
            out->keep_alive = false;
        }
    }
}

void http_request_read(struct rt_span head, struct http_request *out)
{
    struct rt_span rest = head;
    struct rt_span line = cut(&rest, '\n');
    struct rt_span name;
    struct rt_span value;
    bool has_length = false;

    *out = (struct http_request){ .method = cut(&line, ' ') };
    struct rt_span target = cut(&line, ' ');
    line.len -= line.len > 0 ? 1 : 0; /* the CR */
    out->keep_alive = same(line, "HTTP/1.1");
    out->path = cut(&target, '?');
    out->query = target;
    out->lines = rest;
    while (next_line(&rest, &name, &value)) {
        look_at(out, name, value, &has_length);
    }
}

/* --- the query ----------------------------------------------------------------------------------------------- */

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(struct rt_span text, char *out, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i] == '+' ? ' ' : text.data[i];
        if (c == '%' && i + 2 < text.len && hex(text.data[i + 1]) >= 0 &&
            hex(text.data[i + 2]) >= 0) {
            c = (uint8_t)(hex(text.data[i + 1]) * 16 + hex(text.data[i + 2]));
            i += 2;
        }
        if (c == 0 || len + 1 >= size) {
            return false;
        }
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return true;
}

bool http_request_argument(const struct http_request *request, const char *name, char *out,
                           size_t size)
{
    struct rt_span rest = request->query;

    while (rest.len > 0) {
        struct rt_span value = cut(&rest, '&');
        struct rt_span key = cut(&value, '=');
        if (key.len == strlen(name) && memcmp(key.data, name, key.len) == 0) {
            return decode(value, out, size);
        }
    }
    return false;
}

/* --- the other side ------------------------------------------------------------------------------------------ */

void http_peer_of(int fd, char out[HTTP_PEER_SIZE])
{
    struct sockaddr_storage address = { 0 };
    socklen_t len = sizeof(address);

    out[0] = '\0';
    if (getpeername(fd, (struct sockaddr *)&address, &len) != 0) {
        return;
    }
    if (address.ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, &address, sizeof(v4));
        (void)inet_ntop(AF_INET, &v4.sin_addr, out, HTTP_PEER_SIZE);
    } else if (address.ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, &address, sizeof(v6));
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            (void)inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, out, HTTP_PEER_SIZE);
        } else {
            (void)inet_ntop(AF_INET6, &v6.sin6_addr, out, HTTP_PEER_SIZE);
        }
    }
}
