/* runtime/admin_request.c - a parser that looks at every byte once it has the whole head. */
#include "runtime/admin_request.h"

#include <string.h>
#include <strings.h>

/* What is left to read; every take_ function moves it forward. */
struct cursor {
    const char *at;
    const char *end;
};

/* RFC 9110 5.6.2: the characters of methods and field names. */
static bool is_token_char(char c)
{
    bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    return alphanumeric || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static size_t token_length(const struct cursor *in)
{
    size_t len = 0;
    while (in->at + len < in->end && is_token_char(in->at[len])) {
        len++;
    }
    return len;
}

static bool equals(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* One line without its line break; false when the input has no whole line. */
static bool take_line(struct cursor *in, struct cursor *out_line)
{
    const char *feed = memchr(in->at, '\n', (size_t)(in->end - in->at));
    if (feed == NULL) {
        return false;
    }
    const char *end = feed > in->at && feed[-1] == '\r' ? feed - 1 : feed;
    *out_line = (struct cursor){ .at = in->at, .end = end };
    in->at = feed + 1;
    return true;
}

/* The empty line that ends the head is there. */
static bool is_complete(struct cursor in)
{
    struct cursor line = in;
    while (take_line(&in, &line)) {
        if (line.at == line.end) {
            return true;
        }
    }
    return false;
}

static int refuse(int status, const char *text, const char **reason)
{
    *reason = text;
    return status;
}

static int parse_target(struct cursor *line, struct rt_span *out_path, const char **reason)
{
    const char *start = line->at;
    while (line->at<line->end && * line->at> ' ' && *line->at < 0x7f) {
        line->at++;
    }
    size_t len = (size_t)(line->at - start);
    if (len == 0 || *start != '/') {
        return refuse(400, "the request target must be a path that starts with /", reason);
    }
    const char *query = memchr(start, '?', len);
    out_path->data = (const uint8_t *)start;
    out_path->len = query != NULL ? (size_t)(query - start) : len;
    return 200;
}

static int parse_request_line(struct cursor line, struct rt_admin_request *request,
                              const char **reason)
{
    const char *method = line.at;
    size_t method_len = token_length(&line);
    if (method_len == 0 || line.at + method_len >= line.end || line.at[method_len] != ' ') {
        return refuse(400, "this is not an HTTP request", reason);
    }
    line.at += method_len + 1;
    int status = parse_target(&line, &request->path, reason);
    if (status != 200) {
        return status;
    }
    size_t left = (size_t)(line.end - line.at);
    if (left < 6 || memcmp(line.at, " HTTP/", 6) != 0) {
        return refuse(400, "the request line must end with HTTP/1.1", reason);
    }
    if (!equals(line.at, left, " HTTP/1.1") && !equals(line.at, left, " HTTP/1.0")) {
        return refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken here", reason);
    }
    request->head = equals(method, method_len, "HEAD");
    if (!request->head && !equals(method, method_len, "GET")) {
        return refuse(405, "only GET and HEAD are answered here", reason);
    }
    return 200;
}

static bool announces_body(struct cursor name, struct cursor value)
{
    size_t len = (size_t)(name.end - name.at);
    if (len == 17 && strncasecmp(name.at, "transfer-encoding", len) == 0) {
        return true;
    }
    if (len != 14 || strncasecmp(name.at, "content-length", len) != 0) {
        return false;
    }
    while (value.at < value.end && (*value.at == ' ' || *value.at == '0')) {
        value.at++;
    }
    return value.at < value.end;
}

static int parse_field(struct cursor line, const char **reason)
{
    size_t name_len = token_length(&line);
    if (name_len == 0 || line.at + name_len >= line.end || line.at[name_len] != ':') {
        return refuse(400, "a header field is malformed", reason);
    }
    struct cursor name = { .at = line.at, .end = line.at + name_len };
    struct cursor value = { .at = name.end + 1, .end = line.end };
    for (const char *at = value.at; at < value.end; at++) {
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f) {
            return refuse(400, "a header field has a control character in it", reason);
        }
    }
    return announces_body(name, value) ? refuse(413, "a request here has no body", reason) : 200;
}

int rt_admin_parse(struct rt_span input, struct rt_admin_request *out, const char **reason)
{
    size_t seen = input.len < RT_ADMIN_REQUEST_MAX ? input.len : RT_ADMIN_REQUEST_MAX;
    const char *text = (const char *)input.data;
    if (seen == 0) {
        return 0;
    }
    struct cursor in = { .at = text, .end = text + seen };
    struct cursor line = in;
    if (!is_complete(in)) {
        return seen < RT_ADMIN_REQUEST_MAX
                   ? 0
                   : refuse(431, "the request is longer than 4096 bytes", reason);
    }
    struct rt_admin_request request = { 0 };
    (void)take_line(&in, &line); /* there is one, it is complete */
    int status = parse_request_line(line, &request, reason);
    while (status == 200 && take_line(&in, &line) && line.at < line.end) {
        status = parse_field(line, reason);
    }
    if (status == 200) {
        *out = request;
    }
    return status;
}
