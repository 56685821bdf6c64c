/* edge/engineio/session.c - see edge/engineio/session.h. */
#include "edge/engineio/session.h"

#include <stdlib.h>
#include <string.h>

#include "edge/conn.h"
#include "edge/engineio/packet.h"
#include "edge/ws_utf8.h"

enum {
    POLL_BYTES = 1 << 20 /* of a poll's answer; the first frame of it may be larger */
};
/* How long a session that has ended keeps its id, so that a poll on its way is told. */
static const rt_usec TELL_TIMEOUT = 30 * RT_SEC;

struct eio_session {
    const struct eio_session_ops *ops;
    void *owner;
    const struct eio_settings *settings;
    void *ws;    /* the transport; NULL: polling */
    void *probe; /* the WebSocket of an upgrade under way */
    void *poll;  /* the one that waits */
    struct edge_frame **queue;
    size_t queued;
    size_t cap;
    size_t bytes;
    rt_usec ping_due;    /* the next one; 0: one is unanswered */
    rt_usec pong_due;    /* when the client counts as gone; 0: no ping is unanswered */
    rt_usec upgrade_due; /* 0: no upgrade */
    rt_usec tell_due;    /* 0: nothing to tell */
    char sid[EIO_SID_LEN + 1];
    bool probed;
    bool posting;
    bool polling; /* no WebSocket is or was the transport */
    bool closed;
};

/* --- time ------------------------------------------------------------------------------------------------------ */

static void arm(struct eio_session *session)
{
    const rt_usec dues[] = { session->ping_due, session->pong_due, session->upgrade_due,
                             session->tell_due };
    rt_usec first = 0;

    for (size_t i = 0; i < sizeof(dues) / sizeof(dues[0]); i++) {
        if (dues[i] != 0 && (first == 0 || dues[i] < first)) {
            first = dues[i];
        }
    }
    if (first != 0) {
        session->ops->set_timer(session->owner, first);
    }
}

static rt_usec now(const struct eio_session *session)
{
    return session->ops->now(session->owner);
}

static void plan_ping(struct eio_session *session)
{
    session->ping_due = now(session) + session->settings->ping_interval;
    session->pong_due = 0;
    arm(session);
}

/* --- out ------------------------------------------------------------------------------------------------------- */

static void drop_queue(struct eio_session *session)
{
    for (size_t i = 0; i < session->queued; i++) {
        edge_frame_unref(session->queue[i]);
    }
    free(session->queue);
    session->queue = NULL;
    session->queued = 0;
    session->cap = 0;
    session->bytes = 0;
}

static void push(struct eio_session *session, struct edge_frame *frame)
{
    if (session->queued == session->cap) {
        session->cap = session->cap > 0 ? session->cap * 2 : 4;
        session->queue = rt_realloc(session->queue, session->cap, sizeof(struct edge_frame *));
    }
    session->queue[session->queued++] = edge_frame_ref(frame);
    session->bytes += edge_frame_payload(frame).len;
}

static void answer(struct eio_session *session, struct rt_span body)
{
    void *poll = session->poll;

    session->poll = NULL;
    session->ops->answer_poll(session->owner, poll, body);
}

static void answer_with(struct eio_session *session, char type)
{
    uint8_t byte = (uint8_t)type;

    if (session->poll != NULL) {
        answer(session, (struct rt_span){ &byte, 1 });
    }
}

/* Takes as many frames as an answer holds. */
static void fill_body(struct eio_session *session, struct rt_buf *body)
{
    size_t taken = 0;

    while (taken < session->queued) {
        struct rt_span text = edge_frame_payload(session->queue[taken]);
        if (taken > 0 && body->len + text.len >= POLL_BYTES) {
            break;
        }
        if (taken > 0) {
            rt_buf_putc(body, EIO_SEPARATOR);
        }
        rt_buf_append(body, text.data, text.len);
        session->bytes -= text.len;
        edge_frame_unref(session->queue[taken]);
        taken++;
    }
    session->queued -= taken;
    for (size_t i = 0; i < session->queued; i++) {
        session->queue[i] = session->queue[taken + i];
    }
    if (session->queued == 0) {
        drop_queue(session);
    }
}

static void flush(struct eio_session *session)
{
    struct rt_buf body = { 0 };

    if (session->ws != NULL) {
        for (size_t i = 0; i < session->queued; i++) {
            session->ops->ws_send(session->owner, session->ws, session->queue[i]);
        }
        drop_queue(session);
    } else if (session->poll != NULL && session->queued > 0) {
        fill_body(session, &body);
        answer(session, rt_buf_span(&body));
        rt_buf_fini(&body);
    } else if (session->poll != NULL && session->probed) {
        answer_with(session, EIO_NOOP); /* the client waits for its poll before it goes over */
    }
}

static void send_on(struct eio_session *session, void *ws, const char *packet)
{
    struct edge_frame *frame = edge_frame_text(packet, strlen(packet));

    session->ops->ws_send(session->owner, ws, frame);
    edge_frame_unref(frame);
}

