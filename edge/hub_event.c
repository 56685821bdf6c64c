/* edge/hub_event.c - one change as the members of a group see it: rows as JSON, once for each column set. */
#include "edge/hub_parts.h"

static enum wire_err read_rows(struct hub_change *change)
{
    struct hub *hub = change->hub;

    if (!change->rows_read) {
        change->rows_read = true;
        change->rows_err = row_values_read(&hub->new_row, change->record->new_row);
        if (change->rows_err == WIRE_OK) {
            change->rows_err = row_values_read(&hub->old_row, change->record->old_row);
        }
    }
    return change->rows_err;
}

/* Without an old row (identity DEFAULT, key unchanged) the key is still known: it is in the new one. */
static enum wire_err write_old(struct hub_change *change, const struct row_def *def)
{
    struct hub *hub = change->hub;
    uint32_t key = def->has_identity ? WIRE_COLUMN_IDENTITY : WIRE_COLUMN_PRIMARY;

    if (hub->old_row.present) {
        return row_json(&hub->encoder, def, &hub->old_row, NULL, 0, &hub->old_record);
    }
    if (change->event.op == HUB_DELETE) {
        return WIRE_ERR_SHORT;
    }
    return row_json(&hub->encoder, def, &hub->new_row, NULL, key, &hub->old_record);
}

static enum wire_err write_new(struct hub_change *change, const struct row_def *def)
{
    struct hub *hub = change->hub;
    bool whole = change->record->old_kind == WIRE_OLD_FULL && hub->old_row.present;

    if (!hub->new_row.present) {
        return WIRE_ERR_SHORT;
    }
    return row_json(&hub->encoder, def, &hub->new_row, whole ? &hub->old_row : NULL, 0,
                    &hub->record);
}

static enum wire_err write_rows(struct hub_change *change, const struct row_def *def)
{
    struct hub *hub = change->hub;
    enum wire_err err = read_rows(change);

    if (err == WIRE_OK && change->event.op != HUB_DELETE) {
        err = write_new(change, def);
    }
    if (err == WIRE_OK && change->event.op != HUB_INSERT) {
        err = write_old(change, def);
    }
    row_json_marked(&hub->encoder, def, ROW_MARK_UNCHANGED, &hub->unchanged);
    row_json_marked(&hub->encoder, def, ROW_MARK_TOO_LARGE, &hub->too_large);
    return err;
}

enum wire_err hub_event_make(struct hub_change *change, const struct row_def *def, enum hub_op op)
{
    struct hub *hub = change->hub;
    struct hub_event *event = &change->event;

    if (change->def == def && event->op == op) {
        return WIRE_OK;
    }
    rt_buf_clear(&hub->record);
    rt_buf_clear(&hub->old_record);
    rt_buf_clear(&hub->unchanged);
    rt_buf_clear(&hub->too_large);
    row_encoder_begin(&hub->encoder, def);
    change->def = NULL;
    event->op = op;
    if (change->record != NULL) {
        enum wire_err err = write_rows(change, def);
        if (err != WIRE_OK) {
            return err;
        }
        event->new_row = change->record->new_row;
        event->old_row = change->record->old_row;
    }
    change->def = def;
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
