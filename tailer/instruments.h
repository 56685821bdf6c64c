/* tailer/instruments.h - the tailer's metrics, registered once. */
#ifndef PGTIDE_TAILER_INSTRUMENTS_H
#define PGTIDE_TAILER_INSTRUMENTS_H

#include <stdint.h>

#include "runtime/metrics.h"
#include "tailer/consume.h"

struct instruments_shard {
    struct rt_gauge *pending;
    struct rt_gauge *part; /* enum publish_part */
};

struct instruments {
    struct consume_counters consume;
    struct rt_counter *reconnects;
    struct rt_counter *illegal_events;
    struct rt_counter *decode_errors;
    struct rt_counter *catalog_queries;
    struct rt_counter *catalog_waits; /* tables that were not visible yet */
    struct rt_counter *needs;         /* relation records asked for by shards */
    struct rt_counter *bad_messages;  /* of shards */
    struct rt_counter *gaps;
    struct rt_counter *left_behind;
    struct rt_counter *given_up;
    struct rt_counter *rewinds;
    struct rt_counter *markers;
    struct rt_counter *marker_failures;
    struct rt_gauge *state; /* enum slot_state */
    struct rt_gauge *published_lsn;
    struct rt_gauge *confirmed_lsn;
    struct rt_gauge *lag_bytes;
    struct rt_gauge *retained_bytes;
    struct rt_gauge *safe_bytes;
    struct rt_gauge *window_start;
    struct rt_gauge *window_bytes;
    struct rt_gauge *window_limit;
    struct rt_gauge *window_seconds;
    struct rt_gauge *paused_seconds;
    struct rt_gauge *frame_bytes;
    struct rt_gauge *relations;
    struct rt_gauge *generations;
    struct rt_gauge *absent_types;
    struct rt_gauge *complex_types;
    struct instruments_shard *shards; /* one per shard */
};

void instruments_init(struct instruments *out, struct rt_metrics *metrics, uint32_t shards);
void instruments_fini(
    struct instruments *instruments); /* the registry owns the metrics themselves */

#endif
