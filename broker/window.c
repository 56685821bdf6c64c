/* broker/window.c - a log of transactions in chunks, and a ring of pointers into it for each table. */
#include <stdlib.h>
#include <string.h>

#include "broker/window_table.h"
#include "runtime/buf.h"

enum { CHUNK_MIN = 4096, CHUNK_MAX = 1048576, CHUNKS = 64, ALIGN = 8 };

struct chunk {
    struct chunk *next;
    size_t cap;
    size_t used;
    size_t read; /* evicted up to here */
    uint64_t data[];
};

/* Entries of one relation, behind one another in one chunk: what leaves together. */
struct run {
    struct relation *relation; /* referenced */
    struct window_table *table;
    size_t bytes; /* of the entries, which follow */
    size_t count;
};

/* Spoiled: a transaction at hand that does not count. */
enum state { BETWEEN, OPEN, SPOILED };

struct window {
    size_t max_bytes;
    rt_usec max_age;
    size_t chunk_bytes;
    struct chunk *head; /* oldest; NULL when empty */
    struct chunk *tail;
    size_t chunks_bytes;
    struct window_tables tables;
    size_t entries;
    bool known; /* `floor` says something */
    struct wire_position floor;
    enum state state;
    struct wire_begin begin;
    struct window_transaction *open; /* NULL before its first entry */
    struct chunk *open_tail;         /* where the log ended before it */
    size_t open_used;
    struct run *run;   /* the last of the open transaction, or NULL */
    uint32_t *evicted; /* ring of WINDOW_EVICTED_XIDS */
    uint64_t evicted_count;
};

/* --- the log ------------------------------------------------------------------------------------------ */

static size_t aligned(size_t size)
{
    return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static bool log_fits(const struct window *window, size_t size)
{
    return window->tail != NULL && window->tail->cap - window->tail->used >= size;
}

/* Sizes are aligned ones. */
static void log_reserve(struct window *window, size_t size)
{
    if (log_fits(window, size)) {
        return;
    }
    size_t cap = size > window->chunk_bytes ? size : window->chunk_bytes;
    struct chunk *chunk = rt_realloc(NULL, 1, sizeof(*chunk) + cap);
    *chunk = (struct chunk){ .cap = cap };
    *(window->tail == NULL ? &window->head : &window->tail->next) = chunk;
    window->tail = chunk;
    window->chunks_bytes += sizeof(*chunk) + cap;
}

static void *log_alloc(struct window *window, size_t size)
{
    log_reserve(window, size);
    void *out = (uint8_t *)window->tail->data + window->tail->used;
    window->tail->used += size;
    return out;
}

static void free_chunk(struct window *window, struct chunk *chunk)
{
    window->chunks_bytes -= sizeof(*chunk) + chunk->cap;
    free(chunk);
}

/* What is at the front, or NULL. */
static void *log_front(const struct window *window)
{
    struct chunk *head = window->head;

    return head == NULL ? NULL : (uint8_t *)head->data + head->read;
}

static void log_pop(struct window *window, size_t size)
{
    struct chunk *head = window->head;

    head->read += size;
    if (head->read < head->used) {
        return;
    }
    window->head = head->next;
    if (head->next == NULL) {
        window->tail = NULL;
    }
    if (window->open_tail == head) {
        window->open_tail = NULL; /* the open transaction is the first now */
    }
    free_chunk(window, head);
}

/* --- leaving ------------------------------------------------------------------------------------------ */

static void remember_evicted(struct window *window, uint32_t xid)
{
    window->evicted[window->evicted_count++ % WINDOW_EVICTED_XIDS] = xid;
}

/* The oldest transaction, if it is complete. */
static bool evict_one(struct window *window)
{
    struct window_transaction *transaction = log_front(window);

    if (transaction == NULL || !transaction->complete) {
        return false;
    }
    uint32_t runs = transaction->runs;
    window->floor.lsn = transaction->lsn;
    window->floor.index = UINT32_MAX;
    remember_evicted(window, transaction->xid);
    log_pop(window, sizeof(*transaction));
    for (uint32_t i = 0; i < runs; i++) {
        struct run *run = log_front(window);
        wire_check(run != NULL);
        window->entries -= run->count;
        window_table_drop_first(&window->tables, run->table, run->count);
        relation_unref(run->relation);
        log_pop(window, sizeof(*run) + run->bytes);
    }
    return true;
}

static void drop_runs(struct window *window, struct chunk *chunk, size_t at, uint32_t runs)
{
    for (uint32_t i = 0; i < runs; i++) {
        if (at == chunk->used) {
            chunk = chunk->next;
            at = 0;
        }
        wire_check(chunk != NULL);
        struct run *run = (void *)((uint8_t *)chunk->data + at);
        window->entries -= run->count;
        window_table_drop_last(&window->tables, run->table, run->count);
        relation_unref(run->relation);
        at += sizeof(*run) + run->bytes;
    }
}

/* The open transaction's entries go, from the end of the log and of the indexes. */
static void drop_open(struct window *window)
{
    struct window_transaction *open = window->open;
    struct chunk *last = window->open_tail;

    window->open = NULL;
    window->open_tail = NULL;
    window->run = NULL;
    if (open == NULL) {
        return;
    }
    bool same = last != NULL && last->used > window->open_used;
    struct chunk *first = same ? last : last == NULL ? window->head : last->next;
    wire_check(first != NULL);
    size_t start = (size_t)((uint8_t *)open - (uint8_t *)first->data);
    drop_runs(window, first, start + sizeof(*open), open->runs);
    struct chunk *chunk = last == NULL ? window->head : last->next;
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        free_chunk(window, chunk);
        chunk = next;
    }
    window->tail = last;
    if (last == NULL) {
        window->head = NULL;
        return;
    }
    last->next = NULL;
    last->used = window->open_used;
    if (last->read == last->used) { /* all before it was evicted: `last` is the head */
        window->head = NULL;
        window->tail = NULL;
        free_chunk(window, last);
    }
}

