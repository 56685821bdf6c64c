/* edge/http_head.c - line by line, names compared without regard to case. */
#include "edge/http_head.h"

#include <string.h>
#include <strings.h>

#include "edge/http_token.h"

/* Besides an Upgrade to websocket. */
static const char *const kept[] = { "host", "connection", "authorization", "sec-websocket-key",
                                    "sec-websocket-version" };

struct line {
    const uint8_t *name;
    size_t name_len;
    const uint8_t *value; /* without white space around it */
    size_t value_len;
};

size_t http_head_length(const uint8_t *data, size_t len, size_t seen)
{
    size_t from = seen > 3 ? seen - 3 : 0;
    const uint8_t *end = memmem(data + from, len - from, "\r\n\r\n", 4);

    return end != NULL ? (size_t)(end - data) + 4 : 0;
}

static bool is_token(const uint8_t *data, size_t len)
{
    size_t at = 0;

    while (at < len && http_is_token_byte(data[at])) {
        at++;
    }
    return at == len && len > 0;
}

static bool is_text(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((data[i] < ' ' && data[i] != '\t') || data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool same(const uint8_t *data, size_t len, const char *text)
{
    return len == strlen(text) && strncasecmp((const char *)data, text, len) == 0;
}

/* "GET /path HTTP/1.1": three parts, one space between them. */
static const char *check_request_line(const uint8_t *data, size_t len, struct http_head *head)
{
    const uint8_t *first = memchr(data, ' ', len);
    if (first == NULL || !is_token(data, (size_t)(first - data))) {
        return "malformed request line";
    }
    const uint8_t *target = first + 1;
    const uint8_t *second = memchr(target, ' ', len - (size_t)(target - data));
    if (second == NULL || second == target || *target != '/') {
        return "malformed request target";
    }
    const uint8_t *version = second + 1;
    size_t version_len = len - (size_t)(version - data);
    if (!same(version, version_len, "HTTP/1.1") && !same(version, version_len, "HTTP/1.0")) {
        return "only HTTP/1.1 is spoken here";
    }
    size_t method_len = (size_t)(first - data);
    head->method = method_len == 3 && memcmp(data, "GET", 3) == 0    ? HTTP_GET
                   : method_len == 4 && memcmp(data, "HEAD", 4) == 0 ? HTTP_HEAD
                                                                     : HTTP_OTHER;
    return NULL;
}

static bool split_line(const uint8_t *data, size_t len, struct line *out)
{
    const uint8_t *colon = memchr(data, ':', len);

    if (colon == NULL || !is_token(data, (size_t)(colon - data))) {
        return false; /* folded lines begin with white space, so they end here too */
    }
    out->name = data;
    out->name_len = (size_t)(colon - data);
    out->value = colon + 1;
    out->value_len = len - out->name_len - 1;
    while (out->value_len > 0 && (*out->value == ' ' || *out->value == '\t')) {
        out->value++;
        out->value_len--;
    }
    while (out->value_len > 0 &&
           (out->value[out->value_len - 1] == ' ' || out->value[out->value_len - 1] == '\t')) {
        out->value_len--;
    }
    return true;
}

/* What is wrong with the line, or NULL; *keep: whether it stays. */
static const char *look_at(const struct line *line, struct http_head *head, bool *keep)
{
    *keep = false;
    if (same(line->name, line->name_len, "upgrade")) {
        bool first = !head->upgrade && same(line->value, line->value_len, "websocket");
        head->upgrade = head->upgrade || first;
        *keep = first;
        return NULL;
    }
    if (same(line->name, line->name_len, "sec-websocket-extensions")) {
        struct rt_span value = { line->value, line->value_len };
        return ws_offer_read(&head->deflate, value) ? NULL : "malformed Sec-WebSocket-Extensions";
    }
    if (same(line->name, line->name_len, "transfer-encoding")) {
        head->has_body = true;
    } else if (same(line->name, line->name_len, "content-length")) {
        head->has_body = head->has_body || !same(line->value, line->value_len, "0");
    }
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        *keep = *keep || same(line->name, line->name_len, kept[i]);
    }
    return NULL;
}

/* One line without its CRLF. *keep says whether it stays. */
static const char *check_line(const uint8_t *data, size_t len, bool first, struct http_head *head,
                              bool *keep)
{
    struct line line = { NULL, 0, NULL, 0 };

    *keep = true;
    if (!is_text(data, len)) {
        return "control character in the head";
    }
    if (first) {
        return check_request_line(data, len, head);
    }
    if (!split_line(data, len, &line)) {
        return "malformed header line";
    }
    return look_at(&line, head, keep);
}

const char *http_head_check(uint8_t *data, size_t len, struct http_head *out)
{
    struct http_head head = { .method = HTTP_OTHER };
    size_t at = 0;

    for (;;) {
        const uint8_t *stop = memmem(data + at, len - at, "\r\n", 2);
        if (stop == NULL) {
            return "malformed head";
        }
        size_t line_len = (size_t)(stop - (data + at));
        if (line_len == 0 && at > 0) {
            break;
        }
        bool keep = true;
        const char *wrong = check_line(data + at, line_len, at == 0, &head, &keep);
        if (wrong != NULL) {
            return wrong;
        }
        if (keep) {
            memmove(data + head.len, data + at, line_len + 2);
            head.len += line_len + 2;
        }
        at += line_len + 2;
    }
    data[head.len++] = '\r';
    data[head.len++] = '\n';
    *out = head;
    return NULL;
}
