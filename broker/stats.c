/* broker/stats.c - names and help texts of a broker's metrics. */
#include "broker/stats.h"

#include <stddef.h>

struct counter_row {
    size_t offset;
    const char *name;
    const char *labels;
    const char *help;
};

static const char refused_name[] = "pgtide_broker_refused_total";
static const char refused_help[] =
    "Subscriptions refused or ended, by the code the client is given.";
static const char gone_name[] = "pgtide_broker_gone_total";
static const char gone_help[] =
    "Subscriptions ended because what they asked to go on from cannot be had, by reason.";
static const char paused_name[] = "pgtide_broker_paused_seconds";
static const char paused_help[] = "Seconds in which the tailer's stream was not read, by reason.";

static const struct counter_row counters[] = {
    { offsetof(struct stats, changes), "pgtide_broker_changes_total", NULL,
      "Row changes and truncates received from the tailer, duplicates not counted." },
    { offsetof(struct stats, matched), "pgtide_broker_matched_total", NULL,
      "Changes for which some edge had a subscription." },
    { offsetof(struct stats, deliveries), "pgtide_broker_deliveries_total", NULL,
      "Changes handed to edges, counted once for each edge." },
    { offsetof(struct stats, withheld), "pgtide_broker_withheld_total", NULL,
      "Changes of a watched table that were not delivered because they did not fit what is known "
      "of it." },
    { offsetof(struct stats, judged), "pgtide_broker_judged_total", NULL,
      "Rows judged by policies or filters, counted once for each view that might show them." },
    { offsetof(struct stats, blind), "pgtide_broker_blind_total", NULL,
      "Columns that a policy or filter is looked up by, and that an old row in the WAL did not "
      "carry: such rows are not shown (REPLICA IDENTITY FULL mends that)." },
    { offsetof(struct stats, missing), "pgtide_broker_missing_total", NULL,
      "Row versions that a view did not show because a column that its policies or its filter need "
      "was not in the WAL record, counted once for each view (REPLICA IDENTITY FULL mends that)." },
    { offsetof(struct stats, unjudged), "pgtide_broker_unjudged_total", NULL,
      "Times a view was told of a gap because the database did not judge a change in time." },
    { offsetof(struct stats, duplicates), "pgtide_broker_duplicates_total", NULL,
      "Changes that the tailer sent again and that were dropped by position." },
    { offsetof(struct stats, unknown_relations), "pgtide_broker_unknown_relations_total", NULL,
      "Times a relation had to be asked for because its number was not known." },
    { offsetof(struct stats, gaps), "pgtide_broker_gaps_total", NULL,
      "Holes in history announced to the edges." },
    { offsetof(struct stats, malformed_tailer), "pgtide_broker_malformed_total", "peer=\"tailer\"",
      "Messages of a peer that could not be read." },
    { offsetof(struct stats, malformed_edge), "pgtide_broker_malformed_total", "peer=\"edge\"",
      "Messages of a peer that could not be read." },
    { offsetof(struct stats, evicted), "pgtide_broker_evicted_frames_total", NULL,
      "Frames dropped from the ring of an edge that did not acknowledge them." },
    { offsetof(struct stats, ignored), "pgtide_broker_ignored_records_total", NULL,
      "Well-formed records of edges that this version does not serve." },
    { offsetof(struct stats, refused[WIRE_CODE_UNAUTHORIZED]), refused_name,
      "code=\"UNAUTHORIZED\"", refused_help },
    { offsetof(struct stats, refused[WIRE_CODE_FORBIDDEN]), refused_name, "code=\"FORBIDDEN\"",
      refused_help },
    { offsetof(struct stats, refused[WIRE_CODE_INVALID_CHANNEL]), refused_name,
      "code=\"INVALID_CHANNEL\"", refused_help },
    { offsetof(struct stats, refused[WIRE_CODE_SUBSCRIPTION_FAILED]), refused_name,
      "code=\"SUBSCRIPTION_FAILED\"", refused_help },
    { offsetof(struct stats, refused[WIRE_CODE_RATE_LIMITED]), refused_name,
      "code=\"RATE_LIMITED\"", refused_help },
    { offsetof(struct stats, replays), "pgtide_broker_replays_total", NULL,
      "Replays begun for subscriptions that came back." },
    { offsetof(struct stats, snapshot_rows), "pgtide_broker_snapshot_rows_total", NULL,
      "Rows of snapshots handed to edges." },
    { offsetof(struct stats, replayed), "pgtide_broker_replayed_total", NULL,
      "Changes handed to edges from the window, counted once for each replay." },
    { offsetof(struct stats, gone[WIRE_GONE_EPOCH]), gone_name, "reason=\"epoch\"", gone_help },
    { offsetof(struct stats, gone[WIRE_GONE_TOO_OLD]), gone_name, "reason=\"too_old\"", gone_help },
    { offsetof(struct stats, gone[WIRE_GONE_AHEAD]), gone_name, "reason=\"ahead\"", gone_help },
    { offsetof(struct stats, gone[WIRE_GONE_SNAPSHOT]), gone_name, "reason=\"snapshot\"",
      gone_help },
    { offsetof(struct stats, bad_markers), "pgtide_broker_bad_markers_total", NULL,
      "Messages of pgtide in the stream (freshness, rights) whose number cannot be read." },
    { offsetof(struct stats, authority_queries), "pgtide_broker_authority_queries_total", NULL,
      "Catalog queries about the rights of roles." },
    { offsetof(struct stats, authority_retries), "pgtide_broker_authority_retries_total", NULL,
      "Catalog queries repeated because a commit of the stream was not visible yet, or after an "
      "error." },
    { offsetof(struct stats, authority_reloads), "pgtide_broker_authority_reloads_total", NULL,
      "Times rights in use were read again because a definition changed." },
};

