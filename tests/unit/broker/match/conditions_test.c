/* Tests of broker/match/conditions: a row that a filter admits satisfies all anchors of one conjunction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/match/conditions.h"
#include "tests/unit/broker/kit.h"

enum { COLUMNS = 4, INT4 = 23 };

static uint64_t random_state = 7;

static uint32_t pick(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % below;
}

/* Columns a to d are integers; d is not in the tuple. */
static bool column(void *ctx, const char *name, struct conditions_column *out)
{
    (void)ctx;
    *out = (struct conditions_column){ .place = (uint16_t)(name[0] - 'a'),
                                       .type_oid = INT4,
                                       .type = match_type_of(INT4, false) };
    return name[0] != 'd';
}

static void write_test(struct rt_buf *out)
{
    static const char *const ops[] = { "eq", "neq", "gt", "gte", "lt", "lte", "isdistinct" };

    rt_buf_putc(out, (char)('a' + pick(COLUMNS)));
    rt_buf_puts(out, pick(5) == 0 ? "=not." : "=");
    uint32_t what = pick(10);
    if (what < 2) {
        rt_buf_puts(out, "is.null");
    } else if (what < 4) {
        rt_buf_printf(out, "in.(%u,%u,%u)", pick(5), pick(5), pick(5));
    } else {
        rt_buf_printf(out, "%s.%u", ops[pick(7)], pick(5));
    }
}

/* Groups three deep at most. */
static void write_filter(struct rt_buf *out)
{
    uint32_t left[4] = { 1 + pick(3) };
    uint32_t depth = 0;

    for (;;) {
        if (depth < 3 && pick(3) == 0) {
            rt_buf_puts(out, pick(6) == 0 ? "not.or(" : pick(3) == 0 ? "and(" : "or(");
            left[++depth] = 1 + pick(pick(6) == 0 ? 9 : 3);
            continue;
        }
        write_test(out);
        while (--left[depth] == 0) {
            if (depth == 0) {
                return;
            }
            rt_buf_putc(out, ')');
            depth--;
        }
        rt_buf_putc(out, ',');
    }
}

/* -1: NULL */
static int holds_test(const struct filter *filter, const struct filter_node *node, const int *row)
{
    int value = row[node->column.data[0] - 'a'];
    int result = 0;

    for (uint32_t i = 0; i < node->value_count; i++) {
        int other = (int)strtol(filter->values[node->first_value + i].text.data, NULL, 10);
        result |= node->op == FILTER_EQ || node->op == FILTER_IN             ? value == other
                  : node->op == FILTER_NEQ || node->op == FILTER_IS_DISTINCT ? value != other
                  : node->op == FILTER_GT                                    ? value > other
                  : node->op == FILTER_GTE                                   ? value >= other
                  : node->op == FILTER_LT                                    ? value < other
                                                                             : value <= other;
    }
    if (node->op == FILTER_IS_NULL) {
        result = value < 0;
    } else if (value < 0 && node->op != FILTER_IS_DISTINCT) {
        return -1;
    }
    return node->negated ? !result : result;
}

static int holds(const struct filter *filter, const int *row)
{
    int results[FILTER_NODES_MAX];

    for (uint32_t i = filter->node_count; i-- > 0;) {
        const struct filter_node *node = &filter->nodes[i];
        if (node->kind == FILTER_TEST) {
            results[i] = holds_test(filter, node, row);
            continue;
        }
        bool unknown = false;
        int stop = node->kind == FILTER_AND ? 0 : 1;
        results[i] = !stop;
        for (uint32_t c = i + 1; c < node->end; c = filter->nodes[c].end) {
            unknown |= results[c] < 0;
            results[i] = results[c] == stop ? stop : results[i];
        }
        results[i] = results[i] != stop && unknown ? -1 : results[i];
        results[i] = results[i] >= 0 && node->negated ? !results[i] : results[i];
    }
    return results[0];
}

