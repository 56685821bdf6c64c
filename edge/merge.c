/* edge/merge.c - two heaps over the sources: one by their first waiting frame, one by how far they are complete.
 *
 * The top of the second is how far everything is complete (the bound); frames are taken from the top of the first up
 * to there. Epochs have no order of their own, so each is given a serial number when a source first gets to it, and
 * positions are compared as (serial, lsn, index).
 *
 * A source added behind a transaction that has gone out in part is in neither heap until that is over: it would end
 * it early.
 */
#include "edge/merge.h"

#include <stdlib.h>

#include "edge/list.h"
#include "runtime/buf.h"

enum { FIRST_CAP = 4, KEPT_CAP = 16 };
enum heap_kind { BY_HEAD, BY_MARK, HEAP_KINDS };
#define NOWHERE UINT32_MAX

struct key {
    uint64_t lsn;
    uint32_t index;
    uint32_t serial; /* of the epoch */
};

struct entry {
    struct key key;
    uint64_t epoch;
    struct edge_frame *frame;
    bool counted;
};

struct merge_source {
    struct merge *merge;
    struct list_node node;     /* merge->sources */
    uint64_t number;           /* order of adding */
    uint64_t epoch;            /* of mark */
    struct key mark;           /* complete up to here */
    struct key last;           /* of the last frame pushed, or mark if that is later */
    uint32_t slot[HEAP_KINDS]; /* index in the heap, or NOWHERE */
    bool waiting;              /* for the transaction under way to end */
    bool removed;
    struct entry *queue; /* ring; cap is a power of two, or 0 */
    uint32_t cap;
    uint32_t head;
    uint32_t count;
};

struct heap {
    struct merge_source **items;
    uint32_t count;
    uint32_t cap;
    enum heap_kind kind;
};

struct merge {
    struct merge_sink sink;
    size_t budget;
    size_t bytes;
    struct list_node sources;
    struct heap heaps[HEAP_KINDS];
    uint64_t last_number;
    uint64_t last_epoch; /* that got last_serial */
    uint32_t last_serial;
    uint32_t waiting; /* sources */
    bool spent;       /* a removed source has nothing left */
    /* The transaction that has gone out in part, or whole but for its commit. */
    bool open;
    struct key open_key; /* (lsn, UINT32_MAX) */
    uint64_t open_epoch;
    uint64_t open_count;
    bool has_out;
    struct wire_position out; /* end of the last transaction that went out, at least in part */
};

