/* runtime/sub.h - the subscribing side of a link: one stream of one publisher, whole and in order.
 *
 * Connects SUB and DEALER, says hello, repairs every hole by replay before anything behind it is
 * handed on, and reconnects by itself. The owner sees only: a session, frames without a hole in their
 * numbers, or an explicit loss.
 *
 *   on_session  the publisher accepted us. fresh: nothing carries over from before (first time, a new
 *               epoch, or frames were lost); the owner announces all it wants again.
 *   on_frame    in order, each once. The owner may pause in the middle: no further frame comes until
 *               rt_sub_resume(). A frame is acknowledged when the owner calls rt_sub_ack(), not before.
 *   on_lost     from..to can never be had; on_session(fresh) follows.
 *   on_down     the publisher is silent for longer than the lease; it comes back with on_session (not fresh if it
 *               is the same incarnation and nothing was lost).
 *   on_refused  not compatible or replaced by another peer; no more attempts are made when `final`.
 *
 * The owner pauses when its own output is full; frames wait in ZeroMQ (bounded) and then are dropped
 * and repaired by replay later, so a pause never costs a frame and never unbounded memory.
 *
 * A fresh session of the same epoch goes on behind the last frame handed on; nothing comes twice. Callbacks may
 * pause, acknowledge and send messages; rt_sub_free() must wait until they return.
 *
 * One thread. Per frame: one receive, no copy (the span points into the ZeroMQ message, valid during the call).
 */
#ifndef PGTIDE_RUNTIME_SUB_H
#define PGTIDE_RUNTIME_SUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"
#include "runtime/clock.h"

struct rt_keys;
struct rt_log;
struct rt_loop;
struct rt_metrics;
struct rt_sub;

struct rt_sub_events {
    void (*on_session)(void *ctx, uint64_t epoch, bool fresh);
    void (*on_frame)(void *ctx, uint64_t seq, struct rt_span frame);
    void (*on_lost)(void *ctx, uint64_t from, uint64_t to);
    /* Of the publisher, over the side channel. */
    void (*on_message)(void *ctx, struct rt_span message);
    void (*on_down)(void *ctx);
    void (*on_refused)(void *ctx, const char *reason, bool final);
};

struct rt_sub_config {
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_metrics *metrics;
    const char *publish; /* the publisher's PUB address */
    const char *control; /* and ROUTER */
    const char *stream_name;
    const char *label; /* for logs and metric labels, e.g. "tailer", "shard-0" */
    uint64_t peer_id;  /* random, new for every process */
    const struct rt_keys *keys;
    uint32_t app_version;
    size_t hold_bytes; /* frames held behind a hole while it is repaired */
    rt_usec heartbeat; /* how often we are heard at least */
    rt_usec lease;
    const struct rt_sub_events *events;
    void *ctx;
};

struct rt_sub *rt_sub_new(const struct rt_sub_config *config);
void rt_sub_free(struct rt_sub *sub);
/* Over the side channel, in order, at most 16 MiB. False (and nothing sent) without a session; after on_session(fresh)
 * the owner starts over anyway. */
bool rt_sub_message(struct rt_sub *sub, struct rt_span message);
void rt_sub_ack(struct rt_sub *sub, uint64_t seq); /* cheap; sent at most every few milliseconds */
void rt_sub_pause(struct rt_sub *sub);
void rt_sub_resume(struct rt_sub *sub); /* frames come in the next turn, not before this returns */
bool rt_sub_in_session(const struct rt_sub *sub);
uint64_t rt_sub_last_seq(const struct rt_sub *sub); /* last frame handed on */

#endif
