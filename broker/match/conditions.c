/* broker/match/conditions.c - from the last node of a filter to the first, each becomes a list of conjunctions of tests. */
#include "broker/match/conditions.h"

#include <string.h>

/* Tests by the number of their node. */
struct conjunction {
    uint8_t count;
    uint8_t tests[CONDITIONS_ANCHORS_MAX];
};

struct list {
    uint32_t count;
    struct conjunction conjunctions[CONDITIONS_MAX];
};

_Static_assert(FILTER_NODES_MAX <= UINT8_MAX, "a node's number fits a byte");

static const struct list anything = { .count = 1, .conjunctions = { { .count = 0 } } };

static void add_tests(struct conjunction *to, const struct conjunction *from)
{
    for (uint8_t i = 0; i < from->count && to->count < CONDITIONS_ANCHORS_MAX; i++) {
        to->tests[to->count++] = from->tests[i];
    }
}

/* Every one with every one. When that is too much, only the first list counts. */
static void list_and(struct list *list, const struct list *other)
{
    struct list product = { .count = 0 };

    if (list->count * other->count > CONDITIONS_MAX) {
        return;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        for (uint32_t j = 0; j < other->count; j++) {
            struct conjunction both = list->conjunctions[i];
            add_tests(&both, &other->conjunctions[j]);
            product.conjunctions[product.count++] = both;
        }
    }
    *list = product;
}

static void list_or(struct list *list, const struct list *other)
{
    if (list->count + other->count > CONDITIONS_MAX) {
        *list = anything;
        return;
    }
    memcpy(&list->conjunctions[list->count], other->conjunctions,
           other->count * sizeof(other->conjunctions[0]));
    list->count += other->count;
}

/* --- tests --- */

/* Whether values of this type have the column's form: they do when they have the column's type, or one whose texts
 * mean the same (varchar is compared as text). */
static bool same_form(const struct filter *filter, const struct filter_node *node,
                      const struct conditions_column *column)
{
    for (uint32_t i = 0; i < node->value_count; i++) {
        uint32_t oid = filter->values[node->first_value + i].type_oid;
        struct match_type type = match_type_of(oid, true);
        if (oid != column->type_oid &&
            (type.form != column->type.form || type.order != column->type.order)) {
            return false;
        }
    }
    return true;
}

/* False: no anchor comes of this test. */
static bool anchor_of(const struct filter *filter, const struct filter_node *node,
                      const struct conditions_column *column, struct conditions *out,
                      struct match_anchor *anchor)
{
    *anchor = (struct match_anchor){
        .column = column->place,
        .type = column->type,
        .values = &out->values[node->first_value],
        .value_count = node->value_count,
        .share = column->share * node->value_count,
    };
    switch (node->op) {
    case FILTER_EQ:
    case FILTER_IN:
        anchor->kind = MATCH_EQUAL;
        return column->type.form != MATCH_FORM_NONE && same_form(filter, node, column);
    case FILTER_IS_TRUE:
    case FILTER_IS_FALSE:
        anchor->kind = MATCH_EQUAL;
        anchor->values = &out->values[FILTER_VALUES_MAX + (node->op == FILTER_IS_FALSE)];
        anchor->value_count = 1;
        anchor->share = 0.5;
        return column->type.form == MATCH_FORM_BYTES;
    case FILTER_IS_NULL:
    case FILTER_IS_UNKNOWN:
        anchor->kind = MATCH_IS_NULL;
        return true;
    case FILTER_GT:
    case FILTER_GTE:
    case FILTER_LT:
    case FILTER_LTE:
        anchor->kind =
            node->op == FILTER_GT || node->op == FILTER_GTE ? MATCH_AT_LEAST : MATCH_AT_MOST;
        anchor->share = 0;
        return column->type.order != MATCH_ORDER_NONE && same_form(filter, node, column);
    case FILTER_NEQ:
    case FILTER_LIKE:
    case FILTER_ILIKE:
    case FILTER_MATCH:
    case FILTER_IMATCH:
    case FILTER_IS_DISTINCT:
    case FILTER_IS:
        break;
    }
    return false;
}

