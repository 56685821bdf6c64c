/* edge/sse/sse.h - server-sent events: the bytes of an event stream, and the stream as a transport of edge/conn.h.
 *
 * An event stream is the answer to a GET that does not end (WHATWG HTML, "Server-sent events"). Its end is the end of the
 * connection (RFC 9112 6.3, close-delimited), not a chunked body: it never ends otherwise, and so the same bytes serve clients of
 * HTTP/1.0 and 1.1, and one frame is shared by all receivers as it is for WebSockets. Proxies are told not to hold it
 * back (no-transform, X-Accel-Buffering).
 *
 * An event may have an id, which its client gives back in Last-Event-ID when it connects again. The spec lets an event
 * without data set the id too, but not all clients do, so ids ride on events with data only.
 *
 * A client says nothing on its stream. That it is gone is noticed at its end of input, or because what is sent to it, the
 * keep-alive every realtime.heartbeat_interval at least, is not acknowledged within realtime.connection_timeout
 * (TCP_USER_TIMEOUT, set by the server). Pure, but for the transport. Cost: one pass over the text.
 */
#ifndef PGTIDE_EDGE_SSE_SSE_H
#define PGTIDE_EDGE_SSE_SSE_H

#include <stddef.h>

#include "edge/frame.h"
#include "runtime/buf.h"

struct conn_transport;

/* The answer's head; `headers`: further lines, each with CRLF. */
struct edge_frame *sse_head(struct rt_span headers);
/* An event with this text as its data; line ends in it begin further data lines. id.len 0: none; an id has no line ends and
 * no NUL. The caller owns the reference. */
struct edge_frame *sse_event(struct rt_span id, struct rt_span text);
/* The same with a type; clients that listen for messages do not hear of it. */
struct edge_frame *sse_named_event(const char *type, struct rt_span id, struct rt_span text);
/* The event without its id: a new frame, or another reference to the same if it has none. */
struct edge_frame *sse_without_id(struct edge_frame *event);
/* A line that clients ignore. */
struct edge_frame *sse_comment(const char *text);
/* The last bytes of a stream: code and reason as a comment; a "retry_ms=N" in the reason also as a retry field. */
struct edge_frame *sse_ending(unsigned code, const char *reason);

extern const struct conn_transport sse_transport;

#endif
