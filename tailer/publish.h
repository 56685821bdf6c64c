/* tailer/publish.h - from records to frames: one batch for each shard's stream.
 *
 * A frame holds whole transactions, or a part of a huge one: past PUBLISH_FRAME_BYTES a batch is cut, and the
 * next frame of an open transaction starts with a BEGIN marked `continued`. So a transaction of any size
 * passes in the memory of one frame per shard, plus what the streams hold unacknowledged. At the end of
 * a turn of reading (publish_turn_end) everything complete is sent, so batches form only under load.
 *
 * A shard hears of a transaction only when it owns a table of it. What else moves the position reaches it as
 * PROGRESS: every PUBLISH_PROGRESS_QUICK when the position moved, every PUBLISH_PROGRESS_IDLE when not; none while the
 * last one is not acknowledged, so that an absent shard does not pile them up.
 *
 * A frame's tag is the end of the last complete transaction (tailer/feedback.h).
 *
 * Writes to a `struct publish_sink`, which links.c makes of the real streams and unit tests of an array.
 * Cost of a change: the encoding, and no allocation once the batches have seen their largest frame.
 */
#ifndef PGTIDE_TAILER_PUBLISH_H
#define PGTIDE_TAILER_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/records.h"
#include "runtime/buf.h"
#include "runtime/clock.h"
#include "tailer/feedback.h"
#include "tailer/relcache.h"

#define PUBLISH_FRAME_BYTES    ((size_t)64 * 1024)
#define PUBLISH_PROGRESS_QUICK (20 * RT_MSEC)
#define PUBLISH_PROGRESS_IDLE  RT_SEC
/* A batch that is held back by an open transaction behind it is sent after this time. */
#define PUBLISH_BATCH_AGE (5 * RT_MSEC)

struct publish;

struct publish_sink {
    uint64_t (*send)(void *ctx, uint32_t shard, struct rt_span frame,
                     uint64_t tag); /* its number */
    uint64_t (*last_seq)(void *ctx, uint32_t shard);
    uint64_t (*acked_seq)(void *ctx, uint32_t shard); /* by the subscriber of now */
    uint64_t (*acked_tag)(void *ctx, uint32_t shard);
    uint64_t (*first_seq)(void *ctx, uint32_t shard); /* that can be had again */
    void *ctx;
};

/* `shards` streams. Everything is published under `epoch`. */
struct publish *publish_new(const struct publish_sink *sink, uint32_t shards, uint64_t epoch);
void publish_free(struct publish *publish);

/* A transaction starts; `epoch` and `continued` are set here. The one that publish_break() interrupted goes on
 * where it was: the caller leaves out what was published before. */
void publish_begin(struct publish *publish, const struct wire_begin *begin);
/* The record of `relation` precedes its first use in a session of its shard. */
void publish_change(struct publish *publish, struct relation *relation,
                    const struct wire_change *change);
void publish_truncate(struct publish *publish, struct relation *const *relations, uint32_t count,
                      uint32_t index, uint32_t flags);
/* To every shard; inside a transaction as part of it, else at once. */
void publish_message(struct publish *publish, const struct wire_message *message);
void publish_end(struct publish *publish, const struct wire_end *end);
/* The connection is lost in the middle of a transaction: what is batched is sent, the transaction stays
 * without an end until it is begun again, or for ever. */
void publish_break(struct publish *publish);
/* Everything up to `lsn` has been published; outside of transactions. */
void publish_position(struct publish *publish, uint64_t lsn, int64_t server_time);
/* A new epoch: everything published before belongs to the old one. To every shard, at once. */
void publish_gap(struct publish *publish, const struct wire_gap *gap);

void publish_turn_end(struct publish *publish, rt_usec now);
/* PROGRESS where it is due. Call every PUBLISH_PROGRESS_QUICK. */
void publish_tick(struct publish *publish, rt_usec now);

/* The shard's subscriber is a new one: it knows no relation. */
void publish_fresh(struct publish *publish, uint32_t shard);

uint64_t publish_position_now(const struct publish *publish);
/* What may be confirmed while the window begins at `window`; see tailer/feedback.h. */
uint64_t publish_confirmable(struct publish *publish, uint64_t window);
uint64_t publish_bytes(const struct publish *publish); /* of all frames so far */
/* One per shard, valid until the next call. */
const struct relcache_fence *publish_fences(struct publish *publish);

#endif
