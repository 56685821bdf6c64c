/* edge/staticbackend/channel.c - joins of database channels and of others, messages into channels, and what the hub says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/admission.h"
#include "edge/json_out.h"
#include "edge/sse/sse.h"
#include "edge/staticbackend/parts.h"
#include "proto/records.h"
#include "runtime/config.h"
#include "runtime/loop.h"

/* --- channels ------------------------------------------------------------------------------------------------------- */

static struct rt_span name_of(const struct sb_channel *channel)
{
    return (struct rt_span){ (const uint8_t *)channel->name, channel->name_len };
}

static struct sb_channel *find(const struct sb_session *session, struct rt_span name)
{
    LIST_EACH(at, after, &session->channels)
    {
        struct sb_channel *channel = LIST_ELEMENT(at, struct sb_channel, in_session);
        if (sb_same(name_of(channel), name)) {
            return channel;
        }
    }
    return NULL;
}

static struct sb_channel *channel_new(struct sb_session *session, struct rt_span name)
{
    struct sb_channel *channel = rt_alloc(sizeof *channel + name.len);

    channel->session = session;
    channel->name_len = name.len;
    memcpy(channel->name, name.data, name.len);
    list_append(&session->channels, &channel->in_session);
    return channel;
}

void sb_channel_free(struct sb_channel *channel)
{
    list_remove(&channel->in_session);
    list_remove(&channel->in_again);
    free(channel);
}

/* With the tenant's key in it, so that those of different keys never meet. A key has no colon. */
static struct rt_span room_name(const struct sb_session *session, struct rt_span name,
                                char out[WIRE_CHANNEL_MAX + 1])
{
    int len = snprintf(out, WIRE_CHANNEL_MAX + 1, "broadcast:sb:%s:%.*s", session->tenant->key,
                       (int)name.len, (const char *)name.data);

    return (struct rt_span){ (const uint8_t *)out, (size_t)len };
}

/* --- where a repository is ------------------------------------------------------------------------------------------- */

/* Whether a comma-separated list has this name; `stripped`: without its suffix. */
static bool lists(const char *list, struct rt_span name, bool stripped)
{
    for (const char *at = list; *at != '\0';) {
        size_t len = strcspn(at, ", ");
        struct rt_span each = { (const uint8_t *)at, len };
        if (stripped && sb_has_suffix(each)) {
            each.len -= SB_SUFFIX_LEN;
        }
        if (len > 0 && sb_same(each, name)) {
            return true;
        }
        at += len;
        at += strspn(at, ", ");
    }
    return false;
}

/* The table's name; false: there is no such repository. One whose table is called without the suffix is known under its
 * whole name only: the suffix is what permits, and must not be the client's choice. */
static bool table_of(const struct staticbackend *sb, struct rt_span repository, struct rt_span *out)
{
    const char *stripped = sb->config->sb_stripped;

    *out = repository;
    if (!sb_is_repository(repository)) {
        return false;
    }
    if (sb_has_suffix(repository) && lists(stripped, repository, false)) {
        out->len -= SB_SUFFIX_LEN;
        return sb_is_repository(*out);
    }
    return !lists(stripped, repository, true);
}

/* --- joining --------------------------------------------------------------------------------------------------------- */

static void refuse(struct sb_channel *channel, const char *text)
{
    sb_session_error(channel->session, text, name_of(channel));
    sb_channel_free(channel);
}

static void refuse_for(struct sb_channel *channel, enum hub_err err)
{
    char text[100];

    if (err == HUB_TOO_MANY) {
        (void)snprintf(text, sizeof text, "too many channels: a connection may join %lld",
                       (long long)channel->session->sb->config->realtime_max_subscriptions);
        refuse(channel, text);
    } else {
        refuse(channel,
               err == HUB_AWAY ? "the channel cannot be reached now, try again" : "invalid token");
    }
}

static bool goes_on(const struct sb_session *session)
{
    return session->has_since && session->sb->now() < session->settles;
}

static enum hub_err ask_for_table(struct sb_channel *channel, struct rt_span repository,
                                  struct rt_span table, bool with_since)
{
    const struct sb_session *session = channel->session;
    struct rt_buf text = { 0 };
    struct rt_buf name = { 0 };

    rt_buf_printf(&name, "table:%s.%.*s", session->tenant->schema, (int)table.len,
                  (const char *)table.data);
    sb_audience_text(&text, name_of(channel), sb_level_of(repository), session->account,
                     session->user);
    enum hub_err err = hub_subscribe(session->client,
                                     &(struct hub_want){
                                         .channel = rt_buf_span(&name),
                                         .form = session->form,
                                         .text = rt_buf_span(&text),
                                         .events = HUB_INSERT | HUB_UPDATE | HUB_DELETE,
                                         .user = channel,
                                         .has_since = with_since,
                                         .since = session->since,
                                     },
                                     &channel->sub);
    rt_buf_fini(&text);
    rt_buf_fini(&name);
    return err;
}

