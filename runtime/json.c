/* runtime/json.c - see json.h. */
#include "runtime/json.h"

#include <string.h>

struct scan {
    const char *at;
    const char *end;
};

static struct scan scan_of(struct rt_span text)
{
    const char *from = text.len > 0 ? (const char *)text.data : "";

    return (struct scan){ from, from + text.len };
}

static struct rt_span span_of(const char *from, const char *to)
{
    return (struct rt_span){ (const uint8_t *)from, (size_t)(to - from) };
}

static void blanks(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r')) {
        scan->at++;
    }
}

static bool take(struct scan *scan, char c)
{
    if (scan->at < scan->end && *scan->at == c) {
        scan->at++;
        return true;
    }
    return false;
}

static bool word(struct scan *scan, const char *text)
{
    size_t len = strlen(text);

    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, text, len) != 0) {
        return false;
    }
    scan->at += len;
    return true;
}

static bool digits(struct scan *scan)
{
    const char *from = scan->at;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') {
        scan->at++;
    }
    return scan->at > from;
}

static bool number(struct scan *scan)
{
    (void)take(scan, '-');
    if (!take(scan, '0') && !digits(scan)) {
        return false;
    }
    if (take(scan, '.') && !digits(scan)) {
        return false;
    }
    if (take(scan, 'e') || take(scan, 'E')) {
        if (!take(scan, '+')) {
            (void)take(scan, '-');
        }
        return digits(scan);
    }
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool escape(struct scan *scan)
{
    if (scan->at == scan->end) {
        return false;
    }
    char c = *scan->at++;
    if (c != 'u') {
        return c != '\0' && strchr("\"\\/bfnrt", c) != NULL;
    }
    for (int i = 0; i < 4; i++) {
        if (scan->at == scan->end || !is_hex(*scan->at++)) {
            return false;
        }
    }
    return true;
}

/* Behind the quote. *out: what is between the quotes. */
static bool string(struct scan *scan, struct rt_span *out)
{
    const char *from = scan->at;

    while (scan->at < scan->end) {
        unsigned char c = (unsigned char)*scan->at++;
        if (c == '"') {
            *out = span_of(from, scan->at - 1);
            return true;
        }
        if (c < 0x20 || (c == '\\' && !escape(scan))) {
            return false;
        }
    }
    return false;
}

/* A value that contains no other. */
static bool scalar(struct scan *scan)
{
    struct rt_span ignored;

    if (take(scan, '"')) {
        return string(scan, &ignored);
    }
    return word(scan, "true") || word(scan, "false") || word(scan, "null") || number(scan);
}

/* `"name":`, with the blanks around it. */
static bool name_of(struct scan *scan, struct rt_span *out)
{
    blanks(scan);
    if (!take(scan, '"') || !string(scan, out)) {
        return false;
    }
    blanks(scan);
    return take(scan, ':');
}

/* What may follow a value: the end of what is open, or a comma. False: neither. *more: another value comes. */
static bool after_value(struct scan *scan, char *open, unsigned *depth, bool *more)
{
    struct rt_span ignored;

    *more = false;
    for (;;) {
        blanks(scan);
        if (*depth == 0) {
            return true;
        }
        char closer = open[*depth - 1];
        if (take(scan, closer)) {
            (*depth)--;
            continue;
        }
        *more = true;
        return take(scan, ',') && (closer == ']' || name_of(scan, &ignored));
    }
}

/* Behind a bracket that opens. *empty: nothing is in it, and the one that closes stands here. */
static bool enter(struct scan *scan, char closer, char *open, unsigned *depth, bool *empty)
{
    struct rt_span ignored;

    if (*depth == RT_JSON_DEPTH) {
        return false;
    }
    open[(*depth)++] = closer;
    blanks(scan);
    *empty = scan->at < scan->end && *scan->at == closer;
    return *empty || closer == ']' || name_of(scan, &ignored);
}

/* One value; without recursion, since its depth is another's choice. */
static bool value(struct scan *scan)
{
    char open[RT_JSON_DEPTH];
    unsigned depth = 0;
    bool more = true;

    while (more) {
        bool over = true; /* a scalar, or an empty one: something may follow */
        blanks(scan);
        bool array = take(scan, '[');
        bool container = array || take(scan, '{');
        if (container ? !enter(scan, array ? ']' : '}', open, &depth, &over) : !scalar(scan)) {
            return false;
        }
        if (over && !after_value(scan, open, &depth, &more)) {
            return false;
        }
    }
    return true;
}

/* Bytes of the UTF-8 sequence at `at`; 0: it is none (RFC 3629: overlong forms and surrogates are not). */
static size_t sequence(const uint8_t *at, size_t left)
{
    uint8_t c = at[0];
    size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    if (len == 1) {
        return 1;
    }
    if (c < 0xc2 || c > 0xf4 || len > left) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool bad = (c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) ||
               (c == 0xf0 && at[1] < 0x90) || (c == 0xf4 && at[1] > 0x8f);
    return bad ? 0 : len;
}

static bool is_utf8(struct rt_span text)
{
    size_t at = 0;

    while (at < text.len) {
        size_t len = sequence(text.data + at, text.len - at);
        if (len == 0) {
            return false;
        }
        at += len;
    }
    return true;
}

/* A value, without the blanks around it. */
static bool raw_value(struct scan *scan, struct rt_span *out)
{
    blanks(scan);
    const char *from = scan->at;
    if (!value(scan)) {
        return false;
    }
    const char *to = scan->at;
    while (to > from && strchr(" \t\n\r", to[-1]) != NULL) {
        to--;
    }
    *out = span_of(from, to);
    return true;
}

bool rt_json_valid(struct rt_span text)
{
    struct scan scan = scan_of(text);

    if (!value(&scan)) {
        return false;
    }
    blanks(&scan);
    return scan.at == scan.end && is_utf8(text);
}

bool rt_json_member(struct rt_span text, const char *name, struct rt_span *out)
{
    struct scan scan = scan_of(text);
    struct rt_span key;
    struct rt_span found;
    bool any = false;

    blanks(&scan);
    if (!take(&scan, '{')) {
        return false;
    }
    while (name_of(&scan, &key) && raw_value(&scan, &found)) {
        if (key.len == strlen(name) && memcmp(key.data, name, key.len) == 0) {
            *out = found;
            any = true;
        }
        blanks(&scan);
        if (!take(&scan, ',')) {
            break;
        }
    }
    return any;
}

/* The next element; `scan` stands behind the bracket or a comma. False: there is none. */
static bool next_element(struct scan *scan, struct rt_span *out)
{
    blanks(scan);
    if (scan->at < scan->end && *scan->at == ']') {
        return false;
    }
    if (!raw_value(scan, out)) {
        return false;
    }
    blanks(scan);
    (void)take(scan, ',');
    return true;
}

bool rt_json_element(struct rt_span text, size_t n, struct rt_span *out)
{
    struct scan scan = scan_of(text);

    blanks(&scan);
    if (!take(&scan, '[')) {
        return false;
    }
    while (next_element(&scan, out)) {
        if (n-- == 0) {
            return true;
        }
    }
    return false;
}

static bool scalar_is(struct rt_span value, struct rt_span text)
{
    bool is_string = value.len >= 2 && value.data[0] == '"';
    bool is_number =
        value.len > 0 && (value.data[0] == '-' || (value.data[0] >= '0' && value.data[0] <= '9'));

    if (is_string) {
        value = (struct rt_span){ value.data + 1, value.len - 2 };
    }
    return (is_string || is_number) && memchr(value.data, '\\', value.len) == NULL &&
           value.len == text.len && memcmp(value.data, text.data, text.len) == 0;
}

bool rt_json_is(struct rt_span value, struct rt_span text)
{
    struct scan scan = scan_of(value);
    struct rt_span element;

    if (!take(&scan, '[')) {
        return scalar_is(value, text);
    }
    while (next_element(&scan, &element)) {
        if (scalar_is(element, text)) {
            return true;
        }
    }
    return false;
}
