/* edge/staticbackend/out.c - see out.h. */
#include "edge/staticbackend/out.h"

#include <string.h>

#include "edge/json_out.h"

static void put(struct rt_buf *out, const char *before, const char *name, struct rt_span text)
{
    rt_buf_puts(out, before);
    (void)json_out_text_member(out, name, (const char *)text.data, text.len);
}

static void begin(struct rt_buf *out, struct rt_span sid, const char *type)
{
    put(out, "{", "sid", sid);
    put(out, ",", "type", (struct rt_span){ (const uint8_t *)type, strlen(type) });
}

static void end(struct rt_buf *out, struct rt_span channel)
{
    put(out, ",", "channel", channel);
    rt_buf_puts(out, ",\"token\":\"\"}");
}

void sb_out_message(struct rt_buf *out, struct rt_span sid, const char *type, struct rt_span data,
                    struct rt_span channel)
{
    begin(out, sid, type);
    put(out, ",", "data", data);
    end(out, channel);
}

void sb_out_message_json(struct rt_buf *out, struct rt_span sid, const char *type,
                         struct rt_span data_json, struct rt_span channel)
{
    begin(out, sid, type);
    rt_buf_puts(out, ",\"data\":");
    rt_buf_append(out, data_json.data, data_json.len);
    end(out, channel);
}
