/* tests/unit/runtime/link_world.h - a publisher and its subscribers over a simulated network, in
 * simulated time: drops, delays, duplicates, reordering, partitions, full queues, restarts.
 *
 * What a link promises is checked in every callback: frames in order and each once, nothing skipped in
 * silence, messages without a hole within a session, memory within its bound; with `retain` also that a new subscriber
 * begins at the oldest frame that is kept. A failure names the
 * seed. One world per test; everything is decided by its seed.
 */
#ifndef PGTIDE_TESTS_UNIT_RUNTIME_LINK_WORLD_H
#define PGTIDE_TESTS_UNIT_RUNTIME_LINK_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/link_rx.h"
#include "runtime/link_tx.h"

#define HEARTBEAT   (50 * RT_MSEC)
#define LEASE       (600 * RT_MSEC)
#define STEP        RT_MSEC
#define HOLD_BYTES  16384
#define RING_BYTES  32768
#define KEEP_BYTES  8192
#define KEEP_TIME   RT_SEC
#define FRAME_BYTES 512 /* at most */
#define SUB_QUEUE   16
#define APP_VERSION 7
#define PACKETS_MAX 8192
#define SUBS        2

enum channel { TO_PUB, TO_SUB, TO_SUB_STREAM };

struct packet {
    rt_usec due;
    uint64_t order;
    enum channel channel;
    unsigned life; /* of the receiver: a packet to a process that is gone is lost */
    size_t sub;
    uint64_t peer; /* of the subscriber that is meant, or that sent it: ZeroMQ's routing id */
    uint8_t *data;
    size_t len;
};

struct faults {
    unsigned stream_loss; /* per thousand */
    unsigned stream_dup;
    unsigned stream_reorder;
    unsigned control_loss;
    unsigned control_dup;
    unsigned control_reorder;
    unsigned refuse_send; /* control op says no */
    unsigned max_delay_ms;
};

struct sub {
    struct world *world;
    size_t index;
    bool running;
    unsigned life;
    uint64_t peer;
    struct link_rx rx;
    rt_usec subscribed_at; /* when the publisher learns of the subscription; 0: it knows */
    struct packet queue[SUB_QUEUE];
    size_t queued;
    bool paused;
    /* What the owner of the subscriber saw. */
    uint64_t epoch;
    uint64_t expected; /* next frame; 0: any, a session begins */
    uint64_t frames;
    uint64_t lost;
    unsigned sessions;
    unsigned fresh;
    unsigned downs;
    unsigned refused;
    bool final;
    char reason[LINK_TEXT_MAX + 1];
    uint32_t instance; /* counts fresh sessions over all lives */
    uint32_t sent;
    uint32_t heard_instance;
    uint32_t received;
};

struct world {
    rt_usec now;
    uint64_t rng;
    uint64_t seed;
    uint64_t order;
    struct faults faults;
    bool partitioned;
    bool ack; /* subscribers acknowledge what they get */
    enum rt_ring_policy policy;
    bool retain; /* acknowledged frames are kept; before world_pub_start() */
    struct rt_log *log;
    struct packet packets[PACKETS_MAX];
    size_t packet_count;
    rt_usec last_due[3][SUBS];
    /* publisher */
    bool pub_running;
    unsigned pub_life;
    struct link_tx tx;
    struct rt_stream *stream;
    rt_usec tick_due;
    uint32_t app_version;
    uint64_t acked; /* by any subscriber */
    uint64_t done;  /* by the one of now */
    uint64_t evicted;
    uint32_t tx_instance;
    uint32_t tx_sent;
    uint32_t tx_heard_instance;
    uint32_t tx_received;
    unsigned hellos_fresh;
    unsigned hellos_resumed;
    unsigned silents;
    bool refuse_all;
    uint64_t again;  /* frames that a subscriber before had acknowledged */
    uint64_t frames; /* of all subscribers and their lives */
    uint64_t lost;
    struct sub subs[SUBS];
};

/* Fails the test, naming the seed and the time. */
void world_must(const struct world *w, bool holds, const char *what);
#define must(w, condition) world_must((w), (condition), #condition)

/* A random number, or event, of the world's own. */
uint64_t world_random(struct world *w);
bool world_chance(struct world *w, unsigned per_thousand);

/* Processes. Stopping one loses its state and what is on its way to it. */
void world_pub_start(struct world *w);
void world_pub_stop(struct world *w);
void world_sub_start(struct world *w, size_t index);
void world_sub_stop(struct world *w, size_t index);
void world_set_paused(struct sub *sub, bool paused);
/* Both owners say something, sometimes. */
uint64_t world_publish(struct world *w);
void world_talk(struct world *w, struct sub *sub);

/* One STEP of time, or many. */
void world_step(struct world *w);
void world_run(struct world *w, rt_usec time);
struct world *world_new(uint64_t seed, enum rt_ring_policy policy);
void world_free(struct world *w);
/* A publisher and subscriber 0, in session. */
struct world *world_connected(uint64_t seed, enum rt_ring_policy policy);

#endif
