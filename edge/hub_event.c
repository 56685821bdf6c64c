/* edge/hub_event.c - a shard's stream, record by record, and the way of a change to its members.
 *
 * A record that cannot be read, or that names a group nobody described, must not pass in silence: the rest of the
 * frame is left, and at the next tick everything of this shard is announced anew, which ends in an answer and a
 * gap for each subscription. At the next tick, so that a fault that stays does not become a busy loop.
 *
 * A shard that was replaced sends again what its predecessor had not confirmed. What is at or before the
 * position this edge had reached when a transaction began has been delivered, and is left out.
 */
#include <inttypes.h>
#include <stdio.h>

#include "edge/hub_parts.h"
#include "runtime/log.h"
#include "runtime/process.h"

/* One deliver record while it is being handled. */
struct delivery {
    struct hub_shard *shard;
    const struct wire_deliver *record; /* NULL: truncate */
    bool rows_read;
    enum wire_err rows_err;
    struct hub_event event; /* of `def` and `event.op`, once made */
    const struct row_def *def;
};

static void fault(struct hub_shard *shard, const char *what, const char *why)
{
    shard->restart = true;
    shard->in_transaction = false;
    rt_counter_add(shard->hub->metrics.errors, 1);
    rt_log_error(shard->hub->process->log, "shard.bad_record", RT_U("shard", shard->index),
                 RT_S("record", what), RT_S("reason", why));
}

/* --- one change, as JSON ------------------------------------------------------------------------------------ */

static enum wire_err read_rows(struct delivery *delivery)
{
    struct hub *hub = delivery->shard->hub;

    if (!delivery->rows_read) {
        delivery->rows_read = true;
        delivery->rows_err = row_values_read(&hub->new_row, delivery->record->new_row);
        if (delivery->rows_err == WIRE_OK) {
            delivery->rows_err = row_values_read(&hub->old_row, delivery->record->old_row);
        }
    }
    return delivery->rows_err;
}

/* Without an old row (identity DEFAULT, key unchanged) the key is still known: it is in the new one. */
static enum wire_err write_old(struct delivery *delivery, const struct row_def *def)
{
    struct hub *hub = delivery->shard->hub;
    uint32_t key = def->has_identity ? WIRE_COLUMN_IDENTITY : WIRE_COLUMN_PRIMARY;

    if (hub->old_row.present) {
        return row_json(&hub->encoder, def, &hub->old_row, NULL, 0, &hub->old_record);
    }
    if (delivery->event.op == HUB_DELETE) {
        return WIRE_ERR_SHORT;
    }
    return row_json(&hub->encoder, def, &hub->new_row, NULL, key, &hub->old_record);
}

static enum wire_err write_new(struct delivery *delivery, const struct row_def *def)
{
    struct hub *hub = delivery->shard->hub;
    bool whole = delivery->record->old_kind == WIRE_OLD_FULL && hub->old_row.present;

    if (!hub->new_row.present) {
        return WIRE_ERR_SHORT;
    }
    return row_json(&hub->encoder, def, &hub->new_row, whole ? &hub->old_row : NULL, 0,
                    &hub->record);
}

static enum wire_err write_rows(struct delivery *delivery, const struct row_def *def)
{
    struct hub *hub = delivery->shard->hub;
    enum wire_err err = read_rows(delivery);

    if (err == WIRE_OK && delivery->event.op != HUB_DELETE) {
        err = write_new(delivery, def);
    }
    if (err == WIRE_OK && delivery->event.op != HUB_INSERT) {
        err = write_old(delivery, def);
    }
    row_json_marked(&hub->encoder, def, ROW_MARK_UNCHANGED, &hub->unchanged);
    row_json_marked(&hub->encoder, def, ROW_MARK_TOO_LARGE, &hub->too_large);
    return err;
}

/* Fills delivery->event for a column set and an operation; again only when they differ from the last. */
static enum wire_err make_event(struct delivery *delivery, const struct row_def *def,
                                enum hub_op op)
{
    struct hub *hub = delivery->shard->hub;
    struct hub_event *event = &delivery->event;

