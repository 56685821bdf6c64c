/* edge/hub_presence.c - who is in a topic, as its shard says, and what of it the members hear.
 *
 * A record of changes makes at most one JOIN for each key that has come, one LEAVE for each that has gone, and one SYNC if a key that stays has changed;
 * if there would be more than EVENTS_MAX of them, a SYNC in their place: each frame names everybody, so their bytes grow with the square.
 * After an interruption the shard says who is there; what differs from before is told like any other change. While it is not settled
 * nobody is taken to be gone.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/hub_room_parts.h"

enum { EVENTS_MAX = 32 };

struct present_list {
    struct hub_present *items;
    size_t count;
};

struct telling {
    struct hub_topic *topic;
    struct present_list all;
    struct list_node gone; /* keys with their entries, not in the topic any more */
    size_t joins;
    size_t leaves;
    bool changed; /* a key that stays */
};

/* --- entries ---------------------------------------------------------------------------------------------------- */

static struct hub_present_entry *entry_of(struct list_node *node)
{
    return LIST_ELEMENT(node, struct hub_present_entry, in_key);
}

static struct hub_present_key *key_of(struct list_node *node)
{
    return LIST_ELEMENT(node, struct hub_present_key, in_topic);
}

static void entry_free(struct hub_present_entry *entry)
{
    list_remove(&entry->in_key);
    free(entry->meta);
    free(entry);
}

/* One that has lost its last entry in the same record is still there: it has changed. */
static struct hub_present_key *take_back(struct telling *telling, struct wire_span text)
{
    LIST_EACH(at, after, &telling->gone)
    {
        struct hub_present_key *key = key_of(at);
        if (key->len == text.len && memcmp(key->text, text.data, text.len) == 0) {
            entry_free(entry_of(key->entries.next));
            list_remove(at);
            list_append(&telling->topic->key_list, at);
            (void)rt_map_put(telling->topic->keys, key->text, key->len, key);
            telling->leaves--;
            telling->changed = true;
            return key;
        }
    }
    return NULL;
}

static struct hub_present_key *key_get(struct hub_topic *topic, struct wire_span text)
{
    struct hub_present_key *key = rt_map_get(topic->keys, text.data, text.len);

    if (key == NULL) {
        key = rt_alloc(sizeof *key + text.len);
        key->len = text.len;
        memcpy(key->text, text.data, text.len);
        list_init(&key->entries);
        list_append(&topic->key_list, &key->in_topic);
        (void)rt_map_put(topic->keys, text.data, text.len, key);
    }
    return key;
}

static void key_free(struct hub_present_key *key)
{
    LIST_EACH(at, after, &key->entries)
    {
        entry_free(entry_of(at));
    }
    list_remove(&key->in_topic);
    free(key);
}

void hub_presence_fini(struct hub_topic *topic)
{
    LIST_EACH(at, after, &topic->key_list)
    {
        key_free(key_of(at));
    }
}

static void set_meta(struct hub_present_entry *entry, struct wire_span meta)
{
    free(entry->meta);
    entry->meta = rt_strndup(meta.data, meta.len);
    entry->meta_len = meta.len;
}

/* --- changes ---------------------------------------------------------------------------------------------------- */

static void come(struct telling *telling, const struct wire_present *present)
{
    struct hub_topic *topic = telling->topic;
    struct hub_present_key *kept = take_back(telling, present->key);
    struct hub_present_key *key = kept != NULL ? kept : key_get(topic, present->key);
    struct hub_present_entry *entry = rt_alloc(sizeof *entry);
    bool first = kept == NULL && list_is_empty(&key->entries);
    bool joins = first || (kept == NULL && entry_of(key->entries.next)->fresh);

    entry->ref = present->ref;
    entry->key = key;
    entry->seen = true;
    entry->fresh = joins;
    set_meta(entry, present->meta);
    list_append(&key->entries, &entry->in_key);
    (void)rt_map_put_u64(topic->presents, entry->ref, entry);
    telling->joins += first ? 1 : 0;
    telling->changed = telling->changed || !joins;
}

