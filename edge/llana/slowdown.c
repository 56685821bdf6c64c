/* edge/llana/slowdown.c - see edge/llana/slowdown.h. */
#include "edge/llana/slowdown.h"

#include <string.h>

#include "runtime/map.h"

rt_usec llana_slowdown_fail(struct llana_slowdown *slowdown, const char *address, rt_usec step,
                            rt_usec now)
{
    uint64_t hash = rt_seeded_hash(slowdown->seed, address, strlen(address));
    rt_usec *paid_at = &slowdown->paid_at[hash % LLANA_SLOWDOWN_PLACES];
    rt_usec owed = *paid_at > now ? *paid_at - now : 0;

    if (owed + step <= step * LLANA_SLOWDOWN_STEPS) {
        *paid_at = now + owed + step;
    }
    return owed;
}
