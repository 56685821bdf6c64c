/* runtime/map.c - open addressing with linear probing in a power of two of entries.
 *
 * A removed entry becomes a tombstone, so that nothing moves while somebody iterates; tombstones that
 * no probe needs (the next entry is free) are freed at once, the others when the table is rebuilt.
 * At most 3/4 of the entries are in use or tombstones, so a probe always ends at a free entry.
 *
 * Byte keys are hashed with SipHash-1-3 under a random key: whoever chooses keys does not know it.
 */
#include "runtime/map.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "runtime/clock.h"

enum { FIRST_ENTRIES = 16 };

/* What `hash` says of an entry without a value. */
enum { ENTRY_FREE = 0, ENTRY_TOMBSTONE = 1 };

struct entry {
    uint64_t hash;
    uint64_t number; /* the key itself, or the length of `bytes` */
    uint8_t *bytes;  /* NULL: the key is `number` */
    void *value;     /* NULL: nothing is here */
};

struct rt_map {
    struct entry *entries;
    size_t capacity;
    size_t count;
    size_t tombstones;
    uint64_t seed[2];
};

/* A key to look for. */
struct probe {
    uint64_t hash;
    uint64_t number;
    const void *bytes;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    x ^= x >> 33;
    return x;
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

uint64_t rt_seeded_hash(const uint64_t seed[2], const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint64_t v[4] = { seed[0] ^ UINT64_C(0x736f6d6570736575),
                      seed[1] ^ UINT64_C(0x646f72616e646f6d),
                      seed[0] ^ UINT64_C(0x6c7967656e657261),
                      seed[1] ^ UINT64_C(0x7465646279746573) };
    size_t whole = len - len % 8;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + i, sizeof(word));
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)len << 56;
    for (size_t i = whole; i < len; i++) {
        last |= (uint64_t)bytes[i] << (8 * (i - whole));
    }
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct probe number_probe(const struct rt_map *map, uint64_t key)
{
    return (struct probe){ .hash = mix((key ^ map->seed[0]) * (map->seed[1] | 1)), .number = key };
}

static struct probe bytes_probe(const struct rt_map *map, const void *key, size_t len)
{
    const void *bytes = len > 0 ? key : ""; /* never NULL, which would make it a number */
    return (struct probe){ .hash = rt_seeded_hash(map->seed, bytes, len),
                           .number = len,
                           .bytes = bytes };
}

static bool is_free(const struct entry *entry)
{
    return entry->value == NULL && entry->hash == ENTRY_FREE;
}

static bool matches(const struct entry *entry, const struct probe *probe)
{
    if (entry->value == NULL || entry->hash != probe->hash || entry->number != probe->number) {
        return false;
    }
    if (entry->bytes == NULL || probe->bytes == NULL) {
        return entry->bytes == NULL && probe->bytes == NULL;
    }
    return memcmp(entry->bytes, probe->bytes, (size_t)probe->number) == 0;
}

/* The entry with this key, or NULL. */
static struct entry *find(const struct rt_map *map, const struct probe *probe)
{
    for (size_t i = probe->hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
        struct entry *entry = &map->entries[i];
        if (is_free(entry)) {
            return NULL;
        }
        if (matches(entry, probe)) {
            return entry;
        }
    }
}

/* Where a key that is not in the map goes. */
static struct entry *find_place(const struct rt_map *map, uint64_t hash)
{
    size_t i = hash & (map->capacity - 1);
    while (map->entries[i].value != NULL) {
        i = (i + 1) & (map->capacity - 1);
    }
    return &map->entries[i];
}

/* Moves everything to a table with room for one more; tombstones stay behind. */
static void rebuild(struct rt_map *map)
{
    struct entry *old = map->entries;
    size_t old_capacity = map->capacity;
    while (map->capacity < (map->count + 1) * 2) {
        map->capacity *= 2;
    }
    map->entries = rt_alloc(map->capacity * sizeof(*map->entries));
    map->tombstones = 0;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].value != NULL) {
            *find_place(map, old[i].hash) = old[i];
        }
    }
    free(old);
}

