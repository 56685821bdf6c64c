/* edge/fluxbase/fluxbase.c - sessions and messages of clients; what is read is in in.c, what is written in out.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/fluxbase/parts.h"
#include "runtime/config.h"
#include "runtime/process.h"

#define MINUTE (60 * RT_SEC)

const char fluxbase_bad_token[] = fluxbase_bad_token_text;

/* --- frames ---------------------------------------------------------------------------------------------- */

struct rt_span fluxbase_span(const char *text)
{
    return (struct rt_span){ (const uint8_t *)text, strlen(text) };
}

struct edge_frame *fluxbase_frame(struct fluxbase *fluxbase)
{
    struct edge_frame *frame = edge_frame_text(fluxbase->out.data, fluxbase->out.len);

    rt_buf_clear(&fluxbase->out);
    return frame;
}

void fluxbase_send_out(struct fluxbase_session *session)
{
    struct rt_buf *out = &session->fluxbase->out;

    edge_conn_send_text(session->conn, out->data, out->len);
    rt_buf_clear(out);
}

void fluxbase_send_error(struct fluxbase_session *session, enum wire_code code,
                         struct rt_span message, struct rt_span channel)
{
    struct fluxbase *fluxbase = session->fluxbase;
    unsigned index = code >= 1 && (unsigned)code < FLUXBASE_CODES ? (unsigned)code
                                                                  : WIRE_CODE_SUBSCRIPTION_FAILED;

    rt_counter_add(fluxbase->errors[index], 1);
    fluxbase_out_error(&fluxbase->out, code, message, channel);
    fluxbase_send_out(session);
}

/* --- what the client says --------------------------------------------------------------------------------- */

/* A bucket of a minute's messages that fills evenly. It is kept as the time at which it would be full again: a
 * message costs a share of a minute, and may not push that time further than a minute ahead. */
static bool within_rate(struct fluxbase_session *session)
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

/* Of a user whose name is `user`; false: there are too many. */
static bool take_seat(struct fluxbase_session *session, struct rt_span user)
{
    return hub_seat_take(session->client, user,
                         (uint32_t)session->fluxbase->config->realtime_max_per_user);
}

static void send_away(struct fluxbase_session *session)
{
    hub_leave(session->client);
    session->client = NULL;
    fluxbase_refuse_seat(session);
}

static void on_access_token(struct fluxbase_session *session,
                            const struct fluxbase_message *message)
{
    struct fluxbase *fluxbase = session->fluxbase;
    struct identity identity = { 0 };
    enum token_err err = token_verify(fluxbase->verifier, (const char *)message->token.data,
                                      message->token.len, fluxbase->wall_now(), &identity);

    if (err != TOKEN_OK) {
        fluxbase_send_error(session, WIRE_CODE_UNAUTHORIZED, fluxbase_span(fluxbase_bad_token),
                            (struct rt_span){ 0 });
        return;
    }
    if (!take_seat(session, fluxbase_user_of(&identity))) {
        identity_fini(&identity);
        send_away(session);
        return;
    }
    /* The acknowledgement first: an SDK that sees an error while it waits for it drops the connection. */
    fluxbase_out_token_updated(&fluxbase->out);
    fluxbase_send_out(session);
    hub_set_identity(session->client, &identity);
}

