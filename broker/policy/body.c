/* broker/policy/body.c - tokens of SQL, and what they may be. */
#include "broker/policy/body.h"

#include <string.h>
#include <strings.h>

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_QUOTED,
    TOKEN_TEXT,
    TOKEN_NUMBER,
    TOKEN_SYMBOL,
    TOKEN_BAD
};

struct token {
    enum token_kind kind;
    char text[64]; /* of words in lower case; of longer ones the beginning, which matches nothing */
    char symbol;
};

struct scanner {
    const char *at;
    struct token now;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_blanks(struct scanner *in)
{
    while (*in->at == ' ' || *in->at == '\n' || *in->at == '\t' || *in->at == '\r') {
        in->at++;
    }
}

/* A text or a quoted name: doubled quotes belong to it. False when it does not end. */
static bool skip_quoted(struct scanner *in, char quote)
{
    for (in->at++; *in->at != 0; in->at++) {
        if (*in->at == quote && *++in->at != quote) {
            return true;
        }
    }
    return false;
}

static void word(struct scanner *in)
{
    size_t len = 0;

    in->now.kind = TOKEN_WORD;
    while (is_letter(*in->at) || is_digit(*in->at) || *in->at == '$') {
        char c = *in->at++;
        if (len < sizeof(in->now.text) - 1) {
            in->now.text[len++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
    }
    in->now.text[len] = 0;
}

/* Comments, dollar quotes, E'' and U&'' are not understood, which is a no. */
static void next(struct scanner *in)
{
    skip_blanks(in);
    in->now = (struct token){ .kind = TOKEN_BAD };
    char c = *in->at;
    if (c == 0) {
        in->now.kind = TOKEN_END;
    } else if (is_letter(c)) {
        word(in);
        if (*in->at == '\'' || *in->at == '&') {
            in->now.kind = TOKEN_BAD;
        }
    } else if (is_digit(c)) {
        in->now.kind = TOKEN_NUMBER;
        while (is_digit(*in->at) || *in->at == '.') {
            in->at++;
        }
    } else if (c == '\'' || c == '"') {
        in->now.kind = skip_quoted(in, c) ? (c == '"' ? TOKEN_QUOTED : TOKEN_TEXT) : TOKEN_BAD;
    } else if ((c == '-' && in->at[1] == '-') || (c == '/' && in->at[1] == '*') || c == '$') {
        in->now.kind = TOKEN_BAD;
    } else {
        in->now.kind = TOKEN_SYMBOL;
        in->now.symbol = c;
        in->at++;
    }
}

static bool listed(const char *const *list, const char *word)
{
    for (; *list != NULL; list++) {
        if (strcmp(*list, word) == 0) {
            return true;
        }
    }
    return false;
}

/* Followed by a parenthesis and not a function that could read anything. */
static const char *const harmless[] = {
    "current_setting",
    "nullif",
    "coalesce",
    "in",
    "and",
    "or",
    "not",
    "when",
    "then",
    "else",
    "case",
    "select",
    "as",
    "is",
    "any",
    "all",
    "array",
    "greatest",
    "least",
    "lower",
    "upper",
    "btrim",
    "ltrim",
    "rtrim",
    "replace",
    "split_part",
    "string_to_array",
    "jsonb_extract_path_text",
    "jsonb_extract_path",
    "json_extract_path_text",
    "json_extract_path",
    "md5",
    "length",
    "left",
    "right",
    "strpos",
    "starts_with",
    "where",
    "distinct",
    "between",
    "like",
    "ilike",
    "cast",
    "numeric",
    "varchar",
    "char",
    "to_jsonb",
    "to_json",
    NULL,
};

/* May be in a body without being followed by a parenthesis, or not at all. */
static const char *const forbidden[] = {
    "from",
    "join",
    "table",
    "with",
    "insert",
    "update",
    "delete",
    "merge",
    "into",
    "values",
    "union",
    "intersect",
    "except",
    "for",
    "limit",
    "offset",
    "group",
    "order",
    "having",
    "window",
    "over",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "session_user",
    "system_user",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "abstime",
    "regclass",
    "regproc",
    "regprocedure",
    "regoper",
    "regoperator",
    "regtype",
    "regrole",
    "regnamespace",
    "regconfig",
    "regdictionary",
    "regcollation",
    "operator",
    "uescape",
    "xmltable",
    "xmlparse",
    "json_table",
    "tablesample",
    "lateral",
    "rows",
    NULL,
};

/* Read so far: at depth `from_depth` a FROM with its subselect; what may follow is decided there. */
struct reading {
    const struct policy_facts *facts;
    int depth;      /* of parentheses */
    int from_depth; /* where the newest FROM is, or -1 */
    int nested;
};

/* NOLINTNEXTLINE(misc-no-recursion): a function's body calls another's; POLICY_BODY_DEPTH_MAX deep */
static bool body_is_constant(const struct policy_facts *facts, const char *body, int nested);

/* NOLINTNEXTLINE(misc-no-recursion): see above */
static bool call_is_constant(const struct reading *reading, const char *schema, const char *name)
{
    bool builtin = schema[0] == 0 || strcmp(schema, "pg_catalog") == 0;

    if (builtin && listed(harmless, name)) {
        return true;
    }
    const struct policy_function_fact *function =
        schema[0] != 0 ? policy_facts_function_named(reading->facts, schema, name) : NULL;
    return function != NULL && function->sql && function->volatility != 'v' && !function->set &&
           body_is_constant(reading->facts, function->body, reading->nested + 1);
}

/* A word that is a name: of a call, a type, an alias, a column of a subselect. */
/* NOLINTNEXTLINE(misc-no-recursion): see above */
static bool read_name(struct scanner *in, const struct reading *reading)
{
    char schema[sizeof(in->now.text)] = "";
    char name[sizeof(in->now.text)];

    memcpy(name, in->now.text, sizeof(name));
    next(in);
    if (in->now.kind == TOKEN_SYMBOL && in->now.symbol == '.') {
        next(in);
        if (in->now.kind != TOKEN_WORD || listed(forbidden, in->now.text)) {
            return false;
        }
        memcpy(schema, name, sizeof(schema));
        memcpy(name, in->now.text, sizeof(name));
        next(in);
    } else if (listed(forbidden, name)) {
        return false;
    }
    if (in->now.kind == TOKEN_SYMBOL && in->now.symbol == '(') {
        return call_is_constant(reading, schema, name);
    }
    return true;
}

/* FROM ( SELECT … ) [AS] alias [(names)], and then the end of its SELECT. */
static bool read_from(struct scanner *in, struct reading *reading)
{
    next(in);
    if (in->now.kind != TOKEN_SYMBOL || in->now.symbol != '(' || reading->from_depth >= 0) {
        return false;
    }
    reading->from_depth = reading->depth;
    reading->depth++;
    next(in);
    return in->now.kind == TOKEN_WORD && strcmp(in->now.text, "select") == 0;
}

/* After the subselect of a FROM: [AS] alias [(names)], then ), WHERE or the end. */
static bool read_alias(struct scanner *in)
{
    if (in->now.kind == TOKEN_WORD && strcmp(in->now.text, "as") == 0) {
        next(in);
    }
    if (in->now.kind != TOKEN_WORD || listed(forbidden, in->now.text)) {
        return false;
    }
    next(in);
    if (in->now.kind == TOKEN_SYMBOL && in->now.symbol == '(') {
        do {
            next(in);
            if (in->now.kind != TOKEN_WORD) {
                return false;
            }
            next(in);
        } while (in->now.kind == TOKEN_SYMBOL && in->now.symbol == ',');
        if (in->now.kind != TOKEN_SYMBOL || in->now.symbol != ')') {
            return false;
        }
        next(in);
    }
    return in->now.kind == TOKEN_END || (in->now.kind == TOKEN_SYMBOL && in->now.symbol == ')') ||
           (in->now.kind == TOKEN_SYMBOL && in->now.symbol == ';') ||
           (in->now.kind == TOKEN_WORD && strcmp(in->now.text, "where") == 0);
}

static bool read_symbol(struct scanner *in, struct reading *reading)
{
    char symbol = in->now.symbol;

    if (symbol == ';') { /* only at the very end */
        next(in);
        return in->now.kind == TOKEN_END;
    }
    reading->depth += symbol == '(' ? 1 : symbol == ')' ? -1 : 0;
    next(in);
    if (symbol == ')' && reading->depth == reading->from_depth) {
        reading->from_depth = -1;
        return read_alias(in);
    }
    return reading->depth >= 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): see above */
static bool read_token(struct scanner *in, struct reading *reading)
{
    switch (in->now.kind) {
    case TOKEN_WORD:
        return strcmp(in->now.text, "from") == 0 ? read_from(in, reading) : read_name(in, reading);
    case TOKEN_TEXT:
    case TOKEN_NUMBER:
        next(in);
        return true;
    case TOKEN_SYMBOL:
        return read_symbol(in, reading);
    case TOKEN_QUOTED: /* could be any function's or table's name */
    case TOKEN_BAD:
    case TOKEN_END:
        break;
    }
    return false;
}

/* NOLINTNEXTLINE(misc-no-recursion): see above */
static bool body_is_constant(const struct policy_facts *facts, const char *body, int nested)
{
    struct scanner in = { .at = body };
    struct reading reading = { facts, 0, -1, nested };

    next(&in);
    if (nested >= POLICY_BODY_DEPTH_MAX || in.now.kind != TOKEN_WORD ||
        strcmp(in.now.text, "select") != 0) {
        return false;
    }
    while (in.now.kind != TOKEN_END) {
        if (!read_token(&in, &reading)) {
            return false;
        }
    }
    return reading.depth == 0;
}

bool policy_body_is_constant(const struct policy_facts *facts,
                             const struct policy_function_fact *function)
{
    return function->sql && function->volatility != 'v' && !function->set &&
           body_is_constant(facts, function->body, 0);
}
