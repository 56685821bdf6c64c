/* edge/staticbackend/http.c - what comes as a request: event streams, POSTs, preflights.
 *
 * A POST is answered `true` whatever becomes of its message; the reply goes down the stream of its sid. It may come to any process
 * of the host; the sid says to which one it is handed over. It is acted on if its token is that of the session.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/http_exchange.h"
#include "edge/http_head.h"
#include "edge/http_request.h"
#include "edge/staticbackend/parts.h"
#include "edge/staticbackend/sid.h"
#include "runtime/config.h"

#define JSON "application/json; charset=utf-8"
#define TEXT "text/plain; charset=utf-8"

struct post {
    struct staticbackend *sb;
    struct sb_tenant *tenant;
    struct rt_buf head;    /* as it came, to be handed over */
    struct rt_buf headers; /* of the answer */
};

/* --- the public key ------------------------------------------------------------------------------------------------ */

bool sb_cookie(struct rt_span cookies, const char *name, struct rt_span *out)
{
    size_t name_len = strlen(name);

    while (cookies.len > 0) {
        const uint8_t *stop = memchr(cookies.data, ';', cookies.len);
        size_t len = stop != NULL ? (size_t)(stop - cookies.data) : cookies.len;
        if (len > name_len && memcmp(cookies.data, name, name_len) == 0 &&
            cookies.data[name_len] == '=') {
            *out = (struct rt_span){ cookies.data + name_len + 1, len - name_len - 1 };
            return true;
        }
        size_t step = stop != NULL ? len + 1 : len;
        while (step < cookies.len && cookies.data[step] == ' ') {
            step++;
        }
        cookies = (struct rt_span){ cookies.data + step, cookies.len - step };
    }
    return false;
}

struct sb_tenant *sb_tenant_of_request(struct staticbackend *sb, const struct http_request *request,
                                       bool *out_named)
{
    struct rt_span key = { NULL, 0 };
    struct rt_span cookies = { NULL, 0 };
    char argument[SB_KEY_MAX + 1];

    *out_named = true;
    if (http_request_header(request, "sb-public-key", 0, &key)) {
        return sb_tenant_find(sb, key);
    }
    if (http_request_argument(request, "sbpk", argument, sizeof argument)) {
        return sb_tenant_find(sb, sb_span(argument));
    }
    if (http_request_header(request, "cookie", 0, &cookies) && sb_cookie(cookies, "pk", &key)) {
        return sb_tenant_find(sb, key);
    }
    *out_named = false;
    return NULL;
}

/* --- cross-origin requests ------------------------------------------------------------------------------------------- */

static void echo_header(const struct http_request *request, const char *asked, const char *answer,
                        struct rt_buf *out)
{
    struct rt_span value = { NULL, 0 };

    if (http_request_header(request, asked, 0, &value)) {
        rt_buf_printf(out, "%s: ", answer);
        rt_buf_append(out, value.data,
                      value.len); /* without control characters: http_head_check() */
        rt_buf_puts(out, "\r\n");
    }
}

/* Any origin: what protects a session is its token, which no browser sends by itself. */
static void write_cors(void *dialect, const struct http_request *request, struct rt_buf *out)
{
    struct rt_span origin = { NULL, 0 };

    (void)dialect;
    if (http_request_header(request, "origin", 0, &origin)) {
        echo_header(request, "origin", "Access-Control-Allow-Origin", out);
        echo_header(request, "access-control-request-method", "Access-Control-Allow-Methods", out);
        echo_header(request, "access-control-request-headers", "Access-Control-Allow-Headers", out);
    }
    rt_buf_puts(out, "Vary: Origin, Access-Control-Request-Method, "
                     "Access-Control-Request-Headers\r\n");
}

/* --- answers --------------------------------------------------------------------------------------------------------- */

static void answer(struct http_exchange *exchange, unsigned status, const char *type,
                   struct rt_buf *headers, const char *text)
{
    http_exchange_answer(exchange, status, type, rt_buf_cstr(headers), sb_span(text));
}

static void post_free(struct post *post)
{
    rt_buf_fini(&post->head);
    rt_buf_fini(&post->headers);
    free(post);
}

