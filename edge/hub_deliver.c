/* edge/hub_deliver.c - the way of a frame to its members, and which frame is the last of its transaction.
 *
 * A client is told with each change whether more of the same transaction follows. Nobody knows that when a change
 * comes, so an audience holds the frame of its latest event back until the next one, or until the transaction ends;
 * then the frame is marked in place, before anybody has it. What breaks a transaction off lets frames go unmarked.
 * Audiences differ by the events that they want, so what is the last to one is the last to each of its members.
 * Messages of rooms that belong to the transaction are held in the same order (hub_message.c).
 */
#include "edge/hub_parts.h"

/* --- to the members --------------------------------------------------------------------------------------- */

static bool has_already(const struct hub_sub *sub, const struct wire_position *position)
{
    if (sub->rows != NULL) {
        return hub_rows_have(sub->rows, position);
    }
    return sub->has_after && hub_position_not_after(position, &sub->after);
}

/* The only place where a frame of a change goes to a client. */
static void hand_to_member(const struct hub_audience *audience, const struct hub_member *member,
                           struct edge_frame *frame)
{
    if (member->sub->rows != NULL) {
        hub_rows_note(member->sub->rows, &audience->sent);
        hub_sub_confirm(member->sub);
    }
    if (member->sub->source != NULL) {
        hub_merge_push(member->sub, &audience->sent, frame);
    } else {
        audience->ops->deliver(member->to, frame);
    }
}

static void hand_out(struct hub_audience *audience, struct edge_frame *frame)
{
    struct hub *hub = audience->group->shard->hub;
    const struct wire_position *at = &audience->sent;
    uint32_t left_out = 0;

    audience->skipping = audience->skipping && hub_position_not_after(at, &audience->skip);
    for (uint32_t i = 0; i < audience->count; i++) {
        const struct hub_member *member = &audience->members[i];
        if ((audience->skipping || audience->snapshot) && has_already(member->sub, at)) {
            left_out++;
        } else {
            hand_to_member(audience, member, frame);
        }
    }
    rt_counter_add(hub->metrics.repeated, left_out);
    rt_counter_add(hub->metrics.queued, audience->count - left_out);
}

static void release(struct hub_audience *audience, bool last)
{
    struct edge_frame *frame = audience->held;

    if (frame == NULL) {
        return;
    }
    hub_notes_release(hub_group_flow(audience->group), audience->held_order);
    if (last) {
        audience->ops->mark_last(frame);
    }
    audience->held = NULL;
    list_remove(&audience->in_held);
    hand_out(audience, frame);
    edge_frame_unref(frame);
}

void hub_audience_release(struct hub_audience *audience)
{
    release(audience, false);
}

static void send_to_audience(struct hub *hub, struct hub_audience *audience,
                             const struct hub_event *event)
{
    struct rt_span text = { (const uint8_t *)audience->text, audience->text_len };
    struct edge_frame *frame =
        audience->ops->encode(audience->dialect, event, audience->form, text);

    if (frame == NULL) {
        return;
    }
    rt_counter_add(hub->metrics.encoded, 1);
    release(audience, false);
    audience->has_sent = true;
    audience->sent = event->position;
    if (audience->ops->mark_last == NULL) {
        hand_out(audience, frame);
        edge_frame_unref(frame);
        return;
    }
    struct hub_flow *flow = hub_group_flow(audience->group);
    audience->held = frame;
    audience->held_order = ++flow->order;
    list_append(&flow->held, &audience->in_held);
}

static void measure(struct hub *hub, struct hub_flow *flow)
{
    if (!flow->measured) {
        flow->measured = true;
        rt_usec delay = hub->wall_now() - flow->commit_time;
        rt_histogram_observe(hub->metrics.delay, delay > 0 ? (double)delay / 1e6 : 0.0);
    }
}

static bool wants(const struct hub_audience *audience, enum hub_op op)
{
    return (audience->events & op) != 0;
}

static bool wanted(const struct hub_group *group, enum hub_op op)
{
    for (uint32_t i = 0; i < group->count; i++) {
        if (wants(group->audiences[i], op)) {
            return true;
        }
    }
    return false;
}

/* A group without members is no fault: their unsubscribe is on its way. */
const char *hub_deliver_to_group(struct hub_shard *shard, struct hub_change *change,
                                 uint32_t number, enum hub_op op)
{
    struct hub *hub = shard->hub;
    struct hub_group *group = rt_map_get_u64(shard->groups, number);

    rt_counter_add(hub->metrics.deliveries, 1);
    if (group == NULL || !wanted(group, op)) {
        return NULL;
    }
    if (hub_group_flow(group) != shard->flow) {
        return "a change of another stream than the group's";
    }
    if (group->def == NULL) {
        return "a group that was never described";
    }
    enum wire_err err = hub_event_make(change, group->def, op);
    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    measure(hub, shard->flow);
    for (uint32_t i = 0; i < group->count; i++) {
        if (wants(group->audiences[i], op)) {
            send_to_audience(hub, group->audiences[i], &change->event);
        }
    }
    return NULL;
}

/* --- transactions ------------------------------------------------------------------------------------------ */

void hub_flow_release(struct hub_flow *flow)
{
    LIST_EACH(at, after, &flow->held)
    {
        release(LIST_ELEMENT(at, struct hub_audience, in_held), false);
    }
    hub_notes_release(flow, UINT64_MAX);
    flow->in_transaction = false;
}

void hub_flow_begin(struct hub_flow *flow, const struct wire_begin *begin)
{
    bool same = flow->in_transaction && begin->continued && begin->epoch == flow->epoch &&
                begin->commit_lsn == flow->commit_lsn;

    if (same) {
        return;
    }
    hub_flow_release(flow); /* of a transaction without an end */
    flow->has_done = flow->has_position;
    flow->done = flow->position;
    flow->measured = false;
    flow->epoch = begin->epoch;
    flow->commit_lsn = begin->commit_lsn;
    flow->commit_time = begin->commit_time;
    flow->in_transaction = true;
}

void hub_flow_reach(struct hub_flow *flow, const struct wire_position *position)
{
    if (!flow->has_position || !hub_position_not_after(position, &flow->position)) {
        flow->has_position = true;
        flow->position = *position;
    }
}

void hub_flow_pass(struct hub_flow *flow, const struct wire_position *position)
{
    const struct wire_position end = { flow->epoch, flow->commit_lsn, UINT32_MAX };

    if (flow->in_transaction &&
        !(position->epoch == end.epoch && wire_position_cmp(position, &end) < 0)) {
        hub_flow_release(flow);
    }
    hub_flow_reach(flow, position);
}

void hub_flow_end(struct hub_flow *flow)
{
    struct wire_position position = { flow->epoch, flow->commit_lsn, UINT32_MAX };

    LIST_EACH(at, after, &flow->held)
    {
        release(LIST_ELEMENT(at, struct hub_audience, in_held), true);
    }
    hub_notes_release(flow, UINT64_MAX);
    flow->in_transaction = false;
    hub_flow_reach(flow, &position);
}
