/* tests/oracle/prng.h - a seeded generator (splitmix64): the same seed gives the same test. */
#ifndef PGTIDE_TESTS_ORACLE_PRNG_H
#define PGTIDE_TESTS_ORACLE_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
    uint64_t state;
};

static inline uint64_t prng_next(struct prng *rng)
{
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint32_t prng_below(struct prng *rng, uint32_t limit)
{
    return (uint32_t)(prng_next(rng) % limit);
}

static inline bool prng_chance(struct prng *rng, uint32_t percent)
{
    return prng_below(rng, 100) < percent;
}

#endif
