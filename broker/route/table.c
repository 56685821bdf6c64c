/* broker/route/table.c - tables by name, and for each the lanes that a change takes. */
#include <stdlib.h>
#include <string.h>

#include "broker/route/parts.h"
#include "runtime/buf.h"
#include "runtime/map.h"

struct table_key {
    char bytes[2 * WIRE_NAME_MAX + 1];
    size_t len;
};

/* A NUL between the parts: a dot may be part of a name. */
static struct table_key make_key(const char *schema, size_t schema_len, const char *table,
                                 size_t table_len)
{
    struct table_key key = { .len = schema_len + 1 + table_len };

    memcpy(key.bytes, schema, schema_len);
    key.bytes[schema_len] = '\0';
    memcpy(key.bytes + schema_len + 1, table, table_len);
    return key;
}

static void free_lanes(struct route_table *table)
{
    for (uint32_t i = 0; i < table->lane_count; i++) {
        free(table->lanes[i].members);
        free(table->lanes[i].deliveries);
        free(table->lanes[i].visible);
    }
    free(table->lanes);
    table->lanes = NULL;
    table->lane_count = 0;
}

static void count_tables(struct route *route)
{
    route->tables_serial++;
    rt_gauge_set(route->config.stats->tables, (double)rt_map_count(route->tables));
}

static struct lane *lane_of(struct route_table *table, struct route_edge *edge)
{
    for (uint32_t i = 0; i < table->lane_count; i++) {
        if (table->lanes[i].edge == edge) {
            return &table->lanes[i];
        }
    }
    table->lanes = rt_realloc(table->lanes, (size_t)table->lane_count + 1, sizeof(struct lane));
    struct lane *lane = &table->lanes[table->lane_count++];
    *lane = (struct lane){ .edge = edge };
    return lane;
}

static void lane_add(struct lane *lane, struct member *member, const struct relation *relation)
{
    const struct access *access = member->group->access;

    lane->members = rt_realloc(lane->members, (size_t)lane->count + 1, sizeof(struct member *));
    lane->deliveries =
        rt_realloc(lane->deliveries, (size_t)lane->count + 1, sizeof(struct wire_delivery));
    lane->members[lane->count] = member;
    lane->deliveries[lane->count] =
        (struct wire_delivery){ .group = member->number, .op = WIRE_INSERT };
    lane->count++;
    if (lane->visible == NULL) {
        lane->visible = rt_alloc((size_t)relation->column_count + 1);
    }
    bool whole = true;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        bool reads = access_reads(access, relation->columns[i].name);
        lane->visible[i] = lane->visible[i] || reads;
        whole = whole && lane->visible[i];
    }
    lane->whole = whole;
}

const struct look *table_look(struct route_table *table, struct access *access,
                              const struct relation *relation)
{
    struct look *look = NULL;

    for (uint32_t i = 0; i < ROUTE_LOOKS && look == NULL; i++) {
        look = table->looks[i].access == access ? &table->looks[i] : NULL;
    }
    if (look != NULL && look->serial == relation->serial) {
        return look;
    }
    if (look == NULL) {
        look = &table->looks[table->next_look++ % ROUTE_LOOKS];
        access_ref(access);
        access_unref(look->access);
        look->access = access;
    }
    look->serial = relation->serial;
    look->whole = true;
    look->visible = rt_realloc(look->visible, (size_t)relation->column_count + 1, sizeof(bool));
    for (uint32_t i = 0; i < relation->column_count; i++) {
        look->visible[i] = access_reads(access, relation->columns[i].name);
        look->whole = look->whole && look->visible[i];
    }
    return look;
}

static void drop_looks(struct route_table *table)
{
    for (uint32_t i = 0; i < ROUTE_LOOKS; i++) {
        access_unref(table->looks[i].access);
        free(table->looks[i].visible);
    }
}

struct route_table *table_get(struct route *route, struct wire_span schema, struct wire_span table)
{
    struct table_key key = make_key(schema.data, schema.len, table.data, table.len);
    struct route_table *found = rt_map_get(route->tables, key.bytes, key.len);

    if (found != NULL) {
        return found;
    }
    found = rt_alloc(sizeof(*found));
    found->route = route;
    memcpy(found->schema, schema.data, schema.len);
    memcpy(found->table, table.data, table.len);
    found->audiences = rt_map_new();
    found->dirty = true;
    (void)rt_map_put(route->tables, key.bytes, key.len, found);
    count_tables(route);
    return found;
}

struct route_table *table_find(struct route *route, struct relation *relation)
{
    if (relation->route_serial != route->tables_serial) {
        struct table_key key = make_key(relation->schema, strlen(relation->schema), relation->table,
                                        strlen(relation->table));
        relation->route_table = rt_map_get(route->tables, key.bytes, key.len);
        relation->route_serial = route->tables_serial;
    }
    return relation->route_table;
}

void table_drop_if_unused(struct route_table *table)
{
    struct route *route = table->route;

    if (rt_map_count(table->audiences) > 0) {
        return;
    }
    struct table_key key =
        make_key(table->schema, strlen(table->schema), table->table, strlen(table->table));
    (void)rt_map_remove(route->tables, key.bytes, key.len);
    free_lanes(table);
    rt_map_free(table->audiences);
    if (table->match != NULL) {
        match_table_free(table->match);
    }
    access_unref(table->attributes);
    drop_looks(table);
    free(table->groups);
    free(table);
    count_tables(route);
}

void table_prepare(struct route_table *table, const struct relation *relation)
{
    if (!table->dirty && table->lane_serial == relation->serial) {
        return;
    }
    free_lanes(table);
    for (uint32_t i = 0; i < table->group_count; i++) {
        struct route_group *group = table->groups[i];
        /* Rights to another table of this name (dropped and made again) say nothing about this one. */
        if (group->access->oid != relation->oid) {
            continue;
        }
        for (struct member *member = group->members; member != NULL; member = member->next) {
            lane_add(lane_of(table, member->edge), member, relation);
        }
    }
    table->lane_serial = relation->serial;
    table->dirty = false;
}
