/* runtime/link_tx.h - the publishing side of a link without its sockets: streams, who owns them, and
 * the side channel.
 *
 * Pure but for the log: time and bytes come as arguments, what is to be sent leaves through `ops`; pub.c
 * binds it to ZeroMQ, the unit tests to a simulated network. Implements the rt_stream_* functions of
 * runtime/pub.h.
 *
 * A session is (stream, peer, session number): the subscriber chooses the number and counts it up
 * whenever it wants to begin anew, so a hello may be repeated without starting anything twice. Messages
 * of the owners are numbered within a session, in both directions, and each side tells the other how
 * many it sent; a session in which one is missing is over (RESET), and the next one is fresh.
 */
#ifndef PGTIDE_RUNTIME_LINK_TX_H
#define PGTIDE_RUNTIME_LINK_TX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"
#include "runtime/clock.h"
#include "runtime/link_header.h"
#include "runtime/pub.h"
#include "runtime/seq_tx.h"

#define LINK_ROUTING_MAX   255
#define LINK_REPLACED_MAX  8
#define LINK_REPLAY_BYTES  ((size_t)1 << 20) /* of one answer, unless one frame is larger */
#define LINK_REPLAY_FRAMES 1024

struct rt_map;

struct link_tx_ops {
    /* To every subscriber of the frame's stream; may be lost. The frame is borrowed: take a reference. */
    void (*publish)(void *ctx, struct seq_frame *frame);
    /* To one peer, in order. False: it is not there, or its queue is full; nothing was sent. */
    bool (*control)(void *ctx, struct rt_span routing, struct rt_span message);
    bool (*replay)(void *ctx, struct rt_span routing, struct seq_frame *frame);
};

struct link_tx_config {
    struct rt_log *log;
    const struct link_tx_ops *ops;
    void *ops_ctx;
    const struct rt_pub_events *events;
    void *ctx;
    enum rt_ring_policy policy;
    size_t ring_bytes;
    size_t retain_bytes;
    rt_usec retain_time;
    uint32_t app_version;
    uint64_t epoch;
    rt_usec heartbeat;
    rt_usec lease;
};

struct link_tx {
    struct link_tx_config config;
    struct rt_stream *streams; /* list */
    struct rt_map *by_name;
    struct rt_map *by_routing; /* owners, open or not */
    rt_usec ticked;
    uint64_t made; /* streams so far; each has an epoch of its own */
    struct rt_buf out;
    struct {
        uint64_t malformed;
        uint64_t refused;
        uint64_t sessions;
    } stats;
};

struct link_owner {
    bool known;  /* there has been one */
    bool open;   /* and its session stands, heard within the lease */
    bool broken; /* a message was lost: it cannot be resumed */
    uint64_t peer;
    uint64_t session;
    uint64_t nonce; /* of its last hello */
    uint64_t sent;
    uint64_t received;
    size_t routing_len;
    uint8_t routing[LINK_ROUTING_MAX];
};

struct rt_stream {
    struct link_tx *tx;
    struct rt_stream *prev;
    struct rt_stream *next;
    void *user;
    uint64_t epoch;
    struct seq_tx ring;
    struct link_owner owner;
    rt_usec heard;
    uint64_t replaced[LINK_REPLACED_MAX]; /* peers that must not come back, newest last */
    size_t replaced_count;
    void *extra; /* pub.c's metrics of this stream */
    void (*extra_free)(void *extra);
    struct {
        uint64_t frames;
        uint64_t bytes;
        uint64_t replayed;
        uint64_t evicted;
    } stats;
    char name[LINK_NAME_MAX + 1];
};

void link_tx_init(struct link_tx *tx, const struct link_tx_config *config);
void link_tx_fini(struct link_tx *tx); /* and its streams */
/* NULL when the name is not valid or is taken. */
struct rt_stream *link_stream_new(struct link_tx *tx, const char *name, void *user);
/* A message came over the side channel. */
void link_tx_control(struct link_tx *tx, struct rt_span routing, struct rt_span message,
                     rt_usec now);
/* Somebody subscribed to `topic`: tells it at once where that stream is. */
void link_tx_subscribed(struct link_tx *tx, struct rt_span topic);
/* Every heartbeat: sends heartbeats, notices silence, drops what need not be kept any more. */
void link_tx_tick(struct link_tx *tx, rt_usec now);

/* Between link_stream.c and link_tx.c. */
void link_stream_heartbeat(struct rt_stream *stream);
void link_stream_trim(struct rt_stream *stream);
void link_stream_bind(struct rt_stream *stream, const struct link_owner *owner, rt_usec now);
void link_stream_replaced(struct rt_stream *stream, uint64_t peer);
bool link_stream_was_replaced(const struct rt_stream *stream, uint64_t peer);
bool link_stream_control(struct rt_stream *stream, const struct link_control *message);

#endif
