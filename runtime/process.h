/* runtime/process.h - what every tier's main() does: arguments, configuration, signals, log, admin
 * port, loop, drain, exit.
 *
 *   int main(int argc, char **argv)
 *   {
 *       return rt_process_main(argc, argv, &(struct rt_tier){ .name = "tailer", .start = …, … });
 *   }
 *
 * Arguments of every tier: --config FILE, --help, --version, --check-config, --print-config and
 * --set path=value. SIGTERM and SIGINT drain once and then stop; a second one kills (its default action).
 * SIGHUP reads the configuration again (runtime/reload.h), SIGPIPE is ignored.
 * Exit status: 0 after a drain (also one that drain_timeout cut short), 1 when starting failed or
 * rt_process_fail() was called, 2 for wrong arguments or configuration.
 *
 * ZeroMQ's context belongs to runtime/keys.c; it is closed here, after the tier's stop().
 */
#ifndef PGTIDE_RUNTIME_PROCESS_H
#define PGTIDE_RUNTIME_PROCESS_H

#include <stdbool.h>

struct rt_admin;
struct rt_config;
struct rt_health;
struct rt_log;
struct rt_loop;
struct rt_metrics;

/* What a tier is given; all of it outlives the tier's own object. */
struct rt_process {
    const struct rt_config *config; /* SIGHUP changes it in place, between two turns of the loop */
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_metrics *metrics;
    struct rt_health *health;
    struct rt_admin *admin;
};

struct rt_tier {
    const char *name;    /* "tailer" */
    const char *summary; /* one paragraph for --help */
    /* The name in logs, e.g. "broker-0"; NULL: name. Written into a static-size buffer. */
    void (*instance_name)(const struct rt_config *config, char *out, int out_size);
    /* The admin address of this tier from the configuration, {shard} included. NULL: no admin port. */
    const char *(*admin_listen)(const struct rt_config *config);
    /* Returns the tier's object, or NULL after logging why not. */
    void *(*start)(struct rt_process *process);
    /* Begin to drain; the tier calls rt_loop_stop() when it is done. Killed after drain_timeout. */
    void (*drain)(void *tier);
    /* The configuration has changed: renew what was made from options that options.def marks `reload` (timers, copies).
     * NULL: nothing was. */
    void (*reload)(void *tier);
    void (*stop)(void *tier); /* frees everything */
};

int rt_process_main(int argc, char **argv, const struct rt_tier *tier);
/* For a fault found later that this process cannot survive (replaced by another, say): logs, stops
 * the loop, and makes the exit status 1. */
void rt_process_fail(struct rt_process *process, const char *event, const char *reason);

#endif
