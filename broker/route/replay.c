/* broker/route/replay.c - the past, from the window to one edge and group at a time. */
#include <stdlib.h>

#include "broker/route/parts.h"
#include "runtime/buf.h"

/* An entry that is only looked at costs as much as so many bytes; one replay reads so many before it is another's turn. */
enum { LOOK_COST = 64, SLICE = 65536 };

static const char unjudged_text[] =
    "a change could not be judged in time by the policies of the table: it may be missing";
static const char lost_text[] = "changes after the position were dropped before they could be sent";

/* --- who is in it ------------------------------------------------------------------------------------- */

static void run_add(struct route *route, struct replay *replay)
{
    if (route->running_count == route->running_cap) {
        route->running_cap = route->running_cap == 0 ? 16 : route->running_cap * 2;
        route->running = rt_realloc(route->running, route->running_cap, sizeof(struct replay *));
    }
    route->running[route->running_count++] = replay;
    replay->running = true;
    rt_gauge_set(route->config.stats->replays_running, (double)route->running_count);
}

static void run_remove(struct route *route, struct replay *replay)
{
    for (size_t i = 0; i < route->running_count; i++) {
        if (route->running[i] == replay) {
            route->running[i] = route->running[--route->running_count];
            break;
        }
    }
    replay->running = false;
    rt_gauge_set(route->config.stats->replays_running, (double)route->running_count);
}

static void wait_remove(struct route *route, struct replay *replay)
{
    *replay->link = replay->next;
    if (replay->next != NULL) {
        replay->next->link = replay->link;
    } else {
        route->waiting_end = replay->link;
    }
}

static void replay_free(struct replay *replay)
{
    struct route *route = replay->edge->route;
    struct replay **link = &replay->group->replays;

    while (*link != replay) {
        link = &(*link)->group_next;
    }
    *link = replay->group_next;
    if (replay->running) {
        route->replays -= replay->following ? 0 : 1;
        run_remove(route, replay);
    } else {
        wait_remove(route, replay);
    }
    free(replay->visible);
    free(replay);
}

static struct replay *replay_new(struct route_group *group, struct route_edge *edge,
                                 const struct wire_position *since)
{
    struct route *route = edge->route;
    struct replay *replay = rt_alloc(sizeof(*replay));

    replay->edge = edge;
    replay->group = group;
    replay->done = *since;
    replay->group_next = group->replays;
    group->replays = replay;
    replay->link = route->waiting_end;
    *route->waiting_end = replay;
    route->waiting_end = &replay->next;
    return replay;
}

/* One that waits, if that will do, or one that has not passed `since` yet. */
static struct replay *find_replay(const struct route_group *group, const struct route_edge *edge,
                                  const struct wire_position *since, bool at_once)
{
    for (struct replay *replay = group->replays; replay != NULL; replay = replay->group_next) {
        if (replay->edge == edge &&
            (replay->running ? wire_position_cmp(&replay->done, since) <= 0 : !at_once)) {
            return replay;
        }
    }
    return NULL;
}

void replay_leave(struct resume *resume)
{
    struct replay *replay = resume->replay;

    if (replay->running && wire_position_cmp(&replay->done, &resume->since) > 0) {
        resume->since = replay->done;
    }
    *resume->link = resume->next;
    if (resume->next != NULL) {
        resume->next->link = resume->link;
    }
    resume->replay = NULL;
    if (replay->members == NULL) {
        replay_free(replay);
    }
}

/* Everybody in it; frees it. */
static void end_gone(struct replay *replay, enum wire_gone_reason reason, const char *message)
{
    struct resume *resume = replay->members;

    while (resume != NULL) {
        struct resume *next = resume->next;
        sub_gone(resume->sub, reason, message);
        resume = next;
    }
}

static void end_live(struct replay *replay)
{
    struct resume *resume = replay->members;

    while (resume != NULL) {
        struct resume *next = resume->next;
        struct sub *sub = resume->sub;
        sub_leave(sub);
        sub_arm(sub); /* frees the resume */
        resume = next;
    }
}

static bool is_covered(const struct replay *replay)
{
    const struct route *route = replay->edge->route;

    return replay->done.epoch == route->at.epoch &&
           window_covers(route->config.window, &replay->done);
}

