/* broker/match/filter_text.c - one text for all spellings of a filter.
 *
 * From the last node to the first, so that the parts of a group are ready before the group: a group within one of
 * the same kind, and one with a single part, dissolve; parts are sorted, and each stands once.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/match/filter.h"

/* The texts of what a group consists of; owned. */
struct parts {
    char **items;
    uint32_t count;
};

static void put_quoted(struct rt_buf *out, struct wire_span text)
{
    rt_buf_putc(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            rt_buf_putc(out, '\\');
        }
        rt_buf_putc(out, text.data[i]);
    }
    rt_buf_putc(out, '"');
}

static int compare_spans(const void *a, const void *b)
{
    const struct wire_span *left = a;
    const struct wire_span *right = b;
    size_t len = left->len < right->len ? left->len : right->len;
    int order = memcmp(left->data, right->data, len);

    return order != 0 ? order : (left->len > right->len) - (left->len < right->len);
}

/* Sorted and each once; returns how many. */
static uint32_t sort_values(const struct filter *filter, const struct filter_node *node,
                            struct wire_span *out)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < node->value_count; i++) {
        out[i] = filter->values[node->first_value + i].text;
    }
    if (node->value_count > 1) {
        qsort(out, node->value_count, sizeof(*out), compare_spans);
    }
    for (uint32_t i = 0; i < node->value_count; i++) {
        if (i == 0 || compare_spans(&out[i], &out[i - 1]) != 0) {
            out[count++] = out[i];
        }
    }
    return count;
}

static char *test_text(const struct filter *filter, const struct filter_node *node)
{
    struct wire_span values[FILTER_IN_MAX];
    uint32_t count = sort_values(filter, node, values);
    struct rt_buf out = { .data = NULL };

    put_quoted(&out, node->column);
    for (uint32_t i = 0; i < node->step_count; i++) {
        const struct filter_step *step = &filter->steps[node->first_step + i];
        rt_buf_puts(&out, step->text ? "->>" : "->");
        if (step->index) {
            rt_buf_append(&out, step->key.data, step->key.len);
        } else {
            put_quoted(&out, step->key);
        }
    }
    rt_buf_puts(&out, node->negated ? ".not." : ".");
    rt_buf_puts(&out, filter_op_name(node->op == FILTER_IN && count == 1 ? FILTER_EQ : node->op));
    for (uint32_t i = 0; i < count; i++) {
        rt_buf_puts(&out, i > 0 ? "," : count > 1 ? ".(" : ".");
        put_quoted(&out, values[i]);
    }
    if (count > 1) {
        rt_buf_putc(&out, ')');
    }
    char *text = rt_strndup(rt_buf_cstr(&out), out.len);
    rt_buf_fini(&out);
    return text;
}

static void parts_fini(struct parts *parts)
{
    for (uint32_t i = 0; i < parts->count; i++) {
        free(parts->items[i]);
    }
    free(parts->items);
    *parts = (struct parts){ .count = 0 };
}

static void add_part(struct parts *parts, char *text)
{
    parts->items = rt_realloc(parts->items, parts->count + 1, sizeof(char *));
    parts->items[parts->count++] = text;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_parts(struct parts *parts)
{
    uint32_t count = 0;

    qsort(parts->items, parts->count, sizeof(char *), compare_texts);
    for (uint32_t i = 0; i < parts->count; i++) {
        if (count > 0 && strcmp(parts->items[i], parts->items[count - 1]) == 0) {
            free(parts->items[i]);
        } else {
            parts->items[count++] = parts->items[i];
        }
    }
    parts->count = count;
}

static void put_parts(struct rt_buf *out, const struct parts *parts)
{
    for (uint32_t i = 0; i < parts->count; i++) {
        rt_buf_puts(out, i > 0 ? "," : "");
        rt_buf_puts(out, parts->items[i]);
    }
}

/* A group becomes one part of the group around it, or its parts do. Empties `inner`. */
static void take_group(struct parts *outer, enum filter_kind outer_kind,
                       const struct filter_node *node, struct parts *inner)
{
    if (!node->negated && (node->kind == outer_kind || inner->count == 1)) {
        for (uint32_t i = 0; i < inner->count; i++) {
            add_part(outer, inner->items[i]);
        }
        inner->count = 0;
    } else {
        struct rt_buf text = { .data = NULL };
        rt_buf_puts(&text, node->negated ? "not." : "");
        rt_buf_puts(&text, node->kind == FILTER_OR && inner->count > 1 ? "or(" : "and(");
        put_parts(&text, inner);
        rt_buf_putc(&text, ')');
        add_part(outer, rt_strndup(rt_buf_cstr(&text), text.len));
        rt_buf_fini(&text);
    }
    parts_fini(inner);
}

void filter_canonical(const struct filter *filter, struct rt_buf *out)
{
    struct parts *parts = rt_alloc((filter->node_count + 1) * sizeof(*parts));

    for (uint32_t i = filter->node_count; i-- > 0;) {
        const struct filter_node *group = &filter->nodes[i];
        if (group->kind == FILTER_TEST) {
            continue;
        }
        for (uint32_t c = i + 1; c < group->end; c = filter->nodes[c].end) {
            const struct filter_node *child = &filter->nodes[c];
            if (child->kind == FILTER_TEST) {
                add_part(&parts[i], test_text(filter, child));
            } else {
                take_group(&parts[i], group->kind, child, &parts[c]);
            }
        }
        sort_parts(&parts[i]);
    }
    put_parts(out, &parts[0]);
    parts_fini(&parts[0]);
    free(parts);
}

void filter_cast(struct filter *filter, const struct wire_span *texts, const uint32_t *oids)
{
    size_t total = 0;

    for (uint32_t i = 0; i < filter->value_count; i++) {
        total += texts[i].len + 1;
    }
    /* Reserved at once: the spans below point into it. */
    (void)rt_buf_reserve(&filter->cast, total + 1);
    for (uint32_t i = 0; i < filter->value_count; i++) {
        filter->values[i] = (struct filter_value){
            .text = { (const char *)filter->cast.data + filter->cast.len, texts[i].len },
            .type_oid = oids[i],
        };
        rt_buf_append(&filter->cast, texts[i].data, texts[i].len);
        rt_buf_putc(&filter->cast, '\0');
    }
}
