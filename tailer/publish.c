/* tailer/publish.c - see publish.h.
 *
 * What must stay true: a batch that is not empty starts with a BEGIN, or holds a single record that stands
 * alone (MESSAGE, PROGRESS, GAP) and is sent before anything follows; `in_tx` of a batch implies
 * `open`; nothing is sent to a shard that does not own a table of the transaction.
 */
#include "tailer/publish.h"

#include <stdlib.h>

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
};

struct publish {
    struct publish_sink sink;
    uint32_t shards;
    uint64_t sessions; /* the last one given out */
    uint64_t position;
    uint64_t confirmable;
    int64_t server_time;
    uint64_t epoch;
    uint64_t bytes;
    bool open; /* between publish_begin and publish_end */
    struct wire_begin begin;
    struct batch *batches;
    struct feedback_shard *feedback;
    struct relcache_fence *fences;
    uint32_t *rels; /* of a TRUNCATE for one shard */
    uint32_t rels_cap;
};

/* A buffer that one large value has grown is not kept. */
static void trim(struct wire_writer *frame)
{
    wire_writer_clear(frame);
    if (frame->cap > 16 * PUBLISH_FRAME_BYTES) {
        wire_writer_fini(frame);
    }
}

static void cut(struct publish *publish, uint32_t shard)
{
    struct batch *batch = &publish->batches[shard];

    if (batch->frame.len == 0) {
        return;
    }
    struct rt_span frame = { batch->frame.data, batch->frame.len };
    publish->sink.send(publish->sink.ctx, shard, frame, publish->position);
    publish->bytes += frame.len;
    batch->begun = false;
    batch->since = 0;
    batch->progress_last = false;
    trim(&batch->frame);
}

static void cut_when_full(struct publish *publish, uint32_t shard)
{
    if (publish->batches[shard].frame.len >= PUBLISH_FRAME_BYTES) {
        cut(publish, shard);
    }
}

/* The batch, ready for a record of the open transaction. */
static struct batch *enter(struct publish *publish, uint32_t shard)
{
    struct batch *batch = &publish->batches[shard];

    if (!batch->begun) {
        struct wire_begin begin = publish->begin;
        begin.continued = batch->in_tx;
        wire_encode_begin(&batch->frame, &begin);
        batch->in_tx = true;
        batch->begun = true;
    }
    return batch;
}

static void announce(struct batch *batch, struct relation *relation)
{
    if (relation->announced != batch->session) {
        wire_write_raw(&batch->frame, relation->record.data, relation->record.len);
        relation->announced = batch->session;
    }
}

struct publish *publish_new(const struct publish_sink *sink, uint32_t shards, uint64_t epoch)
{
    struct publish *publish = rt_alloc(sizeof(*publish));

    publish->sink = *sink;
    publish->shards = shards;
    publish->epoch = epoch;
    publish->batches = rt_alloc(shards * sizeof(*publish->batches));
    publish->feedback = rt_alloc(shards * sizeof(*publish->feedback));
    publish->fences = rt_alloc(shards * sizeof(*publish->fences));
    for (uint32_t i = 0; i < shards; i++) {
        publish_fresh(publish, i);
    }
    return publish;
}

void publish_free(struct publish *publish)
{
    if (publish == NULL) {
        return;
    }
    for (uint32_t i = 0; i < publish->shards; i++) {
        wire_writer_fini(&publish->batches[i].frame);
    }
    free(publish->batches);
    free(publish->feedback);
    free(publish->fences);
    free(publish->rels);
    free(publish);
}

void publish_begin(struct publish *publish, const struct wire_begin *begin)
{
    publish->begin = *begin;
    publish->begin.epoch = publish->epoch;
    publish->open = true;
    for (uint32_t i = 0; i < publish->shards; i++) {
        struct batch *batch = &publish->batches[i];
        batch->in_tx = batch->broken_lsn == begin->commit_lsn;
        batch->broken_lsn = 0;
    }
}

void publish_change(struct publish *publish, struct relation *relation,
                    const struct wire_change *change)
{
    struct batch *batch = enter(publish, relation->shard);

    announce(batch, relation);
    wire_encode_change(&batch->frame, change);
    cut_when_full(publish, relation->shard);
}

/* Collects the relations of `shard` from *from on, as many as one record takes, and moves *from. */
static uint32_t gather(struct publish *publish, uint32_t shard, struct relation *const *relations,
                       uint32_t count, uint32_t *from)
{
    uint32_t found = 0;

    while (*from < count && found < WIRE_RELS_MAX) {
        struct relation *relation = relations[(*from)++];
        if (relation->shard == shard) {
            announce(enter(publish, shard), relation);
            publish->rels[found++] = relation->rel;
        }
    }
    return found;
}

