/* tailer/window.h - where the window begins: what PostgreSQL keeps for us although everybody has it.
 *
 * The slot is confirmed late on purpose, so that a tailer that starts anew gets the last while again, and with it shards that
 * have nothing. The window holds at most `time` and at most `bytes` of WAL: past either bound its start moves on, also
 * when nothing but foreign WAL moves the position. Positions are noted now and then, so the age of the
 * start is exact to 1/WINDOW_STEPS of `time`.
 *
 * Pure; memory is fixed. Cost: constant for a note that comes early, one look at each note otherwise.
 */
#ifndef PGTIDE_TAILER_WINDOW_H
#define PGTIDE_TAILER_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/clock.h"

#define WINDOW_STEPS 64

struct window_note {
    uint64_t lsn;
    rt_usec at;
};

struct window {
    rt_usec time;
    uint64_t bytes;
    uint64_t position;
    uint64_t start;
    struct window_note notes[WINDOW_STEPS + 2]; /* oldest first */
    size_t count;
};

/* History begins at `lsn`. */
void window_init(struct window *window, rt_usec time, uint64_t bytes, uint64_t lsn, rt_usec now);
/* Everything up to `position` is published; moves the start on. Time and position do not go back. */
void window_reach(struct window *window, uint64_t position, rt_usec now);
/* At most so many bytes from now on. */
void window_limit(struct window *window, uint64_t bytes);
rt_usec window_age(const struct window *window, rt_usec now); /* of the start */

/* How many bytes the window may hold so that the server never has to drop the slot: half of what it would keep
 * for us, given what it `retained` and how much is `safe` (INT64_MAX: no limit); at most `wanted`. */
uint64_t window_affordable(uint64_t wanted, uint64_t retained, int64_t safe);

#endif
