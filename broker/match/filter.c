/* broker/match/filter.c - the parser. Groups that are open stand on a stack of FILTER_DEPTH_MAX; nothing recurses. */
#include "broker/match/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/channel.h"
#include "broker/match/filter_scan.h"

static const struct manners manners_of[] = {
    [FILTER_PLAIN] = { 0, true },
    [FILTER_LIST] = { ',', false },
    [FILTER_QUERY] = { '&', true },
};

static const char *const op_names[] = {
    [FILTER_EQ] = "eq",
    [FILTER_NEQ] = "neq",
    [FILTER_GT] = "gt",
    [FILTER_GTE] = "gte",
    [FILTER_LT] = "lt",
    [FILTER_LTE] = "lte",
    [FILTER_LIKE] = "like",
    [FILTER_ILIKE] = "ilike",
    [FILTER_MATCH] = "match",
    [FILTER_IMATCH] = "imatch",
    [FILTER_IS_DISTINCT] = "isdistinct",
    [FILTER_IN] = "in",
    [FILTER_IS] = "is",
    [FILTER_IS_NULL] = "is.null",
    [FILTER_IS_TRUE] = "is.true",
    [FILTER_IS_FALSE] = "is.false",
    [FILTER_IS_UNKNOWN] = "is.unknown",
};

const char *filter_op_name(enum filter_op op)
{
    return op_names[op];
}

void filter_error_text(const struct filter_error *error, char *out, size_t size)
{
    if (error->at == 0) {
        (void)snprintf(out, size, "%s", error->text);
    } else {
        (void)snprintf(out, size, "character %u: %s", (unsigned)error->at, error->text);
    }
}

/* --- columns and paths --- */

/* A column or a key, up to the operator or the next arrow. `where` is for messages. */
static bool read_name(struct parser *p, const char *what, struct wire_span *out, bool *out_quoted)
{
    const char *from = p->at;

    *out_quoted = scan_at_char(p, '"');
    if (*out_quoted) {
        return scan_quoted(p, out);
    }
    while (p->at < p->end && strchr("=\"(),&", *p->at) == NULL && !scan_at_word(p, "->") &&
           !(scan_in_group(p) && *p->at == '.')) {
        p->at++;
    }
    const char *to = p->at;
    while (to > from && to[-1] == ' ') {
        to--;
    }
    if (to == from) {
        return scan_expected(p, from, what);
    }
    *out = scan_copy(p, from, to);
    return true;
}

static bool is_index(struct wire_span key)
{
    size_t sign = key.len > 0 && key.data[0] == '-' ? 1 : 0;

    return key.len > sign && key.len <= 9 &&
           strspn(key.data + sign, "0123456789") == key.len - sign;
}

static bool read_path(struct parser *p, struct filter_node *node)
{
    node->first_step = p->out->step_count;
    while (scan_take_word(p, "->")) {
        const char *from = p->at;
        struct filter_step step = { .text = scan_take_word(p, ">") };
        bool quoted = false;
        if (node->step_count == FILTER_STEPS_MAX || p->out->step_count == FILTER_NODES_MAX) {
            return scan_fail(p, from, "a path has at most %u steps, a filter at most %u",
                             FILTER_STEPS_MAX, FILTER_NODES_MAX);
        }
        if (!read_name(p, "a key of a JSON path", &step.key, &quoted)) {
            return false;
        }
        step.index = !quoted && is_index(step.key);
        p->out->steps[p->out->step_count++] = step;
        node->step_count++;
        if (step.text && scan_at_word(p, "->")) {
            return scan_expected(p, p->at, "an operator: ->> gives text and ends a path");
        }
    }
    return true;
}

/* --- values --- */

static bool add_value(struct parser *p, struct filter_node *node, const char *where,
                      struct wire_span text)
{
    for (uint32_t i = node->first_value; i < p->out->value_count; i++) {
        const struct wire_span *other = &p->out->values[i].text;
        if (other->len == text.len && memcmp(other->data, text.data, text.len) == 0) {
            return true;
        }
    }
    if (p->out->value_count == FILTER_VALUES_MAX) {
        return scan_fail(p, where, "a filter has at most %u values", FILTER_VALUES_MAX);
    }
    p->out->values[p->out->value_count++] = (struct filter_value){ .text = text };
    node->value_count++;
    return true;
}

static bool read_element(struct parser *p, struct filter_node *node)
{
    struct wire_span text = { "", 0 };

    scan_skip_spaces(p);
    const char *from = p->at;
    if (scan_at_char(p, '"')) {
        if (!scan_quoted(p, &text)) {
            return false;
        }
    } else {
        p->at = scan_bare_end(p->at, p->end, ",)");
        const char *to = p->at;
        while (to > from && to[-1] == ' ') {
            to--;
        }
        if (to == from) {
            return scan_expected(p, from, "a value of the list (\"\" is the empty text)");
        }
        text = scan_copy(p, from, to);
    }
    scan_skip_spaces(p);
    return add_value(p, node, from, text);
}