static void *put(struct rt_map *map, const struct probe *probe, void *value)
{
    struct entry *entry = find(map, probe);
    if (entry != NULL) {
        void *old = entry->value;
        entry->value = value;
        return old;
    }
    if ((map->count + map->tombstones + 1) * 4 > map->capacity * 3) {
        rebuild(map);
    }
    entry = find_place(map, probe->hash);
    if (!is_free(entry)) {
        map->tombstones--;
    }
    *entry = (struct entry){ .hash = probe->hash, .number = probe->number, .value = value };
    if (probe->bytes != NULL) {
        entry->bytes = rt_alloc((size_t)probe->number);
        memcpy(entry->bytes, probe->bytes, (size_t)probe->number);
    }
    map->count++;
    return NULL;
}

static void remove_entry(struct rt_map *map, struct entry *entry)
{
    free(entry->bytes);
    *entry = (struct entry){ .hash = ENTRY_TOMBSTONE };
    map->count--;
    map->tombstones++;
    size_t at = (size_t)(entry - map->entries);
    if (!is_free(&map->entries[(at + 1) & (map->capacity - 1)])) {
        return;
    }
    /* No probe goes past here: this tombstone and those right before it are not needed. */
    while (map->entries[at].value == NULL && map->entries[at].hash == ENTRY_TOMBSTONE) {
        map->entries[at].hash = ENTRY_FREE;
        map->tombstones--;
        at = (at - 1) & (map->capacity - 1);
    }
}

static void *take(struct rt_map *map, const struct probe *probe)
{
    struct entry *entry = find(map, probe);
    if (entry == NULL) {
        return NULL;
    }
    void *value = entry->value;
    remove_entry(map, entry);
    return value;
}

static void *value_of(const struct entry *entry)
{
    return entry != NULL ? entry->value : NULL;
}

struct rt_map *rt_map_new(void)
{
    struct rt_map *map = rt_alloc(sizeof(*map));
    map->capacity = FIRST_ENTRIES;
    map->entries = rt_alloc(map->capacity * sizeof(*map->entries));
    map->seed[0] = rt_random64();
    map->seed[1] = rt_random64();
    return map;
}

void rt_map_free(struct rt_map *map)
{
    if (map == NULL) {
        return;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        free(map->entries[i].bytes);
    }
    free(map->entries);
    free(map);
}

size_t rt_map_count(const struct rt_map *map)
{
    return map->count;
}

void *rt_map_get_u64(const struct rt_map *map, uint64_t key)
{
    struct probe probe = number_probe(map, key);
    return value_of(find(map, &probe));
}

void *rt_map_put_u64(struct rt_map *map, uint64_t key, void *value)
{
    struct probe probe = number_probe(map, key);
    return put(map, &probe, value);
}

void *rt_map_remove_u64(struct rt_map *map, uint64_t key)
{
    struct probe probe = number_probe(map, key);
    return take(map, &probe);
}

void *rt_map_get(const struct rt_map *map, const void *key, size_t len)
{
    struct probe probe = bytes_probe(map, key, len);
    return value_of(find(map, &probe));
}

void *rt_map_put(struct rt_map *map, const void *key, size_t len, void *value)
{
    struct probe probe = bytes_probe(map, key, len);
    return put(map, &probe, value);
}

void *rt_map_remove(struct rt_map *map, const void *key, size_t len)
{
    struct probe probe = bytes_probe(map, key, len);
    return take(map, &probe);
}

struct rt_map_iter rt_map_begin(struct rt_map *map)
{
    return (struct rt_map_iter){ .map = map, .at = 0 };
}

void *rt_map_next(struct rt_map_iter *iter)
{
    while (iter->at < iter->map->capacity) {
        struct entry *entry = &iter->map->entries[iter->at++];
        if (entry->value != NULL) {
            return entry->value;
        }
    }
    return NULL;
}

void rt_map_iter_remove(struct rt_map_iter *iter)
{
    struct entry *entry = &iter->map->entries[iter->at - 1];
    if (entry->value != NULL) {
        remove_entry(iter->map, entry);
    }
}

uint64_t rt_stable_hash(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return mix(hash);
}
