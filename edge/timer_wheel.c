/* edge/timer_wheel.c - a ring of lists, one per tick. A timer further away than the ring is long waits in
 * the last list, and is put where it belongs when the ring comes round. */
#include "edge/timer_wheel.h"

#include <stdlib.h>

#include "runtime/buf.h"

enum { SLOTS = 1024 };

struct timer_wheel {
    rt_usec tick;
    int64_t at; /* ticks that have been served */
    size_t count;
    struct wheel_timer slots[SLOTS]; /* heads of circular lists */
};

static void list_init(struct wheel_timer *head)
{
    head->prev = head;
    head->next = head;
}

static void unlink_timer(struct wheel_timer *timer)
{
    timer->prev->next = timer->next;
    timer->next->prev = timer->prev;
    timer->prev = NULL;
    timer->next = NULL;
}

static void append(struct wheel_timer *head, struct wheel_timer *timer)
{
    timer->prev = head->prev;
    timer->next = head;
    head->prev->next = timer;
    head->prev = timer;
}

static struct wheel_timer *slot_for(struct timer_wheel *wheel, rt_usec due)
{
    int64_t tick = due / wheel->tick + 1; /* rounded up: never early */

    if (tick <= wheel->at) {
        tick = wheel->at + 1;
    }
    if (tick >= wheel->at + SLOTS) {
        tick = wheel->at + SLOTS - 1;
    }
    return &wheel->slots[tick % SLOTS];
}

/* Its elements may do anything to any timer, so they are taken out one by one. */
static void serve_slot(struct timer_wheel *wheel, struct wheel_timer *slot, rt_usec now)
{
    struct wheel_timer ready;

    list_init(&ready);
    if (slot->next != slot) {
        ready.next = slot->next;
        ready.prev = slot->prev;
        ready.next->prev = &ready;
        ready.prev->next = &ready;
        list_init(slot);
    }
    while (ready.next != &ready) {
        struct wheel_timer *timer = ready.next;
        unlink_timer(timer);
        if (timer->due > now) {
            append(slot_for(wheel, timer->due), timer);
            continue;
        }
        wheel->count--;
        timer->fire(timer, now);
    }
}

struct timer_wheel *timer_wheel_new(rt_usec now, rt_usec tick)
{
    struct timer_wheel *wheel = rt_alloc(sizeof(*wheel));

    wheel->tick = tick;
    wheel->at = now / tick;
    for (size_t i = 0; i < SLOTS; i++) {
        list_init(&wheel->slots[i]);
    }
    return wheel;
}

void timer_wheel_free(struct timer_wheel *wheel)
{
    free(wheel);
}

void timer_wheel_set(struct timer_wheel *wheel, struct wheel_timer *timer, rt_usec due)
{
    if (timer->prev != NULL) {
        unlink_timer(timer);
    } else {
        wheel->count++;
    }
    timer->due = due;
    append(slot_for(wheel, due), timer);
}

void timer_wheel_cancel(struct timer_wheel *wheel, struct wheel_timer *timer)
{
    if (timer->prev != NULL) {
        unlink_timer(timer);
        wheel->count--;
    }
}

void timer_wheel_advance(struct timer_wheel *wheel, rt_usec now)
{
    int64_t until = now / wheel->tick;

    /* After a long pause (a stopped process) one round serves every slot. */
    if (until - wheel->at > SLOTS) {
        wheel->at = until - SLOTS;
    }
    while (wheel->at < until) {
        wheel->at++;
        serve_slot(wheel, &wheel->slots[wheel->at % SLOTS], now);
    }
}

size_t timer_wheel_count(const struct timer_wheel *wheel)
{
    return wheel->count;
}
