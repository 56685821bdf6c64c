/* runtime/pub.h - the publishing side of a link: sequenced streams over ZeroMQ PUB, with a side
 * channel (ROUTER) for hello, acknowledgement, replay and the subscriber's own messages.
 *
 * A stream is a numbered series of opaque frames for one subscriber (a shard, an edge). The publisher
 * keeps every frame in a ring until it is acknowledged or evicted. With retain_bytes and retain_time it keeps
 * acknowledged ones too, so that a new subscriber begins with what an earlier one had: within both
 * limits, and beyond them what the subscriber of now has not acknowledged itself. PUB may drop; the subscriber sees
 * the hole by number and asks for it here. What cannot be given any more is answered "too old": a loss
 * is always known to both sides.
 *
 * Flow control is the owner's: it asks rt_stream_pending_bytes() and stops producing in time.
 *   RT_RING_HOLD   frames are kept until acknowledged, whatever their size (the owner must stop at its
 *                  budget). For tailer → broker: PostgreSQL keeps what is not read.
 *   RT_RING_EVICT  past ring_bytes the oldest unacknowledged frames are dropped, counted and reported
 *                  as `on_evict`. For broker → edge: one edge never stops the others.
 *
 * A subscriber says hello with its peer id (new for every process) and stream name. One peer owns a
 * stream at a time; a newer hello replaces the older one, which is told so. Versions are checked first:
 * a hello of another link or application version is refused with both versions in the text.
 *
 * Addresses are ZeroMQ's: tcp://127.0.0.1:7401, ipc:///path. Without keys only loopback and ipc may be
 * bound, unless allow_insecure is set.
 *
 * A session in which a side-channel message was lost is over: on_hello comes again with fresh = true,
 * and what was agreed over the side channel must be agreed anew. Frames are not affected: the same
 * process goes on behind the last frame it has, also in a fresh session.
 *
 * A stream may be freed in on_hello, on_message, on_ack and on_silent, not in on_evict; nothing can be
 * sent over the side channel from inside on_hello(fresh), the session stands when it returns.
 *
 * One thread. Sending costs one copy into the ring and one zmq_send per frame. Memory: the ring.
 */
#ifndef PGTIDE_RUNTIME_PUB_H
#define PGTIDE_RUNTIME_PUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"
#include "runtime/clock.h"

struct rt_keys;
struct rt_log;
struct rt_loop;
struct rt_metrics;
struct rt_pub;
struct rt_stream;

enum rt_ring_policy { RT_RING_HOLD, RT_RING_EVICT };

struct rt_pub_events {
    /* A subscriber (re)joined. Return its stream (rt_pub_stream_new), or NULL to refuse it, with the
     * reason in `refusal` (256 bytes). fresh: this peer id was not the stream's owner before, so what
     * it knows is nothing, and it starts at the oldest frame of the ring; or it was, and frames or messages were
     * lost. Not fresh: it was silent for longer than the lease, and nothing is missing. */
    struct rt_stream *(*on_hello)(void *ctx, const char *stream_name, uint64_t peer_id, bool fresh,
                                  char *refusal);
    /* A message of the subscriber, in its order. Only from the peer that owns the stream. */
    void (*on_message)(void *ctx, struct rt_stream *stream, struct rt_span message);
    /* Frames up to `seq` are processed by the owner of now; `tag` is what was sent with the last of them. */
    void (*on_ack)(void *ctx, struct rt_stream *stream, uint64_t seq, uint64_t tag);
    /* Nothing heard from the owner for lease; the stream stays until the owner of this publisher frees it. */
    void (*on_silent)(void *ctx, struct rt_stream *stream);
    /* RT_RING_EVICT only: frames from..to are gone unacknowledged. */
    void (*on_evict)(void *ctx, struct rt_stream *stream, uint64_t from, uint64_t to);
};

struct rt_pub_config {
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_metrics *metrics;
    const char *publish_bind;   /* PUB */
    const char *control_bind;   /* ROUTER */
    const struct rt_keys *keys; /* NULL: no encryption */
    bool allow_insecure;
    enum rt_ring_policy policy;
    size_t ring_bytes; /* of one stream */
    size_t
        retain_bytes; /* of its acknowledged frames, with RT_RING_HOLD; 0: they are dropped at once */
    rt_usec retain_time;  /* age at which an acknowledged frame is dropped, to a heartbeat */
    uint32_t app_version; /* must be equal on both sides; proto's WIRE_VERSION */
    rt_usec heartbeat;    /* of idle streams; carries the last sequence number */
    rt_usec lease;        /* silence after which on_silent is called, once */
    const struct rt_pub_events *events;
    void *ctx;
};

/* NULL after logging when an address cannot or must not be bound. A new random epoch every time. Each stream
 * counts on from it, so that one that is freed and made again is not taken for the old one. */
struct rt_pub *rt_pub_new(const struct rt_pub_config *config);
void rt_pub_free(struct rt_pub *pub); /* and its streams */
uint64_t rt_pub_epoch(const struct rt_pub *pub);

/* Name: 1 to 63 of [a-z0-9.-]; it is the PUB topic. `user` is the owner's. */
struct rt_stream *rt_pub_stream_new(struct rt_pub *pub, const char *name, void *user);
void rt_stream_free(struct rt_stream *stream);
void *rt_stream_user(const struct rt_stream *stream);
const char *rt_stream_name(const struct rt_stream *stream);
/* The frame is copied into the ring and sent; its number is returned (the first is 1). `tag` comes back with its ack.
 * 0 after logging when it is larger than 1 GiB. */
uint64_t rt_stream_send(struct rt_stream *stream, struct rt_span frame, uint64_t tag);
/* To the owner of the stream, over the side channel, at most 16 MiB; false when there is none at the moment, or
 * it does not read: on_hello(fresh) follows when it is back. */
bool rt_stream_message(struct rt_stream *stream, struct rt_span message);
bool rt_stream_connected(const struct rt_stream *stream); /* an owner, heard within the lease */
size_t rt_stream_pending_bytes(const struct rt_stream *stream); /* not yet acknowledged */
uint64_t rt_stream_last_seq(const struct rt_stream *stream);
uint64_t rt_stream_acked_seq(const struct rt_stream *stream);    /* by the owner of now */
uint64_t rt_stream_acked_tag(const struct rt_stream *stream);    /* 0: of none */
uint64_t rt_stream_first_seq(const struct rt_stream *stream);    /* kept; last + 1: none is */
size_t rt_stream_retained_bytes(const struct rt_stream *stream); /* acknowledged and kept */
rt_usec rt_stream_last_heard(const struct rt_stream *stream);    /* monotonic; 0: never */

#endif