static void join_database(struct sb_channel *channel, bool with_since)
{
    struct rt_span repository = { NULL, 0 };
    struct rt_span table = { NULL, 0 };

    if (!sb_is_database_channel(name_of(channel), &repository) ||
        !table_of(channel->session->sb, repository, &table)) {
        refuse(channel, "no such repository");
        return;
    }
    enum hub_err err = ask_for_table(channel, repository, table, with_since);
    if (err != HUB_OK) {
        refuse_for(channel, err);
    }
}

static void join_room(struct sb_channel *channel)
{
    char room[WIRE_CHANNEL_MAX + 1];
    struct sb_session *session = channel->session;
    enum hub_err err = hub_room_join(session->client,
                                     &(struct hub_room_want){
                                         .channel = room_name(session, name_of(channel), room),
                                         .form = session->form,
                                         .text = name_of(channel),
                                         .user = channel,
                                     },
                                     &channel->room);

    if (err != HUB_OK) {
        refuse_for(channel, err);
    }
}

void sb_join(struct sb_session *session, struct rt_span name)
{
    struct rt_span repository;
    struct sb_channel *channel = NULL;

    if (!session->authenticated) {
        sb_session_error(session, "invalid token", name);
    } else if (name.len == 0) {
        sb_session_error(session, "no channel was specified", name);
    } else if ((channel = find(session, name)) != NULL) {
        if (channel->accepted) {
            sb_session_say(session, "joined", name, name);
        } /* else its answer is on the way */
    } else {
        channel = channel_new(session, name);
        channel->is_database = sb_is_database_channel(name, &repository);
        if (channel->is_database) {
            join_database(channel, goes_on(session));
        } else {
            join_room(channel);
        }
    }
}

/* Those that could not go on from where they were begin anew; the client has heard that something is missing. */
void sb_channels_again(void *ctx)
{
    struct staticbackend *sb = ctx;
    struct list_node *node = NULL;

    while ((node = list_pop(&sb->again)) != NULL) {
        join_database(LIST_ELEMENT(node, struct sb_channel, in_again), false);
    }
}

/* --- saying something in a channel ------------------------------------------------------------------------------------- */

void sb_publish(struct sb_session *session, struct rt_span data, struct rt_span channel)
{
    char room[WIRE_CHANNEL_MAX + 1];
    struct rt_span repository;
    struct rt_buf *payload = &session->sb->text;

    if (!session->authenticated) {
        sb_session_error(session, "invalid token", channel);
        return;
    }
    if (channel.len == 0) {
        sb_session_error(session, "no channel was specified", channel);
        return;
    }
    if (sb_is_database_channel(channel, &repository)) {
        sb_session_error(session, "you cannot write to database channel", channel);
        return;
    }
    rt_buf_clear(payload);
    (void)json_out_string(payload, (const char *)data.data, data.len);
    if (payload->len > WIRE_PAYLOAD_MAX) {
        sb_session_error(session, "the message is too large for a channel", channel);
        return;
    }
    enum hub_err err =
        hub_publish(session->client, &(struct hub_publishing){
                                         .channel = room_name(session, channel, room),
                                         .event = sb_span(session->sid),
                                         .payload = rt_buf_span(payload),
                                         .to_sender = true,
                                         .reply = session,
                                     });
    if (err != HUB_OK) {
        sb_session_error(session,
                         err == HUB_EXPIRED ? "invalid token"
                                            : "the channel cannot be reached now, try again",
                         channel);
    }
}

/* --- what the hub says ------------------------------------------------------------------------------------------------ */

static void joined(struct sb_channel *channel)
{
    channel->accepted = true;
    sb_session_say(channel->session, "joined", name_of(channel), name_of(channel));
}

/* The first answer of a stream gives it a point to go on from, also if no event follows. With several subscriptions there is
 * no such point at hand. */
static void on_accepted(void *user, void *sub, const struct hub_accepted *accepted)
{
    struct sb_session *session = user;
    struct sb_channel *channel = sub;
    struct rt_buf *out = &session->sb->out;
    char id[WIRE_POSITION_TEXT_SIZE];

    if (session->form != SB_EVENT || goes_on(session) || hub_client_subs(session->client) != 1) {
        joined(channel);
        return;
    }
    channel->accepted = true;
    wire_position_text(&accepted->position, id);
    sb_out_message(out, sb_span(session->sid), "joined", name_of(channel), name_of(channel));
    struct edge_frame *frame = sse_event(sb_span(id), rt_buf_span(out));
    rt_buf_clear(out);
    edge_conn_send(session->conn, frame);
    edge_frame_unref(frame);
}

