/* edge/hub_room.c - rooms of clients, each from its beginning to its end, and their audiences. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/hub_room_parts.h"
#include "edge/merge.h"
#include "runtime/config.h"
#include "runtime/process.h"

/* --- audiences ---------------------------------------------------------------------------------------------- */

static struct rt_span audience_key(const struct hub_room *room)
{
    struct rt_buf *key = &room->client->hub->key;
    const void *owners[] = { room->pass->topic, room->client->ops, room->client->dialect };

    rt_buf_clear(key);
    rt_buf_append(key, owners, sizeof owners);
    rt_buf_append(key, &room->form, sizeof room->form);
    rt_buf_append(key, room->text, room->text_len);
    return rt_buf_span(key);
}

static struct room_audience *audience_new(const struct hub_room *room)
{
    struct hub_topic *topic = room->pass->topic;
    struct room_audience *audience = rt_alloc(sizeof *audience + room->text_len);

    audience->topic = topic;
    audience->ops = room->client->ops;
    audience->dialect = room->client->dialect;
    audience->form = room->form;
    audience->text_len = room->text_len;
    memcpy(audience->text, room->text, room->text_len);
    list_init(&audience->notes);
    if (topic->count == topic->cap) {
        topic->cap = topic->cap > 0 ? topic->cap * 2 : 2;
        topic->audiences = rt_realloc(topic->audiences, topic->cap, sizeof(struct room_audience *));
    }
    audience->index = topic->count;
    topic->audiences[topic->count++] = audience;
    return audience;
}

static void enter(struct hub_room *room)
{
    struct hub *hub = room->client->hub;
    struct rt_span key = audience_key(room);
    struct room_audience *audience = rt_map_get(hub->room_audiences, key.data, key.len);

    if (audience == NULL) {
        audience = audience_new(room);
        (void)rt_map_put(hub->room_audiences, key.data, key.len, audience);
    }
    if (audience->count == audience->cap) {
        audience->cap = audience->cap > 0 ? audience->cap * 2 : 2;
        audience->members = rt_realloc(audience->members, audience->cap, sizeof *audience->members);
    }
    room->audience = audience;
    room->member = audience->count;
    audience->members[audience->count++] =
        (struct room_member){ .to = room->client->to, .room = room };
}

static void leave(struct hub_room *room)
{
    struct room_audience *audience = room->audience;

    if (audience == NULL) {
        return;
    }
    room->audience = NULL;
    audience->members[room->member] = audience->members[--audience->count];
    audience->members[room->member].room->member = room->member;
    if (audience->count > 0) {
        return;
    }
    struct hub_topic *topic = audience->topic;
    struct rt_span key = audience_key(room);
    (void)rt_map_remove(room->client->hub->room_audiences, key.data, key.len);
    topic->audiences[audience->index] = topic->audiences[--topic->count];
    topic->audiences[audience->index]->index = audience->index;
    LIST_EACH(at, after, &audience->notes)
    {
        hub_note_free(LIST_ELEMENT(at, struct hub_note, in_audience));
    }
    free(audience->members);
    free(audience);
}

/* --- whole transactions --------------------------------------------------------------------------------------- */

static void end_source(struct hub_room *room)
{
    if (room->source != NULL) {
        list_remove(&room->in_merging);
        merge_remove(room->source);
        room->source = NULL;
    }
}

/* From where its shard is, as soon as that is known. */
static void begin_source(struct hub_room *room)
{
    struct hub_client *client = room->client;
    const struct hub_flow *live = &room->pass->topic->shard->live;

    if (client->merge != NULL && room->source == NULL && live->has_position) {
        struct wire_position from = hub_merge_start(client, live->position);
        room->source = merge_add(client->merge, &from);
        list_append(&room->pass->topic->shard->merging_rooms, &room->in_merging);
    }
}

void hub_rooms_advance(struct hub_shard *shard)
{
    if (!shard->live.has_position) {
        return;
    }
    LIST_EACH(at, after, &shard->merging_rooms)
    {
        const struct hub_room *room = LIST_ELEMENT(at, struct hub_room, in_merging);
        if (room->audience != NULL) {
            merge_advance(room->source, &shard->live.position);
        }
    }
}

void hub_room_send(struct hub_room *room, struct edge_frame *frame)
{
    hub_client_push(room->client, room->source, NULL, frame);
}

