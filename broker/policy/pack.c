/* broker/policy/pack.c - constants in one piece of memory: values, lists of arrays, texts. Read once, they do not change, and there are as many
 * of them as identities: what an arena has room for would be wasted on each. */
#include <string.h>

#include "broker/policy/fold.h"

struct piece {
    char *at; /* of values and lists */
    char *texts;
};

/* An element's text is its own, or a part of the array's. */
static bool is_inside(const struct policy_value *array, const struct policy_value *element)
{
    return element->text >= array->text && element->text < array->text + array->len;
}

static const struct policy_list *list_of(const struct policy_value *value)
{
    return value->kind == POLICY_KIND_ARRAY && value->state == VALUE_KNOWN ? value->list : NULL;
}

static size_t text_room(const struct policy_value *value)
{
    return value->text == NULL ? 0 : (size_t)value->len + 1;
}

/* Of values and lists, which need alignment; texts come behind. */
static size_t aligned_room(const struct policy_binding *binding)
{
    size_t room = binding->count * sizeof(struct policy_value);

    for (uint32_t i = 0; i < binding->count; i++) {
        const struct policy_list *list = list_of(&binding->values[i]);
        if (list != NULL) {
            room += sizeof(*list) + list->count * sizeof(struct policy_value);
        }
    }
    return room;
}

size_t policy_constants_room(const struct policy_constants *constants)
{
    size_t room = aligned_room(&constants->binding) +
                  (constants->error == NULL ? 0 : strlen(constants->error) + 1);

    for (uint32_t i = 0; i < constants->binding.count; i++) {
        const struct policy_value *value = &constants->binding.values[i];
        const struct policy_list *list = list_of(value);
        room += text_room(value);
        for (uint32_t j = 0; list != NULL && j < list->count; j++) {
            room += is_inside(value, &list->values[j]) ? 0 : text_room(&list->values[j]);
        }
    }
    return room;
}

static void *take(struct piece *piece, size_t size)
{
    void *taken = piece->at;

    piece->at += size;
    return taken;
}

static const char *copy_text(struct piece *piece, const char *text, size_t len)
{
    char *copy = piece->texts;

    if (text == NULL) {
        return NULL;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    piece->texts += len + 1;
    return copy;
}

static const struct policy_list *copy_list(struct piece *piece, const struct policy_value *from,
                                           const struct policy_value *to)
{
    const struct policy_list *list = list_of(from);
    struct policy_list *made = take(piece, sizeof(*made));

    made->count = list->count;
    made->values = take(piece, list->count * sizeof(*made->values));
    for (uint32_t i = 0; i < list->count; i++) {
        const struct policy_value *element = &list->values[i];
        made->values[i] = *element;
        made->values[i].text = is_inside(from, element)
                                   ? to->text + (element->text - from->text)
                                   : copy_text(piece, element->text, element->len);
    }
    return made;
}

void policy_constants_pack(struct policy_constants *out, void *memory,
                           const struct policy_constants *from)
{
    const struct policy_binding *binding = &from->binding;
    struct piece piece = { memory, (char *)memory + aligned_room(binding) };
    struct policy_value *values = take(&piece, binding->count * sizeof(*values));

    *out = (struct policy_constants){ .binding = *binding };
    for (uint32_t i = 0; i < binding->count; i++) {
        const struct policy_value *value = &binding->values[i];
        values[i] = *value;
        values[i].text = copy_text(&piece, value->text, value->len);
        if (list_of(value) != NULL) {
            values[i].list = copy_list(&piece, value, &values[i]);
        }
    }
    out->binding.values = values;
    out->error = from->error == NULL ? NULL : copy_text(&piece, from->error, strlen(from->error));
}
