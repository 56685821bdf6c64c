/* tailer/marker.c - see marker.h. */
#include "tailer/marker.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "pg/pgconn.h"
#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

static const char marker_sql[] =
    "SELECT pg_catalog.pg_logical_emit_message(false, '" MARKER_PREFIX "', $1::text)";

struct marker {
    struct marker_config config;
    struct pgconn *conn; /* NULL: stopped */
    struct rt_timer *timer;
    bool runs;
    bool failing; /* said in the log */
};

static void write_one(void *ctx)
{
    struct marker *marker = ctx;
    char now[24];
    const char *params[] = { now };

    if (marker->runs && pgconn_ready(marker->conn)) {
        (void)snprintf(now, sizeof(now), "%" PRId64, rt_wall_now());
        (void)pgconn_send(marker->conn, marker_sql, 1, params);
    }
}

static void fail(struct marker *marker, const char *reason)
{
    rt_counter_add(marker->config.failed, 1);
    if (!marker->failing) {
        marker->failing = true;
        rt_log_warn(marker->config.log, "marker.failed", RT_S("reason", reason),
                    RT_S("advice", "freshness is not known; freshness.interval=0 turns it off"));
    }
}

static void on_down(void *ctx, const char *reason)
{
    fail(ctx, reason);
}

static void on_result(void *ctx, const PGresult *result)
{
    struct marker *marker = ctx;

    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        fail(marker, text != NULL ? text : "the statement failed");
        return;
    }
    rt_counter_add(marker->config.written, 1);
    if (marker->failing) {
        marker->failing = false;
        rt_log_info(marker->config.log, "marker.works");
    }
}

struct marker *marker_new(const struct marker_config *config)
{
    if (config->interval == 0) {
        return NULL;
    }
    struct marker *marker = rt_alloc(sizeof(*marker));
    marker->config = *config;
    marker->timer = rt_timer_new(config->loop, write_one, marker);
    return marker;
}

void marker_free(struct marker *marker)
{
    if (marker != NULL) {
        marker_stop(marker);
        rt_timer_free(marker->timer);
        free(marker);
    }
}

void marker_start(struct marker *marker)
{
    static const struct pgconn_events events = { .on_up = write_one,
                                                 .on_down = on_down,
                                                 .on_result = on_result };

    if (marker == NULL || marker->runs) {
        return;
    }
    marker->runs = true;
    if (marker->conn == NULL) {
        marker->conn = pgconn_new(&(struct pgconn_config){
            .loop = marker->config.loop,
            .conninfo = marker->config.url,
            .application_name = "pgtide tailer freshness",
            .timeout = marker->config.timeout,
            .retry_max = marker->config.retry_max,
            .events = &events,
            .ctx = marker,
        });
    }
    rt_timer_set(marker->timer, 0, marker->config.interval);
}

void marker_rest(struct marker *marker)
{
    if (marker != NULL) {
        marker->runs = false;
        rt_timer_stop(marker->timer);
    }
}

void marker_stop(struct marker *marker)
{
    marker_rest(marker);
    if (marker != NULL) {
        pgconn_free(marker->conn);
        marker->conn = NULL;
    }
}
