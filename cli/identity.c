/* cli/identity.c - see identity.h. */
#include "cli/identity.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"

bool cli_identity_init(struct cli_identity *out, const char *role, const char *path,
                       const char *names, const char *claims)
{
    char *copy = rt_strdup(names);
    const char **entries = rt_alloc((strlen(names) + 1) * sizeof(*entries));
    size_t count = 0;
    char *rest = NULL;

    for (char *name = strtok_r(copy, ", ", &rest); name != NULL;
         name = strtok_r(NULL, ", ", &rest)) {
        entries[count++] = name;
    }
    out->settings = policy_settings_make(entries, count, role, claims, strlen(claims));
    out->identity = (struct policy_identity){ role, out->settings, count, path };
    free(entries);
    free(copy);
    return out->settings != NULL;
}

void cli_identity_fini(struct cli_identity *identity)
{
    free(identity->settings);
}
