/* broker/route/resume.c - subscriptions that begin in the past: whether that can be had, and waiting for a stream that is
 * not there yet. */
#include <stdlib.h>
#include <string.h>

#include "broker/route/parts.h"
#include "runtime/buf.h"

struct resume *resume_new(const struct wire_subscribe *subscribe)
{
    if (!subscribe->has_since && !subscribe->snapshot) {
        return NULL;
    }
    struct resume *resume = rt_alloc(sizeof(*resume));
    resume->since = subscribe->since;
    if (subscribe->snapshot) {
        resume->snapshot = snapshot_new(subscribe);
        resume->snapshot->resume = resume;
    }
    return resume;
}

struct resume *resume_at(struct sub *sub, const struct wire_position *since)
{
    struct resume *resume = rt_alloc(sizeof(*resume));

    resume->sub = sub;
    resume->since = *since;
    return resume;
}

void resume_free(struct resume *resume)
{
    if (resume != NULL) {
        snapshot_free(resume->snapshot);
        free(resume);
    }
}

void sub_gone(struct sub *sub, enum wire_gone_reason reason, const char *message)
{
    struct route *route = sub->edge->route;
    struct wire_gone gone = { .sub = sub->listed.number,
                              .reason = reason,
                              .message = { message, strlen(message) },
                              .newest = route->at };

    (void)window_floor(route->config.window, &gone.oldest);
    wire_encode_gone(edge_out(sub->edge), &gone);
    edge_cut(sub->edge);
    rt_counter_add(route->config.stats->gone[reason], 1);
    sub_free(sub);
}

/* --- the heap of those who wait ----------------------------------------------------------------------- */

static void heap_set(struct route *route, size_t slot, struct resume *resume)
{
    route->ahead[slot] = resume;
    resume->slot = slot;
}

static bool is_before(const struct resume *a, const struct resume *b)
{
    return wire_position_cmp(&a->since, &b->since) < 0;
}

static void sift_up(struct route *route, struct resume *resume, size_t slot)
{
    while (slot > 0 && is_before(resume, route->ahead[(slot - 1) / 2])) {
        heap_set(route, slot, route->ahead[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    heap_set(route, slot, resume);
}

static void sift_down(struct route *route, struct resume *resume, size_t slot)
{
    for (;;) {
        size_t child = 2 * slot + 1;
        if (child + 1 < route->ahead_count &&
            is_before(route->ahead[child + 1], route->ahead[child])) {
            child++;
        }
        if (child >= route->ahead_count || !is_before(route->ahead[child], resume)) {
            break;
        }
        heap_set(route, slot, route->ahead[child]);
        slot = child;
    }
    heap_set(route, slot, resume);
}

static void ahead_add(struct route *route, struct resume *resume)
{
    if (route->ahead_count == route->ahead_cap) {
        route->ahead_cap = route->ahead_cap == 0 ? 64 : route->ahead_cap * 2;
        route->ahead = rt_realloc(route->ahead, route->ahead_cap, sizeof(struct resume *));
    }
    resume->sub->state = SUB_AHEAD;
    sift_up(route, resume, route->ahead_count++);
}

void ahead_remove(struct resume *resume)
{
    struct route *route = resume->sub->edge->route;
    size_t slot = resume->slot;
    struct resume *last = route->ahead[--route->ahead_count];

    if (last == resume) {
        return;
    }
    if (slot > 0 && is_before(last, route->ahead[(slot - 1) / 2])) {
        sift_up(route, last, slot);
    } else {
        sift_down(route, last, slot);
    }
}

void ahead_release(struct route *route, bool all)
{
    size_t count = route->ahead_count;

    for (size_t i = 0; all && i < count; i++) {
        /* From the end, where it stays a heap; they come back behind what is left, or not at all. */
        struct resume *resume = route->ahead[count - 1 - i];
        sub_leave(resume->sub);
        unarmed_add(route, resume->sub);
    }
    while (route->ahead_count > 0 && wire_position_cmp(&route->ahead[0]->since, &route->at) <= 0) {
        struct sub *sub = route->ahead[0]->sub;
        sub_leave(sub);
        sub_place(sub);
    }
}

void ahead_expire(struct route *route, rt_usec now)
{
    /* Backwards: a hole is filled from behind. Whom that moves out of sight, the next tick sees. */
    for (size_t i = route->ahead_count; i > 0; i--) {
        struct resume *resume = route->ahead[i - 1];
        if (resume->waiting == 0) {
            resume->waiting = now;
        } else if (now - resume->waiting >= ROUTE_AHEAD_TIMEOUT) {
            sub_gone(resume->sub, WIRE_GONE_AHEAD,
                     "the position is ahead of the database; was it restored from a backup?");
        }
    }
}

void resume_place(struct sub *sub)
{
    struct route *route = sub->edge->route;
    struct resume *resume = sub->by.resume;

    if (resume->since.epoch != route->at.epoch) {
        sub_gone(sub, WIRE_GONE_EPOCH, "the position is of another history of the database");
    } else if (!window_covers(route->config.window, &resume->since)) {
        sub_gone(sub, WIRE_GONE_TOO_OLD, "changes after the position are not kept any more");
    } else if (wire_position_cmp(&resume->since, &route->at) > 0) {
        ahead_add(route, resume);
    } else {
        replay_join(resume, false);
    }
}
