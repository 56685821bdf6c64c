/* broker/route/replay_write.c - what a replay says: definitions, transactions of the past, their ends. */
#include <stdlib.h>
#include <string.h>

#include "broker/route/parts.h"
#include "runtime/buf.h"

void replay_announce(struct replay *replay, const struct relation *relation)
{
    if (replay->announced != relation->serial) {
        replay->announced = relation->serial;
        group_announce(replay->group, replay->edge, replay->number, relation);
    }
}

/* Frames of replays are their own. */
static struct wire_writer *out_begun(struct replay *replay, const struct relation *relation)
{
    if (!replay->begun) {
        edge_send(replay->edge);
    }
    if (relation != NULL) {
        replay_announce(replay, relation);
    }
    if (!replay->begun) {
        replay->head.continued = replay->open;
        wire_encode_replay(edge_out(replay->edge), &replay->head);
        replay->begun = true;
        replay->open = true;
    }
    return edge_out(replay->edge);
}

void replay_cut(struct replay *replay, size_t most)
{
    if (replay->begun && replay->edge->out.len > most) {
        edge_send(replay->edge);
        replay->begun = false;
    }
}

static const struct window_transaction *find_transaction(const struct replay *replay)
{
    const struct route_table *table = replay->group->table;
    struct wire_position before = { replay->head.epoch, replay->head.commit_lsn - 1, UINT32_MAX };
    struct window_cursor cursor;
    const struct window_entry *entry = NULL;

    if (window_seek(table->route->config.window, table->schema, table->table, &before, &cursor)) {
        entry = window_next(&cursor);
    }
    return entry != NULL && entry->transaction->lsn == replay->head.commit_lsn ? entry->transaction
                                                                               : NULL;
}

void replay_close(struct replay *replay)
{
    const struct window_transaction *transaction = find_transaction(replay);

    if (transaction != NULL && transaction->complete) {
        struct wire_end end = { .commit_lsn = transaction->lsn,
                                .end_lsn = transaction->end_lsn,
                                .count = transaction->count };
        wire_encode_end(out_begun(replay, NULL), &end);
        replay->told_lsn = transaction->lsn;
    }
    replay_cut(replay, 0);
    replay->open = false;
}

struct wire_position replay_whole(const struct replay *replay)
{
    struct wire_position whole = replay->done;

    if (whole.index != UINT32_MAX && whole.lsn > 0) {
        whole.lsn--;
        whole.index = UINT32_MAX;
    }
    return whole;
}

void replay_tell(struct replay *replay)
{
    struct wire_position whole = replay_whole(replay);

    /* Those of a snapshot are not in the order of positions. */
    if (replay->snapshot != NULL || whole.lsn <= replay->told_lsn) {
        return;
    }
    replay->told_lsn = whole.lsn;
    wire_encode_replayed(edge_out(replay->edge),
                         &(struct wire_replayed){ .group = replay->number, .position = whole });
    edge_cut(replay->edge);
}

static void look(struct replay *replay, const struct relation *relation)
{
    if (replay->looked_at == relation->serial) {
        return;
    }
    replay->looked_at = relation->serial;
    replay->whole = true;
    replay->visible = rt_realloc(replay->visible, (size_t)relation->column_count + 1, sizeof(bool));
    for (uint32_t i = 0; i < relation->column_count; i++) {
        replay->visible[i] = access_reads(replay->group->access, relation->columns[i].name);
        replay->whole = replay->whole && replay->visible[i];
    }
}

void replay_read(const struct window_entry *entry, struct wire_change *out)
{
    struct wire_span record = window_record(entry);
    struct wire_reader in;
    enum wire_type type = WIRE_CHANGE;

    wire_reader_init(&in, record.data, record.len);
    /* It was read once when it came. */
    wire_check(wire_next_record(&in, &type) == WIRE_OK && wire_decode_change(&in, out) == WIRE_OK);
}

static void write_change(struct replay *replay, const struct window_entry *entry, enum wire_op op)
{
    struct route *route = replay->edge->route;
    struct wire_change change;

    replay_read(entry, &change);
    struct wire_delivery to = { .group = replay->number, .op = op };
    struct wire_deliver head = { .index = change.index,
                                 .old_kind = change.old_kind,
                                 .group_count = 1,
                                 .new_row = change.new_row,
                                 .old_row = change.old_row };
    look(replay, entry->relation);
    if (!replay->whole &&
        !rows_hide(route, replay->visible, entry->relation->column_count, &head)) {
        rt_counter_add(route->config.stats->withheld, 1);
        return;
    }
    wire_encode_deliver(out_begun(replay, entry->relation), &head, &to);
}

void replay_write(struct replay *replay, const struct window_entry *entry, enum wire_op op)
{
    const struct window_transaction *transaction = entry->transaction;

    if (!replay->open || replay->head.commit_lsn != transaction->lsn) {
        replay->head = (struct wire_replay){ .group = replay->number,
                                             .epoch = replay->done.epoch,
                                             .commit_lsn = transaction->lsn,
                                             .xid = transaction->xid,
                                             .commit_time = transaction->commit_time };
    }
    if (entry->kind == WINDOW_CHANGE) {
        write_change(replay, entry, op);
    } else {
        uint32_t flags = 0;
        struct wire_span record = window_record(entry);
        wire_check(record.len == sizeof(flags));
        memcpy(&flags, record.data, sizeof(flags));
        wire_encode_deliver_truncate(out_begun(replay, entry->relation), entry->index, flags,
                                     &replay->number, 1);
    }
    rt_counter_add(replay->edge->route->config.stats->replayed, 1);
    replay_cut(replay, ROUTE_FRAME_BYTES);
}
