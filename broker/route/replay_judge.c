/* broker/route/replay_judge.c - what an entry of the window is to a judged group: by its program, or by the database.
 *
 * A change without an answer holds its replay up, and nobody else. Meanwhile the questions behind it are asked as well, so that they
 * are answered together.
 */
#include "broker/route/parts.h"

enum { ASK_AHEAD = 32 };

static enum judged event_of(const struct view_verdict *verdict, enum wire_op *out_op)
{
    bool on_new = verdict->on_new == MATCH_YES;
    bool on_old = verdict->on_old == MATCH_YES;

    *out_op = on_new && on_old ? WIRE_UPDATE : on_new ? WIRE_INSERT : WIRE_DELETE;
    return on_new || on_old ? JUDGED_SHOWN : JUDGED_HIDDEN;
}

static enum judged ask(struct replay *replay, const struct window_entry *entry,
                       struct view_verdict *verdict)
{
    const struct route *route = replay->edge->route;
    const struct route_config *config = &route->config;
    struct ask_change change = { .lsn = entry->transaction->lsn,
                                 .index = entry->index,
                                 .xid = entry->transaction->xid,
                                 .relation = entry->relation,
                                 .rows = route->judged };

    switch (config->events->ask(config->ctx, replay->group->view, &change, verdict)) {
    case ASK_PENDING:
        return JUDGED_ASKING;
    case ASK_ANSWERED:
        return JUDGED_SHOWN;
    case ASK_FAILED:
        break;
    }
    return JUDGED_FAILED;
}

enum judged replay_judge(struct replay *replay, const struct window_entry *entry,
                         enum wire_op *out_op)
{
    struct route *route = replay->edge->route;
    const struct view *view = replay->group->view;
    struct wire_change change;

    if (entry->kind != WINDOW_CHANGE) {
        return JUDGED_SHOWN;
    }
    replay_read(entry, &change);
    *out_op = change.op;
    if (view == NULL) {
        return JUDGED_SHOWN;
    }
    if (!view_change_set(route->judged, entry->relation, view->access, &change,
                         entry->transaction->commit_time)) {
        return JUDGED_FAILED;
    }
    struct view_verdict verdict = view_judge(view, route->judged);
    struct wire_position here = { route->at.epoch, entry->transaction->lsn, entry->index };
    live_count_blinded(route, route->judged, &here);
    if (verdict.on_new == MATCH_ASK || verdict.on_old == MATCH_ASK) {
        enum judged state = ask(replay, entry, &verdict);
        if (state != JUDGED_SHOWN) {
            return state;
        }
    }
    return event_of(&verdict, out_op);
}

void replay_ask_ahead(struct replay *replay, struct window_cursor cursor)
{
    enum wire_op op = WIRE_INSERT;

    for (int i = 0; i < ASK_AHEAD; i++) {
        const struct window_entry *entry = window_next(&cursor);
        if (entry == NULL || entry->relation->oid != replay->group->access->oid) {
            return;
        }
        (void)replay_judge(replay, entry, &op);
    }
}
