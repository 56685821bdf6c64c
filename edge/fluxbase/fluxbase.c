/* edge/fluxbase/fluxbase.c - see fluxbase.h; what is read is in in.c, what is written in out.c. */
#include "edge/fluxbase/fluxbase.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/fluxbase/in.h"
#include "edge/fluxbase/out.h"
#include "edge/fluxbase/uuid.h"
#include "edge/list.h"
#include "runtime/config.h"
#include "runtime/metrics.h"
#include "runtime/process.h"

#define MINUTE     (60 * RT_SEC)
#define CODE_COUNT 6 /* enum wire_code, from 1 */

static const char bad_token[] = "Invalid or expired token";

struct fluxbase {
    const struct rt_config *config;
    struct hub *hub;
    const struct token_verifier *verifier;
    rt_usec (*now)(void);
    rt_usec (*wall_now)(void);
    struct rt_counter *messages;
    struct rt_counter *errors[CODE_COUNT];
    struct edge_frame *pong;
    struct edge_frame *heartbeat;
    struct rt_buf out;     /* scratch: one frame */
    struct rt_buf payload; /* of the change with number payload_of, for its further audiences */
    uint64_t payload_of;
};

struct session {
    struct fluxbase *fluxbase;
    struct edge_conn *conn;
    struct hub_client *client; /* NULL: refused, and about to be closed */
    struct list_node subs;
    bool closing;
    rt_usec paid_until; /* of the message rate: see within_rate() */
};

struct subscription {
    struct session *session;
    struct hub_sub *handle;
    struct list_node in_session;
    enum fluxbase_form form;
    struct fluxbase_names names; /* point into `text` and `id` */
    char id[FLUXBASE_UUID_SIZE];
    char text[];
};

/* --- frames ---------------------------------------------------------------------------------------------- */

static struct rt_span span_of(const char *text)
{
    return (struct rt_span){ (const uint8_t *)text, strlen(text) };
}

static void send_out(struct session *session)
{
    struct rt_buf *out = &session->fluxbase->out;

    edge_conn_send_text(session->conn, out->data, out->len);
    rt_buf_clear(out);
}

static void send_error(struct session *session, enum wire_code code, struct rt_span message,
                       struct rt_span channel)
{
    struct fluxbase *fluxbase = session->fluxbase;
    unsigned index =
        code >= 1 && (unsigned)code < CODE_COUNT ? (unsigned)code : WIRE_CODE_SUBSCRIPTION_FAILED;

    rt_counter_add(fluxbase->errors[index], 1);
    fluxbase_out_error(&fluxbase->out, code, message, channel);
    send_out(session);
}

static void send_failure(struct session *session, const char *what, struct rt_span channel)
{
    char text[400];

    (void)snprintf(text, sizeof text, "%s %.*s", what, channel.len < 300 ? (int)channel.len : 300,
                   (const char *)channel.data);
    send_error(session, WIRE_CODE_SUBSCRIPTION_FAILED, span_of(text), channel);
}

/* --- subscriptions ----------------------------------------------------------------------------------------- */

static struct rt_span keep(struct subscription *sub, size_t *used, struct rt_span text)
{
    char *at = sub->text + *used;

    memcpy(at, text.data, text.len);
    *used += text.len;
    return (struct rt_span){ (const uint8_t *)at, text.len };
}

/* table:{schema}.{table}; `out` holds WIRE_CHANNEL_MAX bytes, and both names at most 63. */
static struct rt_span table_channel(const struct fluxbase_message *message, char *out)
{
    int len = snprintf(out, WIRE_CHANNEL_MAX, "table:%.*s.%.*s", (int)message->schema.len,
                       (const char *)message->schema.data, (int)message->table.len,
                       (const char *)message->table.data);

    return (struct rt_span){ (const uint8_t *)out, (size_t)len };
}

static struct subscription *subscription_new(struct session *session,
                                             const struct fluxbase_message *message,
                                             struct rt_span channel)
{
    size_t used = 0;
    struct subscription *sub =
        rt_alloc(sizeof *sub + channel.len + message->schema.len + message->table.len);

