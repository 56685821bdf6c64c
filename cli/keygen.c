/* cli/keygen.c - pgtide keygen: the certificate that encrypts the links between tiers. */
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "runtime/keys.h"

static enum cli_status run_keygen(const struct cli_args *args)
{
    const char *path = args->arguments[0];

    if (access(path, F_OK) == 0) {
        cli_say(
            "%s exists already; remove it first if you mean to replace it (every tier needs the "
            "new one then)",
            path);
        return CLI_FAILED;
    }
    if (!rt_keys_generate(path)) {
        cli_say("%s cannot be written; does its folder exist, and may you write there?", path);
        return CLI_FAILED;
    }
    printf("%s\n", path);
    return CLI_OK;
}

static const struct cli_option keygen_options[] = { { 0 } };

const struct cli_command cli_command_keygen = {
    .name = "keygen",
    .arguments = "FILE",
    .summary = "make the key file for the links between tiers",
    .about =
        "Writes a new CURVE certificate with its secret key, readable by you only. Give the same "
        "file\n"
        "to every tier of a deployment as links.key_file; without it they only bind to this host.\n"
        "\n"
        "  pgtide keygen /etc/pgtide/links.key\n",
    .options = keygen_options,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_keygen,
};
