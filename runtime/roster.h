/* runtime/roster.h - objects found by a 64-bit number that they carry themselves: for a million of them.
 *
 * Where rt_map (runtime/map.h) keeps number and pointer beside the object, 22 to 43 bytes, a roster is a place in the object, its
 * number included, and 8 bytes for its bucket. It grows by linear hashing, one bucket at a time: adding the millionth never stops for
 * all the others. Seeded, so that numbers chosen by somebody else cannot meet on purpose.
 *
 * Several objects may have the same number. The objects are the caller's, and stay where they are. Add, find and remove cost O(1),
 * and touch the objects of a bucket, one on average and no more than a few. One thread.
 */
#ifndef PGTIDE_RUNTIME_ROSTER_H
#define PGTIDE_RUNTIME_ROSTER_H

#include <stddef.h>
#include <stdint.h>

struct rt_roster;

/* Inside of an object. */
struct rt_listed {
    struct rt_listed *next;
    uint64_t number; /* not changed while it is listed */
};

struct rt_roster *rt_roster_new(void);
void rt_roster_free(struct rt_roster *roster); /* not the objects; NULL is fine */
size_t rt_roster_count(const struct rt_roster *roster);

void rt_roster_add(struct rt_roster *roster, struct rt_listed *listed, uint64_t number);
void rt_roster_remove(struct rt_roster *roster, const struct rt_listed *listed);
/* One with this number, and then another one; NULL: there is none. */
struct rt_listed *rt_roster_find(const struct rt_roster *roster, uint64_t number);
struct rt_listed *rt_roster_same(const struct rt_listed *listed);

/* All, in no order. What has been returned may be removed, and freed; nothing else may be, and nothing added. */
struct rt_roster_iter {
    const struct rt_roster *roster;
    size_t bucket;
    struct rt_listed *next;
};
struct rt_roster_iter rt_roster_begin(const struct rt_roster *roster);
struct rt_listed *rt_roster_next(struct rt_roster_iter *iter); /* NULL at the end */

#endif