/* The last one of a key takes the key along; both are kept for the frame. */
static void go(struct telling *telling, struct hub_present_entry *entry)
{
    struct hub_topic *topic = telling->topic;
    struct hub_present_key *key = entry->key;

    (void)rt_map_remove_u64(topic->presents, entry->ref);
    if (key->entries.next->next != &key->entries) {
        entry_free(entry);
        telling->changed = true;
        return;
    }
    (void)rt_map_remove(topic->keys, key->text, key->len);
    list_remove(&key->in_topic);
    if (entry->fresh) { /* came and went within the record */
        telling->joins--;
        key_free(key);
        return;
    }
    list_append(&telling->gone, &key->in_topic);
    telling->leaves++;
}

static void apply(struct telling *telling, const struct wire_present *present)
{
    struct hub_present_entry *entry = rt_map_get_u64(telling->topic->presents, present->ref);

    if (present->meta.data == NULL) {
        if (entry != NULL) {
            go(telling, entry);
        }
    } else if (entry == NULL) {
        come(telling, present);
    } else {
        entry->seen = true;
        if (entry->meta_len != present->meta.len ||
            memcmp(entry->meta, present->meta.data, entry->meta_len) != 0) {
            set_meta(entry, present->meta);
            telling->changed = telling->changed || !entry->fresh;
        }
    }
}

static void forget_seen(struct hub_topic *topic)
{
    struct rt_map_iter iter = rt_map_begin(topic->presents);
    struct hub_present_entry *entry = NULL;

    while ((entry = rt_map_next(&iter)) != NULL) {
        entry->seen = false;
    }
}

static void drop_unseen_of(struct telling *telling, struct hub_present_key *key)
{
    LIST_EACH(at, after, &key->entries)
    {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed was taken out of the list before */
        bool last = key->entries.next->next == &key->entries;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed was taken out of the list before */
        if (!entry_of(at)->seen) {
            go(telling, entry_of(at));
            if (last) {
                return; /* and the key went with it */
            }
        }
    }
}

static void drop_unseen(struct telling *telling)
{
    LIST_EACH(at, after, &telling->topic->key_list)
    {
        drop_unseen_of(telling, key_of(at));
    }
}

/* --- telling ---------------------------------------------------------------------------------------------------- */

static struct hub_present present_of(const struct hub_present_entry *entry)
{
    return (struct hub_present){
        .key = { (const uint8_t *)entry->key->text, entry->key->len },
        .meta = { (const uint8_t *)entry->meta, entry->meta_len },
    };
}

static void add_key(struct present_list *list, struct hub_present_key *key)
{
    LIST_EACH(at, after, &key->entries)
    {
        list->items[list->count++] = present_of(entry_of(at));
    }
}

static struct present_list list_all(struct hub_topic *topic)
{
    struct present_list list = { .count = 0 };

    list.items = rt_alloc((rt_map_count(topic->presents) + 1) * sizeof *list.items);
    LIST_EACH(at, after, &topic->key_list)
    {
        add_key(&list, key_of(at));
    }
    return list;
}

static struct hub_presence frame_of(const struct telling *telling, enum hub_presence_kind kind)
{
    return (struct hub_presence){
        .kind = kind,
        .channel = { (const uint8_t *)telling->topic->name, telling->topic->name_len },
        .all = telling->all.items,
        .all_count = telling->all.count,
    };
}

static struct edge_frame *encode(const struct room_audience *audience,
                                 const struct hub_presence *presence)
{
    struct rt_span text = { (const uint8_t *)audience->text, audience->text_len };

    rt_counter_add(audience->topic->shard->hub->metrics.encoded, 1);
    return audience->ops->encode_presence(audience->dialect, presence, audience->form, text);
}

/* To everybody who knew who was there before. */
static void tell(struct hub_topic *topic, const struct hub_presence *presence)
{
    for (uint32_t i = 0; i < topic->count; i++) {
        const struct room_audience *audience = topic->audiences[i];
        struct edge_frame *frame = encode(audience, presence);
        for (uint32_t j = 0; j < audience->count && frame != NULL; j++) {
            if (!audience->members[j].room->want_sync) {
                hub_room_send(audience->members[j].room, frame);
            }
        }
        edge_frame_unref(frame);
    }
}

