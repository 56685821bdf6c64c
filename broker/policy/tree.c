/* broker/policy/tree.c - one pass with a stack of open items. */
#include "broker/policy/tree.h"

#include <string.h>

struct parser {
    struct policy_arena *arena;
    const char *at;
    const char *end;
    uint32_t items;
    uint32_t depth;
    struct policy_tree *stack[POLICY_TREE_DEPTH_MAX];
    struct policy_tree **tails[POLICY_TREE_DEPTH_MAX]; /* where the next child goes */
    struct policy_tree *root;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t';
}

static bool is_end(char c)
{
    return is_space(c) || c == '(' || c == ')' || c == '{' || c == '}';
}

/* NULL: nothing is open. */
static struct policy_tree *top(const struct parser *parser)
{
    return parser->depth > 0 ? parser->stack[parser->depth - 1] : NULL;
}

static struct policy_tree *add(struct parser *parser, enum policy_tree_kind kind, const char *text,
                               size_t len)
{
    /* Only fields are direct children of a node, and only one item is the root. */
    const struct policy_tree *parent = top(parser);
    bool fits = parent == NULL ? parser->root == NULL
                               : (parent->kind == POLICY_TREE_NODE) == (kind == POLICY_TREE_FIELD);
    if (!fits || parser->items == POLICY_TREE_ITEMS_MAX) {
        return NULL;
    }
    struct policy_tree *item = policy_arena_alloc(parser->arena, sizeof(*item));
    item->kind = kind;
    item->text = text;
    item->len = (uint32_t)len;
    parser->items++;
    if (parser->depth == 0) {
        parser->root = item;
    } else {
        *parser->tails[parser->depth - 1] = item;
        parser->tails[parser->depth - 1] = &item->next;
    }
    return item;
}

static bool push(struct parser *parser, enum policy_tree_kind kind, const char *text, size_t len)
{
    struct policy_tree *item = add(parser, kind, text, len);

    if (item == NULL || parser->depth == POLICY_TREE_DEPTH_MAX) {
        return false;
    }
    parser->stack[parser->depth] = item;
    parser->tails[parser->depth] = &item->child;
    parser->depth++;
    return true;
}

/* Reads up to a separator; a backslash takes the next character with it. */
static size_t token_length(const struct parser *parser)
{
    const char *at = parser->at;

    while (at < parser->end && !is_end(*at)) {
        at += *at == '\\' && at + 1 < parser->end ? 2 : 1;
    }
    return (size_t)(at - parser->at);
}

/* A quoted text: ends at a quote that no backslash precedes. 0: it does not end. */
static size_t quoted_length(const struct parser *parser)
{
    const char *at = parser->at + 1;

    while (at < parser->end && *at != '"') {
        at += *at == '\\' && at + 1 < parser->end ? 2 : 1;
    }
    return at < parser->end ? (size_t)(at - parser->at) + 1 : 0;
}

static bool close_field(struct parser *parser)
{
    const struct policy_tree *field = top(parser);

    if (field != NULL && field->kind == POLICY_TREE_FIELD) {
        parser->depth--;
        return field->child != NULL;
    }
    return true;
}

static bool close(struct parser *parser, enum policy_tree_kind kind)
{
    const struct policy_tree *item = top(parser);

    if (item == NULL || item->kind != kind) {
        return false;
    }
    parser->depth--;
    return true;
}

static bool is_constant_bytes(const struct parser *parser)
{
    const struct policy_tree *field = top(parser);

    return field != NULL && field->kind == POLICY_TREE_FIELD && field->len == 10 &&
           memcmp(field->text, "constvalue", 10) == 0;
}

static bool open_node(struct parser *parser)
{
    parser->at++;
    size_t len = token_length(parser);
    const char *name = parser->at;
    parser->at += len;
    return len > 0 && push(parser, POLICY_TREE_NODE, name, len);
}

