/* runtime/config_source.c - values that arrive one by one: --set and environment variables. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/config_internal.h"

enum { SECRET_FILE_MAX = 65536 };

/* PGTIDE_ variables that are not options: the file's name, and what our own scripts and commands hand
 * to each other (a name that ends with _ stands for all that begin with it). */
static const char *const other_variables[] = {
    "PGTIDE_CONFIG", "PGTIDE_URL", "PGTIDE_TOKEN", "PGTIDE_RUN_", "PGTIDE_TEST_", NULL,
};

static bool is_other_variable(const char *name, size_t len)
{
    for (int i = 0; other_variables[i] != NULL; i++) {
        const char *other = other_variables[i];
        size_t other_len = strlen(other);
        bool prefix = other[other_len - 1] == '_';
        if ((prefix ? len >= other_len : len == other_len) &&
            strncmp(name, other, other_len) == 0) {
            return true;
        }
    }
    return false;
}

/* The characters of a value are checked here for all sources: a NUL would cut it, a line break in an
 * address or a name is always a mistake. */
static bool is_clean_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static void *field_of(const struct rt_config_load *load, const struct rt_option *option)
{
    return (char *)load->config + option->offset;
}

static void note_origin(struct rt_config_load *load, const struct rt_option *option,
                        const char *origin)
{
    char **slot = &load->origins[option - rt_options];
    free(*slot);
    *slot = rt_strdup(origin);
}

static void assign_text(struct rt_config_load *load, const struct rt_option *option,
                        const char *origin, const char *value)
{
    rt_config_text *field = field_of(load, option);
    free(*field);
    *field = rt_strdup(value);
    note_origin(load, option, origin);
}

static void assign_number(struct rt_config_load *load, const struct rt_option *option,
                          const char *origin, const char *value)
{
    int64_t number = 0;
    if (!rt_value_parse_number(option->kind, value, &number)) {
        rt_config_problem(load, origin, option->path, "\"%s\" is not %s", value,
                          rt_value_examples(option->kind));
        return;
    }
    if (number < option->min || number > option->max) {
        struct rt_buf range = { 0 };
        rt_value_print(option->kind, option->min, &range);
        rt_buf_puts(&range, " to ");
        rt_value_print(option->kind, option->max, &range);
        rt_config_problem(load, origin, option->path, "%s is out of range; allowed: %s", value,
                          rt_buf_cstr(&range));
        rt_buf_fini(&range);
        return;
    }
    int64_t *field = field_of(load, option);
    *field = number;
    note_origin(load, option, origin);
}

static void assign_bool(struct rt_config_load *load, const struct rt_option *option,
                        const char *origin, const char *value)
{
    bool *field = field_of(load, option);
    if (!rt_value_parse_bool(value, field)) {
        rt_config_problem(load, origin, option->path, "\"%s\" is not %s", value,
                          rt_value_examples(option->kind));
        return;
    }
    note_origin(load, option, origin);
}

void rt_config_problem(struct rt_config_load *load, const char *origin, const char *path,
                       const char *format, ...)
{
    load->problems++;
    rt_buf_printf(load->errors, "%s: ", origin);
    if (path != NULL) {
        rt_buf_printf(load->errors, "%s: ", path);
    }
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    rt_buf_puts(load->errors, text);
    rt_buf_putc(load->errors, '\n');
}

void rt_config_assign(struct rt_config_load *load, const struct rt_option *option,
                      const char *origin, const char *text, size_t len)
{
    if (!is_clean_text(text, len)) {
        rt_config_problem(load, origin, option->path,
                          "the value has a control character or a line break in it");
        return;
    }
    char *value = rt_strndup(text, len);
    switch (option->kind) {
    case RT_OPTION_text:
        assign_text(load, option, origin, value);
        break;
    case RT_OPTION_bool:
        assign_bool(load, option, origin, value);
        break;
    case RT_OPTION_int:
    case RT_OPTION_size:
    case RT_OPTION_time:
        assign_number(load, option, origin, value);
        break;
    }
    free(value);
}

const char *rt_config_origin(const struct rt_config_load *load, const struct rt_option *option)
{
    const char *origin = load->origins[option - rt_options];
    return origin != NULL ? origin : "default";
}

const char *rt_env_find(const char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; *env != NULL; env++) {
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=') {
            return (*env)[len + 1] != '\0' ? *env + len + 1 : NULL;
        }
    }
    return NULL;
}

bool rt_read_whole_file(const char *path, size_t max, struct rt_buf *out, const char **reason)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) {
        *reason = strerrordesc_np(errno);
        if (fd >= 0) {
            (void)close(fd);
        }
        return false;
    }
    *reason = S_ISDIR(info.st_mode) ? "it is a directory" : NULL;
    ssize_t got = 1;
    while (*reason == NULL && got != 0) {
        uint8_t *at = rt_buf_reserve(out, 4096);
        got = read(fd, at, 4096);
        if (got > 0) {
            out->len += (size_t)got;
        } else if (got < 0 && errno != EINTR) {
            *reason = strerrordesc_np(errno);
        }
        if (out->len > max) {
            *reason = "it is too large";
        }
    }
    (void)close(fd);
    return *reason == NULL;
}

