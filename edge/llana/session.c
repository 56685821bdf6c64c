/* edge/llana/session.c - sockets: their packets, their time, their end. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "edge/conn.h"
#include "edge/llana/parts.h"
#include "runtime/config.h"

#define MINUTE (60 * RT_SEC)

/* --- small helpers --------------------------------------------------------------------------------------------------- */

void llana_arm(struct llana_session *session)
{
    const rt_usec dues[] = { session->connect_due, session->refuse_due, session->again_due,
                             session->identity_due };
    rt_usec first = 0;

    for (size_t i = 0; i < sizeof(dues) / sizeof(dues[0]); i++) {
        if (dues[i] != 0 && (first == 0 || dues[i] < first)) {
            first = dues[i];
        }
    }
    engineio_set_timer(session->conn, first);
}

void llana_send(struct llana_session *session)
{
    struct rt_buf *text = &session->llana->text;

    engineio_send_text(session->conn, text->data, text->len);
    rt_buf_clear(text);
}

void llana_send_away(struct llana_session *session, const char *reason)
{
    engineio_close(session->conn, EDGE_CLOSE_TRY_LATER, reason);
}

/* --- packets --------------------------------------------------------------------------------------------------------- */

/* A bucket of a minute's messages, as edge/fluxbase has it. What is over it is not answered. */
static bool within_rate(struct llana_session *session)
{
    int64_t limit = session->llana->config->realtime_message_rate;
    rt_usec now = rt_now();

    if (limit == 0) {
        return true;
    }
    rt_usec until = (session->paid_until > now ? session->paid_until : now) + MINUTE / limit;
    if (until > now + MINUTE) {
        return false;
    }
    session->paid_until = until;
    return true;
}

/* Clients do not talk to Llana: "message" is answered with an exception, everything else is not. No acknowledgement is ever
 * sent. */
static void on_event(struct llana_session *session, const struct sio_packet *packet)
{
    const char *name = json_string_value(json_array_get(packet->json, 0));

    if (name != NULL && strcmp(name, "message") == 0 && within_rate(session)) {
        llana_out_exception(&session->llana->text, json_array_get(packet->json, 1));
        llana_send(session);
    }
}

static void on_connect(struct llana_session *session, const struct sio_packet *packet)
{
    if (!sio_is_default_space(packet)) {
        llana_out_refused(&session->llana->text, packet->space, "Invalid namespace");
        llana_send(session);
    } else if (session->state == LLANA_APART) {
        llana_connect(session, packet->json);
    }
}

/* Of a namespace that has not been joined: the original closes the connection. */
static bool is_out_of_place(const struct llana_session *session, const struct sio_packet *packet)
{
    return !sio_is_default_space(packet) || session->state == LLANA_APART;
}

static void on_packet(struct llana_session *session, const struct sio_packet *packet)
{
    if (packet->type == SIO_CONNECT) {
        on_connect(session, packet);
    } else if (is_out_of_place(session, packet)) {
        engineio_close(session->conn, EDGE_CLOSE_PROTOCOL,
                       "a packet for no namespace of this client");
    } else if (packet->type == SIO_DISCONNECT) {
        llana_part(session);
        llana_arm(session);
    } else if (packet->type == SIO_EVENT) {
        on_event(session, packet);
    }
}

static void on_message(void *user, struct rt_span text)
{
    struct llana_session *session = user;
    struct sio_packet packet;

    rt_counter_add(session->llana->messages, 1);
    if (!sio_packet_read(text, &packet)) {
        engineio_close(session->conn, EDGE_CLOSE_PROTOCOL, "not a Socket.IO packet");
        return;
    }
    on_packet(session, &packet);
    sio_packet_fini(&packet);
}

/* --- time ------------------------------------------------------------------------------------------------------------- */

static bool take_due(rt_usec *due, rt_usec now)
{
    bool is = *due != 0 && now >= *due;

    if (is) {
        *due = 0;
    }
    return is;
}

/* With what the hub's call could not do itself. */
static void go_on(struct llana_session *session)
{
    if (session->state == LLANA_WAITING && llana_feed_is_ready(session->llana->feed)) {
        llana_connect_again(session);
    } else if (session->state == LLANA_SUBSCRIBING) {
        llana_subscribe_anew(session);
    }
}

static void on_timer(void *user)
{
    struct llana_session *session = user;
    rt_usec now = rt_now();

    if (take_due(&session->refuse_due, now)) {
        llana_refuse_now(session);
    } else if (take_due(&session->again_due, now)) {
        go_on(session);
    }
    if (take_due(&session->connect_due, now)) {
        engineio_close(session->conn, EDGE_CLOSE_NORMAL, "no namespace was joined");
    } else if (take_due(&session->identity_due, now)) {
        llana_send_away(session, "the identity is to be shown again");
    } else {
        llana_arm(session);
    }
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

static void *on_open(void *app, struct engineio_conn *conn, const struct http_request *request)
{
    struct llana *llana = app;
    struct llana_session *session = rt_alloc(sizeof(*session));

    session->llana = llana;
    session->conn = conn;
    llana_opening_read(request, llana->config->llana_trust_proxy, &session->opening);
    list_append(&llana->sessions, &session->all);
    session->connect_due = rt_now() + llana->config->llana_connect_timeout;
    llana_arm(session);
    return session;
}

static void on_close(void *user)
{
    struct llana_session *session = user;

    llana_part(session);
    llana_opening_fini(&session->opening);
    list_remove(&session->all);
    free(session);
}

static bool is_enabled(void *app)
{
    const struct llana *llana = app;

    return llana->config->llana_enabled;
}

static void settings(void *app, struct eio_settings *out)
{
    const struct rt_config *config = ((const struct llana *)app)->config;

    *out = (struct eio_settings){
        .ping_interval = config->llana_ping_interval,
        .ping_timeout = config->llana_ping_timeout,
        .upgrade_timeout = config->llana_upgrade_timeout,
        .max_payload = config->llana_max_payload,
        .budget = (size_t)config->realtime_client_budget,
    };
}

const struct engineio_app llana_app = {
    .enabled = is_enabled,
    .settings = settings,
    .on_open = on_open,
    .on_message = on_message,
    .on_timer = on_timer,
    .on_close = on_close,
};
