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

static void send_out(struct route_edge *edge)
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
static struct wire_writer *out_begun(struct route_edge *edge)
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

static enum wire_err hide_columns(struct wire_writer *out, struct wire_tuple row,
                                  const bool *visible, uint32_t columns)
{
    static const struct wire_value missing = { .kind = WIRE_VALUE_MISSING };
    struct wire_reader in;
    struct wire_value value;
    uint32_t count = 0;

    if (wire_tuple_open(row, &in, &count) != WIRE_OK || count != columns) {
        return WIRE_ERR_ARITY;
    }
    wire_write_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        enum wire_err err = wire_tuple_next(&in, &value);
        if (err != WIRE_OK) {
            return err;
        }
        wire_write_value(out, visible[i] ? &value : &missing);
    }
    return WIRE_OK;
}

/* Both rows of the change as this lane may see them, in route->rows. */
static bool hide_rows(struct route *route, const struct lane *lane, uint32_t columns,
                      struct wire_deliver *head)
{
    struct wire_writer *rows = &route->rows;
    bool has_new = head->new_row.data != NULL;
    bool has_old = head->old_row.data != NULL;

    wire_writer_clear(rows);
    if (has_new && hide_columns(rows, head->new_row, lane->visible, columns) != WIRE_OK) {
        return false;
    }
    size_t split = rows->len;
    if (has_old && hide_columns(rows, head->old_row, lane->visible, columns) != WIRE_OK) {
        return false;
    }
    if (has_new) {
        head->new_row = (struct wire_tuple){ rows->data, split };
    }
    if (has_old) {
        head->old_row = (struct wire_tuple){ rows->data + split, rows->len - split };
    }
    return true;
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

    if (!lane->whole && !hide_rows(route, lane, relation->column_count, &head)) {
        rt_counter_add(route->config.stats->withheld, 1);
        return;
    }
    for (uint32_t i = 0; i < lane->count; i++) {
        member_announce(lane->members[i], relation);
        lane->deliveries[i].op = change->op;
    }
    wire_encode_deliver(out_begun(edge), &head, lane->deliveries);
    rt_counter_add(route->config.stats->deliveries, 1);
    edge_cut(edge);
}

static void write_truncated(struct route_edge *edge, const struct wire_truncate *truncate)
{
    if (edge->truncated_count == 0) {
        return;
    }
    wire_encode_deliver_truncate(out_begun(edge), truncate->index, truncate->flags, edge->truncated,
                                 edge->truncated_count);
    edge->truncated_count = 0;
    rt_counter_add(edge->route->config.stats->deliveries, 1);
}

static void collect_truncated(struct lane *lane, const struct relation *relation,
                              const struct wire_truncate *truncate)
{
    struct route_edge *edge = lane->edge;

    for (uint32_t i = 0; i < lane->count; i++) {
        if (edge->truncated_count == WIRE_GROUPS_MAX) {
            write_truncated(edge, truncate);
        }
        if (edge->truncated_count == edge->truncated_cap) {
            edge->truncated_cap = edge->truncated_cap == 0 ? 16 : edge->truncated_cap * 2;
            edge->truncated = rt_realloc(edge->truncated, edge->truncated_cap, sizeof(uint32_t));
        }
        member_announce(lane->members[i], relation);
        edge->truncated[edge->truncated_count++] = lane->deliveries[i].group;
    }
}

static void reach(struct route *route, uint64_t epoch, uint64_t lsn, uint32_t index)
{
    route->known = true;
    route->at = (struct wire_position){ .epoch = epoch, .lsn = lsn, .index = index };
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
        send_out(edge);
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
        reach(route, begin->epoch, begin->commit_lsn - 1, UINT32_MAX);
    }
    route->begin = *begin;
    route->in_transaction = true;
}

void route_change(struct route *route, struct relation *relation, const struct wire_change *change)
{
    struct route_table *table = table_find(route, relation);

    if (table != NULL) {
        table_prepare(table, relation);
        for (uint32_t i = 0; i < table->lane_count; i++) {
            deliver(&table->lanes[i], relation, change);
        }
        rt_counter_add(route->config.stats->matched, table->lane_count > 0 ? 1 : 0);
        route->delivered = route->delivered || table->lane_count > 0;
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
        for (uint32_t j = 0; j < table->lane_count; j++) {
            collect_truncated(&table->lanes[j], relations[i], truncate);
            matched = true;
        }
    }
    for (size_t i = 0; i < route->edges.count; i++) {
        write_truncated(route->edges.items[i], truncate);
    }
    rt_counter_add(route->config.stats->matched, matched ? 1 : 0);
    route->delivered = route->delivered || matched;
    route->at.lsn = route->begin.commit_lsn;
    route->at.index = truncate->index;
}

void route_end(struct route *route, const struct wire_end *end)
{
    for (size_t i = 0; i < route->open.count; i++) {
        struct route_edge *edge = route->open.items[i];
        wire_encode_end(out_begun(edge), end);
        edge->begun = false;
        edge->open = false;
    }
    route->open.count = 0;
    route->in_transaction = false;
    reach(route, route->begin.epoch, route->begin.commit_lsn, UINT32_MAX);
    subs_arm_all(route);
}

void route_progress(struct route *route, const struct wire_progress *progress, rt_usec now)
{
    /* A commit record may still begin exactly at progress->lsn: what is complete ends before it. */
    struct wire_position complete = { progress->epoch, progress->lsn - 1, UINT32_MAX };
    bool idle = !route->delivered;

    if (!route->known || route->at.epoch != complete.epoch ||
        wire_position_cmp(&route->at, &complete) < 0) {
        reach(route, complete.epoch, complete.lsn, complete.index);
    }
    if (!route->in_transaction) {
        subs_arm_all(route);
    }
    if (!idle && now - route->progress_at < RT_SEC) {
        return;
    }
    for (size_t i = 0; i < route->edges.count; i++) {
        wire_encode_progress(edge_out(route->edges.items[i]), progress);
    }
    route->progress_at = now;
    route->delivered = false;
}

void route_gap(struct route *route, const struct wire_gap *gap)
{
    abandon(route);
    route->in_transaction = false;
    reach(route, gap->to.epoch, gap->to.lsn, gap->to.index);
    for (size_t i = 0; i < route->edges.count; i++) {
        wire_encode_gap(edge_out(route->edges.items[i]), gap);
    }
    rt_counter_add(route->config.stats->gaps, 1);
    subs_arm_all(route);
}

void route_flush(struct route *route)
{
    for (size_t i = 0; i < route->pending.count; i++) {
        route->pending.items[i]->queued = false;
        send_out(route->pending.items[i]);
    }
    route->pending.count = 0;
}