static int compare(const struct key *a, const struct key *b)
{
    if (a->serial != b->serial) {
        return a->serial < b->serial ? -1 : 1;
    }
    if (a->lsn != b->lsn) {
        return a->lsn < b->lsn ? -1 : 1;
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

static struct key later_of(struct key a, struct key b)
{
    return compare(&a, &b) < 0 ? b : a;
}

/* --- heaps --- */

static const struct key *key_of(const struct merge_source *source, enum heap_kind kind)
{
    return kind == BY_MARK ? &source->mark : &source->queue[source->head].key;
}

static bool goes_before(const struct merge_source *a, const struct merge_source *b,
                        enum heap_kind kind)
{
    int order = compare(key_of(a, kind), key_of(b, kind));

    return order != 0 ? order < 0 : a->number < b->number;
}

static void place(struct heap *heap, uint32_t slot, struct merge_source *source)
{
    heap->items[slot] = source;
    source->slot[heap->kind] = slot;
}

static uint32_t sift_up(struct heap *heap, uint32_t slot)
{
    struct merge_source *source = heap->items[slot];

    while (slot > 0 && goes_before(source, heap->items[(slot - 1) / 2], heap->kind)) {
        place(heap, slot, heap->items[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    place(heap, slot, source);
    return slot;
}

static void sift_down(struct heap *heap, uint32_t slot)
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

/* Its key has changed. */
static void heap_fix(struct heap *heap, struct merge_source *source)
{
    if (source->slot[heap->kind] != NOWHERE) {
        sift_down(heap, sift_up(heap, source->slot[heap->kind]));
    }
}

static void heap_insert(struct heap *heap, struct merge_source *source)
{
    if (heap->count == heap->cap) {
        heap->cap = heap->cap > 0 ? heap->cap * 2 : FIRST_CAP;
        heap->items = rt_realloc(heap->items, heap->cap, sizeof(struct merge_source *));
    }
    place(heap, heap->count, source);
    (void)sift_up(heap, heap->count++);
}

static void heap_remove(struct heap *heap, struct merge_source *source)
{
    uint32_t slot = source->slot[heap->kind];

    if (slot == NOWHERE) {
        return;
    }
    source->slot[heap->kind] = NOWHERE;
    struct merge_source *moved = heap->items[--heap->count];
    if (moved != source) {
        place(heap, slot, moved);
        heap_fix(heap, moved);
    }
}

/* --- epochs --- */

/* The serial under which others know this epoch; 0: nobody does. */
static uint32_t known_serial(struct merge *merge, uint64_t epoch)
{
    uint32_t serial = merge->last_epoch == epoch ? merge->last_serial : 0;

    LIST_EACH(at, after, &merge->sources)
    {
        const struct merge_source *source = LIST_ELEMENT(at, struct merge_source, node);
        if (source->epoch == epoch && source->mark.serial > serial) {
            serial = source->mark.serial;
        }
    }
    return serial;
}

/* A source gets to an epoch. When others have been there before it was elsewhere (A: 1, 2; B: 2, 1), the epoch gets a new
 * serial for all that are in it: for what they bring from now on. */
static void enter_epoch(struct merge_source *source, uint64_t epoch)
{
    struct merge *merge = source->merge;
    uint32_t serial = known_serial(merge, epoch);

    if (serial <= source->mark.serial) {
        serial = ++merge->last_serial;
        merge->last_epoch = epoch;
        LIST_EACH(at, after, &merge->sources)
        {
            struct merge_source *other = LIST_ELEMENT(at, struct merge_source, node);
            if (other->epoch == epoch) {
                other->mark.serial = serial;
                other->last = later_of(other->last, other->mark);
                heap_fix(&merge->heaps[BY_MARK], other);
            }
        }
    }
    source->epoch = epoch;
    source->mark = (struct key){ .serial = serial };
    source->last = later_of(source->last, source->mark);
    heap_fix(&merge->heaps[BY_MARK], source);
}

static struct key key_at(struct merge_source *source, const struct wire_position *at)
{
    if (source->epoch != at->epoch) {
        enter_epoch(source, at->epoch);
    }
    return (struct key){ at->lsn, at->index, source->mark.serial };
}

/* --- queues --- */

static void append(struct merge_source *source, const struct entry *entry)
{
    struct merge *merge = source->merge;

    if (source->count == source->cap) {
        uint32_t cap = source->cap > 0 ? source->cap * 2 : FIRST_CAP;
        struct entry *bigger = rt_realloc(NULL, cap, sizeof(*bigger));
        for (uint32_t i = 0; i < source->count; i++) {
            bigger[i] = source->queue[(source->head + i) & (source->cap - 1)];
        }
        free(source->queue);
        source->queue = bigger;
        source->cap = cap;
        source->head = 0;
    }
    source->queue[(source->head + source->count++) & (source->cap - 1)] = *entry;
    (void)edge_frame_ref(entry->frame);
    merge->bytes += entry->frame->len + sizeof(*entry);
    if (source->count == 1 && !source->waiting) {
        heap_insert(&merge->heaps[BY_HEAD], source);
    }
}

/* The reference is the caller's. */
static struct entry take_first(struct merge_source *source)
{
    struct merge *merge = source->merge;
    struct heap *heads = &merge->heaps[BY_HEAD];
    struct entry entry = source->queue[source->head];

    merge->bytes -= entry.frame->len + sizeof(entry);
    if (source->count == 1) {
        heap_remove(heads, source);
    }
    source->head = (source->head + 1) & (source->cap - 1);
    source->count--;
    heap_fix(heads, source);
    if (source->count == 0 && source->cap > KEPT_CAP) {
        source->queue = rt_realloc(source->queue, FIRST_CAP, sizeof(*source->queue));
        source->cap = FIRST_CAP;
        source->head = 0;
    }
    return entry;
}

static void source_free(struct merge_source *source)
{
    struct merge *merge = source->merge;

    while (source->count > 0) {
        edge_frame_unref(take_first(source).frame);
    }
    heap_remove(&merge->heaps[BY_MARK], source);
    merge->waiting -= source->waiting ? 1 : 0;
    list_remove(&source->node);
    free(source->queue);
    free(source);
}

/* --- output --- */

static bool is_complete(const struct merge *merge, const struct key *key)
{
    const struct heap *marks = &merge->heaps[BY_MARK];

    return marks->count == 0 || compare(key, &marks->items[0]->mark) <= 0;
}

static void join(struct merge_source *source)
{
    struct merge *merge = source->merge;

    source->waiting = false;
    merge->waiting--;
    if (source->count > 0) {
        heap_insert(&merge->heaps[BY_HEAD], source);
    }
    if (!source->removed) {
        heap_insert(&merge->heaps[BY_MARK], source);
    }
}

static void commit(struct merge *merge)
{
    struct wire_position at = { merge->open_epoch, merge->open_key.lsn, UINT32_MAX };

    merge->open = false;
    merge->sink.commit(merge->sink.ctx, &at, merge->open_count);
    for (struct list_node *node = merge->sources.next; merge->waiting > 0; node = node->next) {
        struct merge_source *source = LIST_ELEMENT(node, struct merge_source, node);
        if (source->waiting) {
            join(source);
        }
    }
}

static void count(struct merge *merge, const struct entry *entry)
{
    if (!merge->open) {
        merge->open = true;
        merge->open_key = (struct key){ entry->key.lsn, UINT32_MAX, entry->key.serial };
        merge->open_epoch = entry->epoch;
        merge->open_count = 0;
        merge->has_out = true;
        merge->out = (struct wire_position){ entry->epoch, entry->key.lsn, UINT32_MAX };
    }
    merge->open_count++;
}

/* What goes out next: the source of a frame, or NULL with *ends set when the transaction under way ends first. */
static struct merge_source *next_source(const struct merge *merge, bool *ends)
{
    const struct heap *heads = &merge->heaps[BY_HEAD];
    struct merge_source *source = heads->count > 0 ? heads->items[0] : NULL;

    if (source != NULL && !is_complete(merge, &source->queue[source->head].key)) {
        source = NULL;
    }
    bool of_another =
        source != NULL && compare(&merge->open_key, &source->queue[source->head].key) < 0;
    *ends = merge->open && (source == NULL ? is_complete(merge, &merge->open_key) : of_another);
    return *ends ? NULL : source;
}

/* Returns whether there was something to put out. */
static bool put_out_next(struct merge *merge)
{
    bool ends = false;
    struct merge_source *source = next_source(merge, &ends);

    if (ends) {
        commit(merge); /* others may have joined */
        return true;
    }
    if (source == NULL) {
        return false;
    }
    struct entry entry = take_first(source);
    if (entry.counted) {
        count(merge, &entry);
    }
    merge->spent = merge->spent || (source->removed && source->count == 0);
    merge->sink.frame(merge->sink.ctx, entry.frame);
    edge_frame_unref(entry.frame);
    return true;
}

static void pump(struct merge *merge)
{
    while (put_out_next(merge)) {
    }
    if (merge->spent) {
        merge->spent = false;
        LIST_EACH(at, after, &merge->sources)
        {
            struct merge_source *source = LIST_ELEMENT(at, struct merge_source, node);
            if (source->removed && source->count == 0) {
                source_free(source);
            }
        }
    }
}

/* --- exports --- */

struct merge *merge_new(const struct merge_sink *sink, size_t budget)
{
    struct merge *merge = rt_alloc(sizeof(*merge));

    merge->sink = *sink;
    merge->budget = budget;
    merge->heaps[BY_MARK].kind = BY_MARK;
    list_init(&merge->sources);
    return merge;
}

void merge_free(struct merge *merge)
{
    if (merge == NULL) {
        return;
    }
    LIST_EACH(at, after, &merge->sources)
    {
        source_free(LIST_ELEMENT(at, struct merge_source, node));
    }
    for (int i = 0; i < HEAP_KINDS; i++) {
        free(merge->heaps[i].items);
    }
    free(merge);
}

struct merge_source *merge_add(struct merge *merge, const struct wire_position *from)
{
    struct merge_source *source = rt_alloc(sizeof(*source));

    source->merge = merge;
    source->number = ++merge->last_number;
    source->slot[BY_HEAD] = NOWHERE;
    source->slot[BY_MARK] = NOWHERE;
    source->epoch = from->epoch;
    source->mark.serial = known_serial(merge, from->epoch);
    if (source->mark.serial == 0) {
        enter_epoch(source, from->epoch);
    }
    source->mark.lsn = from->lsn;
    source->mark.index = from->index;
    source->last = source->mark;
    source->waiting = merge->open && compare(&source->mark, &merge->open_key) < 0;
    merge->waiting += source->waiting ? 1 : 0;
    list_append(&merge->sources, &source->node);
    if (!source->waiting) {
        heap_insert(&merge->heaps[BY_MARK], source);
    }
    return source;
}

void merge_remove(struct merge_source *source)
{
    struct merge *merge = source->merge;

    source->removed = true;
    heap_remove(&merge->heaps[BY_MARK], source);
    merge->spent = merge->spent || source->count == 0;
    pump(merge);
}

bool merge_push(struct merge_source *source, const struct wire_position *at,
                struct edge_frame *frame)
{
    struct merge *merge = source->merge;
    struct key key = key_at(source, at);

    source->last = later_of(source->last, key);
    append(source, &(struct entry){ source->last, at->epoch, frame, true });
    pump(merge);
    return merge->bytes <= merge->budget;
}

bool merge_push_note(struct merge_source *source, struct edge_frame *frame)
{
    struct merge *merge = source->merge;

    if (source->count == 0) {
        merge->sink.frame(merge->sink.ctx, frame);
        return true;
    }
    append(source, &(struct entry){ source->last, source->epoch, frame, false });
    return merge->bytes <= merge->budget;
}

void merge_advance(struct merge_source *source, const struct wire_position *to)
{
    struct merge *merge = source->merge;
    struct key key = key_at(source, to);

    if (compare(&source->mark, &key) < 0) {
        source->mark = key;
        source->last = later_of(source->last, key);
        heap_fix(&merge->heaps[BY_MARK], source);
    }
    pump(merge);
}

bool merge_out(const struct merge *merge, struct wire_position *out)
{
    *out = merge->out;
    return merge->has_out;
}

size_t merge_waiting_bytes(const struct merge *merge)
{
    return merge->bytes;
}
