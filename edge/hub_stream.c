/* edge/hub_stream.c - a shard's stream, record by record.
 *
 * A record that cannot be read, or that names a group nobody described, must not pass in silence: the rest of the
 * frame is left, and at the next tick everything of this shard is announced anew, from where it was; the second time in a
 * short while from now on, with a gap for each subscription, since a record that stays bad would come back for ever. At the
 * next tick, so that a fault that stays does not become a busy loop.
 */
#include <stdio.h>

#include "edge/hub_parts.h"
#include "runtime/log.h"
#include "runtime/process.h"

static void fault(struct hub_shard *shard, const char *what, const char *why)
{
    shard->restart = true;
    shard->lost = true;
    rt_counter_add(shard->hub->metrics.errors, 1);
    rt_log_error(shard->hub->process->log, "shard.bad_record", RT_U("shard", shard->index),
                 RT_S("record", what), RT_S("reason", why));
}

/* --- transactions ------------------------------------------------------------------------------------------- */

static const char *on_begin(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_begin begin;
    enum wire_err err = wire_decode_begin(in, &begin);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    shard->flow = &shard->live;
    hub_flow_begin(shard->flow, &begin);
    return NULL;
}

static const char *on_replay(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_replay replay;
    enum wire_err err = wire_decode_replay(in, &replay);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    struct hub_group *group = hub_group_get(shard, replay.group);
    if (!hub_group_make_replay(group)) {
        return "a replay for a group that is live";
    }
    shard->flow = group->replay;
    hub_flow_begin(shard->flow, &(struct wire_begin){
                                    .epoch = replay.epoch,
                                    .commit_lsn = replay.commit_lsn,
                                    .xid = replay.xid,
                                    .commit_time = replay.commit_time,
                                    .continued = replay.continued,
                                });
    shard->flow->measured = true; /* its delay says nothing about the stream */
    return NULL;
}

static const char *on_replayed(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_replayed replayed;
    enum wire_err err = wire_decode_replayed(in, &replayed);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    const struct hub_group *group = rt_map_get_u64(shard->groups, replayed.group);
    if (group == NULL) {
        return NULL; /* unsubscribed, for a while already */
    }
    if (group->replay == NULL) {
        return "the progress of a replay for a group that is live";
    }
    hub_flow_pass(group->replay, &replayed.position);
    return NULL;
}

static const char *on_end(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_end end;
    struct hub_flow *flow = shard->flow;
    enum wire_err err = wire_decode_end(in, &end);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    if (flow == NULL || !flow->in_transaction || end.commit_lsn != flow->commit_lsn) {
        return "the end of another transaction";
    }
    hub_flow_end(flow);
    shard->flow = NULL;
    return NULL;
}

static const char *on_progress(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_progress progress;
    enum wire_err err = wire_decode_progress(in, &progress);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    if (progress.lsn == 0) {
        return "a progress to nowhere";
    }
    /* A commit record may still begin exactly there: what is complete ends before it. */
    hub_flow_reach(&shard->live,
                   &(struct wire_position){ progress.epoch, progress.lsn - 1, UINT32_MAX });
    return NULL;
}

/* --- changes ------------------------------------------------------------------------------------------------ */

static const enum hub_op op_of[] = {
    [WIRE_INSERT] = HUB_INSERT,
    [WIRE_UPDATE] = HUB_UPDATE,
    [WIRE_DELETE] = HUB_DELETE,
};

static struct hub_change change_at(struct hub_shard *shard, uint32_t index)
{
    const struct hub_flow *flow = shard->flow;

    return (struct hub_change){
        .hub = shard->hub,
        .event = { .position = { flow->epoch, flow->commit_lsn, index },
                   .commit_time = flow->commit_time },
    };
}

static const char *deliver_to_groups(struct hub_shard *shard, struct hub_change *change,
                                     struct wire_deliver *record)
{
    change->record = record;
    for (uint32_t i = 0; i < record->group_count; i++) {
        struct wire_delivery to;
        enum wire_err err = wire_next_delivery(&record->groups, &to);
        const char *why = err != WIRE_OK
                              ? wire_err_text(err)
                              : hub_deliver_to_group(shard, change, to.group, op_of[to.op]);
        if (why != NULL) {
            return why;
        }
    }
    return NULL;
}

static const char *truncate_groups(struct hub_shard *shard, struct hub_change *change,
                                   struct wire_deliver_truncate *record)
{
    for (uint32_t i = 0; i < record->group_count; i++) {
        uint32_t group = wire_read_u32(&record->groups);
        const char *why = record->groups.err != WIRE_OK
                              ? wire_err_text(record->groups.err)
                              : hub_deliver_to_group(shard, change, group, HUB_TRUNCATE);
        if (why != NULL) {
            return why;
        }
    }
    return NULL;
}

