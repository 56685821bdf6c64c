/* tailer/publish_impl.h - shared by publish.c (records to frames) and publish_shards.c (who takes part, what is
 * acknowledged); nobody else includes it.
 *
 * What must stay true: a batch that is not empty starts with a BEGIN, or holds a single record that stands
 * alone (MESSAGE, PROGRESS, GAP) and is sent before anything follows; `in_tx` of a batch implies
 * `open`; nothing is sent to a shard that is not for any table of the transaction, nor to one that does not take part.
 */
#ifndef PGTIDE_TAILER_PUBLISH_IMPL_H
#define PGTIDE_TAILER_PUBLISH_IMPL_H

#include "tailer/publish.h"

#define PUBLISH_SKIP_ALL UINT64_MAX

struct batch {
    struct wire_writer frame; /* not sent yet */
    rt_usec since;            /* the first end of a turn that saw it waiting; 0: none yet */
    uint64_t session;         /* as in relation->announced */
    bool in_tx;               /* the open transaction has a BEGIN on this stream */
    bool begun;               /* and one in the frame being filled */
    uint64_t broken_lsn;      /* a transaction that publish_break() left without its END */
    bool progress_last;       /* the last frame sent was PROGRESS */
    uint64_t told;            /* position that END or PROGRESS gave last */
    rt_usec told_at;          /* of the last PROGRESS */
    uint64_t floor_seq;       /* tags of earlier frames belong to an older epoch */

    enum publish_part part;
    uint64_t position; /* everything before it was published; of one that is away: acknowledged */
    uint64_t floor;    /* done without an acknowledgement: what its stream began behind */
    uint64_t part_commit; /* commit LSN of a transaction cut by publish_break() */
    uint32_t part_index;  /* how much of it was published */
    uint64_t message_lsn; /* of the last non-transactional message */
    uint64_t skip_below;  /* of the open transaction: changes before this index are left out */
    bool gap;             /* it was given up: a GAP comes first when it is back */
    uint64_t gap_from;
};

struct publish {
    struct publish_sink sink;
    uint32_t shards;
    uint64_t sessions; /* the last one given out */
    uint64_t position; /* the furthest of all shards' */
    uint64_t confirmable;
    int64_t server_time;
    uint64_t epoch;
    uint64_t bytes;
    bool open; /* between publish_begin and publish_end */
    struct wire_begin begin;
    struct batch *batches;
    uint64_t *done; /* one per shard, for feedback */
    struct relcache_fence *fences;
    uint32_t *rels; /* of a TRUNCATE for one shard */
    uint32_t rels_cap;
};

/* Sends what is batched for the shard. */
void publish_cut(struct publish *publish, uint32_t shard);

#endif
