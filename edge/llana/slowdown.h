/* edge/llana/slowdown.h - handshakes that fail again and again from one address are answered more and more slowly.
 *
 * The official plugin tries again at once when the refusal's text speaks of a token or of authentication; without a brake it would
 * hammer the server in a loop (reference/seed-protocols.md 1.8). Each failure adds `step` to what the address owes, and time
 * pays it off; the next answer waits for what is owed, at most 10 steps.
 *
 * A table of fixed size: two addresses in one place share a debt, which costs a slower refusal and nothing else. Pure.
 * Cost: O(1), 64 KiB.
 */
#ifndef PGTIDE_EDGE_LLANA_SLOWDOWN_H
#define PGTIDE_EDGE_LLANA_SLOWDOWN_H

#include <stdint.h>

#include "runtime/clock.h"

enum { LLANA_SLOWDOWN_PLACES = 8192, LLANA_SLOWDOWN_STEPS = 10 };

struct llana_slowdown {
    uint64_t seed[2]; /* random, set by the owner */
    rt_usec paid_at[LLANA_SLOWDOWN_PLACES];
};

/* A handshake of this address fails now: how long its answer is to wait. */
rt_usec llana_slowdown_fail(struct llana_slowdown *slowdown, const char *address, rt_usec step,
                            rt_usec now);

#endif
