/* broker/route/live.c - the live stream of judged groups: a change, the views that it concerns, one record for each edge. */
#include <stdlib.h>

#include "broker/route/parts.h"
#include "runtime/buf.h"
#include "runtime/map.h"

static void hit(struct member *member, enum wire_op op)
{
    struct route_edge *edge = member->edge;

    if (edge->hit_count == 0) {
        edge_list_add(&edge->route->hit, edge);
    }
    if (edge->hit_count == edge->hit_cap) {
        edge->hit_cap = edge->hit_cap == 0 ? 16 : edge->hit_cap * 2;
        edge->hits = rt_realloc(edge->hits, edge->hit_cap, sizeof(struct member *));
        edge->hit_ops = rt_realloc(edge->hit_ops, edge->hit_cap, sizeof(enum wire_op));
    }
    edge->hits[edge->hit_count] = member;
    edge->hit_ops[edge->hit_count++] = op;
}

/* A group is filed once, under a key and with a view that are its own. */
static struct route_group *group_of(const struct match_hit *hit)
{
    return ((const struct view *)hit->constants)->user;
}

static struct wire_position before_change(const struct route *route, uint32_t index)
{
    struct wire_position at = { route->begin.epoch, route->begin.commit_lsn, index - 1 };

    if (index == 0) {
        at.lsn--;
        at.index = UINT32_MAX;
    }
    return at;
}

/* To be followed when the index has been looked at: that may end the group, and take it out of the index. */
static void note_undecided(struct route *route, struct route_group *group)
{
    if (route->undecided_count == route->undecided_cap) {
        route->undecided_cap = route->undecided_cap == 0 ? 16 : route->undecided_cap * 2;
        route->undecided =
            rt_realloc(route->undecided, route->undecided_cap, sizeof(struct route_group *));
    }
    group->users++;
    route->undecided[route->undecided_count++] = group;
}

static void follow_undecided(struct route *route, const struct wire_position *since)
{
    for (size_t i = 0; i < route->undecided_count; i++) {
        group_follow(route->undecided[i], since);
        group_release(route->undecided[i]);
    }
    route->undecided_count = 0;
}

static void note_all(struct route_table *table)
{
    for (struct route_group *group = table->judged; group != NULL; group = group->next) {
        note_undecided(table->route, group);
    }
}

static void look_up(struct route_table *table, const struct view_change *rows)
{
    static const enum wire_op op_of[] = {
        [MATCH_INSERT] = WIRE_INSERT, [MATCH_UPDATE] = WIRE_UPDATE, [MATCH_DELETE] = WIRE_DELETE
    };
    struct route *route = table->route;
    struct match_result result =
        match_change(table->match, view_change_new_row(rows), view_change_old_row(rows));

    rt_counter_add(route->config.stats->judged, result.judged);
    rt_counter_add(route->config.stats->blind, result.blind);
    for (uint32_t i = 0; i < result.count; i++) {
        enum match_event event = match_event_of(&result.hits[i]);
        struct route_group *group = event == MATCH_NOTHING ? NULL : group_of(&result.hits[i]);
        if (group == NULL || group->members == NULL) {
            continue;
        }
        if (event == MATCH_UNDECIDED) {
            note_undecided(route, group);
            continue;
        }
        for (struct member *member = group->members; member != NULL; member = member->next) {
            hit(member, op_of[event]);
        }
    }
}

static void note_blinded(struct route_group *group, const struct wire_position *at)
{
    if (group->blinded_at == NULL) {
        group->blinded_at = rt_alloc(sizeof(*group->blinded_at));
    }
    *group->blinded_at = *at;
}

/* A replay may come by the same change again: each group counts a position once. */
void live_count_blinded(struct route *route, const struct view_change *rows,
                        const struct wire_position *at)
{
    uint32_t count = 0;
    const struct view *const *views = view_change_blinded(rows, &count);

    for (int pass = 0; pass < 2; pass++) { /* both versions may be there */
        for (uint32_t i = 0; i < count; i++) {
            struct route_group *group = views[i]->user;
            if (group == NULL ||
                (group->blinded_at != NULL && wire_position_cmp(group->blinded_at, at) >= 0)) {
                continue;
            }
            if (pass == 0) {
                rt_counter_add(route->config.stats->missing, 1);
            } else {
                note_blinded(group, at);
            }
        }
    }
}

