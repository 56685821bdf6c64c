/* tailer/slot.h - the replication connection: gets hold of the slot, reads it, keeps it confirmed.
 *
 * One tailer has the slot; another one stands by until it is free. Every failure leads to a new attempt after a
 * pause that doubles up to `retry_max`, with jitter, and is said once in the log and for as long as it lasts
 * in two conditions of /readyz: "database" and "slot". States: tailer/slot_fsm.h.
 *
 * While streaming, the owner is called with every message of the plugin and decides about the pace: it may
 * hold a message (it comes again after slot_retry()) and pause reading. Confirmations go to the server
 * every SLOT_STATUS_PERIOD and whenever it asks, reading or not, so that its wal_sender_timeout never strikes.
 *
 * A server that shuts down waits until everything it sent is confirmed, which this slot never is (tailer/window.h). It is told
 * from its questions, which come as fast as they are answered, and the connection is given up; the slot keeps its place.
 *
 * Reading is bounded per turn of the loop (SLOT_TURN_BYTES); nothing is copied: a message is valid during the call.
 */
#ifndef PGTIDE_TAILER_SLOT_H
#define PGTIDE_TAILER_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"
#include "runtime/clock.h"
#include "tailer/setup.h"
#include "tailer/slot_fsm.h"

#define SLOT_STATUS_PERIOD  RT_SEC
#define SLOT_STANDBY_PERIOD (250 * RT_MSEC)
#define SLOT_TURN_BYTES     ((size_t)512 * 1024)

struct rt_counter;
struct rt_health;
struct rt_log;
struct rt_loop;

struct slot;

/* What a stream that begins belongs to. */
struct slot_session {
    uint64_t epoch;
    uint64_t start_lsn; /* confirmed by the slot, or where it was created */
    bool renewed;       /* an earlier slot's history ended; old_epoch was its epoch */
    uint64_t old_epoch;
    const char *reason; /* why, if renewed */
};

enum slot_verdict {
    SLOT_TAKEN,
    SLOT_HOLD,    /* give it again after slot_retry() */
    SLOT_REFUSED, /* cannot be understood: reconnect */
};

struct slot_events {
    /* Streaming begins. False: cannot serve; the slot is given back and tried again. */
    bool (*on_streaming)(void *ctx, const struct slot_session *session);
    enum slot_verdict (*on_message)(void *ctx, struct rt_span message, const char **out_reason);
    /* The server has sent everything up to `wal_end`. */
    void (*on_position)(void *ctx, uint64_t wal_end, int64_t server_time);
    /* Nothing more to read for now. */
    void (*on_turn_end)(void *ctx);
    /* Streaming ended; it will begin again unless on_released() follows. */
    void (*on_break)(void *ctx);
    /* Another tailer has the slot now. */
    void (*on_released)(void *ctx);
    /* From where it is needed, in the current epoch; streaming begins, or fails to, right after. */
    uint64_t (*resume_lsn)(void *ctx);
    uint64_t (*confirmable)(void *ctx);
};

struct slot_config {
    const char *url;
    struct setup_config setup;
    rt_usec timeout; /* of each step that should be short */
    rt_usec retry_max;
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_health *health;
    struct rt_counter *reconnects;
    struct rt_counter *illegal_events;
    const struct slot_events *events;
    void *ctx;
};

/* Starts at once. */
struct slot *slot_new(const struct slot_config *config);
void slot_free(struct slot *slot);
/* Sends a last confirmation, closes the connection, and does nothing more. */
void slot_stop(struct slot *slot);

/* While paused, nothing is read. Cheap if unchanged. */
void slot_pause(struct slot *slot, bool paused);
/* Streaming ends and begins again, from resume_lsn(). False: it is not streaming now. Not from inside an event. */
bool slot_restart(struct slot *slot, const char *reason);
/* Looks whether the policies' publication can be streamed now; every second or so. Not from inside an event. */
void slot_policies_look(struct slot *slot);
/* The held message is given again in the next turn. */
void slot_retry(struct slot *slot);

enum slot_state slot_state_now(const struct slot *slot);
uint64_t slot_confirmed(const struct slot *slot); /* sent to the server last */
/* "streaming", or why not; for people. */
const char *slot_reason(const struct slot *slot);

#endif
