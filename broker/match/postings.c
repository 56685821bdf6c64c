/* broker/match/postings.c - see postings.h. A part is at most three quarters full, so a probe always ends. */
#include "broker/match/postings.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"

enum { FIRST_SLOTS = 4, FIRST_LIST = 4 };

static uint32_t home(const struct postings_part *part, uint64_t hash)
{
    return (uint32_t)(hash / POSTINGS_PARTS) & (part->capacity - 1);
}

static bool is_free(const struct postings_slot *slot)
{
    return slot->ids.pair[0] == POSTINGS_NONE;
}

/* The slot of this hash, or the free one where it would go. */
static struct postings_slot *seek(const struct postings_part *part, uint64_t hash)
{
    uint32_t at = home(part, hash);

    while (!is_free(&part->slots[at]) && part->slots[at].hash != hash) {
        at = (at + 1) & (part->capacity - 1);
    }
    return &part->slots[at];
}

static void resize(struct postings *postings, struct postings_part *part, uint32_t capacity)
{
    struct postings_part old = *part;

    part->capacity = capacity;
    part->slots = rt_realloc(NULL, capacity, sizeof(*part->slots));
    memset(part->slots, 0xff, capacity * sizeof(*part->slots));
    for (uint32_t i = 0; i < old.capacity; i++) {
        if (!is_free(&old.slots[i])) {
            *seek(part, old.slots[i].hash) = old.slots[i];
        }
    }
    postings->bytes += ((size_t)capacity - old.capacity) * sizeof(*part->slots);
    free(old.slots);
}

/* --- lists --- */

static uint32_t new_list(struct postings *postings)
{
    uint32_t number = postings->free_list;

    if (number != POSTINGS_NONE) {
        postings->free_list = postings->lists[number].count;
    } else {
        number = postings->list_count++;
        if (number == postings->list_capacity) {
            uint32_t capacity = number < 16 ? 16 : number + number / 2;
            postings->bytes += (capacity - number) * sizeof(*postings->lists);
            postings->lists = rt_realloc(postings->lists, capacity, sizeof(*postings->lists));
            postings->list_capacity = capacity;
        }
    }
    postings->lists[number] = (struct postings_list){ .count = 0 };
    return number;
}

static void set_list_capacity(struct postings *postings, struct postings_list *list,
                              uint32_t capacity)
{
    postings->bytes += ((size_t)capacity - list->capacity) * sizeof(*list->ids);
    list->ids = rt_realloc(list->ids, capacity, sizeof(*list->ids));
    list->capacity = capacity;
}

static uint32_t list_add(struct postings *postings, struct postings_list *list, uint32_t id)
{
    if (list->count == list->capacity) {
        set_list_capacity(postings, list,
                          list->capacity == 0 ? FIRST_LIST : list->capacity + list->capacity / 2);
    }
    list->ids[list->count] = id;
    return list->count++;
}

static void free_list(struct postings *postings, uint32_t number)
{
    struct postings_list *list = &postings->lists[number];

    postings->bytes -= list->capacity * sizeof(*list->ids);
    free(list->ids);
    *list = (struct postings_list){ .count = postings->free_list };
    postings->free_list = number;
}

/* A list is given up at one number, not at two: at the border it would come and go. */
static uint32_t list_remove(struct postings *postings, struct postings_ids *ids, uint32_t place)
{
    uint32_t number = ids->pair[0];
    struct postings_list *list = &postings->lists[number];
    uint32_t moved = list->ids[--list->count];

    if (place == list->count) {
        moved = POSTINGS_NONE;
    } else {
        list->ids[place] = moved;
    }
    if (list->count == 1) {
        ids->pair[0] = list->ids[0];
        ids->pair[1] = POSTINGS_NONE;
        free_list(postings, number);
    } else if (list->capacity > 64 && list->count < list->capacity / 4) {
        set_list_capacity(postings, list, list->capacity / 2);
    }
    return moved;
}

