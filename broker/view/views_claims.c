/* broker/view/views_claims.c - an identity as PostgreSQL is given it: role, and settings made of the claims.
 *
 * All identities have the same names of settings, whatever their claims: settings last as long as a transaction, and several
 * identities share one. A claim that is not there is ''. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "broker/view/views_impl.h"
#include "runtime/buf.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* PostgreSQL's rule for names of settings that it does not know: identifiers with points between them. */
bool views_setting_is_good(const char *setting)
{
    bool point = false;
    bool first = true;

    for (; *setting != '\0' && *setting != '='; setting++) {
        bool later = (*setting >= '0' && *setting <= '9') || *setting == '$';
        if (*setting == '.' && !first) {
            point = true;
            first = true;
        } else if (is_letter(*setting) || (later && !first)) {
            first = false;
        } else {
            return false;
        }
    }
    return point && !first && (*setting == '\0' || setting[1] != '\0');
}

/* Texts as they are, everything else as JSON; what is not there, '' (as PostgREST had it in request.jwt.claim.NAME). */
static char *claim_text(const json_t *claims, const char *name)
{
    const json_t *value = json_object_get(claims, name);

    if (value == NULL || json_is_null(value)) {
        return rt_strdup("");
    }
    if (json_is_string(value)) {
        return rt_strdup(json_string_value(value));
    }
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

static size_t count_settings(const char *const *settings)
{
    size_t count = 0;

    while (settings[count] != NULL) {
        count++;
    }
    return count;
}

/* Copies behind what is there already. */
static const char *keep(char **at, const char *text, size_t len)
{
    char *copy = *at;

    memcpy(copy, text, len);
    copy[len] = '\0';
    *at += len + 1;
    return copy;
}

/* values[i] NULL: the claims as they are. */
static struct views_identity *assemble(const char *role, struct claims *claims,
                                       const char *const *settings, char *const *values,
                                       size_t count)
{
    size_t bytes = strlen(role) + 1;

    for (size_t i = 0; i < count; i++) {
        bytes += strcspn(settings[i], "=") + 1 + (values[i] == NULL ? 0 : strlen(values[i]) + 1);
    }
    size_t list = count * sizeof(struct policy_setting);
    struct views_identity *made = rt_alloc(sizeof(*made) + list + bytes);
    struct policy_setting *out = (struct policy_setting *)(void *)(made + 1);
    char *at = (char *)out + list;

    const char *name = keep(&at, role, strlen(role));
    made->claims = claims_ref(claims);
    for (size_t i = 0; i < count; i++) {
        out[i].name = keep(&at, settings[i], strcspn(settings[i], "="));
        out[i].value = values[i] == NULL ? claims->text : keep(&at, values[i], strlen(values[i]));
    }
    made->identity.refs = 1;
    made->identity.policy =
        (struct policy_identity){ .role = name, .settings = out, .setting_count = count };
    return made;
}

struct views_identity *views_identity_new(const char *role, struct claims *claims,
                                          const char *const *settings)
{
    size_t count = count_settings(settings);
    char **values = rt_alloc((count + 1) * sizeof(char *));
    json_t *object =
        claims->len == 0 ? json_object() : json_loadb(claims->text, claims->len, 0, NULL);
    bool good = json_is_object(object) && memchr(claims->text, '\0', claims->len) == NULL;

    for (size_t i = 0; i < count && good; i++) {
        const char *claim = strchr(settings[i], '=');
        values[i] = claim == NULL ? NULL : claim_text(object, claim + 1);
        good = claim == NULL || values[i] != NULL;
    }
    struct views_identity *made = good ? assemble(role, claims, settings, values, count) : NULL;
    for (size_t i = 0; i < count; i++) {
        free(values[i]);
    }
    free(values);
    json_decref(object);
    return made;
}
