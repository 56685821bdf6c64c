/* broker/view/views_sets_make.c - constants whose sets are those of now: copies, since constants never change. */
#include <stdlib.h>
#include <string.h>

#include "broker/view/views_impl.h"
#include "runtime/buf.h"

/* As PostgreSQL would write the array: every element in quotes. Equal sets have equal texts. */
static void write_array(struct rt_buf *out, const struct policy_list *list)
{
    rt_buf_putc(out, '{');
    for (uint32_t i = 0; i < list->count; i++) {
        const struct policy_value *value = &list->values[i];
        rt_buf_puts(out, i == 0 ? "" : ",");
        if (value->state == VALUE_NULL) {
            rt_buf_puts(out, "NULL");
            continue;
        }
        rt_buf_putc(out, '"');
        for (uint32_t j = 0; j < value->len; j++) {
            if (value->text[j] == '"' || value->text[j] == '\\') {
                rt_buf_putc(out, '\\');
            }
            rt_buf_putc(out, value->text[j]);
        }
        rt_buf_putc(out, '"');
    }
    rt_buf_putc(out, '}');
}

static struct policy_list *copy_list(struct policy_arena *arena, const struct policy_list *from)
{
    struct policy_list *list = policy_arena_alloc(arena, sizeof(*list));

    list->count = from->count;
    list->values = policy_arena_alloc(arena, (from->count + 1) * sizeof(*list->values));
    for (uint32_t i = 0; i < from->count; i++) {
        list->values[i] = from->values[i];
        if (from->values[i].text != NULL) {
            list->values[i].text =
                policy_arena_copy(arena, from->values[i].text, from->values[i].len);
        }
    }
    return list;
}

struct policy_value views_array(struct policy_arena *arena, const struct policy_list *from)
{
    struct rt_buf text = { .data = NULL };

    write_array(&text, from);
    struct policy_value value = {
        .state = VALUE_KNOWN,
        .kind = POLICY_KIND_ARRAY,
        .len = (uint32_t)text.len,
        .text = policy_arena_copy(arena, (const char *)text.data, text.len),
        .list = copy_list(arena, from),
    };
    rt_buf_fini(&text);
    return value;
}

struct view_constants *views_sets_constants(const struct views_fold *fold)
{
    struct view_constants *made = rt_alloc(sizeof(*made) + sizeof(struct view_constants *));
    const struct policy_kept *kept = fold->rules->kept;
    struct view_constants *base = fold->keep->base;
    uint32_t count = fold->rules->program->fold_count;
    struct policy_value *values =
        policy_arena_alloc(&made->policy.arena, (count + 1) * sizeof(*values));

    made->refs = 1;
    made->based = true;
    made->base[0] = base;
    base->refs++;
    memcpy(values, base->policy.binding.values, count * sizeof(*values));
    for (uint32_t i = 0; i < kept->count; i++) {
        if (kept->tests[i].above == 0) {
            values[kept->tests[i].fold] =
                views_array(&made->policy.arena, policy_set_list(fold->keep->sets[i]));
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        made->policy.binding.errors |= values[i].state == VALUE_ERROR;
    }
    made->policy.error = made->policy.binding.errors ? base->policy.error : NULL;
    made->policy.binding.values = values;
    made->policy.binding.count = count;
    return made;
}

static bool same_value(const struct policy_value *a, const struct policy_value *b)
{
    return a->state == b->state && a->kind == b->kind && a->len == b->len &&
           (a->text == NULL) == (b->text == NULL) &&
           (a->text == NULL || memcmp(a->text, b->text, a->len) == 0);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_constants(const struct view_constants *a, const struct view_constants *b)
{
    const struct policy_binding *left = &a->policy.binding;
    const struct policy_binding *right = &b->policy.binding;
    bool same = left->count == right->count && left->refused == right->refused &&
                left->errors == right->errors && same_text(a->policy.error, b->policy.error);

    for (uint32_t i = 0; same && i < left->count; i++) {
        same = same_value(&left->values[i], &right->values[i]);
    }
    return same;
}

bool views_use_constants(struct views_fold *fold, struct view_constants *made)
{
    if (fold->constants != NULL && same_constants(fold->constants, made)) {
        view_constants_unref(made);
        return false;
    }
    view_constants_unref(fold->constants);
    fold->constants = made;
    return true;
}