bool hub_rooms_progress(const struct hub_client *client, bool *any, struct wire_position *out)
{
    LIST_EACH(at, after, &client->rooms)
    {
        const struct hub_room *room = LIST_ELEMENT(at, struct hub_room, in_client);
        struct wire_position position;
        if (room->audience == NULL || !hub_shard_progress(room->pass->topic->shard, &position) ||
            (*any && position.epoch != out->epoch)) {
            return false;
        }
        if (!*any || wire_position_cmp(&position, out) < 0) {
            *out = position;
        }
        *any = true;
    }
    return true;
}

/* --- in force ------------------------------------------------------------------------------------------------- */

static void acknowledge(struct hub_room *room, bool resumed)
{
    struct hub_client *client = room->client;
    struct hub_room_accepted accepted = { .place = room->place, .resumed = resumed };

    room->acked = true;
    room->asked = false;
    list_remove(&room->in_waiting);
    if (resumed) {
        rt_counter_add(client->hub->metrics.resumed, 1);
    }
    client->ops->on_room_accepted(client->session, room->user, &accepted);
}

static void tell_gap(struct hub_room *room)
{
    const char *gap = room->gap;

    room->gap = NULL;
    if (gap != NULL) {
        rt_counter_add(room->client->hub->metrics.gaps, 1);
        room->client->ops->on_room_gap(room->client->session, room->user, gap);
    }
}

void hub_room_resume(struct hub_room *room)
{
    if (!room->acked && room->asked) {
        acknowledge(room, true);
        room->interrupted = true; /* until it is live */
        room->want_sync = true;
    }
    if (room->interrupted) {
        tell_gap(room);
    }
}

void hub_room_arm(struct hub_room *room)
{
    struct hub_topic *topic = room->pass->topic;
    bool returned = room->interrupted;

    if (room->audience != NULL) {
        return;
    }
    room->place = hub_topic_reached(topic);
    if (!room->acked) {
        acknowledge(room, false);
        room->want_sync = true;
    } else if (returned) {
        tell_gap(room);
        room->want_sync = room->want_sync || room->serial != topic->serial;
    }
    room->interrupted = false;
    enter(room);
    begin_source(room);
    if (room->want_sync && topic->present_known) {
        hub_presence_sync(room);
    }
}

void hub_room_interrupt(struct hub_room *room)
{
    if (room->audience != NULL) {
        room->place = hub_topic_reached(room->pass->topic);
        room->serial = room->pass->topic->serial;
        leave(room);
    }
    if (room->acked) {
        room->interrupted = true;
    }
}

/* --- ends ------------------------------------------------------------------------------------------------------- */

void hub_room_free(struct hub_room *room)
{
    struct hub_client *client = room->client;
    struct hub_pass *pass = room->pass;
    struct hub_pass *next = room->next;

    hub_tracks_end(room);
    leave(room);
    end_source(room);
    list_remove(&room->in_waiting);
    list_remove(&room->in_pass);
    list_remove(&room->in_next);
    list_remove(&room->in_client);
    client->count--;
    free(room);
    if (next != NULL) {
        hub_pass_drop_if_unused(next);
    }
    hub_pass_drop_if_unused(pass);
}

void hub_room_refuse(struct hub_room *room, enum wire_code code, struct rt_span message)
{
    struct hub_client *client = room->client;
    void *user = room->user;

    hub_room_free(room);
    hub_count_refusal(client->hub, code);
    client->ops->on_room_refused(client->session, user, code, message);
}

void hub_room_gone(struct hub_room *room, const struct wire_gone *gone)
{
    struct hub_client *client = room->client;
    void *user = room->user;

    hub_room_free(room);
    rt_counter_add(client->hub->metrics.gone, 1);
    client->ops->on_room_gone(
        client->session, user, gone->reason,
        (struct rt_span){ (const uint8_t *)gone->message.data, gone->message.len });
}

void hub_rooms_overdue(struct hub *hub, rt_usec now)
{
    static const char late[] =
        "the server is not ready: the shard that holds this channel did not answer in time; try "
        "again later";

    LIST_EACH(at, after, &hub->room_waiting)
    {
        struct hub_room *room = LIST_ELEMENT(at, struct hub_room, in_waiting);
        bool reachable = room->pass->number != 0 && room->pass->topic->shard->in_session;
        rt_usec waited = now - room->began;
        if (waited < HUB_SUBSCRIBE_TIMEOUT) {
            break;
        }
        if (!reachable || waited >= (room->asked ? HUB_RESUME_TIMEOUT : HUB_ANSWER_TIMEOUT)) {
            hub_room_refuse(room, WIRE_CODE_SUBSCRIPTION_FAILED,
                            (struct rt_span){ (const uint8_t *)late, sizeof late - 1 });
        }
    }
}

