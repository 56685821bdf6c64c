/* broker/match/ranges.c - see ranges.h. No block is empty. */
#include "broker/match/ranges.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 128 };

struct ranges_block {
    uint32_t count;
    uint32_t ids[BLOCK_SIZE];
    double thresholds[BLOCK_SIZE];
};

static bool before(double threshold, uint32_t id, double other, uint32_t other_id)
{
    return threshold < other || (threshold <= other && id < other_id);
}

/* The first place of a block that is not before (threshold, id); its count when all are. */
static uint32_t place_in(const struct ranges_block *block, double threshold, uint32_t id)
{
    uint32_t low = 0;
    uint32_t high = block->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (before(block->thresholds[middle], block->ids[middle], threshold, id)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The last block that begins at or before (threshold, id), or the first one. */
static uint32_t block_of(const struct ranges *ranges, double threshold, uint32_t id)
{
    uint32_t low = 0;
    uint32_t high = ranges->block_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct ranges_block *block = ranges->blocks[middle];
        if (before(threshold, id, block->thresholds[0], block->ids[0])) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low > 0 ? low - 1 : 0;
}

static struct ranges_block *insert_block(struct ranges *ranges, uint32_t at)
{
    if (ranges->block_count == ranges->capacity) {
        uint32_t capacity = ranges->capacity == 0 ? 4 : ranges->capacity * 2;
        ranges->blocks = rt_realloc(ranges->blocks, capacity, sizeof(struct ranges_block *));
        ranges->bytes += (capacity - ranges->capacity) * sizeof(struct ranges_block *);
        ranges->capacity = capacity;
    }
    memmove(&ranges->blocks[at + 1], &ranges->blocks[at],
            (ranges->block_count - at) * sizeof(struct ranges_block *));
    ranges->block_count++;
    ranges->blocks[at] = rt_alloc(sizeof(**ranges->blocks));
    ranges->bytes += sizeof(**ranges->blocks);
    return ranges->blocks[at];
}

/* The upper half of a full block moves into a new one behind it. */
static void split(struct ranges *ranges, uint32_t at)
{
    struct ranges_block *upper = insert_block(ranges, at + 1);
    struct ranges_block *lower = ranges->blocks[at];

    upper->count = lower->count / 2;
    lower->count -= upper->count;
    memcpy(upper->ids, &lower->ids[lower->count], upper->count * sizeof(upper->ids[0]));
    memcpy(upper->thresholds, &lower->thresholds[lower->count],
           upper->count * sizeof(upper->thresholds[0]));
}

void ranges_fini(struct ranges *ranges)
{
    for (uint32_t i = 0; i < ranges->block_count; i++) {
        free(ranges->blocks[i]);
    }
    free(ranges->blocks);
    *ranges = (struct ranges){ .blocks = NULL };
}

void ranges_add(struct ranges *ranges, double threshold, uint32_t id)
{
    if (ranges->block_count == 0) {
        (void)insert_block(ranges, 0);
    }
    uint32_t number = block_of(ranges, threshold, id);
    struct ranges_block *block = ranges->blocks[number];
    if (block->count == BLOCK_SIZE) {
        split(ranges, number);
        block = ranges->blocks[block_of(ranges, threshold, id)];
    }
    uint32_t place = place_in(block, threshold, id);
    uint32_t behind = block->count - place;
    memmove(&block->ids[place + 1], &block->ids[place], behind * sizeof(block->ids[0]));
    memmove(&block->thresholds[place + 1], &block->thresholds[place],
            behind * sizeof(block->thresholds[0]));
    block->ids[place] = id;
    block->thresholds[place] = threshold;
    block->count++;
}

void ranges_remove(struct ranges *ranges, double threshold, uint32_t id)
{
    if (ranges->block_count == 0) {
        return;
    }
    uint32_t number = block_of(ranges, threshold, id);
    struct ranges_block *block = ranges->blocks[number];
    uint32_t place = place_in(block, threshold, id);
    if (place == block->count || block->ids[place] != id ||
        before(threshold, id, block->thresholds[place], id)) {
        return;
    }
    block->count--;
    uint32_t behind = block->count - place;
    memmove(&block->ids[place], &block->ids[place + 1], behind * sizeof(block->ids[0]));
    memmove(&block->thresholds[place], &block->thresholds[place + 1],
            behind * sizeof(block->thresholds[0]));
    if (block->count == 0) {
        free(block);
        ranges->bytes -= sizeof(*block);
        ranges->block_count--;
        memmove(&ranges->blocks[number], &ranges->blocks[number + 1],
                (ranges->block_count - number) * sizeof(struct ranges_block *));
    }
}

static void append(const struct ranges_block *block, uint32_t from, uint32_t to, struct rt_buf *out)
{
    rt_buf_append(out, &block->ids[from], (to - from) * sizeof(block->ids[0]));
}

void ranges_up_to(const struct ranges *ranges, double rank, struct rt_buf *out)
{
    for (uint32_t i = 0; i < ranges->block_count; i++) {
        const struct ranges_block *block = ranges->blocks[i];
        uint32_t end = place_in(block, rank, UINT32_MAX);
        append(block, 0, end, out);
        if (end < block->count) {
            return;
        }
    }
}

void ranges_from(const struct ranges *ranges, double rank, struct rt_buf *out)
{
    for (uint32_t i = ranges->block_count; i-- > 0;) {
        const struct ranges_block *block = ranges->blocks[i];
        uint32_t begin = place_in(block, rank, 0);
        append(block, begin, block->count, out);
        if (begin > 0) {
            return;
        }
    }
}