static void drop_all(struct window *window)
{
    drop_open(window);
    while (evict_one(window)) {
    }
}

/* False when the open transaction alone is too much. */
static bool make_room(struct window *window)
{
    while (window_bytes(window) > window->max_bytes) {
        if (!evict_one(window)) {
            return window->open == NULL;
        }
    }
    return true;
}

/* --- the stream --------------------------------------------------------------------------------------- */

struct window *window_new(size_t max_bytes, rt_usec max_age)
{
    struct window *window = rt_alloc(sizeof(*window));
    size_t chunk = max_bytes / CHUNKS;

    window->max_bytes = max_bytes;
    window->max_age = max_age;
    chunk = chunk < CHUNK_MIN ? CHUNK_MIN : chunk > CHUNK_MAX ? CHUNK_MAX : chunk;
    window->chunk_bytes = chunk & ~(size_t)(ALIGN - 1);
    window_tables_init(&window->tables);
    window->evicted = rt_realloc(NULL, WINDOW_EVICTED_XIDS, sizeof(uint32_t));
    return window;
}

void window_free(struct window *window)
{
    if (window == NULL) {
        return;
    }
    drop_all(window);
    window_tables_fini(&window->tables);
    free(window->evicted);
    free(window);
}

void window_begin(struct window *window, const struct wire_begin *begin)
{
    bool same = window->state != BETWEEN && window->begin.epoch == begin->epoch &&
                window->begin.commit_lsn == begin->commit_lsn;

    if (same) {
        return; /* goes on, counting or not */
    }
    drop_open(window);
    window->state = begin->continued ? SPOILED : OPEN;
    window->begin = *begin;
    if (!begin->continued) {
        window_start(window,
                     &(struct wire_position){ begin->epoch, begin->commit_lsn - 1, UINT32_MAX });
    }
}

static void open_transaction(struct window *window)
{
    window->open_tail = window->tail;
    window->open_used = window->tail == NULL ? 0 : window->tail->used;
    window->open = log_alloc(window, sizeof(*window->open));
    *window->open = (struct window_transaction){ .lsn = window->begin.commit_lsn,
                                                 .commit_time = window->begin.commit_time,
                                                 .xid = window->begin.xid };
}

/* Where the next entry of `relation` goes. */
static struct run *run_for(struct window *window, struct relation *relation, size_t size)
{
    struct run *run = window->run;

    if (run != NULL && run->relation == relation && log_fits(window, size)) {
        return run;
    }
    log_reserve(window, sizeof(*run) + size);
    run = log_alloc(window, sizeof(*run));
    *run = (struct run){ .relation = relation_ref(relation),
                         .table = window_tables_for(&window->tables, relation) };
    window->run = run;
    window->open->runs++;
    return run;
}

