/* broker/snapshot/metrics.h - the metrics of snapshots, registered once. */
#ifndef PGTIDE_BROKER_SNAPSHOT_METRICS_H
#define PGTIDE_BROKER_SNAPSHOT_METRICS_H

#include "runtime/metrics.h"

/* Why a snapshot did not get to its end. A client that leaves is none of these. */
enum snapshot_failure {
    SNAPSHOT_FORBIDDEN,  /* the role may not, or may not be taken on */
    SNAPSHOT_TABLE,      /* dropped or altered meanwhile */
    SNAPSHOT_TIMEOUT,    /* of a statement, or of a client that takes no rows */
    SNAPSHOT_CONNECTION, /* none to the database */
    SNAPSHOT_WINDOW,     /* commits that it does not see are not in the window any more */
    SNAPSHOT_TOKEN,      /* not usable */
    SNAPSHOT_OTHER,
    SNAPSHOT_FAILURES
};

struct snapshot_metrics {
    struct rt_gauge *waiting; /* for a connection */
    struct rt_gauge *running; /* the others, until they are live */
    struct rt_counter *rows;
    struct rt_counter *rolls; /* times a newer snapshot was taken on the way */
    struct rt_counter *failed[SNAPSHOT_FAILURES];
    struct rt_histogram *seconds; /* until the last row was sent */
};

/* The metrics belong to the registry. */
void snapshot_metrics_init(struct snapshot_metrics *metrics, struct rt_metrics *registry);

#endif
