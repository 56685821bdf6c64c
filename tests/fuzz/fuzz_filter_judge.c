/* tests/fuzz/fuzz_filter_judge.c - programs of filters over rows of any text: nothing is read past its end, and what is decided without
 * some columns stays decided with them.
 *
 * The input: a filter, a line break, and one line for each of the row's columns in the order in which the filter names them.
 * A column's type follows from the first byte of its name. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/view/filter_judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLUMNS_MAX = 32 };

static const uint32_t types[] = { 16, 23, 25, 1700, 701, 1184, 1082, 2950, 3802, 1042, 20000 };
static struct policy_enum_label labels[] = { { 0, 1, "a" }, { 0, 1, "b" }, { 0, 2, "xy" } };

struct row {
    struct filter_columns columns;
    struct filter_column column[COLUMNS_MAX];
    struct policy_cell cells[COLUMNS_MAX];
    char *texts[COLUMNS_MAX]; /* of the cells */
    struct policy_row row;
};

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void add_column(struct row *row, const char *name)
{
    struct filter_column *column = &row->column[row->columns.count];
    uint32_t type = types[(uint8_t)name[0] % (sizeof(types) / sizeof(types[0]))];
    const struct policy_allow_type *plain = policy_allow_type(type);

    *column =
        (struct filter_column){ .name = name,
                                .attribute = ++row->columns.count,
                                .type = type,
                                .type_name = name,
                                .shape = { .type = type,
                                           .kind = plain != NULL ? plain->kind : POLICY_KIND_NONE },
                                .deterministic = (name[0] & 0x20) != 0,
                                .bytes = (name[0] & 0x10) != 0,
                                .fold = (enum filter_fold)(name[0] % 3),
                                .match = match_type_of(type, true) };
    if (type == 20000) {
        column->labels = (struct policy_enum){ type, 3, labels };
        column->shape.kind = POLICY_KIND_ENUM;
        column->shape.labels = &column->labels;
    }
}

static bool add_columns(struct row *row, const struct filter *filter)
{
    for (uint32_t i = 0; i < filter->node_count; i++) {
        const char *name = filter->nodes[i].column.data;
        if (filter->nodes[i].kind != FILTER_TEST ||
            filter_columns_find(&row->columns, name) != NULL) {
            continue;
        }
        if (row->columns.count == COLUMNS_MAX) {
            return false;
        }
        add_column(row, name);
    }
    return true;
}

/* As if PostgreSQL had found the column's own type. */
static void cast(const struct row *row, struct filter *filter)
{
    struct wire_span texts[FILTER_VALUES_MAX];
    uint32_t oids[FILTER_VALUES_MAX];
    struct rt_buf kept = { .data = NULL };
    size_t at = 0;

    for (uint32_t i = 0; i < filter->value_count; i++) {
        rt_buf_append(&kept, filter->values[i].text.data, filter->values[i].text.len);
    }
    for (uint32_t i = 0; i < filter->node_count; i++) {
        const struct filter_node *node = &filter->nodes[i];
        for (uint32_t v = node->first_value; v < node->first_value + node->value_count; v++) {
            texts[v] = (struct wire_span){ kept.len > 0 ? (const char *)kept.data + at : "",
                                           filter->values[v].text.len };
            oids[v] = filter_columns_find(&row->columns, node->column.data)->type;
            at += texts[v].len;
        }
    }
    filter_cast(filter, texts, oids);
    rt_buf_fini(&kept);
}

/* Each cell in memory of its own, so that the sanitizer sees its end. */
static void fill(struct row *row, const char *at, const char *end)
{
    for (uint32_t i = 0; i < row->columns.count; i++) {
        const char *line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        size_t len = (size_t)((line != NULL ? line : end) - at);
        char *text = malloc(len + (len == 0));
        if (len > 0) {
            memcpy(text, at, len);
        }
        policy_row_set(&row->row, i + 1,
                       len == 1 && *at == '-' ? POLICY_CELL_NULL : POLICY_CELL_TEXT, text,
                       (uint32_t)len);
        row->texts[i] = text;
        at = line != NULL ? line + 1 : end;
    }
}

static void judge(struct row *row, const struct filter_program *program)
{
    uint8_t whole = filter_eval(program, &row->row);
    struct policy_cell cells[COLUMNS_MAX];
    struct policy_row less = { row->row.count, cells };

    check(whole != 0 && (whole & OUTCOME_MISSING) == 0);
    for (uint32_t hidden = 0; hidden < row->columns.count; hidden++) {
        memcpy(cells, row->cells, sizeof(cells));
        cells[hidden].kind = POLICY_CELL_MISSING;
        uint8_t set = filter_eval(program, &less);
        check(set != OUTCOME_TRUE || whole == OUTCOME_TRUE);
        check((set & OUTCOME_TRUE) != 0 || (whole & OUTCOME_TRUE) == 0);
        check((set & OUTCOME_MISSING) == 0 || filter_judge(program, &less) == MATCH_NO);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct row row = { .columns = { .refs = 1, .utf8 = true } };
    struct filter filter;
    struct filter_error error;
    const char *text = (const char *)data;
    const char *line = size > 0 ? memchr(text, '\n', size) : NULL;
    size_t len = line != NULL ? (size_t)(line - text) : size;

    row.columns.columns = row.column;
    if (size == 0 || !filter_parse(&filter, FILTER_LIST, (struct wire_span){ text, len }, &error)) {
        return 0;
    }
    if (add_columns(&row, &filter)) {
        cast(&row, &filter);
        row.row = (struct policy_row){ row.columns.count, row.cells };
        fill(&row, line != NULL ? line + 1 : text + size, text + size);
        struct filter_program *program = filter_program_new(&filter, &row.columns);
        check(program != NULL);
        /* The names are the filter's, and stay. */
        judge(&row, program);
        filter_program_unref(program);
        for (uint32_t i = 0; i < row.columns.count; i++) {
            free(row.texts[i]);
        }
    }
    filter_fini(&filter);
    return 0;
}
