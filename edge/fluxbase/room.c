/* edge/fluxbase/room.c - broadcast and presence channels of a session, and what the hub says about them.
 *
 * Who sends to a channel, or is present in one, is in it from then on, as if it had subscribed, but without an acknowledgement; a later subscribe is
 * acknowledged, once. If only listening is not allowed, a broadcast goes out all the same, and nothing is said.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/fluxbase/channel.h"
#include "edge/fluxbase/parts.h"

/* A message that waits for its answer. */
struct sent {
    struct fluxbase_session *session;
    struct list_node in_session;
    bool wants_ack;
    bool track;
    size_t channel_len;
    size_t id_len;
    char text[]; /* channel, messageId */
};

static bool same(struct rt_span a, struct rt_span b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static struct fluxbase_subscription *find(const struct fluxbase_session *session,
                                          struct rt_span channel)
{
    LIST_EACH(at, after, &session->subs)
    {
        struct fluxbase_subscription *sub =
            LIST_ELEMENT(at, struct fluxbase_subscription, in_session);
        if (sub->room != NULL && same(sub->names.channel, channel)) {
            return sub;
        }
    }
    return NULL;
}

static void send_in_order(struct fluxbase_subscription *sub)
{
    struct edge_frame *frame = fluxbase_frame(sub->session->fluxbase);

    hub_room_send(sub->room, frame);
    edge_frame_unref(frame);
}

/* --- subscriptions -------------------------------------------------------------------------------------------- */

/* NULL: refused, and said so unless it is implicit. */
static struct fluxbase_subscription *join(struct fluxbase_session *session,
                                          const struct fluxbase_message *message, bool implicit)
{
    struct fluxbase_subscription *sub =
        fluxbase_subscription_new(session, message, message->channel);

    char name[FLUXBASE_CHANNEL_MAX];

    sub->form = FLUXBASE_BY_ROOM;
    sub->implicit = implicit;
    enum hub_err err = hub_room_join(session->client,
                                     &(struct hub_room_want){
                                         .channel = fluxbase_room_name(sub->names.channel, name),
                                         .form = FLUXBASE_BY_ROOM,
                                         .text = sub->names.channel,
                                         .user = sub,
                                         .has_since = message->has_since,
                                         .since = message->place,
                                     },
                                     &sub->room);
    if (err == HUB_OK) {
        return sub;
    }
    if (implicit) {
        fluxbase_subscription_free(sub);
    } else {
        fluxbase_refuse_subscribe(sub, err);
    }
    return NULL;
}

void fluxbase_room_subscribe(struct fluxbase_session *session,
                             const struct fluxbase_message *message)
{
    struct fluxbase_subscription *sub = find(session, message->channel);

    if (sub == NULL) {
        (void)join(session, message, false);
    } else if (!sub->implicit || message->has_since) {
        fluxbase_send_failure(session, "already subscribed to", message->channel);
    } else {
        sub->implicit = false;
        if (sub->joined) {
            fluxbase_out_joined(&session->fluxbase->out, sub->names.channel, sub->id,
                                &sub->accepted);
            send_in_order(sub);
        }
    }
}

void fluxbase_room_unsubscribe(struct fluxbase_subscription *sub)
{
    fluxbase_out_left(&sub->session->fluxbase->out, sub->names.channel, sub->id);
    send_in_order(sub);
    hub_room_leave(sub->room);
    fluxbase_subscription_free(sub);
}

/* --- what clients send ---------------------------------------------------------------------------------------- */

static struct sent *sent_new(struct fluxbase_session *session,
                             const struct fluxbase_message *message)
{
    struct sent *sent = rt_alloc(sizeof *sent + message->channel.len + message->message_id.len);

    sent->session = session;
    sent->wants_ack = message->message_id.data != NULL;
    sent->track = message->type == FLUXBASE_TRACK;
    sent->channel_len = message->channel.len;
    sent->id_len = message->message_id.len;
    memcpy(sent->text, message->channel.data, message->channel.len);
    if (message->message_id.len > 0) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a message has a channel */
        memcpy(sent->text + sent->channel_len, message->message_id.data, sent->id_len);
    }
    list_append(&session->sent, &sent->in_session);
    return sent;
}

static void sent_free(struct sent *sent)
{
    list_remove(&sent->in_session);
    free(sent);
}

void fluxbase_sent_free_all(struct fluxbase_session *session)
{
    LIST_EACH(at, after, &session->sent)
    {
        sent_free(LIST_ELEMENT(at, struct sent, in_session));
    }
}

