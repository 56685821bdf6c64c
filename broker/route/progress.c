/* broker/route/progress.c - how far the stream is, and who knows it. */
#include "broker/route/parts.h"

void route_reach(struct route *route, const struct wire_position *position)
{
    route->known = true;
    route->at = *position;
    route->complete = *position;
    if (position->index != UINT32_MAX) { /* a hole that ends inside a transaction */
        route->complete = (struct wire_position){ position->epoch, position->lsn - 1, UINT32_MAX };
    }
}

/* True when the edge could know more than it does. */
static bool tell(struct route_edge *edge, rt_usec now)
{
    const struct route *route = edge->route;
    bool behind = edge->told.epoch != route->complete.epoch ||
                  wire_position_cmp(&edge->told, &route->complete) < 0;
    rt_usec pause = behind ? ROUTE_PROGRESS_QUICK : ROUTE_PROGRESS_IDLE;

    /* Inside a transaction of its own the edge waits for the END, which says as much. */
    if (edge->open || (edge->told_at != 0 && now - edge->told_at < pause)) {
        return behind && !edge->open;
    }
    /* A commit record may still begin exactly at a PROGRESS's position: it says one more than is complete. */
    wire_encode_progress(edge_out(edge),
                         &(struct wire_progress){ .epoch = route->complete.epoch,
                                                  .lsn = route->complete.lsn + 1,
                                                  .server_time = route->server_time });
    edge->told = route->complete;
    edge->told_at = now;
    return false;
}

/* An edge cannot see how far a replay is that shows its group nothing. */
static void tell_replays(struct route *route, rt_usec now)
{
    if (route->replays_told_at != 0 && now - route->replays_told_at < ROUTE_REPLAYED_PAUSE) {
        return;
    }
    route->replays_told_at = now;
    for (size_t i = 0; i < route->running_count; i++) {
        replay_tell(route->running[i]);
    }
}

bool route_tell(struct route *route, rt_usec now)
{
    bool behind = false;

    tell_replays(route, now);
    for (size_t i = 0; route->known && i < route->edges.count; i++) {
        behind = tell(route->edges.items[i], now) || behind;
    }
    return behind;
}

void route_progress(struct route *route, const struct wire_progress *progress, rt_usec now)
{
    struct wire_position complete = { progress->epoch, progress->lsn - 1, UINT32_MAX };

    route->server_time = progress->server_time;
    if (!route->known || route->at.epoch != complete.epoch ||
        wire_position_cmp(&route->at, &complete) < 0) {
        route_reach(route, &complete);
    }
    if (!route->in_transaction) {
        subs_arm_all(route);
        replays_run(route);
    }
    (void)route_tell(route, now);
}

void route_fresh(struct route *route, const struct wire_fresh *fresh)
{
    for (size_t i = 0; i < route->edges.count; i++) {
        struct route_edge *edge = route->edges.items[i];
        if (edge->begun) {
            edge_send(edge); /* a marker is of no transaction */
        }
        wire_encode_fresh(edge_out(edge), fresh);
    }
}
