/* edge/fluxbase/out.c - see out.h. */
#include "edge/fluxbase/out.h"

#include <inttypes.h>
#include <string.h>

#include "edge/json_out.h"
#include "edge/row_json.h"
#include "runtime/clock.h"

/* At the end of a payload, so that it is found again; as long as LAST, so that it can be replaced. */
#define NOT_LAST ",\"last\":false"
#define LAST     ",\"last\":true "

static void put_span(struct rt_buf *out, struct rt_span span)
{
    rt_buf_append(out, span.data, span.len);
}

/* `"name":"text"`, with whatever separates it from what is before it. */
static void put_text(struct rt_buf *out, const char *before, const char *name, struct rt_span text)
{
    rt_buf_puts(out, before);
    (void)json_out_text_member(out, name, (const char *)text.data, text.len);
}

static void put_word(struct rt_buf *out, const char *before, const char *name, const char *word)
{
    put_text(out, before, name, (struct rt_span){ (const uint8_t *)word, strlen(word) });
}

static void put_position(struct rt_buf *out, const char *before, const char *name,
                         const struct wire_position *position)
{
    char text[WIRE_POSITION_TEXT_SIZE];

    wire_position_text(position, text);
    put_word(out, before, name, text);
}

/* `,"name":` and JSON that is ready; nothing if there is none. */
static void put_json(struct rt_buf *out, const char *name, struct rt_span json)
{
    if (json.len > 0) {
        rt_buf_putc(out, ',');
        json_out_key(out, name);
        put_span(out, json);
    }
}

const char *fluxbase_event_name(unsigned events)
{
    switch (events) {
    case HUB_INSERT:
        return "INSERT";
    case HUB_UPDATE:
        return "UPDATE";
    case HUB_DELETE:
        return "DELETE";
    case HUB_TRUNCATE:
        return "TRUNCATE";
    default:
        return "*";
    }
}

const char *fluxbase_code_name(enum wire_code code)
{
    switch (code) {
    case WIRE_CODE_UNAUTHORIZED:
        return "UNAUTHORIZED";
    case WIRE_CODE_FORBIDDEN:
        return "FORBIDDEN";
    case WIRE_CODE_INVALID_CHANNEL:
        return "INVALID_CHANNEL";
    case WIRE_CODE_RATE_LIMITED:
        return "RATE_LIMITED";
    case WIRE_CODE_SUBSCRIPTION_FAILED:
    default:
        return "SUBSCRIPTION_FAILED";
    }
}

void fluxbase_out_subscribed(struct rt_buf *out, const struct fluxbase_names *names,
                             const struct hub_accepted *accepted)
{
    put_text(out, "{\"type\":\"ack\",", "channel", names->channel);
    rt_buf_puts(out, ",\"status\":\"subscribed\",\"payload\":{\"subscribed\":true");
    put_word(out, ",", "subscription_id", names->id);
    put_text(out, ",", "schema", names->schema);
    put_text(out, ",", "table", names->table);
    put_word(out, ",", "event", names->event);
    if (names->filter.len > 0) {
        put_text(out, ",", "filter", names->filter);
    }
    put_position(out, ",", "id", &accepted->position);
    rt_buf_puts(out, accepted->resumed ? ",\"resumed\":true" : ",\"resumed\":false");
    if (accepted->defined) {
        put_json(out, "not_streamed", rt_buf_span(&accepted->columns->not_streamed));
    }
    rt_buf_puts(out, "}}");
}

void fluxbase_out_unsubscribed(struct rt_buf *out, const struct fluxbase_names *names)
{
    put_text(out, "{\"type\":\"ack\",", "channel", names->channel);
    rt_buf_puts(out, ",\"status\":\"unsubscribed\",\"payload\":{\"unsubscribed\":true");
    put_word(out, ",", "subscription_id", names->id);
    rt_buf_puts(out, "}}");
}

void fluxbase_out_token_updated(struct rt_buf *out)
{
    rt_buf_puts(out, "{\"type\":\"ack\",\"payload\":{\"type\":\"access_token\",\"updated\":true}}");
}

void fluxbase_out_error(struct rt_buf *out, enum wire_code code, struct rt_span message,
                        struct rt_span channel)
{
    put_word(out, "{\"type\":\"error\",", "code", fluxbase_code_name(code));
    put_text(out, ",", "message", message);
    put_text(out, ",", "error", message);
    if (channel.data != NULL) {
        put_text(out, ",", "channel", channel);
    }
    rt_buf_putc(out, '}');
}

void fluxbase_out_heartbeat(struct rt_buf *out, const struct wire_position *position)
{
    rt_buf_puts(out, "{\"type\":\"heartbeat\"");
    if (position != NULL) {
        put_position(out, ",\"payload\":{", "id", position);
        rt_buf_putc(out, '}');
    }
    rt_buf_putc(out, '}');
}