static void start(struct route *route, struct replay *replay)
{
    const struct relation *relation =
        relations_of_table(route->config.relations, replay->group->access->oid);

    wait_remove(route, replay);
    run_add(route, replay);
    route->replays += replay->following ? 0 : 1;
    replay->number = route->next_group++;
    replay->told_lsn = replay_whole(replay).lsn;
    rt_counter_add(route->config.stats->replays, 1);
    if (relation != NULL) {
        replay_announce(replay, relation);
    }
    for (struct resume *resume = replay->members; resume != NULL; resume = resume->next) {
        write_accept(resume->sub, replay->number, WIRE_ACCEPT_REPLAY, &resume->since);
    }
}

void replay_join(struct resume *resume, bool at_once)
{
    struct sub *sub = resume->sub;
    struct route_group *group = sub_group(sub);
    struct replay *replay = find_replay(group, sub->edge, &resume->since, at_once);

    if (replay == NULL) {
        replay = replay_new(group, sub->edge, &resume->since);
        replay->following = at_once;
    }
    resume->replay = replay;
    resume->next = replay->members;
    resume->link = &replay->members;
    if (resume->next != NULL) {
        resume->next->link = &resume->next;
    }
    replay->members = resume;
    sub->state = SUB_REPLAYING;
    if (replay->running) {
        write_accept(sub, replay->number, WIRE_ACCEPT_REPLAY, &resume->since);
    } else if (at_once) {
        start(sub->edge->route, replay);
    } else if (wire_position_cmp(&resume->since, &replay->done) < 0) {
        replay->done = resume->since;
    }
}

/* Those who came while others ran may have waited for too long; the others of their replay begin later then. */
static void start_or_end(struct route *route, struct replay *replay)
{
    struct resume *resume = replay->members;
    struct resume *oldest = NULL;

    while (resume != NULL) {
        struct resume *next = resume->next;
        bool last = next == NULL && oldest == NULL;
        if (resume->since.epoch != route->at.epoch ||
            !window_covers(route->config.window, &resume->since)) {
            sub_gone(resume->sub, WIRE_GONE_TOO_OLD, lost_text);
            if (last) {
                return; /* the replay is gone with it */
            }
        } else if (oldest == NULL || wire_position_cmp(&resume->since, &oldest->since) < 0) {
            oldest = resume;
        }
        resume = next;
    }
    if (oldest != NULL) {
        replay->done = oldest->since;
        start(route, replay);
    }
}

void replay_start_feed(struct replay *feed)
{
    run_add(feed->edge->route, feed);
}

void replay_stop_feed(struct replay *feed)
{
    if (feed->running) {
        run_remove(feed->edge->route, feed);
    }
}

/* --- turns -------------------------------------------------------------------------------------------- */

static bool is_wanted(const struct replay *replay, const struct window_transaction *transaction)
{
    const struct route_snapshot *snapshot = replay->snapshot;

    return snapshot == NULL ||
           (!xid_snapshot_sees(&snapshot->from, transaction->xid) &&
            (!snapshot->has_to || xid_snapshot_sees(&snapshot->to, transaction->xid)));
}

/* What became of a turn. */
enum turn { TURN_MORE, TURN_ALL, TURN_ASKING, TURN_OTHER_TABLE, TURN_FAILED };

/* An entry of the group's table, for somebody who wants it. */
static enum turn read_entry(struct replay *replay, const struct window_entry *entry,
                            const struct window_cursor *behind)
{
    enum wire_op op = WIRE_INSERT;

    if (entry->relation->oid != replay->group->access->oid) {
        return TURN_OTHER_TABLE;
    }
    switch (replay_judge(replay, entry, &op)) {
    case JUDGED_SHOWN:
        replay_write(replay, entry, op);
        break;
    case JUDGED_HIDDEN:
        break;
    case JUDGED_ASKING:
        replay->asked = replay->edge->route->answers + 1;
        replay_ask_ahead(replay, *behind);
        return TURN_ASKING;
    case JUDGED_FAILED:
        return TURN_FAILED;
    }
    return TURN_MORE;
}

static void forget_answers(const struct replay *replay)
{
    const struct route_config *config = &replay->edge->route->config;

    if (replay->group->view != NULL && replay->group->view->asks) {
        config->events->ask_forget(config->ctx, replay->group->view, replay->done.lsn,
                                   replay->done.index);
    }
}

static enum turn read_slice(struct replay *replay, int64_t *left)
{
    struct route *route = replay->edge->route;
    const struct route_table *table = replay->group->table;
    struct window_cursor cursor;
    bool found =
        window_seek(route->config.window, table->schema, table->table, &replay->done, &cursor);

