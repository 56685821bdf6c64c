/* runtime/log.c - levels, the limit per event, and the write.
 *
 * An event's limit is a window of one second that starts with its first line. The table of events is
 * bounded by the number of string literals in the program.
 */
#include "runtime/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/buf.h"
#include "runtime/clock.h"
#include "runtime/log_text.h"
#include "runtime/map.h"

enum { LINES_PER_WINDOW = 20 };
static const rt_usec WINDOW = RT_SEC;

struct event {
    rt_usec window_start;
    unsigned lines;      /* written in this window */
    uint64_t suppressed; /* since the last line written */
};

struct rt_log {
    char *name;
    enum rt_log_level level;
    enum rt_log_format format;
    int fd;
    rt_usec (*now)(void *ctx);
    void *now_ctx;
    struct rt_map *events; /* by the address of the event's literal */
    struct rt_buf line;
};

static rt_usec real_now(void *ctx)
{
    (void)ctx;
    return rt_now();
}

static struct event *find_event(struct rt_log *log, const char *name)
{
    struct event *event = rt_map_get_u64(log->events, (uint64_t)(uintptr_t)name);
    if (event == NULL) {
        event = rt_alloc(sizeof(*event));
        event->window_start = log->now(log->now_ctx);
        rt_map_put_u64(log->events, (uint64_t)(uintptr_t)name, event);
    }
    return event;
}

/* Whether this event may write one more line now; counts it either way. */
static bool admit(const struct rt_log *log, struct event *event)
{
    rt_usec now = log->now(log->now_ctx);
    if (now - event->window_start >= WINDOW) {
        event->window_start = now;
        event->lines = 0;
    }
    if (event->lines >= LINES_PER_WINDOW) {
        event->suppressed++;
        return false;
    }
    event->lines++;
    return true;
}

static void write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t wrote = write(fd, data, len);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            return; /* a log that cannot be written must not end the service */
        }
        data += wrote;
        len -= (size_t)wrote;
    }
}

struct rt_log *rt_log_new(const char *name, enum rt_log_level level, enum rt_log_format format)
{
    struct rt_log *log = rt_alloc(sizeof(*log));
    log->name = rt_strdup(name);
    log->level = level;
    log->format = format;
    log->fd = STDERR_FILENO;
    log->now = real_now;
    log->events = rt_map_new();
    return log;
}

void rt_log_free(struct rt_log *log)
{
    if (log == NULL) {
        return;
    }
    struct rt_map_iter iter = rt_map_begin(log->events);
    for (void *event = rt_map_next(&iter); event != NULL; event = rt_map_next(&iter)) {
        free(event);
    }
    rt_map_free(log->events);
    rt_buf_fini(&log->line);
    free(log->name);
    free(log);
}

void rt_log_set_level(struct rt_log *log, enum rt_log_level level)
{
    log->level = level;
}

void rt_log_set_format(struct rt_log *log, enum rt_log_format format)
{
    log->format = format;
}

void rt_log_set_output(struct rt_log *log, int fd)
{
    log->fd = fd;
}

void rt_log_set_clock(struct rt_log *log, rt_usec (*now)(void *ctx), void *ctx)
{
    log->now = now;
    log->now_ctx = ctx;
}

bool rt_log_enabled(const struct rt_log *log, enum rt_log_level level)
{
    return level >= log->level;
}

void rt_log_write(struct rt_log *log, enum rt_log_level level, const char *event,
                  const struct rt_kv *kvs)
{
    if (!rt_log_enabled(log, level)) {
        return;
    }
    struct event *known = find_event(log, event);
    if (!admit(log, known)) {
        return;
    }
    struct rt_log_line line = {
        .wall = rt_wall_now(),
        .level = level,
        .tier = log->name,
        .event = event,
        .kvs = kvs,
        .suppressed = known->suppressed,
    };
    known->suppressed = 0;
    rt_buf_clear(&log->line);
    rt_log_line_write(&line, log->format, &log->line);
    write_all(log->fd, log->line.data, log->line.len);
}
