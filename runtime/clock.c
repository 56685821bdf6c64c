/* runtime/clock.c - time and randomness from the kernel. */
#include "runtime/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static rt_usec read_clock(clockid_t id)
{
    struct timespec now;
    if (clock_gettime(id, &now) != 0) {
        abort(); /* both clocks exist on every Linux */
    }
    return (rt_usec)now.tv_sec * RT_SEC + (rt_usec)now.tv_nsec / 1000;
}

rt_usec rt_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

rt_usec rt_wall_now(void)
{
    return read_clock(CLOCK_REALTIME);
}

void rt_time_text(rt_usec wall, char out[RT_TIME_TEXT_SIZE])
{
    rt_usec fraction = wall % RT_SEC;
    if (fraction < 0) {
        fraction += RT_SEC; /* before 1970 the second is rounded down, not towards zero */
    }
    time_t seconds = (time_t)((wall - fraction) / RT_SEC);
    struct tm tm;
    char date[24];
    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        (void)snprintf(out, RT_TIME_TEXT_SIZE, "0000-00-00T00:00:00.000000Z");
        return;
    }
    (void)snprintf(out, RT_TIME_TEXT_SIZE, "%s.%06uZ", date, (unsigned)fraction % 1000000u);
}

uint64_t rt_random64(void)
{
    uint64_t value = 0;
    /* Up to 256 bytes getrandom neither blocks after boot nor returns less. */
    if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value)) {
        abort();
    }
    return value;
}

bool rt_bind_again(rt_usec since)
{
    const struct timespec pause = { .tv_nsec = 20L * 1000 * 1000 };
    if (rt_now() - since >= RT_BIND_PATIENCE) {
        return false;
    }
    (void)nanosleep(&pause, NULL);
    return true;
}
