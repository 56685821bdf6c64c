/* broker/match/pool.h - objects of one size that are named by number and never move. Inside broker/match/ only.
 *
 * Chunks of POOL_CHUNK objects; a chunk stays until the pool goes. Numbers of freed objects are used again, the last one
 * first. Taking one costs O(1); what it holds is zero the first time, and what it was when it was freed later.
 */
#ifndef PGTIDE_BROKER_MATCH_POOL_H
#define PGTIDE_BROKER_MATCH_POOL_H

#include <stdint.h>
#include <stdlib.h>

#include "runtime/buf.h"

#define POOL_CHUNK 1024u
#define POOL_NONE  UINT32_MAX

struct pool {
    void **chunks;
    size_t size;        /* of an object */
    uint32_t used;      /* numbers given out so far, the free ones included */
    struct rt_buf free; /* uint32_t */
};

static inline void *pool_at(const struct pool *pool, uint32_t id)
{
    return (char *)pool->chunks[id / POOL_CHUNK] + id % POOL_CHUNK * pool->size;
}

static inline uint32_t pool_take(struct pool *pool)
{
    if (pool->free.len > 0) {
        pool->free.len -= sizeof(uint32_t);
        return *(uint32_t *)(void *)(pool->free.data + pool->free.len);
    }
    uint32_t id = pool->used++;
    if (id % POOL_CHUNK == 0) {
        uint32_t chunk = id / POOL_CHUNK;
        if ((chunk & (chunk - 1)) == 0) {
            pool->chunks =
                rt_realloc(pool->chunks, chunk == 0 ? 1 : 2 * (size_t)chunk, sizeof(void *));
        }
        pool->chunks[chunk] = rt_alloc(POOL_CHUNK * pool->size);
    }
    return id;
}

static inline void pool_give(struct pool *pool, uint32_t id)
{
    rt_buf_append(&pool->free, &id, sizeof(id));
}

static inline uint32_t pool_count(const struct pool *pool)
{
    return pool->used - (uint32_t)(pool->free.len / sizeof(uint32_t));
}

static inline size_t pool_bytes(const struct pool *pool)
{
    size_t chunks = (pool->used + POOL_CHUNK - 1) / POOL_CHUNK;

    return chunks * (POOL_CHUNK * pool->size + sizeof(void *)) + pool->free.cap;
}

static inline void pool_fini(struct pool *pool)
{
    for (uint32_t i = 0; i < pool->used; i += POOL_CHUNK) {
        free(pool->chunks[i / POOL_CHUNK]);
    }
    free(pool->chunks);
    rt_buf_fini(&pool->free);
}

#endif