void fluxbase_out_stale(struct rt_buf *out, int64_t seconds)
{
    rt_buf_printf(out, "{\"type\":\"stale\",\"payload\":{\"seconds\":%" PRId64 "}}", seconds);
}

const char *fluxbase_gone_reason(enum wire_gone_reason reason)
{
    switch (reason) {
    case WIRE_GONE_EPOCH:
        return "epoch";
    case WIRE_GONE_AHEAD:
        return "ahead";
    case WIRE_GONE_SNAPSHOT:
        return "snapshot";
    case WIRE_GONE_TOO_OLD:
    default:
        return "too_old";
    }
}

void fluxbase_out_gone(struct rt_buf *out, const struct fluxbase_names *names,
                       const struct hub_gone *gone)
{
    rt_buf_puts(out, "{\"type\":\"error\",\"code\":\"RESUME_GONE\"");
    put_text(out, ",", "message", gone->message);
    put_text(out, ",", "error", gone->message);
    put_text(out, ",", "channel", names->channel);
    put_word(out, ",\"payload\":{", "subscription_id", names->id);
    put_word(out, ",", "reason", fluxbase_gone_reason(gone->reason));
    if (gone->has_since) {
        put_position(out, ",", "since", &gone->since);
    }
    put_position(out, ",", "oldest", &gone->oldest);
    put_position(out, ",", "newest", &gone->newest);
    rt_buf_puts(out, "}}");
}

void fluxbase_out_gap(struct rt_buf *out, const struct fluxbase_names *names,
                      const struct hub_gap *gap)
{
    put_text(out, "{\"type\":\"gap\",", "channel", names->channel);
    put_position(out, ",\"payload\":{", "after", &gap->after);
    put_position(out, ",", "id", &gap->position);
    put_word(out, ",", "subscription_id", names->id);
    put_word(out, ",", "reason", gap->reason);
    rt_buf_puts(out, "}}");
}

void fluxbase_out_rights(struct rt_buf *out, const struct fluxbase_names *names,
                         const struct wire_position *position)
{
    put_text(out, "{\"type\":\"rights_changed\",", "channel", names->channel);
    put_position(out, ",\"payload\":{", "id", position);
    put_word(out, ",", "subscription_id", names->id);
    rt_buf_puts(out, "}}");
}

void fluxbase_out_rows(struct rt_buf *out, const struct fluxbase_names *names,
                       const struct hub_page *page)
{
    put_text(out, "{\"type\":\"snapshot\",", "channel", names->channel);
    put_word(out, ",\"payload\":{", "subscription_id", names->id);
    put_text(out, ",", "schema", names->schema);
    put_text(out, ",", "table", names->table);
    put_json(out, "rows", page->rows);
    rt_buf_printf(out, ",\"page\":%" PRIu32 ",\"last\":%s", page->number,
                  page->last ? "true" : "false");
    put_json(out, "too_large", page->too_large);
    if (page->token.len > 0) {
        put_text(out, ",", "token", page->token);
    } else {
        rt_buf_puts(out, ",\"token\":null");
    }
    rt_buf_puts(out, "}}");
}

void fluxbase_out_commit(struct rt_buf *out, const struct wire_position *at, uint64_t changes)
{
    put_position(out, "{\"type\":\"commit\",\"payload\":{", "id", at);
    rt_buf_printf(out, ",\"changes\":%" PRIu64 "}}", changes);
}

void fluxbase_out_payload(struct rt_buf *out, const struct hub_event *event)
{
    char time[RT_TIME_TEXT_SIZE];

    rt_time_text(event->commit_time, time);
    put_word(out, "{", "type", fluxbase_event_name(event->op));
    put_text(out, ",", "schema", event->schema);
    put_text(out, ",", "table", event->table);
    put_json(out, "old_record", event->old_record);
    put_json(out, "record", event->record);
    put_word(out, ",", "commit_timestamp", time);
    put_position(out, ",", "id", &event->position);
    put_json(out, "unchanged", event->unchanged);
    put_json(out, "too_large", event->too_large);
    rt_buf_puts(out, NOT_LAST "}");
}

void fluxbase_out_change(struct rt_buf *out, enum fluxbase_form form, struct rt_span channel,
                         struct rt_span payload)
{
    put_word(out, "{", "type", form == FLUXBASE_BY_CHANNEL ? "broadcast" : "postgres_changes");
    put_text(out, ",", "channel", channel);
    rt_buf_puts(out, ",\"payload\":");
    put_span(out, payload);
    rt_buf_putc(out, '}');
}

void fluxbase_out_mark_last(uint8_t *text, size_t len)
{
    static const char not_last[] = NOT_LAST "}}";
    size_t tail = sizeof not_last - 1;

    if (len >= tail && memcmp(text + len - tail, not_last, tail) == 0) {
        memcpy(text + len - tail, LAST, sizeof LAST - 1);
    }
}