static void handle(struct fluxbase_session *session, const struct fluxbase_message *message)
{
    switch (message->type) {
    case FLUXBASE_SUBSCRIBE:
        fluxbase_subscribe(session, message);
        break;
    case FLUXBASE_UNSUBSCRIBE:
        fluxbase_unsubscribe(session, message);
        break;
    case FLUXBASE_ACCESS_TOKEN:
        on_access_token(session, message);
        break;
    case FLUXBASE_SEND:
        fluxbase_broadcast(session, message);
        break;
    case FLUXBASE_TRACK:
        fluxbase_track(session, message);
        break;
    case FLUXBASE_UNTRACK:
        fluxbase_untrack(session, message);
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

static void send_too_many(struct fluxbase_session *session, struct rt_span channel)
{
    char limit[100];

    (void)snprintf(limit, sizeof limit,
                   "message ignored: more than %" PRId64 " messages per minute",
                   session->fluxbase->config->realtime_message_rate);
    fluxbase_send_error(session, WIRE_CODE_RATE_LIMITED, fluxbase_span(limit), channel);
}

static void on_message(struct fluxbase_session *session, const struct fluxbase_frame *frame,
                       size_t number)
{
    struct fluxbase_message message;
    struct fluxbase_refusal refusal;

    rt_counter_add(session->fluxbase->messages, 1);
    bool valid = fluxbase_read(frame, number, &message, &refusal);
    if (!is_free(message.type) && !within_rate(session)) {
        send_too_many(session, message.channel);
    } else if (!valid) {
        fluxbase_send_error(session, refusal.code, fluxbase_span(refusal.text), message.channel);
    } else {
        handle(session, &message);
    }
}

static void on_text(void *user, struct edge_conn *conn, struct rt_span text)
{
    struct fluxbase_session *session = user;
    struct fluxbase_frame frame;
    struct fluxbase_refusal refusal;

    (void)conn;
    if (session->client == NULL || session->closing) {
        return;
    }
    if (fluxbase_parse(text, session->fluxbase->config->realtime_free_channels, &frame, &refusal)) {
        for (size_t i = 0; i < frame.count && !session->closing; i++) {
            on_message(session, &frame, i);
        }
    } else {
        rt_counter_add(session->fluxbase->messages, 1);
        if (within_rate(session)) {
            fluxbase_send_error(session, refusal.code, fluxbase_span(refusal.text),
                                (struct rt_span){ 0 });
        } else {
            send_too_many(session, (struct rt_span){ 0 });
        }
    }
    fluxbase_frame_fini(&frame);
}

/* --- sessions ---------------------------------------------------------------------------------------------- */

static void join(struct fluxbase_session *session, struct identity *identity)
{
    struct fluxbase *fluxbase = session->fluxbase;
    struct rt_span claimed = fluxbase_user_of(identity);
    char name[WIRE_KEY_MAX];
    struct rt_span user = { (const uint8_t *)name, claimed.len };

    memcpy(name, claimed.data, claimed.len); /* the hub takes the claims */
    session->client =
        hub_join(fluxbase->hub, &(struct hub_joining){
                                    .ops = &fluxbase_hub_side,
                                    .dialect = fluxbase,
                                    .session = session,
                                    .to = session->conn,
                                    .identity = identity,
                                    .transactions = edge_conn_wants_transactions(session->conn),
                                });
    if (!take_seat(session, user)) {
        send_away(session);
    }
}

static void *on_open(void *dialect, struct edge_conn *conn, enum token_err token_err,
                     struct identity *identity)
{
    struct fluxbase *fluxbase = dialect;
    struct fluxbase_session *session = rt_alloc(sizeof *session);

    session->fluxbase = fluxbase;
    session->conn = conn;
    list_init(&session->subs);
    list_init(&session->sent);
    if (token_err != TOKEN_OK) {
        fluxbase_send_error(session, WIRE_CODE_UNAUTHORIZED, fluxbase_span(fluxbase_bad_token),
                            (struct rt_span){ 0 });
        edge_conn_close_after(conn, fluxbase->config->realtime_unauthorized_delay,
                              EDGE_CLOSE_POLICY, fluxbase_bad_token);
        return session;
    }
    join(session, identity);
    return session;
}

static void on_close(void *user, struct edge_conn *conn)
{
    struct fluxbase_session *session = user;

    (void)conn;
    hub_leave(session->client);
    LIST_EACH(at, after, &session->subs)
    {
        fluxbase_subscription_free(LIST_ELEMENT(at, struct fluxbase_subscription, in_session));
    }
    fluxbase_sent_free_all(session);
    free(session);
}

static bool is_same(const struct wire_position *a, const struct wire_position *b)
{
    return a->epoch == b->epoch && wire_position_cmp(a, b) == 0;
}

/* Clients whose shards are at the same position share it. */
static struct edge_frame *heartbeat_frame(struct fluxbase_session *session)
{
    struct fluxbase *fluxbase = session->fluxbase;
    struct wire_position position;

    if (session->client == NULL || !hub_progress(session->client, &position)) {
        return fluxbase->heartbeat;
    }
    if (fluxbase->progress == NULL || !is_same(&position, &fluxbase->progress_at)) {
        edge_frame_unref(fluxbase->progress);
        fluxbase_out_heartbeat(&fluxbase->out, &position);
        fluxbase->progress = fluxbase_frame(fluxbase);
        fluxbase->progress_at = position;
    }
    return fluxbase->progress;
}

static void on_heartbeat(void *user, struct edge_conn *conn)
{
    struct fluxbase_session *session = user;

    edge_conn_send(conn, heartbeat_frame(session));
}

static struct edge_frame *frame_too_many(void *dialect)
{
    struct fluxbase *fluxbase = dialect;

    rt_counter_add(fluxbase->errors[WIRE_CODE_RATE_LIMITED], 1);
    fluxbase_out_error(&fluxbase->out, WIRE_CODE_RATE_LIMITED,
                       fluxbase_span("Too many connections"), (struct rt_span){ 0 });
    return fluxbase_frame(fluxbase);
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
    fluxbase_out_heartbeat(&fluxbase->out, NULL);
    fluxbase->heartbeat = fluxbase_frame(fluxbase);
    fluxbase->fresh = constant_frame("{\"type\":\"fresh\"}");
    fluxbase->messages = rt_counter_new(metrics, "pgtide_edge_client_messages_total",
                                        "dialect=\"fluxbase\"", "Messages received from clients.");
    for (int code = 1; code < FLUXBASE_CODES; code++) {
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
    edge_frame_unref(fluxbase->progress);
    edge_frame_unref(fluxbase->stale);
    edge_frame_unref(fluxbase->fresh);
    rt_buf_fini(&fluxbase->out);
    rt_buf_fini(&fluxbase->payload);
    free(fluxbase);
}
