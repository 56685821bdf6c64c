/* runtime/metrics.h - counters, gauges and histograms, written as Prometheus text (format 0.0.4).
 *
 * A metric is registered once at start, with its help text, and returned as a pointer that the owner
 * updates directly; the registry reads it when asked. Several label sets of one name are several
 * registrations; `labels` is the ready text `shard="0"` or NULL. Names follow Prometheus' rules:
 * pgtide_TIER_…_total for counters, base units (seconds, bytes). One thread. Update cost: one add.
 * Registering a name with the same labels twice gives the same metric, which rt_metric_drop() frees when
 * it was called as often.
 */
#ifndef PGTIDE_RUNTIME_METRICS_H
#define PGTIDE_RUNTIME_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"

struct rt_metrics;

struct rt_counter {
    uint64_t value;
};
struct rt_gauge {
    double value;
};
#define RT_HISTOGRAM_BUCKETS 16
struct rt_histogram {
    double sum;
    uint64_t count;
    uint64_t buckets[RT_HISTOGRAM_BUCKETS + 1]; /* last: +Inf */
    const double *bounds;                       /* RT_HISTOGRAM_BUCKETS upper bounds */
};

struct rt_metrics *rt_metrics_new(void);
void rt_metrics_free(struct rt_metrics *metrics); /* frees the metrics as well */

struct rt_counter *rt_counter_new(struct rt_metrics *metrics, const char *name, const char *labels,
                                  const char *help);
struct rt_gauge *rt_gauge_new(struct rt_metrics *metrics, const char *name, const char *labels,
                              const char *help);
/* Durations in seconds: buckets from 100 us to 10 s. */
struct rt_histogram *rt_histogram_new(struct rt_metrics *metrics, const char *name,
                                      const char *labels, const char *help);
/* Unregisters and frees one metric (a peer that is gone). Any of the three kinds; NULL is fine. */
void rt_metric_drop(struct rt_metrics *metrics, void *metric);
/* Called before every rendering, for gauges that are computed then. */
void rt_metrics_on_render(struct rt_metrics *metrics, void (*fn)(void *ctx), void *ctx);

static inline void rt_counter_add(struct rt_counter *counter, uint64_t n)
{
    counter->value += n;
}
static inline void rt_gauge_set(struct rt_gauge *gauge, double value)
{
    gauge->value = value;
}
void rt_histogram_observe(struct rt_histogram *histogram, double seconds);

/* Appends the whole exposition. process_* metrics (memory, descriptors, CPU) are included. */
void rt_metrics_render(struct rt_metrics *metrics, struct rt_buf *out);

#endif
