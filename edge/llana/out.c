/* edge/llana/out.c - see edge/llana/out.h. */
#include "edge/llana/out.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "edge/frame.h"
#include "edge/json_out.h"

/* --- columns -------------------------------------------------------------------------------------------------------- */

static const struct row_column *primary_key(const struct row_def *def)
{
    for (uint32_t i = 0; i < def->column_count; i++) {
        if ((def->columns[i].flags & WIRE_COLUMN_PRIMARY) != 0) {
            return &def->columns[i];
        }
    }
    return NULL;
}

bool llana_has_key(const struct row_def *def)
{
    return primary_key(def) != NULL;
}

/* Names are kept escaped, so the one that is looked for is escaped, too. "": the primary key. */
static const struct row_column *find_column(struct llana_out *out, const struct row_def *def,
                                            const char *name)
{
    if (name[0] == '\0') {
        return primary_key(def);
    }
    rt_buf_clear(&out->name);
    (void)json_out_string(&out->name, name, strlen(name));
    for (uint32_t i = 0; i < def->column_count; i++) {
        const struct row_column *column = &def->columns[i];
        if (column->key_len == out->name.len + 1 &&
            memcmp(def->text.data + column->key_at, out->name.data, out->name.len) == 0) {
            return column;
        }
    }
    return NULL;
}

/* A text, or NULL: not there, null, or not in the log. */
static const struct wire_value *value_in(const struct row_values *row,
                                         const struct row_column *column)
{
    if (!row->present || column == NULL || column->at >= row->count ||
        row->values[column->at].kind != WIRE_VALUE_TEXT) {
        return NULL;
    }
    return &row->values[column->at];
}

/* Of the row as it is now; of a deleted one, as it was. What the log leaves out since it did not change is in the old row. */
static const struct wire_value *value_of(const struct llana_out *out, const struct hub_event *event,
                                         const struct row_column *column)
{
    const struct row_values *row = event->op == HUB_DELETE ? &out->old_row : &out->new_row;
    const struct wire_value *value = value_in(row, column);

    if (value == NULL && row == &out->new_row && row->present && column != NULL &&
        column->at < row->count && row->values[column->at].kind == WIRE_VALUE_UNCHANGED) {
        value = value_in(&out->old_row, column);
    }
    return value;
}

/* --- events --------------------------------------------------------------------------------------------------------- */

struct gather {
    struct llana_out *out;
    const struct hub_event *event;
};

/* column NUL length value */
static void put_extra(void *ctx, const char *name)
{
    struct gather *gather = ctx;
    struct llana_out *out = gather->out;
    const struct row_column *column = find_column(out, gather->event->columns, name);
    const struct wire_value *value = value_of(out, gather->event, column);

    if (value != NULL) {
        uint32_t len = value->len;
        rt_buf_append(&out->extra, name, strlen(name) + 1);
        rt_buf_append(&out->extra, &len, sizeof(len));
        rt_buf_append(&out->extra, value->text, len);
    }
}

bool llana_frame_has(const struct edge_frame *frame, const char *column, const char *value)
{
    struct rt_span extra = edge_frame_extra(frame);
    size_t at = 0;

    while (at < extra.len) {
        const char *name = (const char *)extra.data + at;
        uint32_t len = 0;
        at += strlen(name) + 1;
        memcpy(&len, extra.data + at, sizeof(len));
        at += sizeof(len);
        if (strcmp(name, column) == 0) {
            return len == strlen(value) && memcmp(extra.data + at, value, len) == 0;
        }
        at += len;
    }
    return false;
}

/* An update that sets the column. When the log does not say what was there before, it is set now. */
static bool is_soft_delete(struct llana_out *out, const struct hub_event *event, const char *name)
{
    if (event->op != HUB_UPDATE || name[0] == '\0') {
        return false;
    }
    const struct row_column *column = find_column(out, event->columns, name);
    return value_in(&out->new_row, column) != NULL && value_in(&out->old_row, column) == NULL;
}

static const char *type_of(struct llana_out *out, const struct hub_event *event,
                           const char *soft_delete_column)
{
    if (event->op == HUB_INSERT) {
        return "INSERT";
    }
    return event->op == HUB_DELETE || is_soft_delete(out, event, soft_delete_column) ? "DELETE"
                                                                                     : "UPDATE";
}

static void put_event(struct llana_out *out, const struct hub_event *event,
                      const struct llana_event_settings *settings, const struct row_column *key,
                      const struct wire_value *value)
{
    struct rt_buf *text = &out->text;
    char offset[WIRE_POSITION_TEXT_SIZE];

    const char *type = type_of(out, event, settings->soft_delete_column);
    rt_buf_clear(text);
    rt_buf_puts(text, "42[");
    (void)json_out_string(text, settings->table, strlen(settings->table));
    rt_buf_printf(text, ",{\"type\":\"%s\",", type);
    rt_buf_append(text, event->columns->text.data + key->key_at, key->key_len);
    (void)json_out_string(text, value->text, value->len);
    rt_buf_putc(text, '}');
    if (settings->with_offset) {
        wire_position_text(&event->position, offset);
        rt_buf_printf(text, ",\"%s\"", offset);
    }
    rt_buf_putc(text, ']');
}

struct edge_frame *llana_out_event(struct llana_out *out, const struct hub_event *event,
                                   const struct llana_event_settings *settings)
{
    const struct row_column *key = primary_key(event->columns);

    if (row_values_read(&out->new_row, event->new_row) != WIRE_OK ||
        row_values_read(&out->old_row, event->old_row) != WIRE_OK) {
        return NULL;
    }
    const struct wire_value *value = value_of(out, event, key);
    if (value == NULL) {
        return NULL;
    }
    put_event(out, event, settings, key, value);
    rt_buf_clear(&out->extra);
    llana_roles_each_own_column(settings->roles, settings->table, put_extra,
                                &(struct gather){ out, event });
    return edge_frame_text_with(out->text.data, out->text.len, out->extra.data, out->extra.len);
}

/* --- the other packets ------------------------------------------------------------------------------------------------ */

void llana_out_connected(struct rt_buf *out, const char *sid, const char *pid)
{
    rt_buf_printf(out, "40{\"sid\":\"%s\"", sid);
    if (pid != NULL) {
        rt_buf_printf(out, ",\"pid\":\"%s\"", pid);
    }
    rt_buf_putc(out, '}');
}

void llana_out_refused(struct rt_buf *out, struct rt_span space, const char *message)
{
    rt_buf_puts(out, "44");
    if (space.len > 1) {
        rt_buf_append(out, space.data, space.len);
        rt_buf_putc(out, ',');
    }
    rt_buf_putc(out, '{');
    (void)json_out_text_member(out, "message", message, strlen(message));
    rt_buf_putc(out, '}');
}

void llana_out_exception(struct rt_buf *out, const void *data)
{
    char *text = data != NULL ? json_dumps(data, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

    rt_buf_puts(out, "42[\"exception\",{\"status\":\"error\",\"message\":\"Internal server error\","
                     "\"cause\":{\"pattern\":\"message\"");
    if (text != NULL) {
        rt_buf_puts(out, ",\"data\":");
        rt_buf_puts(out, text);
    }
    rt_buf_puts(out, "}}]");
    free(text);
}

void llana_out_fini(struct llana_out *out)
{
    row_values_fini(&out->new_row);
    row_values_fini(&out->old_row);
    rt_buf_fini(&out->text);
    rt_buf_fini(&out->extra);
    rt_buf_fini(&out->name);
}