/* --- the end --------------------------------------------------------------------------------------------------- */

static void close_probe(struct eio_session *session, unsigned code, const char *reason)
{
    void *probe = session->probe;

    session->probe = NULL;
    session->probed = false;
    session->upgrade_due = 0;
    if (probe != NULL) {
        session->ops->ws_close(session->owner, probe, code, reason);
    }
}

static void close_ws(struct eio_session *session, unsigned code, const char *reason)
{
    void *ws = session->ws;

    session->ws = NULL;
    if (ws != NULL) {
        session->ops->ws_close(session->owner, ws, code, reason);
    }
}

/* `told`: the packet that a poll gets; a later one gets it only when it is news to the client. */
static void end(struct eio_session *session, unsigned code, const char *reason, char told)
{
    if (session->closed) {
        return;
    }
    session->closed = true;
    session->ping_due = 0;
    session->pong_due = 0;
    bool waited = session->poll != NULL;
    close_probe(session, EDGE_CLOSE_NORMAL, "");
    if (session->polling && waited) {
        answer_with(session, told);
    } else if (session->polling && told == EIO_CLOSE) {
        session->tell_due = now(session) + TELL_TIMEOUT;
        arm(session);
    }
    close_ws(session, code, reason);
    drop_queue(session);
    session->ops->closed(session->owner, code, session->polling, reason);
}

void eio_session_close(struct eio_session *session, unsigned code, const char *reason)
{
    if (session->closed) {
        return;
    }
    bool with_poll = session->ws == NULL && session->poll != NULL;
    if (with_poll) { /* in one answer with what waits */
        struct edge_frame *frame = edge_frame_text("1", 1);
        push(session, frame);
        edge_frame_unref(frame);
    }
    flush(session);
    end(session, code, reason, with_poll && session->queued == 0 ? EIO_NOOP : EIO_CLOSE);
}

static void fail(struct eio_session *session, unsigned code, const char *reason)
{
    end(session, code, reason, EIO_CLOSE);
}

/* --- packets --------------------------------------------------------------------------------------------------- */

static void on_packet(struct eio_session *session, const struct eio_packet *packet)
{
    switch (packet->type) {
    case EIO_MESSAGE:
        session->ops->on_message(session->owner, packet->text);
        break;
    case EIO_PONG:
        plan_ping(session);
        break;
    case EIO_CLOSE:
        end(session, EDGE_CLOSE_NORMAL, "closed by the client", EIO_NOOP);
        break;
    case EIO_UPGRADE: /* a client that sees its upgrade through twice */
    case EIO_NOOP:
        break;
    case EIO_OPEN:
    case EIO_PING:
    default:
        fail(session, EDGE_CLOSE_PROTOCOL, "a packet that only a server sends");
        break;
    }
}

/* False: the session has ended. */
static bool take_text(struct eio_session *session, struct rt_span text)
{
    struct eio_packet packet;

    if (!eio_packet_read(text, &packet)) {
        fail(session, EDGE_CLOSE_PROTOCOL, "not an Engine.IO packet");
    } else {
        on_packet(session, &packet);
    }
    return !session->closed;
}

/* --- the upgrade ------------------------------------------------------------------------------------------------ */

static void go_over(struct eio_session *session)
{
    session->ws = session->probe;
    session->polling = false;
    session->probe = NULL;
    session->probed = false;
    session->upgrade_due = 0;
    answer_with(session, EIO_NOOP);
    flush(session);
}

static bool is(struct rt_span text, const char *packet)
{
    return text.len == strlen(packet) && memcmp(text.data, packet, text.len) == 0;
}

static void probe_text(struct eio_session *session, struct rt_span text)
{
    if (is(text, "2probe") && !session->probed) {
        session->probed = true;
        send_on(session, session->probe, "3probe");
        flush(session);
    } else if (is(text, "5") && session->probed) {
        go_over(session);
    } else {
        close_probe(session, EDGE_CLOSE_PROTOCOL, "not an upgrade");
    }
}

enum eio_taken eio_session_ws_open(struct eio_session *session, void *ws)
{
    if (session->closed || session->ws != NULL || session->probe != NULL) {
        return EIO_NOT_NOW;
    }
    session->probe = ws;
    session->probed = false;
    session->upgrade_due = now(session) + session->settings->upgrade_timeout;
    arm(session);
    return EIO_TAKEN;
}

void eio_session_ws_text(struct eio_session *session, void *ws, struct rt_span text)
{
    if (session->closed) {
        return;
    }
    if (ws == session->probe) {
        probe_text(session, text);
    } else if (ws == session->ws) {
        (void)take_text(session, text);
    }
}

void eio_session_ws_gone(struct eio_session *session, void *ws)
{
    if (ws == session->probe) {
        session->probe = NULL;
        session->probed = false;
        session->upgrade_due = 0;
    } else if (ws == session->ws) {
        session->ws = NULL;
        end(session, EDGE_CLOSE_NORMAL, "the WebSocket was closed", EIO_NOOP);
    }
}

