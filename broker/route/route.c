/* broker/route/route.c - the life of a route and of its edges. */
#include "broker/route/route.h"

#include <stdlib.h>

#include "broker/route/parts.h"
#include "runtime/buf.h"
#include "runtime/map.h"

struct route *route_new(const struct route_config *config)
{
    struct route *route = rt_alloc(sizeof(*route));

    route->config = *config;
    route->tables = rt_map_new();
    route->tables_serial = 1;
    route->next_group = 1;
    route->waiting_end = &route->waiting;
    route->budget = ROUTE_REPLAY_BYTES;
    return route;
}

void route_free(struct route *route)
{
    if (route == NULL) {
        return;
    }
    for (size_t i = route->edges.count; i > 0; i--) {
        route_edge_free(route->edges.items[i - 1]);
    }
    rt_map_free(route->tables); /* empty: tables live by their subscriptions */
    free(route->edges.items);
    free(route->pending.items);
    free(route->open.items);
    free(route->unarmed);
    free(route->ahead);
    free(route->running);
    wire_writer_fini(&route->rows);
    free(route);
}

struct route_edge *route_edge_new(struct route *route, void *user)
{
    struct route_edge *edge = rt_alloc(sizeof(*edge));

    edge->route = route;
    edge->user = user;
    edge->identities = rt_map_new();
    edge->subs = rt_map_new();
    edge_list_add(&route->edges, edge);
    return edge;
}

void route_edge_free(struct route_edge *edge)
{
    if (edge == NULL) {
        return;
    }
    edge_drop_all(edge);
    edge_forget(edge);
    rt_map_free(edge->identities);
    rt_map_free(edge->subs);
    wire_writer_fini(&edge->out);
    free(edge->truncated);
    free(edge);
}

bool route_work(struct route *route)
{
    route->budget = ROUTE_REPLAY_BYTES;
    replays_run(route);
    return route->budget <= 0;
}

void route_relation(struct route *route, struct relation *relation)
{
    struct route_table *table = table_find(route, relation);
    struct route_snapshot *snapshot = route->describing;

    if (table != NULL) {
        table->asked = false;
    }
    for (uint32_t i = 0; table != NULL && i < table->group_count; i++) {
        group_describe(table->groups[i], relation);
    }
    while (snapshot != NULL) {
        struct route_snapshot *next = snapshot->next;
        struct sub *sub = snapshot->resume->sub;
        if (sub->audience->access->oid == relation->oid) {
            sub_leave(sub);
            sub_place(sub);
        }
        snapshot = next;
    }
}
