/* runtime/health.h - readiness as a set of named conditions, each with its reason.
 *
 * A process is ready when it has conditions and every one holds. A condition starts as not met
 * ("starting"), so forgetting one fails closed. /readyz answers 200 or 503 with one line per condition:
 *   ok   slot streaming from 0/16B3748
 *   fail shards shard 1 has not connected
 */
#ifndef PGTIDE_RUNTIME_HEALTH_H
#define PGTIDE_RUNTIME_HEALTH_H

#include <stdbool.h>

#include "runtime/buf.h"

struct rt_health;
struct rt_condition;

struct rt_health *rt_health_new(void);
void rt_health_free(struct rt_health *health);
struct rt_condition *rt_condition_new(struct rt_health *health, const char *name);
/* The reason is formatted and copied (255 bytes, line breaks become spaces); keep it one line that says what to do when met is false. */
void rt_condition_set(struct rt_condition *condition, bool met, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool rt_health_ready(const struct rt_health *health);
void rt_health_render(const struct rt_health *health, struct rt_buf *out);

#endif
