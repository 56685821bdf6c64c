/* runtime/roster.c - chains under buckets, which are split one after the other as objects are added.
 *
 * There are as many buckets as there were objects at most: bucket 2^k + b is split off bucket b. Two objects for a bucket would save 4 bytes
 * each, and made adding a third slower: every one of them is a wait for memory. Buckets stand in segments, so that growing
 * moves nothing; the first segment begins small, since most rosters are. None is given back: who had many will have many again.
 */
#include "runtime/roster.h"

#include <stdlib.h>

#include "runtime/buf.h"
#include "runtime/clock.h"
#include "runtime/map.h"

enum {
    FIRST = 4,     /* buckets */
    SEGMENT = 512, /* buckets: a page */
};

struct rt_roster {
    struct rt_listed ***segments;
    size_t room;    /* buckets that there is memory for */
    size_t buckets; /* in use */
    size_t count;
    uint64_t seed[2];
};

static struct rt_listed **bucket_at(const struct rt_roster *roster, size_t number)
{
    return &roster->segments[number / SEGMENT][number % SEGMENT];
}

static size_t highest_power(size_t n)
{
    return (size_t)1 << (63 - __builtin_clzll(n));
}

/* There is one at least. */
static struct rt_listed **bucket_of(const struct rt_roster *roster, uint64_t number)
{
    size_t power = highest_power(roster->buckets);
    size_t bucket = rt_seeded_number(roster->seed, number) & (2 * power - 1);

    return bucket_at(roster, bucket >= roster->buckets ? bucket - power : bucket);
}

static void make_room(struct rt_roster *roster)
{
    size_t segment = roster->room / SEGMENT;

    if (roster->room < SEGMENT) {
        roster->room = roster->room == 0 ? FIRST : roster->room * 2;
        if (roster->segments == NULL) {
            roster->segments = rt_alloc(sizeof(struct rt_listed **));
        }
        roster->segments[0] =
            rt_realloc(roster->segments[0], roster->room, sizeof(struct rt_listed *));
        return;
    }
    if ((segment & (segment - 1)) == 0) {
        roster->segments = rt_realloc(roster->segments, 2 * segment, sizeof(struct rt_listed **));
    }
    roster->segments[segment] = rt_realloc(NULL, SEGMENT, sizeof(struct rt_listed *));
    roster->room += SEGMENT;
}

static void grow(struct rt_roster *roster)
{
    if (roster->buckets == roster->room) {
        make_room(roster);
    }
    size_t last = roster->buckets++;
    *bucket_at(roster, last) = NULL;
    if (last == 0) {
        return;
    }
    struct rt_listed **source = bucket_at(roster, last - highest_power(last));
    struct rt_listed *at = *source;
    *source = NULL;
    while (at != NULL) {
        struct rt_listed *next = at->next;
        struct rt_listed **home = bucket_of(roster, at->number);
        at->next = *home;
        *home = at;
        at = next;
    }
}

struct rt_roster *rt_roster_new(void)
{
    struct rt_roster *roster = rt_alloc(sizeof(*roster));

    roster->seed[0] = rt_random64();
    roster->seed[1] = rt_random64();
    return roster;
}

void rt_roster_free(struct rt_roster *roster)
{
    if (roster == NULL) {
        return;
    }
    for (size_t i = 0; i < roster->room; i += SEGMENT) {
        free(roster->segments[i / SEGMENT]);
    }
    free(roster->segments);
    free(roster);
}

size_t rt_roster_count(const struct rt_roster *roster)
{
    return roster->count;
}

void rt_roster_add(struct rt_roster *roster, struct rt_listed *listed, uint64_t number)
{
    if (roster->count == roster->buckets) {
        grow(roster);
    }
    struct rt_listed **bucket = bucket_of(roster, number);
    listed->number = number;
    listed->next = *bucket;
    *bucket = listed;
    roster->count++;
}

void rt_roster_remove(struct rt_roster *roster, const struct rt_listed *listed)
{
    struct rt_listed **link = bucket_of(roster, listed->number);

    while (*link != listed) {
        link = &(*link)->next;
    }
    *link = listed->next;
    roster->count--;
}

static struct rt_listed *first_with(struct rt_listed *at, uint64_t number)
{
    while (at != NULL && at->number != number) {
        at = at->next;
    }
    return at;
}

struct rt_listed *rt_roster_find(const struct rt_roster *roster, uint64_t number)
{
    return roster->count == 0 ? NULL : first_with(*bucket_of(roster, number), number);
}

struct rt_listed *rt_roster_same(const struct rt_listed *listed)
{
    return first_with(listed->next, listed->number);
}

struct rt_roster_iter rt_roster_begin(const struct rt_roster *roster)
{
    return (struct rt_roster_iter){ .roster = roster };
}

struct rt_listed *rt_roster_next(struct rt_roster_iter *iter)
{
    while (iter->next == NULL && iter->bucket < iter->roster->buckets) {
        iter->next = *bucket_at(iter->roster, iter->bucket++);
    }
    struct rt_listed *found = iter->next;
    if (found != NULL) {
        iter->next = found->next;
    }
    return found;
}
