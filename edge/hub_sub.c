/* edge/hub_sub.c - what clients asked for, each from its beginning to its end.
 *
 * A sub without a position of its own shares the upward subscription of its (identity, channel, filter). One that goes on from
 * a position (`since`, or where an interruption left it under another identity) has a solo until it has caught up.
 *
 * A change of identity must lose nothing: a sub in force stays where it is, and an heir of it waits for
 * the shard's answer under the new identity. The answer has a place in the stream; there the heir's place is
 * taken over, and the handle that the dialect holds stays the same throughout.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/hub_parts.h"
#include "runtime/config.h"
#include "runtime/log.h"
#include "runtime/process.h"

static struct hub_sub *sub_new(struct hub_client *client, const struct hub_want *want)
{
    struct hub_sub *sub = rt_alloc(sizeof *sub + want->text.len);

    sub->client = client;
    sub->events = want->events;
    sub->form = want->form;
    sub->user = want->user;
    sub->began = client->hub->now();
    sub->asked = want->has_since;
    sub->has_after = want->has_since;
    sub->after = want->since;
    if (want->snapshot) {
        sub->rows = hub_rows_new(sub, want);
    }
    sub->text_len = want->text.len;
    memcpy(sub->text, want->text.data, want->text.len);
    return sub;
}

/* Out of every list but the client's. */
static void unlink_sub(struct hub_sub *sub)
{
    struct hub_up *up = sub->up;

    hub_audience_leave(sub);
    list_remove(&sub->in_waiting);
    list_remove(&sub->in_up);
    sub->up = NULL;
    if (up != NULL) {
        hub_up_drop_if_unused(up);
    }
}

static void heir_free(struct hub_sub *heir)
{
    heir->heir_of->heir = NULL;
    unlink_sub(heir);
    free(heir);
}

void hub_sub_free(struct hub_sub *sub)
{
    struct hub_client *client = sub->client;

    if (sub->heir != NULL) {
        heir_free(sub->heir);
    }
    unlink_sub(sub);
    hub_merge_end(sub);
    list_remove(&sub->in_client);
    client->count--;
    client->hub->sub_count--;
    hub_rows_free(sub->rows);
    free(sub);
}

/* --- positions ----------------------------------------------------------------------------------------------- */

static struct wire_position before(struct wire_position position)
{
    if (position.index > 0) {
        position.index--;
    } else if (position.lsn > 0) {
        position.lsn--;
        position.index = UINT32_MAX;
    }
    return position;
}

/* Of one in force: what its flow has handed on, less what is held back, but never less than what it had before. */
struct wire_position hub_sub_reached(const struct hub_sub *sub)
{
    const struct hub_audience *audience = sub->audience;
    struct wire_position position = hub_up_position(sub->up);

    if (audience->held != NULL) {
        position = before(audience->sent);
    } else if (audience->has_sent && hub_position_not_after(&position, &audience->sent)) {
        position = audience->sent;
    }
    if (sub->has_after && hub_position_not_after(&position, &sub->after)) {
        position = sub->after;
    }
    return position;
}

/* What a snapshot has handed on is not a matter of positions: hub_rows.c knows it. */
static void keep_position(struct hub_sub *sub)
{
    if (sub->rows == NULL) {
        sub->after = hub_sub_reached(sub);
        sub->has_after = true;
    }
}

void hub_sub_give_up(struct hub_sub *sub, enum hub_gone_why why)
{
    sub->gone = why;
    hub_rows_free(sub->rows);
    sub->rows = NULL;
}

void hub_sub_settle(struct hub_sub *sub)
{
    if (sub->audience != NULL) {
        hub_audience_release(sub->audience);
        keep_position(sub);
    }
}

void hub_sub_interrupt(struct hub_sub *sub)
{
    if (sub->audience != NULL) {
        keep_position(sub); /* a frame held back comes again, then with its mark */
        hub_audience_leave(sub);
    }
    if (sub->acked) {
        sub->interrupted = true;
        if (sub->rows != NULL && !hub_rows_can_go_on(sub->rows)) {
            hub_sub_give_up(sub, HUB_GONE_SNAPSHOT);
        }
    }
}

/* --- in force ------------------------------------------------------------------------------------------------ */

static void enter(struct hub_sub *sub)
{
    struct hub_group *group = sub->up->group;

    if (sub->audience == NULL || sub->audience->group != group) {
        hub_sub_settle(sub);
        hub_audience_leave(sub);
        hub_audience_enter(group, sub);
    }
    if (sub->rows == NULL) {
        hub_merge_begin(sub);
    }
}

/* The rows are over when the live stream begins; up to then it is they that say what the client has. */
static void update_rows(struct hub_sub *sub)
{
    if (sub->rows == NULL) {
        return;
    }
    sub->has_after = false;
    if (sub->up->kind != WIRE_ACCEPT_SNAPSHOT) {
        hub_rows_free(sub->rows);
        sub->rows = NULL;
    }
}