/* --- POST /sse/msg ---------------------------------------------------------------------------------------------------- */

static bool has_secret(const struct sb_session *session, struct rt_span token)
{
    uint64_t secret[2];

    sb_auth_secret(session->sb, token, secret);
    return ((secret[0] ^ session->secret[0]) | (secret[1] ^ session->secret[1])) == 0;
}

/* The token of the message is the client's only other proof; the header wins. */
static struct rt_span token_of(struct rt_span head, const struct sb_message *message)
{
    struct http_request request;
    struct rt_span value = { NULL, 0 };
    static const char scheme[] = "Bearer ";

    http_request_read(head, &request);
    if (http_request_header(&request, "authorization", 0, &value) &&
        value.len > sizeof scheme - 1 && memcmp(value.data, scheme, sizeof scheme - 1) == 0) {
        return (struct rt_span){ value.data + sizeof scheme - 1, value.len - (sizeof scheme - 1) };
    }
    return message->token;
}

static void act_on(struct post *post, const struct sb_message *message)
{
    struct staticbackend *sb = post->sb;
    struct sb_session *session = message->sid.len == SB_SID_LEN
                                     ? rt_map_get(sb->sessions, message->sid.data, SB_SID_LEN)
                                     : NULL;

    if (session == NULL || session->closing || session->form != SB_EVENT) {
        return; /* as the original: no such stream, nobody to tell */
    }
    if (session->tenant != post->tenant ||
        (session->authenticated && message->type != SB_AUTH &&
         !has_secret(session, token_of(rt_buf_span(&post->head), message)))) {
        rt_counter_add(sb->strangers, 1);
        return;
    }
    sb_session_message(session, message);
}

/* Whether the exchange is another process's now. */
static bool hand_over(struct post *post, struct http_exchange *exchange, struct rt_span sid,
                      struct rt_span body)
{
    char host[HANDOVER_NAME_LEN];

    if (!sb_sid_host(sid, host) || post->sb->host == NULL ||
        memcmp(host, post->sb->host, HANDOVER_NAME_LEN) == 0) {
        return false;
    }
    rt_buf_append(&post->head, body.data, body.len);
    return http_exchange_pass(exchange, host, rt_buf_span(&post->head));
}

static void on_body(void *ctx, struct http_exchange *exchange, struct rt_span body)
{
    struct post *post = ctx;
    struct sb_message message;
    const char *wrong = sb_message_read(body, &message);

    rt_counter_add(post->sb->messages, 1);
    if (wrong != NULL) {
        answer(exchange, 400, TEXT, &post->headers, wrong);
    } else if (!hand_over(post, exchange, message.sid, body)) {
        act_on(post, &message);
        answer(exchange, 200, JSON, &post->headers, "true");
    }
    sb_message_fini(&message);
    post_free(post);
}

static void on_abort(void *ctx, struct http_exchange *exchange)
{
    (void)exchange;
    post_free(ctx);
}

static const struct http_exchange_ops post_ops = { .on_body = on_body, .on_abort = on_abort };

/* What a message may have: it must fit into a hand-over with its head. */
static uint64_t body_max(const struct staticbackend *sb)
{
    uint64_t most = HANDOVER_BYTES - HTTP_HEAD_MAX;
    uint64_t wanted = (uint64_t)sb->config->realtime_max_message;

    return wanted < most ? wanted : most;
}

static void take_post(struct staticbackend *sb, struct http_exchange *exchange,
                      const struct http_request *request, struct rt_buf *headers)
{
    bool named = false;
    struct sb_tenant *tenant = sb_tenant_of_request(sb, request, &named);

    if (request->strange_body) {
        answer(exchange, 411, TEXT, headers, "a request with a body needs one Content-Length");
    } else if (tenant == NULL && !named) {
        answer(exchange, 401, TEXT, headers, "invalid StaticBackend public key");
    } else if (tenant == NULL) {
        answer(exchange, 500, TEXT, headers, "no such StaticBackend public key");
    } else {
        struct post *post = rt_alloc(sizeof *post);
        struct rt_span lines = request->lines;
        post->sb = sb;
        post->tenant = tenant;
        /* From the first byte of the request line to behind the empty line. */
        rt_buf_append(&post->head, request->method.data,
                      (size_t)(lines.data + lines.len - request->method.data));
        post->headers = *headers;
        *headers = (struct rt_buf){ 0 };
        http_exchange_hold(exchange, &post_ops, post);
        http_exchange_want_body(exchange, request->body_len, body_max(sb),
                                "Access-Control-Allow-Origin: *\r\n");
    }
}