    sub->session = session;
    sub->form = message->form;
    sub->names.channel = keep(sub, &used, channel);
    sub->names.schema = keep(sub, &used, message->schema);
    sub->names.table = keep(sub, &used, message->table);
    sub->names.event = fluxbase_event_name(message->events);
    fluxbase_uuid(sub->id);
    sub->names.id = sub->id;
    list_append(&session->subs, &sub->in_session);
    return sub;
}

static void subscription_free(struct subscription *sub)
{
    list_remove(&sub->in_session);
    free(sub);
}

static bool same(struct rt_span a, struct rt_span b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static bool subscribed_by_channel(const struct session *session, struct rt_span channel)
{
    LIST_EACH(at, after, &session->subs)
    {
        const struct subscription *sub = LIST_ELEMENT(at, struct subscription, in_session);
        if (sub->form == FLUXBASE_BY_CHANNEL && same(sub->names.channel, channel)) {
            return true;
        }
    }
    return false;
}

static void refuse_subscribe(struct subscription *sub, enum hub_err err)
{
    struct session *session = sub->session;
    char text[120];

    if (err == HUB_TOO_MANY) {
        (void)snprintf(text, sizeof text, "too many subscriptions: a connection may have %" PRId64,
                       session->fluxbase->config->realtime_max_subscriptions);
        send_error(session, WIRE_CODE_SUBSCRIPTION_FAILED, span_of(text), sub->names.channel);
    } else {
        send_error(session, WIRE_CODE_UNAUTHORIZED, span_of(bad_token), sub->names.channel);
    }
    subscription_free(sub);
}

static void on_subscribe(struct session *session, const struct fluxbase_message *message)
{
    char name[WIRE_CHANNEL_MAX];
    struct rt_span table = table_channel(message, name);
    struct rt_span channel = message->channel.len > 0 ? message->channel : table;

    if (message->form == FLUXBASE_BY_CHANNEL && subscribed_by_channel(session, channel)) {
        send_failure(session, "already subscribed to", channel);
        return;
    }
    struct subscription *sub = subscription_new(session, message, channel);
    enum hub_err err = hub_subscribe(session->client,
                                     &(struct hub_want){
                                         .channel = table,
                                         .form = (unsigned)message->form,
                                         .text = sub->names.channel,
                                         .events = message->events,
                                         .user = sub,
                                     },
                                     &sub->handle);
    if (err != HUB_OK) {
        refuse_subscribe(sub, err);
    }
}

static bool meant(const struct subscription *sub, const struct fluxbase_message *message)
{
    if (message->subscription_id.data != NULL) {
        return same(message->subscription_id, span_of(sub->id));
    }
    return same(sub->names.channel, message->channel);
}

static void on_unsubscribe(struct session *session, const struct fluxbase_message *message)
{
    bool any = false;

    LIST_EACH(at, after, &session->subs)
    {
        struct subscription *sub = LIST_ELEMENT(at, struct subscription, in_session);
        if (meant(sub, message)) {
            any = true;
            hub_unsubscribe(sub->handle);
            fluxbase_out_unsubscribed(&session->fluxbase->out, &sub->names);
            subscription_free(sub);
            send_out(session);
        }
    }
    if (!any && message->subscription_id.data != NULL) {
        send_error(session, WIRE_CODE_SUBSCRIPTION_FAILED,
                   span_of("not subscribed: no such subscription_id"), message->channel);
    } else if (!any) {
        send_failure(session, "not subscribed to", message->channel);
    }
}

/* --- what the hub says ------------------------------------------------------------------------------------ */

static void hub_on_accepted(void *session, void *user, const struct hub_accepted *accepted)
{
    struct subscription *sub = user;

    fluxbase_out_subscribed(&sub->session->fluxbase->out, &sub->names, accepted);
    send_out(session);
}

static void hub_on_refused(void *session, void *user, enum wire_code code, struct rt_span message)
{
    struct subscription *sub = user;

    send_error(session, code, message, sub->names.channel);
    subscription_free(sub);
}

static void hub_on_gap(void *session, void *user, const struct hub_gap *gap)
{
    struct subscription *sub = user;

    fluxbase_out_gap(&sub->session->fluxbase->out, &sub->names, gap);
    send_out(session);
}

static void hub_on_expired(void *user)
{
    struct session *session = user;

    session->closing = true;
    send_error(session, WIRE_CODE_UNAUTHORIZED, span_of("Token has expired"),
               (struct rt_span){ 0 });
    edge_conn_close(session->conn, EDGE_CLOSE_POLICY, "token expired");
}

static void hub_deliver(void *to, struct edge_frame *frame)
{
    edge_conn_send(to, frame);
}

static struct edge_frame *hub_encode(void *dialect, const struct hub_event *event, unsigned form,
                                     struct rt_span text)
{
    struct fluxbase *fluxbase = dialect;

    if (fluxbase->payload_of != event->content) {
        rt_buf_clear(&fluxbase->payload);
        fluxbase_out_payload(&fluxbase->payload, event);
        fluxbase->payload_of = event->content;
    }
    fluxbase_out_change(&fluxbase->out, (enum fluxbase_form)form, text,
                        rt_buf_span(&fluxbase->payload));
    struct edge_frame *frame = edge_frame_text(fluxbase->out.data, fluxbase->out.len);
    rt_buf_clear(&fluxbase->out);
    return frame;
}

static const struct hub_dialect hub_side = {
    .name = "fluxbase",
    .encode = hub_encode,
    .deliver = hub_deliver,
    .on_accepted = hub_on_accepted,
    .on_refused = hub_on_refused,
    .on_gap = hub_on_gap,
    .on_expired = hub_on_expired,
};

/* --- what the client says --------------------------------------------------------------------------------- */

/* A bucket of a minute's messages that fills evenly. It is kept as the time at which it would be full again: a
 * message costs a share of a minute, and may not push that time further than a minute ahead. */
static bool within_rate(struct session *session)
{
    int64_t limit = session->fluxbase->config->realtime_message_rate;

    if (limit == 0) {
        return true;
    }
    rt_usec now = session->fluxbase->now();
    rt_usec from = session->paid_until > now ? session->paid_until : now;
    rt_usec until = from + MINUTE / limit;
    if (until > now + MINUTE) {
        return false;
    }
    session->paid_until = until;
    return true;
}

static bool is_free(enum fluxbase_type type)
{
    return type == FLUXBASE_PING || type == FLUXBASE_HEARTBEAT || type == FLUXBASE_ACCESS_TOKEN;
}

static void on_access_token(struct session *session, const struct fluxbase_message *message)
{
    struct fluxbase *fluxbase = session->fluxbase;
    struct identity identity = { 0 };
    enum token_err err = token_verify(fluxbase->verifier, (const char *)message->token.data,
                                      message->token.len, fluxbase->wall_now(), &identity);

    if (err != TOKEN_OK) {
        send_error(session, WIRE_CODE_UNAUTHORIZED, span_of(bad_token), (struct rt_span){ 0 });
        return;
    }
    /* The acknowledgement first: an SDK that sees an error while it waits for it drops the connection. */
    fluxbase_out_token_updated(&fluxbase->out);
    send_out(session);
    hub_set_identity(session->client, &identity);
}

static void handle(struct session *session, const struct fluxbase_message *message)
{
    switch (message->type) {
    case FLUXBASE_SUBSCRIBE:
        on_subscribe(session, message);
        break;
    case FLUXBASE_UNSUBSCRIBE:
        on_unsubscribe(session, message);
        break;
    case FLUXBASE_ACCESS_TOKEN:
        on_access_token(session, message);
        break;
    case FLUXBASE_PING:
        edge_conn_send(session->conn, session->fluxbase->pong);
        break;
    case FLUXBASE_HEARTBEAT: /* a sign of life, which the connection has noticed already */
    case FLUXBASE_UNKNOWN:
    default:
        break;
    }
}

static void on_text(void *user, struct edge_conn *conn, struct rt_span text)
{
    struct session *session = user;
    struct fluxbase_message message;
    struct fluxbase_refusal refusal;

    (void)conn;
    if (session->client == NULL || session->closing) {
        return;
    }
    rt_counter_add(session->fluxbase->messages, 1);
    bool valid = fluxbase_read(text, &message, &refusal);
    if (!is_free(message.type) && !within_rate(session)) {
        char limit[100];
        (void)snprintf(limit, sizeof limit,
                       "message ignored: more than %" PRId64 " messages per minute",
                       session->fluxbase->config->realtime_message_rate);
        send_error(session, WIRE_CODE_RATE_LIMITED, span_of(limit), message.channel);
    } else if (!valid) {
        send_error(session, refusal.code, span_of(refusal.text), message.channel);
    } else {
        handle(session, &message);
    }
    fluxbase_message_fini(&message);
}

/* --- sessions ---------------------------------------------------------------------------------------------- */

static void *on_open(void *dialect, struct edge_conn *conn, enum token_err token_err,
                     struct identity *identity)
{
    struct fluxbase *fluxbase = dialect;
    struct session *session = rt_alloc(sizeof *session);

    session->fluxbase = fluxbase;
    session->conn = conn;
    list_init(&session->subs);
    if (token_err != TOKEN_OK) {
        send_error(session, WIRE_CODE_UNAUTHORIZED, span_of(bad_token), (struct rt_span){ 0 });
        edge_conn_close_after(conn, fluxbase->config->realtime_unauthorized_delay,
                              EDGE_CLOSE_POLICY, bad_token);
        return session;
    }
    session->client = hub_join(fluxbase->hub, &(struct hub_joining){
                                                  .ops = &hub_side,
                                                  .dialect = fluxbase,
                                                  .session = session,
                                                  .to = conn,
                                                  .identity = identity,
                                              });
    return session;
}

static void on_close(void *user, struct edge_conn *conn)
{
    struct session *session = user;

    (void)conn;
    hub_leave(session->client);
    LIST_EACH(at, after, &session->subs)
    {
        subscription_free(LIST_ELEMENT(at, struct subscription, in_session));
    }
    free(session);
}

static void on_heartbeat(void *user, struct edge_conn *conn)
{
    struct session *session = user;

    edge_conn_send(conn, session->fluxbase->heartbeat);
}

static struct edge_frame *frame_too_many(void *dialect)
{
    struct fluxbase *fluxbase = dialect;

    rt_counter_add(fluxbase->errors[WIRE_CODE_RATE_LIMITED], 1);
    fluxbase_out_error(&fluxbase->out, WIRE_CODE_RATE_LIMITED, span_of("Too many connections"),
                       (struct rt_span){ 0 });
    struct edge_frame *frame = edge_frame_text(fluxbase->out.data, fluxbase->out.len);
    rt_buf_clear(&fluxbase->out);
    return frame;
}

const struct edge_dialect fluxbase_dialect = {
    .name = "fluxbase",
    .path = "/realtime",
    .on_open = on_open,
    .on_text = on_text,
    .on_close = on_close,
    .on_heartbeat = on_heartbeat,
    .frame_too_many = frame_too_many,
};

static struct edge_frame *constant_frame(const char *text)
{
    return edge_frame_text(text, strlen(text));
}

struct fluxbase *fluxbase_new(const struct fluxbase_config *config)
{
    struct fluxbase *fluxbase = rt_alloc(sizeof *fluxbase);
    struct rt_metrics *metrics = config->process->metrics;

    fluxbase->config = config->process->config;
    fluxbase->hub = config->hub;
    fluxbase->verifier = config->verifier;
    fluxbase->now = config->now != NULL ? config->now : rt_now;
    fluxbase->wall_now = config->wall_now != NULL ? config->wall_now : rt_wall_now;
    fluxbase->pong = constant_frame("{\"type\":\"pong\"}");
    fluxbase->heartbeat = constant_frame("{\"type\":\"heartbeat\"}");
    fluxbase->messages = rt_counter_new(metrics, "pgtide_edge_client_messages_total",
                                        "dialect=\"fluxbase\"", "Messages received from clients.");
    for (int code = 1; code < CODE_COUNT; code++) {
        char labels[80];
        (void)snprintf(labels, sizeof labels, "dialect=\"fluxbase\",code=\"%s\"",
                       fluxbase_code_name((enum wire_code)code));
        fluxbase->errors[code] = rt_counter_new(metrics, "pgtide_edge_client_errors_total", labels,
                                                "Error frames sent to clients, by their code.");
    }
    return fluxbase;
}

void fluxbase_free(struct fluxbase *fluxbase)
{
    if (fluxbase == NULL) {
        return;
    }
    edge_frame_unref(fluxbase->pong);
    edge_frame_unref(fluxbase->heartbeat);
    rt_buf_fini(&fluxbase->out);
    rt_buf_fini(&fluxbase->payload);
    free(fluxbase);
}