void publish_truncate(struct publish *publish, struct relation *const *relations, uint32_t count,
                      uint32_t index, uint32_t flags)
{
    if (count > publish->rels_cap) {
        publish->rels = rt_realloc(publish->rels, count, sizeof(*publish->rels));
        publish->rels_cap = count;
    }
    for (uint32_t shard = 0; shard < publish->shards; shard++) {
        uint32_t from = 0;
        while (from < count) {
            uint32_t found = gather(publish, shard, relations, count, &from);
            if (found > 0) {
                wire_encode_truncate(&publish->batches[shard].frame, index, flags, publish->rels,
                                     found);
            }
        }
        cut_when_full(publish, shard);
    }
}

void publish_message(struct publish *publish, const struct wire_message *message)
{
    for (uint32_t i = 0; i < publish->shards; i++) {
        if (publish->open) {
            wire_encode_message(&enter(publish, i)->frame, message);
            cut_when_full(publish, i);
        } else {
            cut(publish, i);
            wire_encode_message(&publish->batches[i].frame, message);
            cut(publish, i);
        }
    }
}

void publish_end(struct publish *publish, const struct wire_end *end)
{
    publish->position = end->end_lsn;
    for (uint32_t i = 0; i < publish->shards; i++) {
        struct batch *batch = &publish->batches[i];
        if (batch->in_tx) {
            wire_encode_end(&enter(publish, i)->frame, end);
            batch->told = end->end_lsn;
            batch->in_tx = false;
            /* The next transaction in this frame has a BEGIN of its own. */
            batch->begun = false;
            cut_when_full(publish, i);
        }
    }
    publish->open = false;
}

void publish_break(struct publish *publish)
{
    for (uint32_t i = 0; i < publish->shards; i++) {
        struct batch *batch = &publish->batches[i];
        cut(publish, i);
        if (batch->in_tx) {
            batch->broken_lsn = publish->begin.commit_lsn;
            batch->in_tx = false;
        }
    }
    publish->open = false;
}

void publish_position(struct publish *publish, uint64_t lsn, int64_t server_time)
{
    publish->server_time = server_time;
    if (lsn > publish->position) {
        publish->position = lsn;
    }
}

void publish_gap(struct publish *publish, const struct wire_gap *gap)
{
    publish_break(publish);
    publish->epoch = gap->to.epoch;
    publish->position = gap->to.lsn;
    publish->confirmable = 0;
    for (uint32_t i = 0; i < publish->shards; i++) {
        struct batch *batch = &publish->batches[i];
        batch->floor_seq = publish->sink.last_seq(publish->sink.ctx, i) + 1;
        batch->broken_lsn = 0;
        batch->told = 0;
        wire_encode_gap(&batch->frame, gap);
        cut(publish, i);
    }
}

void publish_turn_end(struct publish *publish, rt_usec now)
{
    for (uint32_t i = 0; i < publish->shards; i++) {
        struct batch *batch = &publish->batches[i];
        if (batch->frame.len == 0) {
            continue;
        }
        if (batch->since == 0) {
            batch->since = now;
        }
        if (!batch->in_tx || now - batch->since >= PUBLISH_BATCH_AGE) {
            cut(publish, i);
        }
    }
}

static bool progress_due(const struct publish *publish, uint32_t shard, rt_usec now)
{
    const struct batch *batch = &publish->batches[shard];
    rt_usec since = now - batch->told_at;
    bool moved = publish->position > batch->told;

    if (batch->frame.len > 0 || batch->in_tx || publish->position == 0) {
        return false;
    }
    if (batch->progress_last && publish->sink.acked_seq(publish->sink.ctx, shard) <
                                    publish->sink.last_seq(publish->sink.ctx, shard)) {
        return false;
    }
    return since >= (moved ? PUBLISH_PROGRESS_QUICK : PUBLISH_PROGRESS_IDLE);
}

void publish_tick(struct publish *publish, rt_usec now)
{
    for (uint32_t i = 0; i < publish->shards; i++) {
        struct batch *batch = &publish->batches[i];
        if (!progress_due(publish, i, now)) {
            continue;
        }
        wire_encode_progress(&batch->frame, &(struct wire_progress){
                                                .epoch = publish->epoch,
                                                .lsn = publish->position,
                                                .server_time = publish->server_time,
                                            });
        cut(publish, i);
        batch->progress_last = true;
        batch->told = publish->position;
        batch->told_at = now;
    }
}

void publish_fresh(struct publish *publish, uint32_t shard)
{
    publish->batches[shard].session = ++publish->sessions;
}

uint64_t publish_position_now(const struct publish *publish)
{
    return publish->position;
}

uint64_t publish_confirmable(struct publish *publish, uint64_t window)
{
    for (uint32_t i = 0; i < publish->shards; i++) {
        const struct batch *batch = &publish->batches[i];
        uint64_t acked = publish->sink.acked_seq(publish->sink.ctx, i);
        publish->feedback[i] = (struct feedback_shard){
            .all_done =
                acked == publish->sink.last_seq(publish->sink.ctx, i) && batch->frame.len == 0,
            .acked_tag =
                acked < batch->floor_seq ? 0 : publish->sink.acked_tag(publish->sink.ctx, i),
        };
    }
    publish->confirmable = feedback_flushed(publish->feedback, publish->shards, publish->position,
                                            window, publish->confirmable);
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