static void tell_key(const struct telling *telling, enum hub_presence_kind kind,
                     struct hub_present_key *key)
{
    struct hub_presence presence = frame_of(telling, kind);
    struct present_list changed = { .count = 0 };
    size_t most = 0;

    LIST_EACH(at, after, &key->entries)
    {
        most++;
    }
    changed.items = rt_alloc((most + 1) * sizeof *changed.items);
    add_key(&changed, key);
    presence.key = (struct rt_span){ (const uint8_t *)key->text, key->len };
    presence.changed = changed.items;
    presence.changed_count = changed.count;
    tell(telling->topic, &presence);
    free(changed.items);
}

static void tell_joins(const struct telling *telling)
{
    LIST_EACH(at, after, &telling->topic->key_list)
    {
        struct hub_present_key *key = key_of(at);
        if (entry_of(key->entries.next)->fresh) {
            tell_key(telling, HUB_PRESENCE_JOIN, key);
        }
    }
}

static void settle(struct telling *telling)
{
    LIST_EACH(at, after, &telling->topic->key_list)
    {
        LIST_EACH(entry, next, &key_of(at)->entries)
        {
            entry_of(entry)->fresh = false;
        }
    }
    LIST_EACH(at, after, &telling->gone)
    {
        key_free(key_of(at));
    }
}

static void tell_changes(struct telling *telling)
{
    struct hub_presence sync = { .kind = HUB_PRESENCE_SYNC };
    size_t events = telling->joins + telling->leaves;

    if (events == 0 && !telling->changed) {
        return;
    }
    telling->topic->serial++;
    telling->all = list_all(telling->topic);
    if (events <= EVENTS_MAX) {
        tell_joins(telling);
        LIST_EACH(at, after, &telling->gone)
        {
            tell_key(telling, HUB_PRESENCE_LEAVE, key_of(at));
        }
    }
    if (telling->changed || events > EVENTS_MAX) {
        sync = frame_of(telling, HUB_PRESENCE_SYNC);
        tell(telling->topic, &sync);
    }
    free(telling->all.items);
}

/* --- to those who are new --------------------------------------------------------------------------------------- */

static void sync_member(const struct room_audience *audience, struct hub_room *room,
                        struct edge_frame *frame)
{
    (void)audience;
    room->want_sync = false;
    if (frame != NULL) {
        hub_room_send(room, frame);
    }
}

void hub_presence_sync(struct hub_room *room)
{
    struct telling telling = { .topic = room->pass->topic };
    struct edge_frame *frame = NULL;

    if (rt_map_count(telling.topic->presents) > 0 || room->serial != 0) {
        telling.all = list_all(telling.topic);
        struct hub_presence sync = frame_of(&telling, HUB_PRESENCE_SYNC);
        frame = encode(room->audience, &sync);
    }
    sync_member(room->audience, room, frame);
    edge_frame_unref(frame);
    free(telling.all.items);
}

static void sync_waiting(struct hub_topic *topic)
{
    for (uint32_t i = 0; i < topic->count; i++) {
        for (uint32_t j = 0; j < topic->audiences[i]->count; j++) {
            struct hub_room *room = topic->audiences[i]->members[j].room;
            if (room->want_sync) {
                hub_presence_sync(room);
            }
        }
    }
}

const char *hub_presence_record(struct hub_topic *topic, struct wire_presence *record)
{
    struct telling telling = { .topic = topic };
    struct wire_present present;

    list_init(&telling.gone);
    if (record->full) {
        forget_seen(topic);
    }
    for (uint32_t i = 0; i < record->entry_count; i++) {
        enum wire_err err = wire_next_present(&record->entries, &present);
        if (err != WIRE_OK) {
            return wire_err_text(err); /* checked by its decoder: never */
        }
        apply(&telling, &present);
    }
    if (record->full && record->settled) {
        drop_unseen(&telling);
    }
    tell_changes(&telling);
    settle(&telling);
    topic->present_known = topic->present_known || record->full;
    if (topic->present_known) {
        sync_waiting(topic);
    }
    return NULL;
}
