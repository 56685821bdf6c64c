/* edge/fluxbase/rest.c - see rest.h. A request is a client of the hub for as long as it waits for its answer. */
#include "edge/fluxbase/rest.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "edge/fluxbase/channel.h"
#include "edge/http_exchange.h"
#include "edge/http_request.h"
#include "edge/json_out.h"
#include "edge/list.h"
#include "runtime/config.h"
#include "runtime/json.h"
#include "runtime/loop.h"
#include "runtime/process.h"

static const char type[] = "application/json; charset=utf-8";
static const char service_role[] = "service_role";

struct fluxbase_rest {
    const struct rt_config *config;
    struct hub *hub;
    const struct token_verifier *verifier;
    rt_usec (*wall_now)(void);
    struct rt_defer *reap;
    struct list_node waiting; /* requests */
    struct list_node done;    /* to be freed when the hub does not call any more */
};

struct request {
    struct fluxbase_rest *rest;
    struct list_node node;
    struct http_exchange *exchange; /* NULL: the client is gone */
    struct identity identity;       /* until it has joined */
    struct hub_client *client;
    struct rt_buf channel;
};

/* --- answers ---------------------------------------------------------------------------------------------------- */

static void answer(struct http_exchange *exchange, unsigned status, const struct rt_buf *body)
{
    if (exchange != NULL) {
        http_exchange_answer(exchange, status, type,
                             status == 401 ? "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n"
                             : status == 405 ? "Allow: POST\r\n"
                                             : NULL,
                             rt_buf_span(body));
    }
}

static void fail(struct http_exchange *exchange, unsigned status, struct rt_span why)
{
    struct rt_buf body = { 0 };

    rt_buf_puts(&body, "{\"success\":false,");
    (void)json_out_text_member(&body, "error", (const char *)why.data, why.len);
    rt_buf_puts(&body, "}");
    answer(exchange, status, &body);
    rt_buf_fini(&body);
}

static void fail_with(struct http_exchange *exchange, unsigned status, const char *why)
{
    fail(exchange, status, (struct rt_span){ (const uint8_t *)why, strlen(why) });
}

static void request_free(struct request *request)
{
    hub_leave(request->client);
    identity_fini(&request->identity);
    list_remove(&request->node);
    rt_buf_fini(&request->channel);
    free(request);
}

static void on_reap(void *ctx)
{
    struct fluxbase_rest *rest = ctx;

    LIST_EACH(at, after, &rest->done)
    {
        request_free(LIST_ELEMENT(at, struct request, node));
    }
}

/* The hub may be calling: it is left later. */
static void finish(struct request *request)
{
    request->exchange = NULL;
    list_remove(&request->node);
    list_append(&request->rest->done, &request->node);
    rt_defer_schedule(request->rest->reap);
}

static void on_done(void *session, void *reply, unsigned code, struct rt_span message,
                    const struct wire_place *place)
{
    struct request *request = session;
    struct rt_buf body = { 0 };
    char id[HUB_PLACE_TEXT_SIZE];

    (void)reply;
    if (code == 0) {
        hub_place_text(place, id);
        rt_buf_puts(&body, "{\"success\":true,");
        (void)json_out_text_member(&body, "channel", (const char *)request->channel.data,
                                   request->channel.len);
        rt_buf_printf(&body, ",\"id\":\"%s\"}", id);
        answer(request->exchange, 200, &body);
    } else {
        fail(request->exchange,
             code == WIRE_CODE_FORBIDDEN         ? 403
             : code == WIRE_CODE_INVALID_CHANNEL ? 400
                                                 : 503,
             message);
    }
    rt_buf_fini(&body);
    finish(request);
}

/* Its token has expired while it waited: then it hears no answer of the hub. */
static void on_expired(void *session)
{
    struct request *request = session;

    fail_with(request->exchange, 401, "Invalid or expired token");
    finish(request);
}

static const struct hub_dialect hub_side = { .name = "fluxbase_rest",
                                             .on_done = on_done,
                                             .on_expired = on_expired };

/* --- the message ------------------------------------------------------------------------------------------------ */

/* A member that is a string without escapes. False: it is something else. */
static bool plain_text(struct rt_span object, const char *name, struct rt_span *out)
{
    struct rt_span raw;

    *out = (struct rt_span){ NULL, 0 };
    if (!rt_json_member(object, name, &raw)) {
        return true;
    }
    bool plain = raw.len >= 2 && raw.data[0] == '"' && memchr(raw.data, '\\', raw.len) == NULL;
    if (plain) {
        *out = (struct rt_span){ raw.data + 1, raw.len - 2 };
    }
    return plain;
}

/* Why not, or NULL. */
static const char *read_body(struct rt_span body, bool free_channels, struct hub_publishing *out)
{
    if (!rt_json_valid(body)) {
        return "the body is not valid JSON";
    }
    if (!plain_text(body, "channel", &out->channel) || !plain_text(body, "event", &out->event)) {
        return "channel and event must be strings without escapes";
    }
    enum fluxbase_channel_kind kind = fluxbase_channel_parse(out->channel).kind;
    if (kind != FLUXBASE_BROADCAST && kind != FLUXBASE_PRESENCE &&
        (kind != FLUXBASE_FREE || !free_channels)) {
        return "channel must be broadcast:{topic} or presence:{room}";
    }
    if (out->event.data == NULL) {
        out->event = (struct rt_span){ (const uint8_t *)"broadcast", 9 };
    }
    if (!rt_json_member(body, "payload", &out->payload) &&
        !rt_json_member(body, "message", &out->payload)) {
        return "message (or payload) is required";
    }
    return out->event.len > WIRE_TEXT_MAX || out->payload.len > WIRE_PAYLOAD_MAX
               ? "the event or the message is too large"
               : NULL;
}