    if (delivery->def == def && event->op == op) {
        return WIRE_OK;
    }
    rt_buf_clear(&hub->record);
    rt_buf_clear(&hub->old_record);
    rt_buf_clear(&hub->unchanged);
    rt_buf_clear(&hub->too_large);
    row_encoder_begin(&hub->encoder, def);
    delivery->def = NULL;
    event->op = op;
    if (delivery->record != NULL) {
        enum wire_err err = write_rows(delivery, def);
        if (err != WIRE_OK) {
            return err;
        }
        event->new_row = delivery->record->new_row;
        event->old_row = delivery->record->old_row;
    }
    delivery->def = def;
    event->schema = rt_buf_span(&def->schema);
    event->table = rt_buf_span(&def->table);
    event->record = rt_buf_span(&hub->record);
    event->old_record = rt_buf_span(&hub->old_record);
    event->unchanged = rt_buf_span(&hub->unchanged);
    event->too_large = rt_buf_span(&hub->too_large);
    event->columns = def;
    event->content = ++hub->content;
    return WIRE_OK;
}

/* --- to the members --------------------------------------------------------------------------------------- */

static void send_to_audience(struct hub *hub, const struct hub_audience *audience,
                             const struct hub_event *event)
{
    struct rt_span text = { (const uint8_t *)audience->text, audience->text_len };
    struct edge_frame *frame =
        audience->ops->encode(audience->dialect, event, audience->form, text);

    if (frame == NULL) {
        return;
    }
    rt_counter_add(hub->metrics.encoded, 1);
    rt_counter_add(hub->metrics.queued, audience->wanting[event->op]);
    for (uint32_t i = 0; i < audience->count; i++) {
        const struct hub_member *member = &audience->members[i];
        if ((member->events & event->op) != 0) {
            audience->ops->deliver(member->to, frame);
        }
    }
    edge_frame_unref(frame);
}

static void measure(struct hub_shard *shard)
{
    if (!shard->measured) {
        shard->measured = true;
        rt_usec delay = shard->hub->wall_now() - shard->begin.commit_time;
        rt_histogram_observe(shard->hub->metrics.delay, delay > 0 ? (double)delay / 1e6 : 0.0);
    }
}

static bool wanted(const struct hub_group *group, enum hub_op op)
{
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->audiences[i]->wanting[op] > 0) {
            return true;
        }
    }
    return false;
}

/* Why not, or NULL. A group without members is no fault: their unsubscribe is on its way. */
static const char *deliver_to_group(struct delivery *delivery, uint32_t number, enum hub_op op)
{
    struct hub_shard *shard = delivery->shard;
    struct hub *hub = shard->hub;
    struct hub_group *group = rt_map_get_u64(shard->groups, number);

    rt_counter_add(hub->metrics.deliveries, 1);
    if (group == NULL || !wanted(group, op)) {
        return NULL;
    }
    if (group->def == NULL) {
        return "a group that was never described";
    }
    enum wire_err err = make_event(delivery, group->def, op);
    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    measure(shard);
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->audiences[i]->wanting[op] > 0) {
            send_to_audience(hub, group->audiences[i], &delivery->event);
        }
    }
    return NULL;
}

/* Whether a change of the transaction at hand is to be delivered; if so, it is where the shard is now. */
static bool advance(struct hub_shard *shard, uint32_t index, struct delivery *out)
{
    struct wire_position position = { shard->begin.epoch, shard->begin.commit_lsn, index };

    *out = (struct delivery){ .shard = shard };
    out->event.position = position;
    out->event.commit_time = shard->begin.commit_time;
    if (shard->has_seen && hub_position_not_after(&position, &shard->seen)) {
        rt_counter_add(shard->hub->metrics.repeated, 1);
        return false;
    }
    shard->has_position = true;
    shard->position = position;
    return true;
}

/* --- records ------------------------------------------------------------------------------------------------ */

static const enum hub_op op_of[] = {
    [WIRE_INSERT] = HUB_INSERT,
    [WIRE_UPDATE] = HUB_UPDATE,
    [WIRE_DELETE] = HUB_DELETE,
};

