/* edge/timer_wheel.h - one timer per client, for any number of clients.
 *
 * libwebsockets and libev keep timers sorted; with tens of thousands of clients that all re-arm theirs, the sorting
 * is what costs. Here setting, moving and cancelling cost O(1), at the price of a tick's precision: a
 * timer fires up to one tick late, never early.
 *
 * The owner embeds the timer, and calls timer_wheel_advance() about once a tick with the time it is. `fire` may set,
 * cancel and free any timer, its own included. Pure but for memory; no clock of its own.
 */
#ifndef PGTIDE_EDGE_TIMER_WHEEL_H
#define PGTIDE_EDGE_TIMER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/clock.h"

struct wheel_timer {
    struct wheel_timer *prev; /* NULL: rests */
    struct wheel_timer *next;
    rt_usec due;
    void (*fire)(struct wheel_timer *timer, rt_usec now);
};

struct timer_wheel;

struct timer_wheel *timer_wheel_new(rt_usec now, rt_usec tick);
/* Timers that are still set are forgotten, not fired. */
void timer_wheel_free(struct timer_wheel *wheel);
/* Sets, or sets anew; timer->fire must be set. Due in the past: fires at the next advance. */
void timer_wheel_set(struct timer_wheel *wheel, struct wheel_timer *timer, rt_usec due);
void timer_wheel_cancel(struct timer_wheel *wheel, struct wheel_timer *timer); /* resting is fine */
void timer_wheel_advance(struct timer_wheel *wheel, rt_usec now);
size_t timer_wheel_count(const struct timer_wheel *wheel);

#endif