static const char *on_change(struct hub_shard *shard, enum wire_type type, struct wire_reader *in)
{
    struct wire_deliver deliver = { 0 };
    struct wire_deliver_truncate truncate = { 0 };
    bool is_row = type == WIRE_DELIVER;
    enum wire_err err =
        is_row ? wire_decode_deliver(in, &deliver) : wire_decode_deliver_truncate(in, &truncate);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    if (shard->flow == NULL || !shard->flow->in_transaction) {
        return "a change outside a transaction";
    }
    struct hub_change change = change_at(shard, is_row ? deliver.index : truncate.index);
    const char *why = is_row ? deliver_to_groups(shard, &change, &deliver)
                             : truncate_groups(shard, &change, &truncate);
    if (why == NULL) {
        hub_flow_reach(shard->flow, &change.event.position);
    }
    return why;
}

/* --- groups and subscriptions --------------------------------------------------------------------------------- */

static const char *on_group(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_group record;
    enum wire_err err = wire_decode_group(in, &record);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    struct row_def *def = row_def_new(&record, &err);
    if (def == NULL) {
        return wire_err_text(err);
    }
    hub_group_describe(hub_group_get(shard, record.group), def);
    return NULL;
}

static const char *on_accept(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_accept accept;
    enum wire_err err = wire_decode_accept(in, &accept);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    return hub_pass_accept(shard, &accept) ? NULL : hub_up_accept(shard, &accept);
}

static const char *on_refuse(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_refuse refuse;
    enum wire_err err = wire_decode_refuse(in, &refuse);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    if (!hub_pass_refuse(shard, &refuse)) {
        hub_up_refuse(shard, &refuse);
    }
    return NULL;
}

static const char *on_gone(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_gone gone;
    enum wire_err err = wire_decode_gone(in, &gone);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    if (!hub_pass_gone(shard, &gone)) {
        hub_up_gone(shard, &gone);
    }
    return NULL;
}

static const char *on_rows(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_rows rows;
    enum wire_err err = wire_decode_rows(in, &rows);

    return err != WIRE_OK ? wire_err_text(err) : hub_shard_rows(shard, &rows);
}

static const char *on_fresh(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_fresh fresh;
    enum wire_err err = wire_decode_fresh(in, &fresh);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    hub_shard_fresh(shard, &fresh);
    return NULL;
}

static const char *on_rights(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_rights rights;
    enum wire_err err = wire_decode_rights(in, &rights);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    hub_up_rights(shard, &rights);
    return NULL;
}

static const char *on_gap(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_gap gap;
    enum wire_err err = wire_decode_gap(in, &gap);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    hub_shard_gap(shard, &gap);
    return NULL;
}

static const char *on_record(struct hub_shard *shard, enum wire_type type, struct wire_reader *in)
{
    switch ((int)type) {
    case WIRE_BEGIN:
        return on_begin(shard, in);
    case WIRE_REPLAY:
        return on_replay(shard, in);
    case WIRE_REPLAYED:
        return on_replayed(shard, in);
    case WIRE_DELIVER:
    case WIRE_DELIVER_TRUNCATE:
        return on_change(shard, type, in);
    case WIRE_END:
        return on_end(shard, in);
    case WIRE_PROGRESS:
        return on_progress(shard, in);
    case WIRE_GAP:
        return on_gap(shard, in);
    case WIRE_GROUP:
        return on_group(shard, in);
    case WIRE_ACCEPT:
        return on_accept(shard, in);
    case WIRE_REFUSE:
        return on_refuse(shard, in);
    case WIRE_GONE:
        return on_gone(shard, in);
    case WIRE_ROWS:
        return on_rows(shard, in);
    case WIRE_FRESH:
        return on_fresh(shard, in);
    case WIRE_UNSEATED:
        return hub_unseated(shard, in);
    case WIRE_RIGHTS:
        return on_rights(shard, in);
    case WIRE_CHANNEL:
    case WIRE_BROADCAST:
    case WIRE_PRESENCE:
    case WIRE_DONE:
        return hub_room_record(shard, type, in);
    default:
        return "a record that brokers do not send";
    }
}

static void count_oddities(struct hub *hub)
{
    rt_counter_add(hub->metrics.as_text, hub->encoder.as_text);
    rt_counter_add(hub->metrics.bad_utf8, hub->encoder.bad_utf8);
    hub->encoder.as_text = 0;
    hub->encoder.bad_utf8 = 0;
}

void hub_shard_frame(struct hub_shard *shard, struct rt_span frame)
{
    struct wire_reader in;
    enum wire_type type = WIRE_BEGIN;
    enum wire_err err = WIRE_OK;

    if (shard->lost) {
        return; /* behind a fault: what is in it comes again, or a gap is told */
    }
    shard->flow = NULL; /* each frame says what it is of */
    wire_reader_init(&in, frame.data, frame.len);
    while ((err = wire_next_record(&in, &type)) == WIRE_OK) {
        const char *why = on_record(shard, type, &in);
        if (why != NULL) {
            char what[16];
            (void)snprintf(what, sizeof what, "%d", (int)type);
            fault(shard, what, why);
            break;
        }
    }
    if (err != WIRE_OK && err != WIRE_ERR_END) {
        fault(shard, "-", wire_err_text(err));
    }
    hub_merge_advance(shard);
    count_oddities(shard->hub);
    hub_shard_flush(shard);
}
