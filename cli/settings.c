/* cli/settings.c - see settings.h. */
#include "cli/settings.h"

#include <stdlib.h>

#include "cli/command.h"
#include "runtime/config.h"

const char *cli_environment(const char *name)
{
    /* This program has one thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

struct rt_config *cli_settings_load(const struct cli_args *args)
{
    const char *sets[CLI_MAX_GIVEN + 1];
    const char *file = cli_args_value(args, "config");
    struct rt_buf errors = { 0 };
    size_t count = 0;

    if (file == NULL) {
        file = cli_environment("PGTIDE_CONFIG");
    }
    while ((sets[count] = cli_args_each(args, "set", count)) != NULL) {
        count++;
    }
    struct rt_config *config = rt_config_load(file, sets, &errors);
    if (config == NULL) {
        cli_say("the configuration cannot be used:\n%s", rt_buf_cstr(&errors));
    }
    rt_buf_fini(&errors);
    return config;
}

const char *cli_settings_database(const struct cli_args *args, const struct rt_config *config)
{
    const char *url = cli_args_value(args, "database");

    if (url == NULL) {
        url = config->database_url;
    }
    if (url[0] == '\0') {
        cli_say(
            "no database is named; use --database postgresql://user@host/name, DATABASE_URL, or "
            "database.url in the configuration");
        return NULL;
    }
    return url;
}
