/* cli/socket.c - see socket.h. */
#include "cli/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libwebsockets.h>

#include "runtime/buf.h"

enum {
    MAX_MESSAGE = 1 << 30,
    CONNECT_SECONDS = 10,
    PING_AFTER_SECONDS = 60,
    GONE_AFTER_SECONDS = 120
};

struct client {
    const struct cli_socket_config *config;
    struct rt_buf message;
    char *why;
    bool greeted;
    bool opened;
    bool done; /* on_text has had enough */
    bool over;
};

static void explain(struct client *client, const char *text, size_t len)
{
    if (client->why[0] == '\0') {
        snprintf(client->why, CLI_SOCKET_WHY_SIZE, "%.*s", (int)len, text);
    }
}

static int add_token(struct lws *wsi, struct client *client, unsigned char **at, size_t room)
{
    char value[8192];

    if (client->config->token == NULL) {
        return 0;
    }
    int len = snprintf(value, sizeof value, "Bearer %s", client->config->token);
    if (len < 0 || (size_t)len >= sizeof value) {
        explain(client, "the token is too long", 21);
        return -1;
    }
    return lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
                                        (const unsigned char *)value, len, at, *at + room);
}

static int greet(struct lws *wsi, struct client *client)
{
    size_t len = strlen(client->config->greeting);

    if (client->greeted) {
        return 0;
    }
    client->greeted = true;
    unsigned char *bytes = rt_alloc(LWS_PRE + len);
    memcpy(bytes + LWS_PRE, client->config->greeting, len);
    int sent = lws_write(wsi, bytes + LWS_PRE, len, LWS_WRITE_TEXT);
    free(bytes);
    return sent < (int)len ? -1 : 0;
}

static int receive(struct lws *wsi, struct client *client, const void *data, size_t len)
{
    if (client->message.len + len > MAX_MESSAGE) {
        explain(client, "a message is larger than 1 GiB", 30);
        return -1;
    }
    rt_buf_append(&client->message, data, len);
    if (lws_remaining_packet_payload(wsi) > 0 || !lws_is_final_fragment(wsi)) {
        return 0;
    }
    const char *text = rt_buf_cstr(&client->message);
    client->done = !client->config->on_text(client->config->ctx, text, client->message.len);
    rt_buf_clear(&client->message);
    if (!client->done) {
        return 0;
    }
    lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
    return -1;
}

/* Two bytes of code, then the reason. */
static void peer_closed(struct client *client, const unsigned char *body, size_t len)
{
    char text[CLI_SOCKET_WHY_SIZE];
    unsigned code = len >= 2 ? (unsigned)body[0] << 8 | body[1] : 1005;
    int reason_len = len > 2 ? (int)(len - 2) : 0;

    snprintf(text, sizeof text, "closed by the server with %u %.*s", code, reason_len,
             reason_len > 0 ? (const char *)body + 2 : "");
    explain(client, text, strlen(text));
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct client *client = lws_context_user(lws_get_context(wsi));

    (void)user;
    /* The library has some eighty reasons. NOLINTNEXTLINE */
    switch ((int)reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return add_token(wsi, client, in, len);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        client->opened = true;
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return greet(wsi, client);
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return receive(wsi, client, in, len);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        peer_closed(client, in, len);
        return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        explain(client, in != NULL ? in : "no connection", in != NULL ? len : 13);
        client->over = true;
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        explain(client, "the connection was lost", 23);
        client->over = true;
        return 0;
    default:
        return 0;
    }
}

static struct lws_context *make_context(struct client *client, bool tls)
{
    static const struct lws_protocols protocols[] = {
        { .name = "pgtide", .callback = on_event, .rx_buffer_size = 65536 },
        { .name = NULL },
    };
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .gid = -1,
        .uid = -1,
        .timeout_secs = CONNECT_SECONDS,
        .user = client,
        .options = tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
    };

    lws_set_log_level(0, NULL);
    return lws_create_context(&info);
}

/* The parts point into `text`, which is changed. */
static bool split_url(char *text, struct lws_client_connect_info *info)
{
    const char *scheme = NULL;
    const char *path = NULL;

    if (strstr(text, "://") == NULL ||
        lws_parse_uri(text, &scheme, &info->address, &info->port, &path) != 0) {
        return false;
    }
    bool tls = strcmp(scheme, "wss") == 0 || strcmp(scheme, "https") == 0;
    if (!tls && strcmp(scheme, "ws") != 0 && strcmp(scheme, "http") != 0) {
        return false;
    }
    info->ssl_connection = tls ? LCCSCF_USE_SSL : 0;
    /* The library leaves the slash out, except when it is all there is. */
    info->path = path[0] == '/' ? path + 1 : path;
    return info->address[0] != '\0';
}

static void run_connection(struct client *client, const struct lws_client_connect_info *target)
{
    static const lws_retry_bo_t idle = { .secs_since_valid_ping = PING_AFTER_SECONDS,
                                         .secs_since_valid_hangup = GONE_AFTER_SECONDS };
    char path[1024];
    char host[512];
    struct lws_client_connect_info info = *target;

    snprintf(path, sizeof path, "/%s", info.path[0] != '\0' ? info.path : "realtime");
    snprintf(host, sizeof host, "%s:%d", info.address, info.port);
    info.path = path;
    info.host = host;
    info.retry_and_idle_policy = &idle;
    info.local_protocol_name = "pgtide";
    info.context = make_context(client, info.ssl_connection != 0);
    if (info.context == NULL) {
        explain(client, "libwebsockets could not start", 29);
        return;
    }
    if (lws_client_connect_via_info(&info) == NULL) {
        explain(client, "no connection", 13);
        client->over = true;
    }
    while (!client->over && lws_service(info.context, 0) >= 0) {
    }
    lws_context_destroy(info.context);
}

enum cli_socket_end cli_socket_run(const struct cli_socket_config *config,
                                   char why[CLI_SOCKET_WHY_SIZE])
{
    struct client client = { .config = config, .why = why };
    struct lws_client_connect_info info = { 0 };
    char *url = rt_strdup(config->url);
    enum cli_socket_end end = CLI_SOCKET_BAD_URL;

    why[0] = '\0';
    if (split_url(url, &info)) {
        run_connection(&client, &info);
        end = client.opened ? CLI_SOCKET_CLOSED : CLI_SOCKET_UNREACHABLE;
        end = client.done ? CLI_SOCKET_DONE : end;
    }
    rt_buf_fini(&client.message);
    free(url);
    return end;
}
