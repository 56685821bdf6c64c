/* broker/match/ranges.h - numbers ordered by a threshold. Inside broker/match/ only.
 *
 * Sorted by (threshold, number) in blocks, so that adding and removing move at most a block and the row of block
 * pointers, and finding walks only what it finds. A threshold is never a NaN.
 */
#ifndef PGTIDE_BROKER_MATCH_RANGES_H
#define PGTIDE_BROKER_MATCH_RANGES_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"

struct ranges_block;

struct ranges {
    struct ranges_block **blocks;
    uint32_t block_count;
    uint32_t capacity;
    size_t bytes;
};

void ranges_fini(struct ranges *ranges);
void ranges_add(struct ranges *ranges, double threshold, uint32_t id);
/* What was added with both; anything else is the caller's mistake and does nothing. */
void ranges_remove(struct ranges *ranges, double threshold, uint32_t id);
/* Appends the numbers (uint32_t) whose threshold is not above, or not below, `rank`. */
void ranges_up_to(const struct ranges *ranges, double rank, struct rt_buf *out);
void ranges_from(const struct ranges *ranges, double rank, struct rt_buf *out);

#endif
