/* broker/window_table.c - rings of pointers to entries. */
#include "broker/window_table.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "runtime/map.h"

enum { RING_MIN = 16 };

/* The names with their NULs. */
static size_t make_key(char *out, const char *schema, const char *table)
{
    size_t schema_len = strlen(schema) + 1; /* with its NUL */
    size_t table_len = strlen(table) + 1;

    memcpy(out, schema, schema_len);
    memcpy(out + schema_len, table, table_len);
    return schema_len + table_len;
}

void window_tables_init(struct window_tables *tables)
{
    *tables = (struct window_tables){ .by_key = rt_map_new(), .serial = 1 };
}

void window_tables_fini(struct window_tables *tables)
{
    rt_map_free(tables->by_key);
}

struct window_table *window_tables_for(struct window_tables *tables, struct relation *relation)
{
    char key[2 * WIRE_NAME_MAX + 2];

    if (relation->window_table != NULL && relation->window_serial == tables->serial) {
        return relation->window_table;
    }
    size_t len = make_key(key, relation->schema, relation->table);
    struct window_table *table = rt_map_get(tables->by_key, key, len);
    if (table == NULL) {
        table = rt_alloc(sizeof(*table));
        memcpy(table->key, key, len);
        table->key_len = len;
        (void)rt_map_put(tables->by_key, key, len, table);
        tables->bytes += sizeof(*table);
    }
    relation->window_table = table;
    relation->window_serial = tables->serial;
    return table;
}

const struct window_table *window_tables_find(const struct window_tables *tables,
                                              const char *schema, const char *table)
{
    char key[2 * WIRE_NAME_MAX + 2];
    size_t len = make_key(key, schema, table);

    return rt_map_get(tables->by_key, key, len);
}

struct window_entry *window_table_at(const struct window_table *table, size_t at)
{
    return table->ring[(table->first + at) & (table->cap - 1)];
}

static void drop_table(struct window_tables *tables, struct window_table *table)
{
    (void)rt_map_remove(tables->by_key, table->key, table->key_len);
    tables->bytes -= sizeof(*table) + table->cap * sizeof(struct window_entry *);
    tables->serial++;
    free(table->ring);
    free(table);
}

static void resize(struct window_tables *tables, struct window_table *table, size_t cap)
{
    struct window_entry **ring = rt_realloc(NULL, cap, sizeof(struct window_entry *));

    for (size_t i = 0; i < table->count; i++) {
        ring[i] = window_table_at(table, i);
    }
    free(table->ring);
    tables->bytes += cap * sizeof(struct window_entry *);
    tables->bytes -= table->cap * sizeof(struct window_entry *);
    table->ring = ring;
    table->cap = cap;
    table->first = 0;
}

void window_table_push(struct window_tables *tables, struct window_table *table,
                       struct window_entry *entry)
{
    if (table->count == table->cap) {
        resize(tables, table, table->cap == 0 ? RING_MIN : table->cap * 2);
    }
    table->ring[(table->first + table->count) & (table->cap - 1)] = entry;
    table->count++;
}

void window_table_drop_last(struct window_tables *tables, struct window_table *table, size_t count)
{
    size_t cap = table->cap;

    table->count -= count;
    if (table->count == 0) {
        drop_table(tables, table);
        return;
    }
    while (cap > RING_MIN && table->count < cap / 8) {
        cap /= 2;
    }
    if (cap < table->cap) {
        resize(tables, table, cap);
    }
}

void window_table_drop_first(struct window_tables *tables, struct window_table *table, size_t count)
{
    table->first += count;
    window_table_drop_last(tables, table, count);
}