/* --- polling ---------------------------------------------------------------------------------------------------- */

enum eio_taken eio_session_poll(struct eio_session *session, void *poll)
{
    if (session->closed && session->tell_due != 0) {
        session->tell_due = 0;
        session->poll = poll;
        answer_with(session, EIO_CLOSE);
        return EIO_TAKEN;
    }
    if (session->closed || session->ws != NULL) {
        return EIO_NOT_NOW;
    }
    if (session->poll != NULL) {
        fail(session, EDGE_CLOSE_PROTOCOL, "two polls at a time");
        return EIO_NOT_NOW;
    }
    session->poll = poll;
    flush(session);
    return EIO_TAKEN;
}

void eio_session_poll_gone(struct eio_session *session)
{
    session->poll = NULL;
    end(session, EDGE_CLOSE_NORMAL, "the client gave its poll up", EIO_NOOP);
}

enum eio_taken eio_session_post_begin(struct eio_session *session)
{
    if (session->closed || session->ws != NULL) {
        return EIO_NOT_NOW;
    }
    if (session->posting) {
        fail(session, EDGE_CLOSE_PROTOCOL, "two posts at a time");
        return EIO_NOT_NOW;
    }
    session->posting = true;
    return EIO_TAKEN;
}

void eio_session_post_end(struct eio_session *session, struct rt_span body)
{
    struct eio_body packets = eio_body_of(body);
    struct rt_span text;

    session->posting = false;
    if (session->closed || body.data == NULL) {
        return;
    }
    if (!ws_utf8_valid(body.data, body.len)) {
        fail(session, EDGE_CLOSE_BAD_DATA, "a body that is not UTF-8");
        return;
    }
    while (eio_body_next(&packets, &text) && take_text(session, text)) {
    }
}

/* --- exports ----------------------------------------------------------------------------------------------------- */

void eio_session_send(struct eio_session *session, struct edge_frame *frame)
{
    if (session->closed) {
        return;
    }
    if (session->ws != NULL) {
        session->ops->ws_send(session->owner, session->ws, frame);
        return;
    }
    push(session, frame);
    if (session->bytes > session->settings->budget) {
        fail(session, EDGE_CLOSE_SLOW, "client reads too slowly");
    } else if (session->poll != NULL) {
        session->ops->flush_later(session->owner);
    }
}

void eio_session_flush(struct eio_session *session)
{
    if (!session->closed) {
        flush(session);
    }
}

static void ping(struct eio_session *session)
{
    struct edge_frame *frame = edge_frame_text("2", 1);

    session->ping_due = 0;
    session->pong_due = now(session) + session->settings->ping_timeout;
    eio_session_send(session, frame);
    edge_frame_unref(frame);
}

void eio_session_timer(struct eio_session *session)
{
    rt_usec at = now(session);

    if (session->upgrade_due != 0 && at >= session->upgrade_due) {
        close_probe(session, EDGE_CLOSE_POLICY, "the upgrade took too long");
    }
    if (session->tell_due != 0 && at >= session->tell_due) {
        session->tell_due = 0;
    }
    if (session->pong_due != 0 && at >= session->pong_due) {
        fail(session, EDGE_CLOSE_GOING_AWAY, "no answer to a ping");
    } else if (session->ping_due != 0 && at >= session->ping_due) {
        ping(session);
    }
    arm(session);
}

struct eio_session *eio_session_new(const struct eio_session_ops *ops, void *owner,
                                    const struct eio_settings *settings,
                                    const char sid[EIO_SID_LEN + 1], void *ws)
{
    struct eio_session *session = rt_alloc(sizeof(*session));
    struct rt_buf open = { 0 };

    session->ops = ops;
    session->owner = owner;
    session->settings = settings;
    session->ws = ws;
    session->polling = ws == NULL;
    memcpy(session->sid, sid, sizeof(session->sid));
    eio_open_packet(&open, &(struct eio_open){ .sid = sid,
                                               .can_upgrade = ws == NULL,
                                               .ping_interval = settings->ping_interval / RT_MSEC,
                                               .ping_timeout = settings->ping_timeout / RT_MSEC,
                                               .max_payload = settings->max_payload });
    struct edge_frame *frame = edge_frame_text(open.data, open.len);
    eio_session_send(session, frame);
    edge_frame_unref(frame);
    rt_buf_fini(&open);
    plan_ping(session);
    return session;
}

void eio_session_free(struct eio_session *session)
{
    if (session != NULL) {
        drop_queue(session);
        free(session);
    }
}

bool eio_session_is_closed(const struct eio_session *session)
{
    return session->closed;
}

bool eio_session_is_over(const struct eio_session *session)
{
    return session->closed && session->tell_due == 0 && session->poll == NULL && !session->posting;
}

bool eio_session_is_upgraded(const struct eio_session *session)
{
    return session->ws != NULL;
}

size_t eio_session_waiting(const struct eio_session *session)
{
    return session->bytes;
}
