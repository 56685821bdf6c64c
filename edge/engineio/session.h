/* edge/engineio/session.h - one Engine.IO session: polls, posts and a WebSocket in, one stream of packets out.
 *
 *   polling ──WebSocket, 2probe, 3probe──▶ upgrading ──5──▶ WebSocket
 *      ▲──────────given up, too late───────────┘
 *
 * Pure: transports, clock and timer are the owner's, behind `ops`. Queued frames are shared with other sessions; a
 * poll's answer is the one copy that is made. While nothing is queued a session has no buffers.
 *
 * Rules that are the original's: one poll and one post at a time, a second of either ends the session, as does a poll that the
 * client gives up; a post while a WebSocket is the transport is refused; the server pings, and a client that does
 * not answer in time is gone; a session that ends tells a poll so ("1", or "6" when it was the client's wish).
 *
 * closed() comes exactly once, when the session has ended for its user; it may come from inside any call here, and the
 * owner frees the session later, when eio_session_is_over() (a poll may still have to be told).
 */
#ifndef PGTIDE_EDGE_ENGINEIO_SESSION_H
#define PGTIDE_EDGE_ENGINEIO_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/engineio/request.h"
#include "edge/frame.h"
#include "runtime/clock.h"

struct eio_session;

struct eio_settings {
    rt_usec ping_interval;
    rt_usec ping_timeout;
    rt_usec upgrade_timeout;
    int64_t max_payload; /* bytes */
    size_t budget;       /* bytes that may wait for a client */
};

/* `owner` is that of eio_session_new(); polls and WebSockets are pointers of the owner's. */
struct eio_session_ops {
    void (*ws_send)(void *owner, void *ws, struct edge_frame *frame);
    void (*ws_close)(void *owner, void *ws, unsigned code, const char *reason);
    void (*answer_poll)(void *owner, void *poll, struct rt_span body);
    void (*on_message)(void *owner, struct rt_span text); /* behind the "4" */
    /* `polling`: no WebSocket was its transport, so nobody else counts this end. */
    void (*closed)(void *owner, unsigned code, bool polling, const char *reason);
    void (*set_timer)(void *owner, rt_usec due); /* instead of the one before */
    /* eio_session_flush() at the end of the turn, so that a poll takes everything that comes in it. */
    void (*flush_later)(void *owner);
    rt_usec (*now)(void *owner);
};

/* `settings` outlives it and may change. The first frame is the open packet: on `ws`, or for the first poll when that is NULL. */
struct eio_session *eio_session_new(const struct eio_session_ops *ops, void *owner,
                                    const struct eio_settings *settings,
                                    const char sid[EIO_SID_LEN + 1], void *ws);
void eio_session_free(struct eio_session *session);

/* What a request of the client finds. Anything but EIO_TAKEN: answer it with a bad request. */
enum eio_taken { EIO_TAKEN, EIO_NOT_NOW };
/* Answered at once, or kept. */
enum eio_taken eio_session_poll(struct eio_session *session, void *poll);
void eio_session_poll_gone(struct eio_session *session);
/* A post begins when its head is there, and ends with its body; data NULL: it did not come. */
enum eio_taken eio_session_post_begin(struct eio_session *session);
void eio_session_post_end(struct eio_session *session, struct rt_span body);
/* A WebSocket beside the polls. */
enum eio_taken eio_session_ws_open(struct eio_session *session, void *ws);
void eio_session_ws_text(struct eio_session *session, void *ws, struct rt_span text);
void eio_session_ws_gone(struct eio_session *session, void *ws);

/* Queues or sends a text frame that holds a whole packet ("4…"). Takes its own reference. */
void eio_session_send(struct eio_session *session, struct edge_frame *frame);
void eio_session_flush(struct eio_session *session);
/* Everything queued goes first, as far as there is a transport for it. */
void eio_session_close(struct eio_session *session, unsigned code, const char *reason);
void eio_session_timer(struct eio_session *session);
bool eio_session_is_closed(const struct eio_session *session);
bool eio_session_is_over(const struct eio_session *session);
bool eio_session_is_upgraded(const struct eio_session *session);
size_t eio_session_waiting(const struct eio_session *session); /* bytes queued here */

#endif