/* --- looking ahead ------------------------------------------------------------------------------------ */

bool route_looks_ahead(struct route *route, struct relation *relation)
{
    const struct route_table *table = table_find(route, relation);

    return table != NULL && table->match != NULL &&
           match_table_classes(table->match) >= route->config.ahead_views;
}

static bool read_ahead(struct route *route, const struct route_coming *coming,
                       struct read_change *ahead, struct match_coming *out)
{
    const struct route_table *table = table_find(route, coming->relation);

    ahead->relation = NULL;
    if (table == NULL || table->judged == NULL) {
        return false;
    }
    if (ahead->rows == NULL) {
        ahead->rows = view_change_new();
    }
    if (!view_change_read(ahead->rows, coming->relation, table->attributes, coming->change,
                          table->columns)) {
        return false;
    }
    ahead->relation = coming->relation;
    ahead->new_row = coming->change->new_row;
    ahead->old_row = coming->change->old_row;
    *out = (struct match_coming){
        table->match, { view_change_new_row(ahead->rows), view_change_old_row(ahead->rows) }
    };
    return true;
}

void route_ahead(struct route *route, const struct route_coming *coming, uint32_t count)
{
    struct match_coming list[ROUTE_AHEAD_MAX];
    uint32_t found = 0;

    route->read_count = count;
    route->read_at = 0;
    for (uint32_t i = 0; i < count; i++) {
        found += read_ahead(route, &coming[i], &route->read_ahead[i], &list[found]);
    }
    if (found > 0) {
        match_ahead(route->match, list, found);
    }
}

/* The rows of a change, as they were read ahead or as they are now; NULL: they cannot be read. A view that came in between may
 * look at columns that were not read. */
static struct view_change *rows_of(struct route_table *table, const struct relation *relation,
                                   const struct wire_change *change)
{
    struct route *route = table->route;
    int64_t now = route->begin.commit_time;

    while (route->read_at < route->read_count) {
        const struct read_change *ahead = &route->read_ahead[route->read_at++];
        if (ahead->relation == relation && ahead->new_row.data == change->new_row.data &&
            ahead->old_row.data == change->old_row.data &&
            view_change_columns(ahead->rows) >= table->columns) {
            view_change_set_now(ahead->rows, now);
            return ahead->rows;
        }
    }
    view_change_set_now(route->judged, now);
    bool fits =
        view_change_read(route->judged, relation, table->attributes, change, table->columns);
    return fits ? route->judged : NULL;
}

/* --- a change ----------------------------------------------------------------------------------------- */

void live_judge(struct route_table *table, const struct relation *relation,
                const struct wire_change *change)
{
    struct route *route = table->route;
    struct wire_position since = before_change(route, change->index);
    struct wire_position here = { route->begin.epoch, route->begin.commit_lsn, change->index };

    if (table->judged == NULL) {
        return;
    }
    struct view_change *rows = rows_of(table, relation, change);
    if (rows != NULL) {
        look_up(table, rows);
        live_count_blinded(route, rows, &here);
    } else {
        note_all(table); /* from the window they are told, or told that it cannot be read */
    }
    follow_undecided(route, &since);
}

/* Who is live; the others have their way already. */
static void follow(struct sub *sub, const struct wire_position *since)
{
    if (sub->state != SUB_ARMED) {
        return;
    }
    sub_leave(sub);
    sub->by.resume = resume_at(sub, since);
    if (window_covers(sub->edge->route->config.window, since)) {
        replay_join(sub->by.resume, true);
    } else {
        sub_gone(sub, WIRE_GONE_TOO_OLD, "a change could not be judged, and is not kept");
    }
}

void group_follow(struct route_group *group, const struct wire_position *since)
{
    struct viewer *viewer = group->viewers;

    while (viewer != NULL) {
        struct viewer *next_viewer = viewer->group_next;
        struct sub *sub = viewer->subs;
        while (sub != NULL) { /* the viewer may be gone with the last one */
            struct sub *next = sub->viewer_next;
            follow(sub, since);
            sub = next;
        }
        viewer = next_viewer;
    }
}
