/* runtime/config_reload.c - a configuration in force meets the sources' new values.
 *
 * `fresh` is first made into what would be in force: the new values of options that may change, the old ones of the
 * rest. Rules between options are checked on that mixture, because it may break one that neither side breaks.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/config_internal.h"

enum { RETIRED_MAX = 256 };

static void *field_in(struct rt_config *config, const struct rt_option *option)
{
    return (char *)config + option->offset;
}

static bool same_value(const struct rt_option *option, const void *a, const void *b)
{
    if (option->kind == RT_OPTION_text) {
        return strcmp(*(const rt_config_text *)a, *(const rt_config_text *)b) == 0;
    }
    if (option->kind == RT_OPTION_bool) {
        return *(const bool *)a == *(const bool *)b;
    }
    return *(const int64_t *)a == *(const int64_t *)b;
}

static void swap_values(const struct rt_option *option, void *a, void *b)
{
    if (option->kind == RT_OPTION_text) {
        rt_config_text kept = *(rt_config_text *)a;
        *(rt_config_text *)a = *(rt_config_text *)b;
        *(rt_config_text *)b = kept;
    } else if (option->kind == RT_OPTION_bool) {
        bool kept = *(bool *)a;
        *(bool *)a = *(bool *)b;
        *(bool *)b = kept;
    } else {
        int64_t kept = *(int64_t *)a;
        *(int64_t *)a = *(int64_t *)b;
        *(int64_t *)b = kept;
    }
}

static bool may_change(const struct rt_config *live, const struct rt_option *option)
{
    return option->change == RT_CHANGE_reload &&
           (option->kind != RT_OPTION_text || live->retired_count < RETIRED_MAX);
}

static void add_path(struct rt_buf *list, const struct rt_option *option)
{
    rt_buf_puts(list, list->len > 0 ? "," : "");
    rt_buf_puts(list, option->path);
}

/* Puts the values that stay into `fresh`, and its own into `live` for a moment. */
static void swap_what_stays(struct rt_config *live, struct rt_config *fresh)
{
    for (size_t i = 0; i < rt_option_count(); i++) {
        const struct rt_option *option = &rt_options[i];
        if (!may_change(live, option)) {
            swap_values(option, field_in(live, option), field_in(fresh, option));
        }
    }
}

static bool mixture_is_valid(struct rt_config *mixture, struct rt_buf *errors)
{
    struct rt_config_load load = {
        .config = mixture,
        .origins = rt_alloc(rt_option_count() * sizeof(char *)),
        .errors = errors,
    };
    for (size_t i = 0; i < rt_option_count(); i++) {
        load.origins[i] = rt_strdup("together with what only a restart would change");
    }
    rt_config_check(&load);
    for (size_t i = 0; i < rt_option_count(); i++) {
        free(load.origins[i]);
    }
    free(load.origins);
    return load.problems == 0;
}

/* The text that `fresh` holds after the swap is the old one. A text that was in force before is not kept twice. */
static void retire(struct rt_config *live, rt_config_text *old, rt_config_text *current)
{
    live->retired = rt_realloc(live->retired, live->retired_count + 1, sizeof(*live->retired));
    live->retired[live->retired_count++] = *old;
    *old = NULL;
    for (size_t i = 0; i + 1 < live->retired_count; i++) {
        if (strcmp(live->retired[i], *current) == 0) {
            free(*current);
            *current = live->retired[i];
            live->retired[i] = live->retired[--live->retired_count];
            return;
        }
    }
}

static void take_over(struct rt_config *live, struct rt_config *fresh,
                      struct rt_config_changes *changes)
{
    for (size_t i = 0; i < rt_option_count(); i++) {
        const struct rt_option *option = &rt_options[i];
        void *mine = field_in(live, option);
        void *other = field_in(fresh, option);
        if (same_value(option, mine, other)) {
            continue;
        }
        if (!may_change(live, option)) {
            add_path(&changes->needs_restart, option);
            continue;
        }
        add_path(&changes->reloaded, option);
        swap_values(option, mine, other);
        if (option->kind == RT_OPTION_text) {
            retire(live, other, mine);
        }
    }
}

bool rt_config_apply(struct rt_config *live, struct rt_config *fresh,
                     struct rt_config_changes *changes, struct rt_buf *errors)
{
    swap_what_stays(live, fresh);
    bool valid = mixture_is_valid(fresh, errors);
    swap_what_stays(live, fresh);
    if (valid) {
        take_over(live, fresh, changes);
    }
    rt_config_free(fresh);
    return valid;
}

bool rt_config_reload(struct rt_config *live, const char *file, const char *const *sets,
                      struct rt_config_changes *changes, struct rt_buf *errors)
{
    struct rt_config *fresh = rt_config_load(file, sets, errors);

    return fresh != NULL && rt_config_apply(live, fresh, changes, errors);
}
