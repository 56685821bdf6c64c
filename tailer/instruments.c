/* tailer/instruments.c - see instruments.h. */
#include "tailer/instruments.h"

#include <stdio.h>
#include <stdlib.h>

static struct rt_counter *counter(struct rt_metrics *metrics, const char *name, const char *help)
{
    return rt_counter_new(metrics, name, NULL, help);
}

static struct rt_gauge *gauge(struct rt_metrics *metrics, const char *name, const char *help)
{
    return rt_gauge_new(metrics, name, NULL, help);
}

static void init_consume(struct consume_counters *consume, struct rt_metrics *metrics)
{
    static const char rows[] = "pgtide_tailer_changes_total";
    static const char help[] = "Changes published, by operation; a TRUNCATE counts once";

    consume->inserts = rt_counter_new(metrics, rows, "op=\"insert\"", help);
    consume->updates = rt_counter_new(metrics, rows, "op=\"update\"", help);
    consume->deletes = rt_counter_new(metrics, rows, "op=\"delete\"", help);
    consume->truncates = rt_counter_new(metrics, rows, "op=\"truncate\"", help);
    consume->messages = counter(metrics, "pgtide_tailer_messages_total",
                                "Logical messages (pg_logical_emit_message) published");
    consume->transactions =
        counter(metrics, "pgtide_tailer_transactions_total", "Transactions published");
    consume->bytes = counter(metrics, "pgtide_tailer_read_bytes_total",
                             "Bytes of pgoutput messages that were taken");
    consume->too_large = counter(metrics, "pgtide_tailer_too_large_total",
                                 "Values over database.max_value, left out of their change");
}

static void init_gauges(struct instruments *out, struct rt_metrics *metrics)
{
    out->state = gauge(metrics, "pgtide_tailer_slot_state",
                       "0 down, 1 dialing, 2 identifying, 3 checking, 4 dropping, 5 creating, "
                       "6 starting, 7 streaming, 8 standby, 9 stopped, 10 resolving");
    out->published_lsn = gauge(metrics, "pgtide_tailer_published_lsn",
                               "WAL position up to which everything is published");
    out->confirmed_lsn =
        gauge(metrics, "pgtide_tailer_confirmed_lsn", "WAL position confirmed to PostgreSQL last");
    out->lag_bytes = gauge(metrics, "pgtide_tailer_lag_bytes",
                           "WAL of the server that is not published yet, sampled every 5 s");
    out->retained_bytes = gauge(metrics, "pgtide_tailer_retained_wal_bytes",
                                "WAL the server keeps for the slot, sampled every 5 s");
    out->safe_bytes = gauge(metrics, "pgtide_tailer_safe_wal_bytes",
                            "WAL that may still be written before the slot may be invalidated; "
                            "-1: no limit (max_slot_wal_keep_size)");
    out->window_start = gauge(metrics, "pgtide_tailer_window_start_lsn",
                              "WAL position at which the window begins: what comes after it can be "
                              "had again");
    out->window_bytes = gauge(metrics, "pgtide_tailer_window_bytes", "WAL in the window");
    out->window_limit = gauge(metrics, "pgtide_tailer_window_limit_bytes",
                              "Most WAL that the window may hold now: window.bytes, or less while "
                              "PostgreSQL has little room for the slot");
    out->window_seconds = gauge(metrics, "pgtide_tailer_window_seconds", "Age of its start");
    out->paused_seconds = gauge(metrics, "pgtide_tailer_paused_seconds",
                                "Time during which reading rested since a shard was behind");
    out->frame_bytes =
        gauge(metrics, "pgtide_tailer_frame_bytes", "Bytes of all frames sent to shards");
    out->relations =
        gauge(metrics, "pgtide_tailer_relations",
              "Table definitions in memory, replaced ones that may be asked for included");
    out->generations =
        gauge(metrics, "pgtide_tailer_relation_generations", "Table definitions made so far");
    out->absent_types =
        gauge(metrics, "pgtide_tailer_absent_types",
              "Columns given as text since their type was not in the catalog any more");
    out->complex_types = gauge(metrics, "pgtide_tailer_complex_types",
                               "Columns given as text since their type nests too deep");
}

void instruments_init(struct instruments *out, struct rt_metrics *metrics, uint32_t shards)
{
    init_consume(&out->consume, metrics);
    init_gauges(out, metrics);
    out->reconnects = counter(metrics, "pgtide_tailer_reconnects_total",
                              "Replication connections that failed or were lost");
    out->illegal_events = counter(metrics, "pgtide_tailer_illegal_events_total",
                                  "Events that the slot's state does not know: a fault of pgtide");
    out->decode_errors = counter(metrics, "pgtide_tailer_decode_errors_total",
                                 "Messages of the server that could not be understood");
    out->catalog_queries = counter(metrics, "pgtide_tailer_catalog_queries_total",
                                   "SQL statements of the second connection");
    out->catalog_waits =
        counter(metrics, "pgtide_tailer_catalog_waits_total",
                "Times a change waited for its table to become visible in the catalog");
    out->needs = counter(metrics, "pgtide_tailer_relation_requests_total",
                         "Table definitions that shards asked for again");
    out->bad_messages = counter(metrics, "pgtide_tailer_bad_messages_total",
                                "Messages of shards that were refused");
    out->gaps =
        counter(metrics, "pgtide_tailer_gaps_total",
                "Times the history of the database had a hole (new slot, timeline or server)");
    out->left_behind = counter(metrics, "pgtide_tailer_left_behind_total",
                               "Times a shard acknowledged nothing and the others went on");
    out->given_up = counter(metrics, "pgtide_tailer_given_up_total",
                            "Times a shard was away for longer than retention allows: its clients "
                            "are told of a gap");
    out->rewinds = counter(metrics, "pgtide_tailer_rewinds_total",
                           "Times the stream started again for a shard that came back");
    out->markers = counter(metrics, "pgtide_tailer_markers_total",
                           "Freshness markers written into the database's log");
    out->marker_failures = counter(metrics, "pgtide_tailer_marker_failures_total",
                                   "Freshness markers that could not be written, or connections "
                                   "for them that failed");
    out->shards = rt_alloc(shards * sizeof(*out->shards));
    for (uint32_t i = 0; i < shards; i++) {
        char labels[32];
        (void)snprintf(labels, sizeof(labels), "shard=\"%u\"", (unsigned)i);
        out->shards[i].pending = rt_gauge_new(metrics, "pgtide_tailer_pending_bytes", labels,
                                              "Bytes a shard has not acknowledged");
        out->shards[i].part = rt_gauge_new(metrics, "pgtide_tailer_shard_state", labels,
                                           "0 takes part, 1 left behind, 2 given up, 3 returning");
    }
}

void instruments_fini(struct instruments *instruments)
{
    free(instruments->shards);
    instruments->shards = NULL;
}
