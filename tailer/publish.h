/* tailer/publish.h - from records to frames: one batch for each shard's stream.
 *
 * A frame holds whole transactions, or a part of a huge one: past PUBLISH_FRAME_BYTES a batch is cut, and the
 * next frame of an open transaction starts with a BEGIN marked `continued`. So a transaction of any size
 * passes in the memory of one frame per shard, plus what the streams hold unacknowledged. At the end of
 * a turn of reading (publish_turn_end) everything complete is sent, so batches form only under load.
 *
 * A shard hears of a transaction only when it owns a table of it, or policies read one (relation->everywhere). What else moves the position reaches it as
 * PROGRESS: every PUBLISH_PROGRESS_QUICK when the position moved, every PUBLISH_PROGRESS_IDLE when not; none while the
 * last one is not acknowledged, so that an absent shard does not pile them up.
 *
 * After a reconnect PostgreSQL sends again what was not confirmed. Within one epoch the same WAL decodes to the same
 * changes in the same order, so what a shard was given is known by (commit LSN, index) and left out; each shard has a
 * position of its own. A shard can be left behind (publish_leave): it holds back what is confirmed, but nobody else. When its
 * subscriber is back the stream has to start again from publish_resume(), and only this shard is given what it missed.
 * One that stays away too long can be given up: what it missed is a GAP, its first record when it is back.
 *
 * A frame's tag is the end of the last complete transaction (tailer/feedback.h).
 *
 * Writes to a `struct publish_sink`, which links.c makes of the real streams and unit tests of an array.
 * Cost of a change: the encoding, once for each shard that is given it, and no allocation once the batches have seen their largest frame.
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

enum publish_part {
    PUBLISH_TAKES,
    PUBLISH_LEFT,
    PUBLISH_GIVEN_UP,
    PUBLISH_RETURNS, /* its subscriber is there: takes part from publish_resume() on */
};

/* `shards` streams. Everything is published under `epoch`, and everything before `start_lsn` was. */
struct publish *publish_new(const struct publish_sink *sink, uint32_t shards, uint64_t epoch,
                            uint64_t start_lsn);
void publish_free(struct publish *publish);

/* A transaction starts; `epoch` and `continued` are set here. The one that publish_break() interrupted goes on
 * where it was. */
void publish_begin(struct publish *publish, const struct wire_begin *begin);
/* Whether a shard is to be given change `index`, of this table, of the open transaction: not one that was before. */
bool publish_wants(const struct publish *publish, const struct relation *relation, uint32_t index);
/* One that is wanted, to each shard that wants it. The record of `relation` precedes its first use in a session of a shard. */
void publish_change(struct publish *publish, struct relation *relation,
                    const struct wire_change *change);
/* To whoever wants it; false: nobody. */
bool publish_truncate(struct publish *publish, struct relation *const *relations, uint32_t count,
                      uint32_t index, uint32_t flags);
/* To every shard that wants it; inside a transaction as part of it, else at once. False: to nobody. */
bool publish_message(struct publish *publish, const struct wire_message *message);
/* Likewise, to the shard that this channel belongs to. */
bool publish_message_for(struct publish *publish, struct wire_span channel,
                         const struct wire_message *message);
/* False when the whole transaction was published before. */
bool publish_end(struct publish *publish, const struct wire_end *end);
/* The connection is lost: what is batched is sent. An open transaction, whose next change would have been `index`, stays
 * without an end until it is begun again, or for ever. */
void publish_break(struct publish *publish, uint32_t index);
/* Everything up to `lsn` has been published; outside of transactions. */
void publish_position(struct publish *publish, uint64_t lsn, int64_t server_time);
/* A new epoch, from `start_lsn` on: everything published before belongs to the old one. To every shard, at once, also to
 * those that were left behind. */
void publish_gap(struct publish *publish, const struct wire_gap *gap, uint64_t start_lsn);

void publish_turn_end(struct publish *publish, rt_usec now);
/* PROGRESS where it is due. Call every PUBLISH_PROGRESS_QUICK. */
void publish_tick(struct publish *publish, rt_usec now);

/* The shard's subscriber is a new one: it knows no relation. One that was left behind returns. */
void publish_fresh(struct publish *publish, uint32_t shard);

/* The shard takes part no longer. Its stream is to be made anew right after this. */
void publish_leave(struct publish *publish, uint32_t shard);
/* Nor does what it missed hold back what is confirmed: it will be a GAP. After publish_leave(). */
void publish_give_up(struct publish *publish, uint32_t shard);
enum publish_part publish_part_now(const struct publish *publish, uint32_t shard);
/* The stream should start again, from publish_resume(). */
bool publish_returning(const struct publish *publish);
/* The stream starts again now: whoever returns takes part. From where it is needed. */
uint64_t publish_resume(struct publish *publish);

uint64_t publish_position_now(const struct publish *publish); /* the furthest of any shard */
uint64_t publish_done(const struct publish *publish, uint32_t shard); /* see tailer/feedback.h */
/* What may be confirmed while the window begins at `window`; see tailer/feedback.h. */
uint64_t publish_confirmable(struct publish *publish, uint64_t window);
uint64_t publish_bytes(const struct publish *publish); /* of all frames so far */
/* One per shard, valid until the next call. */
const struct relcache_fence *publish_fences(struct publish *publish);

#endif
