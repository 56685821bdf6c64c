/* edge/handshake.c - the only file that includes libwebsockets.
 *
 * The order inside handshake_run(): adopt the pair's end with the head as its read-ahead, which services it at
 * once: parse, CONFIRM_UPGRADE or HTTP (here the request is copied), FILTER_PROTOCOL_CONNECTION, the
 * 101 written into the pair, ESTABLISHED. Then the connection is closed with KILL_SYNC, if it still lives.
 */
#include "edge/handshake.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libwebsockets.h>

#include "runtime/log.h"

enum {
    /* One at a time, plus libwebsockets' own wake-up descriptor; a limit below ulimit -n also turns its search
     * and its checks on close into loops over this many entries. */
    LWS_DESCRIPTORS = 16,
    LWS_HEADER_BYTES = HTTP_HEAD_MAX + 1024,
    /* One service call takes one of these from the read-ahead; the head must fit. */
    LWS_SERVICE_BYTES = HTTP_HEAD_MAX + 1024,
    RESPONSE_MAX = 4096,
    KEY_LEN = 24, /* Sec-WebSocket-Key: 16 bytes in base64 */
};

struct handshake {
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct lws *live; /* the connection libwebsockets has, if any */
    bool parsed;
    bool upgrading;
    struct handshake_request request;
    uint8_t response[RESPONSE_MAX];
};

/* libwebsockets' log function has no context argument, so this one pointer is the process's. */
static struct rt_log *lws_log;

static void on_lws_log(int level, const char *line)
{
    /* Written at "error" level for every adoption with read-ahead, though nothing is wrong. */
    if (lws_log == NULL || strstr(line, "adopt_socket_readbuf: ") != NULL) {
        return;
    }
    size_t len = strlen(line);
    while (len > 0 && line[len - 1] == '\n') {
        len--;
    }
    if ((level & LLL_ERR) != 0) {
        rt_log_warn(lws_log, "lws.error", RT_SN("text", line, len));
    } else {
        rt_log_warn(lws_log, "lws.warning", RT_SN("text", line, len));
    }
}

/* --- the request --- */

static void copy_path(struct lws *wsi, struct handshake_request *request, bool head_method)
{
    enum lws_token_indexes token = head_method ? WSI_TOKEN_HEAD_URI : WSI_TOKEN_GET_URI;

    if (lws_hdr_copy(wsi, request->path, (int)sizeof(request->path), token) <= 0) {
        request->path[0] = '\0';
    }
}

static void set_token(struct handshake_request *request, const char *text)
{
    request->has_token = true;
    request->token_len = strlen(text);
    memmove(request->token, text, request->token_len + 1);
}

/* The header wins. A scheme other than Bearer counts as no token. */
static void copy_token(struct lws *wsi, struct handshake_request *request)
{
    static const char scheme[] = "Bearer ";
    int len = lws_hdr_copy(wsi, request->token, (int)sizeof(request->token),
                           WSI_TOKEN_HTTP_AUTHORIZATION);

    if (len > 0 && strncasecmp(request->token, scheme, sizeof(scheme) - 1) == 0) {
        const char *at = request->token + sizeof(scheme) - 1;
        set_token(request, at + strspn(at, " "));
        return;
    }
    for (int i = 0;; i++) {
        len = lws_hdr_copy_fragment(wsi, request->token, (int)sizeof(request->token),
                                    WSI_TOKEN_HTTP_URI_ARGS, i);
        if (len == -1) {
            break; /* no further argument */
        }
        /* "token=" with nothing behind it is what a page sends for somebody who has not signed in. */
        if (len > 6 && strncmp(request->token, "token=", 6) == 0) {
            set_token(request, request->token + 6);
            return;
        }
    }
    request->token[0] = '\0';
}

/* Any other value is the default, so that a page may send transactions=false. The room for the token is used to look at
 * each argument, since it is large enough for all. */
static void copy_flags(struct lws *wsi, struct handshake_request *request)
{
    for (int i = 0; lws_hdr_copy_fragment(wsi, request->token, (int)sizeof(request->token),
                                          WSI_TOKEN_HTTP_URI_ARGS, i) != -1;
         i++) {
        request->transactions =
            request->transactions || strcmp(request->token, "transactions=true") == 0;
    }
}

static void copy_request(struct handshake *hs, struct lws *wsi)
{
    struct handshake_request *request = &hs->request;
    char version[8] = "";

    hs->parsed = true;
    copy_path(wsi, request, lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0);
    copy_flags(wsi, request);
    copy_token(wsi, request);
    request->version_13 = lws_hdr_copy(wsi, version, (int)sizeof(version), WSI_TOKEN_VERSION) > 0 &&
                          strcmp(version, "13") == 0;
}

