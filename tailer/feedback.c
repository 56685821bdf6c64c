/* tailer/feedback.c - see feedback.h. */
#include "tailer/feedback.h"

uint64_t feedback_flushed(const uint64_t *done, size_t count, uint64_t window, uint64_t before)
{
    uint64_t flushed = window;

    for (size_t i = 0; i < count; i++) {
        flushed = done[i] < flushed ? done[i] : flushed;
    }
    return flushed > before ? flushed : before;
}
