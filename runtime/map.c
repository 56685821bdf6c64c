/* runtime/map.c - open addressing with linear probing in powers of two of entries, numbers and bytes apart.
 *
 * A removed entry becomes a tombstone, so that nothing moves while somebody iterates; tombstones that
 * no probe needs (the next entry is free) are freed at once, the others when the table is rebuilt.
 * At most 3/4 of the entries are in use or tombstones, so a probe always ends at a free entry.
 *
 * An entry is 16 bytes: there are maps with an entry for each subscription, and on average half of their room is empty. So a
 * number is its own hash's source, and bytes are kept outside, with their value.
 *
 * Byte keys are hashed with SipHash-1-3 under a random key: whoever chooses keys does not know it.
 */
#include "runtime/map.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "runtime/clock.h"

enum { FIRST_ENTRIES = 16 };

/* What `word` says of an entry without a value. */
enum { ENTRY_FREE = 0, ENTRY_TOMBSTONE = 1 };

struct entry {
    uint64_t word; /* the number, or the hash of the bytes */
    void *value;   /* NULL: nothing is here. Of bytes: a struct keyed */
};

struct keyed {
    void *value;
    size_t len;
    uint8_t bytes[];
};

struct table {
    struct entry *entries; /* NULL: nothing was ever put here */
    size_t capacity;
    size_t count;
    size_t tombstones;
    bool keyed;
};

struct rt_map {
    struct table numbers;
    struct table bytes;
    uint64_t seed[2];
};

/* A key to look for. */
struct probe {
    uint64_t hash;
    uint64_t word;
    const void *bytes;
    size_t len;
};

static inline uint64_t rotate(uint64_t x, unsigned bits)
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

/* Inside of its callers the four words stay in registers. */
static inline __attribute__((always_inline)) void sip_round(uint64_t v[4])
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
    if (len >= 8 && whole < len) {
        uint64_t word = 0; /* the last eight bytes; those that are through go out below */
        memcpy(&word, bytes + len - 8, sizeof(word));
        last |= word >> (8 * (8 - (len - whole)));
    }
    for (size_t i = len >= 8 ? len : 0; i < len; i++) {
        last |= (uint64_t)bytes[i] << (8 * i);
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

uint64_t rt_seeded_number(const uint64_t seed[2], uint64_t number)
{
    return mix((number ^ seed[0]) * (seed[1] | 1));
}

static uint64_t number_hash(const struct rt_map *map, uint64_t key)
{
    return rt_seeded_number(map->seed, key);
}

static struct probe number_probe(const struct rt_map *map, uint64_t key)
{
    return (struct probe){ .hash = number_hash(map, key), .word = key };
}

static struct probe bytes_probe(const struct rt_map *map, const void *key, size_t len)
{
    uint64_t hash = rt_seeded_hash(map->seed, len > 0 ? key : "", len);

    return (struct probe){ .hash = hash, .word = hash, .bytes = key, .len = len };
}

static bool is_free(const struct entry *entry)
{
    return entry->value == NULL && entry->word == ENTRY_FREE;
}

static bool matches(const struct table *table, const struct entry *entry, const struct probe *probe)
{
    if (entry->value == NULL || entry->word != probe->word) {
        return false;
    }
    if (!table->keyed) {
        return true;
    }
    const struct keyed *keyed = entry->value;
    return keyed->len == probe->len &&
           (probe->len == 0 || memcmp(keyed->bytes, probe->bytes, probe->len) == 0);
}

/* The entry with this key, or NULL. */
static struct entry *find(const struct table *table, const struct probe *probe)
{
    if (table->capacity == 0) {
        return NULL;
    }
    for (size_t i = probe->hash & (table->capacity - 1);; i = (i + 1) & (table->capacity - 1)) {
        struct entry *entry = &table->entries[i];
        if (is_free(entry)) {
            return NULL;
        }
        if (matches(table, entry, probe)) {
            return entry;
        }
    }
}

/* Where a key that is not in the table goes. */
static struct entry *find_place(const struct table *table, uint64_t hash)
{
    size_t i = hash & (table->capacity - 1);
    while (table->entries[i].value != NULL) {
        i = (i + 1) & (table->capacity - 1);
    }
    return &table->entries[i];
}

/* Moves everything to a table with room for one more; tombstones stay behind. */
static void rebuild(const struct rt_map *map, struct table *table)
{
    struct entry *old = table->entries;
    size_t old_capacity = table->capacity;
    table->capacity = old_capacity == 0 ? FIRST_ENTRIES : old_capacity;
    while (table->capacity < (table->count + 1) * 2) {
        table->capacity *= 2;
    }
    table->entries = rt_alloc(table->capacity * sizeof(*table->entries));
    table->tombstones = 0;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].value != NULL) {
            uint64_t hash = table->keyed ? old[i].word : number_hash(map, old[i].word);
            *find_place(table, hash) = old[i];
        }
    }
    free(old);
}

/* Where the value of an entry is. */
static void **value_at(const struct table *table, struct entry *entry)
{
    return table->keyed ? &((struct keyed *)entry->value)->value : &entry->value;
}

