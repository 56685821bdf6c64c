/* edge/http_answer.c - a table of answers and the one way to write them. */
#include "edge/http_answer.h"

#define JSON "application/json; charset=utf-8"
#define TEXT "text/plain; charset=utf-8"
#define BODY(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

const struct http_answer http_answer_ok = { 200, TEXT, NULL, BODY("ok\n") };
const struct http_answer http_answer_bad_head = {
    400, JSON, NULL, BODY("{\"error\":\"Malformed HTTP request\"}\n")
};
const struct http_answer http_answer_bad_handshake = {
    400, JSON, NULL,
    BODY("{\"error\":\"Malformed WebSocket handshake: Host, Connection: Upgrade and a "
         "Sec-WebSocket-Key of 16 bytes in base64 are needed, and no body\"}\n")
};
const struct http_answer http_answer_bad_token = {
    401, JSON, "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n",
    BODY("{\"error\":\"Invalid or expired token\"}")
};
const struct http_answer http_answer_not_found = {
    404, JSON, NULL, BODY("{\"error\":\"Not found. The page is at /, WebSockets at /realtime\"}\n")
};
const struct http_answer http_answer_disabled = {
    404, JSON, NULL, BODY("{\"error\":\"Feature not available\",\"code\":\"FEATURE_DISABLED\"}")
};
const struct http_answer http_answer_method = {
    405, JSON, "Allow: GET, HEAD\r\n", BODY("{\"error\":\"Only GET and HEAD are answered here\"}\n")
};
const struct http_answer http_answer_timeout = {
    408, JSON, NULL, BODY("{\"error\":\"The request took too long\"}\n")
};
const struct http_answer http_answer_upgrade = {
    426, JSON, "Upgrade: websocket\r\n",
    BODY("{\"error\":\"This path is a WebSocket: connect with ws:// or wss://\"}\n")
};
const struct http_answer http_answer_version = {
    426, JSON, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    BODY("{\"error\":\"Only WebSocket version 13 is spoken here\"}\n")
};
const struct http_answer http_answer_head_too_large = {
    431, JSON, NULL, BODY("{\"error\":\"Request header fields are larger than 16 KiB together\"}\n")
};

static const char *reason_of(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 426:
        return "Upgrade Required";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "Service Unavailable";
    }
}

struct http_answer http_answer_busy(unsigned retry_after)
{
    static const char *const headers[] = { "Retry-After: 1\r\n", "Retry-After: 2\r\n",
                                           "Retry-After: 3\r\n", "Retry-After: 4\r\n",
                                           "Retry-After: 5\r\n" };

    return (struct http_answer){
        503, JSON, headers[retry_after < 1 ? 0 : (retry_after > 5 ? 4 : retry_after - 1)],
        BODY("{\"error\":\"No room for more clients right now, try again after Retry-After\"}\n")
    };
}

struct http_answer http_answer_page(struct rt_span html)
{
    /* The page brings its own style and script and talks to this server only. */
    return (struct http_answer){
        .status = 200,
        .type = "text/html; charset=utf-8",
        .headers = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
                   "script-src 'unsafe-inline'; img-src data:; connect-src 'self' ws: wss:; "
                   "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n",
        .body = html,
    };
}

void http_answer_render_head(const struct http_answer *answer, struct rt_buf *out)
{
    rt_buf_printf(out,
                  "HTTP/1.1 %u %s\r\n"
                  "Content-Type: %s\r\n"
                  "Content-Length: %zu\r\n"
                  "Connection: %s\r\n"
                  "Cache-Control: no-store\r\n"
                  "X-Content-Type-Options: nosniff\r\n"
                  "Referrer-Policy: no-referrer\r\n"
                  "%s\r\n",
                  answer->status, reason_of(answer->status), answer->type, answer->body.len,
                  answer->status == 426 ? "Upgrade, close" : "close",
                  answer->headers != NULL ? answer->headers : "");
}