static bool satisfies(const struct match_anchor *anchor, const int *row)
{
    int value = row[anchor->column];

    if (anchor->kind == MATCH_IS_NULL || value < 0) {
        return anchor->kind == MATCH_IS_NULL && value < 0;
    }
    for (uint32_t i = 0; i < anchor->value_count; i++) {
        int other = (int)strtol(anchor->values[i].data, NULL, 10);
        if ((anchor->kind == MATCH_EQUAL && value == other) ||
            (anchor->kind == MATCH_AT_LEAST && value >= other) ||
            (anchor->kind == MATCH_AT_MOST && value <= other)) {
            return true;
        }
    }
    return false;
}

static bool lets_through(const struct conditions *conditions, const int *row)
{
    for (uint32_t i = 0; i < conditions->count; i++) {
        bool all = true;
        for (uint32_t j = 0; j < conditions->conjunctions[i].anchor_count; j++) {
            all = all && satisfies(&conditions->conjunctions[i].anchors[j], row);
        }
        if (all) {
            return true;
        }
    }
    return false;
}

struct read_filter {
    struct filter filter;
    struct conditions conditions;
};

/* False when there is too much of something. */
static bool read_filter(struct read_filter *out, const char *text)
{
    struct filter_error error;

    if (!filter_parse(&out->filter, FILTER_LIST, (struct wire_span){ text, strlen(text) },
                      &error)) {
        assert_non_null(strstr(error.text, "at most"));
        return false;
    }
    for (uint32_t i = 0; i < out->filter.value_count; i++) {
        out->filter.values[i].type_oid = INT4;
    }
    conditions_of_filter(&out->filter, column, NULL, &out->conditions);
    return true;
}

static void random_filter(struct read_filter *out)
{
    struct rt_buf text = { .data = NULL };

    do {
        rt_buf_clear(&text);
        write_filter(&text);
    } while (!read_filter(out, rt_buf_cstr(&text)));
    rt_buf_fini(&text);
}

static void test_nothing_that_a_filter_admits_is_left_out(void **state)
{
    struct read_filter *a = calloc(1, sizeof(*a));
    struct read_filter *b = calloc(1, sizeof(*b));
    struct conditions *both = calloc(1, sizeof(*both));
    uint32_t admitted = 0;
    uint32_t excluded = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        random_filter(a);
        random_filter(b);
        conditions_and(a->conditions.conjunctions, a->conditions.count, b->conditions.conjunctions,
                       b->conditions.count, both);
        for (int j = 0; j < 20; j++) {
            int row[COLUMNS];
            for (int k = 0; k < COLUMNS; k++) {
                row[k] = (int)pick(6) - 1;
            }
            bool in_a = holds(&a->filter, row) == 1;
            bool in_b = holds(&b->filter, row) == 1;
            assert_true(!in_a || lets_through(&a->conditions, row));
            assert_true(!(in_a && in_b) || lets_through(both, row));
            admitted += in_a;
            excluded += !lets_through(&a->conditions, row);
        }
        filter_fini(&a->filter);
        filter_fini(&b->filter);
    }
    assert_true(admitted > 50000 && excluded > 50000);
    free(a);
    free(b);
    free(both);
}

static void test_anchors_are_what_the_filter_says(void **state)
{
    struct read_filter *f = calloc(1, sizeof(*f));

    (void)state;
    assert_true(read_filter(f, "a=in.(1,2),or(b=gt.3,c=is.true)"));
    assert_int_equal(f->conditions.count, 2);
    assert_int_equal(f->conditions.conjunctions[0].anchor_count, 2);
    assert_int_equal(f->conditions.conjunctions[0].anchors[0].value_count, 2);
    assert_int_equal(f->conditions.conjunctions[0].anchors[1].kind, MATCH_AT_LEAST);
    assert_int_equal(f->conditions.conjunctions[1].anchors[1].column, 2);
    assert_string_equal(f->conditions.conjunctions[1].anchors[1].values[0].data, "t");
    filter_fini(&f->filter);
    assert_true(read_filter(f, "a=neq.1,a->b=eq.1,d=eq.3,not.and(a=eq.1)"));
    assert_int_equal(f->conditions.count, 1);
    assert_int_equal(f->conditions.conjunctions[0].anchor_count, 0);
    filter_fini(&f->filter);
    assert_true(read_filter(f, ""));
    assert_int_equal(f->conditions.count, 1);
    filter_fini(&f->filter);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_that_a_filter_admits_is_left_out),
        cmocka_unit_test(test_anchors_are_what_the_filter_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
