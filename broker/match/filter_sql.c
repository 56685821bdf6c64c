/* broker/match/filter_sql.c - see filter_sql.h. */
#include "broker/match/filter_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const op_signs[] = {
    [FILTER_EQ] = " = ",
    [FILTER_NEQ] = " <> ",
    [FILTER_GT] = " > ",
    [FILTER_GTE] = " >= ",
    [FILTER_LT] = " < ",
    [FILTER_LTE] = " <= ",
    [FILTER_LIKE] = " LIKE ",
    [FILTER_ILIKE] = " ILIKE ",
    [FILTER_MATCH] = " ~ ",
    [FILTER_IMATCH] = " ~* ",
    [FILTER_IS_DISTINCT] = " IS DISTINCT FROM ",
    [FILTER_IN] = " IN ",
    [FILTER_IS] = "",
    [FILTER_IS_NULL] = " IS NULL",
    [FILTER_IS_TRUE] = " IS TRUE",
    [FILTER_IS_FALSE] = " IS FALSE",
    [FILTER_IS_UNKNOWN] = " IS UNKNOWN",
};

static void put_name(struct rt_buf *out, struct wire_span name)
{
    rt_buf_putc(out, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '"') {
            rt_buf_putc(out, '"');
        }
        rt_buf_putc(out, name.data[i]);
    }
    rt_buf_putc(out, '"');
}

/* Right whatever standard_conforming_strings says. */
static void put_literal(struct rt_buf *out, struct wire_span text)
{
    bool escapes = text.len > 0 && memchr(text.data, '\\', text.len) != NULL;

    rt_buf_puts(out, escapes ? "E'" : "'");
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\'' || text.data[i] == '\\') {
            rt_buf_putc(out, text.data[i]);
        }
        rt_buf_putc(out, text.data[i]);
    }
    rt_buf_putc(out, '\'');
}

static void put_value(struct rt_buf *out, const struct filter *filter, uint32_t number,
                      unsigned first_param)
{
    if (first_param > 0) {
        rt_buf_printf(out, "$%u", first_param + number);
    } else {
        put_literal(out, filter->values[number].text);
    }
}

static const char row_name[] = "t";

/* How a condition is written. */
struct manner {
    const char *row;      /* its name */
    unsigned first_param; /* 0: literals */
    uint32_t *starts;     /* filled in, unless NULL */
};

static void put_column(struct rt_buf *out, const struct filter *filter,
                       const struct filter_node *node, const char *row)
{
    rt_buf_puts(out, node->step_count > 0 ? "(" : "");
    rt_buf_puts(out, row);
    rt_buf_putc(out, '.');
    put_name(out, node->column);
    for (uint32_t i = 0; i < node->step_count; i++) {
        const struct filter_step *step = &filter->steps[node->first_step + i];
        rt_buf_puts(out, step->text ? " ->> " : " -> ");
        if (step->index) {
            rt_buf_append(out, step->key.data, step->key.len);
        } else {
            put_literal(out, step->key);
        }
    }
    rt_buf_puts(out, node->step_count > 0 ? ")" : "");
}

static void put_test(struct rt_buf *out, const struct filter *filter,
                     const struct filter_node *node, const struct manner *manner)
{
    rt_buf_puts(out, node->negated ? "NOT (" : "(");
    put_column(out, filter, node, manner->row);
    rt_buf_puts(out, op_signs[node->op]);
    rt_buf_puts(out, node->op == FILTER_IN ? "(" : "");
    for (uint32_t i = 0; i < node->value_count; i++) {
        rt_buf_puts(out, i > 0 ? ", " : "");
        put_value(out, filter, node->first_value + i, manner->first_param);
    }
    rt_buf_puts(out, node->op == FILTER_IN ? "))" : ")");
}

