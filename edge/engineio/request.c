/* edge/engineio/request.c - see edge/engineio/request.h. */
#include "edge/engineio/request.h"

#include <string.h>

#define CORS "Access-Control-Allow-Origin: *\r\n"
#define REFUSAL(text)                                                                              \
    {                                                                                              \
        400, "application/json", CORS,                                                             \
        {                                                                                          \
            (const uint8_t *)(text), sizeof(text) - 1                                              \
        }                                                                                          \
    }

enum { ALLOWED_MAX = 1024 }; /* bytes of header names that a preflight is told back */

const char eio_cors[] = CORS;

static const struct http_answer refusals[] = {
    [EIO_UNKNOWN_TRANSPORT] = REFUSAL("{\"code\":0,\"message\":\"Transport unknown\"}"),
    [EIO_UNKNOWN_SID] = REFUSAL("{\"code\":1,\"message\":\"Session ID unknown\"}"),
    [EIO_BAD_METHOD] = REFUSAL("{\"code\":2,\"message\":\"Bad handshake method\"}"),
    [EIO_BAD_REQUEST] = REFUSAL("{\"code\":3,\"message\":\"Bad request\"}"),
    [EIO_BAD_VERSION] = REFUSAL("{\"code\":5,\"message\":\"Unsupported protocol version\"}"),
};

const struct http_answer *eio_error_answer(enum eio_code code)
{
    return &refusals[code];
}

struct rt_span eio_error_body(enum eio_code code)
{
    return refusals[code].body;
}

static bool is(struct rt_span span, const char *text)
{
    return span.len == strlen(text) && memcmp(span.data, text, span.len) == 0;
}

static bool is_sid(const char *text)
{
    return strlen(text) == EIO_SID_LEN &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
               EIO_SID_LEN;
}

static void refuse(struct eio_request *out, enum eio_code code)
{
    out->wish = EIO_WISH_BAD;
    out->code = code;
}

static void read_first(const struct http_request *request, struct eio_request *out, bool websocket)
{
    char version[4];

    if (!is(request->method, "GET")) {
        refuse(out, EIO_BAD_METHOD);
    } else if (websocket != request->upgrade) {
        refuse(out, EIO_BAD_REQUEST);
    } else if (!http_request_argument(request, "EIO", version, sizeof(version)) ||
               strcmp(version, "4") != 0) {
        refuse(out, EIO_BAD_VERSION);
    }
}

static void read_next(const struct http_request *request, struct eio_request *out, bool websocket)
{
    bool as_it_should = websocket == request->upgrade;

    refuse(out, out->sid[0] == '\0' ? EIO_UNKNOWN_SID : EIO_BAD_REQUEST);
    if (out->sid[0] == '\0' || !as_it_should) {
        return;
    }
    if (is(request->method, "GET")) {
        out->wish = websocket ? EIO_WISH_UPGRADE : EIO_WISH_POLL;
    } else if (is(request->method, "POST") && !websocket) {
        out->wish = EIO_WISH_POST;
    }
}

void eio_request_read(const struct http_request *request, struct eio_request *out)
{
    char transport[12];
    char sid[EIO_SID_LEN + 2];

    *out = (struct eio_request){ .wish = EIO_WISH_OPEN };
    if (is(request->method, "OPTIONS")) {
        out->wish = EIO_WISH_PREFLIGHT;
        return;
    }
    if (!http_request_argument(request, "transport", transport, sizeof(transport))) {
        transport[0] = '\0';
    }
    bool websocket = strcmp(transport, "websocket") == 0;
    if (!websocket && strcmp(transport, "polling") != 0) {
        refuse(out, EIO_UNKNOWN_TRANSPORT);
        return;
    }
    /* One that is too long is none that could be one. */
    bool named = http_request_argument(request, "sid", sid, sizeof(sid));
    bool too_long = !named && request->query.len > 0 &&
                    memmem(request->query.data, request->query.len, "sid=", 4) != NULL;
    if (named && is_sid(sid)) {
        memcpy(out->sid, sid, sizeof(out->sid));
    }
    if ((named && sid[0] != '\0') || too_long) {
        read_next(request, out, websocket);
    } else {
        read_first(request, out, websocket);
    }
}

static bool is_list_of_names(struct rt_span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t lower = text.data[i] | 0x20;
        bool known = (lower >= 'a' && lower <= 'z') ||
                     (text.data[i] >= '0' && text.data[i] <= '9') || text.data[i] == '-' ||
                     text.data[i] == '_' || text.data[i] == ',' || text.data[i] == ' ';
        if (!known) {
            return false;
        }
    }
    return text.len <= ALLOWED_MAX;
}

void eio_preflight_headers(const struct http_request *request, struct rt_buf *out)
{
    struct rt_span asked;

    rt_buf_puts(out, CORS "Access-Control-Allow-Methods: GET,HEAD,PUT,PATCH,POST,DELETE\r\n"
                          "Vary: Access-Control-Request-Headers\r\n");
    if (http_request_header(request, "access-control-request-headers", 0, &asked) &&
        is_list_of_names(asked)) {
        rt_buf_puts(out, "Access-Control-Allow-Headers: ");
        rt_buf_append(out, asked.data, asked.len);
        rt_buf_puts(out, "\r\n");
    }
}
