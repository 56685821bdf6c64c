/* tests/fuzz/fuzz_engineio.c - a stranger's request head and what follows it, for Engine.IO: the head, its wish, and a session that is
 * polled, posted to, upgraded and timed as the bytes say.
 *
 * Properties: whatever comes, a session says once that it is closed and nothing after; an answer goes to the poll that waits; the
 * preflight's headers are whole lines.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/engineio/session.h"
#include "edge/http_head.h"
#include "runtime/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct world {
    rt_usec now;
    int polls[2];
    int sockets[2];
    bool waiting[2];
    bool open[2];
    bool closed;
};

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void ws_send(void *owner, void *ws, struct edge_frame *frame)
{
    struct world *w = owner;

    must(w->open[(int *)ws - w->sockets] && edge_frame_payload(frame).len > 0);
}

static void ws_close(void *owner, void *ws, unsigned code, const char *reason)
{
    struct world *w = owner;

    must(code >= 1000 && reason != NULL);
    w->open[(int *)ws - w->sockets] = false;
}

static void answer_poll(void *owner, void *poll, struct rt_span body)
{
    struct world *w = owner;

    must(w->waiting[(int *)poll - w->polls] && body.len > 0);
    w->waiting[(int *)poll - w->polls] = false;
}

static void on_message(void *owner, struct rt_span text)
{
    (void)text;
    must(!((struct world *)owner)->closed);
}

static void closed(void *owner, unsigned code, bool polling, const char *reason)
{
    struct world *w = owner;

    (void)polling;
    must(!w->closed && code >= 1000 && reason != NULL);
    w->closed = true;
}

static void set_timer(void *owner, rt_usec due)
{
    (void)owner;
    must(due > 0);
}

static void flush_later(void *owner)
{
    (void)owner;
}

static rt_usec now(void *owner)
{
    return ((struct world *)owner)->now;
}

static const struct eio_session_ops ops = {
    .ws_send = ws_send,
    .ws_close = ws_close,
    .answer_poll = answer_poll,
    .on_message = on_message,
    .closed = closed,
    .set_timer = set_timer,
    .flush_later = flush_later,
    .now = now,
};

/* One step: what to do in the first byte, the text it is done with behind it. */
static void step(struct world *w, struct eio_session *session, uint8_t what, struct rt_span text)
{
    int which = (what >> 4) & 1;

    switch (what % 8) {
    case 0:
        if (!w->waiting[which]) {
            w->waiting[which] = true;
            if (eio_session_poll(session, &w->polls[which]) != EIO_TAKEN) {
                w->waiting[which] = false;
            }
        }
        break;
    case 1:
        if (eio_session_post_begin(session) == EIO_TAKEN) {
            eio_session_post_end(session, text);
        }
        break;
    case 2:
        if (!w->open[which]) {
            w->open[which] = eio_session_ws_open(session, &w->sockets[which]) == EIO_TAKEN;
        }
        break;
    case 3:
        if (w->open[which]) {
            eio_session_ws_text(session, &w->sockets[which], text);
        }
        break;
    case 4:
        if (w->open[which]) {
            w->open[which] = false;
            eio_session_ws_gone(session, &w->sockets[which]);
        }
        break;
    case 5:
        w->now += (rt_usec)what * RT_SEC / 8;
        eio_session_timer(session);
        break;
    case 6:
        eio_session_flush(session);
        break;
    default: {
        struct edge_frame *frame = edge_frame_text("4x", 2);
        eio_session_send(session, frame);
        edge_frame_unref(frame);
        break;
    }
    }
}

static void run_session(struct rt_span rest)
{
    struct eio_settings settings = { .ping_interval = 25 * RT_SEC,
                                     .ping_timeout = 20 * RT_SEC,
                                     .upgrade_timeout = 10 * RT_SEC,
                                     .max_payload = 1000,
                                     .budget = 64 };
    struct world w = { .now = RT_SEC };
    struct eio_session *session =
        eio_session_new(&ops, &w, &settings, "AAAAAABBBBBBBBBBBBBB", NULL);

    while (rest.len >= 2) {
        size_t len = rest.data[1] & 31u;
        len = len < rest.len - 2 ? len : rest.len - 2;
        step(&w, session, rest.data[0], (struct rt_span){ rest.data + 2, len });
        rest.data += 2 + len;
        rest.len -= 2 + len;
        must(eio_session_is_closed(session) == w.closed);
    }
    eio_session_close(session, 1001, "end");
    must(w.closed);
    eio_session_free(session);
}

static void read_request(struct rt_span head)
{
    struct http_request request;
    struct eio_request wish;
    struct rt_buf headers = { 0 };

    http_request_read(head, &request);
    eio_request_read(&request, &wish);
    must(wish.sid[0] == '\0' || strlen(wish.sid) == EIO_SID_LEN);
    must(wish.wish != EIO_WISH_BAD || eio_error_body(wish.code).len > 0);
    eio_preflight_headers(&request, &headers);
    for (const char *at = rt_buf_cstr(&headers); *at != '\0'; at = strstr(at, "\r\n") + 2) {
        must(strstr(at, "\r\n") != NULL && strchr(at, ':') < strstr(at, "\r\n"));
    }
    rt_buf_fini(&headers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t head_len = http_head_length(data, len, 0);
    struct http_head head = { .method = HTTP_OTHER };

    if (head_len > 0 && head_len <= HTTP_HEAD_MAX) {
        uint8_t *copy = malloc(head_len);
        memcpy(copy, data, head_len);
        if (http_head_check(copy, head_len, &head) == NULL) {
            memcpy(copy, data, head_len);
            read_request((struct rt_span){ copy, head_len });
        }
        free(copy);
    }
    run_session((struct rt_span){ data + head_len, len - head_len });
    return 0;
}