void hub_rooms_end(struct hub_client *client)
{
    LIST_EACH(at, after, &client->rooms)
    {
        hub_room_free(LIST_ELEMENT(at, struct hub_room, in_client));
    }
}

/* --- asking ----------------------------------------------------------------------------------------------------- */

static void attach(struct hub_room *room, struct hub_pass *pass)
{
    room->pass = pass;
    list_append(&pass->rooms, &room->in_pass);
    if (pass->accepted) {
        hub_room_arm(room);
    } else {
        hub_pass_announce(pass);
    }
}

enum hub_err hub_room_join(struct hub_client *client, const struct hub_room_want *want,
                           struct hub_room **out_room)
{
    struct hub *hub = client->hub;
    struct wire_span name = { (const char *)want->channel.data, want->channel.len };

    if (client->expired) {
        return HUB_EXPIRED;
    }
    if (client->count >= (size_t)hub->process->config->realtime_max_subscriptions) {
        return HUB_TOO_MANY;
    }
    struct hub_room *room = rt_alloc(sizeof *room + want->text.len);
    room->client = client;
    room->form = want->form;
    room->user = want->user;
    room->began = hub->now();
    room->asked = want->has_since;
    room->place = want->since;
    room->text_len = want->text.len;
    memcpy(room->text, want->text.data, want->text.len);
    list_init(&room->tracks);
    list_append(&client->rooms, &room->in_client);
    list_append(&hub->room_waiting, &room->in_waiting);
    client->count++;
    *out_room = room;
    struct hub_pass *pass = want->has_since ? hub_pass_solo(hub, client->identity, name)
                                            : hub_pass_get(hub, client->identity, name);
    if (want->has_since) {
        pass->has_since = true;
        pass->since = want->since;
    }
    struct hub_shard *shard = pass->topic->shard;
    attach(room, pass);
    hub_shard_flush(shard);
    return HUB_OK;
}

void hub_room_leave(struct hub_room *room)
{
    struct hub_shard *shard = room->pass->topic->shard;

    hub_room_free(room);
    hub_shard_flush(shard);
}

/* --- another identity ------------------------------------------------------------------------------------------- */

void hub_room_move(struct hub_room *room, struct hub_pass *pass)
{
    struct hub_pass *old = room->pass;

    list_remove(&room->in_pass);
    room->pass = pass;
    list_append(&pass->rooms, &room->in_pass);
    hub_pass_drop_if_unused(old);
}

/* One in force stays so under the old identity until the shard has accepted the new one. */
static void renew(struct hub_room *room)
{
    struct hub_client *client = room->client;
    struct wire_span name = topic_name(room->pass->topic);
    struct hub_pass *waited = room->next;

    if (waited != NULL) {
        list_remove(&room->in_next);
        room->next = NULL;
        hub_pass_drop_if_unused(waited);
    }
    if (room->pass->identity == client->identity) {
        return;
    }
    bool alone = room->asked || (room->interrupted && room->pass->has_since);
    struct hub_pass *pass = alone ? hub_pass_solo(client->hub, client->identity, name)
                                  : hub_pass_get(client->hub, client->identity, name);
    if (alone) {
        pass->has_since = true;
        pass->since = room->pass->since;
    }
    if (room->audience != NULL && !pass->accepted) {
        room->next = pass;
        list_append(&pass->heirs, &room->in_next);
        hub_pass_announce(pass);
        return;
    }
    bool live = room->audience != NULL;
    struct hub_pass *old = room->pass;
    list_remove(&room->in_pass);
    if (live) {
        room->pass = pass;
        list_append(&pass->rooms, &room->in_pass);
    } else {
        attach(room, pass);
    }
    hub_tracks_announce(room);
    hub_pass_drop_if_unused(old);
}

void hub_rooms_renew(struct hub_client *client)
{
    LIST_EACH(at, after, &client->rooms)
    {
        renew(LIST_ELEMENT(at, struct hub_room, in_client));
    }
}
