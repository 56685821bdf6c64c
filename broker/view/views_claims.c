/* broker/view/views_claims.c - an identity as PostgreSQL is given it: role, and settings made of the claims.
 *
 * All identities have the same names of settings, whatever their claims: settings last as long as a transaction, and several
 * identities share one. */
#include <stdlib.h>

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

struct views_policy {
    struct policy_identity identity; /* first: it is found through it */
    struct policy_setting *settings;
};

struct policy_identity *views_policy_new(const struct views_role *role, const struct claims *claims)
{
    size_t count = count_settings(role->settings);
    struct policy_setting *list =
        policy_settings_make(role->settings, count, role->name, claims->text, claims->len);

    if (list == NULL) {
        return NULL;
    }
    struct views_policy *made = rt_alloc(sizeof(*made));
    made->settings = list;
    made->identity = (struct policy_identity){ .role = role->name,
                                               .settings = list,
                                               .setting_count = count,
                                               .search_path = role->search_path };
    return &made->identity;
}

void views_policy_free(struct policy_identity *policy)
{
    struct views_policy *made = (struct views_policy *)policy;

    free(made->settings);
    free(made);
}