static void refuse_send(struct fluxbase_session *session, enum hub_err err,
                        const struct fluxbase_message *message)
{
    static const char *const texts[] = {
        [HUB_TOO_MANY] = "too many presence keys on this channel",
        [HUB_EXPIRED] = fluxbase_bad_token_text,
        [HUB_AWAY] =
            "the server is not ready: the shard that holds this channel cannot be reached; "
            "try again later",
    };
    enum wire_code code =
        err == HUB_EXPIRED ? WIRE_CODE_UNAUTHORIZED : WIRE_CODE_SUBSCRIPTION_FAILED;

    fluxbase_send_error(session, code, fluxbase_span(texts[err]), message->channel);
}

void fluxbase_broadcast(struct fluxbase_session *session, const struct fluxbase_message *message)
{
    char name[FLUXBASE_CHANNEL_MAX];

    if (find(session, message->channel) == NULL) {
        (void)join(session, message, true);
    }
    struct sent *sent = sent_new(session, message);
    enum hub_err err =
        hub_publish(session->client, &(struct hub_publishing){
                                         .channel = fluxbase_room_name(message->channel, name),
                                         .event = message->event,
                                         .payload = message->payload,
                                         .to_sender = !message->not_to_self,
                                         .reply = sent,
                                     });
    if (err != HUB_OK) {
        sent_free(sent);
        refuse_send(session, err, message);
    }
}

void fluxbase_track(struct fluxbase_session *session, const struct fluxbase_message *message)
{
    struct fluxbase_subscription *sub = find(session, message->channel);

    if (sub == NULL) {
        sub = join(session, message, true);
    }
    struct sent *sent = sent_new(session, message);
    enum hub_err err =
        sub == NULL ? HUB_TOO_MANY : hub_track(sub->room, message->key, message->meta, sent);
    if (err != HUB_OK) {
        sent_free(sent);
        refuse_send(session, err, message);
    }
}

void fluxbase_untrack(struct fluxbase_session *session, const struct fluxbase_message *message)
{
    struct fluxbase_subscription *sub = find(session, message->channel);

    if (sub == NULL || !hub_untrack(sub->room, message->key)) {
        fluxbase_send_failure(session, "not present in", message->channel);
    }
}

/* --- what the hub says ---------------------------------------------------------------------------------------- */

struct edge_frame *fluxbase_encode_message(void *dialect, const struct hub_message *message,
                                           unsigned form, struct rt_span text)
{
    struct fluxbase *fluxbase = dialect;

    (void)form;
    fluxbase_out_message(&fluxbase->out, text, message);
    return fluxbase_frame(fluxbase);
}

struct edge_frame *fluxbase_encode_presence(void *dialect, const struct hub_presence *presence,
                                            unsigned form, struct rt_span text)
{
    struct fluxbase *fluxbase = dialect;

    (void)form;
    fluxbase_out_presence(&fluxbase->out, text, presence);
    return fluxbase_frame(fluxbase);
}

void fluxbase_on_room_accepted(void *session, void *user, const struct hub_room_accepted *accepted)
{
    struct fluxbase_subscription *sub = user;

    sub->joined = true;
    sub->accepted = *accepted;
    if (!sub->implicit) {
        fluxbase_out_joined(&sub->session->fluxbase->out, sub->names.channel, sub->id, accepted);
        fluxbase_send_out(session);
    }
}

void fluxbase_on_room_refused(void *session, void *user, enum wire_code code,
                              struct rt_span message)
{
    struct fluxbase_subscription *sub = user;

    if (!sub->implicit) {
        fluxbase_send_error(session, code, message, sub->names.channel);
    }
    fluxbase_subscription_free(sub);
}

void fluxbase_on_room_gone(void *session, void *user, enum wire_gone_reason reason,
                           struct rt_span message)
{
    struct fluxbase_subscription *sub = user;

    fluxbase_out_room_gone(&sub->session->fluxbase->out, sub->names.channel, sub->id, reason,
                           message);
    fluxbase_send_out(session);
    fluxbase_subscription_free(sub);
}

void fluxbase_on_room_gap(void *session, void *user, const char *reason)
{
    struct fluxbase_subscription *sub = user;

    fluxbase_out_room_gap(&sub->session->fluxbase->out, sub->names.channel, sub->id, reason);
    fluxbase_send_out(session);
}

void fluxbase_on_done(void *user, void *reply, unsigned code, struct rt_span message,
                      const struct wire_place *place)
{
    struct fluxbase_session *session = user;
    struct sent *sent = reply;
    struct rt_span channel = { (const uint8_t *)sent->text, sent->channel_len };
    struct rt_span id = { (const uint8_t *)sent->text + sent->channel_len, sent->id_len };

    if (code != 0) {
        fluxbase_send_error(session, (enum wire_code)code, message, channel);
    } else if (sent->wants_ack) {
        fluxbase_out_sent(&session->fluxbase->out, channel, id, place);
        fluxbase_send_out(session);
    }
    sent_free(sent);
}
