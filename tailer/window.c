/* tailer/window.c - see window.h. */
#include "tailer/window.h"

#include <string.h>

static void forget_oldest(struct window *window)
{
    window->count--;
    memmove(window->notes, window->notes + 1, window->count * sizeof(window->notes[0]));
}

static void note(struct window *window, rt_usec now)
{
    const struct window_note *last = &window->notes[window->count - 1];

    if (now - last->at < window->time / WINDOW_STEPS || window->position == last->lsn) {
        return;
    }
    if (window->count == WINDOW_STEPS + 2) {
        forget_oldest(window);
    }
    window->notes[window->count++] = (struct window_note){ window->position, now };
}

void window_init(struct window *window, rt_usec time, uint64_t bytes, uint64_t lsn, rt_usec now)
{
    *window =
        (struct window){ .time = time, .bytes = bytes, .position = lsn, .start = lsn, .count = 1 };
    window->notes[0] = (struct window_note){ lsn, now };
}

void window_limit(struct window *window, uint64_t bytes)
{
    window->bytes = bytes;
}

void window_reach(struct window *window, uint64_t position, rt_usec now)
{
    window->position = position > window->position ? position : window->position;
    note(window, now);
    /* A note says where we were; it is the start when the one after it is too young to be. */
    while (window->count > 1 && window->notes[1].at <= now - window->time) {
        forget_oldest(window);
    }
    uint64_t start = window->notes[0].at <= now - window->time ? window->notes[0].lsn : 0;
    uint64_t oldest = window->position > window->bytes ? window->position - window->bytes : 0;

    start = window->time == 0 ? window->position : start;
    start = oldest > start ? oldest : start;
    window->start = start > window->start ? start : window->start;
}

rt_usec window_age(const struct window *window, rt_usec now)
{
    for (size_t i = 0; i < window->count; i++) {
        if (window->notes[i].lsn >= window->start) {
            return now - window->notes[i].at;
        }
    }
    return 0;
}

uint64_t window_affordable(uint64_t wanted, uint64_t retained, int64_t safe)
{
    if (safe == INT64_MAX) {
        return wanted;
    }
    uint64_t half = (retained + (safe > 0 ? (uint64_t)safe : 0)) / 2;
    return half < wanted ? half : wanted;
}
