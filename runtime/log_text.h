/* runtime/log_text.h - how one log line is written, apart from where it goes (log.c).
 *
 * Values come from peers, so nothing in them can end the line or start a field: a kv value with
 * anything but plain characters is quoted, control characters and bytes that are not UTF-8 are
 * escaped. A value longer than RT_LOG_VALUE_MAX bytes is cut and ends with "...". Pure.
 */
#ifndef PGTIDE_RUNTIME_LOG_TEXT_H
#define PGTIDE_RUNTIME_LOG_TEXT_H

#include "runtime/buf.h"
#include "runtime/clock.h"
#include "runtime/log.h"

enum { RT_LOG_VALUE_MAX = 1024 };

struct rt_log_line {
    rt_usec wall;
    enum rt_log_level level;
    const char *tier;
    const char *event;
    const struct rt_kv *kvs; /* ends with RT_KV_NONE */
    uint64_t suppressed;     /* lines of this event left out before this one; 0 is not written */
};

/* Appends the line and its newline. */
void rt_log_line_write(const struct rt_log_line *line, enum rt_log_format format,
                       struct rt_buf *out);

#endif
