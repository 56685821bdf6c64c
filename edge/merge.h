/* edge/merge.h - several streams of frames into one, in the order of commits: whole transactions for one client.
 *
 * A connection that wants whole transactions gets its changes from several sources (shards, replays of shards), each
 * in the order of positions, none in step with the others. A source says what it brings (push) and how far it is
 * complete (advance). A frame goes out when every source is complete up to its position, so frames go out in
 * the order of positions across sources; equal positions in the order in which sources were added, frames of one
 * source always in their own order. After the last frame of a transaction that brought any, commit() is called, once.
 * A transaction that is long goes out as far as all sources are complete, before its end is known.
 *
 *   one source is behind: the others' frames wait, at most `budget` bytes of them; then push says so
 *   a source is added behind what is out already: its older frames go out as soon as they are the oldest, with commits of
 *     their own; but never inside a transaction that is under way
 *   another epoch: all of the old one goes out first. A source that has left an epoch holds nothing of it back
 *
 * Pure but for memory. The sink must not call the merge. One thread. Cost: O(log sources) per push and advance;
 * 40 bytes per frame that waits, nothing for one that does not.
 */
#ifndef PGTIDE_EDGE_MERGE_H
#define PGTIDE_EDGE_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/frame.h"
#include "proto/records.h"

struct merge;
struct merge_source;

struct merge_sink {
    /* Takes a reference of its own if it keeps the frame. */
    void (*frame)(void *ctx, struct edge_frame *frame);
    /* `at` is the end of the transaction, (lsn, UINT32_MAX); count: frames pushed for it, 1 or more. */
    void (*commit)(void *ctx, const struct wire_position *at, uint64_t count);
    void *ctx;
};

struct merge *merge_new(const struct merge_sink *sink, size_t budget);
/* With all sources; what waits is dropped. NULL is fine. */
void merge_free(struct merge *merge);

/* A source that is complete up to `from`. */
struct merge_source *merge_add(struct merge *merge, const struct wire_position *from);
/* It will bring nothing more and holds nothing back; what it has brought goes out in its turn. The handle is invalid. */
void merge_remove(struct merge_source *source);

/* A frame at a position: after what the source is complete up to, not before what it pushed last. Takes a reference of
 * its own. False: more than the budget waits now; the order cannot be kept, so close the client. */
bool merge_push(struct merge_source *source, const struct wire_position *at,
                struct edge_frame *frame);
/* A frame without a position (an answer, a gap), right behind what the source has pushed. Not counted. */
bool merge_push_note(struct merge_source *source, struct edge_frame *frame);
/* The source has pushed all it has up to here: after each of its transactions (lsn, UINT32_MAX), and whenever
 * its shard says that it got further. Going back is ignored. */
void merge_advance(struct merge_source *source, const struct wire_position *to);

/* The end of the last transaction of which something has gone out; false: nothing has. What is to keep the order of commits
 * must not begin before it. */
bool merge_out(const struct merge *merge, struct wire_position *out);
size_t merge_waiting_bytes(const struct merge *merge);

#endif
