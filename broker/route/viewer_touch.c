/* broker/route/viewer_touch.c - viewers, and the transactions that touch what their policies read.
 *
 * Who is not kept is asked for again; who is has been given its view already. While a transaction is not whole, both wait for its end.
 */
#include "broker/policy/rules.h"
#include "broker/route/parts.h"

static bool reads(const struct viewer *viewer, const uint32_t *oids, uint32_t count)
{
    const struct policy_rules *rules = viewer->access->rules;

    for (uint32_t i = 0; i < rules->program->table_count; i++) {
        for (uint32_t j = 0; j < count; j++) {
            if (rules->program->tables[i] == oids[j]) {
                return true;
            }
        }
    }
    return false;
}

/* Until the transaction that begins next has told, at its end, what it touches. An answer that is on its way still comes; one
 * that is there counts when the transaction is over. */
static void wait_for_end(struct viewer *viewer, const struct wire_position *before)
{
    viewer_suspend(viewer, before);
    viewer->until_end = true;
}

/* It did not concern this one. May free the viewer. */
static void stop_waiting(struct viewer *viewer)
{
    viewer->until_end = false;
    if (!viewer->due && viewer->view != NULL && viewer->group != NULL) {
        viewer_settle(viewer);
    }
}

static void refresh(struct viewer *viewer, const struct wire_position *before, bool whole,
                    uint32_t xid)
{
    const struct route_config *config = &viewer->audience->table->route->config;

    viewer_suspend(viewer, before);
    viewer->until_end = !whole;
    viewer->due = true;
    config->events->view_refresh(config->ctx, viewer->watch, xid);
}

static struct wire_position before_commit(const struct route *route, uint64_t lsn)
{
    return (struct wire_position){ route->at.epoch, lsn - 1, UINT32_MAX };
}

void route_doubt(struct viewer *viewer, uint32_t xid, uint64_t lsn)
{
    struct wire_position before = before_commit(viewer->audience->table->route, lsn);

    refresh(viewer, &before, true, xid);
}

/* Who is kept has been told by now of what was whole. Whoever waited reads that transaction at once: the next one may give it
 * another view. */
static void touch_kept(struct route *route, const struct wire_position *before, bool whole,
                       uint64_t lsn)
{
    bool waited = route->kept_wait != 0;
    struct viewer *viewer = whole && !waited ? NULL : route->kept_viewers;

    route->kept_wait = whole ? 0 : lsn;
    while (viewer != NULL) { /* settling may end it */
        struct viewer *next = viewer->dependent_next;
        if (!whole) {
            wait_for_end(viewer, before);
        } else if (viewer->until_end) {
            stop_waiting(viewer);
        }
        viewer = next;
    }
    if (whole && waited && !route->in_transaction) {
        replays_catch_up(route);
    }
}

void route_touched(struct route *route, const uint32_t *oids, uint32_t count, bool whole,
                   uint32_t xid, uint64_t lsn)
{
    struct wire_position before = before_commit(route, lsn);
    struct viewer *viewer = route->dependents;

    while (viewer != NULL) { /* settling may end it */
        struct viewer *next = viewer->dependent_next;
        if (reads(viewer, oids, count)) {
            refresh(viewer, &before, whole, xid);
        } else if (!whole) {
            wait_for_end(viewer, &before);
        } else if (viewer->until_end) {
            stop_waiting(viewer);
        }
        viewer = next;
    }
    touch_kept(route, &before, whole, lsn);
}

static void touch_unknown(struct viewer *viewer)
{
    for (; viewer != NULL; viewer = viewer->dependent_next) {
        if (viewer->until_end) {
            const struct route_config *config = &viewer->audience->table->route->config;
            viewer->until_end = false;
            viewer->due = true;
            config->events->view_refresh(config->ctx, viewer->watch, 0);
        }
    }
}

void viewers_touch_unknown(struct route *route)
{
    touch_unknown(route->dependents);
    touch_unknown(route->kept_viewers);
}