static bool read_list(struct parser *p, struct filter_node *node)
{
    uint32_t count = 0;

    if (!scan_take_word(p, "(")) {
        return scan_expected(p, p->at, "( and a list of values");
    }
    do {
        if (++count > FILTER_IN_MAX) {
            return scan_fail(p, p->at, "a list has at most %u values", FILTER_IN_MAX);
        }
        if (!read_element(p, node)) {
            return false;
        }
    } while (scan_take_word(p, ","));
    if (!scan_take_word(p, ")")) {
        return scan_expected(p, p->at, ", or ) in a list of values");
    }
    if (node->value_count == 1) {
        node->op = FILTER_EQ;
    }
    return true;
}

static bool read_is(struct parser *p, struct filter_node *node)
{
    static const struct {
        const char *word;
        enum filter_op op;
    } words[] = {
        { "null", FILTER_IS_NULL },
        { "true", FILTER_IS_TRUE },
        { "false", FILTER_IS_FALSE },
        { "unknown", FILTER_IS_UNKNOWN },
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i].word);
        if ((size_t)(p->end - p->at) >= len && strncasecmp(p->at, words[i].word, len) == 0) {
            p->at += len;
            node->op = words[i].op;
            return true;
        }
    }
    return scan_expected(p, p->at, "null, true, false or unknown");
}

/* like's and ilike's: an escape at the end is an error that PostgreSQL finds only in a row that gets that far. */
static bool check_pattern(struct parser *p, const char *where, struct wire_span pattern)
{
    char *text = p->out->bytes + (pattern.data - p->out->bytes);
    bool escaped = false;

    for (size_t i = 0; i < pattern.len; i++) {
        if (text[i] == '*' && p->manners->star && !escaped) {
            text[i] = '%';
        }
        escaped = text[i] == '\\' && !escaped;
    }
    return !escaped ||
           scan_fail(p, where, "the pattern ends with an escape; write \\\\ for a backslash");
}

static bool read_scalar(struct parser *p, struct filter_node *node)
{
    const char *from = p->at;
    struct wire_span text = { "", 0 };

    if (!scan_in_group(p) && p->manners->separator == 0) {
        p->at = p->end;
        text = scan_copy(p, from, p->end);
    } else if (scan_at_char(p, '"')) {
        if (!scan_quoted(p, &text)) {
            return false;
        }
    } else {
        const char separator[] = { p->manners->separator, '\0' };
        p->at = scan_bare_end(p->at, p->end, scan_in_group(p) ? ",)" : separator);
        text = scan_copy(p, from, p->at);
    }
    if ((node->op == FILTER_LIKE || node->op == FILTER_ILIKE) && !check_pattern(p, from, text)) {
        return false;
    }
    return add_value(p, node, from, text);
}

/* --- items --- */

static struct filter_node *add_node(struct parser *p, const char *where, enum filter_kind kind)
{
    if (p->out->node_count == FILTER_NODES_MAX) {
        (void)scan_fail(p, where, "a filter has at most %u tests and groups", FILTER_NODES_MAX - 1);
        return NULL;
    }
    struct filter_node *node = &p->out->nodes[p->out->node_count++];
    *node = (struct filter_node){ .kind = kind,
                                  .end = p->out->node_count,
                                  .at = scan_character(p, where),
                                  .first_value = p->out->value_count };
    return node;
}

static bool read_op(struct parser *p, enum filter_op *out)
{
    const char *from = p->at;
    size_t len = 0;

    while (from + len < p->end && from[len] >= 'a' && from[len] <= 'z') {
        len++;
    }
    for (size_t i = 0; i <= FILTER_IS; i++) {
        if (strlen(op_names[i]) == len && memcmp(op_names[i], from, len) == 0) {
            p->at += len;
            *out = (enum filter_op)i;
            return scan_take_word(p, ".") || scan_expected(p, p->at, ". and a value");
        }
    }
    return scan_expected(
        p, from,
        "an operator (eq, neq, gt, gte, lt, lte, like, ilike, is, in, match, imatch, "
        "isdistinct)");
}

static bool read_test(struct parser *p)
{
    struct filter_node *node = add_node(p, p->at, FILTER_TEST);
    bool quoted = false;

    if (node == NULL || !read_name(p, "column=operator.value", &node->column, &quoted)) {
        return false;
    }
    const char *behind = p->at;
    if (node->column.len == 0 || node->column.len > WIRE_NAME_MAX) {
        return scan_fail(p, behind, "a column's name has 1 to %u bytes", WIRE_NAME_MAX);
    }
    if (!read_path(p, node)) {
        return false;
    }
    scan_skip_spaces(p);
    if (!scan_take_word(p, "=") && !(scan_in_group(p) && scan_take_word(p, "."))) {
        return scan_expected(p, p->at, "= behind the column, as in column=operator.value");
    }
    node->negated = scan_take_word(p, "not.");
    if (!read_op(p, &node->op)) {
        return false;
    }
    switch ((int)node->op) {
    case FILTER_IS:
        return read_is(p, node);
    case FILTER_IN:
        return read_list(p, node);
    default:
        return read_scalar(p, node);
    }
}

