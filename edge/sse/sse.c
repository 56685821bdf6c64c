/* edge/sse/sse.c - see sse.h. */
#include "edge/sse/sse.h"

#include <stdlib.h>
#include <string.h>

#include "edge/conn_internal.h"

static struct edge_frame *frame_of(struct rt_buf *out)
{
    struct edge_frame *frame = edge_frame_raw(out->data, out->len);

    rt_buf_fini(out);
    return frame;
}

struct edge_frame *sse_head(struct rt_span headers)
{
    struct rt_buf out = { 0 };

    rt_buf_puts(&out, "HTTP/1.1 200 OK\r\n"
                      "Content-Type: text/event-stream\r\n"
                      "Cache-Control: no-cache, no-transform\r\n"
                      "Connection: close\r\n"
                      "X-Accel-Buffering: no\r\n"
                      "X-Content-Type-Options: nosniff\r\n");
    rt_buf_append(&out, headers.data, headers.len);
    rt_buf_puts(&out, "\r\n");
    return frame_of(&out);
}

/* CR, LF and CRLF all end a line, so each of them begins a new field; the receiver joins the lines with LF. */
static void put_data(struct rt_buf *out, struct rt_span text)
{
    size_t from = 0;

    rt_buf_puts(out, "data: ");
    for (size_t i = 0; i < text.len; i++) {
        bool cr = text.data[i] == '\r';
        if (!cr && text.data[i] != '\n') {
            continue;
        }
        rt_buf_append(out, text.data + from, i - from);
        rt_buf_puts(out, "\ndata: ");
        if (cr && i + 1 < text.len && text.data[i + 1] == '\n') {
            i++;
        }
        from = i + 1;
    }
    rt_buf_append(out, text.data + from, text.len - from);
    rt_buf_puts(out, "\n\n");
}

struct edge_frame *sse_event(struct rt_span id, struct rt_span text)
{
    return sse_named_event("", id, text);
}

struct edge_frame *sse_named_event(const char *type, struct rt_span id, struct rt_span text)
{
    struct rt_buf out = { 0 };

    (void)rt_buf_reserve(&out, id.len + text.len + strlen(type) + 32);
    if (id.len > 0) {
        rt_buf_puts(&out, "id: ");
        rt_buf_append(&out, id.data, id.len);
        rt_buf_putc(&out, '\n');
    }
    if (type[0] != '\0') {
        rt_buf_printf(&out, "event: %s\n", type);
    }
    put_data(&out, text);
    return frame_of(&out);
}

struct edge_frame *sse_without_id(struct edge_frame *event)
{
    const uint8_t *stop = NULL;

    if (event->len < 4 || memcmp(event->bytes, "id: ", 4) != 0 ||
        (stop = memchr(event->bytes, '\n', event->len)) == NULL) {
        return edge_frame_ref(event);
    }
    size_t skip = (size_t)(stop + 1 - event->bytes);
    return edge_frame_raw(stop + 1, event->len - skip);
}

/* Line ends in the text would end the comment. */
static void put_comment(struct rt_buf *out, const char *text)
{
    rt_buf_puts(out, ": ");
    for (; *text != '\0'; text++) {
        bool line_end = *text == '\n' || *text == '\r';
        rt_buf_putc(out, (char)(line_end ? ' ' : *text));
    }
    rt_buf_puts(out, "\n\n");
}

struct edge_frame *sse_comment(const char *text)
{
    struct rt_buf out = { 0 };

    put_comment(&out, text);
    return frame_of(&out);
}

struct edge_frame *sse_ending(unsigned code, const char *reason)
{
    static const char key[] = "retry_ms=";
    const char *at = strstr(reason, key);
    unsigned long retry = at != NULL ? strtoul(at + sizeof key - 1, NULL, 10) : 0;
    struct rt_buf text = { 0 };
    struct rt_buf out = { 0 };

    if (retry > 0) {
        rt_buf_printf(&out, "retry: %lu\n", retry);
    }
    rt_buf_printf(&text, "closed: %u %s", code, reason);
    put_comment(&out, rt_buf_cstr(&text));
    rt_buf_fini(&text);
    return frame_of(&out);
}

/* --- as a transport ---------------------------------------------------------------------------------------------- */

static struct edge_frame *event_of(const void *payload, size_t len)
{
    return sse_event((struct rt_span){ NULL, 0 }, (struct rt_span){ payload, len });
}

static struct edge_frame *comment_of(const struct edge_carrier *carrier)
{
    return carrier->comment;
}

/* What follows the request on its connection has no meaning here: a pipelined request would have to wait for an answer
 * that does not end. */
static void ignore(struct edge_conn *conn, uint8_t *data, size_t len)
{
    (void)conn;
    (void)data;
    (void)len;
}

const struct conn_transport sse_transport = {
    .text = event_of,
    .ending = sse_ending,
    .keep_alive = comment_of,
    .input = ignore,
    .mute = true,
};
