/* broker/window_table.h - the window's index of one table: its entries in order, oldest first. Only for window.c.
 *
 * Tables are found by name; each lives while it has entries. Entries come at the end and leave from both
 * ends. Accounts for its own bytes. Cost: O(1) amortised; finding, a compare for the relation of the entry before.
 */
#ifndef PGTIDE_BROKER_WINDOW_TABLE_H
#define PGTIDE_BROKER_WINDOW_TABLE_H

#include "broker/window.h"

struct rt_map;

struct window_table {
    char key[2 * WIRE_NAME_MAX + 2]; /* schema NUL table NUL */
    size_t key_len;
    struct window_entry **ring; /* ring[(first + i) & (cap - 1)] */
    size_t cap;
    size_t first;
    size_t count;
};

struct window_tables {
    struct rt_map *by_key;
    uint64_t serial; /* changes when a table goes; never 0 */
    size_t bytes;
};

void window_tables_init(struct window_tables *tables);
void window_tables_fini(struct window_tables *tables); /* when no entry is left */
/* Makes it when there is none. */
struct window_table *window_tables_for(struct window_tables *tables, struct relation *relation);
/* NULL: nothing of this name. */
const struct window_table *window_tables_find(const struct window_tables *tables,
                                              const char *schema, const char *table);
struct window_entry *window_table_at(const struct window_table *table, size_t at);
void window_table_push(struct window_tables *tables, struct window_table *table,
                       struct window_entry *entry);
/* So many entries less; the table may be gone with them. */
void window_table_drop_first(struct window_tables *tables, struct window_table *table,
                             size_t count);
void window_table_drop_last(struct window_tables *tables, struct window_table *table, size_t count);

#endif
