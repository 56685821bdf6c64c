/* broker/view/asks_metrics.h - what the fallback lane counts. The metrics belong to the registry.
 */
#ifndef PGTIDE_BROKER_VIEW_ASKS_METRICS_H
#define PGTIDE_BROKER_VIEW_ASKS_METRICS_H

#include "runtime/metrics.h"

enum ask_lane {
    ASK_LANE_SET,    /* many identities by one statement */
    ASK_LANE_LOOP,   /* one after the other, with one plan */
    ASK_LANE_FILTER, /* conditions of filters */
    ASK_LANES
};
enum ask_retry {
    ASK_RETRY_UNSEEN, /* the snapshot was older than the change */
    ASK_RETRY_RAISED, /* a statement failed as a whole: its questions in smaller ones */
    ASK_RETRY_SHAPE,  /* the table is not the one that the rows were of */
    ASK_RETRY_LOST,
    ASK_RETRIES
};
enum ask_failure { ASK_FAILURE_DEADLINE, ASK_FAILURE_ERROR, ASK_FAILURE_FULL, ASK_FAILURES };

struct asks_metrics {
    struct rt_counter *questions[ASK_LANES];
    struct rt_counter *batches[ASK_LANES];
    struct rt_counter *judged[ASK_LANES];
    struct rt_counter *retries[ASK_RETRIES];
    struct rt_counter *failures[ASK_FAILURES];
    struct rt_counter *shared;     /* asked by several views, once */
    struct rt_counter *kept;       /* texts that made use of a statement that was there */
    struct rt_counter *raised;     /* answers that are an error of the identity */
    struct rt_counter *incomplete; /* rows that cannot be asked about */
    struct rt_gauge *pending;
    struct rt_histogram *seconds; /* from question to answer */
};

void asks_metrics_init(struct asks_metrics *metrics, struct rt_metrics *registry);

#endif
