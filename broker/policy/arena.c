/* broker/policy/arena.c - a list of chunks; the newest is filled. */
#include "broker/policy/arena.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"

/* The constants of an identity are small and there are many of them; trees are large. */
enum { CHUNK_FIRST = 112, CHUNK_MOST = 4032, ALIGN = 16 };

struct policy_chunk {
    struct policy_chunk *next;
    size_t size;
    _Alignas(ALIGN) uint8_t data[];
};

static size_t next_size(const struct policy_arena *arena)
{
    size_t twice = arena->chunks == NULL ? CHUNK_FIRST : 2 * arena->chunks->size;

    return twice < CHUNK_MOST ? twice : CHUNK_MOST;
}

void *policy_arena_alloc(struct policy_arena *arena, size_t size)
{
    size_t need = (size + ALIGN - 1) / ALIGN * ALIGN;

    if (arena->chunks == NULL || arena->chunks->size - arena->used < need) {
        size_t room = need > next_size(arena) ? need : next_size(arena);
        struct policy_chunk *chunk = rt_alloc(sizeof(*chunk) + room);
        chunk->size = room;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->used = 0;
        arena->bytes += sizeof(*chunk) + room;
    }
    void *at = arena->chunks->data + arena->used;
    arena->used += need;
    return at;
}

char *policy_arena_copy(struct policy_arena *arena, const char *text, size_t len)
{
    char *copy = policy_arena_alloc(arena, len + 1);

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
