/* broker/route/fanout.c - the stream, from a change to one record for each edge that has members for it. */
#include <stdlib.h>
#include <string.h>

#include "broker/route/parts.h"
#include "runtime/buf.h"
#include "runtime/map.h"

static void list_remove(struct edge_list *list, const struct route_edge *edge)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] == edge) {
            list->items[i] = list->items[--list->count];
            return;
        }
    }
}

void edge_send(struct route_edge *edge)
{
    const struct route_config *config = &edge->route->config;

    if (edge->out.len > 0) {
        struct wire_span frame = { (const char *)edge->out.data, edge->out.len };
        config->events->send(config->ctx, edge->user, frame);
    }
    wire_writer_clear(&edge->out);
    edge->begun = false;
}

/* Makes sure that the frame at hand says which transaction its deliveries are of. */
struct wire_writer *edge_out_begun(struct route_edge *edge)
{
    struct route *route = edge->route;
    struct wire_writer *out = edge_out(edge);

    if (edge->begun) {
        return out;
    }
    struct wire_begin begin = route->begin;
    begin.continued = edge->open_serial == route->transaction_serial;
    wire_encode_begin(out, &begin);
    edge->begun = true;
    edge->open_serial = route->transaction_serial;
    if (!edge->open) {
        edge->open = true;
        edge_list_add(&route->open, edge);
    }
    return out;
}

/* A transaction that ends without END: what was sent of it stays open at the edges, for them to drop. */
static void abandon(struct route *route)
{
    for (size_t i = 0; i < route->open.count; i++) {
        route->open.items[i]->open = false;
        route->open.items[i]->begun = false;
    }
    route->open.count = 0;
}

static void deliver(struct lane *lane, const struct relation *relation,
                    const struct wire_change *change)
{
    struct route_edge *edge = lane->edge;
    struct route *route = edge->route;
    struct wire_deliver head = {
        .index = change->index,
        .old_kind = change->old_kind,
        .group_count = lane->count,
        .new_row = change->new_row,
        .old_row = change->old_row,
    };

    if (!lane->whole && !rows_hide(route, lane->visible, relation->column_count, &head)) {
        rt_counter_add(route->config.stats->withheld, 1);
        return;
    }
    for (uint32_t i = 0; i < lane->count; i++) {
        member_announce(lane->members[i], relation);
        lane->deliveries[i].op = change->op;
    }
    wire_encode_deliver(edge_out_begun(edge), &head, lane->deliveries);
    rt_counter_add(route->config.stats->deliveries, 1);
    edge_cut(edge);
}

/* All hits of an edge that fit into one record; whose columns are hidden from all of them is missing in it. */
static uint32_t deliver_some(struct route_edge *edge, const struct relation *relation,
                             const struct wire_change *change, uint32_t from)
{
    struct route *route = edge->route;
    struct wire_delivery *to = route->hit_deliveries;
    bool *visible = route->hit_visible;
    const struct look *look = NULL;
    bool whole = false;
    uint32_t count = edge->hit_count - from;

    count = count < ROUTE_HITS_MAX ? count : ROUTE_HITS_MAX;
    memset(visible, 0, relation->column_count * sizeof(bool));
    for (uint32_t i = 0; i < count; i++) {
        struct member *member = edge->hits[from + i];
        struct route_group *group = member->group;
        if (look == NULL || look->access != group->access) {
            look = table_look(group->table, group->access, relation);
            whole = whole || look->whole;
            for (uint32_t j = 0; !whole && j < relation->column_count; j++) {
                visible[j] = visible[j] || look->visible[j];
            }
        }
        if (member->announced != relation->serial) {
            member_announce(member, relation);
        }
        to[i] = (struct wire_delivery){ .group = member->number, .op = edge->hit_ops[from + i] };
    }
    struct wire_deliver head = { .index = change->index,
                                 .old_kind = change->old_kind,
                                 .group_count = count,
                                 .new_row = change->new_row,
                                 .old_row = change->old_row };
    if (!whole && !rows_hide(route, visible, relation->column_count, &head)) {
        rt_counter_add(route->config.stats->withheld, 1);
        return count;
    }
    wire_encode_deliver(edge_out_begun(edge), &head, to);
    rt_counter_add(route->config.stats->deliveries, 1);
    edge_cut(edge);
    return count;
}

static void deliver_hits(struct route *route, const struct relation *relation,
                         const struct wire_change *change)
{
    for (size_t i = 0; i < route->hit.count; i++) {
        struct route_edge *edge = route->hit.items[i];
        for (uint32_t from = 0; from < edge->hit_count;) {
            from += deliver_some(edge, relation, change, from);
        }
        edge->hit_count = 0;
    }
    route->hit.count = 0;
}

static void write_truncated(struct route_edge *edge, const struct wire_truncate *truncate)
{
    if (edge->truncated_count == 0) {
        return;
    }
    wire_encode_deliver_truncate(edge_out_begun(edge), truncate->index, truncate->flags,
                                 edge->truncated, edge->truncated_count);
    edge->truncated_count = 0;
    rt_counter_add(edge->route->config.stats->deliveries, 1);
}

