/* cli/settings.h - the configuration of the tiers, as a command of pgtide reads it.
 *
 * --config FILE, else the file that PGTIDE_CONFIG names, else none: then environment and defaults.
 */
#ifndef PGTIDE_CLI_SETTINGS_H
#define PGTIDE_CLI_SETTINGS_H

#include "cli/args.h"

struct rt_config;

/* NULL after saying what is wrong; the caller returns CLI_USAGE. rt_config_free() releases it. */
struct rt_config *cli_settings_load(const struct cli_args *args);
/* --database, else database.url. NULL after saying that there is neither. */
const char *cli_settings_database(const struct cli_args *args, const struct rt_config *config);
/* A variable of the environment; NULL when it is unset or empty. */
const char *cli_environment(const char *name);

#endif