static void *value_of(const struct table *table, struct entry *entry)
{
    return entry != NULL ? *value_at(table, entry) : NULL;
}

static void *keep_key(const struct probe *probe, void *value)
{
    struct keyed *keyed = rt_alloc(sizeof(*keyed) + probe->len);
    keyed->value = value;
    keyed->len = probe->len;
    if (probe->len > 0) {
        memcpy(keyed->bytes, probe->bytes, probe->len);
    }
    return keyed;
}

static void *put(const struct rt_map *map, struct table *table, const struct probe *probe,
                 void *value)
{
    struct entry *entry = find(table, probe);
    if (entry != NULL) {
        void **at = value_at(table, entry);
        void *old = *at;
        *at = value;
        return old;
    }
    if ((table->count + table->tombstones + 1) * 4 > table->capacity * 3) {
        rebuild(map, table);
    }
    entry = find_place(table, probe->hash);
    if (!is_free(entry)) {
        table->tombstones--;
    }
    *entry = (struct entry){ .word = probe->word,
                             .value = table->keyed ? keep_key(probe, value) : value };
    table->count++;
    return NULL;
}

static void remove_entry(struct table *table, struct entry *entry)
{
    if (table->keyed) {
        free(entry->value);
    }
    *entry = (struct entry){ .word = ENTRY_TOMBSTONE };
    table->count--;
    table->tombstones++;
    size_t at = (size_t)(entry - table->entries);
    if (!is_free(&table->entries[(at + 1) & (table->capacity - 1)])) {
        return;
    }
    /* No probe goes past here: this tombstone and those right before it are not needed. */
    while (table->entries[at].value == NULL && table->entries[at].word == ENTRY_TOMBSTONE) {
        table->entries[at].word = ENTRY_FREE;
        table->tombstones--;
        at = (at - 1) & (table->capacity - 1);
    }
}

static void *take(struct table *table, const struct probe *probe)
{
    struct entry *entry = find(table, probe);
    if (entry == NULL) {
        return NULL;
    }
    void *value = value_of(table, entry);
    remove_entry(table, entry);
    return value;
}

struct rt_map *rt_map_new(void)
{
    struct rt_map *map = rt_alloc(sizeof(*map));
    map->bytes.keyed = true;
    map->seed[0] = rt_random64();
    map->seed[1] = rt_random64();
    return map;
}

void rt_map_free(struct rt_map *map)
{
    if (map == NULL) {
        return;
    }
    for (size_t i = 0; i < map->bytes.capacity; i++) {
        free(map->bytes.entries[i].value);
    }
    free(map->bytes.entries);
    free(map->numbers.entries);
    free(map);
}

size_t rt_map_count(const struct rt_map *map)
{
    return map->numbers.count + map->bytes.count;
}

void *rt_map_get_u64(const struct rt_map *map, uint64_t key)
{
    struct probe probe = number_probe(map, key);
    return value_of(&map->numbers, find(&map->numbers, &probe));
}

void *rt_map_put_u64(struct rt_map *map, uint64_t key, void *value)
{
    struct probe probe = number_probe(map, key);
    return put(map, &map->numbers, &probe, value);
}

void *rt_map_remove_u64(struct rt_map *map, uint64_t key)
{
    struct probe probe = number_probe(map, key);
    return take(&map->numbers, &probe);
}

void *rt_map_get(const struct rt_map *map, const void *key, size_t len)
{
    struct probe probe = bytes_probe(map, key, len);
    return value_of(&map->bytes, find(&map->bytes, &probe));
}

void *rt_map_put(struct rt_map *map, const void *key, size_t len, void *value)
{
    struct probe probe = bytes_probe(map, key, len);
    return put(map, &map->bytes, &probe, value);
}

void *rt_map_remove(struct rt_map *map, const void *key, size_t len)
{
    struct probe probe = bytes_probe(map, key, len);
    return take(&map->bytes, &probe);
}

struct rt_map_iter rt_map_begin(struct rt_map *map)
{
    return (struct rt_map_iter){ .map = map, .at = 0 };
}

/* Numbers first, then bytes: place `at` of both. */
static struct entry *entry_at(struct rt_map *map, size_t at, struct table **out_table)
{
    *out_table = at < map->numbers.capacity ? &map->numbers : &map->bytes;
    return &(*out_table)->entries[at < map->numbers.capacity ? at : at - map->numbers.capacity];
}

void *rt_map_next(struct rt_map_iter *iter)
{
    while (iter->at < iter->map->numbers.capacity + iter->map->bytes.capacity) {
        struct table *table = NULL;
        struct entry *entry = entry_at(iter->map, iter->at++, &table);
        if (entry->value != NULL) {
            return value_of(table, entry);
        }
    }
    return NULL;
}

void rt_map_iter_remove(struct rt_map_iter *iter)
{
    struct table *table = NULL;
    struct entry *entry = entry_at(iter->map, iter->at - 1, &table);
    if (entry->value != NULL) {
        remove_entry(table, entry);
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
