/* runtime/reload.c - see runtime/reload.h. */
#include "runtime/reload.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/config.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

struct rt_reload {
    struct rt_reload_config config;
    struct rt_counter *done;
    struct rt_counter *refused;
};

static struct rt_counter *counter(struct rt_metrics *metrics, const char *labels)
{
    return rt_counter_new(metrics, "pgtide_config_reloads_total", labels,
                          "SIGHUPs, by what came of the configuration read again");
}

struct rt_reload *rt_reload_new(const struct rt_reload_config *config)
{
    struct rt_reload *reload = rt_alloc(sizeof(*reload));

    reload->config = *config;
    reload->done = counter(config->metrics, "result=\"ok\"");
    reload->refused = counter(config->metrics, "result=\"refused\"");
    return reload;
}

void rt_reload_free(struct rt_reload *reload)
{
    free(reload);
}

static void log_problems(struct rt_log *log, const char *errors)
{
    while (*errors != '\0') {
        size_t len = strcspn(errors, "\n");
        rt_log_error(log, "config.not_reloaded", RT_SN("problem", errors, len),
                     RT_S("effect", "nothing has changed"));
        errors += len + (errors[len] == '\n' ? 1 : 0);
    }
}

static void log_changes(struct rt_log *log, struct rt_config_changes *changes)
{
    rt_log_info(log, "config.reloaded", RT_S("option", rt_buf_cstr(&changes->reloaded)));
    if (changes->needs_restart.len > 0) {
        rt_log_warn(log, "config.needs_restart",
                    RT_S("option", rt_buf_cstr(&changes->needs_restart)),
                    RT_S("effect", "these stay as they were until this process is restarted"));
    }
}

bool rt_reload_run(struct rt_reload *reload)
{
    const struct rt_reload_config *config = &reload->config;
    struct rt_config_changes changes = { 0 };
    struct rt_buf errors = { 0 };

    bool valid = rt_config_reload(config->live, config->file, config->sets, &changes, &errors);
    rt_counter_add(valid ? reload->done : reload->refused, 1);
    if (valid) {
        log_changes(config->log, &changes);
    } else {
        log_problems(config->log, rt_buf_cstr(&errors));
    }
    bool changed = changes.reloaded.len > 0;
    rt_buf_fini(&changes.reloaded);
    rt_buf_fini(&changes.needs_restart);
    rt_buf_fini(&errors);
    return changed;
}
