/* broker/match/postings.h - from a 64-bit hash to the numbers filed under it. Inside broker/match/ only.
 *
 * Hashes come from a keyed function, so nobody outside can make them meet; two values with one hash share a list, which the
 * caller's own check sorts out. Open addressing with linear probing and without tombstones, in PART_COUNT parts that grow
 * one by one: filing the millionth number never stops for all the others. Up to two numbers live in the slot itself,
 * more in an array that grows by half (large ones are moved by the kernel's page tables, not copied).
 *
 * Cost: O(1); find touches one cache line, two when there is a list. A number is removed by its place in the list,
 * which the caller keeps: the last one of the list takes that place.
 */
#ifndef PGTIDE_BROKER_MATCH_POSTINGS_H
#define PGTIDE_BROKER_MATCH_POSTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POSTINGS_PARTS 256u
#define POSTINGS_NONE  UINT32_MAX

/* Numbers are below POSTINGS_MAX. */
#define POSTINGS_MAX (UINT32_MAX - 1)

/* The numbers filed in one place. pair[0] NONE: none; pair[1] POSTINGS_MAX: a list, whose number is pair[0]. */
struct postings_ids {
    uint32_t pair[2];
};

struct postings_slot {
    uint64_t hash;
    struct postings_ids ids;
};

struct postings_part {
    struct postings_slot *slots;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t count;
};

struct postings_list {
    uint32_t *ids;
    uint32_t count;
    uint32_t capacity;
};

struct postings {
    struct postings_part parts[POSTINGS_PARTS];
    struct postings_list *lists; /* free ones are chained through `count` */
    uint32_t list_count;
    uint32_t list_capacity;
    uint32_t free_list;
    size_t bytes; /* of memory, without this struct */
};

void postings_init(struct postings *postings);
void postings_fini(struct postings *postings);

/* Returns the place of `id` in the list of `hash`. The same number twice is the caller's mistake. */
uint32_t postings_add(struct postings *postings, uint64_t hash, uint32_t id);
/* Removes what is at `place`; returns the number that stands there now, or NONE. */
uint32_t postings_remove(struct postings *postings, uint64_t hash, uint32_t place);
/* The numbers under `hash`; valid until the next change. */
const uint32_t *postings_find(const struct postings *postings, uint64_t hash, uint32_t *out_count);

/* Where they are; NULL when there are none. Stays until the next change. */
const struct postings_ids *postings_place(const struct postings *postings, uint64_t hash);

/* The same for numbers filed elsewhere (dense.h), whose longer lists live here: add returns the place, remove what stands
 * there now. */
uint32_t postings_ids_add(struct postings *postings, struct postings_ids *ids, uint32_t id);
uint32_t postings_ids_remove(struct postings *postings, struct postings_ids *ids, uint32_t place);
const uint32_t *postings_ids_find(const struct postings *postings, const struct postings_ids *ids,
                                  uint32_t *out_count);

/* Steps on the way to a longer list, to be asked for one after the other: its head, then its numbers. */
static inline bool postings_is_list(const struct postings_ids *ids)
{
    return ids->pair[1] == POSTINGS_MAX;
}
static inline const struct postings_list *postings_list(const struct postings *postings,
                                                        const struct postings_ids *ids)
{
    return &postings->lists[ids->pair[0]];
}

/* Asks for the slot's cache line, for a postings_find() soon. */
static inline void postings_prefetch(const struct postings *postings, uint64_t hash)
{
    const struct postings_part *part = &postings->parts[hash % POSTINGS_PARTS];

    if (part->capacity > 0) {
        __builtin_prefetch(&part->slots[(hash / POSTINGS_PARTS) & (part->capacity - 1)]);
    }
}

#endif
