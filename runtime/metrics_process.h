/* runtime/metrics_process.h - the process_* metrics, in the names that Prometheus' own clients use.
 *
 * Read from /proc/self and getrusage(2) at every rendering; what cannot be read is left out. Pure but
 * for those reads; costs one directory listing, so it is for scrapes, not for hot paths.
 */
#ifndef PGTIDE_RUNTIME_METRICS_PROCESS_H
#define PGTIDE_RUNTIME_METRICS_PROCESS_H

#include "runtime/buf.h"

void rt_metrics_process_render(struct rt_buf *out);

#endif
