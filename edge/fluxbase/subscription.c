/* edge/fluxbase/subscription.c - subscriptions of a session, and what the hub says about them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/admission.h"
#include "edge/fluxbase/parts.h"
#include "runtime/config.h"

void fluxbase_send_failure(struct fluxbase_session *session, const char *what,
                           struct rt_span channel)
{
    char text[400];

    (void)snprintf(text, sizeof text, "%s %.*s", what, channel.len < 300 ? (int)channel.len : 300,
                   (const char *)channel.data);
    fluxbase_send_error(session, WIRE_CODE_SUBSCRIPTION_FAILED, fluxbase_span(text), channel);
}

/* The scratch buffer, behind the changes of this subscription. */
static void send_in_order(struct fluxbase_subscription *sub)
{
    struct edge_frame *frame = fluxbase_frame(sub->session->fluxbase);

    hub_sub_send(sub->handle, frame);
    edge_frame_unref(frame);
}

/* --- subscriptions ----------------------------------------------------------------------------------------- */

static struct rt_span keep(struct fluxbase_subscription *sub, size_t *used, struct rt_span text)
{
    char *at = sub->text + *used;

    if (text.len > 0) {
        memcpy(at, text.data, text.len);
    }
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

struct fluxbase_subscription *fluxbase_subscription_new(struct fluxbase_session *session,
                                                        const struct fluxbase_message *message,
                                                        struct rt_span channel)
{
    size_t used = 0;
    struct fluxbase_subscription *sub = rt_alloc(sizeof *sub + channel.len + message->schema.len +
                                                 message->table.len + message->filter.len);

