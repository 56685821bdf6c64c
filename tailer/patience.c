/* tailer/patience.c - see patience.h. */
#include "tailer/patience.h"

void patience_heard(struct patience *patience)
{
    patience->since = 0;
}

enum patience_verdict patience_look(struct patience *patience, const struct patience_limits *limits,
                                    bool holds, uint64_t server_lsn, bool endangered, rt_usec now)
{
    if (!holds || patience->since == 0) {
        patience->since = holds ? now : 0;
        patience->lsn = server_lsn;
        return PATIENCE_FINE;
    }
    rt_usec waited = now - patience->since;
    uint64_t written = server_lsn > patience->lsn ? server_lsn - patience->lsn : 0;

    if (waited < limits->stall) {
        return PATIENCE_FINE;
    }
    if (endangered || waited >= limits->time || written >= limits->bytes) {
        return PATIENCE_SPENT;
    }
    return PATIENCE_STALLED;
}