static void finish(struct conditions *out)
{
    for (uint32_t i = 0; i < out->count; i++) {
        out->conjunctions[i].anchors = out->anchors[i];
    }
}

void conditions_of_filter(const struct filter *filter, conditions_column_fn *column, void *ctx,
                          struct conditions *out)
{
    struct list lists[FILTER_NODES_MAX];
    struct match_anchor anchors[FILTER_NODES_MAX];

    for (uint32_t i = 0; i < filter->value_count; i++) {
        out->values[i] = filter->values[i].text;
    }
    out->values[FILTER_VALUES_MAX] = (struct wire_span){ "t", 1 };
    out->values[FILTER_VALUES_MAX + 1] = (struct wire_span){ "f", 1 };
    lists[0] = anything;
    for (uint32_t i = filter->node_count; i-- > 0;) {
        const struct filter_node *node = &filter->nodes[i];
        struct conditions_column known;
        lists[i] = anything;
        if (node->negated) {
            continue;
        }
        if (node->kind == FILTER_TEST) {
            if (node->step_count == 0 && column(ctx, node->column.data, &known) &&
                anchor_of(filter, node, &known, out, &anchors[i])) {
                lists[i].conjunctions[0] = (struct conjunction){ 1, { (uint8_t)i } };
            }
            continue;
        }
        lists[i].count = node->kind == FILTER_AND ? 1 : 0;
        for (uint32_t c = i + 1; c < node->end; c = filter->nodes[c].end) {
            if (node->kind == FILTER_AND) {
                list_and(&lists[i], &lists[c]);
            } else {
                list_or(&lists[i], &lists[c]);
            }
        }
    }
    out->count = lists[0].count;
    for (uint32_t i = 0; i < out->count; i++) {
        const struct conjunction *from = &lists[0].conjunctions[i];
        out->conjunctions[i].anchor_count = from->count;
        for (uint8_t j = 0; j < from->count; j++) {
            out->anchors[i][j] = anchors[from->tests[j]];
        }
    }
    finish(out);
}

/* --- joining --- */

static void append(struct conditions *out, const struct match_conjunction *from)
{
    struct match_conjunction *to = &out->conjunctions[out->count - 1];

    for (uint32_t i = 0; i < from->anchor_count && to->anchor_count < CONDITIONS_ANCHORS_MAX; i++) {
        out->anchors[out->count - 1][to->anchor_count++] = from->anchors[i];
    }
}

static void start(struct conditions *out)
{
    out->conjunctions[out->count++].anchor_count = 0;
}

/* Of two lists that are too long for each other: the one without an unanchored conjunction, or the shorter one. */
static bool is_better(const struct match_conjunction *a, uint32_t a_count,
                      const struct match_conjunction *b, uint32_t b_count)
{
    uint32_t open_a = a_count > CONDITIONS_MAX ? 1 : 0;
    uint32_t open_b = b_count > CONDITIONS_MAX ? 1 : 0;

    for (uint32_t i = 0; i < a_count; i++) {
        open_a += a[i].anchor_count == 0;
    }
    for (uint32_t i = 0; i < b_count; i++) {
        open_b += b[i].anchor_count == 0;
    }
    return (open_a > 0) != (open_b > 0) ? open_a == 0 : a_count <= b_count;
}

void conditions_and(const struct match_conjunction *a, uint32_t a_count,
                    const struct match_conjunction *b, uint32_t b_count, struct conditions *out)
{
    out->count = 0;
    if ((uint64_t)a_count * b_count <= CONDITIONS_MAX) {
        for (uint32_t i = 0; i < a_count * b_count; i++) {
            start(out);
            append(out, &a[i / b_count]);
            append(out, &b[i % b_count]);
        }
    } else {
        bool first = is_better(a, a_count, b, b_count);
        uint32_t count = first ? a_count : b_count;
        for (uint32_t i = 0; i < count && count <= CONDITIONS_MAX; i++) {
            start(out);
            append(out, first ? &a[i] : &b[i]);
        }
        if (count > CONDITIONS_MAX) {
            start(out); /* anything */
        }
    }
    finish(out);
}
