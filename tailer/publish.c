/* tailer/publish.c - records to frames, see publish.h and publish_impl.h. */
#include "tailer/publish.h"

#include <stdlib.h>

#include "runtime/shard.h"
#include "tailer/publish_impl.h"

/* A buffer that one large value has grown is not kept. */
static void trim(struct wire_writer *frame)
{
    wire_writer_clear(frame);
    if (frame->cap > 16 * PUBLISH_FRAME_BYTES) {
        wire_writer_fini(frame);
    }
}

void publish_cut(struct publish *publish, uint32_t shard)
{
    struct batch *batch = &publish->batches[shard];

    if (batch->frame.len == 0) {
        return;
    }
    struct rt_span frame = { batch->frame.data, batch->frame.len };
    publish->sink.send(publish->sink.ctx, shard, frame, batch->position);
    publish->bytes += frame.len;
    batch->begun = false;
    batch->since = 0;
    batch->progress_last = false;
    trim(&batch->frame);
}

static void cut_when_full(struct publish *publish, uint32_t shard)
{
    if (publish->batches[shard].frame.len >= PUBLISH_FRAME_BYTES) {
        publish_cut(publish, shard);
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

static void announce(struct publish *publish, uint32_t shard, struct relation *relation)
{
    struct batch *batch = &publish->batches[shard];

    if (relation->announced[shard] != batch->session) {
        wire_write_raw(&batch->frame, relation->record.data, relation->record.len);
        relation->announced[shard] = batch->session;
    }
}

static bool is_for(const struct relation *relation, uint32_t shard)
{
    return relation->everywhere || relation->shard == shard;
}

struct publish *publish_new(const struct publish_sink *sink, uint32_t shards, uint64_t epoch,
                            uint64_t start_lsn)
{
    struct publish *publish = rt_alloc(sizeof(*publish));

    publish->sink = *sink;
    publish->shards = shards;
    publish->epoch = epoch;
    publish->batches = rt_alloc(shards * sizeof(*publish->batches));
    publish->done = rt_alloc(shards * sizeof(*publish->done));
    publish->fences = rt_alloc(shards * sizeof(*publish->fences));
    publish->position = start_lsn;
    for (uint32_t i = 0; i < shards; i++) {
        publish->batches[i].position = start_lsn;
        publish->batches[i].floor = start_lsn;
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
    free(publish->done);
    free(publish->fences);
    free(publish->rels);
    free(publish);
}

/* What of a transaction the shard was given before. */
static uint64_t given(const struct batch *batch, uint64_t commit_lsn)
{
    if (batch->part != PUBLISH_TAKES || commit_lsn < batch->position) {
        return PUBLISH_SKIP_ALL;
    }
    return batch->part_commit == commit_lsn ? batch->part_index : 0;
}

void publish_begin(struct publish *publish, const struct wire_begin *begin)
{
    publish->begin = *begin;
    publish->begin.epoch = publish->epoch;
    publish->open = true;
    for (uint32_t i = 0; i < publish->shards; i++) {
        struct batch *batch = &publish->batches[i];
        batch->skip_below = given(batch, begin->commit_lsn);
        batch->in_tx = batch->broken_lsn == begin->commit_lsn;
        batch->broken_lsn = batch->in_tx ? 0 : batch->broken_lsn;
    }
}

static bool wants(const struct publish *publish, uint32_t shard, uint32_t index)
{
    return index >= publish->batches[shard].skip_below;
}

bool publish_wants(const struct publish *publish, const struct relation *relation, uint32_t index)
{
    if (!relation->everywhere) {
        return wants(publish, relation->shard, index);
    }
    for (uint32_t i = 0; i < publish->shards; i++) {
        if (wants(publish, i, index)) {
            return true;
        }
    }
    return false;
}

static void change_to(struct publish *publish, uint32_t shard, struct relation *relation,
                      const struct wire_change *change)
{
    struct batch *batch = enter(publish, shard);

    announce(publish, shard, relation);
    wire_encode_change(&batch->frame, change);
    cut_when_full(publish, shard);
}

void publish_change(struct publish *publish, struct relation *relation,
                    const struct wire_change *change)
{
    if (!relation->everywhere) {
        change_to(publish, relation->shard, relation, change);
        return;
    }
    for (uint32_t i = 0; i < publish->shards; i++) {
        if (wants(publish, i, change->index)) {
            change_to(publish, i, relation, change);
        }
    }
}

/* Collects the relations of `shard` from *from on, as many as one record takes, and moves *from. */
static uint32_t gather(struct publish *publish, uint32_t shard, struct relation *const *relations,
                       uint32_t count, uint32_t *from)
{
    uint32_t found = 0;

    while (*from < count && found < WIRE_RELS_MAX) {
        struct relation *relation = relations[(*from)++];
        if (is_for(relation, shard)) {
            (void)enter(publish, shard);
            announce(publish, shard, relation);
            publish->rels[found++] = relation->rel;
        }
    }
    return found;
}

bool publish_truncate(struct publish *publish, struct relation *const *relations, uint32_t count,
                      uint32_t index, uint32_t flags)
{
    bool taken = false;

    if (count > publish->rels_cap) {
        publish->rels = rt_realloc(publish->rels, count, sizeof(*publish->rels));
        publish->rels_cap = count;
    }
    for (uint32_t shard = 0; shard < publish->shards; shard++) {
        uint32_t from = wants(publish, shard, index) ? 0 : count;
        while (from < count) {
            uint32_t found = gather(publish, shard, relations, count, &from);
            if (found > 0) {
                taken = true;
                wire_encode_truncate(&publish->batches[shard].frame, index, flags, publish->rels,
                                     found);
            }
        }
        cut_when_full(publish, shard);
    }
    return taken;
}

static bool message_to(struct publish *publish, uint32_t shard, const struct wire_message *message)
{
    struct batch *batch = &publish->batches[shard];

    if (publish->open) {
        if (!wants(publish, shard, message->index)) {
            return false;
        }
        wire_encode_message(&enter(publish, shard)->frame, message);
        cut_when_full(publish, shard);
        return true;
    }
    if (batch->part != PUBLISH_TAKES || message->lsn <= batch->message_lsn ||
        message->lsn < batch->position) {
        return false;
    }
    batch->message_lsn = message->lsn;
    publish_cut(publish, shard);
    wire_encode_message(&batch->frame, message);
    publish_cut(publish, shard);
    return true;
}

bool publish_message(struct publish *publish, const struct wire_message *message)
{
    bool taken = false;

    for (uint32_t i = 0; i < publish->shards; i++) {
        taken = message_to(publish, i, message) || taken;
    }
    return taken;
}

bool publish_message_for(struct publish *publish, struct wire_span channel,
                         const struct wire_message *message)
{
    return message_to(publish, rt_shard_of(channel.data, channel.len, publish->shards), message);
}

bool publish_end(struct publish *publish, const struct wire_end *end)
{
    bool news = end->end_lsn > publish->position;

    publish->position = news ? end->end_lsn : publish->position;
    for (uint32_t i = 0; i < publish->shards; i++) {
        struct batch *batch = &publish->batches[i];
        if (batch->part == PUBLISH_TAKES && end->end_lsn > batch->position) {
            batch->position = end->end_lsn;
        }
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
    return news;
}

/* A second loss before the first one's end was reached again must not lower what was published. */
static void remember_part(struct batch *batch, uint64_t commit_lsn, uint32_t index)
{
    if (batch->skip_below != PUBLISH_SKIP_ALL &&
        (batch->part_commit != commit_lsn || index > batch->part_index)) {
        batch->part_commit = commit_lsn;
        batch->part_index = index;
    }
}

void publish_break(struct publish *publish, uint32_t index)
{
    for (uint32_t i = 0; i < publish->shards; i++) {
        struct batch *batch = &publish->batches[i];
        publish_cut(publish, i);
        if (publish->open) {
            remember_part(batch, publish->begin.commit_lsn, index);
        }
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
    publish->position = lsn > publish->position ? lsn : publish->position;
    for (uint32_t i = 0; i < publish->shards; i++) {
        struct batch *batch = &publish->batches[i];
        if (batch->part == PUBLISH_TAKES && lsn > batch->position) {
            batch->position = lsn;
        }
    }
}

void publish_gap(struct publish *publish, const struct wire_gap *gap, uint64_t start_lsn)
{
    publish_break(publish, 0);
    for (uint32_t i = 0; i < publish->shards; i++) {
        struct batch *batch = &publish->batches[i];
        struct wire_gap own = *gap;
        if (batch->part != PUBLISH_TAKES) {
            own.from.lsn = batch->gap ? batch->gap_from : batch->position;
        }
        /* Whoever was away goes on with all the others. */
        *batch = (struct batch){ .frame = batch->frame,
                                 .session = batch->session,
                                 .told_at = batch->told_at,
                                 .floor_seq = publish->sink.last_seq(publish->sink.ctx, i) + 1,
                                 .position = start_lsn };
        wire_encode_gap(&batch->frame, &own);
        publish_cut(publish, i);
    }
    publish->epoch = gap->to.epoch;
    publish->position = start_lsn;
    publish->confirmable = 0;
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
            publish_cut(publish, i);
        }
    }
}

static bool progress_due(const struct publish *publish, uint32_t shard, rt_usec now)
{
    const struct batch *batch = &publish->batches[shard];
    rt_usec since = now - batch->told_at;
    bool moved = batch->position > batch->told;

    if (batch->frame.len > 0 || batch->in_tx || batch->position == 0 ||
        batch->part != PUBLISH_TAKES) {
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
                                                .lsn = batch->position,
                                                .server_time = publish->server_time,
                                            });
        publish_cut(publish, i);
        batch->progress_last = true;
        batch->told = batch->position;
        batch->told_at = now;
    }
}
