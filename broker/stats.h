/* broker/stats.h - the counters of a broker, registered once, updated by whoever knows. */
#ifndef PGTIDE_BROKER_STATS_H
#define PGTIDE_BROKER_STATS_H

#include "proto/records.h"
#include "runtime/metrics.h"

/* Why the stream of the tailer is not read at the moment. */
enum pause_reason { PAUSE_AUTHORITY, PAUSE_RELATION, PAUSE_EDGES, PAUSE_REASONS };

struct stats {
    struct rt_counter *changes;
    struct rt_counter *matched;
    struct rt_counter *deliveries;
    struct rt_counter *withheld;
    struct rt_counter *judged;
    struct rt_counter *blind;
    struct rt_counter *missing;
    struct rt_counter *unjudged;
    struct rt_counter *duplicates;
    struct rt_counter *unknown_relations;
    struct rt_counter *gaps;
    struct rt_counter *malformed_tailer;
    struct rt_counter *malformed_edge;
    struct rt_counter *evicted;
    struct rt_counter *ignored;
    struct rt_counter *refused[WIRE_CODE_RATE_LIMITED + 1];
    struct rt_counter *replayed;
    struct rt_counter *replays;
    struct rt_counter *snapshot_rows;
    struct rt_counter *gone[WIRE_GONE_SNAPSHOT + 1];
    struct rt_counter *bad_markers;
    struct rt_counter *authority_queries;
    struct rt_counter *authority_retries;
    struct rt_counter *authority_reloads;
    struct rt_gauge *groups;
    struct rt_gauge *tables;
    struct rt_gauge *subscriptions;
    struct rt_gauge *identities;
    struct rt_gauge *edges;
    struct rt_gauge *stalled_edges;
    struct rt_gauge *paused_seconds[PAUSE_REASONS];
    struct rt_gauge *replays_running;
    struct rt_gauge *window_bytes;
    struct rt_gauge *window_seconds;
    struct rt_gauge *window_entries;
    struct rt_gauge *window_floor_lsn;
    struct rt_gauge *position_lsn;
    struct rt_gauge *database_time;
};

/* The metrics belong to the registry. */
void stats_init(struct stats *stats, struct rt_metrics *metrics);

#endif
