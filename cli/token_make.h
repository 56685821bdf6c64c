/* cli/token_make.h - tokens signed with the deployment's own key (HS256), for people and tests.
 *
 * Claims come from the options --role, --sub, --claim NAME=VALUE and --ttl. A VALUE that is JSON is
 * taken as JSON (12, true, ["a"], "12" with its quotes), anything else as text.
 */
#ifndef PGTIDE_CLI_TOKEN_MAKE_H
#define PGTIDE_CLI_TOKEN_MAKE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "cli/args.h"

struct rt_config;

/* The claims as a new JSON object, iat and exp from `now` (seconds since 1970). NULL with one line in
 * `error` when an option cannot be used. */
json_t *cli_token_claims(const struct cli_args *args, int64_t now, struct rt_buf *error);
/* A signed token; free() releases it. NULL with one line in `error`. */
char *cli_token_sign(const json_t *claims, const char *key, struct rt_buf *error);
/* Both, with the key and the clock of this process. NULL after saying why not. */
char *cli_token_make(const struct cli_args *args, const struct rt_config *config);

#define CLI_TOKEN_OPTIONS                                                                          \
    { "role", "ROLE", false, "role claim: the database role (default: authenticated)" },           \
        { "sub", "SUBJECT", false,                                                                 \
          "sub claim: who it is, usually a uuid; auth.uid() in policies" },                        \
        { "claim", "NAME=VALUE", true, "any other claim; VALUE is JSON, or else text" },           \
    {                                                                                              \
        "ttl", "TIME", false, "how long it is valid: 90s, 15m, 12h, 7d, or never (default: 1h)"    \
    }

#endif
