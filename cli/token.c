/* cli/token.c - pgtide token: prints a signed token. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/settings.h"
#include "cli/token_make.h"
#include "runtime/config.h"

static enum cli_status run_token(const struct cli_args *args)
{
    struct rt_config *config = cli_settings_load(args);

    if (config == NULL) {
        return CLI_USAGE;
    }
    char *token = cli_token_make(args, config);
    enum cli_status status = CLI_USAGE;
    if (token != NULL) {
        printf("%s\n", token);
        status = CLI_OK;
    }
    free(token);
    rt_config_free(config);
    return status;
}

static const struct cli_option token_options[] = {
    CLI_TOKEN_OPTIONS,
    CLI_CONFIG_OPTIONS,
    { 0 },
};

const struct cli_command cli_command_token = {
    .name = "token",
    .arguments = "",
    .summary = "sign a token for a client",
    .about =
        "Prints a JSON Web Token (HS256), signed with JWT_KEY or auth.jwt_key. Clients pass it as\n"
        "/realtime?token=… or in the header Authorization: Bearer ….\n"
        "\n"
        "  pgtide token --sub 6f1c1c6e-0f0e-4b53-a8a5-1d6a2e0f8a01 --ttl 12h\n"
        "  pgtide token --role service_role --claim org=12 --claim 'teams=[\"a\",\"b\"]'\n",
    .options = token_options,
    .run = run_token,
};
