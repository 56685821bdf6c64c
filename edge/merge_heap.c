/* edge/merge_heap.c - see merge_heap.h. */
#include "edge/merge_heap.h"

#include "runtime/buf.h"

enum { FIRST_CAP = 4 };

int merge_key_compare(const struct merge_key *a, const struct merge_key *b)
{
    if (a->serial != b->serial) {
        return a->serial < b->serial ? -1 : 1;
    }
    if (a->lsn != b->lsn) {
        return a->lsn < b->lsn ? -1 : 1;
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

struct merge_key merge_key_later(struct merge_key a, struct merge_key b)
{
    return merge_key_compare(&a, &b) < 0 ? b : a;
}

static const struct merge_key *key_of(const struct merge_source *source, enum heap_kind kind)
{
    return kind == BY_MARK ? &source->mark : &source->queue[source->head].key;
}

static bool goes_before(const struct merge_source *a, const struct merge_source *b,
                        enum heap_kind kind)
{
    int order = merge_key_compare(key_of(a, kind), key_of(b, kind));

    return order != 0 ? order < 0 : a->number < b->number;
}

static void place(struct merge_heap *heap, uint32_t slot, struct merge_source *source)
{
    heap->items[slot] = source;
    source->slot[heap->kind] = slot;
}

static uint32_t sift_up(struct merge_heap *heap, uint32_t slot)
{
    struct merge_source *source = heap->items[slot];

    while (slot > 0 && goes_before(source, heap->items[(slot - 1) / 2], heap->kind)) {
        place(heap, slot, heap->items[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    place(heap, slot, source);
    return slot;
}

static void sift_down(struct merge_heap *heap, uint32_t slot)
{
    struct merge_source *source = heap->items[slot];

    for (;;) {
        uint32_t child = 2 * slot + 1;
        if (child + 1 < heap->count &&
            goes_before(heap->items[child + 1], heap->items[child], heap->kind)) {
            child++;
        }
        if (child >= heap->count || !goes_before(heap->items[child], source, heap->kind)) {
            break;
        }
        place(heap, slot, heap->items[child]);
        slot = child;
    }
    place(heap, slot, source);
}

void merge_heap_fix(struct merge_heap *heap, struct merge_source *source)
{
    if (source->slot[heap->kind] != NOWHERE) {
        sift_down(heap, sift_up(heap, source->slot[heap->kind]));
    }
}

void merge_heap_insert(struct merge_heap *heap, struct merge_source *source)
{
    if (heap->count == heap->cap) {
        heap->cap = heap->cap > 0 ? heap->cap * 2 : FIRST_CAP;
        heap->items = rt_realloc(heap->items, heap->cap, sizeof(struct merge_source *));
    }
    place(heap, heap->count, source);
    (void)sift_up(heap, heap->count++);
}

void merge_heap_remove(struct merge_heap *heap, struct merge_source *source)
{
    uint32_t slot = source->slot[heap->kind];

    if (slot == NOWHERE) {
        return;
    }
    source->slot[heap->kind] = NOWHERE;
    struct merge_source *moved = heap->items[--heap->count];
    if (moved != source) {
        place(heap, slot, moved);
        merge_heap_fix(heap, moved);
    }
}
