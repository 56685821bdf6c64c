/* runtime/shard.c - channel to slot to shard. */
#include "runtime/shard.h"

#include "runtime/map.h"

uint32_t rt_shard_of(const char *channel, size_t len, int64_t shards)
{
    uint64_t slot = rt_stable_hash(channel, len) % RT_SLOTS;
    return (uint32_t)(slot % (uint64_t)(shards > 0 ? shards : 1));
}
