/* runtime/seq_tx.c - see the header. The ring grows by doubling and never shrinks below its high
 * water mark: what bounds it is the owner's budget. */
#include "runtime/seq_tx.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"

#define FIRST_CAP 64

static void grow(struct seq_tx *tx)
{
    size_t cap = tx->cap == 0 ? FIRST_CAP : tx->cap * 2;
    struct seq_frame **slots = rt_realloc(NULL, cap, sizeof(struct seq_frame *));
    memset(slots, 0, cap * sizeof(struct seq_frame *));
    for (uint64_t seq = tx->first; seq <= tx->last; seq++) {
        slots[seq & (cap - 1)] = tx->slots[seq & (tx->cap - 1)];
    }
    free(tx->slots);
    tx->slots = slots;
    tx->cap = cap;
}

static void drop_first(struct seq_tx *tx)
{
    struct seq_frame **slot = &tx->slots[tx->first & (tx->cap - 1)];
    tx->bytes -= (*slot)->len;
    tx->pending -= tx->first > tx->acked ? (*slot)->len : 0;
    tx->dropped_tag = (*slot)->tag;
    seq_frame_unref(*slot);
    *slot = NULL;
    tx->first++;
}

struct seq_frame *seq_frame_new(size_t len)
{
    struct seq_frame *frame = rt_realloc(NULL, 1, sizeof(*frame) + len);
    atomic_init(&frame->refs, 1);
    frame->at = 0;
    frame->tag = 0;
    frame->len = len;
    return frame;
}

struct seq_frame *seq_frame_ref(struct seq_frame *frame)
{
    atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);
    return frame;
}

void seq_frame_unref(struct seq_frame *frame)
{
    if (atomic_fetch_sub_explicit(&frame->refs, 1, memory_order_acq_rel) == 1) {
        free(frame);
    }
}

void seq_tx_init(struct seq_tx *tx)
{
    *tx = (struct seq_tx){ .first = 1 };
}

void seq_tx_fini(struct seq_tx *tx)
{
    while (tx->first <= tx->last) {
        drop_first(tx);
    }
    free(tx->slots);
    seq_tx_init(tx);
}

uint64_t seq_tx_push(struct seq_tx *tx, struct seq_frame *frame)
{
    if (tx->last - tx->first + 1 == tx->cap) {
        grow(tx);
    }
    tx->last++;
    tx->slots[tx->last & (tx->cap - 1)] = frame;
    tx->bytes += frame->len;
    tx->pending += frame->len;
    return tx->last;
}

bool seq_tx_ack(struct seq_tx *tx, uint64_t seq, uint64_t *out_tag)
{
    if (seq > tx->last || seq <= tx->done || seq < tx->first) {
        return false;
    }
    tx->done = seq;
    tx->done_tag = tx->slots[seq & (tx->cap - 1)]->tag;
    *out_tag = tx->done_tag;
    for (uint64_t at = tx->acked + 1 > tx->first ? tx->acked + 1 : tx->first; at <= seq; at++) {
        tx->pending -= tx->slots[at & (tx->cap - 1)]->len;
    }
    tx->acked = seq > tx->acked ? seq : tx->acked;
    return true;
}

void seq_tx_serve(struct seq_tx *tx, uint64_t next)
{
    if (next > tx->done) {
        return;
    }
    tx->done = next - 1;
    tx->done_tag = next > tx->first ? tx->slots[(next - 1) & (tx->cap - 1)]->tag : tx->dropped_tag;
}

void seq_tx_trim(struct seq_tx *tx, size_t budget, rt_usec oldest)
{
    while (tx->first <= tx->done && (tx->bytes - tx->pending > budget ||
                                     tx->slots[tx->first & (tx->cap - 1)]->at < oldest)) {
        drop_first(tx);
    }
}

uint64_t seq_tx_evict(struct seq_tx *tx, size_t budget)
{
    uint64_t count = 0;
    while (tx->bytes > budget && tx->first < tx->last) {
        drop_first(tx);
        count++;
    }
    return count;
}

struct seq_frame *seq_tx_get(const struct seq_tx *tx, uint64_t seq)
{
    return seq >= tx->first && seq <= tx->last ? tx->slots[seq & (tx->cap - 1)] : NULL;
}

struct seq_answer seq_tx_answer(const struct seq_tx *tx, uint64_t from, uint64_t to,
                                size_t max_bytes, size_t max_frames)
{
    uint64_t begin = from < tx->first ? tx->first : from;
    uint64_t end = to > tx->last ? tx->last : to;
    struct seq_answer answer = { .from = begin, .to = begin - 1 };
    for (uint64_t seq = begin; seq <= end && seq - begin < max_frames; seq++) {
        size_t len = tx->slots[seq & (tx->cap - 1)]->len;
        if (seq > begin && answer.bytes + len > max_bytes) {
            break;
        }
        answer.bytes += len;
        answer.to = seq;
    }
    return answer;
}
