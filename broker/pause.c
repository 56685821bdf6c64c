/* broker/pause.c - paused time, by reason. */
#include "broker/pause.h"

void pause_set(struct pause *pause, struct stats *stats, unsigned reasons, rt_usec now)
{
    for (unsigned i = 0; i < PAUSE_REASONS; i++) {
        if ((pause->reasons & PAUSE_BIT(i)) != 0) {
            struct rt_gauge *seconds = stats->paused_seconds[i];
            rt_gauge_set(seconds, seconds->value + (double)(now - pause->since) / 1e6);
        }
    }
    pause->reasons = reasons;
    pause->since = now;
}
