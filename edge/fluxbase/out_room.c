/* edge/fluxbase/out_room.c - the frames of broadcast and presence channels; see out.h. */
#include <string.h>

#include "edge/fluxbase/out.h"
#include "edge/json_out.h"

static void put_text(struct rt_buf *out, const char *before, const char *name, struct rt_span text)
{
    rt_buf_puts(out, before);
    (void)json_out_text_member(out, name, (const char *)text.data, text.len);
}

static void put_word(struct rt_buf *out, const char *before, const char *name, const char *word)
{
    put_text(out, before, name, (struct rt_span){ (const uint8_t *)word, strlen(word) });
}

static void put_place(struct rt_buf *out, const char *name, const struct wire_place *place)
{
    char text[HUB_PLACE_TEXT_SIZE];

    hub_place_text(place, text);
    put_word(out, ",", name, text);
}

void fluxbase_out_joined(struct rt_buf *out, struct rt_span channel, const char *id,
                         const struct hub_room_accepted *accepted)
{
    put_text(out, "{\"type\":\"ack\",", "channel", channel);
    rt_buf_puts(out, ",\"status\":\"subscribed\",\"payload\":{\"subscribed\":true");
    put_text(out, ",", "channel", channel);
    put_word(out, ",", "subscription_id", id);
    put_place(out, "id", &accepted->place);
    rt_buf_puts(out, accepted->resumed ? ",\"resumed\":true}}" : ",\"resumed\":false}}");
}

void fluxbase_out_left(struct rt_buf *out, struct rt_span channel, const char *id)
{
    put_text(out, "{\"type\":\"ack\",", "channel", channel);
    rt_buf_puts(out, ",\"status\":\"unsubscribed\",\"payload\":{\"unsubscribed\":true");
    put_text(out, ",", "channel", channel);
    put_word(out, ",", "subscription_id", id);
    rt_buf_puts(out, "}}");
}

/* The payload twice: the seed's clients read `payload`, the SDK `broadcast`. */
void fluxbase_out_message(struct rt_buf *out, struct rt_span channel,
                          const struct hub_message *message)
{
    put_text(out, "{\"type\":\"broadcast\",", "channel", channel);
    rt_buf_puts(out, ",\"payload\":");
    rt_buf_append(out, message->payload.data, message->payload.len);
    put_text(out, ",", "event", message->event);
    put_text(out, ",\"broadcast\":{", "event", message->event);
    rt_buf_puts(out, ",\"payload\":");
    rt_buf_append(out, message->payload.data, message->payload.len);
    rt_buf_puts(out, message->own ? ",\"self\":true}" : "}");
    put_place(out, "id", &message->place);
    rt_buf_putc(out, '}');
}

static bool same(struct rt_span a, struct rt_span b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static void put_metas(struct rt_buf *out, const struct hub_present *items, size_t count)
{
    rt_buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            rt_buf_putc(out, ',');
        }
        rt_buf_append(out, items[i].meta.data, items[i].meta.len);
    }
    rt_buf_putc(out, ']');
}

/* {key:[state, …], …}; equal keys stand together. */
static void put_current(struct rt_buf *out, const struct hub_presence *presence)
{
    rt_buf_puts(out, ",\"currentPresences\":{");
    for (size_t i = 0; i < presence->all_count;) {
        const struct hub_present *first = &presence->all[i];
        size_t count = 1;
        while (i + count < presence->all_count && same(first[count].key, first->key)) {
            count++;
        }
        if (i > 0) {
            rt_buf_putc(out, ',');
        }
        (void)json_out_string(out, (const char *)first->key.data, first->key.len);
        rt_buf_putc(out, ':');
        put_metas(out, first, count);
        i += count;
    }
    rt_buf_putc(out, '}');
}

void fluxbase_out_presence(struct rt_buf *out, struct rt_span channel,
                           const struct hub_presence *presence)
{
    static const char *const events[] = {
        [HUB_PRESENCE_SYNC] = "sync", [HUB_PRESENCE_JOIN] = "join", [HUB_PRESENCE_LEAVE] = "leave"
    };

    put_text(out, "{\"type\":\"presence\",", "channel", channel);
    put_word(out, ",\"payload\":{\"presence\":{", "event", events[presence->kind]);
    if (presence->kind != HUB_PRESENCE_SYNC) {
        put_text(out, ",", "key", presence->key);
        rt_buf_puts(out, presence->kind == HUB_PRESENCE_JOIN ? ",\"newPresences\":"
                                                             : ",\"leftPresences\":");
        put_metas(out, presence->changed, presence->changed_count);
    }
    put_current(out, presence);
    rt_buf_puts(out, "}}}");
}

void fluxbase_out_sent(struct rt_buf *out, struct rt_span channel, struct rt_span message_id,
                       const struct wire_place *place)
{
    put_text(out, "{\"type\":\"ack\",", "channel", channel);
    put_text(out, ",", "messageId", message_id);
    rt_buf_puts(out, ",\"status\":\"ok\"");
    put_place(out, "id", place);
    rt_buf_putc(out, '}');
}

void fluxbase_out_room_gone(struct rt_buf *out, struct rt_span channel, const char *id,
                            enum wire_gone_reason reason, struct rt_span message)
{
    rt_buf_puts(out, "{\"type\":\"error\",\"code\":\"RESUME_GONE\"");
    put_text(out, ",", "message", message);
    put_text(out, ",", "error", message);
    put_text(out, ",", "channel", channel);
    put_word(out, ",\"payload\":{", "subscription_id", id);
    put_word(out, ",", "reason", fluxbase_gone_reason(reason));
    rt_buf_puts(out, "}}");
}

void fluxbase_out_room_gap(struct rt_buf *out, struct rt_span channel, const char *id,
                           const char *reason)
{
    put_text(out, "{\"type\":\"gap\",", "channel", channel);
    put_word(out, ",\"payload\":{", "subscription_id", id);
    put_word(out, ",", "reason", reason);
    rt_buf_puts(out, "}}");
}
