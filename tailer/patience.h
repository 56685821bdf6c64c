/* tailer/patience.h - how long a shard that acknowledges nothing is waited for.
 *
 * A shard that has something to acknowledge and does not is *stalled* after `stall`: then others need not wait for it. It is
 * *spent* when it has held back WAL for `time`, or while `bytes` of it were written: then PostgreSQL need not
 * keep WAL for it either. What was behind before it stopped does not count: that is not its fault.
 *
 * Pure.
 */
#ifndef PGTIDE_TAILER_PATIENCE_H
#define PGTIDE_TAILER_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/clock.h"

struct patience_limits {
    rt_usec stall;
    rt_usec time;
    uint64_t bytes;
};

/* One per shard; all zero at first. */
struct patience {
    rt_usec since; /* it stopped, or was heard last; 0: it holds nothing back */
    uint64_t lsn;  /* where the server was then */
};

enum patience_verdict { PATIENCE_FINE, PATIENCE_STALLED, PATIENCE_SPENT };

/* It acknowledged something, or came back. */
void patience_heard(struct patience *patience);
/* `holds`: something is not acknowledged. `server_lsn`: how far the server's WAL goes. `endangered`: PostgreSQL is
 * about to drop the slot. */
enum patience_verdict patience_look(struct patience *patience, const struct patience_limits *limits,
                                    bool holds, uint64_t server_lsn, bool endangered, rt_usec now);

#endif
