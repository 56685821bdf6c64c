/* cli/identity.h - an identity as the broker gives it to PostgreSQL: a role, and settings made of claims. Blocking, one thread. */
#ifndef PGTIDE_CLI_IDENTITY_H
#define PGTIDE_CLI_IDENTITY_H

#include <stdbool.h>

#include "broker/policy/settings.h"

struct cli_identity {
    struct policy_identity identity;
    struct policy_setting *settings; /* owned */
};
/* `names`: policies.claims_settings. All texts outlive it. False, and nothing made: the claims are not an object. */
bool cli_identity_init(struct cli_identity *out, const char *role, const char *path,
                       const char *names, const char *claims);
void cli_identity_fini(struct cli_identity *identity);

#endif
