/* edge/conn_queue.c - ring arithmetic: capacities are powers of two, indices grow and are masked. */
#include "edge/conn_queue.h"

#include <stdlib.h>

#include "runtime/buf.h"

static struct edge_frame *const *slots_of(const struct conn_queue *queue)
{
    return queue->heap != NULL ? queue->heap : queue->slots;
}

static uint32_t mask_of(const struct conn_queue *queue)
{
    return (queue->heap != NULL ? queue->cap : CONN_QUEUE_INLINE) - 1;
}

static struct edge_frame *frame_at(const struct conn_queue *queue, uint32_t index)
{
    return slots_of(queue)[(queue->head + index) & mask_of(queue)];
}

static void grow(struct conn_queue *queue)
{
    uint32_t cap = (mask_of(queue) + 1) * 4;
    struct edge_frame **bigger = rt_realloc(NULL, cap, sizeof(struct edge_frame *));

    for (uint32_t i = 0; i < queue->count; i++) {
        bigger[i] = frame_at(queue, i);
    }
    free(queue->heap);
    queue->heap = bigger;
    queue->cap = cap;
    queue->head = 0;
}

static void rest(struct conn_queue *queue)
{
    free(queue->heap);
    *queue = (struct conn_queue){ 0 };
}

void conn_queue_push(struct conn_queue *queue, struct edge_frame *frame)
{
    if (queue->count == mask_of(queue) + 1) {
        grow(queue);
    }
    uint32_t slot = (queue->head + queue->count) & mask_of(queue);
    if (queue->heap != NULL) {
        queue->heap[slot] = frame;
    } else {
        queue->slots[slot] = frame;
    }
    queue->count++;
    queue->bytes += frame->len;
}

int conn_queue_peek(const struct conn_queue *queue, struct iovec *out, int max, size_t budget)
{
    size_t total = 0;
    int pieces = 0;

    while (pieces < max && (uint32_t)pieces < queue->count && total < budget) {
        struct edge_frame *frame = frame_at(queue, (uint32_t)pieces);
        size_t skip = pieces == 0 ? queue->offset : 0;
        out[pieces].iov_base = frame->bytes + skip;
        out[pieces].iov_len = frame->len - skip;
        total += out[pieces].iov_len;
        pieces++;
    }
    return pieces;
}

uint32_t conn_queue_sent(struct conn_queue *queue, size_t len)
{
    uint32_t completed = 0;

    queue->bytes -= len;
    while (len > 0) {
        struct edge_frame *frame = frame_at(queue, 0);
        size_t left = frame->len - queue->offset;
        if (len < left) {
            queue->offset += (uint32_t)len;
            break;
        }
        len -= left;
        queue->offset = 0;
        queue->head++;
        queue->count--;
        completed++;
        edge_frame_unref(frame);
    }
    if (queue->count == 0) {
        rest(queue);
    }
    return completed;
}

void conn_queue_drop_unsent(struct conn_queue *queue)
{
    uint32_t keep = queue->offset > 0 ? 1 : 0;

    while (queue->count > keep) {
        struct edge_frame *frame = frame_at(queue, queue->count - 1);
        queue->bytes -= frame->len;
        queue->count--;
        edge_frame_unref(frame);
    }
    if (queue->count == 0) {
        rest(queue);
    }
}

void conn_queue_fini(struct conn_queue *queue)
{
    queue->offset = 0;
    conn_queue_drop_unsent(queue);
}
