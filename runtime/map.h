/* runtime/map.h - hash maps from a 64-bit number, or from bytes, to a pointer.
 *
 * Open addressing, seeded per map (rt_random64), so that keys chosen by a client cannot collide on
 * purpose. Byte keys are copied. A value is never NULL. Get, put and remove cost O(1) amortised. Memory: 22 to 43 bytes for
 * a number, and 16 more plus the key for bytes.
 * While iterating, only the entry at hand may be removed, with rt_map_iter_remove().
 */
#ifndef PGTIDE_RUNTIME_MAP_H
#define PGTIDE_RUNTIME_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rt_map;

struct rt_map *rt_map_new(void);
void rt_map_free(struct rt_map *map); /* not the values */
size_t rt_map_count(const struct rt_map *map);

void *rt_map_get_u64(const struct rt_map *map, uint64_t key);
void *rt_map_put_u64(struct rt_map *map, uint64_t key,
                     void *value); /* returns the old value, or NULL */
void *rt_map_remove_u64(struct rt_map *map, uint64_t key);

void *rt_map_get(const struct rt_map *map, const void *key, size_t len);
void *rt_map_put(struct rt_map *map, const void *key, size_t len, void *value);
void *rt_map_remove(struct rt_map *map, const void *key, size_t len);

struct rt_map_iter {
    struct rt_map *map;
    size_t at;
};
struct rt_map_iter rt_map_begin(struct rt_map *map);
/* The next value, or NULL at the end. */
void *rt_map_next(struct rt_map_iter *iter);
void rt_map_iter_remove(struct rt_map_iter *iter); /* the entry last returned */

/* SipHash-1-3, for hash tables of one's own over bytes that somebody else chose: `seed` from rt_random64(). */
uint64_t rt_seeded_hash(const uint64_t seed[2], const void *data, size_t len);

/* Likewise of a number. */
uint64_t rt_seeded_number(const uint64_t seed[2], uint64_t number);

/* A stable 64-bit hash of bytes (FNV-1a with a final mix): the same in every process and version. Decides which
 * slot and shard a channel belongs to, so it must never change. Not for hash tables. */
uint64_t rt_stable_hash(const void *data, size_t len);

#endif
