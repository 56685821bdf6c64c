/* runtime/clock.h - time. Inside a process time is monotonic microseconds; wall time is for people,
 * for tokens and for comparing with PostgreSQL's commit times. */
#ifndef PGTIDE_RUNTIME_CLOCK_H
#define PGTIDE_RUNTIME_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef int64_t rt_usec;

#define RT_MSEC ((rt_usec)1000)
#define RT_SEC  ((rt_usec)1000000)

rt_usec rt_now(void);      /* monotonic; one vDSO call */
rt_usec rt_wall_now(void); /* microseconds since 1970-01-01 UTC */
/* Writes 2026-11-21T09:49:46.123456Z (27 characters and NUL). */
#define RT_TIME_TEXT_SIZE 32
void rt_time_text(rt_usec wall, char out[RT_TIME_TEXT_SIZE]);
uint64_t rt_random64(void); /* from getrandom(2) */

/* For a port that is taken at start. A predecessor that was killed keeps its ports until its last thread is
 * gone, some milliseconds after its process number is free. False, at once, when `since` (rt_now() of the first attempt) is
 * RT_BIND_PATIENCE ago; else true, after 20 ms in which nothing else runs. */
#define RT_BIND_PATIENCE (2 * RT_SEC)
bool rt_bind_again(rt_usec since);

#endif
