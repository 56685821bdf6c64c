/* edge/hub_message.c - the way of a message to the members of its topic.
 *
 * What clients sent goes out at once. What SQL sent has its place in a transaction, whose changes are held back until it is known which are the
 * last (hub_deliver.c); so it is held too, and goes out behind the changes before it: at the latest with the transaction's end. Clients that
 * want whole transactions get it by its position.
 */
#include <stdlib.h>

#include "edge/hub_room_parts.h"

struct copies {
    const struct wire_broadcast *record;
    struct hub_topic *topic;
    struct edge_frame *frame; /* for everybody; NULL: not encoded yet */
    struct edge_frame *own;   /* for its sender */
};

static struct edge_frame *encode(const struct copies *copies, const struct room_audience *audience,
                                 bool own)
{
    const struct wire_broadcast *record = copies->record;
    struct hub_message message = {
        .channel = { (const uint8_t *)copies->topic->name, copies->topic->name_len },
        .event = { (const uint8_t *)record->event.data, record->event.len },
        .payload = { (const uint8_t *)record->payload.data, record->payload.len },
        .place = record->place,
        .own = own,
    };
    struct rt_span text = { (const uint8_t *)audience->text, audience->text_len };

    rt_counter_add(copies->topic->shard->hub->metrics.encoded, 1);
    return audience->ops->encode_message(audience->dialect, &message, audience->form, text);
}

static bool has_already(const struct hub_room *room, const struct wire_place *place)
{
    int order = wire_position_cmp(&place->position, &room->place.position);

    return place->position.epoch == room->place.position.epoch &&
           (order < 0 || (order == 0 && place->stamp <= room->place.stamp));
}

static void put(struct hub_room *room, const struct wire_place *place, struct edge_frame *frame)
{
    bool placed = room->source != NULL && place->stamp == 0;

    if (frame != NULL) {
        rt_counter_add(room->client->hub->metrics.queued, 1);
        hub_client_push(room->client, room->source, placed ? &place->position : NULL, frame);
    }
}

/* To one member, unless it is the sender and does not want it. */
static void give(struct copies *copies, const struct room_audience *audience, struct hub_room *room)
{
    const struct wire_broadcast *record = copies->record;
    bool own = record->sender != 0 && room->client->number == record->sender;
    struct edge_frame **frame = own ? &copies->own : &copies->frame;

    if ((own && !record->to_sender) || has_already(room, &record->place)) {
        return;
    }
    if (*frame == NULL) {
        *frame = encode(copies, audience, own);
    }
    put(room, &record->place, *frame);
}

static void forget(struct copies *copies)
{
    edge_frame_unref(copies->frame);
    edge_frame_unref(copies->own);
    copies->frame = NULL;
    copies->own = NULL;
}

/* --- held messages ---------------------------------------------------------------------------------------------- */

void hub_note_free(struct hub_note *note)
{
    list_remove(&note->in_flow);
    list_remove(&note->in_audience);
    edge_frame_unref(note->frame);
    free(note);
}

static void release(struct hub_note *note)
{
    const struct room_audience *audience = note->audience;

    for (uint32_t i = 0; i < audience->count; i++) {
        struct hub_room *room = audience->members[i].room;
        if (room->source == NULL && !has_already(room, &note->place)) {
            put(room, &note->place, note->frame);
        }
    }
    hub_note_free(note);
}

void hub_notes_release(struct hub_flow *flow, uint64_t order)
{
    while (!list_is_empty(&flow->notes)) {
        struct hub_note *note = LIST_ELEMENT(flow->notes.next, struct hub_note, in_flow);
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed was taken out of the list before */
        if (note->order >= order) {
            return;
        }
        release(note);
    }
}

static void hold(struct hub_flow *flow, struct room_audience *audience, const struct copies *copies)
{
    struct hub_note *note = rt_alloc(sizeof *note);

    note->audience = audience;
    note->frame = edge_frame_ref(copies->frame);
    note->place = copies->record->place;
    note->order = ++flow->order;
    list_append(&flow->notes, &note->in_flow);
    list_append(&audience->notes, &note->in_audience);
}

/* Those that want whole transactions, at once; the others in their turn. */
static void give_later(struct hub_shard *shard, struct copies *copies,
                       struct room_audience *audience)
{
    bool any = false;

    for (uint32_t i = 0; i < audience->count; i++) {
        struct hub_room *room = audience->members[i].room;
        if (room->source != NULL) {
            give(copies, audience, room);
        } else {
            any = true;
        }
    }
    if (any) {
        if (copies->frame == NULL) {
            copies->frame = encode(copies, audience, false);
        }
        if (copies->frame != NULL) {
            hold(shard->flow, audience, copies);
        }
    }
}

/* --- records ---------------------------------------------------------------------------------------------------- */

/* Of the past, to the rooms of one pass that miss it. */
static void give_past(struct hub_pass *pass, const struct wire_broadcast *record)
{
    LIST_EACH(at, after, &pass->rooms)
    {
        struct hub_room *room = LIST_ELEMENT(at, struct hub_room, in_pass);
        struct room_audience alone = { .ops = room->client->ops,
                                       .dialect = room->client->dialect,
                                       .form = room->form };
        struct copies copies = { .record = record, .topic = pass->topic };
        struct rt_span text = { (const uint8_t *)room->text, room->text_len };
        struct hub_message message = {
            .channel = { (const uint8_t *)pass->topic->name, pass->topic->name_len },
            .event = { (const uint8_t *)record->event.data, record->event.len },
            .payload = { (const uint8_t *)record->payload.data, record->payload.len },
            .place = record->place,
        };
        if (!room->interrupted || has_already(room, &record->place)) {
            continue;
        }
        copies.frame = alone.ops->encode_message(alone.dialect, &message, alone.form, text);
        rt_counter_add(room->client->hub->metrics.encoded, 1);
        if (copies.frame != NULL) {
            hub_room_send(room, copies.frame);
        }
        forget(&copies);
    }
}

const char *hub_message_record(struct hub_shard *shard, const struct wire_broadcast *record)
{
    struct hub_topic *topic = rt_map_get_u64(shard->topic_groups, record->group);
    struct hub_pass *past = rt_map_get_u64(shard->replays, record->group);
    bool held =
        record->place.stamp == 0 && shard->flow == &shard->live && shard->live.in_transaction;
    struct copies copies = { .record = record, .topic = topic };

    if (past != NULL) {
        give_past(past, record);
        return NULL;
    }
    if (topic == NULL) {
        return NULL; /* its unsubscribe is on its way */
    }
    topic->place = record->place;
    for (uint32_t i = 0; i < topic->count; i++) {
        struct room_audience *audience = topic->audiences[i];
        if (held) {
            give_later(shard, &copies, audience);
        } else {
            for (uint32_t j = 0; j < audience->count; j++) {
                give(&copies, audience, audience->members[j].room);
            }
        }
        forget(&copies);
    }
    return NULL;
}
