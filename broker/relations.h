/* broker/relations.h - the tailer's relation numbers: which table, with which columns, a change is of.
 *
 * One entry for each table (oid): a newer generation replaces the older one, since changes of a table
 * come in order. An older number that comes all the same is unknown, and asked for again.
 * Everything is forgotten when the tailer is a new one, which counts anew.
 *
 * Entries own a copy of their record; pointers to one are valid until the next put or clear, unless a reference is
 * held: the window keeps the generations that its changes were written under.
 * Lookup by number: O(1), a compare for the same relation as last time. One thread.
 */
#ifndef PGTIDE_BROKER_RELATIONS_H
#define PGTIDE_BROKER_RELATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/records.h"

struct relation {
    uint64_t refs;
    bool doubtful;  /* its table may have been altered since */
    bool elsewhere; /* upstream's: of another shard, here only because policies read it */
    uint32_t rel;
    uint32_t oid;
    uint64_t serial; /* unique for the life of this process, never 0 */
    char schema[WIRE_NAME_MAX + 1];
    char table[WIRE_NAME_MAX + 1];
    uint32_t column_count;
    struct wire_column *columns;
    uint32_t not_streamed_count;
    struct wire_span *not_streamed;
    uint8_t *bytes; /* the record; names and shapes point into it */
    /* A cache of route/, valid while route_serial is route's own. */
    uint64_t route_serial;
    void *route_table;
    /* Likewise of the window. */
    uint64_t window_serial;
    void *window_table;
};

struct relations;

struct relations *relations_new(void);
void relations_free(struct relations *relations);
void relations_clear(struct relations *relations);
/* `record` is one whole RELATION record as it was received. On error nothing changes and *out is NULL. */
enum wire_err relations_put(struct relations *relations, struct wire_span record,
                            struct relation **out);
struct relation *relations_find(struct relations *relations, uint32_t rel);
/* The newest generation of the table with this oid, or NULL. */
struct relation *relations_of_table(struct relations *relations, uint32_t oid);

/* Tables were altered: what is known of all of them may be out of date, until it comes again. */
void relations_doubt(struct relations *relations);

struct relation *relation_ref(struct relation *relation);
void relation_unref(struct relation *relation); /* NULL is fine */

#endif
