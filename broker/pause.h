/* broker/pause.h - why the tailer's stream is not read, and for how long that has been so. Pure. */
#ifndef PGTIDE_BROKER_PAUSE_H
#define PGTIDE_BROKER_PAUSE_H

#include "broker/stats.h"
#include "runtime/clock.h"

#define PAUSE_BIT(reason) (1u << (reason))

struct pause {
    unsigned reasons; /* PAUSE_BIT of each enum pause_reason that holds */
    rt_usec since;    /* up to here time is accounted for */
};

/* Accounts for the time since the last call, and takes the new reasons. */
void pause_set(struct pause *pause, struct stats *stats, unsigned reasons, rt_usec now);

#endif
