/* broker/view/views_claims.c - an identity as PostgreSQL is given it: role, and settings made of the claims.
 *
 * All identities have the same names of settings, whatever their claims: settings last as long as a transaction, and several
 * identities share one. */
#include <stdlib.h>
#include <string.h>

#include "broker/policy/settings.h"
#include "broker/view/views_impl.h"
#include "runtime/buf.h"

static size_t count_settings(const char *const *settings)
{
    size_t count = 0;

    while (settings[count] != NULL) {
        count++;
    }
    return count;
}

struct views_identity *views_identity_new(const char *role, struct claims *claims,
                                          const char *const *settings)
{
    size_t count = count_settings(settings);
    struct policy_setting *list =
        policy_settings_make(settings, count, role, claims->text, claims->len);

    if (list == NULL) {
        return NULL;
    }
    size_t role_size = strlen(role) + 1;
    struct views_identity *made = rt_alloc(sizeof(*made) + role_size);
    made->claims = claims_ref(claims);
    made->settings = list;
    made->identity.refs = 1;
    made->identity.policy = (struct policy_identity){ .role = memcpy(made + 1, role, role_size),
                                                      .settings = list,
                                                      .setting_count = count };
    return made;
}