static bool token(struct parser *parser)
{
    const struct policy_tree *parent = top(parser);
    bool in_node =
        parent != NULL && (parent->kind == POLICY_TREE_NODE || parent->kind == POLICY_TREE_FIELD);
    size_t len = *parser->at == '"' ? quoted_length(parser) : token_length(parser);
    const char *text = parser->at;

    if (len == 0) {
        return false;
    }
    parser->at += len;
    if (*text == ':' && in_node) {
        return len > 1 && close_field(parser) && push(parser, POLICY_TREE_FIELD, text + 1, len - 1);
    }
    if (len == 1 && *text == '[' && is_constant_bytes(parser)) {
        return push(parser, POLICY_TREE_BYTES, text, 0);
    }
    if (len == 1 && *text == ']' && parent != NULL && parent->kind == POLICY_TREE_BYTES) {
        return close(parser, POLICY_TREE_BYTES);
    }
    bool none = len == 2 && memcmp(text, "<>", 2) == 0;
    return add(parser, none ? POLICY_TREE_NONE : POLICY_TREE_TOKEN, text, len) != NULL;
}

static bool step(struct parser *parser)
{
    switch (*parser->at) {
    case '{':
        return open_node(parser);
    case '}':
        parser->at++;
        return close_field(parser) && close(parser, POLICY_TREE_NODE);
    case '(':
        parser->at++;
        return push(parser, POLICY_TREE_LIST, parser->at, 0);
    case ')':
        parser->at++;
        return close(parser, POLICY_TREE_LIST);
    default:
        return token(parser);
    }
}

struct policy_tree *policy_tree_parse(struct policy_arena *arena, const char *text, size_t len)
{
    struct parser parser = { .arena = arena, .at = text, .end = text + len };

    if (len > POLICY_TREE_TEXT_MAX) {
        return NULL;
    }
    while (parser.at < parser.end) {
        if (is_space(*parser.at)) {
            parser.at++;
        } else if (!step(&parser)) {
            return NULL;
        }
    }
    return parser.depth == 0 ? parser.root : NULL;
}

bool policy_tree_is(const struct policy_tree *item, const char *node_name)
{
    return item != NULL && item->kind == POLICY_TREE_NODE && item->len == strlen(node_name) &&
           memcmp(item->text, node_name, item->len) == 0;
}

const struct policy_tree *policy_tree_get(const struct policy_tree *item, const char *field)
{
    size_t len = strlen(field);

    if (item == NULL || item->kind != POLICY_TREE_NODE) {
        return NULL;
    }
    for (const struct policy_tree *at = item->child; at != NULL; at = at->next) {
        if (at->len == len && memcmp(at->text, field, len) == 0) {
            return at->child;
        }
    }
    return NULL;
}

bool policy_tree_token_number(const struct policy_tree *token, int64_t *out)
{
    uint32_t at = 0;
    int64_t value = 0;

    if (token == NULL || token->kind != POLICY_TREE_TOKEN || token->len == 0) {
        return false;
    }
    bool minus = token->text[0] == '-';
    at = minus ? 1 : 0;
    if (at == token->len || token->len - at > 18) {
        return false;
    }
    for (; at < token->len; at++) {
        if (token->text[at] < '0' || token->text[at] > '9') {
            return false;
        }
        value = value * 10 + (token->text[at] - '0');
    }
    *out = minus ? -value : value;
    return true;
}

bool policy_tree_number(const struct policy_tree *item, const char *field, int64_t *out)
{
    const struct policy_tree *value = policy_tree_get(item, field);

    return value != NULL && value->next == NULL && policy_tree_token_number(value, out);
}

bool policy_tree_oid(const struct policy_tree *item, const char *field, uint32_t *out)
{
    int64_t value = 0;

    if (!policy_tree_number(item, field, &value) || value < 0 || value > UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

bool policy_tree_bool(const struct policy_tree *item, const char *field, bool *out)
{
    const struct policy_tree *value = policy_tree_get(item, field);

    if (value == NULL || value->kind != POLICY_TREE_TOKEN || value->next != NULL) {
        return false;
    }
    bool is_true = value->len == 4 && memcmp(value->text, "true", 4) == 0;
    bool is_false = value->len == 5 && memcmp(value->text, "false", 5) == 0;
    if (is_true || is_false) {
        *out = is_true;
    }
    return is_true || is_false;
}

const struct policy_tree *policy_tree_elements(const struct policy_tree *item, const char *field)
{
    const struct policy_tree *value = policy_tree_get(item, field);

    return value != NULL && value->kind == POLICY_TREE_LIST ? value->child : NULL;
}

uint32_t policy_tree_count(const struct policy_tree *first)
{
    uint32_t count = 0;

    for (; first != NULL; first = first->next) {
        count++;
    }
    return count;
}
