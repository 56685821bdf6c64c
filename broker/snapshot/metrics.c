/* broker/snapshot/metrics.c - names and help texts. */
#include "broker/snapshot/metrics.h"

void snapshot_metrics_init(struct snapshot_metrics *metrics, struct rt_metrics *registry)
{
    static const char *const labels[SNAPSHOT_FAILURES] = {
        [SNAPSHOT_FORBIDDEN] = "reason=\"forbidden\"",
        [SNAPSHOT_TABLE] = "reason=\"table\"",
        [SNAPSHOT_TIMEOUT] = "reason=\"timeout\"",
        [SNAPSHOT_CONNECTION] = "reason=\"connection\"",
        [SNAPSHOT_WINDOW] = "reason=\"window\"",
        [SNAPSHOT_TOKEN] = "reason=\"token\"",
        [SNAPSHOT_OTHER] = "reason=\"other\"",
    };

    metrics->waiting = rt_gauge_new(registry, "pgtide_broker_snapshots_waiting", NULL,
                                    "Snapshots that wait for one of snapshot.connections.");
    metrics->running = rt_gauge_new(registry, "pgtide_broker_snapshots_running", NULL,
                                    "Snapshots under way, those that wait for their client or "
                                    "catch up with the stream included.");
    metrics->rows = rt_counter_new(registry, "pgtide_broker_snapshot_rows_total", NULL,
                                   "Rows of snapshots handed to edges.");
    metrics->rolls = rt_counter_new(registry, "pgtide_broker_snapshot_rolls_total", NULL,
                                    "Times a snapshot went on from a newer one: it was long, its "
                                    "client slow, or its connection lost.");
    for (int i = 0; i < SNAPSHOT_FAILURES; i++) {
        metrics->failed[i] =
            rt_counter_new(registry, "pgtide_broker_snapshots_failed_total", labels[i],
                           "Snapshots that ended before their end, by reason.");
    }
    metrics->seconds = rt_histogram_new(registry, "pgtide_broker_snapshot_seconds", NULL,
                                        "From the wish for a snapshot to its last row.");
}
