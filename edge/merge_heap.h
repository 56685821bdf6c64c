/* edge/merge_heap.h - the sources of a merge, and the two heaps over them. Inside edge/merge*.c only.
 *
 * A heap orders sources by one of their keys; each source knows its slot, so that it can be moved or taken out when
 * its key changes. Insert, remove, fix: O(log sources).
 */
#ifndef PGTIDE_EDGE_MERGE_HEAP_H
#define PGTIDE_EDGE_MERGE_HEAP_H

#include "edge/list.h"
#include "edge/merge.h"

enum heap_kind { BY_HEAD, BY_MARK, HEAP_KINDS };
#define NOWHERE UINT32_MAX

struct merge_key {
    uint64_t lsn;
    uint32_t index;
    uint32_t serial; /* of the epoch */
};

struct merge_entry {
    struct merge_key key;
    uint64_t epoch;
    struct edge_frame *frame;
    bool counted;
};

struct merge_source {
    struct merge *merge;
    struct list_node node;     /* merge->sources */
    uint64_t number;           /* order of adding */
    uint64_t epoch;            /* of mark */
    struct merge_key mark;     /* complete up to here */
    struct merge_key last;     /* of the last frame pushed, or mark if that is later */
    uint32_t slot[HEAP_KINDS]; /* index in the heap, or NOWHERE */
    bool waiting;              /* for the transaction under way to end */
    bool removed;
    struct merge_entry *queue; /* ring; cap is a power of two, or 0 */
    uint32_t cap;
    uint32_t head;
    uint32_t count;
};

struct merge_heap {
    struct merge_source **items;
    uint32_t count;
    uint32_t cap;
    enum heap_kind kind;
};

int merge_key_compare(const struct merge_key *a, const struct merge_key *b);
struct merge_key merge_key_later(struct merge_key a, struct merge_key b);
void merge_heap_insert(struct merge_heap *heap, struct merge_source *source);
void merge_heap_remove(struct merge_heap *heap,
                       struct merge_source *source); /* fine when it is not in */
/* Its key has changed. */
void merge_heap_fix(struct merge_heap *heap, struct merge_source *source);

#endif
