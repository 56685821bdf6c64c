/* broker/route/rows.c - rows without the columns that their readers may not see. */
#include "broker/route/parts.h"

static enum wire_err hide_columns(struct wire_writer *out, struct wire_tuple row,
                                  const bool *visible, uint32_t columns)
{
    static const struct wire_value missing = { .kind = WIRE_VALUE_MISSING };
    struct wire_reader in;
    struct wire_value value;
    uint32_t count = 0;

    if (wire_tuple_open(row, &in, &count) != WIRE_OK || count != columns) {
        return WIRE_ERR_ARITY;
    }
    wire_write_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        enum wire_err err = wire_tuple_next(&in, &value);
        if (err != WIRE_OK) {
            return err;
        }
        wire_write_value(out, visible[i] ? &value : &missing);
    }
    return WIRE_OK;
}

bool rows_hide(struct route *route, const bool *visible, uint32_t columns,
               struct wire_deliver *head)
{
    struct wire_writer *rows = &route->rows;
    bool has_new = head->new_row.data != NULL;
    bool has_old = head->old_row.data != NULL;

    wire_writer_clear(rows);
    if (has_new && hide_columns(rows, head->new_row, visible, columns) != WIRE_OK) {
        return false;
    }
    size_t split = rows->len;
    if (has_old && hide_columns(rows, head->old_row, visible, columns) != WIRE_OK) {
        return false;
    }
    if (has_new) {
        head->new_row = (struct wire_tuple){ rows->data, split };
    }
    if (has_old) {
        head->old_row = (struct wire_tuple){ rows->data + split, rows->len - split };
    }
    return true;
}
