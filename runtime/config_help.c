/* runtime/config_help.c - the list of options as people read it: --help, YAML, Markdown. */
#include <stdlib.h>
#include <string.h>

#include "runtime/config_internal.h"

static const char SECRET_SHOWN[] = "********";

static void put_quoted(struct rt_buf *out, const char *text)
{
    rt_buf_putc(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            rt_buf_putc(out, '\\');
        }
        rt_buf_putc(out, *text);
    }
    rt_buf_putc(out, '"');
}

static void put_value(const struct rt_config *config, const struct rt_option *option,
                      struct rt_buf *out)
{
    const char *field = (const char *)config + option->offset;
    if (option->kind == RT_OPTION_text) {
        const char *text = *(const char *const *)(const void *)field;
        put_quoted(out, option->secret && text[0] != '\0' ? SECRET_SHOWN : text);
    } else if (option->kind == RT_OPTION_bool) {
        rt_buf_puts(out, *(const bool *)(const void *)field ? "true" : "false");
    } else {
        rt_value_print(option->kind, *(const int64_t *)(const void *)field, out);
    }
}

/* The length of "realtime." of realtime.enabled; 0 for an option without a group. */
static size_t group_length(const struct rt_option *option)
{
    const char *dot = strrchr(option->path, '.');
    return dot != NULL ? (size_t)(dot - option->path) + 1 : 0;
}

static bool same_group(const struct rt_option *a, const struct rt_option *b)
{
    size_t len = group_length(a);
    return len == group_length(b) && strncmp(a->path, b->path, len) == 0;
}

/* Whether no earlier option is of this one's group: YAML wants a group's keys together, whatever the
 * order in options.def. */
static bool is_first_of_group(size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (same_group(&rt_options[i], &rt_options[index])) {
            return false;
        }
    }
    return true;
}

static void put_range(const struct rt_option *option, struct rt_buf *out)
{
    if (option->kind == RT_OPTION_bool) {
        rt_buf_puts(out, "true, false");
    } else if (option->kind != RT_OPTION_text) {
        rt_value_print(option->kind, option->min, out);
        rt_buf_puts(out, " to ");
        rt_value_print(option->kind, option->max, out);
    }
}

void rt_config_print(const struct rt_config *config, struct rt_buf *out)
{
    for (size_t first = 0; first < rt_option_count(); first++) {
        if (!is_first_of_group(first)) {
            continue;
        }
        size_t prefix = group_length(&rt_options[first]);
        if (prefix > 0) {
            rt_buf_printf(out, "%.*s:\n", (int)prefix - 1, rt_options[first].path);
        }
        for (size_t i = first; i < rt_option_count(); i++) {
            if (same_group(&rt_options[i], &rt_options[first])) {
                rt_buf_printf(out, "%s%s: ", prefix > 0 ? "  " : "", rt_options[i].path + prefix);
                put_value(config, &rt_options[i], out);
                rt_buf_putc(out, '\n');
            }
        }
    }
}

void rt_config_help(struct rt_buf *out)
{
    for (size_t i = 0; i < rt_option_count(); i++) {
        const struct rt_option *option = &rt_options[i];
        char *variable = rt_option_variable(option);
        rt_buf_printf(out, "  %s (%s, default %s)\n", option->path,
                      rt_option_kind_name(option->kind),
                      option->def[0] != '\0' ? option->def : "empty");
        rt_buf_printf(out, "      %s.\n      %s%s%s", option->help, variable,
                      option->env != NULL ? ", " : "", option->env != NULL ? option->env : "");
        if (option->kind != RT_OPTION_text) {
            rt_buf_puts(out, "; ");
            put_range(option, out);
        }
        rt_buf_puts(out, option->change == RT_CHANGE_reload ? "; SIGHUP\n" : "\n");
        free(variable);
    }
}

/* Text inside a table cell: a bar would end it, angle brackets would be HTML. */
static void put_cell(struct rt_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '<') {
            rt_buf_putc(out, '\\');
        }
        rt_buf_putc(out, *text);
    }
}

static void put_row(const struct rt_option *option, struct rt_buf *out)
{
    char *variable = rt_option_variable(option);
    rt_buf_printf(out, "| `%s` | %s | ", option->path, rt_option_kind_name(option->kind));
    if (option->def[0] != '\0') {
        rt_buf_printf(out, "`%s`", option->def);
    }
    rt_buf_puts(out, " | ");
    put_range(option, out);
    rt_buf_printf(out, " | `%s`", variable);
    if (option->env != NULL) {
        rt_buf_printf(out, ", `%s`", option->env);
    }
    rt_buf_printf(out, " | %s | ", option->change == RT_CHANGE_reload ? "SIGHUP" : "restart");
    put_cell(out, option->help);
    rt_buf_puts(out, " |\n");
    free(variable);
}

void rt_config_markdown(struct rt_buf *out)
{
    for (size_t first = 0; first < rt_option_count(); first++) {
        if (!is_first_of_group(first)) {
            continue;
        }
        size_t prefix = group_length(&rt_options[first]);
        if (prefix > 0) {
            rt_buf_printf(out, "## %.*s\n\n", (int)prefix - 1, rt_options[first].path);
        } else {
            rt_buf_puts(out, "## Without a group\n\n");
        }
        rt_buf_puts(out, "| Key | Kind | Default | Allowed | Environment | Changed by | Meaning |\n"
                         "|---|---|---|---|---|---|---|\n");
        for (size_t i = first; i < rt_option_count(); i++) {
            if (same_group(&rt_options[i], &rt_options[first])) {
                put_row(&rt_options[i], out);
            }
        }
        rt_buf_putc(out, '\n');
    }
    if (out->len > 0) {
        out->len--; /* no empty line at the end */
    }
}
