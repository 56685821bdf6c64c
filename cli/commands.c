/* cli/commands.c - from the words of the command line to a command, and the help texts. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

const struct cli_command *const cli_commands[] = {
    &cli_command_init,    &cli_command_enable,
    &cli_command_disable, &cli_command_token,
    &cli_command_tail,    &cli_command_status,
    &cli_command_explain, &cli_command_doctor,
    &cli_command_keygen,  NULL,
};

void cli_say(const char *format, ...)
{
    struct rt_buf line = { 0 };
    char text[4096];
    va_list values;

    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '\n') {
        text[--len] = '\0';
    }
    rt_buf_printf(&line, "pgtide: %s\n", text);
    fputs(rt_buf_cstr(&line), stderr);
    rt_buf_fini(&line);
}

static void print_overview(FILE *out)
{
    fputs("pgtide: changes of a PostgreSQL database as live events.\n"
          "\n"
          "Usage: pgtide COMMAND [OPTIONS] [ARGUMENTS]\n"
          "\n",
          out);
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        fprintf(out, "  %-9s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    }
    fputs("\n"
          "pgtide COMMAND --help says more; pgtide --version names the version.\n",
          out);
}

static void print_help(const struct cli_command *command)
{
    bool has_options = command->options[0].name != NULL;

    printf("pgtide %s: %s\n\nUsage: pgtide %s%s%s%s\n\n%s", command->name, command->summary,
           command->name, has_options ? " [OPTIONS]" : "", command->arguments[0] != '\0' ? " " : "",
           command->arguments, command->about);
    if (has_options) {
        printf("\nOptions:\n");
    }
    for (const struct cli_option *option = command->options; option->name != NULL; option++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", option->name, option->value != NULL ? " " : "",
                 option->value != NULL ? option->value : "");
        printf("  %-19s %s%s\n", left, option->help, option->repeats ? " (may be repeated)" : "");
    }
}

static const struct cli_command *find_command(const char *name)
{
    const char *names[sizeof cli_commands / sizeof cli_commands[0]];
    size_t count = 0;

    for (; cli_commands[count] != NULL; count++) {
        if (strcmp(cli_commands[count]->name, name) == 0) {
            return cli_commands[count];
        }
        names[count] = cli_commands[count]->name;
    }
    const char *near = cli_nearest(name, names, count);
    if (near != NULL) {
        cli_say("there is no command %s; did you mean %s?", name, near);
    } else {
        cli_say("there is no command %s; pgtide --help lists them", name);
    }
    return NULL;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static enum cli_status run_command(const struct cli_command *command, int argc, char **argv)
{
    struct cli_args args;
    struct rt_buf error = { 0 };
    enum cli_status status = CLI_USAGE;

    if (wants_help(argc, argv)) {
        print_help(command);
        return CLI_OK;
    }
    bool ok = cli_args_parse(command->options, argc, argv, &args, &error);
    if (ok && args.argument_count < command->min_arguments) {
        rt_buf_printf(&error, "%s is missing", command->arguments);
        ok = false;
    } else if (ok && args.argument_count > command->max_arguments) {
        rt_buf_printf(&error, "%s is one argument too many",
                      args.arguments[command->max_arguments]);
        ok = false;
    }
    if (ok) {
        status = command->run(&args);
    } else {
        cli_say("%s: %s\nTry: pgtide %s --help", command->name, rt_buf_cstr(&error), command->name);
    }
    rt_buf_fini(&error);
    return status;
}

int cli_main(int argc, char **argv)
{
    if (argc == 0) {
        print_overview(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 ||
        strcmp(argv[0], "help") == 0) {
        if (argc == 1) {
            print_overview(stdout);
            return CLI_OK;
        }
        const struct cli_command *about = find_command(argv[1]);
        if (about != NULL) {
            print_help(about);
        }
        return about != NULL ? CLI_OK : CLI_USAGE;
    }
    if (strcmp(argv[0], "--version") == 0) {
        printf("pgtide %s\n", PGTIDE_VERSION);
        return CLI_OK;
    }
    const struct cli_command *command = find_command(argv[0]);
    return command != NULL ? (int)run_command(command, argc - 1, argv + 1) : CLI_USAGE;
}