/* --- what the server asks ------------------------------------------------------------------------------------------ */

static bool is(struct rt_span text, const char *word)
{
    return sb_same(text, sb_span(word));
}

/* A path with one slash behind it is the same path. */
static bool path_is(const struct http_request *request, const char *path)
{
    struct rt_span given = request->path;

    if (given.len > 1 && given.data[given.len - 1] == '/') {
        given.len--;
    }
    return is(given, path);
}

static void attach(void *dialect, struct edge_carrier *carrier, const char *process)
{
    struct staticbackend *sb = dialect;

    (void)carrier;
    free(sb->host);
    sb->host = rt_strdup(process);
}

static void detach(void *dialect)
{
    (void)dialect;
}

static bool enabled(void *dialect)
{
    const struct staticbackend *sb = dialect;

    return sb->tenant_count > 0 && sb->config->realtime_enabled;
}

static enum edge_claim claim(void *dialect, const struct http_request *request,
                             char process[HANDOVER_NAME_LEN])
{
    (void)dialect;
    (void)process;
    return path_is(request, "/sse/connect") && is(request->method, "GET") ? EDGE_CLAIM_STREAM
                                                                          : EDGE_CLAIM_HERE;
}

static void on_request(void *dialect, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct staticbackend *sb = dialect;
    struct rt_buf headers = { 0 };
    bool posts = path_is(request, "/sse/msg");

    write_cors(sb, request, &headers);
    if (is(request->method, "OPTIONS")) {
        answer(exchange, 200, TEXT, &headers, "");
    } else if (posts && is(request->method, "POST")) {
        take_post(sb, exchange, request, &headers);
    } else if (path_is(request, "/ws")) {
        rt_buf_puts(&headers, "Upgrade: websocket\r\n");
        answer(exchange, 426, TEXT, &headers, "this path is a WebSocket");
    } else {
        rt_buf_puts(&headers, posts ? "Allow: POST, OPTIONS\r\n" : "Allow: GET, OPTIONS\r\n");
        answer(exchange, 405, TEXT, &headers, "method not allowed");
    }
    rt_buf_fini(&headers);
}

#define BODY(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
static const struct http_answer no_key = { 401, TEXT, "Access-Control-Allow-Origin: *\r\n",
                                           BODY("invalid StaticBackend public key") };
static const struct http_answer unknown_key = { 500, TEXT, "Access-Control-Allow-Origin: *\r\n",
                                                BODY("no such StaticBackend public key") };
static const struct http_answer full = {
    429, TEXT, "Access-Control-Allow-Origin: *\r\nRetry-After: 5\r\n",
    BODY("the plan's limit of concurrent connections is reached")
};

static const struct http_answer *refuse_upgrade(void *dialect, const struct http_request *request)
{
    struct staticbackend *sb = dialect;
    bool named = false;
    struct sb_tenant *tenant = sb_tenant_of_request(sb, request, &named);

    if (request->upgrade && !path_is(request, "/ws")) {
        return &http_answer_not_found;
    }
    if (tenant == NULL && !named && request->upgrade) {
        tenant = &sb->tenants[0]; /* the client names no key on /ws; on_open does the same */
    }
    if (tenant == NULL) {
        return named ? &unknown_key : &no_key;
    }
    if (sb_tenant_is_full(tenant)) {
        rt_counter_add(tenant->refused, 1);
        return &full;
    }
    return NULL;
}

/* Streams and WebSockets are connections, and the server sends those away. */
static void drain(void *dialect, rt_usec spread)
{
    (void)dialect;
    (void)spread;
}

const struct edge_http_side sb_http_side = {
    .attach = attach,
    .detach = detach,
    .enabled = enabled,
    .claim = claim,
    .on_request = on_request,
    .refuse_upgrade = refuse_upgrade,
    .stream_headers = write_cors,
    .drain = drain,
};
