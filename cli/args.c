/* cli/args.c - see args.h. */
#include "cli/args.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_WORD = 32, MAX_DISTANCE = 2 };

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein; words longer than MAX_WORD are never near. */
static size_t distance(const char *a, const char *b)
{
    size_t row[MAX_WORD + 1];
    size_t len_a = strlen(a);
    size_t len_b = strlen(b);

    if (len_a > MAX_WORD || len_b > MAX_WORD) {
        return MAX_WORD;
    }
    for (size_t j = 0; j <= len_b; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= len_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= len_b; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[len_b];
}

const char *cli_nearest(const char *word, const char *const *words, size_t count)
{
    const char *best = NULL;
    size_t best_distance = MAX_DISTANCE + 1;

    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, words[i]);
        if (d < best_distance) {
            best = words[i];
            best_distance = d;
        }
    }
    return best;
}

static const struct cli_option *find_option(const struct cli_option *options, const char *name,
                                            size_t len)
{
    for (const struct cli_option *option = options; option->name != NULL; option++) {
        if (strlen(option->name) == len && memcmp(option->name, name, len) == 0) {
            return option;
        }
    }
    return NULL;
}

static void unknown_option(const struct cli_option *options, const char *name, size_t len,
                           struct rt_buf *error)
{
    const char *names[CLI_MAX_GIVEN];
    size_t count = 0;
    char *word = rt_strndup(name, len);

    for (const struct cli_option *option = options; option->name != NULL && count < CLI_MAX_GIVEN;
         option++) {
        names[count++] = option->name;
    }
    const char *near = cli_nearest(word, names, count);
    rt_buf_printf(error, "there is no option --%s", word);
    if (near != NULL) {
        rt_buf_printf(error, "; did you mean --%s?", near);
    }
    free(word);
}

/* Takes one option, whose text is argv[*at] without the dashes, and its value. */
static bool take_option(const struct cli_option *options, int argc, char **argv, int *at,
                        struct cli_args *out, struct rt_buf *error)
{
    const char *text = argv[*at] + 2;
    size_t len = strcspn(text, "=");
    const struct cli_option *option = find_option(options, text, len);
    const char *value = text[len] == '=' ? text + len + 1 : NULL;

    if (option == NULL) {
        unknown_option(options, text, len, error);
        return false;
    }
    if (option->value == NULL && value != NULL) {
        rt_buf_printf(error, "--%s takes no value", option->name);
        return false;
    }
    if (option->value != NULL && value == NULL) {
        if (*at + 1 >= argc) {
            rt_buf_printf(error, "--%s needs a value: --%s %s", option->name, option->name,
                          option->value);
            return false;
        }
        *at += 1;
        value = argv[*at];
    }
    if (!option->repeats && cli_args_value(out, option->name) != NULL) {
        rt_buf_printf(error, "--%s is given twice", option->name);
        return false;
    }
    out->given[out->given_count].option = option;
    out->given[out->given_count].value = value != NULL ? value : "";
    out->given_count++;
    return true;
}

bool cli_args_parse(const struct cli_option *options, int argc, char **argv, struct cli_args *out,
                    struct rt_buf *error)
{
    bool only_arguments = false;

    memset(out, 0, sizeof *out);
    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];
        if (out->given_count >= CLI_MAX_GIVEN || out->argument_count >= CLI_MAX_GIVEN) {
            rt_buf_printf(error, "more than %d options or arguments", CLI_MAX_GIVEN);
            return false;
        }
        if (!only_arguments && strcmp(word, "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && strncmp(word, "--", 2) == 0) {
            if (!take_option(options, argc, argv, &at, out, error)) {
                return false;
            }
        } else if (!only_arguments && word[0] == '-' && word[1] != '\0') {
            rt_buf_printf(error, "there is no option %s; options have long names (--help)", word);
            return false;
        } else {
            out->arguments[out->argument_count++] = word;
        }
    }
    return true;
}

const char *cli_args_each(const struct cli_args *args, const char *name, size_t i)
{
    for (size_t at = 0; at < args->given_count; at++) {
        if (strcmp(args->given[at].option->name, name) == 0 && i-- == 0) {
            return args->given[at].value;
        }
    }
    return NULL;
}

const char *cli_args_value(const struct cli_args *args, const char *name)
{
    const char *value = NULL;

    for (size_t at = 0; at < args->given_count; at++) {
        if (strcmp(args->given[at].option->name, name) == 0) {
            value = args->given[at].value;
        }
    }
    return value;
}

bool cli_args_flag(const struct cli_args *args, const char *name)
{
    return cli_args_value(args, name) != NULL;
}