static void on_body(void *ctx, struct http_exchange *exchange, struct rt_span body)
{
    struct request *request = ctx;
    struct fluxbase_rest *rest = request->rest;
    struct hub_publishing publishing = { .reply = request };
    const char *why = read_body(body, rest->config->realtime_free_channels, &publishing);
    char name[FLUXBASE_CHANNEL_MAX];

    if (why != NULL) {
        fail_with(exchange, 400, why);
        finish(request);
        return;
    }
    rt_buf_append(&request->channel, publishing.channel.data, publishing.channel.len);
    publishing.channel = fluxbase_room_name(publishing.channel, name);
    request->client = hub_join(rest->hub, &(struct hub_joining){ .ops = &hub_side,
                                                                 .dialect = rest,
                                                                 .session = request,
                                                                 .identity = &request->identity });
    enum hub_err err = hub_publish(request->client, &publishing);
    if (err != HUB_OK) {
        fail_with(exchange, 503,
                  "the server is not ready: the shard that holds this channel cannot be reached");
        finish(request);
    }
}

static void on_abort(void *ctx, struct http_exchange *exchange)
{
    struct request *request = ctx;

    (void)exchange;
    request->exchange = NULL;
    if (request->client == NULL) { /* else the answer of the hub ends it */
        finish(request);
    }
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

static bool verify(struct fluxbase_rest *rest, const struct http_request *request,
                   struct identity *identity)
{
    static const char bearer[] = "Bearer ";
    size_t skip = sizeof bearer - 1;
    struct rt_span value;

    return http_request_header(request, "authorization", 0, &value) && value.len > skip &&
           strncasecmp((const char *)value.data, bearer, skip) == 0 &&
           token_verify(rest->verifier, (const char *)value.data + skip, value.len - skip,
                        rest->wall_now(), identity) == TOKEN_OK;
}

static void on_request(void *dialect, struct http_exchange *exchange,
                       const struct http_request *head)
{
    static const struct http_exchange_ops ops = { .on_body = on_body, .on_abort = on_abort };
    struct fluxbase_rest *rest = dialect;
    struct identity identity = { .role = "" };

    if (head->method.len != 4 || memcmp(head->method.data, "POST", 4) != 0) {
        fail_with(exchange, 405, "Only POST is answered here");
    } else if (!verify(rest, head, &identity)) {
        fail_with(exchange, 401, "Invalid or expired token");
    } else if (strcmp(identity.role, service_role) != 0) {
        fail_with(exchange, 403, "a token of role service_role is required");
    } else if (head->strange_body) {
        fail_with(exchange, 411, "a body with Content-Length is required");
    } else {
        struct request *request = rt_alloc(sizeof *request);
        request->rest = rest;
        request->exchange = exchange;
        request->identity = identity;
        identity = (struct identity){ .role = "" };
        list_append(&rest->waiting, &request->node);
        http_exchange_hold(exchange, &ops, request);
        http_exchange_want_body(exchange, head->body_len,
                                (uint64_t)rest->config->realtime_max_message, NULL);
    }
    identity_fini(&identity);
}

static void on_attach(void *dialect, struct edge_carrier *carrier, const char *process)
{
    (void)dialect;
    (void)carrier;
    (void)process;
}

static void on_detach(void *dialect)
{
    (void)dialect;
}

static bool is_enabled(void *dialect)
{
    const struct fluxbase_rest *rest = dialect;

    return rest->config->realtime_enabled;
}

static enum edge_claim claim(void *dialect, const struct http_request *request,
                             char process[HANDOVER_NAME_LEN])
{
    (void)dialect;
    (void)request;
    (void)process;
    return EDGE_CLAIM_NEW;
}

static const struct http_answer *refuse_upgrade(void *dialect, const struct http_request *request)
{
    (void)dialect;
    (void)request;
    return &http_answer_not_found;
}

static void on_drain(void *dialect, rt_usec spread)
{
    (void)dialect;
    (void)spread;
}

static struct edge_frame *frame_too_many(void *dialect)
{
    (void)dialect;
    return NULL;
}

static const struct edge_http_side http_side = { .attach = on_attach,
                                                 .detach = on_detach,
                                                 .enabled = is_enabled,
                                                 .claim = claim,
                                                 .on_request = on_request,
                                                 .refuse_upgrade = refuse_upgrade,
                                                 .drain = on_drain };

/* Nothing opens a WebSocket here: refuse_upgrade sees to it. */
const struct edge_dialect fluxbase_rest_dialect = { .name = "fluxbase_rest",
                                                    .path = "/api/v1/realtime/broadcast",
                                                    .frame_too_many = frame_too_many,
                                                    .http = &http_side };

struct fluxbase_rest *fluxbase_rest_new(const struct fluxbase_config *config)
{
    struct fluxbase_rest *rest = rt_alloc(sizeof *rest);

    rest->config = config->process->config;
    rest->hub = config->hub;
    rest->verifier = config->verifier;
    rest->wall_now = config->wall_now != NULL ? config->wall_now : rt_wall_now;
    list_init(&rest->waiting);
    list_init(&rest->done);
    rest->reap = rt_defer_new(config->process->loop, on_reap, rest);
    return rest;
}

void fluxbase_rest_free(struct fluxbase_rest *rest)
{
    if (rest == NULL) {
        return;
    }
    rt_defer_free(rest->reap);
    LIST_EACH(at, after, &rest->waiting)
    {
        request_free(LIST_ELEMENT(at, struct request, node));
    }
    on_reap(rest);
    free(rest);
}
