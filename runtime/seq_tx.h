/* runtime/seq_tx.h - the frames of one stream that are still kept, by number.
 *
 * Pure: no socket, no clock. The ring owns one reference of each frame; ZeroMQ holds others while it
 * sends, and drops them on its own thread, hence the atomic count. A frame never changes once pushed.
 *
 * Numbers start at 1 and have no holes: the ring is first..last, empty when first == last + 1. What is
 * acknowledged stays until seq_tx_trim() drops it, and until the subscriber of now has acknowledged it too: a new
 * one begins at a frame that an earlier one had (seq_tx_serve), and must find what follows.
 *
 * Push, ack of one frame, lookup: O(1).
 */
#ifndef PGTIDE_RUNTIME_SEQ_TX_H
#define PGTIDE_RUNTIME_SEQ_TX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/clock.h"

struct seq_frame {
    atomic_uint refs;
    rt_usec at; /* when it was pushed; the owner's clock */
    uint64_t tag;
    size_t len;
    uint8_t data[]; /* prefix and payload, as sent */
};

struct seq_frame *seq_frame_new(size_t len); /* one reference; not zeroed */
struct seq_frame *seq_frame_ref(struct seq_frame *frame);
void seq_frame_unref(struct seq_frame *frame); /* any thread */

struct seq_tx {
    struct seq_frame **slots; /* slots[seq & (cap - 1)] */
    size_t cap;
    uint64_t first;
    uint64_t last;
    uint64_t acked; /* by whoever; never goes back */
    uint64_t done;  /* by the subscriber of now: at most `acked` */
    uint64_t done_tag;
    uint64_t dropped_tag; /* of frame first - 1 */
    size_t bytes;         /* of first..last */
    size_t pending;       /* of acked+1..last */
};

/* What can be given of a range that was asked for. Nothing: to == from - 1. */
struct seq_answer {
    uint64_t from;
    uint64_t to;
    size_t bytes;
};

void seq_tx_init(struct seq_tx *tx);
void seq_tx_fini(struct seq_tx *tx);
/* Takes the reference. Returns the frame's number. */
uint64_t seq_tx_push(struct seq_tx *tx, struct seq_frame *frame);
/* The subscriber of now has it. False when that says nothing new, or names a frame that was never sent. */
bool seq_tx_ack(struct seq_tx *tx, uint64_t seq, uint64_t *out_tag);
/* The subscriber of now begins at frame `next`: it has none of those that follow. */
void seq_tx_serve(struct seq_tx *tx, uint64_t next);
/* Drops acknowledged frames that were pushed before `oldest`, or that are more than `budget` bytes together. */
void seq_tx_trim(struct seq_tx *tx, size_t budget, rt_usec oldest);
/* Drops the oldest frames until `budget` is kept; the newest stays. The number of dropped frames. */
uint64_t seq_tx_evict(struct seq_tx *tx, size_t budget);
/* Borrowed; NULL when it is not in the ring. */
struct seq_frame *seq_tx_get(const struct seq_tx *tx, uint64_t seq);
/* From the first frame of from..to that is still here: at least one frame, else what fits max_bytes and max_frames. */
struct seq_answer seq_tx_answer(const struct seq_tx *tx, uint64_t from, uint64_t to,
                                size_t max_bytes, size_t max_frames);

#endif
