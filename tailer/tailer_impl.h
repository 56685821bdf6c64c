/* tailer/tailer_impl.h - shared by tailer.c (life, time, metrics), tailer_slot.c (the slot's events) and
 * tailer_shards.c (pace and patience); nobody else includes it.
 *
 * What must stay true: everything of a term exists, or nothing; the slot is never freed inside one of its
 * callbacks; reading is paused exactly while `behind` names a shard.
 */
#ifndef PGTIDE_TAILER_TAILER_IMPL_H
#define PGTIDE_TAILER_TAILER_IMPL_H

#include "tailer/instruments.h"
#include "tailer/patience.h"
#include "tailer/setup.h"
#include "tailer/slot.h"
#include "tailer/tailer.h"

struct catalog;
struct marker;
struct rt_condition;
struct rt_keys;
struct rt_timer;
struct term;

struct tailer {
    struct rt_process *process;
    struct rt_keys *keys;
    struct catalog *catalog;
    struct setup_config setup;
    struct slot *slot;
    struct marker *marker;
    struct term *term; /* NULL: the slot is somebody else's, or not ours yet */
    struct instruments metrics;
    struct rt_condition *catalog_condition;
    struct rt_condition *shards_condition;
    struct rt_timer *tick;
    struct rt_timer *sample;
    struct rt_timer *hold;
    struct rt_timer *draining;
    rt_usec drain_until;
    rt_usec hold_since; /* 0: no message is held */
    int64_t behind;     /* the shard that reading waits for, or -1 */
    rt_usec behind_since;
    rt_usec paused; /* time spent waiting before */
    uint64_t checked_bytes;
    struct patience *patience;       /* one per shard */
    enum patience_verdict *verdicts; /* of the look at hand */
    struct setup_sample last_sample;
};

extern const struct slot_events tailer_slot_events; /* ctx: the tailer */

/* After each message: pauses reading when a shard holds too much. */
void tailer_pause_when_behind(struct tailer *tailer);
/* Ends the pause, if there is one. */
void tailer_go_on(struct tailer *tailer);
/* Now and then, while there is a term: leaves, gives up, starts the stream again. */
void tailer_look_at_shards(struct tailer *tailer, rt_usec now);
void tailer_shard_acked(void *ctx, uint32_t shard); /* ctx: the tailer */
void tailer_shard_came(void *ctx, uint32_t shard);
/* Says in the health report how the shards are served. */
void tailer_report_shards(struct tailer *tailer);

#endif