static void collect_truncated(struct member *member, const struct relation *relation,
                              const struct wire_truncate *truncate)
{
    struct route_edge *edge = member->edge;

    if (edge->truncated_count == WIRE_GROUPS_MAX) {
        write_truncated(edge, truncate);
    }
    if (edge->truncated_count == edge->truncated_cap) {
        edge->truncated_cap = edge->truncated_cap == 0 ? 16 : edge->truncated_cap * 2;
        edge->truncated = rt_realloc(edge->truncated, edge->truncated_cap, sizeof(uint32_t));
    }
    member_announce(member, relation);
    edge->truncated[edge->truncated_count++] = member->number;
}

/* TRUNCATE knows no policies: nobody has a row of the table any more. */
static bool truncate_groups(struct route_table *table, const struct relation *relation,
                            const struct wire_truncate *truncate)
{
    bool matched = table->lane_count > 0;

    for (uint32_t i = 0; i < table->lane_count; i++) {
        for (uint32_t j = 0; j < table->lanes[i].count; j++) {
            collect_truncated(table->lanes[i].members[j], relation, truncate);
        }
    }
    for (struct route_group *group = table->judged; group != NULL; group = group->next) {
        struct member *member = group->access->oid == relation->oid ? group->members : NULL;
        for (; member != NULL; member = member->next) {
            collect_truncated(member, relation, truncate);
            matched = true;
        }
    }
    return matched;
}

struct wire_writer *edge_out(struct route_edge *edge)
{
    if (!edge->queued) {
        edge->queued = true;
        edge_list_add(&edge->route->pending, edge);
    }
    return &edge->out;
}

void edge_cut(struct route_edge *edge)
{
    if (edge->out.len > ROUTE_FRAME_BYTES) {
        edge_send(edge);
    }
}

void edge_forget(struct route_edge *edge)
{
    list_remove(&edge->route->pending, edge);
    list_remove(&edge->route->open, edge);
    list_remove(&edge->route->edges, edge);
}

void edge_list_add(struct edge_list *list, struct route_edge *edge)
{
    if (list->count == list->cap) {
        list->cap = list->cap == 0 ? 8 : list->cap * 2;
        list->items = rt_realloc(list->items, list->cap, sizeof(struct route_edge *));
    }
    list->items[list->count++] = edge;
}

void route_begin(struct route *route, const struct wire_begin *begin)
{
    bool same = route->in_transaction && route->begin.epoch == begin->epoch &&
                route->begin.commit_lsn == begin->commit_lsn;

    if (!same) {
        abandon(route);
        route->transaction_serial++;
    }
    if (!route->known || route->at.epoch != begin->epoch) {
        route_reach(route,
                    &(struct wire_position){ begin->epoch, begin->commit_lsn - 1, UINT32_MAX });
    }
    route->begin = *begin;
    route->last_xid = begin->xid;
    route->in_transaction = true;
}

void route_change(struct route *route, struct relation *relation, const struct wire_change *change)
{
    struct route_table *table = table_find(route, relation);

    if (table != NULL) {
        table_prepare(table, relation);
        if (table->match != NULL) {
            live_judge(table, relation, change);
        }
        rt_counter_add(route->config.stats->matched,
                       table->lane_count > 0 || route->hit.count > 0 ? 1 : 0);
        for (uint32_t i = 0; i < table->lane_count; i++) {
            deliver(&table->lanes[i], relation, change);
        }
        deliver_hits(route, relation, change);
    }
    route->at.lsn = route->begin.commit_lsn;
    route->at.index = change->index;
}

void route_truncate(struct route *route, struct relation *const *relations, uint32_t count,
                    const struct wire_truncate *truncate)
{
    bool matched = false;

    for (uint32_t i = 0; i < count; i++) {
        struct route_table *table = table_find(route, relations[i]);
        if (table == NULL) {
            continue;
        }
        table_prepare(table, relations[i]);
        matched = truncate_groups(table, relations[i], truncate) || matched;
    }
    for (size_t i = 0; i < route->edges.count; i++) {
        write_truncated(route->edges.items[i], truncate);
    }
    rt_counter_add(route->config.stats->matched, matched ? 1 : 0);
    route->at.lsn = route->begin.commit_lsn;
    route->at.index = truncate->index;
}

void route_end(struct route *route, const struct wire_end *end)
{
    struct wire_position at = { route->begin.epoch, route->begin.commit_lsn, UINT32_MAX };

    for (size_t i = 0; i < route->open.count; i++) {
        struct route_edge *edge = route->open.items[i];
        wire_encode_end(edge_out_begun(edge), end);
        edge->begun = false;
        edge->open = false;
        edge->told = at;
    }
    route->open.count = 0;
    route->in_transaction = false;
    route->server_time = route->begin.commit_time;
    route_reach(route, &at);
    subs_arm_all(route);
    replays_run(route);
}

void route_gap(struct route *route, const struct wire_gap *gap)
{
    abandon(route);
    route->in_transaction = false;
    route_reach(route, &gap->to);
    for (size_t i = 0; i < route->edges.count; i++) {
        wire_encode_gap(edge_out(route->edges.items[i]), gap);
        route->edges.items[i]->told = route->complete;
    }
    rt_counter_add(route->config.stats->gaps, 1);
    viewers_touch_unknown(route);
    replays_end_uncovered(route);
    snapshots_end_all(route, "a part of the change stream was lost during the snapshot");
    ahead_release(route, true);
    subs_arm_all(route);
}

void route_flush(struct route *route)
{
    for (size_t i = 0; i < route->pending.count; i++) {
        route->pending.items[i]->queued = false;
        edge_send(route->pending.items[i]);
    }
    route->pending.count = 0;
}
