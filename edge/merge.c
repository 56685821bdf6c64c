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
#include "edge/merge_heap.h"
#include "runtime/buf.h"

enum { FIRST_CAP = 4, KEPT_CAP = 16 };

struct merge {
    struct merge_sink sink;
    size_t budget;
    size_t bytes;
    struct list_node sources;
    struct merge_heap heaps[HEAP_KINDS];
    uint64_t last_number;
    uint64_t last_epoch; /* that got last_serial */
    uint32_t last_serial;
    uint32_t waiting; /* sources */
    bool spent;       /* a removed source has nothing left */
    /* The transaction that has gone out in part, or whole but for its commit. */
    bool open;
    struct merge_key open_key; /* (lsn, UINT32_MAX) */
    uint64_t open_epoch;
    uint64_t open_count;
    bool has_out;
    struct wire_position out; /* end of the last transaction that went out, at least in part */
};

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
                other->last = merge_key_later(other->last, other->mark);
                merge_heap_fix(&merge->heaps[BY_MARK], other);
            }
        }
    }
    source->epoch = epoch;
    source->mark = (struct merge_key){ .serial = serial };
    source->last = merge_key_later(source->last, source->mark);
    merge_heap_fix(&merge->heaps[BY_MARK], source);
}

static struct merge_key key_at(struct merge_source *source, const struct wire_position *at)
{
    if (source->epoch != at->epoch) {
        enter_epoch(source, at->epoch);
    }
    return (struct merge_key){ at->lsn, at->index, source->mark.serial };
}

/* --- queues --- */

static void append(struct merge_source *source, const struct merge_entry *entry)
{
    struct merge *merge = source->merge;

    if (source->count == source->cap) {
        uint32_t cap = source->cap > 0 ? source->cap * 2 : FIRST_CAP;
        struct merge_entry *bigger = rt_realloc(NULL, cap, sizeof(*bigger));
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
        merge_heap_insert(&merge->heaps[BY_HEAD], source);
    }
}

/* The reference is the caller's. */
static struct merge_entry take_first(struct merge_source *source)
{
    struct merge *merge = source->merge;
    struct merge_heap *heads = &merge->heaps[BY_HEAD];
    struct merge_entry entry = source->queue[source->head];

    merge->bytes -= entry.frame->len + sizeof(entry);
    if (source->count == 1) {
        merge_heap_remove(heads, source);
    }
    source->head = (source->head + 1) & (source->cap - 1);
    source->count--;
    merge_heap_fix(heads, source);
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
    merge_heap_remove(&merge->heaps[BY_MARK], source);
    merge->waiting -= source->waiting ? 1 : 0;
    list_remove(&source->node);
    free(source->queue);
    free(source);
}

/* --- output --- */

static bool is_complete(const struct merge *merge, const struct merge_key *key)
{
    const struct merge_heap *marks = &merge->heaps[BY_MARK];

    return marks->count == 0 || merge_key_compare(key, &marks->items[0]->mark) <= 0;
}

static void join(struct merge_source *source)
{
    struct merge *merge = source->merge;

    source->waiting = false;
    merge->waiting--;
    if (source->count > 0) {
        merge_heap_insert(&merge->heaps[BY_HEAD], source);
    }
    if (!source->removed) {
        merge_heap_insert(&merge->heaps[BY_MARK], source);
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

static void count(struct merge *merge, const struct merge_entry *entry)
{
    if (!merge->open) {
        merge->open = true;
        merge->open_key = (struct merge_key){ entry->key.lsn, UINT32_MAX, entry->key.serial };
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
    const struct merge_heap *heads = &merge->heaps[BY_HEAD];
    struct merge_source *source = heads->count > 0 ? heads->items[0] : NULL;

    if (source != NULL && !is_complete(merge, &source->queue[source->head].key)) {
        source = NULL;
    }
    bool of_another =
        source != NULL && merge_key_compare(&merge->open_key, &source->queue[source->head].key) < 0;
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
    struct merge_entry entry = take_first(source);
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
    source->waiting = merge->open && merge_key_compare(&source->mark, &merge->open_key) < 0;
    merge->waiting += source->waiting ? 1 : 0;
    list_append(&merge->sources, &source->node);
    if (!source->waiting) {
        merge_heap_insert(&merge->heaps[BY_MARK], source);
    }
    return source;
}

void merge_remove(struct merge_source *source)
{
    struct merge *merge = source->merge;

    source->removed = true;
    merge_heap_remove(&merge->heaps[BY_MARK], source);
    merge->spent = merge->spent || source->count == 0;
    pump(merge);
}

bool merge_push(struct merge_source *source, const struct wire_position *at,
                struct edge_frame *frame)
{
    struct merge *merge = source->merge;
    struct merge_key key = key_at(source, at);

    source->last = merge_key_later(source->last, key);
    append(source, &(struct merge_entry){ source->last, at->epoch, frame, true });
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
    append(source, &(struct merge_entry){ source->last, source->epoch, frame, false });
    return merge->bytes <= merge->budget;
}

void merge_advance(struct merge_source *source, const struct wire_position *to)
{
    struct merge *merge = source->merge;
    struct merge_key key = key_at(source, to);

    if (merge_key_compare(&source->mark, &key) < 0) {
        source->mark = key;
        source->last = merge_key_later(source->last, key);
        merge_heap_fix(&merge->heaps[BY_MARK], source);
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