uint32_t postings_ids_add(struct postings *postings, struct postings_ids *ids, uint32_t id)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (ids->pair[i] == POSTINGS_NONE) {
            ids->pair[i] = id;
            return i;
        }
    }
    if (!postings_is_list(ids)) {
        uint32_t number = new_list(postings);
        (void)list_add(postings, &postings->lists[number], ids->pair[0]);
        (void)list_add(postings, &postings->lists[number], ids->pair[1]);
        ids->pair[0] = number;
        ids->pair[1] = POSTINGS_MAX;
    }
    return list_add(postings, &postings->lists[ids->pair[0]], id);
}

uint32_t postings_ids_remove(struct postings *postings, struct postings_ids *ids, uint32_t place)
{
    if (postings_is_list(ids)) {
        return list_remove(postings, ids, place);
    }
    uint32_t moved = place == 0 ? ids->pair[1] : POSTINGS_NONE;
    ids->pair[place] = moved;
    ids->pair[1] = POSTINGS_NONE;
    return moved;
}

const uint32_t *postings_ids_find(const struct postings *postings, const struct postings_ids *ids,
                                  uint32_t *out_count)
{
    if (postings_is_list(ids)) {
        const struct postings_list *list = postings_list(postings, ids);
        *out_count = list->count;
        return list->ids;
    }
    *out_count = (uint32_t)(ids->pair[0] != POSTINGS_NONE) + (ids->pair[1] != POSTINGS_NONE);
    return ids->pair;
}

/* --- slots --- */

/* Closes the gap that a removed slot leaves: those behind it that could not stand at home move up. */
static void remove_slot(struct postings_part *part, struct postings_slot *slot)
{
    uint32_t mask = part->capacity - 1;
    uint32_t gap = (uint32_t)(slot - part->slots);

    for (uint32_t at = (gap + 1) & mask; !is_free(&part->slots[at]); at = (at + 1) & mask) {
        uint32_t wanted = home(part, part->slots[at].hash);
        if (((at - wanted) & mask) >= ((at - gap) & mask)) {
            part->slots[gap] = part->slots[at];
            gap = at;
        }
    }
    part->slots[gap].ids.pair[0] = POSTINGS_NONE;
    part->count--;
}

void postings_init(struct postings *postings)
{
    memset(postings, 0, sizeof(*postings));
    postings->free_list = POSTINGS_NONE;
}

void postings_fini(struct postings *postings)
{
    for (uint32_t i = 0; i < POSTINGS_PARTS; i++) {
        free(postings->parts[i].slots);
    }
    for (uint32_t i = 0; i < postings->list_count; i++) {
        free(postings->lists[i].ids);
    }
    free(postings->lists);
}

uint32_t postings_add(struct postings *postings, uint64_t hash, uint32_t id)
{
    struct postings_part *part = &postings->parts[hash % POSTINGS_PARTS];

    if ((part->count + 1) * 4 > part->capacity * 3) {
        resize(postings, part, part->capacity == 0 ? FIRST_SLOTS : part->capacity * 2);
    }
    struct postings_slot *slot = seek(part, hash);
    if (is_free(slot)) {
        *slot = (struct postings_slot){ hash, { { POSTINGS_NONE, POSTINGS_NONE } } };
        part->count++;
    }
    return postings_ids_add(postings, &slot->ids, id);
}

uint32_t postings_remove(struct postings *postings, uint64_t hash, uint32_t place)
{
    struct postings_part *part = &postings->parts[hash % POSTINGS_PARTS];
    struct postings_slot *slot = seek(part, hash);
    uint32_t moved = postings_ids_remove(postings, &slot->ids, place);

    if (!is_free(slot)) {
        return moved;
    }
    remove_slot(part, slot);
    if (part->capacity > FIRST_SLOTS && part->count * 8 < part->capacity) {
        resize(postings, part, part->capacity / 2);
    }
    return POSTINGS_NONE;
}

const struct postings_ids *postings_place(const struct postings *postings, uint64_t hash)
{
    const struct postings_part *part = &postings->parts[hash % POSTINGS_PARTS];

    if (part->capacity == 0) {
        return NULL;
    }
    const struct postings_slot *slot = seek(part, hash);
    return is_free(slot) ? NULL : &slot->ids;
}

const uint32_t *postings_find(const struct postings *postings, uint64_t hash, uint32_t *out_count)
{
    const struct postings_ids *ids = postings_place(postings, hash);

    *out_count = 0;
    return ids == NULL ? NULL : postings_ids_find(postings, ids, out_count);
}
