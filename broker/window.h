/* broker/window.h - what the tailer sent lately, by position: what a subscription that comes back can be given. Pure.
 *
 * Changes and truncates of complete transactions, with their raw records, in the order of the stream; per table (by name) an
 * index by position. Bounded by bytes and by time: the oldest transactions go first, whole. What is kept is complete
 * after `floor`; a transaction whose beginning was never seen, or that alone is larger than the window, moves the floor behind itself.
 * Readers see the open transaction's entries too: it is committed, only not here in full. They go again when it never ends.
 *
 * A reader keeps a position, not a pointer: it seeks again whenever the window may have changed, and has been overtaken
 * when the floor is behind its position no longer (window_covers()).
 *
 * Owns copies of the records and references of their relations. Cost: an entry is one copy into a chunk of the log and one
 * slot in its table's index, no allocation of its own; eviction costs a look at each run of entries with the same relation, not at the
 * entries; seek O(log entries of the table). Bytes are what is allocated: chunks, indexes, tables. One thread.
 */
#ifndef PGTIDE_BROKER_WINDOW_H
#define PGTIDE_BROKER_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/relations.h"
#include "broker/xid_snapshot.h"
#include "proto/records.h"
#include "runtime/clock.h"

#define WINDOW_EVICTED_XIDS 65536u

struct window;
struct window_table;

struct window_transaction {
    uint64_t lsn;     /* of the commit */
    uint64_t end_lsn; /* this, `count` and `arrived`: once it is complete */
    int64_t commit_time;
    rt_usec arrived; /* when it was complete */
    uint32_t xid;
    uint32_t count; /* indexes of the whole transaction, all shards */
    uint32_t runs;  /* window.c's: of entries with the same relation */
    bool complete;
};

enum window_kind { WINDOW_CHANGE, WINDOW_TRUNCATE };

struct window_entry {
    struct window_transaction *transaction;
    struct relation *relation; /* the generation it was written under */
    size_t len;                /* of the record */
    uint32_t index;            /* within the transaction */
    enum window_kind kind;
};

/* Valid until the window changes. */
struct window_cursor {
    const struct window_table *table;
    size_t at;
};

struct window *window_new(size_t max_bytes, rt_usec max_age);
void window_free(struct window *window);

/* The stream. A transaction that is open already goes on; another open one is dropped without a trace. `continued` for
 * one that is not open: its beginning was never seen, and it does not count. */
void window_begin(struct window *window, const struct wire_begin *begin);
/* Of the open transaction, with a higher index than the last. The record is the whole CHANGE; of a truncate, which is one
 * entry for each of its tables, its flags (4 bytes). */
void window_add(struct window *window, struct relation *relation, enum window_kind kind,
                uint32_t index, struct wire_span record);
void window_end(struct window *window, const struct wire_end *end, rt_usec now);
/* The transaction at hand is not complete and will not be: it moves the floor when it ends. Nothing before it counts either. */
void window_spoil(struct window *window);
/* Nothing before `floor` can be had: a gap, or another epoch. */
void window_clear(struct window *window, const struct wire_position *floor);
/* Everything up to `position` was sent: names the floor when nothing else has yet. */
void window_start(struct window *window, const struct wire_position *position);
/* Drops what is too old; about once a second. */
void window_tick(struct window *window, rt_usec now);

/* False while nothing is known. */
bool window_floor(const struct window *window, struct wire_position *out);
/* Whether everything after `position` (of the window's epoch) is here. */
bool window_covers(const struct window *window, const struct wire_position *position);
/* Stands before the first entry of the table behind `after`. False: nothing of this table is kept. */
bool window_seek(const struct window *window, const char *schema, const char *table,
                 const struct wire_position *after, struct window_cursor *out);
/* The next entry, or NULL. */
const struct window_entry *window_next(struct window_cursor *cursor);
struct wire_span window_record(const struct window_entry *entry);
/* Whether one of the transactions evicted last (WINDOW_EVICTED_XIDS of them) is not visible to the snapshot. */
bool window_evicted_unseen(const struct window *window, const struct xid_snapshot *snapshot);

size_t window_bytes(const struct window *window);
size_t window_entries(const struct window *window);
/* Since the oldest transaction was complete; 0 without one. */
rt_usec window_age(const struct window *window, rt_usec now);

#endif