    sub->session = session;
    sub->form = message->form;
    sub->names.channel = keep(sub, &used, channel);
    sub->names.schema = keep(sub, &used, message->schema);
    sub->names.table = keep(sub, &used, message->table);
    sub->names.filter = keep(sub, &used, message->filter);
    sub->names.event = fluxbase_event_name(message->events);
    fluxbase_uuid(sub->id);
    sub->names.id = sub->id;
    list_append(&session->subs, &sub->in_session);
    return sub;
}

void fluxbase_subscription_free(struct fluxbase_subscription *sub)
{
    list_remove(&sub->in_session);
    free(sub);
}

static bool same(struct rt_span a, struct rt_span b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static bool subscribed_by_channel(const struct fluxbase_session *session, struct rt_span channel)
{
    LIST_EACH(at, after, &session->subs)
    {
        const struct fluxbase_subscription *sub =
            LIST_ELEMENT(at, struct fluxbase_subscription, in_session);
        if (sub->form == FLUXBASE_BY_CHANNEL && same(sub->names.channel, channel)) {
            return true;
        }
    }
    return false;
}

void fluxbase_refuse_subscribe(struct fluxbase_subscription *sub, enum hub_err err)
{
    struct fluxbase_session *session = sub->session;
    char text[120];

    if (err == HUB_TOO_MANY) {
        (void)snprintf(text, sizeof text, "too many subscriptions: a connection may have %" PRId64,
                       session->fluxbase->config->realtime_max_subscriptions);
        fluxbase_send_error(session, WIRE_CODE_SUBSCRIPTION_FAILED, fluxbase_span(text),
                            sub->names.channel);
    } else {
        fluxbase_send_error(session, WIRE_CODE_UNAUTHORIZED, fluxbase_span(fluxbase_bad_token),
                            sub->names.channel);
    }
    fluxbase_subscription_free(sub);
}

static uint32_t page_rows(const struct fluxbase_session *session,
                          const struct fluxbase_message *message)
{
    return message->page_size > 0 ? message->page_size
                                  : (uint32_t)session->fluxbase->config->snapshot_page_rows;
}

void fluxbase_subscribe(struct fluxbase_session *session, const struct fluxbase_message *message)
{
    char name[WIRE_CHANNEL_MAX];

    if (message->form == FLUXBASE_BY_ROOM) {
        fluxbase_room_subscribe(session, message);
        return;
    }
    struct rt_span table = table_channel(message, name);
    struct rt_span channel = message->channel.len > 0 ? message->channel : table;

    if (message->form == FLUXBASE_BY_CHANNEL && subscribed_by_channel(session, channel)) {
        fluxbase_send_failure(session, "already subscribed to", channel);
        return;
    }
    struct fluxbase_subscription *sub = fluxbase_subscription_new(session, message, channel);
    enum hub_err err = hub_subscribe(session->client,
                                     &(struct hub_want){
                                         .channel = table,
                                         .filter = message->filter,
                                         .filter_kind = WIRE_FILTER_PLAIN,
                                         .form = (unsigned)message->form,
                                         .text = sub->names.channel,
                                         .events = message->events,
                                         .user = sub,
                                         .has_since = message->has_since,
                                         .since = message->since,
                                         .snapshot = message->snapshot,
                                         .page_rows = page_rows(session, message),
                                         .token = message->snapshot_token,
                                     },
                                     &sub->handle);
    if (err != HUB_OK) {
        fluxbase_refuse_subscribe(sub, err);
    }
}

static bool meant(const struct fluxbase_subscription *sub, const struct fluxbase_message *message)
{
    if (message->subscription_id.data != NULL) {
        return same(message->subscription_id, fluxbase_span(sub->id));
    }
    return same(sub->names.channel, message->channel);
}

void fluxbase_unsubscribe(struct fluxbase_session *session, const struct fluxbase_message *message)
{
    bool any = false;

    LIST_EACH(at, after, &session->subs)
    {
        struct fluxbase_subscription *sub =
            LIST_ELEMENT(at, struct fluxbase_subscription, in_session);
        if (meant(sub, message) && sub->room != NULL) {
            any = true;
            fluxbase_room_unsubscribe(sub);
        } else if (meant(sub, message)) {
            any = true;
            fluxbase_out_unsubscribed(&session->fluxbase->out, &sub->names);
            send_in_order(sub);
            hub_unsubscribe(sub->handle);
            fluxbase_subscription_free(sub);
        }
    }
    if (!any && message->subscription_id.data != NULL) {
        fluxbase_send_error(session, WIRE_CODE_SUBSCRIPTION_FAILED,
                            fluxbase_span("not subscribed: no such subscription_id"),
                            message->channel);
    } else if (!any) {
        fluxbase_send_failure(session, "not subscribed to", message->channel);
    }
}

/* --- what the hub says ------------------------------------------------------------------------------------ */

static void hub_on_accepted(void *session, void *user, const struct hub_accepted *accepted)
{
    struct fluxbase_subscription *sub = user;

    fluxbase_out_subscribed(&sub->session->fluxbase->out, &sub->names, accepted);
    fluxbase_send_out(session);
}

static void hub_on_refused(void *session, void *user, enum wire_code code, struct rt_span message)
{
    struct fluxbase_subscription *sub = user;

    fluxbase_send_error(session, code, message, sub->names.channel);
    fluxbase_subscription_free(sub);
}

static void hub_on_gone(void *session, void *user, const struct hub_gone *gone)
{
    struct fluxbase_subscription *sub = user;

    fluxbase_out_gone(&sub->session->fluxbase->out, &sub->names, gone);
    fluxbase_send_out(session);
    fluxbase_subscription_free(sub);
}

static void hub_on_gap(void *session, void *user, const struct hub_gap *gap)
{
    struct fluxbase_subscription *sub = user;

    (void)session;
    fluxbase_out_gap(&sub->session->fluxbase->out, &sub->names, gap);
    send_in_order(sub);
}

static void hub_on_rights(void *session, void *user, const struct wire_position *position)
{
    struct fluxbase_subscription *sub = user;

    (void)session;
    fluxbase_out_rights(&sub->session->fluxbase->out, &sub->names, position);
    send_in_order(sub);
}

static void hub_on_rows(void *session, void *user, const struct hub_page *page)
{
    struct fluxbase_subscription *sub = user;

    (void)session;
    fluxbase_out_rows(&sub->session->fluxbase->out, &sub->names, page);
    send_in_order(sub);
}

static size_t hub_waiting(void *user)
{
    const struct fluxbase_session *session = user;

    return edge_conn_waiting_bytes(session->conn);
}

static void hub_on_commit(void *user, const struct wire_position *at, uint64_t changes)
{
    struct fluxbase_session *session = user;

    fluxbase_out_commit(&session->fluxbase->out, at, changes);
    fluxbase_send_out(session);
}

static void hub_on_overflow(void *user)
{
    struct fluxbase_session *session = user;

    char reason[ADMISSION_REASON_SIZE];

    session->closing = true;
    admission_reason(
        "a shard is behind, and too much waits for it",
        admission_retry_ms(1, session->fluxbase->config->realtime_connect_rate, rt_random64()),
        reason);
    edge_conn_close(session->conn, EDGE_CLOSE_SLOW, reason);
}

static void hub_on_stale(void *user, rt_usec age)
{
    struct fluxbase_session *session = user;
    struct fluxbase *fluxbase = session->fluxbase;
    int64_t seconds = age / RT_SEC;

    if (fluxbase->stale == NULL || fluxbase->stale_seconds != seconds) {
        edge_frame_unref(fluxbase->stale);
        fluxbase_out_stale(&fluxbase->out, seconds);
        fluxbase->stale = fluxbase_frame(fluxbase);
        fluxbase->stale_seconds = seconds;
    }
    edge_conn_send(session->conn, fluxbase->stale);
}

static void hub_on_fresh(void *user)
{
    struct fluxbase_session *session = user;

    edge_conn_send(session->conn, session->fluxbase->fresh);
}

static void hub_on_expired(void *user)
{
    struct fluxbase_session *session = user;

    session->closing = true;
    fluxbase_send_error(session, WIRE_CODE_UNAUTHORIZED, fluxbase_span("Token has expired"),
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
    return fluxbase_frame(fluxbase);
}

static void hub_mark_last(struct edge_frame *frame)
{
    fluxbase_out_mark_last(frame->bytes, frame->len);
}

const struct hub_dialect fluxbase_hub_side = {
    .name = "fluxbase",
    .encode = hub_encode,
    .mark_last = hub_mark_last,
    .deliver = hub_deliver,
    .on_accepted = hub_on_accepted,
    .on_refused = hub_on_refused,
    .on_gone = hub_on_gone,
    .on_gap = hub_on_gap,
    .on_rights = hub_on_rights,
    .on_rows = hub_on_rows,
    .waiting = hub_waiting,
    .on_commit = hub_on_commit,
    .on_overflow = hub_on_overflow,
    .on_stale = hub_on_stale,
    .on_fresh = hub_on_fresh,
    .on_expired = hub_on_expired,
    .on_unseated = fluxbase_on_unseated,
    .encode_message = fluxbase_encode_message,
    .encode_presence = fluxbase_encode_presence,
    .on_room_accepted = fluxbase_on_room_accepted,
    .on_room_refused = fluxbase_on_room_refused,
    .on_room_gone = fluxbase_on_room_gone,
    .on_room_gap = fluxbase_on_room_gap,
    .on_done = fluxbase_on_done,
};
