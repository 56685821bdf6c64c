/* cli/enable.c - pgtide enable and pgtide disable: enable_realtime() and its opposite, for the shell. */
#include <stdio.h>

#include <libpq-fe.h>

#include "cli/command.h"
#include "cli/database.h"
#include "cli/settings.h"
#include "runtime/config.h"

static enum cli_status call_for_each(const struct cli_args *args, const char *sql, const char *done)
{
    enum cli_status status = CLI_USAGE;
    PGconn *conn = NULL;
    struct rt_config *config = cli_settings_load(args);
    const char *url = config != NULL ? cli_settings_database(args, config) : NULL;

    if (url == NULL) {
        goto out;
    }
    conn = cli_database_connect(url);
    status = conn != NULL ? CLI_OK : CLI_FAILED;
    for (size_t i = 0; conn != NULL && i < args->argument_count; i++) {
        PGresult *result = cli_database_query(conn, sql, 1, &args->arguments[i]);
        if (result == NULL) {
            status = CLI_FAILED;
            continue;
        }
        printf("%s %s\n", done, args->arguments[i]);
        PQclear(result);
    }

out:
    PQfinish(conn);
    rt_config_free(config);
    return status;
}

static enum cli_status run_enable(const struct cli_args *args)
{
    return call_for_each(args, "select public.enable_realtime($1)", "enabled");
}

static enum cli_status run_disable(const struct cli_args *args)
{
    return call_for_each(args, "select public.disable_realtime($1)", "disabled");
}

static const struct cli_option enable_options[] = {
    { "database", "URL", false, "the database; without it: DATABASE_URL, or database.url" },
    CLI_CONFIG_OPTIONS,
    { 0 },
};

const struct cli_command cli_command_enable = {
    .name = "enable",
    .arguments = "TABLE…",
    .summary = "follow a table: its changes reach clients from now on",
    .about =
        "The same as SELECT enable_realtime('TABLE') in SQL: sets REPLICA IDENTITY FULL and adds "
        "the\n"
        "table to the publication. TABLE is users (schema public) or schema.users. Only the owner\n"
        "of a table or a superuser may do that.\n"
        "\n"
        "  pgtide enable orders app.messages\n",
    .options = enable_options,
    .min_arguments = 1,
    .max_arguments = CLI_MAX_GIVEN,
    .run = run_enable,
};

const struct cli_command cli_command_disable = {
    .name = "disable",
    .arguments = "TABLE…",
    .summary = "no longer follow a table",
    .about = "The same as SELECT disable_realtime('TABLE') in SQL: removes the table from the "
             "publication\n"
             "and sets REPLICA IDENTITY DEFAULT.\n",
    .options = enable_options,
    .min_arguments = 1,
    .max_arguments = CLI_MAX_GIVEN,
    .run = run_disable,
};
