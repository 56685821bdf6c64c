/* broker/policy/arena.c - a list of chunks; the newest is filled. */
#include "broker/policy/arena.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"

/* The constants of an identity are small and there are many of them; trees are large. */
#define CHUNK_LIMIT (UINT32_MAX / 2) /* beyond it there is no memory: what is read is far below */
enum { CHUNK_FIRST = 112, CHUNK_MOST = 4032, ALIGN = 16 };

struct policy_chunk {
    struct policy_chunk *next;
    uint32_t size;
    _Alignas(ALIGN) uint8_t data[];
};

static size_t next_size(const struct policy_arena *arena)
{
    size_t twice = arena->chunks == NULL ? CHUNK_FIRST : 2 * (size_t)arena->chunks->size;

    return twice < CHUNK_FIRST ? CHUNK_FIRST : (twice < CHUNK_MOST ? twice : CHUNK_MOST);
}

/* A new chunk if this one has no room behind `used`. */
static void *take(struct policy_arena *arena, size_t used, size_t size)
{
    const struct policy_chunk *newest = arena->chunks;

    if (newest == NULL || newest->size < used || newest->size - used < size) {
        size_t room = size > next_size(arena) ? size : next_size(arena);
        struct policy_chunk *chunk =
            rt_alloc(room < CHUNK_LIMIT ? sizeof(*chunk) + room : SIZE_MAX);
        chunk->size = (uint32_t)room;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->bytes += (uint32_t)(sizeof(*chunk) + room);
        used = 0;
    }
    arena->used = (uint32_t)(used + size);
    return arena->chunks->data + used;
}

void *policy_arena_alloc(struct policy_arena *arena, size_t size)
{
    return take(arena, ((size_t)arena->used + ALIGN - 1) / ALIGN * ALIGN, size);
}

char *policy_arena_copy(struct policy_arena *arena, const char *text, size_t len)
{
    char *copy = take(arena, arena->used, len + 1);

    if (len > 0) {
        memcpy(copy, text, len);
    }
    return copy;
}

void policy_arena_fini(struct policy_arena *arena)
{
    while (arena->chunks != NULL) {
        struct policy_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    *arena = (struct policy_arena){ 0 };
}
