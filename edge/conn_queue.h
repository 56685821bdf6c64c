/* edge/conn_queue.h - the frames that wait for one client.
 *
 * A ring of references. Four fit into the queue itself, so that the usual fan-out of a frame or two per turn
 * allocates nothing; more are kept on the heap until the queue is empty again. Pure: what is sent is told to
 * it with conn_queue_sent().
 */
#ifndef PGTIDE_EDGE_CONN_QUEUE_H
#define PGTIDE_EDGE_CONN_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "edge/frame.h"

enum { CONN_QUEUE_INLINE = 4 };

/* All zero is an empty queue. */
struct conn_queue {
    struct edge_frame **heap; /* NULL: the inline slots are in use */
    struct edge_frame *slots[CONN_QUEUE_INLINE];
    size_t bytes; /* not sent yet, of all frames */
    uint32_t cap; /* of heap; a power of two */
    uint32_t head;
    uint32_t count;
    uint32_t offset; /* bytes of the first frame that are sent */
};

/* Takes over the reference. */
void conn_queue_push(struct conn_queue *queue, struct edge_frame *frame);
/* What to send next: at most `max` pieces, and no further piece once `budget` bytes are reached. Returns how many. */
int conn_queue_peek(const struct conn_queue *queue, struct iovec *out, int max, size_t budget);
/* `len` bytes of what was peeked are sent. Returns how many frames that completed. */
uint32_t conn_queue_sent(struct conn_queue *queue, size_t len);
/* Drops every frame of which no byte is sent; a half-sent one stays, since the stream must not break inside it. */
void conn_queue_drop_unsent(struct conn_queue *queue);
void conn_queue_fini(struct conn_queue *queue); /* drops all; usable afterwards */

#endif
