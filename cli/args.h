/* cli/args.h - options and arguments of one command.
 *
 * Options are --name VALUE, --name=VALUE or --flag; "--" ends them. Everything else is an argument.
 * Texts point into argv; nothing is copied. An unknown option is an error that suggests the nearest
 * name.
 */
#ifndef PGTIDE_CLI_ARGS_H
#define PGTIDE_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/buf.h"

struct cli_option {
    const char *name;  /* without the dashes; NULL ends a table */
    const char *value; /* what its value is called in help; NULL: a flag */
    bool repeats;
    const char *help;
};

#define CLI_MAX_GIVEN 256

struct cli_args {
    struct {
        const struct cli_option *option;
        const char *value; /* "" for a flag */
    } given[CLI_MAX_GIVEN];
    size_t given_count;
    const char *arguments[CLI_MAX_GIVEN];
    size_t argument_count;
};

/* False with one line in `error` that says what is wrong and what would be right. */
bool cli_args_parse(const struct cli_option *options, int argc, char **argv, struct cli_args *out,
                    struct rt_buf *error);
/* The value given last, or NULL. */
const char *cli_args_value(const struct cli_args *args, const char *name);
bool cli_args_flag(const struct cli_args *args, const char *name);
/* The i-th value of an option that repeats; NULL behind the last. */
const char *cli_args_each(const struct cli_args *args, const char *name, size_t i);
/* The nearest of `count` words (a distance of at most 2), or NULL. */
const char *cli_nearest(const char *word, const char *const *words, size_t count);

#endif