/* libwebsockets takes any key below 128 bytes. */
static bool key_is_valid(struct lws *wsi)
{
    char key[KEY_LEN + 1] = "";
    size_t used = 0;

    if (lws_hdr_copy(wsi, key, (int)sizeof(key), WSI_TOKEN_KEY) != KEY_LEN) {
        return false;
    }
    used = strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    return used == KEY_LEN - 2 && strcmp(key + used, "==") == 0;
}

/* Returning -1 closes the connection of libwebsockets. */
static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    (void)user;
    (void)in; /* for CONFIRM_UPGRADE it may be freed memory (CVE-2025-11677) */
    (void)len;
    struct handshake *hs = wsi != NULL ? lws_context_user(lws_get_context(wsi)) : NULL;

    if (hs == NULL) {
        return 0;
    }
    switch ((int)reason) {
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        hs->live = wsi;
        return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        copy_request(hs, wsi);
        return hs->upgrading && hs->request.version_13 && key_is_valid(wsi) ? 0 : -1;
    case LWS_CALLBACK_HTTP:
        copy_request(hs, wsi);
        return -1; /* the answer is written by edge/server.c */
    case LWS_CALLBACK_ESTABLISHED:
        hs->request.established = lws_partial_buffered(wsi) == 0;
        return 0;
    case LWS_CALLBACK_RAW_ADOPT: /* CONNECT */
    case LWS_CALLBACK_RAW_RX:
        return -1;
    case LWS_CALLBACK_WSI_DESTROY:
        if (wsi == hs->live) {
            hs->live = NULL;
        }
        return 0;
    default:
        return 0;
    }
}

/* --- exports --- */

static const struct lws_protocols protocols[] = {
    /* A receive buffer of this size is allocated per handshake and never used. */
    { .name = "pgtide", .callback = on_event, .rx_buffer_size = 128, .tx_packet_size = 4096 },
    { .name = NULL },
};

struct handshake *handshake_new(struct rt_log *log)
{
    struct handshake *hs = rt_alloc(sizeof(*hs));
    static const lws_retry_bo_t no_validity_timers;
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .gid = -1,
        .uid = -1,
        .user = hs,
        .fd_limit_per_thread = LWS_DESCRIPTORS,
        .max_http_header_data = LWS_HEADER_BYTES,
        .max_http_header_pool = 2,
        .pt_serv_buf_size = LWS_SERVICE_BYTES,
        .retry_and_idle_policy = &no_validity_timers,
        .alpn = "http/1.1",
        .options = LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS |
                   LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME | LWS_SERVER_OPTION_DISABLE_IPV6,
    };

    lws_log = log;
    lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
    hs->context = lws_create_context(&info);
    if (hs->context == NULL) {
        rt_log_error(log, "lws.not_created", RT_S("reason", "libwebsockets made no context"));
        free(hs);
        return NULL;
    }
    hs->vhost = lws_get_vhost_by_name(hs->context, "default");
    return hs;
}

void handshake_free(struct handshake *hs)
{
    if (hs != NULL) {
        lws_context_destroy(hs->context);
        lws_log = NULL;
        free(hs);
    }
}

static void let_go(struct handshake *hs)
{
    if (hs->live != NULL) {
        lws_set_timeout(hs->live, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
    }
}

const struct handshake_request *handshake_run(struct handshake *hs, const struct http_head *head,
                                              const uint8_t *data)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        return NULL;
    }
    hs->parsed = false;
    hs->upgrading = head->upgrade;
    hs->request.path[0] = '\0';
    hs->request.token[0] = '\0';
    hs->request.token_len = 0;
    hs->request.has_token = false;
    hs->request.transactions = false;
    hs->request.version_13 = false;
    hs->request.deflate = head->deflate;
    hs->request.established = false;
    hs->request.response = (struct rt_span){ hs->response, 0 };
    /* From here on pair[1] is libwebsockets'. */
    (void)lws_adopt_socket_vhost_readbuf(hs->vhost, pair[1], (const char *)data, head->len);
    let_go(hs);
    if (hs->request.established) {
        ssize_t got = recv(pair[0], hs->response, sizeof(hs->response), MSG_DONTWAIT);
        hs->request.response.len = got > 0 ? (size_t)got : 0;
        hs->request.established = got > 0;
    }
    (void)close(pair[0]);
    return hs->parsed ? &hs->request : NULL;
}