static const char *on_deliver(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_deliver record;
    struct delivery delivery;
    enum wire_err err = wire_decode_deliver(in, &record);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    if (!shard->in_transaction) {
        return "a change outside a transaction";
    }
    if (!advance(shard, record.index, &delivery)) {
        return NULL;
    }
    delivery.record = &record;
    for (uint32_t i = 0; i < record.group_count; i++) {
        struct wire_delivery to;
        err = wire_next_delivery(&record.groups, &to);
        if (err != WIRE_OK) {
            return wire_err_text(err);
        }
        const char *why = deliver_to_group(&delivery, to.group, op_of[to.op]);
        if (why != NULL) {
            return why;
        }
    }
    return NULL;
}

static const char *on_truncate(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_deliver_truncate record;
    struct delivery delivery;
    enum wire_err err = wire_decode_deliver_truncate(in, &record);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    if (!shard->in_transaction) {
        return "a change outside a transaction";
    }
    if (!advance(shard, record.index, &delivery)) {
        return NULL;
    }
    for (uint32_t i = 0; i < record.group_count; i++) {
        uint32_t group = wire_read_u32(&record.groups);
        const char *why = record.groups.err != WIRE_OK
                              ? wire_err_text(record.groups.err)
                              : deliver_to_group(&delivery, group, HUB_TRUNCATE);
        if (why != NULL) {
            return why;
        }
    }
    return NULL;
}

static const char *on_begin(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_begin begin;
    enum wire_err err = wire_decode_begin(in, &begin);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    bool same = shard->in_transaction && begin.continued && begin.epoch == shard->begin.epoch &&
                begin.commit_lsn == shard->begin.commit_lsn;
    if (!same) {
        shard->has_seen = shard->has_position;
        shard->seen = shard->position;
        shard->measured = false;
    }
    shard->begin = begin;
    shard->in_transaction = true;
    return NULL;
}

/* Everything up to the end of a commit has been processed. */
static void reach(struct hub_shard *shard, uint64_t epoch, uint64_t lsn)
{
    struct wire_position position = { epoch, lsn, UINT32_MAX };

    if (!shard->has_position || !hub_position_not_after(&position, &shard->position)) {
        shard->has_position = true;
        shard->position = position;
    }
}

static const char *on_end(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_end end;
    enum wire_err err = wire_decode_end(in, &end);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    if (!shard->in_transaction || end.commit_lsn != shard->begin.commit_lsn) {
        return "the end of another transaction";
    }
    reach(shard, shard->begin.epoch, end.commit_lsn);
    shard->in_transaction = false;
    return NULL;
}

static const char *on_progress(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_progress progress;
    enum wire_err err = wire_decode_progress(in, &progress);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    reach(shard, progress.epoch, progress.lsn);
    return NULL;
}

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

static const char *on_answer(struct hub_shard *shard, enum wire_type type, struct wire_reader *in)
{
    struct wire_accept accept;
    struct wire_refuse refuse;
    enum wire_err err =
        type == WIRE_ACCEPT ? wire_decode_accept(in, &accept) : wire_decode_refuse(in, &refuse);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    if (type == WIRE_ACCEPT) {
        hub_up_accept(shard, &accept);
    } else {
        hub_up_refuse(shard, &refuse);
    }
    return NULL;
}

static const char *on_gap(struct hub_shard *shard, struct wire_reader *in)
{
    struct wire_gap gap;
    enum wire_err err = wire_decode_gap(in, &gap);

    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    shard->in_transaction = false;
    hub_shard_gap(shard, &gap);
    return NULL;
}

static const char *on_record(struct hub_shard *shard, enum wire_type type, struct wire_reader *in)
{
    switch ((int)type) {
    case WIRE_BEGIN:
        return on_begin(shard, in);
    case WIRE_DELIVER:
        return on_deliver(shard, in);
    case WIRE_DELIVER_TRUNCATE:
        return on_truncate(shard, in);
    case WIRE_END:
        return on_end(shard, in);
    case WIRE_PROGRESS:
        return on_progress(shard, in);
    case WIRE_GAP:
        return on_gap(shard, in);
    case WIRE_GROUP:
        return on_group(shard, in);
    case WIRE_ACCEPT:
    case WIRE_REFUSE:
        return on_answer(shard, type, in);
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
    count_oddities(shard->hub);
    hub_shard_flush(shard);
}
