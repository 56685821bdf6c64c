/* runtime/reload.h - SIGHUP: reads the configuration again, and says in the log and in a metric what came of it.
 *
 *   config.reloaded option=log.level,auth.leeway     in force from here on
 *   config.needs_restart option=shards               differ, and are not
 *   config.not_reloaded problem="pgtide.yml:12: …"   one per problem; then nothing has changed
 *
 * The process does the rest (log level, descriptors, rt_tier.reload). One thread.
 */
#ifndef PGTIDE_RUNTIME_RELOAD_H
#define PGTIDE_RUNTIME_RELOAD_H

#include <stdbool.h>

struct rt_config;
struct rt_log;
struct rt_metrics;
struct rt_reload;

struct rt_reload_config {
    struct rt_config *live;  /* outlives it */
    const char *file;        /* as for rt_config_load(); borrowed */
    const char *const *sets; /* borrowed */
    struct rt_log *log;
    struct rt_metrics *metrics;
};

struct rt_reload *rt_reload_new(const struct rt_reload_config *config);
void rt_reload_free(struct rt_reload *reload);
/* Whether some option has changed. */
bool rt_reload_run(struct rt_reload *reload);

#endif
