/* broker/policy/arena.h - memory that lives and dies together: a tree, a program, the constants of an identity.
 *
 * Zeroed, aligned for anything. Freed as a whole; a zeroed struct is an empty arena. Not for several threads.
 */
#ifndef PGTIDE_BROKER_POLICY_ARENA_H
#define PGTIDE_BROKER_POLICY_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct policy_chunk;

struct policy_arena {
    struct policy_chunk *chunks;
    uint32_t used;  /* of the newest chunk */
    uint32_t bytes; /* of all that is not lent */
};

void *policy_arena_alloc(struct policy_arena *arena, size_t size);
/* Anywhere, not aligned. Terminated with NUL, which `len` does not count. */
char *policy_arena_copy(struct policy_arena *arena, const char *text, size_t len);
void policy_arena_fini(struct policy_arena *arena);

#endif