static void acknowledge(struct hub_sub *sub, const struct wire_position *from)
{
    struct hub_client *client = sub->client;
    const struct row_def *def = sub->up->group->def;
    bool resumed = sub->asked && hub_position_not_after(from, &sub->after);

    if (sub->rows != NULL && sub->up->kind == WIRE_ACCEPT_SNAPSHOT && !hub_rows_proven(sub->rows)) {
        update_rows(sub); /* in force, but the answer may still be that the token cannot be used */
        enter(sub);
        return;
    }
    if (resumed) {
        rt_counter_add(client->hub->metrics.resumed, 1);
    } else {
        bool live = sub->up->kind != WIRE_ACCEPT_SNAPSHOT;
        sub->after = live ? hub_merge_start(client, hub_up_position(sub->up)) : sub->up->from;
        sub->has_after = true;
    }
    sub->asked = false;
    sub->acked = true;
    list_remove(&sub->in_waiting);
    update_rows(sub);
    enter(sub);
    struct hub_accepted accepted = {
        .position = sub->after,
        .resumed = resumed,
        .defined = def != NULL,
        .columns = def,
    };
    client->ops->on_accepted(client->session, sub->user, &accepted);
}

void hub_sub_confirm(struct hub_sub *sub)
{
    if (!sub->acked) {
        acknowledge(sub, &sub->up->from);
    }
}

static void go_on(struct hub_sub *sub, const struct wire_position *from)
{
    bool missed = sub->rows == NULL && !hub_position_not_after(from, &sub->after);

    sub->interrupted = false;
    if (sub->gone != HUB_NOT_GONE || missed) {
        struct wire_position position = hub_up_position(sub->up);
        if (sub->gone != HUB_GONE_AHEAD) { /* a database that has gone back takes the order along */
            position = hub_merge_start(sub->client, position);
        }
        hub_sub_tell_gap(sub, &position);
        sub->after = position;
        hub_merge_begin_anew(sub);
        sub->gone = HUB_NOT_GONE;
    }
    update_rows(sub);
    enter(sub);
}

/* `sub` takes the place of its heir. */
static void take_over(struct hub_sub *sub, struct hub_sub *heir)
{
    struct hub_up *old = sub->up;

    sub->heir = NULL;
    hub_sub_settle(sub);
    hub_audience_leave(sub);
    list_remove(&sub->in_up);
    sub->up = heir->up;
    list_append(&sub->up->subs, &sub->in_up);
    list_remove(&heir->in_up);
    list_remove(&heir->in_waiting);
    free(heir);
    hub_up_drop_if_unused(old);
}

void hub_sub_arm(struct hub_sub *sub, const struct wire_position *from)
{
    if (sub->heir_of != NULL) {
        struct hub_sub *heir = sub;
        sub = heir->heir_of;
        take_over(sub, heir);
    }
    if (!sub->acked) {
        acknowledge(sub, from);
    } else if (sub->interrupted) {
        go_on(sub, from);
    } else {
        update_rows(sub);
        enter(sub);
    }
}

/* --- ends ---------------------------------------------------------------------------------------------------- */

void hub_sub_refuse(struct hub_sub *sub, enum wire_code code, struct rt_span message)
{
    struct hub_sub *told = sub->heir_of != NULL ? sub->heir_of : sub;
    struct hub_client *client = told->client;

    /* First told, then over: at its end the client's merge goes on without it, and commits must not come before the
     * client knows what they lack. */
    hub_count_refusal(client->hub, code);
    client->ops->on_refused(client->session, told->user, code, message);
    hub_sub_free(told); /* with its heir */
}

void hub_sub_gone(struct hub_sub *sub, const struct wire_gone *gone)
{
    struct hub_client *client = sub->client;
    struct hub_gone told = {
        .reason = gone->reason,
        .message = { (const uint8_t *)gone->message.data, gone->message.len },
        .has_since = sub->has_after,
        .since = sub->after,
        .oldest = gone->oldest,
        .newest = gone->newest,
    };

    rt_counter_add(client->hub->metrics.gone, 1);
    client->ops->on_gone(client->session, sub->user, &told); /* first, like on_refused */
    hub_sub_free(sub);
}

static void refuse_late(struct hub_sub *sub, bool reachable)
{
    char text[200];
    uint32_t shard = sub->up->shard->index;

    if (reachable) {
        (void)snprintf(text, sizeof text,
                       "the server is not ready: shard %" PRIu32
                       " did not answer in time; try again later",
                       shard);
    } else {
        (void)snprintf(text, sizeof text,
                       "the server is not ready: shard %" PRIu32
                       ", which holds this channel, cannot be reached; "
                       "try again later",
                       shard);
    }
    hub_sub_refuse(sub, WIRE_CODE_SUBSCRIPTION_FAILED,
                   (struct rt_span){ (const uint8_t *)text, strlen(text) });
}

/* What is in force goes on under its old identity while nobody answers its heir, and ends with nothing but a shard
 * that is there and silent. */
