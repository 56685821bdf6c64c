/* runtime/log.h - one line per event, to standard error: an event id and key=value pairs, or JSON.
 *
 *   2026-11-21T09:49:46.123456Z info tailer slot.streaming slot=pgtide lsn=0/16B3748
 *   {"time":"…","level":"info","tier":"tailer","event":"slot.streaming","slot":"pgtide","lsn":"0/16B3748"}
 *
 * Each event id may write 20 lines per second; the rest are counted, and the next line that gets
 * through says so (suppressed=N). Tokens, row contents and passwords are never passed here.
 * Values are escaped, so that no peer can forge a line. Cost: one write(2) per line.
 *
 *   rt_log_info(log, "slot.streaming", RT_S("slot", name), RT_U("timeline", 1));
 */
#ifndef PGTIDE_RUNTIME_LOG_H
#define PGTIDE_RUNTIME_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/clock.h"

enum rt_log_level { RT_LOG_DEBUG, RT_LOG_INFO, RT_LOG_WARN, RT_LOG_ERROR };
enum rt_log_format { RT_LOG_KV, RT_LOG_JSON };

struct rt_log;

enum rt_kv_kind { RT_KV_NONE, RT_KV_TEXT, RT_KV_UINT, RT_KV_INT, RT_KV_REAL, RT_KV_SPAN };
struct rt_kv {
    enum rt_kv_kind kind;
    const char *key;
    const char *text; /* NULL is written as "-" */
    size_t len;       /* of text, for RT_KV_SPAN */
    uint64_t u;
    int64_t i;
    double real;
};

#define RT_S(k, v)     ((struct rt_kv){ .kind = RT_KV_TEXT, .key = (k), .text = (v) })
#define RT_SN(k, p, n) ((struct rt_kv){ .kind = RT_KV_SPAN, .key = (k), .text = (p), .len = (n) })
#define RT_U(k, v)     ((struct rt_kv){ .kind = RT_KV_UINT, .key = (k), .u = (uint64_t)(v) })
#define RT_I(k, v)     ((struct rt_kv){ .kind = RT_KV_INT, .key = (k), .i = (int64_t)(v) })
#define RT_R(k, v)     ((struct rt_kv){ .kind = RT_KV_REAL, .key = (k), .real = (v) })
#define RT_KV_END      ((struct rt_kv){ .kind = RT_KV_NONE })

/* `name` (tier, or tier and number) is copied. */
struct rt_log *rt_log_new(const char *name, enum rt_log_level level, enum rt_log_format format);
void rt_log_free(struct rt_log *log);
void rt_log_set_level(struct rt_log *log, enum rt_log_level level);
void rt_log_set_format(struct rt_log *log, enum rt_log_format format);
/* Another descriptor than standard error (borrowed), another clock for the limit: for tests. */
void rt_log_set_output(struct rt_log *log, int fd);
void rt_log_set_clock(struct rt_log *log, rt_usec (*now)(void *ctx), void *ctx);
bool rt_log_enabled(const struct rt_log *log, enum rt_log_level level);
/* `event` is a string literal: its address identifies it for rate limiting. `kvs` ends with RT_KV_END. */
void rt_log_write(struct rt_log *log, enum rt_log_level level, const char *event,
                  const struct rt_kv *kvs);

#define RT_LOG_AT(log, level, event, ...)                                                          \
    rt_log_write((log), (level), (event), (const struct rt_kv[]){ __VA_ARGS__ })
/* (log, event) or (log, event, RT_S(…), …) */
#define rt_log_debug(log, ...) RT_LOG_AT(log, RT_LOG_DEBUG, __VA_ARGS__, RT_KV_END)
#define rt_log_info(log, ...)  RT_LOG_AT(log, RT_LOG_INFO, __VA_ARGS__, RT_KV_END)
#define rt_log_warn(log, ...)  RT_LOG_AT(log, RT_LOG_WARN, __VA_ARGS__, RT_KV_END)
#define rt_log_error(log, ...) RT_LOG_AT(log, RT_LOG_ERROR, __VA_ARGS__, RT_KV_END)

#endif