static void put_condition(struct rt_buf *out, const struct filter *filter,
                          const struct manner *manner)
{
    uint32_t open[FILTER_DEPTH_MAX + 1];
    uint32_t depth = 0;

    if (filter->node_count == 0) {
        rt_buf_puts(out, "true");
    }
    for (uint32_t i = 0; i < filter->node_count; i++) {
        const struct filter_node *node = &filter->nodes[i];
        while (depth > 0 && filter->nodes[open[depth - 1]].end == i) {
            rt_buf_putc(out, ')');
            depth--;
        }
        if (depth > 0 && i > open[depth - 1] + 1) {
            rt_buf_puts(out, filter->nodes[open[depth - 1]].kind == FILTER_AND ? " AND " : " OR ");
        }
        if (manner->starts != NULL) {
            manner->starts[i] = (uint32_t)out->len;
        }
        if (node->kind == FILTER_TEST) {
            put_test(out, filter, node, manner);
        } else {
            rt_buf_puts(out, node->negated ? "NOT (" : "(");
            open[depth++] = i;
        }
    }
    for (; depth > 0; depth--) {
        rt_buf_putc(out, ')');
    }
}

static void put_table(struct rt_buf *out, const struct filter_table *table)
{
    put_name(out, table->schema);
    rt_buf_putc(out, '.');
    put_name(out, table->table);
}

/* A pattern is tried on itself: the row is NULL, so its own comparison looks neither at the pattern (a bad expression)
 * nor at the collation of the column (a nondeterministic one has no LIKE). */
static void put_trial(struct rt_buf *out, const struct filter *filter,
                      const struct filter_node *node)
{
    bool pattern = node->op == FILTER_LIKE || node->op == FILTER_ILIKE ||
                   node->op == FILTER_MATCH || node->op == FILTER_IMATCH;

    if (pattern) {
        unsigned param = (unsigned)node->first_value + 1;
        rt_buf_puts(out, ", coalesce(");
        put_column(out, filter, node, row_name);
        rt_buf_printf(out, ", $%u)%s$%u", param, op_signs[node->op], param);
    }
}

void filter_sql_init(struct filter_sql *out, const struct filter *filter,
                     const struct filter_table *table)
{
    *out = (struct filter_sql){ .param_count = (int)filter->value_count };
    out->starts = rt_alloc((filter->node_count + 1) * sizeof(*out->starts));
    out->params = rt_realloc(NULL, filter->value_count + 1, sizeof(char *));
    for (uint32_t i = 0; i < filter->value_count; i++) {
        out->params[i] = filter->values[i].text.data;
    }
    /* The condition first: there the types of the parameters are settled. */
    rt_buf_puts(&out->text, "SELECT ");
    put_condition(&out->text, filter, &(struct manner){ row_name, 1, out->starts });
    for (uint32_t i = 0; i < filter->value_count; i++) {
        rt_buf_printf(&out->text, ", $%u", (unsigned)i + 1);
    }
    for (uint32_t i = 0; i < filter->node_count; i++) {
        if (filter->nodes[i].kind == FILTER_TEST) {
            put_trial(&out->text, filter, &filter->nodes[i]);
        }
    }
    rt_buf_puts(&out->text, " FROM unnest(ARRAY[NULL::");
    put_table(&out->text, table);
    rt_buf_puts(&out->text, "]) AS t");
    (void)rt_buf_cstr(&out->text);
}

void filter_sql_fini(struct filter_sql *sql)
{
    rt_buf_fini(&sql->text);
    free(sql->starts);
    free(sql->params);
    *sql = (struct filter_sql){ .starts = NULL };
}

/* --- answers --- */

/* The test that stands at a character of the statement, or NULL. */
static const struct filter_node *test_at(const struct filter *filter, const struct filter_sql *sql,
                                         const char *position)
{
    unsigned long character = position != NULL ? strtoul(position, NULL, 10) : 0;
    const struct filter_node *found = NULL;
    size_t at = 0;

    if (character == 0) {
        return NULL;
    }
    while (at < sql->text.len && character > 0) {
        character -= (sql->text.data[at] & 0xc0) != 0x80;
        at++;
    }
    for (uint32_t i = 0; i < filter->node_count; i++) {
        if (filter->nodes[i].kind == FILTER_TEST && sql->starts[i] < at) {
            found = &filter->nodes[i];
        }
    }
    return found;
}

