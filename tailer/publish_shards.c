/* tailer/publish_shards.c - which shards take part, and what they have acknowledged; see publish.h. */
#include <string.h>

#include "tailer/publish_impl.h"

static uint64_t max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The position up to which everything before `lsn` is known. */
static struct wire_position before(const struct publish *publish, uint64_t lsn)
{
    return (struct wire_position){ publish->epoch, lsn > 0 ? lsn - 1 : 0, UINT32_MAX };
}

/* Up to where the shard is done by what it said itself. */
static uint64_t acknowledged(const struct publish *publish, uint32_t shard)
{
    const struct batch *batch = &publish->batches[shard];
    bool counts = publish->sink.acked_seq(publish->sink.ctx, shard) >= batch->floor_seq;

    return max(counts ? publish->sink.acked_tag(publish->sink.ctx, shard) : 0, batch->floor);
}

static bool has_all(const struct publish *publish, uint32_t shard)
{
    return publish->sink.acked_seq(publish->sink.ctx, shard) ==
               publish->sink.last_seq(publish->sink.ctx, shard) &&
           publish->batches[shard].frame.len == 0;
}

void publish_fresh(struct publish *publish, uint32_t shard)
{
    struct batch *batch = &publish->batches[shard];

    batch->session = ++publish->sessions;
    if (batch->part == PUBLISH_LEFT || batch->part == PUBLISH_GIVEN_UP) {
        batch->part = PUBLISH_RETURNS;
    }
}

void publish_leave(struct publish *publish, uint32_t shard)
{
    struct batch *batch = &publish->batches[shard];
    uint64_t done = has_all(publish, shard) ? batch->position : acknowledged(publish, shard);

    wire_writer_fini(&batch->frame);
    *batch = (struct batch){ .session = batch->session,
                             .part = PUBLISH_LEFT,
                             .position = done,
                             .skip_below = PUBLISH_SKIP_ALL };
}

void publish_give_up(struct publish *publish, uint32_t shard)
{
    struct batch *batch = &publish->batches[shard];

    batch->gap = true;
    batch->gap_from = batch->position;
    batch->part = PUBLISH_GIVEN_UP;
}

enum publish_part publish_part_now(const struct publish *publish, uint32_t shard)
{
    return publish->batches[shard].part;
}

bool publish_returning(const struct publish *publish)
{
    for (uint32_t i = 0; i < publish->shards; i++) {
        if (publish->batches[i].part == PUBLISH_RETURNS) {
            return true;
        }
    }
    return false;
}

static void declare_gap(struct publish *publish, uint32_t shard)
{
    static const char reason[] = "the shard was away for longer than retention allows";
    struct batch *batch = &publish->batches[shard];

    wire_encode_gap(&batch->frame, &(struct wire_gap){
                                       .from = before(publish, batch->gap_from),
                                       .to = before(publish, batch->position),
                                       .reason = { reason, sizeof(reason) - 1 },
                                   });
    publish_cut(publish, shard);
    batch->gap = false;
}

uint64_t publish_resume(struct publish *publish)
{
    uint64_t from = UINT64_MAX;

    for (uint32_t i = 0; i < publish->shards; i++) {
        struct batch *batch = &publish->batches[i];
        if (batch->part == PUBLISH_RETURNS) {
            /* What is confirmed, PostgreSQL does not have any more. */
            batch->position = max(batch->position, batch->gap ? publish->confirmable : 0);
            batch->floor = batch->position;
            batch->part = PUBLISH_TAKES;
            if (batch->gap) {
                declare_gap(publish, i);
            }
        }
        if (batch->part == PUBLISH_TAKES && batch->position < from) {
            from = batch->position;
        }
    }
    return from == UINT64_MAX ? publish->position : from;
}

uint64_t publish_position_now(const struct publish *publish)
{
    return publish->position;
}

uint64_t publish_done(const struct publish *publish, uint32_t shard)
{
    const struct batch *batch = &publish->batches[shard];

    if (batch->part == PUBLISH_GIVEN_UP) {
        return publish->position;
    }
    if (batch->part == PUBLISH_RETURNS && batch->gap) {
        return publish->position;
    }
    if (batch->part != PUBLISH_TAKES || has_all(publish, shard)) {
        return batch->position;
    }
    return acknowledged(publish, shard);
}

uint64_t publish_confirmable(struct publish *publish, uint64_t window)
{
    for (uint32_t i = 0; i < publish->shards; i++) {
        publish->done[i] = publish_done(publish, i);
    }
    publish->confirmable =
        feedback_flushed(publish->done, publish->shards, window, publish->confirmable);
    return publish->confirmable;
}

uint64_t publish_bytes(const struct publish *publish)
{
    return publish->bytes;
}

const struct relcache_fence *publish_fences(struct publish *publish)
{
    for (uint32_t i = 0; i < publish->shards; i++) {
        publish->fences[i] = (struct relcache_fence){
            .next_seq = publish->sink.last_seq(publish->sink.ctx, i) + 1,
            .first_seq = publish->sink.first_seq(publish->sink.ctx, i),
        };
    }
    return publish->fences;
}
