/* broker/policy/settings.c - see settings.h. */
#include "broker/policy/settings.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "runtime/buf.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool policy_setting_is_good(const char *entry)
{
    bool point = false;
    bool first = true;

    for (; *entry != '\0' && *entry != '='; entry++) {
        bool later = (*entry >= '0' && *entry <= '9') || *entry == '$';
        if (*entry == '.' && !first) {
            point = true;
            first = true;
        } else if (is_letter(*entry) || (later && !first)) {
            first = false;
        } else {
            return false;
        }
    }
    return point && !first && (*entry == '\0' || entry[1] != '\0');
}

/* Texts one behind the other, each with its NUL; where each begins. */
struct texts {
    struct rt_buf bytes;
    size_t *starts;
    size_t count;
};

static void add_text(struct texts *texts, const char *text, size_t len)
{
    texts->starts[texts->count++] = texts->bytes.len;
    rt_buf_append(&texts->bytes, text, len);
    rt_buf_putc(&texts->bytes, '\0');
}

static void add_json(struct texts *texts, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    add_text(texts, text, text == NULL ? 0 : strlen(text));
    free(text);
}

static void add_claim(struct texts *texts, const json_t *claims, const char *name)
{
    const json_t *value = json_object_get(claims, name);

    if (value == NULL || json_is_null(value)) {
        add_text(texts, "", 0);
    } else if (json_is_string(value)) {
        add_text(texts, json_string_value(value), json_string_length(value));
    } else {
        add_json(texts, value);
    }
}

/* The claims as they came, but for a first member. What an object's text begins with is blanks and a brace. */
static void add_named(struct texts *texts, const json_t *object, const char *claims)
{
    const char *rest = strchr(claims, '{');

    if (rest == NULL || json_object_size(object) == 1) {
        add_json(texts, object);
        return;
    }
    char *role = json_dumps(json_object_get(object, "role"), JSON_ENCODE_ANY);
    texts->starts[texts->count++] = texts->bytes.len;
    rt_buf_printf(&texts->bytes, "{\"role\":%s,%s", role, rest + 1);
    rt_buf_putc(&texts->bytes, '\0');
    free(role);
}

/* NULL: not a token's. `*out_named`: the role had to be said. */
static json_t *read_claims(const char *claims, size_t len, const char *role, bool *out_named)
{
    json_t *object = len == 0 ? json_object() : json_loadb(claims, len, 0, NULL);

    if (!json_is_object(object) || memchr(claims, '\0', len) != NULL) {
        json_decref(object);
        return NULL;
    }
    *out_named = json_object_get(object, "role") == NULL;
    if (*out_named && json_object_set_new(object, "role", json_string(role)) != 0) {
        json_decref(object); /* a role that is no UTF-8 */
        return NULL;
    }
    return object;
}

static struct policy_setting *assemble(const struct texts *texts, size_t count)
{
    size_t list = count * sizeof(struct policy_setting);
    struct policy_setting *made = rt_alloc(list + texts->bytes.len + 1);
    char *bytes = (char *)made + list;

    if (texts->bytes.len > 0) {
        memcpy(bytes, texts->bytes.data, texts->bytes.len);
    }
    for (size_t i = 0; i < count; i++) {
        made[i].name = bytes + texts->starts[2 * i];
        made[i].value = bytes + texts->starts[2 * i + 1];
    }
    return made;
}

struct policy_setting *policy_settings_make(const char *const *entries, size_t count,
                                            const char *role, const char *claims, size_t len)
{
    bool named = false;
    json_t *object = read_claims(claims, len, role, &named);
    struct texts texts = { .starts = NULL };

    if (object == NULL) {
        return NULL;
    }
    texts.starts = rt_alloc((2 * count + 1) * sizeof(*texts.starts));
    for (size_t i = 0; i < count; i++) {
        const char *claim = strchr(entries[i], '=');
        add_text(&texts, entries[i], strcspn(entries[i], "="));
        if (claim != NULL) {
            add_claim(&texts, object, claim + 1);
        } else if (named) {
            add_named(&texts, object, claims);
        } else {
            add_text(&texts, "", 0);
        }
    }
    struct policy_setting *made = assemble(&texts, count);
    for (size_t i = 0; i < count && !named; i++) {
        made[i].value = strchr(entries[i], '=') == NULL ? claims : made[i].value;
    }
    rt_buf_fini(&texts.bytes);
    free(texts.starts);
    json_decref(object);
    return made;
}
