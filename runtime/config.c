/* runtime/config.c - the table of options, and the order in which sources speak: defaults, the file,
 * the environment, --set. */
#include "runtime/config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/config_internal.h"

enum { FILE_MAX = 1048576 };

const struct rt_option rt_options[] = {
#define RT_OPTION(kind_, field_, path_, def_, min_, max_, env_, secret_, change_, help_)           \
    { .kind = RT_OPTION_##kind_,                                                                   \
      .secret = (secret_),                                                                         \
      .change = RT_CHANGE_##change_,                                                               \
      .path = (path_),                                                                             \
      .offset = offsetof(struct rt_config, field_),                                                \
      .def = (def_),                                                                               \
      .min = (min_),                                                                               \
      .max = (max_),                                                                               \
      .env = (env_),                                                                               \
      .help = (help_) },
#include "runtime/options.def"
#undef RT_OPTION
    { .path = NULL },
};

/* Options that take their number field by offset and not by name need it to be one. */
_Static_assert(sizeof(rt_config_int) == sizeof(int64_t) &&
                   sizeof(rt_config_size) == sizeof(int64_t) &&
                   sizeof(rt_config_time) == sizeof(int64_t),
               "numbers of all kinds are int64_t");

size_t rt_option_count(void)
{
    return sizeof(rt_options) / sizeof(rt_options[0]) - 1;
}

const struct rt_option *rt_option_find(const char *path, size_t len)
{
    for (size_t i = 0; i < rt_option_count(); i++) {
        if (strlen(rt_options[i].path) == len && memcmp(rt_options[i].path, path, len) == 0) {
            return &rt_options[i];
        }
    }
    return NULL;
}

bool rt_option_is_group(const char *group, size_t len)
{
    for (size_t i = 0; i < rt_option_count(); i++) {
        if (strncmp(rt_options[i].path, group, len) == 0 && rt_options[i].path[len] == '.') {
            return true;
        }
    }
    return false;
}

static char variable_letter(char c)
{
    if (c == '.') {
        return '_';
    }
    return (char)toupper((unsigned char)c);
}

char *rt_option_variable(const struct rt_option *option)
{
    struct rt_buf name = { 0 };
    rt_buf_puts(&name, "PGTIDE_");
    for (const char *at = option->path; *at != '\0'; at++) {
        rt_buf_putc(&name, variable_letter(*at));
    }
    rt_buf_putc(&name, '\0');
    return (char *)name.data;
}

struct rt_config *rt_config_build(const struct rt_config_inputs *inputs, struct rt_buf *errors)
{
    struct rt_config_load load = {
        .config = rt_alloc(sizeof(struct rt_config)),
        .origins = rt_alloc(rt_option_count() * sizeof(char *)),
        .errors = errors,
    };
    for (size_t i = 0; i < rt_option_count(); i++) {
        rt_config_assign(&load, &rt_options[i], "default", rt_options[i].def,
                         strlen(rt_options[i].def));
    }
    if (inputs->file_name != NULL) {
        rt_config_read_file(&load, inputs->file_name, inputs->file_text);
    }
    if (inputs->env != NULL) {
        rt_config_read_env(&load, inputs->env);
    }
    rt_config_read_sets(&load, inputs->sets);
    rt_config_check(&load);
    for (size_t i = 0; i < rt_option_count(); i++) {
        free(load.origins[i]);
    }
    free(load.origins);
    if (load.problems > 0) {
        rt_config_free(load.config);
        return NULL;
    }
    return load.config;
}

struct rt_config *rt_config_load(const char *file, const char *const *sets, struct rt_buf *errors)
{
    const char *const *env = (const char *const *)environ;
    struct rt_buf content = { 0 };
    struct rt_config *config = NULL;
    const char *name = file != NULL ? file : rt_env_find(env, "PGTIDE_CONFIG");
    const char *reason = NULL;
    if (name != NULL && !rt_read_whole_file(name, FILE_MAX, &content, &reason)) {
        rt_buf_printf(errors, "%s: cannot read the configuration: %s\n", name, reason);
    } else {
        config = rt_config_build(
            &(struct rt_config_inputs){
                .file_name = name, .file_text = rt_buf_span(&content), .env = env, .sets = sets },
            errors);
    }
    rt_buf_fini(&content);
    return config;
}

void rt_config_free(struct rt_config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < rt_option_count(); i++) {
        if (rt_options[i].kind == RT_OPTION_text) {
            free(*(rt_config_text *)(void *)((char *)config + rt_options[i].offset));
        }
    }
    for (size_t i = 0; i < config->retired_count; i++) {
        free(config->retired[i]);
    }
    free(config->retired);
    free(config);
}

char *rt_config_shard_address(const char *template_text, int64_t shard)
{
    static const char placeholder[] = "{shard}";
    struct rt_buf out = { 0 };
    for (const char *at = template_text; *at != '\0';) {
        if (strncmp(at, placeholder, sizeof(placeholder) - 1) == 0) {
            rt_buf_printf(&out, "%lld", (long long)shard);
            at += sizeof(placeholder) - 1;
        } else {
            rt_buf_putc(&out, *at++);
        }
    }
    rt_buf_putc(&out, '\0');
    return (char *)out.data;
}
