/* tests/fuzz/fuzz_filter.c - filters: bounded, never read past their end, one text says all that they mean, and nothing of
 * them gets out of its quotes in a statement. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/match/filter.h"
#include "broker/match/filter_sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_tree(const struct filter *filter)
{
    check(filter->node_count == 0 || filter->nodes[0].end == filter->node_count);
    for (uint32_t i = 0; i < filter->node_count; i++) {
        const struct filter_node *node = &filter->nodes[i];
        check(node->end > i && node->end <= filter->node_count);
        if (node->kind != FILTER_TEST) {
            check(node->end > i + 1);
            continue;
        }
        check(node->end == i + 1 && node->op != FILTER_IS);
        check(strlen(node->column.data) == node->column.len);
        check(node->first_value + node->value_count <= filter->value_count);
        check(node->first_step + node->step_count <= filter->step_count);
        check((node->value_count == 0) == (node->op >= FILTER_IS_NULL));
        check((node->value_count > 1) == (node->op == FILTER_IN));
    }
}

/* What the canonical text of a filter means is the filter. */
static void check_canonical(const struct filter *filter)
{
    struct rt_buf first = { .data = NULL };
    struct rt_buf second = { .data = NULL };
    struct filter again;
    struct filter_error error;

    rt_buf_puts(&first, "and(");
    filter_canonical(filter, &first);
    rt_buf_putc(&first, ')');
    if (filter_parse(&again, FILTER_LIST, (struct wire_span){ (const char *)first.data, first.len },
                     &error)) {
        rt_buf_puts(&second, "and(");
        filter_canonical(&again, &second);
        rt_buf_putc(&second, ')');
        check(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
        filter_fini(&again);
    } else {
        check(strstr(error.text, "at most") != NULL);
    }
    rt_buf_fini(&first);
    rt_buf_fini(&second);
}

/* Outside of quotes a statement has only what this program put there; and every quote is closed. */
static void check_statement(const char *at)
{
    int parens = 0;

    while (*at != '\0') {
        if (*at == '"' || *at == '\'') {
            char quote = *at;
            bool escapes = quote == '\'' && at[-1] == 'E';
            for (at++; *at != quote || at[1] == quote; at++) {
                check(*at != '\0');
                at += (*at == '\\' && escapes) || *at == quote;
            }
        } else {
            check(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZtrueas0123456789nst .()[],:$=<>~*-", *at) !=
                  NULL);
            parens += (*at == '(') - (*at == ')');
            check(parens >= 0);
        }
        at++;
    }
    check(parens == 0);
}

static void check_sql(const struct filter *filter)
{
    static const struct filter_table table = { { "public", 6 }, { "t", 1 } };
    struct filter_sql sql;
    struct rt_buf out = { .data = NULL };

    filter_sql_init(&sql, filter, &table);
    check(strlen((const char *)sql.text.data) == sql.text.len);
    for (uint32_t i = 0; i < filter->node_count; i++) {
        check(sql.starts[i] < sql.text.len);
    }
    filter_sql_fini(&sql);
    filter_sql_condition(filter, "t", 0, &out);
    check_statement(rt_buf_cstr(&out));
    rt_buf_clear(&out);
    filter_sql_condition(filter, "t", 7, &out);
    check_statement(rt_buf_cstr(&out));
    rt_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct filter filter;
    struct filter_error error;

    if (size == 0) {
        return 0;
    }
    enum filter_dialect dialect = (enum filter_dialect)(data[0] % 3);
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    if (filter_parse(&filter, dialect, (struct wire_span){ text, size - 1 }, &error)) {
        free(text);
        text = NULL;
        check_tree(&filter);
        if (filter.node_count > 0) {
            check_canonical(&filter);
            check_sql(&filter);
        }
        filter_fini(&filter);
    } else {
        char line[FILTER_ERROR_MAX + 32];
        check(error.text[0] != '\0' && error.at <= size);
        filter_error_text(&error, line, sizeof(line));
        check(filter.nodes == NULL);
    }
    free(text);
    return 0;
}