/* Whether a group begins here; then it is open, and what is at hand is its first item. */
static bool open_group(struct parser *p, bool *out_opened)
{
    const char *from = p->at;
    bool negated = scan_take_word(p, "not.");
    enum filter_kind kind = scan_take_word(p, "or") ? FILTER_OR : FILTER_AND;

    *out_opened = false;
    if (kind == FILTER_AND && !scan_take_word(p, "and")) {
        p->at = from;
        return true;
    }
    (void)scan_take_word(p, "=");
    if (!scan_take_word(p, "(")) {
        p->at = from; /* a column of that name */
        return true;
    }
    if (p->depth == FILTER_DEPTH_MAX) {
        return scan_fail(p, from, "groups nest at most %u deep", FILTER_DEPTH_MAX);
    }
    struct filter_node *node = add_node(p, from, kind);
    if (node == NULL) {
        return false;
    }
    node->negated = negated;
    p->open[++p->depth] = (uint32_t)(node - p->out->nodes);
    *out_opened = true;
    return true;
}

static void close_group(struct parser *p)
{
    p->out->nodes[p->open[p->depth]].end = p->out->node_count;
    p->depth--;
}

/* Behind an item: closes what ends here. *out_more: another item follows. */
static bool end_item(struct parser *p, bool *out_more)
{
    *out_more = true;
    while (scan_in_group(p)) {
        scan_skip_spaces(p);
        if (scan_take_word(p, ",")) {
            return true;
        }
        if (!scan_take_word(p, ")")) {
            return scan_expected(p, p->at, ", or ) in a group");
        }
        close_group(p);
    }
    *out_more = p->at < p->end;
    if (!*out_more || (p->manners->separator != 0 && *p->at == p->manners->separator)) {
        p->at += *out_more ? 1 : 0;
        return true;
    }
    return scan_expected(p, p->at,
                         p->manners->separator == 0     ? "the end of the filter"
                         : p->manners->separator == ',' ? ", or the end of the filter"
                                                        : "& or the end of the filter");
}

static bool read_all(struct parser *p)
{
    bool more = true;

    if (p->at == p->end) {
        return true;
    }
    (void)add_node(p, p->at, FILTER_AND);
    while (more) {
        bool opened = false;
        scan_skip_spaces(p);
        if (!open_group(p, &opened)) {
            return false;
        }
        if (!opened && (!read_test(p) || !end_item(p, &more))) {
            return false;
        }
    }
    p->out->nodes[0].end = p->out->node_count;
    return true;
}

bool filter_parse(struct filter *out, enum filter_dialect dialect, struct wire_span text,
                  struct filter_error *out_error)
{
    struct parser p = {
        .manners = &manners_of[dialect],
        .text = text.data,
        .at = text.data,
        .end = text.data + text.len,
        .out = out,
        .error = out_error,
    };

    *out = (struct filter){ .nodes = NULL };
    *out_error = (struct filter_error){ .at = 0 };
    if (text.len > FILTER_TEXT_MAX || !channel_clean_text(text)) {
        (void)snprintf(out_error->text, sizeof(out_error->text),
                       "a filter is at most %u bytes of UTF-8 without control characters",
                       FILTER_TEXT_MAX);
        return false;
    }
    if (text.len == 0) {
        return true;
    }
    out->nodes = rt_alloc(FILTER_NODES_MAX * sizeof(*out->nodes));
    out->values = rt_alloc(FILTER_VALUES_MAX * sizeof(*out->values));
    out->steps = rt_alloc(FILTER_NODES_MAX * sizeof(*out->steps));
    /* Every piece is followed by a byte that is no part of it, or by the end: room for its NUL. */
    out->bytes = rt_alloc(2 * text.len + 2);
    if (!read_all(&p)) {
        filter_fini(out);
        return false;
    }
    /* Thousands of filters stay; what they do not use goes back. */
    out->nodes = rt_realloc(out->nodes, out->node_count, sizeof(*out->nodes));
    out->values = rt_realloc(out->values, out->value_count + 1, sizeof(*out->values));
    out->steps = rt_realloc(out->steps, out->step_count + 1, sizeof(*out->steps));
    return true;
}

void filter_fini(struct filter *filter)
{
    free(filter->nodes);
    free(filter->values);
    free(filter->steps);
    free(filter->bytes);
    rt_buf_fini(&filter->cast);
    *filter = (struct filter){ .nodes = NULL };
}