    for (;;) {
        const struct window_entry *entry = found ? window_next(&cursor) : NULL;
        if (replay->open && (entry == NULL ? replay->head.commit_lsn <= route->complete.lsn
                                           : entry->transaction->lsn != replay->head.commit_lsn)) {
            replay_close(replay);
        }
        if (entry == NULL) {
            return TURN_ALL;
        }
        if (*left <= 0) {
            return TURN_MORE;
        }
        *left -= LOOK_COST;
        if (is_wanted(replay, entry->transaction)) {
            enum turn turn = read_entry(replay, entry, &cursor);
            if (turn != TURN_MORE) {
                return turn;
            }
            *left -= (int64_t)entry->len;
        }
        replay->done.lsn = entry->transaction->lsn;
        replay->done.index = entry->index;
    }
}

static void lost(struct replay *replay, const char *message)
{
    if (replay->snapshot != NULL) {
        sub_gone(replay->snapshot->resume->sub, WIRE_GONE_SNAPSHOT, message);
    } else {
        end_gone(replay, WIRE_GONE_TOO_OLD, message);
    }
}

void replays_end_uncovered(struct route *route)
{
    size_t i = 0;

    while (i < route->running_count) {
        if (is_covered(route->running[i])) {
            i++;
        } else {
            lost(route->running[i], lost_text);
        }
    }
}

/* True when it is over, one way or the other. */
static bool take_turn(struct replay *replay)
{
    struct route *route = replay->edge->route;
    int64_t slice = route->budget < SLICE ? route->budget : SLICE;
    int64_t left = slice;

    if (!is_covered(replay)) {
        lost(replay, lost_text);
        return true;
    }
    replay->asked = 0;
    enum turn turn = read_slice(replay, &left);
    replay_cut(replay, 0);
    forget_answers(replay);
    route->budget -= slice - left;
    if (turn == TURN_OTHER_TABLE) {
        lost(replay, "the table was another one in between");
        return true;
    }
    if (turn == TURN_FAILED) {
        rt_counter_add(route->config.stats->unjudged, 1);
        lost(replay, unjudged_text);
        return true;
    }
    if (turn == TURN_MORE || turn == TURN_ASKING) {
        return false;
    }
    if (wire_position_cmp(&replay->done, &route->complete) < 0) {
        replay->done = route->complete;
    }
    if (route->in_transaction) {
        return false;
    }
    if (replay->snapshot != NULL) {
        return snapshot_fed(replay->snapshot);
    }
    end_live(replay);
    return true;
}

static bool has_room(const struct replay *replay)
{
    const struct route_config *config = &replay->edge->route->config;

    return config->events->room(config->ctx, replay->edge->user);
}

/* One that waits for answers is not looked at before there are new ones; a snapshot's not while its view is on its way. */
static bool may_go_on(const struct replay *replay)
{
    bool judged = replay->snapshot == NULL || sub_group(replay->snapshot->resume->sub) != NULL;

    return judged && replay->asked != replay->edge->route->answers + 1 && has_room(replay);
}

/* Those that wait for room do not count against those of other edges. */
static void start_waiting(struct route *route)
{
    struct replay *replay = route->waiting;
    size_t moving = 0;

    for (size_t i = 0; replay != NULL && i < route->running_count; i++) {
        const struct replay *other = route->running[i];
        moving += other->snapshot == NULL && !other->following && has_room(other) ? 1 : 0;
    }
    while (replay != NULL && moving < ROUTE_REPLAYS_MAX) {
        struct replay *next = replay->next;
        bool room = has_room(replay);
        if (room || route->replays < ROUTE_REPLAYS_MAX) {
            moving += room ? 1 : 0;
            start_or_end(route, replay);
        }
        replay = next;
    }
}

void replays_run(struct route *route)
{
    bool moved = true;

    if (!route->in_transaction) {
        start_waiting(route);
    }
    while (moved && route->budget > 0) {
        moved = false;
        for (size_t i = 0; i < route->running_count && route->budget > 0;) {
            struct replay *replay = route->running[i];
            int64_t before = route->budget;
            bool over = may_go_on(replay) && take_turn(replay);
            moved = moved || over || route->budget < before;
            i += over ? 0 : 1;
        }
    }
}

void replays_catch_up(struct route *route)
{
    const struct replay *first = NULL;

    route->budget = ROUTE_REPLAY_BYTES;
    while (route->budget > 0 && route->waiting != NULL && route->waiting != first) {
        first = route->waiting;
        replays_run(route);
    }
}
