/* edge/staticbackend/session.c - connections, their ids, and their messages. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/sse/sse.h"
#include "edge/staticbackend/parts.h"
#include "edge/staticbackend/sid.h"
#include "runtime/config.h"

#define MINUTE (60 * RT_SEC)

/* --- life --------------------------------------------------------------------------------------------------------- */

struct sb_session *sb_session_new(struct staticbackend *sb, struct edge_conn *conn,
                                  struct sb_tenant *tenant)
{
    struct sb_session *session = rt_alloc(sizeof *session);

    session->sb = sb;
    session->conn = conn;
    session->tenant = tenant;
    session->form = edge_conn_is_stream(conn) ? SB_EVENT : SB_TEXT_FRAME;
    list_init(&session->channels);
    do {
        sb_sid_make(sb->host, session->sid);
    } while (rt_map_get(sb->sessions, session->sid, SB_SID_LEN) != NULL);
    (void)rt_map_put(sb->sessions, session->sid, SB_SID_LEN, session);
    list_append(&tenant->sessions, &session->in_tenant);
    tenant->connections++;
    rt_gauge_set(tenant->gauge, (double)tenant->connections);
    return session;
}

void sb_session_free(struct sb_session *session)
{
    struct sb_tenant *tenant = session->tenant;

    hub_leave(session->client);
    LIST_EACH(at, after, &session->channels)
    {
        sb_channel_free(LIST_ELEMENT(at, struct sb_channel, in_session));
    }
    (void)rt_map_remove(session->sb->sessions, session->sid, SB_SID_LEN);
    list_remove(&session->in_tenant);
    list_remove(&session->in_users);
    tenant->connections--;
    rt_gauge_set(tenant->gauge, (double)tenant->connections);
    free(session->account);
    free(session->user);
    free(session->waiting_token);
    free(session);
}

/* --- saying ------------------------------------------------------------------------------------------------------- */

void sb_session_say(struct sb_session *session, const char *type, struct rt_span data,
                    struct rt_span channel)
{
    struct rt_buf *out = &session->sb->out;

    sb_out_message(out, sb_span(session->sid), type, data, channel);
    edge_conn_send_text(session->conn, out->data, out->len);
    rt_buf_clear(out);
}

void sb_session_error(struct sb_session *session, const char *text, struct rt_span channel)
{
    rt_counter_add(session->sb->errors, 1);
    sb_session_say(session, "error", sb_span(text), channel);
}

void sb_session_close(struct sb_session *session, unsigned code, const char *reason)
{
    session->closing = true;
    edge_conn_close(session->conn, code, reason);
}

/* An id says that everything before it has come, on all subscriptions. On a stream that goes on from another one nothing is said
 * before its joins have had their time. */
bool sb_session_may_give_id(const struct sb_session *session, struct wire_position *out)
{
    return (!session->has_since || session->sb->now() >= session->settles) &&
           hub_progress(session->client, out);
}

/* An event's own position is ahead of what is only catching up. */
static bool may_give_own_id(const struct sb_session *session)
{
    struct wire_position position;

    return hub_is_live(session->client) && sb_session_may_give_id(session, &position);
}

void sb_session_deliver(struct sb_session *session, struct edge_frame *frame)
{
    struct staticbackend *sb = session->sb;

    if (session->form != SB_EVENT || may_give_own_id(session)) {
        edge_conn_send(session->conn, frame);
        return;
    }
    if (sb->bare_of != frame) {
        edge_frame_unref(sb->bare_of);
        edge_frame_unref(sb->bare);
        sb->bare_of = edge_frame_ref(frame);
        sb->bare = sse_without_id(frame);
    }
    edge_conn_send(session->conn, sb->bare);
}

/* --- messages ------------------------------------------------------------------------------------------------------- */

/* A bucket of a minute's messages that fills evenly; kept as the time at which it would be full again. */
static bool within_rate(struct sb_session *session)
{
    int64_t limit = session->sb->config->realtime_message_rate;

    if (limit == 0) {
        return true;
    }
    rt_usec now = session->sb->now();
    rt_usec from = session->paid_until > now ? session->paid_until : now;
    rt_usec until = from + MINUTE / limit;
    if (until > now + MINUTE) {
        return false;
    }
    session->paid_until = until;
    return true;
}

static void echo(struct sb_session *session, struct rt_span data)
{
    struct rt_buf *text = &session->sb->text;

    rt_buf_clear(text);
    rt_buf_puts(text, "echo: ");
    rt_buf_append(text, data.data, data.len);
    sb_session_say(session, "echo", rt_buf_span(text), sb_span(""));
}

static void unknown_type(struct sb_session *session, struct rt_span name)
{
    char text[128];

    (void)snprintf(text, sizeof text, "%.*s command not found", name.len < 64 ? (int)name.len : 64,
                   (const char *)name.data);
    sb_session_error(session, text, sb_span(""));
}

void sb_session_message(struct sb_session *session, const struct sb_message *message)
{
    struct rt_span none = sb_span("");

    if (!within_rate(session)) {
        char text[100];
        (void)snprintf(text, sizeof text,
                       "message ignored: more than %" PRId64 " messages per minute",
                       session->sb->config->realtime_message_rate);
        sb_session_error(session, text, none);
        return;
    }
    switch (message->type) {
    case SB_ECHO:
        echo(session, message->data);
        break;
    case SB_AUTH:
        sb_auth(session, message->data);
        break;
    case SB_JOIN:
        sb_join(session, message->data);
        break;
    case SB_CHAN_IN:
        sb_publish(session, message->data, message->channel);
        break;
    case SB_OTHER:
    default:
        unknown_type(session, message->type_name);
        break;
    }
}

void sb_session_text(struct sb_session *session, struct rt_span text)
{
    struct sb_message message;
    const char *wrong = sb_message_read(text, &message);

    rt_counter_add(session->sb->messages, 1);
    if (session->closing) {
        /* nothing is said any more */
    } else if (wrong != NULL) {
        sb_session_error(session, wrong, sb_span(""));
    } else {
        sb_session_message(session, &message);
    }
    sb_message_fini(&message);
}
