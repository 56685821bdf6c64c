/* tailer/feedback.c - see feedback.h. */
#include "tailer/feedback.h"

uint64_t feedback_flushed(const struct feedback_shard *shards, size_t count, uint64_t published,
                          uint64_t window, uint64_t before)
{
    uint64_t flushed = window < published ? window : published;

    for (size_t i = 0; i < count; i++) {
        if (!shards[i].all_done && shards[i].acked_tag < flushed) {
            flushed = shards[i].acked_tag;
        }
    }
    return flushed > before ? flushed : before;
}