static void refuse_with(struct sb_channel *channel, struct rt_span message)
{
    struct sb_session *session = channel->session;

    rt_counter_add(session->sb->errors, 1);
    sb_session_say(session, "error", message, name_of(channel));
    sb_channel_free(channel);
}

static void on_refused(void *session, void *sub, enum wire_code code, struct rt_span message)
{
    (void)session;
    (void)code;
    refuse_with(sub, message);
}

static const char missed[] = "events were missed; read the documents of this channel again";

static void on_gone(void *session, void *sub, const struct hub_gone *gone)
{
    struct sb_channel *channel = sub;
    struct staticbackend *sb = channel->session->sb;

    (void)gone;
    channel->sub = NULL;
    sb_session_error(session, missed, name_of(channel));
    list_append(&sb->again, &channel->in_again);
    rt_defer_schedule(sb->later);
}

/* Behind what was delivered, as an event of its own. */
static void on_gap(void *user, void *sub, const struct hub_gap *gap)
{
    struct sb_session *session = user;
    struct sb_channel *channel = sub;
    struct rt_buf *out = &session->sb->out;

    (void)gap;
    rt_counter_add(session->sb->errors, 1);
    sb_out_message(out, sb_span(session->sid), "error", sb_span(missed), name_of(channel));
    struct edge_frame *frame = session->form == SB_EVENT ? sse_event(sb_span(""), rt_buf_span(out))
                                                         : edge_frame_text(out->data, out->len);
    rt_buf_clear(out);
    hub_sub_send(channel->sub, frame);
    edge_frame_unref(frame);
}

static void on_rows(void *session, void *sub, const struct hub_page *page)
{
    (void)session;
    (void)sub;
    (void)page; /* never asked for */
}

static size_t waiting(void *session)
{
    return edge_conn_waiting_bytes(((const struct sb_session *)session)->conn);
}

static void on_commit(void *session, const struct wire_position *at, uint64_t changes)
{
    (void)session;
    (void)at;
    (void)changes;
}

static void on_overflow(void *user)
{
    struct sb_session *session = user;
    char reason[ADMISSION_REASON_SIZE];

    admission_reason(
        "a shard is behind, and too much waits for it",
        admission_retry_ms(1, session->sb->config->realtime_connect_rate, rt_random64()), reason);
    sb_session_close(session, EDGE_CLOSE_SLOW, reason);
}

/* The protocol has no word for it; operators see pgtide_edge_fresh_age. */
static void on_stale(void *session, rt_usec age)
{
    (void)session;
    (void)age;
}

static void on_fresh(void *session)
{
    (void)session;
}

static void on_expired(void *session)
{
    sb_auth_revoke(session);
}

static void deliver(void *to, struct edge_frame *frame)
{
    sb_session_deliver(to, frame);
}

static void on_room_accepted(void *session, void *room, const struct hub_room_accepted *accepted)
{
    (void)session;
    (void)accepted;
    joined(room);
}

static void on_room_refused(void *session, void *room, enum wire_code code, struct rt_span message)
{
    (void)session;
    (void)code;
    refuse_with(room, message);
}

static void on_room_gone(void *session, void *room, enum wire_gone_reason reason,
                         struct rt_span message)
{
    (void)session;
    (void)reason;
    refuse_with(room, message); /* only of what asks for a since; none does */
}

static void on_room_gap(void *session, void *room, const char *reason)
{
    const struct sb_channel *channel = room;

    (void)reason;
    sb_session_error(session, "messages of this channel may have been missed", name_of(channel));
}

static void on_done(void *session, void *reply, unsigned code, struct rt_span message,
                    const struct wire_place *place)
{
    (void)reply;
    (void)place;
    if (code != 0) {
        rt_counter_add(((const struct sb_session *)session)->sb->errors, 1);
    }
    sb_session_say(session, code == 0 ? "ok" : "error", code == 0 ? sb_span("") : message,
                   sb_span(""));
}

const struct hub_dialect sb_hub_side = {
    .name = "staticbackend",
    .encode = sb_encode,
    .deliver = deliver,
    .on_accepted = on_accepted,
    .on_refused = on_refused,
    .on_gone = on_gone,
    .on_gap = on_gap,
    .on_rows = on_rows,
    .waiting = waiting,
    .on_commit = on_commit,
    .on_overflow = on_overflow,
    .on_stale = on_stale,
    .on_fresh = on_fresh,
    .on_expired = on_expired,
    .encode_message = sb_encode_message,
    .on_room_accepted = on_room_accepted,
    .on_room_refused = on_room_refused,
    .on_room_gone = on_room_gone,
    .on_room_gap = on_room_gap,
    .on_done = on_done,
};