static bool overdue(const struct hub_sub *sub, rt_usec waited, bool reachable)
{
    if (!reachable) {
        return sub->heir_of == NULL && waited >= HUB_SUBSCRIBE_TIMEOUT;
    }
    bool behind = sub->heir_of != NULL || sub->asked || sub->rows != NULL;
    return waited >= (behind ? HUB_RESUME_TIMEOUT : HUB_ANSWER_TIMEOUT);
}

/* Oldest first, so that it ends at the first one that is young. */
void hub_refuse_overdue(struct hub *hub, rt_usec now)
{
    LIST_EACH(at, after, &hub->waiting)
    {
        struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_waiting);
        rt_usec waited = now - sub->began;
        bool reachable = sub->up->number != 0 && sub->up->shard->in_session;
        if (waited < HUB_SUBSCRIBE_TIMEOUT) {
            break;
        }
        if (overdue(sub, waited, reachable)) {
            refuse_late(sub, reachable);
        }
    }
}

/* --- asking -------------------------------------------------------------------------------------------------- */

/* With a position of its own it cannot share one that may be ahead. */
static struct hub_up *up_for(struct hub_sub *sub, const struct hub_subject *topic)
{
    struct hub_client *client = sub->client;
    bool behind =
        sub->asked || sub->rows != NULL || (sub->interrupted && sub->gone == HUB_NOT_GONE);

    return behind ? hub_up_solo(client->hub, client->identity, topic)
                  : hub_up_get(client->hub, client->identity, topic);
}

static struct hub_subject subject_of(const struct hub_want *want)
{
    bool filtered = want->filter.len > 0;

    return (struct hub_subject){
        .channel = { (const char *)want->channel.data, want->channel.len },
        .filter = { filtered ? (const char *)want->filter.data : "", want->filter.len },
        .filter_kind = filtered ? want->filter_kind : WIRE_FILTER_PLAIN,
    };
}

static void wait_for_answer(struct hub_sub *sub)
{
    if (sub->up->group == NULL) {
        list_append(&sub->client->hub->waiting, &sub->in_waiting);
    }
}

enum hub_err hub_subscribe(struct hub_client *client, const struct hub_want *want,
                           struct hub_sub **out_sub)
{
    struct hub *hub = client->hub;

    if (client->expired) {
        return HUB_EXPIRED;
    }
    if (client->count >= (size_t)hub->process->config->realtime_max_subscriptions) {
        return HUB_TOO_MANY;
    }
    struct hub_sub *sub = sub_new(client, want);
    struct hub_subject topic = subject_of(want);
    struct hub_up *up = up_for(sub, &topic);
    client->count++;
    hub->sub_count++;
    list_append(&client->subs, &sub->in_client);
    *out_sub = sub;
    hub_up_attach(up, sub);
    hub_merge_begin(sub);
    wait_for_answer(sub);
    hub_shard_flush(up->shard);
    return HUB_OK;
}

void hub_unsubscribe(struct hub_sub *sub)
{
    struct hub_shard *shard = sub->up->shard; /* an heir has the same channel, so the same shard */

    hub_sub_free(sub);
    hub_shard_flush(shard);
}

/* --- another identity ---------------------------------------------------------------------------------------- */

/* The same subscription, hidden, under the client's present identity. */
static struct hub_sub *heir_new(struct hub_sub *sub)
{
    struct hub_sub *heir =
        sub_new(sub->client, &(struct hub_want){
                                 .form = sub->form,
                                 .text = { (const uint8_t *)sub->text, sub->text_len },
                                 .events = sub->events,
                             });

    heir->acked = true;
    heir->heir_of = sub;
    sub->heir = heir;
    return heir;
}

static void move_to_up(struct hub_sub *sub, struct hub_up *up)
{
    struct hub_up *old = sub->up;

    list_remove(&sub->in_up);
    hub_up_attach(up, sub);
    hub_up_drop_if_unused(old);
}

void hub_sub_renew(struct hub_sub *sub)
{
    struct hub_client *client = sub->client;
    struct hub_subject topic = hub_up_subject(sub->up);

    if (sub->heir != NULL) {
        heir_free(sub->heir);
    }
    if (sub->up->identity == client->identity) {
        return;
    }
    if (sub->audience == NULL || sub->up->kind != WIRE_ACCEPT_LIVE) {
        hub_sub_interrupt(sub);
        move_to_up(sub, up_for(sub, &topic));
        return;
    }
    struct hub_sub *heir = heir_new(sub);
    /* Takes over at once, if that topic is in force for the identity. */
    hub_up_attach(hub_up_get(client->hub, client->identity, &topic), heir);
    if (sub->heir != NULL) {
        wait_for_answer(heir);
    }
}

/* The one that waits is announced without a position already, or it is not announced at all. */
void hub_sub_inherit(struct hub_sub *sub)
{
    struct hub_sub *heir = sub->heir;
    struct hub_up *up = heir->up;

    hub_sub_interrupt(sub);
    if (up->number != 0) {
        struct hub_subject topic = hub_up_subject(up);
        up = up_for(sub, &topic);
    }
    move_to_up(sub, up);
    heir_free(heir);
}