static const struct counter_row gauges[] = {
    { offsetof(struct stats, groups), "pgtide_broker_groups", NULL,
      "Groups: same table, same columns." },
    { offsetof(struct stats, tables), "pgtide_broker_tables", NULL, "Tables with subscriptions." },
    { offsetof(struct stats, subscriptions), "pgtide_broker_subscriptions", NULL,
      "Subscriptions of all edges, those not answered yet included." },
    { offsetof(struct stats, identities), "pgtide_broker_identities", NULL,
      "Identities of all edges." },
    { offsetof(struct stats, edges), "pgtide_broker_edges", NULL, "Edges with a session." },
    { offsetof(struct stats, stalled_edges), "pgtide_broker_stalled_edges", NULL,
      "Edges that are not waited for, since their ring is half full and they acknowledge "
      "nothing." },
    { offsetof(struct stats, paused_seconds[PAUSE_AUTHORITY]), paused_name, "reason=\"authority\"",
      paused_help },
    { offsetof(struct stats, paused_seconds[PAUSE_RELATION]), paused_name, "reason=\"relation\"",
      paused_help },
    { offsetof(struct stats, paused_seconds[PAUSE_EDGES]), paused_name, "reason=\"edges\"",
      paused_help },
    { offsetof(struct stats, replays_running), "pgtide_broker_replays", NULL,
      "Replays under way." },
    { offsetof(struct stats, window_bytes), "pgtide_broker_window_bytes", NULL,
      "Memory of the changes kept for subscriptions that come back." },
    { offsetof(struct stats, window_seconds), "pgtide_broker_window_seconds", NULL,
      "Age of the oldest of them." },
    { offsetof(struct stats, window_entries), "pgtide_broker_window_entries", NULL,
      "Changes kept; a truncate counts once for each of its tables." },
    { offsetof(struct stats, window_floor_lsn), "pgtide_broker_window_floor_lsn", NULL,
      "Log position after which everything is kept, as a number." },
    { offsetof(struct stats, position_lsn), "pgtide_broker_position_lsn", NULL,
      "Log position up to which everything is processed, as a number." },
    { offsetof(struct stats, database_time), "pgtide_broker_database_time_seconds", NULL,
      "The database's clock at that position, seconds since 1970." },
};

void stats_init(struct stats *stats, struct rt_metrics *metrics)
{
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        const struct counter_row *row = &counters[i];
        struct rt_counter **field = (void *)((char *)stats + row->offset);
        *field = rt_counter_new(metrics, row->name, row->labels, row->help);
    }
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
        const struct counter_row *row = &gauges[i];
        struct rt_gauge **field = (void *)((char *)stats + row->offset);
        *field = rt_gauge_new(metrics, row->name, row->labels, row->help);
    }
    stats->refused[0] = NULL;
    stats->gone[0] = NULL;
}
