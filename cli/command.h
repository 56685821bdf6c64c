/* cli/command.h - the commands of pgtide: one table entry, one file each.
 *
 * Results go to standard output, everything said about them to standard error. Exit statuses are the
 * same for all commands, so that scripts can rely on them.
 */
#ifndef PGTIDE_CLI_COMMAND_H
#define PGTIDE_CLI_COMMAND_H

#include <stddef.h>

#include "cli/args.h"

enum cli_status {
    CLI_OK = 0,
    CLI_FAILED = 1, /* it did not work, and a line on standard error says why */
    CLI_USAGE = 2,  /* wrong arguments or configuration */
};

struct cli_command {
    const char *name;
    const char *arguments; /* for the usage line, e.g. "TABLE" or "" */
    const char *summary;   /* half a line */
    const char *about;     /* whole lines, with examples */
    const struct cli_option *options;
    size_t min_arguments;
    size_t max_arguments;
    enum cli_status (*run)(const struct cli_args *args);
};

extern const struct cli_command cli_command_init;
extern const struct cli_command cli_command_enable;
extern const struct cli_command cli_command_disable;
extern const struct cli_command cli_command_token;
extern const struct cli_command cli_command_tail;
extern const struct cli_command cli_command_status;
extern const struct cli_command cli_command_explain;
extern const struct cli_command cli_command_doctor;
extern const struct cli_command cli_command_keygen;

/* The table of all of them, ended by NULL. */
extern const struct cli_command *const cli_commands[];

/* What main() does, with the words behind the program's name. */
int cli_main(int argc, char **argv);
/* "pgtide: " and the text as one line on standard error. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Options that every command with a configuration has; see cli/settings.h. */
#define CLI_CONFIG_OPTIONS                                                                         \
    { "config", "FILE", false, "configuration file; without it: $PGTIDE_CONFIG, or defaults" },    \
    {                                                                                              \
        "set", "PATH=VALUE", true, "one option of the configuration, e.g. --set database.slot=x"   \
    }

#endif