void window_add(struct window *window, struct relation *relation, enum window_kind kind,
                uint32_t index, struct wire_span record)
{
    size_t size = aligned(sizeof(struct window_entry) + record.len);

    if (window->state != OPEN) {
        return;
    }
    if (window->open == NULL) {
        open_transaction(window);
    }
    struct run *run = run_for(window, relation, size);
    struct window_entry *entry = log_alloc(window, size);
    *entry = (struct window_entry){ .transaction = window->open,
                                    .relation = relation,
                                    .len = record.len,
                                    .index = index,
                                    .kind = kind };
    memcpy(entry + 1, record.data, record.len);
    window_table_push(&window->tables, run->table, entry);
    run->bytes += size;
    run->count++;
    window->entries++;
    if (!make_room(window)) {
        window_spoil(window);
    }
}

void window_end(struct window *window, const struct wire_end *end, rt_usec now)
{
    struct window_transaction *open = window->open;
    struct wire_position at = { window->begin.epoch, end->commit_lsn, UINT32_MAX };

    if (window->state == SPOILED) {
        window_clear(window, &at);
        return;
    }
    window->state = BETWEEN;
    window->open = NULL;
    window->open_tail = NULL;
    window->run = NULL;
    if (open != NULL) {
        open->end_lsn = end->end_lsn;
        open->count = end->count;
        open->arrived = now;
        open->complete = true;
        (void)make_room(window);
    }
}

void window_spoil(struct window *window)
{
    if (window->state == OPEN) {
        drop_all(window);
        remember_evicted(window, window->begin.xid);
        window->state = SPOILED;
    }
}

void window_clear(struct window *window, const struct wire_position *floor)
{
    drop_all(window);
    window->state = BETWEEN;
    window->known = true;
    window->floor = *floor;
}

void window_start(struct window *window, const struct wire_position *position)
{
    if (!window->known) {
        window->known = true;
        window->floor = *position;
    }
}

void window_tick(struct window *window, rt_usec now)
{
    while (window_age(window, now) >= window->max_age && evict_one(window)) {
    }
}

/* --- reading ------------------------------------------------------------------------------------------ */

bool window_floor(const struct window *window, struct wire_position *out)
{
    *out = window->floor;
    return window->known;
}

bool window_covers(const struct window *window, const struct wire_position *position)
{
    return window->known && wire_position_cmp(position, &window->floor) >= 0;
}

static bool is_behind(const struct window_entry *entry, const struct wire_position *after)
{
    uint64_t lsn = entry->transaction->lsn;

    return lsn > after->lsn || (lsn == after->lsn && entry->index > after->index);
}

bool window_seek(const struct window *window, const char *schema, const char *table,
                 const struct wire_position *after, struct window_cursor *out)
{
    const struct window_table *found = window_tables_find(&window->tables, schema, table);
    size_t low = 0;

    if (found == NULL) {
        return false;
    }
    size_t high = found->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (is_behind(window_table_at(found, middle), after)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *out = (struct window_cursor){ found, low };
    return true;
}

const struct window_entry *window_next(struct window_cursor *cursor)
{
    if (cursor->at == cursor->table->count) {
        return NULL;
    }
    return window_table_at(cursor->table, cursor->at++);
}

struct wire_span window_record(const struct window_entry *entry)
{
    return (struct wire_span){ (const char *)(entry + 1), entry->len };
}

bool window_evicted_unseen(const struct window *window, const struct xid_snapshot *snapshot)
{
    uint64_t count =
        window->evicted_count < WINDOW_EVICTED_XIDS ? window->evicted_count : WINDOW_EVICTED_XIDS;

    for (uint64_t i = 0; i < count; i++) {
        if (!xid_snapshot_sees(snapshot, window->evicted[i])) {
            return true;
        }
    }
    return false;
}

size_t window_bytes(const struct window *window)
{
    return window->chunks_bytes + window->tables.bytes;
}

size_t window_entries(const struct window *window)
{
    return window->entries;
}

rt_usec window_age(const struct window *window, rt_usec now)
{
    const struct window_transaction *oldest = log_front(window);

    return oldest == NULL || !oldest->complete ? 0 : now - oldest->arrived;
}
