/* tailer/marker.h - the freshness marker: a logical message that the tailer writes into the database's log, and that
 * comes back through the slot to every shard and edge. Whoever has not seen one for a while knows that what it shows is stale, also when
 * nothing is written: the whole path is proven, from the log to the edge.
 *
 *   pg_logical_emit_message(false, MARKER_PREFIX, '<microseconds since 1970, the tailer's clock>')
 *
 * One every `interval` while running, over a connection of its own that never blocks the loop; none while the last one is not
 * answered. Not transactional: it takes no transaction number and waits for no synchronous standby. A server that takes none
 * (in recovery, or the right was revoked) is said once in the log and counted each time; nothing else depends on it.
 */
#ifndef PGTIDE_TAILER_MARKER_H
#define PGTIDE_TAILER_MARKER_H

#include "runtime/clock.h"

#define MARKER_PREFIX "pgtide.fresh"

struct marker;
struct rt_counter;
struct rt_log;
struct rt_loop;

struct marker_config {
    struct rt_loop *loop;
    struct rt_log *log;
    const char *url; /* outlives the marker */
    rt_usec interval;
    rt_usec timeout;
    rt_usec retry_max;
    struct rt_counter *written;
    struct rt_counter *failed;
};

/* NULL when `interval` is 0; every function takes that. */
struct marker *marker_new(const struct marker_config *config);
void marker_free(struct marker *marker);
/* Connects and writes; repeated calls change nothing. */
void marker_start(struct marker *marker);
/* Writes no more, and stays connected: the stream is interrupted. */
void marker_rest(struct marker *marker);
/* And disconnects: the slot is somebody else's. */
void marker_stop(struct marker *marker);

#endif