/* The test that a parameter belongs to: the context names it as $1, the first dollar there is in any language. */
static const struct filter_node *test_of_param(const struct filter *filter, const char *context)
{
    const char *dollar = context != NULL ? strchr(context, '$') : NULL;
    unsigned long number = dollar != NULL ? strtoul(dollar + 1, NULL, 10) : 0;

    for (uint32_t i = 0; number > 0 && i < filter->node_count; i++) {
        const struct filter_node *node = &filter->nodes[i];
        if (node->kind == FILTER_TEST && number - 1 >= node->first_value &&
            number - 1 < (unsigned long)node->first_value + node->value_count) {
            return node;
        }
    }
    return NULL;
}

void filter_sql_explain(const struct filter *filter, const struct filter_sql *sql,
                        const struct filter_complaint *complaint, struct filter_error *out_error)
{
    const char *message = complaint->message != NULL ? complaint->message : "no reason was given";
    const struct filter_node *node = test_at(filter, sql, complaint->position);

    if (node == NULL) {
        node = test_of_param(filter, complaint->context);
    }
    *out_error = (struct filter_error){ .at = node != NULL ? node->at : 0 };
    if (node == NULL) {
        (void)snprintf(out_error->text, sizeof(out_error->text), "%s", message);
    } else if (complaint->sqlstate != NULL && strcmp(complaint->sqlstate, "42703") == 0) {
        (void)snprintf(out_error->text, sizeof(out_error->text), "column \"%s\" does not exist",
                       node->column.data);
    } else {
        (void)snprintf(out_error->text, sizeof(out_error->text), "column \"%s\", operator %s: %s",
                       node->column.data, filter_op_name(node->op), message);
    }
}

/* 22: data exceptions; 42: syntax, names, types and rights; 23514, 0A000: domains, types without an input. All of them
 * say something of this filter; anything else (08, 53, 57, …) of the moment. */
static bool is_about_the_filter(const char *sqlstate)
{
    return sqlstate != NULL &&
           (strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "42", 2) == 0 ||
            strncmp(sqlstate, "23", 2) == 0 || strncmp(sqlstate, "0A", 2) == 0 ||
            strncmp(sqlstate, "P0", 2) == 0);
}

bool filter_sql_answer(struct filter *filter, const struct filter_sql *sql, const PGresult *result,
                       struct filter_error *out_error, bool *out_retry)
{
    bool complete = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
                    PQnfields(result) > (int)filter->value_count;

    *out_retry = false;
    if (!complete) {
        struct filter_complaint complaint = {
            .sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE),
            .message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY),
            .position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION),
            .context = PQresultErrorField(result, PG_DIAG_CONTEXT),
        };
        filter_sql_explain(filter, sql, &complaint, out_error);
        *out_retry = !is_about_the_filter(complaint.sqlstate);
        return false;
    }
    struct wire_span *texts = rt_realloc(NULL, filter->value_count + 1, sizeof(*texts));
    uint32_t *oids = rt_realloc(NULL, filter->value_count + 1, sizeof(*oids));
    for (int i = 0; i < (int)filter->value_count; i++) {
        texts[i] = (struct wire_span){ PQgetvalue(result, 0, i + 1),
                                       (size_t)PQgetlength(result, 0, i + 1) };
        oids[i] = PQftype(result, i + 1);
    }
    filter_cast(filter, texts, oids);
    free(texts);
    free(oids);
    return true;
}

void filter_sql_condition(const struct filter *filter, const char *row, unsigned first_param,
                          struct rt_buf *out)
{
    put_condition(out, filter, &(struct manner){ row, first_param, NULL });
}

void filter_sql_judge(const struct filter *filter, const struct filter_table *table,
                      struct rt_buf *out)
{
    rt_buf_puts(out, "SELECT (");
    put_condition(out, filter, &(struct manner){ row_name, 2, NULL });
    rt_buf_puts(out, ") IS TRUE FROM unnest(ARRAY[$1::");
    put_table(out, table);
    rt_buf_puts(out, "]) AS t");
}
