/* broker/route/route.c - the life of a route and of its edges. */
#include "broker/route/route.h"

#include <stdlib.h>

#include "broker/route/parts.h"
#include "runtime/buf.h"
#include "runtime/clock.h"
#include "runtime/map.h"

struct route *route_new(const struct route_config *config)
{
    struct route *route = rt_alloc(sizeof(*route));

    route->config = *config;
    if (config->ahead_views == 0) {
        route->config.ahead_views = ROUTE_AHEAD_VIEWS;
    }
    for (int i = 0; i < 4; i++) {
        route->seeds[i / 2][i % 2] = rt_random64();
    }
    route->tables = rt_map_new();
    route->tables_serial = 1;
    route->next_group = 1;
    route->waiting_end = &route->waiting;
    route->budget = ROUTE_REPLAY_BYTES;
    route->match = match_new();
    route->judged = view_change_new();
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
    match_free(route->match);
    view_change_free(route->judged);
    for (uint32_t i = 0; i < ROUTE_AHEAD_MAX; i++) {
        view_change_free(route->read_ahead[i].rows);
    }
    free(route->hit.items);
    free(route->undecided);
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
    edge->identities = rt_roster_new();
    edge->subs = rt_roster_new();
    edge_list_add(&route->edges, edge);
    if (route->config.guests != NULL) {
        edge->guest = route->config.guests->join(route->config.ctx, edge);
    }
    return edge;
}

static void end_edge(struct route_edge *edge, bool linger)
{
    const struct route_config *config = &edge->route->config;

    if (config->guests != NULL) {
        config->guests->leave(config->ctx, edge->guest, linger);
    }
    edge_drop_all(edge);
    edge_forget(edge);
    rt_roster_free(edge->identities);
    rt_roster_free(edge->subs);
    wire_writer_fini(&edge->out);
    free(edge->truncated);
    free(edge->hits);
    free(edge->hit_ops);
    free(edge);
}

void route_answers(struct route *route)
{
    route->answers++;
}

void route_edge_free(struct route_edge *edge)
{
    if (edge != NULL) {
        end_edge(edge, false);
    }
}

void route_edge_free_lingering(struct route_edge *edge)
{
    end_edge(edge, true);
}

struct wire_writer *route_edge_out(struct route_edge *edge, bool in_transaction)
{
    return in_transaction && edge->route->in_transaction ? edge_out_begun(edge) : edge_out(edge);
}

void route_edge_written(struct route_edge *edge)
{
    edge_cut(edge);
}

void *route_edge_user(const struct route_edge *edge)
{
    return edge->user;
}

bool route_position(const struct route *route, struct wire_position *out)
{
    *out = route->at;
    return route->known;
}

bool route_work(struct route *route)
{
    route->budget = ROUTE_REPLAY_BYTES;
    replays_run(route);
    return route->budget <= 0;
}

static void describe_judged(struct route_table *table, const struct relation *relation)
{
    for (struct route_group *group = table->judged; group != NULL; group = group->next) {
        group_describe(group, relation);
    }
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
    if (table != NULL) {
        describe_judged(table, relation);
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