/* The value of a secret kept in a file; its final line break does not belong to it. */
static void assign_from_file(struct rt_config_load *load, const struct rt_option *option,
                             const char *variable, const char *path)
{
    char origin[256];
    (void)snprintf(origin, sizeof(origin), "environment variable %s", variable);
    struct rt_buf content = { 0 };
    const char *reason = NULL;
    if (!rt_read_whole_file(path, SECRET_FILE_MAX, &content, &reason)) {
        rt_config_problem(load, origin, option->path, "cannot read %s: %s", path, reason);
    } else {
        size_t len = content.len;
        if (len > 0 && content.data[len - 1] == '\n') {
            len--;
        }
        if (len > 0 && content.data[len - 1] == '\r') {
            len--;
        }
        rt_config_assign(load, option, origin, rt_buf_cstr(&content), len);
    }
    rt_buf_fini(&content);
}

/* NAME or NAME_FILE; both is a contradiction, not a precedence to guess. */
static void read_variable(struct rt_config_load *load, const struct rt_option *option,
                          const char *const *env, const char *name)
{
    char file_name[160];
    (void)snprintf(file_name, sizeof(file_name), "%s_FILE", name);
    char origin[192];
    (void)snprintf(origin, sizeof(origin), "environment variable %s", name);
    const char *value = rt_env_find(env, name);
    const char *path = rt_env_find(env, file_name);
    if (value != NULL && path != NULL) {
        rt_config_problem(load, origin, option->path, "%s is set as well; unset one of them",
                          file_name);
    } else if (value != NULL) {
        rt_config_assign(load, option, origin, value, strlen(value));
    } else if (path != NULL) {
        assign_from_file(load, option, file_name, path);
    }
}

/* Whether NAME or NAME without _FILE is an option's variable; if not, it is offered what is near. */
static bool is_known_variable(const char *name, size_t len, struct rt_suggestion *suggestion)
{
    bool known = is_other_variable(name, len);
    for (size_t i = 0; i < rt_option_count() && !known; i++) {
        char *variable = rt_option_variable(&rt_options[i]);
        size_t plain = strlen(variable);
        known = len >= plain && strncmp(name, variable, plain) == 0 &&
                (len == plain || (len == plain + 5 && strncmp(name + plain, "_FILE", 5) == 0));
        rt_suggestion_offer(suggestion, variable);
        free(variable);
    }
    return known;
}

static void refuse_unknown_variable(struct rt_config_load *load, const char *entry)
{
    size_t len = strcspn(entry, "=");
    struct rt_suggestion suggestion = rt_suggestion_begin(entry, len);
    if (!is_known_variable(entry, len, &suggestion)) {
        char meant[160];
        rt_suggestion_text(&suggestion, meant);
        rt_config_problem(load, "environment", NULL, "%.*s is not an option of pgtide%s",
                          len < 200 ? (int)len : 200, entry, meant);
    }
}

void rt_config_read_env(struct rt_config_load *load, const char *const *env)
{
    for (size_t i = 0; i < rt_option_count(); i++) {
        const struct rt_option *option = &rt_options[i];
        if (option->env != NULL) {
            read_variable(load, option, env, option->env);
        }
        char *variable = rt_option_variable(option);
        read_variable(load, option, env, variable);
        free(variable);
    }
    for (; *env != NULL; env++) {
        if (strncmp(*env, "PGTIDE_", 7) == 0) {
            refuse_unknown_variable(load, *env);
        }
    }
}

void rt_config_read_sets(struct rt_config_load *load, const char *const *sets)
{
    for (; sets != NULL && *sets != NULL; sets++) {
        size_t len = strcspn(*sets, "=");
        const struct rt_option *option = rt_option_find(*sets, len);
        if ((*sets)[len] == '\0') {
            rt_config_problem(load, "--set", NULL,
                              "write it as path=value, e.g. --set log.level=debug");
        } else if (option == NULL) {
            struct rt_suggestion suggestion = rt_suggestion_begin(*sets, len);
            for (size_t i = 0; i < rt_option_count(); i++) {
                rt_suggestion_offer(&suggestion, rt_options[i].path);
            }
            char meant[160];
            rt_suggestion_text(&suggestion, meant);
            rt_config_problem(load, "--set", NULL, "%.*s: unknown option%s",
                              len < 200 ? (int)len : 200, *sets, meant);
        } else {
            rt_config_assign(load, option, "--set", *sets + len + 1, strlen(*sets + len + 1));
        }
    }
}
